"""The door to conversations: everything a page or the terminal does with them goes through `ChatService`."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

from services.connect import Connections
from services.context import build_request
from services.conversation import Conversation, Options, Versions, title_from
from services.errors import InputError, PanelistError, StorageError
from services.events import Numbered
from services.messages import Message, TextPart, clean_text, new_id
from services.providers.base import ModelRequest, Provider
from services.runner import RunLog, RunManager, RunSpec
from services.settings import Settings
from services.storage.store import Begun, Store
from services.titles import ask_for_title

log = logging.getLogger(__name__)

MAX_TEXT = 2_000_000
"""Characters of one question."""


_UNSEEN = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff]")
"""Characters without a width: a message of these alone is empty to whoever reads it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A conversation as a tab shows it."""

    conversation: Conversation
    path: tuple[Message, ...]
    versions: dict[str, Versions]
    """For the messages of the path that have siblings."""
    run_id: str | None
    """The run that is writing the last answer, to be followed from its beginning."""


class Changes:
    """Tells whoever listens that an owner's conversations changed; what changed, they look up themselves."""

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}
        self._all = 0
        self._bell = asyncio.Event()

    def ring(self, owner: str) -> None:
        """Tell the owner's listeners."""
        self._versions[owner] = self._versions.get(owner, 0) + 1
        self._wake()

    def ring_all(self) -> None:
        """Tell every listener, of whatever owner."""
        self._all += 1
        self._wake()

    def _wake(self) -> None:
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    def _version(self, owner: str) -> tuple[int, int]:
        return self._versions.get(owner, 0), self._all

    async def listen(self, owner: str) -> AsyncGenerator[None, None]:
        """Yield once per change; several while the listener was busy are one."""
        seen = self._version(owner)
        while True:
            bell = self._bell
            if (now := self._version(owner)) != seen:
                seen = now
                yield
            else:
                await bell.wait()


