"""The door to conversations: everything a page or the terminal does with them goes through `ChatService`."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from services.answering import Answering, new_conversation
from services.attachments import MAX_ATTACHMENTS, check_together, clean_name
from services.changes import Changes
from services.connect import Connections
from services.conversation import MAX_TITLE, Conversation, Deleted, Draft, Options, Queued, Versions
from services.errors import InputError, NotFoundError, PanelistError, StorageError
from services.events import Numbered
from services.exchange import Exchange, Export, Preview
from services.exporting import Kind
from services.messages import ENDED_BY_MODEL, AttachmentPart, Message, TextPart, clean_text, new_id
from services.pacing import Pace
from services.providers.base import Provider
from services.runner import RunLog, RunManager
from services.search import Hit, parse
from services.settings import Settings
from services.storage.store import Begun, Imported, Named, Snapshot, Store
from services.trouble import StorageTrouble
from services.uploads import Piece, Progress, Uploads

__all__ = ["ChatService", "Imported", "Opened", "Waiting"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_AGAIN_S = 1.0
"""After which a waiting message is tried again that storage was in no state for."""

MAX_TEXT = 2_000_000
"""Characters of one question."""


_FORK = " (fork)"
"""Behind the title of a fork."""

_UNSEEN = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff]")
"""Characters without a width: a message of these alone is empty to whoever reads it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The messages of a conversation that wait for the answer before them."""

    messages: tuple[Queued, ...] = ()
    held: bool = False
    """Whether they wait for a person: the last answer was stopped, cut off or failed, so none is sent by itself."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A conversation as a tab shows it."""

    conversation: Conversation
    path: tuple[Message, ...]
    versions: dict[str, Versions]
    """For the messages of the path that have siblings."""
    run_id: str | None
    """The run that is writing the last answer, to be followed from its beginning."""
    waiting: Waiting = Waiting()
    whole: bool = True
    """False when `path` holds no more than the new messages, because the others could not be read just now.

    None are new when the message that was sent waits.
    """


