"""The door to conversations: everything a page or the terminal does with them goes through `ChatService`."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from services.alerting import Alerting
from services.answering import Answering, new_conversation
from services.asides import Asides
from services.attached import AttachedFiles
from services.attachments import MAX_ATTACHMENTS, Piece, Progress, check_together, clean_name
from services.branching import Branching
from services.budgets import Budgets
from services.catalogue import Catalogue
from services.changes import Changes
from services.connect import Connections
from services.conversation import MAX_TITLE, Conversation, Draft, Queued, Versions
from services.details import Details
from services.errors import InputError, NotFoundError, StorageError
from services.events import Numbered
from services.fitting import Asking, Fitting
from services.intents import Intents
from services.messages import ANSWERED, AttachmentPart, Message, TextPart, clean_text, new_id
from services.options import Options
from services.pacing import Pace
from services.processing import Processing
from services.providers.base import Provider
from services.queueing import Queueing, Waiting
from services.runner import RunLog, RunManager
from services.settings import Settings
from services.storage.store import Begun, Named, Snapshot, Store
from services.summarising import Summarising
from services.system_prompts import SystemPrompts
from services.trouble import StorageTrouble
from services.uploads import Uploads
from services.weighing import Weighing
from services.windows import Windows

__all__ = ["ChatService", "Opened", "Waiting"]

log = logging.getLogger(__name__)

MAX_TEXT = 2_000_000
"""Characters of one question."""


_FORK = " (fork)"
"""Behind the title of a fork."""

_UNSEEN = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff]")
"""Characters without a width: a message of these alone is empty to whoever reads it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A conversation as a tab shows it."""

    conversation: Conversation
    path: tuple[Message, ...]
    versions: dict[str, Versions]
    """For the messages of the path that have siblings."""
    runs: dict[str, str]
    """The runs that are writing the answers on show, by answer, each to be followed from its beginning."""
    together: tuple[Message, ...] = ()
    """The answers that stand side by side at the end of the path until one is chosen, the path's own among them.

    None where there is but one.
    """
    waiting: Waiting = field(default_factory=Waiting)
    whole: bool = True
    """False when `path` holds no more than the new messages, because the others could not be read just now.

    None are new when the message that was sent waits.
    """

    @property
    def run_id(self) -> str | None:
        """The run that is writing the last answer of the path; None where that has ended."""
        return self.runs.get(self.path[-1].id) if self.path else None


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
        windows: Windows | None = None,
        *,
        budgets: Budgets | None = None,
        alerts: Alerting | None = None,
        changes: Changes | None = None,
        prefix: str = "",
    ) -> None:
        """Wire the door; `changes` are told to those who listen to them, ids of conversations begin with `prefix`."""
        self.pace = pace or Pace()
        """Of whoever follows runs."""
        self._prefix = prefix
        self._store = store
        self._trouble = trouble
        self._runs = runs
        self._intents = Intents()
        self._uploads = Uploads(store)
        self.changes = changes or Changes()
        prompts = SystemPrompts(store, settings.system_prompt)
        self.catalogue = Catalogue(store, runs, self._intents, self.changes, prompts)
        """The owner's conversations as a whole."""
        self.branching = Branching(store, self._intents, self.changes)
        """The tree of each of them."""
        self.processing = Processing(settings.post, store, self._intents, self.changes)
        """What is made of complete answers."""
        self.budgets = budgets or Budgets(store.ledger, self.changes)
        """What may be spent, here and in all other places of this process."""
        self.alerts = alerts or Alerting(store.ledger, self.changes)
        """What their owners want to be told of."""
        self.details = Details(store, runs, connections, prompts)
        """How their answers were written."""
        windows = windows or Windows()
        files = AttachedFiles(store)
        asides = Asides(provider, runs, self.budgets)
        self._answering = Answering(
            settings,
            store,
            runs,
            connections,
            asides,
            self.changes,
            self.budgets,
            windows,
            prompts,
            self.processing,
            files,
        )
        weighing = Weighing(store, connections, windows, prompts, provider, files)
        summarising = Summarising(weighing, asides, runs.deadlines)
        self.fitting = Fitting(store, connections, weighing, summarising, windows, self._intents, self.changes)
        """How long they are for a model, and what makes them shorter."""
        self._queueing = Queueing(store, runs, self._answering, self._intents, self.changes, self.fitting)
        self._answering.on_end = self._queueing.on_end
        trouble.on_change = self.changes.ring_all

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

    @property
    def running(self) -> int:
        """How many are."""
        return self._runs.running

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
        return self._opened(shown, (*before, *self._runs.live_in(conversation_id)))

    async def conversation(self, owner: str, conversation_id: str) -> Conversation:
        """Return a conversation without its messages.

        Raises:
            NotFoundError: there is none of that id for this owner.
        """
        return await self._store.conversation(owner, conversation_id)

    async def open_at(self, owner: str, conversation_id: str, message_id: str) -> Opened:
        """Return a conversation as `open` does, on a branch that holds a message; it is the one on show from then on.

        Raises:
            InputError: the message is on another branch, and an answer is being written on this one.
            NotFoundError: there is no such message for this owner.
        """
        opened = await self.open(owner, conversation_id)
        if any(message.id == message_id for message in (*opened.path, *opened.together)):
            return opened
        return await self.show_version(owner, conversation_id, message_id)

    def _opened(self, shown: Snapshot, live: Sequence[RunLog]) -> Opened:
        last = (*shown.path[-1:], *shown.together)
        written = {message.id for message in last if message.status == "streaming"}
        return Opened(
            shown.conversation,
            shown.path,
            {message.id: shown.versions[message.id] for message in shown.path if message.id in shown.versions},
            {run.spec.message_id: run.spec.id for run in live if run.spec.message_id in written},
            shown.together,
            self._queueing.waiting(shown.conversation.id, shown.queue),
        )

    def writing(self, owner: str, conversation_id: str) -> tuple[str, ...]:
        """Return the runs that are writing answers in a conversation."""
        return tuple(run.spec.id for run in self._runs.live_in(conversation_id) if run.spec.owner == owner)

    async def waiting(self, owner: str, conversation_id: str) -> Waiting:
        """Return what waits in a conversation, the next message first.

        Raises:
            NotFoundError: there is no such conversation for this owner.
        """
        return self._queueing.waiting(conversation_id, tuple(await self._store.queue(owner, conversation_id)))

    async def send(
        self,
        owner: str,
        text: str,
        *,
        attachments: Sequence[Named] = (),
        conversation_id: str | None = None,
        options: Options | None = None,
        folder_id: str | None = None,
        request_key: str | None = None,
        now: bool = False,
    ) -> Opened:
        """Store a question and start the run that answers it; without a conversation id a new one begins.

        A new one begins in the folder, if one is named and still there, and with the options that hold in it unless
        `options` say otherwise.

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
            options = options or Options()
            if folder_id is not None and (options.endpoint, options.model) == (None, None):
                said = (await self.catalogue.defaults(owner, folder_id)).options
                options = replace(options, endpoint=said.endpoint, model=said.model)
            conversation = new_conversation(draft, options, folder_id, prefix=self._prefix)
            here = Snapshot(conversation, (), {}, ())
            return await self._intents.through(self._ask(owner, here, draft, request_key))
        return await self._intents.through(self._send(owner, draft, conversation_id, request_key, now))

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

    async def send_now(self, owner: str, conversation_id: str, queued_id: str, *, anyway: bool = False) -> Opened:
        """Send a waiting message before the others; an answer that is being written is stopped for it.

        With `anyway` also one that is too long for the model.

        Raises:
            NotFoundError: it does not wait any more, or there is no such conversation for this owner.
            TooLongError: it is too long for the model, so it waits on.
        """
        return await self._intents.through(self._send_now(owner, conversation_id, queued_id, anyway))

    async def unqueue(self, owner: str, conversation_id: str, queued_id: str) -> None:
        """Take a waiting message back.

        Raises:
            NotFoundError: it was sent or removed already, or there is no such conversation for this owner.
        """
        await self._intents.through(self._unqueue(owner, conversation_id, queued_id))

    async def retry(
        self,
        owner: str,
        conversation_id: str,
        message_id: str,
        *,
        options: Options | None = None,
        beyond: bool = False,
        anyway: bool = False,
    ) -> Opened:
        """Answer a question, or that of an answer once more: `message_id` is either. Answers to it are siblings.

        There come as many as the options say; but in the place of an answer that stands beside others, and was cut off
        or failed, comes one, whatever becomes of the others meanwhile.

        `options` are for this answer alone, instead of the conversation's; with `beyond` no budget stops it, and with
        `anyway` it is asked for although it is too long for the model.

        Raises:
            InputError: an answer is still being written, or the message is an answer to nothing.
            NotFoundError: there is no such message for this owner.
            TooLongError: it is too long for the model; nothing was stored.
        """
        return await self._intents.through(self._retry(owner, conversation_id, message_id, options, beyond, anyway))

    async def edit(
        self,
        owner: str,
        conversation_id: str,
        message_id: str,
        text: str,
        *,
        request_key: str | None = None,
        anyway: bool = False,
    ) -> Opened:
        """Put a question differently and have it answered, or an answer right by hand; both stay as siblings.

        A question keeps its attachments. What changes nothing, and the same request that comes again (a question by its
        key, an answer by its text), stores nothing. An answer written by hand has no run, no endpoint and no model.
        With `anyway` a question is asked although it is too long for the model.

        Raises:
            InputError: an answer is still being written, or there is nothing in the text or too much.
            NotFoundError: there is no such message for this owner.
            StorageError: it could not be stored; nothing was sent.
            TooLongError: the question is too long for the model; nothing was stored.
        """
        return await self._intents.through(self._edit(owner, conversation_id, message_id, text, request_key, anyway))

    async def go_on(
        self, owner: str, conversation_id: str, message_id: str, *, beyond: bool = False, anyway: bool = False
    ) -> Opened:
        """Let the model go on with an answer that was cut off or stopped, in the same message.

        With `beyond` no budget stops it, and with `anyway` it is asked although it is too long for the model.

        Raises:
            InputError: an answer is still being written, or this one was not cut off or is not the last.
            NotFoundError: there is no such message for this owner.
            TooLongError: it is too long for the model; nothing was changed.
        """
        return await self._intents.through(self._go_on(owner, conversation_id, message_id, beyond, anyway))

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
        return await self._intents.through(self._show_version(owner, conversation_id, message_id))

    async def message(self, owner: str, conversation_id: str, message_id: str) -> Message:
        """Return one message of a conversation, on whichever branch it is.

        Raises:
            NotFoundError: there is no such message for this owner.
        """
        return await self._store.message(owner, conversation_id, message_id)

    async def choose(self, owner: str, conversation_id: str, message_id: str) -> Opened:
        """Go on with one of the answers that stand side by side; the others are versions of it from then on.

        Those that are still being written are stopped; the chosen one is not.

        Raises:
            NotFoundError: there is no such message for this owner.
        """
        return await self._intents.through(self._choose(owner, conversation_id, message_id))

    async def fork(self, owner: str, conversation_id: str, message_id: str) -> Opened:
        """Begin a new conversation with copies of the messages up to `message_id`, an answer, and the same options.

        Raises:
            InputError: an answer is still being written, or the message is no answer.
            NotFoundError: there is no such message for this owner.
        """
        return await self._intents.through(self._fork(owner, conversation_id, message_id))

    @asynccontextmanager
    async def handing_over(self, owner: str, conversation_id: str) -> AsyncGenerator[None, None]:
        """Keep a conversation as it is while it is stored elsewhere; when that is done, nothing begins here any more.

        Where it fails, everything goes on here as before.

        Raises:
            InputError: an answer is still being written, or messages wait.
        """
        async with self._intents.alone_in(conversation_id):
            if self._queueing.occupied(conversation_id) or await self._store.queue(owner, conversation_id):
                raise InputError(
                    "An answer is still being written, or messages wait. Keep the chat when they are through."
                )
            yield
            self._intents.refuse("This chat was kept meanwhile. Do it again in the chat that is open then.")
            self._runs.refuse()

    async def set_options(self, owner: str, conversation_id: str, options: Options) -> None:
        """Change the parameters that the conversation's next answers are asked with."""
        await self._store.set_options(owner, conversation_id, options)
        self.changes.ring(owner, conversation_id)

    def _live(self, owner: str, run_id: str) -> RunLog | None:
        run = self._runs.log_of(run_id)
        return run if run is not None and run.spec.owner == owner else None

    def _check_idle(self, conversation_id: str, *, but: Sequence[Message] = ()) -> None:
        """Raise InputError while an answer is being written, other than some."""
        beside = {message.id for message in but}
        if any(run.spec.message_id not in beside for run in self._runs.live_in(conversation_id)):
            raise InputError("An answer is still being written. Wait for its end, or stop it first.")

    async def _beside(self, owner: str, conversation_id: str, message_id: str) -> tuple[Message, ...]:
        """Return the answers on show that stand side by side with one; none where it stands beside none."""
        together = (await self._store.snapshot(owner, conversation_id)).together
        return together if any(message.id == message_id for message in together) else ()

    async def _choose(self, owner: str, conversation_id: str, message_id: str) -> Opened:
        async with self._intents.alone_in(conversation_id):
            beside = await self._beside(owner, conversation_id, message_id)
            await self._store.choose(owner, conversation_id, message_id)
            left = {message.id for message in beside} - {message_id}
            for run in self._runs.live_in(conversation_id):
                if run.spec.message_id in left:
                    self._runs.stop(run.spec.id)
        self.changes.ring(owner, conversation_id)
        return await self.open(owner, conversation_id)

    async def _send(self, owner: str, draft: Draft, conversation_id: str, request_key: str | None, now: bool) -> Opened:
        async with self._intents.alone_in(conversation_id):
            if self._queueing.occupied(conversation_id):
                conversation = await self._store.conversation(owner, conversation_id)
            if not self._queueing.occupied(conversation_id):  # or not any more
                here = await self._store.snapshot(owner, conversation_id)
                return await self._ask(owner, here, draft, request_key)
            queued = Queued(id=new_id(), text=draft.text, created_at=datetime.now(UTC), attachments=draft.attachments)
            fresh = await self._store.enqueue(owner, conversation_id, queued, request_key=request_key)
            if now and fresh:
                self._queueing.hurry(owner, conversation_id, queued.id)
        self.changes.ring(owner, conversation_id)
        return await self._read_back(owner, Opened(conversation, (), {}, {}, whole=False))

    async def _ask(self, owner: str, here: Snapshot, draft: Draft, request_key: str | None) -> Opened:
        begun, new = await self._answering.ask(owner, here.conversation, draft, request_key, here.path)
        if not new:
            return await self._shown(owner, begun, new)
        # It was the conversation's turn, so nothing else has come into it: there is nothing to read back.
        question, *answers = new
        before = (*here.path[:-1], *(replace(last, together=None) for last in here.path[-1:]))
        path, together = (*before, question, answers[0]), tuple(answers) if len(answers) > 1 else ()
        now = replace(here, conversation=begun.conversation, path=path, together=together)
        return self._opened(now, self._runs.live_in(begun.conversation.id))

    async def _send_now(self, owner: str, conversation_id: str, queued_id: str, anyway: bool) -> Opened:
        async with self._intents.alone_in(conversation_id):
            queued = await self._queueing.find(owner, conversation_id, queued_id)
            if not self._runs.live_in(conversation_id):
                conversation = await self._store.conversation(owner, conversation_id)
                sent = await self._queueing.send(owner, conversation, queued, anyway=anyway)
                return await self._shown(owner, *sent)
            self._queueing.hurry(owner, conversation_id, queued_id)
        return await self.open(owner, conversation_id)

    async def _unqueue(self, owner: str, conversation_id: str, queued_id: str) -> None:
        await self._store.unqueue(owner, conversation_id, queued_id)
        self.changes.ring(owner, conversation_id)

    async def _show_version(self, owner: str, conversation_id: str, message_id: str) -> Opened:
        async with self._intents.alone_in(conversation_id):
            leaf = await self._store.newest_leaf(owner, conversation_id, message_id)
            self._check_idle(conversation_id)
            await self._store.set_head(owner, conversation_id, leaf)
        self.changes.ring(owner, conversation_id)
        return await self.open(owner, conversation_id)

    async def _retry(
        self,
        owner: str,
        conversation_id: str,
        message_id: str,
        options: Options | None,
        beyond: bool,
        anyway: bool,
    ) -> Opened:
        async with self._intents.alone_in(conversation_id):
            conversation = await self._store.conversation(owner, conversation_id)
            last = again = await self._store.message(owner, conversation_id, message_id)
            cut = again.together is not None and again.status not in ANSWERED
            beside = await self._beside(owner, conversation_id, message_id) if cut else ()
            self._check_idle(conversation_id, but=[one for one in beside if one.id != message_id])
            while last.role != "user":  # imported answers may follow one another
                if last.parent_id is None:
                    raise InputError("This answer follows no question, so it cannot be written again.")
                last = await self._store.message(owner, conversation_id, last.parent_id)
            asked = replace(conversation, options=options) if options else conversation
            if not anyway:
                asking = Asking(conversation_id=conversation_id, again=message_id, options=asked.options)
                await self.fitting.check(owner, asking)
            instead_of = again if beside else None
            begun = await self._answering.ask_again(owner, asked, last.id, instead_of=instead_of, beyond=beyond)
            return await self._shown(owner, *begun)

    async def _edit(
        self,
        owner: str,
        conversation_id: str,
        message_id: str,
        text: str,
        request_key: str | None,
        anyway: bool,
    ) -> Opened:
        async with self._intents.alone_in(conversation_id):
            conversation = await self._store.conversation(owner, conversation_id)
            if request_key and await self._store.begun(owner, request_key) is not None:
                return await self.open(owner, conversation_id)  # it may be this that is being answered now
            self._check_idle(conversation_id)
            *before, old = await self._store.path(owner, conversation_id, message_id)
            draft = Draft(_checked(text, empty=bool(old.attachments)), old.attachments)
            if draft.text == old.text:
                return await self.open(owner, conversation_id)
            if old.role == "user":
                if not anyway:
                    options = conversation.options
                    instead = Asking(
                        conversation_id=conversation_id, text=draft.text, options=options, instead=message_id
                    )
                    await self.fitting.check(owner, instead)
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
                options=None,
                usage=None,
                picked_from=None,
                processed=None,
                together=None,
            )
            await self._store.add_answer(owner, new)
        self.changes.ring(owner, conversation_id)
        return await self._read_back(owner, Opened(conversation, (new,), {}, {}, whole=False))

    async def _fork(self, owner: str, conversation_id: str, message_id: str) -> Opened:
        async with self._intents.alone_in(conversation_id):
            old = await self._store.conversation(owner, conversation_id)
            self._check_idle(conversation_id)
            if (await self._store.path(owner, conversation_id, message_id))[-1].role != "assistant":
                raise InputError("A conversation can be forked behind an answer. Choose one.")
            now = datetime.now(UTC)
            title = f"{old.title[: MAX_TITLE - len(_FORK)]}{_FORK}"
            new = replace(
                old,
                id=f"{self._prefix}{new_id()}",
                title=title,
                head_id=None,
                created_at=now,
                updated_at=now,
                pinned_at=None,
            )
            forked = await self._store.fork(owner, new, conversation_id, message_id)
        self.changes.ring(owner, forked.id)
        return await self.open(owner, forked.id)

    async def _go_on(self, owner: str, conversation_id: str, message_id: str, beyond: bool, anyway: bool) -> Opened:
        async with self._intents.alone_in(conversation_id):
            conversation = await self._store.conversation(owner, conversation_id)
            beside = await self._beside(owner, conversation_id, message_id)
            self._check_idle(conversation_id, but=[one for one in beside if one.id != message_id])
            if not anyway:
                options = await self._answering.asked_with(owner, conversation, message_id)
                await self.fitting.check(
                    owner, Asking(conversation_id=conversation_id, go_on=message_id, options=options)
                )
            await self._answering.go_on(owner, conversation, message_id, beyond=beyond)
        return await self.open(owner, conversation_id)

    async def _shown(self, owner: str, begun: Begun, new: tuple[Message, ...]) -> Opened:
        questions = tuple(message for message in new if message.role == "user")
        answers = new[len(questions) :]
        known = Opened(
            begun.conversation,
            (*questions, *answers[:1]),
            {},
            {answer.id: run_id for answer, run_id in zip(answers, begun.runs, strict=False)},
            answers if len(answers) > 1 else (),
            whole=False,
        )
        return await self._read_back(owner, known)

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
