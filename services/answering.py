"""Stores questions with their empty answers, and starts the runs that write them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Literal

from services.asides import Asides
from services.asking import recipe_of, request_of
from services.attached import AttachedFiles
from services.budgets import Budgets
from services.changes import Changes
from services.connect import Connections
from services.context import told
from services.conversation import Conversation, Draft, Queued, is_temporary, title_from
from services.endpoints import Endpoint
from services.errors import NO_IMAGES, Failure, ModelError, NotFoundError, PanelistError, StorageError
from services.events import Reply
from services.messages import Message, TextPart, new_id
from services.metering import about_input
from services.options import Options
from services.processing import Processing
from services.providers.base import ModelRequest
from services.recipes import Recipe
from services.runner import RunLog, RunManager, RunSpec
from services.settings import Settings
from services.spending import Hold, Refused
from services.storage.store import Begun, Store
from services.system_prompts import SystemPrompts
from services.titles import TITLE_DEADLINES, TITLE_TOKENS, title_in, title_request
from services.windows import Windows

log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 1.0


class Answering:
    """Begins runs. Whoever calls it sees to it that a conversation has those of one question at a time."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        runs: RunManager,
        connections: Connections,
        asides: Asides,
        changes: Changes,
        budgets: Budgets,
        windows: Windows,
        prompts: SystemPrompts,
        processing: Processing,
        files: AttachedFiles,
    ) -> None:
        self._files = files
        self._prompts = prompts
        self._processing = processing
        self._windows = windows
        self._settings = settings
        self._budgets = budgets
        self._store = store
        self._runs = runs
        self._connections = connections
        self._asides = asides
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
        self,
        owner: str,
        conversation: Conversation,
        question_id: str,
        *,
        instead_of: Message | None = None,
        beyond: bool = False,
    ) -> tuple[Begun, tuple[Message, ...]]:
        """Begin another answer to a question, or as many as the options say.

        With `instead_of` it is one, in the place of an answer that stands beside others; with `beyond` also where a
        budget has no room for it.
        """
        return await self._begin(owner, conversation, None, question_id, instead_of=instead_of, beyond=beyond)

    async def go_on(self, owner: str, conversation: Conversation, message_id: str, *, beyond: bool = False) -> None:
        """Begin to write on in an answer that was cut off, as it was asked for where that endpoint is still set up.

        With `beyond` also where a budget has no room for it.
        """
        self._runs.check_open()
        asked = await self.asked_with(owner, conversation, message_id)
        run_id = new_id()

        async def path() -> Sequence[Message]:
            return await self._store.path(owner, conversation.id, message_id)

        held = await self._hold(owner, conversation, asked, path, beyond=beyond)
        try:
            async with self._reserved(owner, [run_id], held.hold) as reserved:
                begun = await self._store.resume_run(
                    owner, conversation.id, message_id, run_id, options=held.asked, hold=reserved.hold
                )
        except StorageError:
            self._find_out(owner, conversation, [run_id], held)
            raise
        for id in begun.runs:
            refused = (reserved.refused | begun.refused).get(id)
            self._start(owner, begun.conversation, id, message_id, held, refused=refused)

    async def asked_with(self, owner: str, conversation: Conversation, message_id: str) -> Options:
        """Return the options that an answer is gone on with."""
        answer = await self._store.message(owner, conversation.id, message_id)
        if answer.options is not None and self._connections.knows(answer.endpoint):
            return replace(answer.options, endpoint=answer.endpoint)
        return self._asked(conversation)

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
        instead_of: Message | None = None,
        beyond: bool = False,
    ) -> tuple[Begun, tuple[Message, ...]]:
        self._runs.check_open()

        async def path() -> Sequence[Message]:
            if question is None:
                return await self._store.path(owner, conversation.id, question_id)
            return [*(before if before is not None else await self._store.path(owner, conversation.id)), question]

        held = await self._hold(owner, conversation, self._asked(conversation), path, beyond=beyond)
        count = (held.asked.answers or 1) if instead_of is None else 1
        answers = [
            _message(conversation.id, question_id, "assistant", None, run_id=new_id(), options=held.asked)
            for _ in range(count)
        ]
        word = instead_of.together if instead_of is not None else answers[0].id if count > 1 else None
        run_of = {answer.run_id: replace(answer, together=word) for answer in answers if answer.run_id is not None}
        try:
            async with self._reserved(owner, [*run_of], held.hold) as reserved:
                begun = await self._store.begin_run(
                    owner,
                    conversation=conversation,
                    question=question,
                    answers=[*run_of.values()],
                    instead_of=instead_of.id if instead_of is not None else None,
                    request_key=request_key,
                    waited=waited,
                    hold=reserved.hold,
                )
        except StorageError:
            self._find_out(owner, conversation, [*run_of], held)
            raise
        if not begun.fresh:
            await self._release(owner, [id for id in run_of if id not in begun.runs], held.hold)
            for run_id in begun.runs:  # its commit may have seemed to fail the first time
                await self._start_stored(owner, begun.conversation, run_id, held)
            return begun, ()  # what is new was never stored
        asking = () if question is None else (question,)
        refused = reserved.refused | begun.refused
        for run_id, answer in run_of.items():
            known = None if before is None else (*before, *asking, answer)
            self._start(owner, begun.conversation, run_id, answer.id, held, known, refused=refused.get(run_id))
        return begun, (*asking, *run_of.values())

    async def _hold(
        self,
        owner: str,
        conversation: Conversation,
        asked: Options,
        path: Callable[[], Awaitable[Sequence[Message]]],
        *,
        beyond: bool = False,
    ) -> _Held:
        """Return what is to be reserved for an answer to a path, and what it is asked with then."""
        if not await self._budgets.of(owner):
            return _Held(asked)
        try:
            endpoint = self._connections.get(asked.endpoint)
            model = asked.model or await self._connections.default_model(endpoint)
        except ModelError as error:
            return _Held(asked, failure=error.failure)
        prompt = await self._prompts.of(owner, asked, conversation.folder_id)
        sent = told(await path())
        await self._files.measure_pictures(owner, sent)
        given = about_input(sent, prompt, lambda part: self._files.picture_tokens(part, model))
        hold, asked = await self._budgets.hold(owner, endpoint, model, asked, given, beyond=beyond)
        return _Held(asked, hold, model)

    @asynccontextmanager
    async def _reserved(self, owner: str, run_ids: Sequence[str], hold: Hold | None) -> AsyncIterator[_Reserved]:
        """Reserve what runs could cost each, where the transaction that begins them cannot: in another database."""
        ledger = self._budgets.ledger
        if hold is None or ledger is self._store.ledger:
            yield _Reserved(hold=hold)
            return
        try:
            refused = {id: why for id in run_ids if (why := await ledger.reserve(owner, id, None, hold)) is not None}
            yield _Reserved(refused=refused)
        except BaseException:
            await self._release(owner, run_ids, hold)
            raise

    async def _release(self, owner: str, run_ids: Sequence[str], hold: Hold | None) -> None:
        """Reserve nothing any more for runs that were not begun, where that was done in another database."""
        if hold is None or self._budgets.ledger is self._store.ledger:
            return
        for id in run_ids:
            await asyncio.shield(self._budgets.ledger.settle(owner, id, None))

    def _find_out(self, owner: str, conversation: Conversation, run_ids: Sequence[str], held: _Held) -> None:
        """See to runs whose beginning could not be stored: the commit may have been done, and only its word lost."""

        async def look() -> None:
            while True:
                try:
                    for run_id in run_ids:
                        await self._start_stored(owner, conversation, run_id, held)
                except NotFoundError:
                    return
                except StorageError:
                    await asyncio.sleep(_LOOK_AGAIN_S)
                else:
                    return

        self._runs.background(look(), name=f"find out about {run_ids[0]}")

    async def _start_stored(self, owner: str, conversation: Conversation, run_id: str, held: _Held) -> None:
        """Start a run that storage holds and nobody works on."""
        stored = await self._store.run(owner, run_id)
        if stored.status != "streaming" or self._runs.log_of(run_id) is not None:
            return
        here = None if is_temporary(conversation.id) else conversation.id
        refused = None if held.hold is None else await self._budgets.ledger.reserve(owner, run_id, here, held.hold)
        if self._runs.log_of(run_id) is None:
            self._start(owner, conversation, run_id, stored.message_id, held, refused=refused)

    def _asked(self, conversation: Conversation) -> Options:
        options = conversation.options
        return replace(options, endpoint=options.endpoint or self._connections.default.name)

    def _start(
        self,
        owner: str,
        conversation: Conversation,
        run_id: str,
        answer_id: str,
        held: _Held,
        known: Sequence[Message] | None = None,
        *,
        refused: Refused | None = None,
    ) -> None:
        """Start a run that storage holds, and that writes the answer or goes on with what is there of it.

        `known` is the path to the answer, where that need not be read. One that was `refused` only says so.
        """
        conversation_id, asked = conversation.id, held.asked
        if titling := self._titling.pop(conversation_id, None):
            titling.cancel()  # a local server may take one request at a time, and this one is waited for
            self._untitled.add(conversation_id)

        sent_to: tuple[Endpoint, str] | None = None

        async def prepare() -> tuple[ModelRequest, Recipe]:
            nonlocal sent_to
            if refused is not None:
                raise ModelError(refused.failure)
            if held.failure is not None:
                raise ModelError(held.failure)
            endpoint = self._connections.get(asked.endpoint)
            model = asked.model or held.model or await self._connections.default_model(endpoint)
            sent_to = (endpoint, model)
            path = known or await self._store.path(owner, conversation_id, answer_id)
            prompt = await self._prompts.of(owner, asked, conversation.folder_id)
            blind = (endpoint.name, model) in self._blind
            recipe = recipe_of(path, endpoint, model, asked, prompt, blind=blind)
            return await request_of(self._store, owner, path, recipe), recipe

        def on_end(run: RunLog) -> None:
            if sent_to is not None:
                self._note(*sent_to, run.reply)
            self._runs.background(self._budgets.look(owner, run.measured, conversation_id), name="look at budgets")
            self._name(run, asked)
            self.on_end(run)
            self._changes.ring(owner, conversation_id)

        spec = RunSpec(
            id=run_id,
            owner=owner,
            conversation_id=conversation_id,
            message_id=answer_id,
            prepare=prepare,
            measured_as=None if is_temporary(conversation_id) else conversation_id,
            complete=partial(self._processing.run, owner, conversation_id, answer_id)
            if self._processing.names_of(asked)
            else None,
        )
        self._processing.prepare(asked)
        self._runs.start(spec, on_end)
        self._changes.ring(owner, conversation_id)

    def _note(self, endpoint: Endpoint, model: str, reply: Reply) -> None:
        """Remember what an answer says of the model that was asked."""
        self._windows.answered(endpoint, model, reply.failure, reply.usage)
        if reply.failure is not None and reply.failure.parameter == NO_IMAGES:
            self._blind.add((endpoint.name, model))

    def _name(self, run: RunLog, asked: Options) -> None:
        here = run.spec.conversation_id
        if self._settings.titles and here not in self._titling and run.reply.status in {"complete", "truncated"}:
            task = self._runs.background(self._title(run.spec, asked), name=f"title {here}")
            if task is not None:
                self._titling[here] = task
                task.add_done_callback(partial(self._titled, here))

    def _titled(self, conversation_id: str, task: asyncio.Task[None]) -> None:
        if self._titling.get(conversation_id) is task:  # and not that of a later answer
            del self._titling[conversation_id]

    async def _title(self, spec: RunSpec, asked: Options) -> None:
        """Ask the model for a title after the first answer; whatever goes wrong leaves the title as it is."""
        owner = spec.owner
        try:
            conversation = await self._store.conversation(spec.owner, spec.conversation_id)
            path = await self._store.path(spec.owner, spec.conversation_id, spec.message_id)
            first = len(path) == 2 or conversation.id in self._untitled
            self._untitled.discard(conversation.id)
            if conversation.title_source != "question" or not first:
                return
            endpoint = self._connections.get(asked.endpoint)
            model = asked.model or await self._connections.default_model(endpoint)
            request = title_request(endpoint, model, _subject(path[0]))
            asked_for = self._asides.ask(owner, "title", conversation.id, request, TITLE_DEADLINES, most=TITLE_TOKENS)
            title = await title_in(asked_for)
            if title is not None:
                await self._store.rename(spec.owner, spec.conversation_id, title, "model")
                self._changes.ring(spec.owner, spec.conversation_id)
        except PanelistError as error:
            log.info("no title for conversation %s: %s", spec.conversation_id, error)


@dataclass(frozen=True, slots=True)
class _Held:
    """What runs are asked with, and what each could cost at most."""

    asked: Options
    hold: Hold | None = None
    model: str | None = None
    """Which one that is for, where a budget is set: another one might cost more."""
    failure: Failure | None = None
    """Why no model could be found out where a budget is set: what it costs cannot be reserved, so none is asked."""


@dataclass(frozen=True, slots=True)
class _Reserved:
    """What is left to do of a reservation, and what came of it."""

    hold: Hold | None = None
    """To be reserved by the transaction that begins the runs."""
    refused: dict[str, Refused] = field(default_factory=dict)
    """By run."""


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