class ChatService:
    """Conversations, questions and answers. Every method takes the owner first and sees nothing of anybody else."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        runs: RunManager,
        connections: Connections,
        provider: Provider,
        trouble: StorageTrouble,
        pace: Pace | None = None,
    ) -> None:
        self.pace = pace or Pace()
        """Of whoever follows runs."""
        self._store = store
        self._trouble = trouble
        self._runs = runs
        self._intents: set[asyncio.Task[Any]] = set()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._advancing: dict[str, asyncio.Task[None]] = {}
        """By conversation: sees after the end of an answer whether a message waits."""
        self._hurried: dict[str, str] = {}
        """By conversation: the waiting message that a person wants sent, once the answer has been stopped."""
        self._listing: dict[tuple[str, int, int], asyncio.Task[tuple[Conversation, ...]]] = {}
        """Reads of the list that are under way, by owner, limit and the version of what the owner was told."""
        self._uploads = Uploads(store)
        self._exchange = Exchange(store, settings.system_prompt)
        self.changes = Changes()
        self._answering = Answering(settings, store, runs, connections, provider, self.changes)
        self._answering.on_end = self._on_end
        trouble.on_change = self.changes.ring_all

    async def conversations(self, owner: str, limit: int = 200) -> tuple[Conversation, ...]:
        """Return the owner's conversations, last used first, at most `limit` of them.

        Tabs that hear of the same change ask at the same moment, and get what one read found.
        """
        asked = (owner, limit, self.changes.version(owner))
        if asked not in self._listing:

            async def listed() -> tuple[Conversation, ...]:
                try:
                    return tuple(await self._store.conversations(owner, limit=limit))
                finally:
                    del self._listing[asked]

            self._listing[asked] = self._begin(listed())
        return await asyncio.shield(self._listing[asked])

    async def search(
        self, owner: str, typed: str, *, zone: tzinfo = UTC, limit: int = 20, before: int | None = None
    ) -> tuple[Hit, ...]:
        """Return the messages and titles in which everything was found that a person typed; see `services.search`.

        Args:
            owner: Whose conversations are searched.
            typed: Anything at all.
            zone: Where days begin.
            limit: How many.
            before: The `place` of the last hit that is known already.
        """
        return tuple(await self._store.search(owner, parse(typed, zone), limit=limit, before=before))

    @property
    def trouble(self) -> str | None:
        """What is wrong with storage at the moment, in a sentence; `changes` rings when it begins and ends."""
        return self._trouble.sentence

    @property
    def ending(self) -> bool:
        """Whether the process is about to end; `changes` rings when it is."""
        return self._runs.closing

    @property
    def busy(self) -> bool:
        """Whether any answer is being written at the moment, whoever's."""
        return self._runs.busy

    def end(self) -> None:
        """Take no more questions, and tell every page: the process is about to end."""
        self._runs.refuse()
        self.changes.ring_all()

    async def open(self, owner: str, conversation_id: str) -> Opened:
        """Return a conversation with the messages on show.

        Raises:
            NotFoundError: there is none of that id for this owner.
        """
        # Asked before, so that a run which ends meanwhile is in the path, and after, for one that begins meanwhile.
        before = self._runs.live_in(conversation_id)
        shown = await self._store.snapshot(owner, conversation_id)
        live = before or self._runs.live_in(conversation_id)
        last = shown.path[-1] if shown.path else None
        writing = (
            live is not None and last is not None and (live.spec.message_id, "streaming") == (last.id, last.status)
        )
        return self._opened(shown, live.spec.id if live is not None and writing else None)

    async def open_at(self, owner: str, conversation_id: str, message_id: str) -> Opened:
        """Return a conversation as `open` does, on a branch that holds a message; it is the one on show from then on.

        Raises:
            InputError: the message is on another branch, and an answer is being written on this one.
            NotFoundError: there is no such message for this owner.
        """
        opened = await self.open(owner, conversation_id)
        if any(message.id == message_id for message in opened.path):
            return opened
        return await self.show_version(owner, conversation_id, message_id)

    def _opened(self, shown: Snapshot, run_id: str | None) -> Opened:
        return Opened(
            shown.conversation,
            shown.path,
            {message.id: shown.versions[message.id] for message in shown.path if message.id in shown.versions},
            run_id,
            self._waiting(shown.conversation.id, shown.queue),
        )

    def writing(self, owner: str, conversation_id: str) -> str | None:
        """Return the run that is writing an answer in a conversation, if one is."""
        live = self._runs.live_in(conversation_id)
        return live.spec.id if live is not None and live.spec.owner == owner else None

    async def waiting(self, owner: str, conversation_id: str) -> Waiting:
        """Return what waits in a conversation, the next message first.

        Raises:
            NotFoundError: there is no such conversation for this owner.
        """
        return self._waiting(conversation_id, tuple(await self._store.queue(owner, conversation_id)))

    def _waiting(self, conversation_id: str, messages: tuple[Queued, ...]) -> Waiting:
        moving = self._runs.live_in(conversation_id) is not None or conversation_id in self._advancing
        return Waiting(messages, held=bool(messages) and not moving)

    async def send(
        self,
        owner: str,
        text: str,
        *,
        attachments: Sequence[Named] = (),
        conversation_id: str | None = None,
        options: Options | None = None,
        request_key: str | None = None,
        now: bool = False,
    ) -> Opened:
        """Store a question and start the run that answers it; without a conversation id a new one begins.

        Nothing leaves the machine before the question is stored. While an answer is being written the question waits
        for its end, or with `now` that answer is stopped. A request that comes again with the same key (a double
        click, a retry after a lost word) stores nothing and returns the conversation of its first time.

        Raises:
            InputError: there is nothing in it or too much, or too many messages wait already.
            NotFoundError: there is no such conversation for this owner.
            StorageError: it could not be stored; nothing was sent.
        """
        draft = Draft(_checked(text, empty=bool(attachments)), await self._attached(owner, attachments))
        if conversation_id is None:
            conversation = new_conversation(draft, options or Options())
            here = Snapshot(conversation, (), {}, ())
            return await self._through(self._ask(owner, here, draft, request_key))
        return await self._through(self._send(owner, draft, conversation_id, request_key, now))

    async def attach(self, owner: str, piece: Piece) -> Progress:
        """Take the next piece of a file that goes with a message to come; see `Uploads.take`."""
        return await self._uploads.take(owner, piece)

    async def attachment(self, owner: str, sha256: str) -> tuple[str, bytes]:
        """Return the media type of an attached file and what it holds.

        Raises:
            NotFoundError: this owner has none of that hash.
            StorageError: it is damaged, or cannot be read.
        """
        found, data = await self._store.attachment(owner, sha256)
        return found.media_type, data

    async def _attached(self, owner: str, named: Sequence[Named]) -> tuple[AttachmentPart, ...]:
        if len(named) > MAX_ATTACHMENTS:
            raise InputError(
                f"The message has {len(named)} attachments, and {MAX_ATTACHMENTS} is the most. Send it in parts."
            )
        clean = [(sha256, clean_name(name)) for sha256, name in named]
        try:
            attached = tuple(await self._store.attachments(owner, clean)) if clean else ()
        except NotFoundError as error:  # which would mean that the conversation is gone
            raise InputError(str(error)) from error
        check_together(one.size for one in attached)
        return attached

    async def send_now(self, owner: str, conversation_id: str, queued_id: str) -> Opened:
        """Send a waiting message before the others; an answer that is being written is stopped for it.

        Raises:
            NotFoundError: it does not wait any more, or there is no such conversation for this owner.
        """
        return await self._through(self._send_now(owner, conversation_id, queued_id))

    async def unqueue(self, owner: str, conversation_id: str, queued_id: str) -> None:
        """Take a waiting message back.

        Raises:
            NotFoundError: it was sent or removed already, or there is no such conversation for this owner.
        """
        await self._through(
            self._changed(owner, conversation_id, self._store.unqueue(owner, conversation_id, queued_id))
        )

    async def retry(
        self, owner: str, conversation_id: str, message_id: str, *, options: Options | None = None
    ) -> Opened:
        """Answer the question of `message_id`, an answer, once more; the new answer is its sibling.

        `options` are for this answer alone, instead of the conversation's.

        Raises:
            InputError: an answer is still being written, or the message is no answer.
            NotFoundError: there is no such message for this owner.
        """
        return await self._through(self._retry(owner, conversation_id, message_id, options))

    async def edit(
        self, owner: str, conversation_id: str, message_id: str, text: str, *, request_key: str | None = None
    ) -> Opened:
        """Put a question differently and have it answered, or an answer right by hand; both stay as siblings.

        A question keeps its attachments. What changes nothing, and the same request that comes again (a question by its
        key, an answer by its text), stores nothing. An answer written by hand has no run, no endpoint and no model.

        Raises:
            InputError: an answer is still being written, or there is nothing in the text or too much.
            NotFoundError: there is no such message for this owner.
            StorageError: it could not be stored; nothing was sent.
        """
        return await self._through(self._edit(owner, conversation_id, message_id, text, request_key))

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
        return await self._through(self._show_version(owner, conversation_id, message_id))

    async def message(self, owner: str, conversation_id: str, message_id: str) -> Message:
        """Return one message of a conversation, on whichever branch it is.

        Raises:
            NotFoundError: there is no such message for this owner.
        """
        return await self._store.message(owner, conversation_id, message_id)

    async def fork(self, owner: str, conversation_id: str, message_id: str) -> Opened:
        """Begin a new conversation with copies of the messages up to `message_id`, an answer, and the same options.

        Raises:
            InputError: an answer is still being written, or the message is no answer.
            NotFoundError: there is no such message for this owner.
        """
        return await self._through(self._fork(owner, conversation_id, message_id))

    async def rename(self, owner: str, conversation_id: str, title: str) -> None:
        """Give a conversation a title of a person's own.

        Raises:
            InputError: the title is blank.
        """
        title = " ".join(clean_text(title).split())
        if not title:
            raise InputError("A title needs at least one character.")
        await self._through(
            self._changed(owner, conversation_id, self._store.rename(owner, conversation_id, title, "user"))
        )

    async def delete(self, owner: str, conversation_id: str) -> None:
        """Take a conversation out of the list; `restore` brings it back. A run in it is stopped."""
        await self._through(self._delete(owner, conversation_id))

    async def restore(self, owner: str, conversation_id: str) -> None:
        """Undo `delete`."""
        await self._through(self._changed(owner, conversation_id, self._store.restore(owner, conversation_id)))

    async def trash(self, owner: str) -> tuple[Deleted, ...]:
        """Return what the owner deleted, the last first; what is older than `TRASH` is erased before."""
        await self._store.empty_trash()
        return tuple(await self._store.trash(owner))

    async def erase(self, owner: str, conversation_id: str) -> None:
        """Remove a deleted conversation for good.

        Raises:
            InputError: its last answer is just being stopped.
            NotFoundError: the owner's trash does not hold it.
        """
        await self._through(self._store.erase(owner, conversation_id))

    async def set_options(self, owner: str, conversation_id: str, options: Options) -> None:
        """Change the parameters that the conversation's next answers are asked with."""
        await self._store.set_options(owner, conversation_id, options)

    async def export(self, owner: str, conversation_ids: Sequence[str] | None, kind: Kind) -> Export:
        """Return conversations, or with None all of them, as a file that is made while it is read.

        Raises:
            NotFoundError: one of them is not there for this owner.
        """
        return await self._exchange.export(owner, conversation_ids, kind)

    async def receive_import(self, owner: str, pieces: AsyncIterable[bytes]) -> str:
        """Take a file with conversations in it and return a word for it; nothing is imported yet.

        Raises:
            InputError: it is too large.
        """
        return await self._exchange.receive(owner, pieces)

    async def preview_import(self, owner: str, word: str) -> Preview:
        """Return what would come in with a file that was received.

        Raises:
            InputError: it cannot be imported, or is not there any more.
        """
        return await self._exchange.preview(owner, word)

    async def import_(self, owner: str, word: str) -> Imported:
        """Store what a file holds, all or nothing; what is there already stays as it is.

        Raises:
            InputError: it cannot be imported, or is not there any more.
        """
        imported = await self._through(self._exchange.import_(owner, word))
        self.changes.ring_all()
        return imported

    async def undo_import(self, owner: str, imported: Imported) -> None:
        """Take out of the list what an import brought into it."""
        await self._store.delete_all(owner, (*imported.added, *imported.restored))
        self.changes.ring_all()

    async def drop_import(self, owner: str, word: str) -> None:
        """Forget a file that was received."""
        await self._exchange.drop(owner, word)

    def _live(self, owner: str, run_id: str) -> RunLog | None:
        run = self._runs.log_of(run_id)
        return run if run is not None and run.spec.owner == owner else None

    @asynccontextmanager
    async def _turn(self, conversation_id: str) -> AsyncGenerator[None, None]:
        """Let one thing at a time begin in a conversation; what comes meanwhile waits its turn."""
        lock = self._turns.setdefault(conversation_id, asyncio.Lock())
        async with lock:
            yield

    def _check_idle(self, conversation_id: str) -> None:
        if self._runs.live_in(conversation_id) is not None:
            raise InputError("An answer is still being written. Wait for its end, or stop it first.")

    async def _through(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry an intent through although its sender may leave: what storage holds is then always worked on."""
        return await asyncio.shield(self._begin(work))

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._intents.add(task)
        task.add_done_callback(self._carried)
        return task

    def _carried(self, task: asyncio.Task[Any]) -> None:
        self._intents.discard(task)
        if not task.cancelled():
            task.exception()  # a sender who left is told of no refusal, and the log neither

    async def _send(self, owner: str, draft: Draft, conversation_id: str, request_key: str | None, now: bool) -> Opened:
        async with self._turn(conversation_id):
            if self._occupied(conversation_id):
                conversation = await self._store.conversation(owner, conversation_id)
            if not self._occupied(conversation_id):  # or not any more
                here = await self._store.snapshot(owner, conversation_id)
                return await self._ask(owner, here, draft, request_key)
            queued = Queued(id=new_id(), text=draft.text, created_at=datetime.now(UTC), attachments=draft.attachments)
            fresh = await self._store.enqueue(owner, conversation_id, queued, request_key=request_key)
            if now and fresh:
                self._hurry(owner, conversation_id, queued.id)
        self.changes.ring(owner, conversation_id)
        return await self._read_back(owner, Opened(conversation, (), {}, None, whole=False))

    def _occupied(self, conversation_id: str) -> bool:
        """Whether an answer is being written, or a waiting message is about to be sent."""
        return self._runs.live_in(conversation_id) is not None or conversation_id in self._advancing

    async def _ask(self, owner: str, here: Snapshot, draft: Draft, request_key: str | None) -> Opened:
        begun, new = await self._answering.ask(owner, here.conversation, draft, request_key, here.path)
        if not new:
            return await self._shown(owner, begun, new)
        # It was the conversation's turn, so nothing else has come into it: there is nothing to read back.
        return self._opened(replace(here, conversation=begun.conversation, path=(*here.path, *new)), begun.run_id)

    async def _send_now(self, owner: str, conversation_id: str, queued_id: str) -> Opened:
        async with self._turn(conversation_id):
            queued = await self._queued(owner, conversation_id, queued_id)
            if self._runs.live_in(conversation_id) is None:
                conversation = await self._store.conversation(owner, conversation_id)
                return await self._shown(owner, *await self._answering.ask_queued(owner, conversation, queued))
            self._hurry(owner, conversation_id, queued_id)
        return await self.open(owner, conversation_id)

    async def _queued(self, owner: str, conversation_id: str, queued_id: str) -> Queued:
        found = [q for q in await self._store.queue(owner, conversation_id) if q.id == queued_id]
        if not found:
            raise NotFoundError("That message does not wait any more: it was sent or removed.")
        return found[0]

    def _hurry(self, owner: str, conversation_id: str, queued_id: str) -> None:
        """Stop the answer being written, so that a waiting message is sent at its end, whatever that is."""
        self._hurried[conversation_id] = queued_id
        live = self._runs.live_in(conversation_id)
        if live is not None:
            self._runs.stop(live.spec.id)
        elif conversation_id not in self._advancing:  # it has ended meanwhile
            self._move_on(owner, conversation_id)

    def _on_end(self, run: RunLog) -> None:
        if run.spec.conversation_id in self._hurried or run.reply.status in ENDED_BY_MODEL:
            self._move_on(run.spec.owner, run.spec.conversation_id)

    def _move_on(self, owner: str, conversation_id: str) -> None:
        task = self._runs.background(self._advance(owner, conversation_id), name=f"next in {conversation_id}")
        if task is not None:
            self._advancing[conversation_id] = task

    async def _advance(self, owner: str, conversation_id: str) -> None:
        """Send the waiting message whose turn it is; one that cannot be sent goes on waiting, for a person."""
        try:
            while True:
                if await self._advanced(owner, conversation_id):
                    break
                await asyncio.sleep(_AGAIN_S)
        except PanelistError as error:
            log.warning("a waiting message of conversation %s was not sent: %s", conversation_id, error)
        finally:
            if self._advancing.get(conversation_id) is asyncio.current_task():
                del self._advancing[conversation_id]
            self.changes.ring(owner, conversation_id)

    async def _advanced(self, owner: str, conversation_id: str) -> bool:
        """Send the next waiting message, if there is one; False when storage failed and it is to be tried again."""
        async with self._turn(conversation_id):
            hurried = self._hurried.pop(conversation_id, None)
            try:
                queue = await self._store.queue(owner, conversation_id)
                next_one = next((queued for queued in queue if hurried in {None, queued.id}), None)
                if next_one is not None and self._runs.live_in(conversation_id) is None:
                    conversation = await self._store.conversation(owner, conversation_id)
                    await self._answering.ask_queued(owner, conversation, next_one)
            except StorageError as error:
                log.warning("a waiting message of conversation %s waits on: %s", conversation_id, error)
                if hurried is not None:
                    self._hurried.setdefault(conversation_id, hurried)
                return False
        return True

    async def _changed(self, owner: str, conversation_id: str, work: Coroutine[Any, Any, object]) -> None:
        await work
        self.changes.ring(owner, conversation_id)

    async def _delete(self, owner: str, conversation_id: str) -> None:
        await self._store.delete(owner, conversation_id)
        live = self._runs.live_in(conversation_id)
        if live is not None:
            self._runs.stop(live.spec.id)
        self.changes.ring(owner, conversation_id)

    async def _show_version(self, owner: str, conversation_id: str, message_id: str) -> Opened:
        async with self._turn(conversation_id):
            leaf = await self._store.newest_leaf(owner, conversation_id, message_id)
            self._check_idle(conversation_id)
            await self._store.set_head(owner, conversation_id, leaf)
        self.changes.ring(owner, conversation_id)
        return await self.open(owner, conversation_id)

    async def _retry(self, owner: str, conversation_id: str, message_id: str, options: Options | None) -> Opened:
        async with self._turn(conversation_id):
            conversation = await self._store.conversation(owner, conversation_id)
            self._check_idle(conversation_id)
            answer = (await self._store.path(owner, conversation_id, message_id))[-1]
            if answer.role != "assistant" or answer.parent_id is None:
                raise InputError("Only an answer can be written again.")
            asked = replace(conversation, options=options) if options else conversation
            begun = await self._answering.ask_again(owner, asked, answer.parent_id)
            return await self._shown(owner, *begun)

    async def _edit(
        self, owner: str, conversation_id: str, message_id: str, text: str, request_key: str | None
    ) -> Opened:
        async with self._turn(conversation_id):
            conversation = await self._store.conversation(owner, conversation_id)
            if request_key and await self._store.begun(owner, request_key) is not None:
                return await self.open(owner, conversation_id)  # it may be this that is being answered now
            self._check_idle(conversation_id)
            *before, old = await self._store.path(owner, conversation_id, message_id)
            draft = Draft(_checked(text, empty=bool(old.attachments)), old.attachments)
            if draft.text == old.text:
                return await self.open(owner, conversation_id)
            if old.role == "user":
                return await self._shown(
                    owner, *await self._answering.ask(owner, conversation, draft, request_key, before)
                )
            new = replace(
                old,
                id=new_id(),
                parts=(TextPart(draft.text),),
                status="complete",
                created_at=datetime.now(UTC),
                run_id=None,
                endpoint=None,
                model=None,
                usage=None,
            )
            await self._store.add_answer(owner, new)
        self.changes.ring(owner, conversation_id)
        return await self._read_back(owner, Opened(conversation, (new,), {}, None, whole=False))

    async def _fork(self, owner: str, conversation_id: str, message_id: str) -> Opened:
        async with self._turn(conversation_id):
            old = await self._store.conversation(owner, conversation_id)
            self._check_idle(conversation_id)
            if (await self._store.path(owner, conversation_id, message_id))[-1].role != "assistant":
                raise InputError("A conversation can be forked behind an answer. Choose one.")
            now = datetime.now(UTC)
            title = f"{old.title[: MAX_TITLE - len(_FORK)]}{_FORK}"
            new = replace(old, id=new_id(), title=title, head_id=None, created_at=now, updated_at=now)
            forked = await self._store.fork(owner, new, conversation_id, message_id)
        self.changes.ring(owner, forked.id)
        return await self.open(owner, forked.id)

    async def _go_on(self, owner: str, conversation_id: str, message_id: str) -> Opened:
        async with self._turn(conversation_id):
            conversation = await self._store.conversation(owner, conversation_id)
            self._check_idle(conversation_id)
            await self._answering.go_on(owner, conversation, message_id)
        return await self.open(owner, conversation_id)

    async def _shown(self, owner: str, begun: Begun, new: tuple[Message, ...]) -> Opened:
        return await self._read_back(owner, Opened(begun.conversation, new, {}, begun.run_id, whole=False))

    async def _read_back(self, owner: str, known: Opened) -> Opened:
        """Return a conversation in which something was stored just now, or what is known of it."""
        try:
            return await self.open(owner, known.conversation.id)
        except (NotFoundError, StorageError) as error:  # not found: it was deleted meanwhile, with what was stored
            # It is stored and on its way: to refuse it now would make the sender send it twice.
            log.error("conversation %s cannot be read back: %s", known.conversation.id, error)
            return known


def _checked(text: str, *, empty: bool) -> str:
    """Return a text as it is stored; with `empty` it may say nothing."""
    text = clean_text(text).replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    if not _UNSEEN.sub("", text).strip():
        if empty:
            return ""
        raise InputError("There is nothing to send yet: the message is empty.")
    if len(text) > MAX_TEXT:
        raise InputError(f"The message has {len(text):,} characters, and {MAX_TEXT:,} is the most. Send it in parts.")
    return text