class ChatService:
    """Conversations, questions and answers. Every method takes the owner first and sees nothing of anybody else."""

    def __init__(
        self, settings: Settings, store: Store, runs: RunManager, connections: Connections, provider: Provider
    ) -> None:
        self._settings = settings
        self._store = store
        self._runs = runs
        self._connections = connections
        self._provider = provider
        self._beginning: set[str] = set()
        self._intents: set[asyncio.Task[Opened]] = set()
        self._titling: dict[str, asyncio.Task[None]] = {}
        self.changes = Changes()
        runs.on_trouble = self.changes.ring_all

    async def conversations(self, owner: str, limit: int = 200) -> list[Conversation]:
        """Return the owner's conversations, last used first, at most `limit` of them."""
        return await self._store.conversations(owner, limit=limit)

    @property
    def trouble(self) -> str | None:
        """What is wrong with storage at the moment, in a sentence; `changes` rings when it begins and ends."""
        return self._runs.trouble

    async def open(self, owner: str, conversation_id: str) -> Opened:
        """Return a conversation with the messages on show.

        Raises:
            NotFoundError: there is none of that id for this owner.
        """
        live = self._runs.live_in(conversation_id)  # asked first: a run that ends meanwhile is then in the path
        conversation = await self._store.conversation(owner, conversation_id)
        path = tuple(await self._store.path(owner, conversation_id))
        versions = await self._store.versions(owner, conversation_id, [message.id for message in path])
        writing = live is not None and any(m.id == live.spec.message_id and m.status == "streaming" for m in path)
        return Opened(
            conversation,
            path,
            {id: v for id, v in versions.items() if len(v.ids) > 1},
            live.spec.id if live is not None and writing else None,
        )

    async def send(
        self,
        owner: str,
        text: str,
        *,
        conversation_id: str | None = None,
        options: Options | None = None,
        request_key: str | None = None,
    ) -> Opened:
        """Store a question and start the run that answers it; without a conversation id a new one begins.

        Nothing leaves the machine before the question is stored. A request that comes again with the same key (a
        double click, a retry after a lost word) stores nothing and returns the conversation of its first time.

        Raises:
            InputError: the text is blank or too long, or an answer is still being written.
            NotFoundError: there is no such conversation for this owner.
            StorageError: it could not be stored; nothing was sent.
        """
        return await self._through(self._send(owner, self._checked(text), conversation_id, options, request_key))

    async def retry(self, owner: str, conversation_id: str, message_id: str) -> Opened:
        """Answer the question of `message_id`, an answer, once more; the new answer is its sibling.

        Raises:
            InputError: an answer is still being written, or the message is no answer.
            NotFoundError: there is no such message for this owner.
        """
        return await self._through(self._retry(owner, conversation_id, message_id))

    async def go_on(self, owner: str, conversation_id: str, message_id: str) -> Opened:
        """Let the model go on with an answer that was cut off or stopped, in the same message.

        Raises:
            InputError: an answer is still being written, or this one was not cut off or is not the last.
            NotFoundError: there is no such message for this owner.
        """
        return await self._through(self._go_on(owner, conversation_id, message_id))

    def stop(self, owner: str, run_id: str) -> None:
        """End a run and close its stream; what came is kept. A run that has ended already stays as it is."""
        if self._live(owner, run_id) is not None:
            self._runs.stop(run_id)

    async def follow(self, owner: str, run_id: str, after: int = 0) -> AsyncGenerator[list[Numbered], None]:
        """Yield the events of a live run after a number: first those that were missed, then each as it comes.

        Yields nothing when the run has ended and left the memory: its message in storage says everything.
        """
        run = self._live(owner, run_id)
        if run is not None:
            async for batch in run.follow(after):
                yield batch

    async def show_version(self, owner: str, conversation_id: str, message_id: str) -> Opened:
        """Make the branch of `message_id` the one on show, down to its newest leaf."""
        with self._alone_in(conversation_id):
            leaf = await self._store.newest_leaf(owner, conversation_id, message_id)
            await self._store.set_head(owner, conversation_id, leaf)
        self.changes.ring(owner)
        return await self.open(owner, conversation_id)

    async def rename(self, owner: str, conversation_id: str, title: str) -> None:
        """Give a conversation a title of a person's own.

        Raises:
            InputError: the title is blank.
        """
        title = " ".join(clean_text(title).split())
        if not title:
            raise InputError("A title needs at least one character.")
        await self._store.rename(owner, conversation_id, title, "user")
        self.changes.ring(owner)

    async def delete(self, owner: str, conversation_id: str) -> None:
        """Take a conversation out of the list; `restore` brings it back. A run in it is stopped."""
        await self._store.delete(owner, conversation_id)
        live = self._runs.live_in(conversation_id)
        if live is not None:
            self._runs.stop(live.spec.id)
        self.changes.ring(owner)

    async def restore(self, owner: str, conversation_id: str) -> None:
        """Undo `delete`."""
        await self._store.restore(owner, conversation_id)
        self.changes.ring(owner)

    async def set_options(self, owner: str, conversation_id: str, options: Options) -> None:
        """Change the parameters that the conversation's next answers are asked with."""
        await self._store.set_options(owner, conversation_id, options)

    def _checked(self, text: str) -> str:
        text = clean_text(text).replace("\r\n", "\n").replace("\r", "\n").strip("\n")
        if not _UNSEEN.sub("", text).strip():
            raise InputError("There is nothing to send yet: the message is empty.")
        if len(text) > MAX_TEXT:
            raise InputError(
                f"The message has {len(text):,} characters, and {MAX_TEXT:,} is the most. Send it in parts."
            )
        return text

    @contextmanager
    def _alone_in(self, conversation_id: str) -> Iterator[None]:
        """Let one thing at a time begin in a conversation, and nothing while an answer is being written."""
        if conversation_id in self._beginning:
            raise InputError("Something else is being done in this conversation just now. Try again in a moment.")
        if self._runs.live_in(conversation_id) is not None:
            raise InputError("An answer is still being written. Wait for its end, or stop it first.")
        self._beginning.add(conversation_id)
        try:
            yield
        finally:
            self._beginning.discard(conversation_id)

    def _live(self, owner: str, run_id: str) -> RunLog | None:
        run = self._runs.log_of(run_id)
        return run if run is not None and run.spec.owner == owner else None

    async def _through(self, work: Coroutine[Any, Any, Opened]) -> Opened:
        """Carry an intent through although its sender may leave: what storage holds is then always worked on."""
        task = asyncio.create_task(work)
        self._intents.add(task)
        task.add_done_callback(self._intents.discard)
        return await asyncio.shield(task)

    async def _send(
        self, owner: str, text: str, conversation_id: str | None, options: Options | None, request_key: str | None
    ) -> Opened:
        if request_key and (again := self._runs.live_of(owner, request_key)):
            return await self.open(owner, again.spec.conversation_id)
        if conversation_id is None:
            conversation = _new_conversation(text, options or Options())
            question = _message(conversation.id, None, "user", text)
            return await self._begin(owner, conversation, question, question.id, request_key)
        with self._alone_in(conversation_id):
            conversation = await self._store.conversation(owner, conversation_id)
            question = _message(conversation.id, conversation.head_id, "user", text)
            return await self._begin(owner, conversation, question, question.id, request_key)

    async def _retry(self, owner: str, conversation_id: str, message_id: str) -> Opened:
        with self._alone_in(conversation_id):
            conversation = await self._store.conversation(owner, conversation_id)
            answer = (await self._store.path(owner, conversation_id, message_id))[-1]
            if answer.role != "assistant" or answer.parent_id is None:
                raise InputError("Only an answer can be written again.")
            return await self._begin(owner, conversation, None, answer.parent_id)

    async def _go_on(self, owner: str, conversation_id: str, message_id: str) -> Opened:
        with self._alone_in(conversation_id):
            conversation = await self._store.conversation(owner, conversation_id)
            asked = self._asked(conversation)
            begun = await self._store.resume_run(owner, conversation_id, message_id, new_id(), options=asked)
            self._start(owner, begun, message_id, asked, None)
        return await self.open(owner, conversation_id)

    async def _begin(
        self,
        owner: str,
        conversation: Conversation,
        question: Message | None,
        question_id: str,
        request_key: str | None = None,
    ) -> Opened:
        """Store the question (if new) with an empty answer, start the run and return the conversation."""
        asked = self._asked(conversation)
        answer = _message(conversation.id, question_id, "assistant", None, run_id=new_id(), options=asked)
        begun = await self._store.begin_run(
            owner,
            conversation=conversation,
            question=question,
            answer=answer,
            run_id=answer.run_id or "",
            request_key=request_key,
        )
        if begun.fresh:
            self._start(owner, begun, answer.id, asked, request_key)
        elif self._runs.log_of(begun.run_id) is None:
            # Stored the first time though its commit seemed to fail: nobody has begun to write that answer.
            stored = await self._store.run(owner, begun.run_id)
            if stored.status == "streaming":
                self._start(owner, begun, stored.message_id, asked, request_key)
        try:
            return await self.open(owner, begun.conversation.id)
        except StorageError as error:
            # It is stored and on its way: to refuse it now would make the sender send it twice.
            log.error("conversation %s cannot be read back: %s", begun.conversation.id, error)
            new = (answer,) if question is None else (question, answer)
            return Opened(begun.conversation, new, {}, begun.run_id)

    def _asked(self, conversation: Conversation) -> Options:
        options = conversation.options
        return Options(endpoint=options.endpoint or self._connections.default.name, model=options.model)

    def _start(self, owner: str, begun: Begun, answer_id: str, asked: Options, request_key: str | None) -> None:
        """Start a run that storage holds, and that writes the answer or goes on with what is there of it."""
        here = begun.conversation.id
        if here in self._titling:  # a local server may take one request at a time, and this one is waited for
            self._titling[here].cancel()

        async def prepare() -> ModelRequest:
            endpoint = self._connections.get(asked.endpoint)
            model = asked.model or await self._connections.default_model(endpoint)
            path = await self._store.path(owner, here, answer_id)
            return build_request(path, endpoint=endpoint, model=model, system_prompt=self._settings.system_prompt)

        spec = RunSpec(
            id=begun.run_id,
            owner=owner,
            conversation_id=here,
            message_id=answer_id,
            prepare=prepare,
            request_key=request_key,
        )
        self._runs.start(spec, partial(self._on_end, asked))
        self.changes.ring(owner)

    def _on_end(self, asked: Options, run: RunLog) -> None:
        self.changes.ring(run.spec.owner)
        if self._settings.titles and run.reply.status in {"complete", "truncated"}:
            here = run.spec.conversation_id
            task = self._titling[here] = self._runs.background(self._title(run.spec, asked), name=f"title {here}")
            task.add_done_callback(lambda _: self._titling.pop(here, None))

    async def _title(self, spec: RunSpec, asked: Options) -> None:
        """Ask the model for a title after the first answer; whatever goes wrong leaves the title as it is."""
        try:
            conversation = await self._store.conversation(spec.owner, spec.conversation_id)
            path = await self._store.path(spec.owner, spec.conversation_id, spec.message_id)
            if conversation.title_source != "question" or len(path) != 2:
                return
            endpoint = self._connections.get(asked.endpoint)
            model = asked.model or await self._connections.default_model(endpoint)
            title = await ask_for_title(self._provider, endpoint, model, path[0].text)
            if title is not None:
                await self._store.rename(spec.owner, spec.conversation_id, title, "model")
                self.changes.ring(spec.owner)
        except PanelistError as error:
            log.info("no title for conversation %s: %s", spec.conversation_id, error)


def _new_conversation(question: str, options: Options) -> Conversation:
    now = datetime.now(UTC)
    return Conversation(
        id=new_id(),
        title=title_from(question),
        title_source="question",
        head_id=None,
        options=options,
        created_at=now,
        updated_at=now,
    )


def _message(
    conversation_id: str,
    parent_id: str | None,
    role: Literal["user", "assistant"],
    text: str | None,
    *,
    run_id: str | None = None,
    options: Options | None = None,
) -> Message:
    return Message(
        id=new_id(),
        conversation_id=conversation_id,
        parent_id=parent_id,
        role=role,
        parts=() if text is None else (TextPart(text),),
        status="streaming" if role == "assistant" else "complete",
        created_at=datetime.now(UTC),
        run_id=run_id,
        endpoint=options.endpoint if options else None,
        model=options.model if options else None,
    )
