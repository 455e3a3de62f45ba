"""Stores questions with their empty answers, and starts the runs that write them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Literal

from services.changes import Changes
from services.connect import Connections
from services.context import build_request, within_limit
from services.conversation import Conversation, Draft, Queued, title_from
from services.errors import NO_IMAGES, NotFoundError, PanelistError, StorageError
from services.messages import Message, TextPart, new_id
from services.options import Options
from services.providers.base import ModelRequest, Provider
from services.runner import RunLog, RunManager, RunSpec
from services.settings import Settings
from services.storage.store import Begun, Store
from services.titles import ask_for_title

log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 1.0


class Answering:
    """Begins runs. Whoever calls it sees to it that a conversation has one at a time."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        runs: RunManager,
        connections: Connections,
        provider: Provider,
        changes: Changes,
    ) -> None:
        self._settings = settings
        self._store = store
        self._runs = runs
        self._connections = connections
        self._provider = provider
        self._changes = changes
        self._titling: dict[str, asyncio.Task[None]] = {}
        self._untitled: set[str] = set()
        """Conversations whose title gave way to the next question."""
        self._blind: set[tuple[str, str]] = set()
        """Endpoints with their models that refused pictures: without those of earlier questions the talk can go on."""
        self.on_end: Callable[[RunLog], None] = lambda _: None
        """Called with each run whose end is stored."""

    async def ask(
        self,
        owner: str,
        conversation: Conversation,
        draft: Draft,
        request_key: str | None,
        before: Sequence[Message],
    ) -> tuple[Begun, tuple[Message, ...]]:
        """Store a question behind the path `before` and begin to answer it; return the new messages too."""
        question = _message(conversation.id, before[-1].id if before else None, "user", draft)
        return await self._begin(owner, conversation, question, question.id, request_key=request_key, before=before)

    async def ask_queued(
        self, owner: str, conversation: Conversation, queued: Queued
    ) -> tuple[Begun, tuple[Message, ...]]:
        """Send a message that waited, under its id; the time is that of the sending."""
        draft = Draft(queued.text, queued.attachments)
        question = _message(conversation.id, conversation.head_id, "user", draft, id=queued.id)
        return await self._begin(owner, conversation, question, question.id, waited=True)

    async def ask_again(
        self, owner: str, conversation: Conversation, question_id: str
    ) -> tuple[Begun, tuple[Message, ...]]:
        """Begin another answer to a question."""
        return await self._begin(owner, conversation, None, question_id)

    async def go_on(self, owner: str, conversation: Conversation, message_id: str) -> None:
        """Begin to write on in an answer that was cut off, as it was asked for where that endpoint is still set up."""
        self._runs.check_open()
        answer = await self._store.message(owner, conversation.id, message_id)
        asked = self._asked(conversation)
        if answer.options is not None and self._connections.knows(answer.endpoint):
            asked = replace(answer.options, endpoint=answer.endpoint)
        run_id = new_id()
        try:
            begun = await self._store.resume_run(owner, conversation.id, message_id, run_id, options=asked)
        except StorageError:
            self._find_out(owner, conversation, run_id, asked)
            raise
        if begun.run_id is not None:
            self._start(owner, begun.conversation, begun.run_id, message_id, asked)

    async def _begin(
        self,
        owner: str,
        conversation: Conversation,
        question: Message | None,
        question_id: str,
        *,
        request_key: str | None = None,
        waited: bool = False,
        before: Sequence[Message] | None = None,
    ) -> tuple[Begun, tuple[Message, ...]]:
        self._runs.check_open()
        asked = self._asked(conversation)
        run_id = new_id()
        answer = _message(conversation.id, question_id, "assistant", None, run_id=run_id, options=asked)
        try:
            begun = await self._store.begin_run(
                owner,
                conversation=conversation,
                question=question,
                answer=answer,
                run_id=run_id,
                request_key=request_key,
                waited=waited,
            )
        except StorageError:
            self._find_out(owner, conversation, run_id, asked)
            raise
        new = (answer,) if question is None else (question, answer)
        if begun.fresh:
            known = None if before is None else (*before, *new)
            self._start(owner, begun.conversation, run_id, answer.id, asked, known)
        elif begun.run_id is not None:  # its commit may have seemed to fail the first time
            await self._start_stored(owner, begun.conversation, begun.run_id, asked)
        if not begun.fresh:
            return begun, ()  # what is new was never stored
        return begun, new

    def _find_out(self, owner: str, conversation: Conversation, run_id: str, asked: Options) -> None:
        """See to a run whose beginning could not be stored: the commit may have been done, and only its word lost."""

        async def look() -> None:
            while True:
                try:
                    await self._start_stored(owner, conversation, run_id, asked)
                except NotFoundError:
                    return
                except StorageError:
                    await asyncio.sleep(_LOOK_AGAIN_S)
                else:
                    return

        self._runs.background(look(), name=f"find out about {run_id}")

    async def _start_stored(self, owner: str, conversation: Conversation, run_id: str, asked: Options) -> None:
        """Start a run that storage holds and nobody works on."""
        stored = await self._store.run(owner, run_id)
        if stored.status == "streaming" and self._runs.log_of(run_id) is None:
            self._start(owner, conversation, run_id, stored.message_id, asked)

    def _asked(self, conversation: Conversation) -> Options:
        options = conversation.options
        return replace(options, endpoint=options.endpoint or self._connections.default.name)

    def _start(
        self,
        owner: str,
        conversation: Conversation,
        run_id: str,
        answer_id: str,
        asked: Options,
        known: Sequence[Message] | None = None,
    ) -> None:
        """Start a run that storage holds, and that writes the answer or goes on with what is there of it.

        `known` is the path to the answer, where that need not be read.
        """
        conversation_id = conversation.id
        if (
            conversation_id in self._titling
        ):  # a local server may take one request at a time, and this one is waited for
            self._titling[conversation_id].cancel()
            self._untitled.add(conversation_id)

        sent_to: tuple[str, str] | None = None

        async def prepare() -> ModelRequest:
            nonlocal sent_to
            endpoint = self._connections.get(asked.endpoint)
            model = asked.model or await self._connections.default_model(endpoint)
            sent_to = (endpoint.name, model)
            path = within_limit(known or await self._store.path(owner, conversation_id, answer_id))
            files = await self._files_of(owner, path)
            blind = sent_to in self._blind
            build = partial(
                build_request, path, endpoint=endpoint, model=model, options=asked, files=files, blind=blind
            )
            prompt = await self._prompt(owner, conversation.folder_id)
            return await asyncio.to_thread(build, system_prompt=prompt) if files else build(system_prompt=prompt)

        def on_end(run: RunLog) -> None:
            if sent_to and run.reply.failure and run.reply.failure.parameter == NO_IMAGES:
                self._blind.add(sent_to)
            self._name(run, asked)
            self.on_end(run)
            self._changes.ring(owner, conversation_id)

        spec = RunSpec(id=run_id, owner=owner, conversation_id=conversation_id, message_id=answer_id, prepare=prepare)
        self._runs.start(spec, on_end)
        self._changes.ring(owner, conversation_id)

    async def _prompt(self, owner: str, folder_id: str | None) -> str | None:
        """Return the system prompt of a folder, or else the one that holds everywhere."""
        of_folder = None if folder_id is None else (await self._store.defaults(owner, folder_id)).system_prompt
        return of_folder or self._settings.system_prompt

    async def _files_of(self, owner: str, path: Sequence[Message]) -> dict[str, bytes]:
        """Return what the attachments of a path hold, by hash, as far as it can be read."""
        files: dict[str, bytes] = {}
        for sha256 in {part.sha256 for message in path for part in message.attachments}:
            try:
                files[sha256] = await self._store.attachment_bytes(owner, sha256)
            except (NotFoundError, StorageError) as error:
                log.error("an attached file cannot be read: %s", error)
        return files

    def _name(self, run: RunLog, asked: Options) -> None:
        if self._settings.titles and run.reply.status in {"complete", "truncated"}:
            here = run.spec.conversation_id
            task = self._runs.background(self._title(run.spec, asked), name=f"title {here}")
            if task is not None:
                self._titling[here] = task
                task.add_done_callback(lambda _: self._titling.pop(here, None))

    async def _title(self, spec: RunSpec, asked: Options) -> None:
        """Ask the model for a title after the first answer; whatever goes wrong leaves the title as it is."""
        try:
            conversation = await self._store.conversation(spec.owner, spec.conversation_id)
            path = await self._store.path(spec.owner, spec.conversation_id, spec.message_id)
            first = len(path) == 2 or conversation.id in self._untitled
            self._untitled.discard(conversation.id)
            if conversation.title_source != "question" or not first:
                return
            endpoint = self._connections.get(asked.endpoint)
            model = asked.model or await self._connections.default_model(endpoint)
            title = await ask_for_title(self._provider, endpoint, model, _subject(path[0]))
            if title is not None:
                await self._store.rename(spec.owner, spec.conversation_id, title, "model")
                self._changes.ring(spec.owner, spec.conversation_id)
        except PanelistError as error:
            log.info("no title for conversation %s: %s", spec.conversation_id, error)


def _subject(question: Message) -> str:
    return Draft(question.text, question.attachments).subject


def new_conversation(
    question: Draft, options: Options, folder_id: str | None = None, *, prefix: str = ""
) -> Conversation:
    """Return an empty conversation with a title made from its first question; its id begins with `prefix`."""
    now = datetime.now(UTC)
    return Conversation(
        id=f"{prefix}{new_id()}",
        title=title_from(question.subject),
        title_source="question",
        head_id=None,
        options=options,
        created_at=now,
        updated_at=now,
        folder_id=folder_id,
    )


def _message(
    conversation_id: str,
    parent_id: str | None,
    role: Literal["user", "assistant"],
    draft: Draft | None,
    *,
    id: str | None = None,
    run_id: str | None = None,
    options: Options | None = None,
) -> Message:
    return Message(
        id=id or new_id(),
        conversation_id=conversation_id,
        parent_id=parent_id,
        role=role,
        parts=() if draft is None else (*draft.attachments, *([TextPart(draft.text)] if draft.text else [])),
        status="streaming" if role == "assistant" else "complete",
        created_at=datetime.now(UTC),
        run_id=run_id,
        endpoint=options.endpoint if options else None,
        model=options.model if options else None,
        options=options,
    )
