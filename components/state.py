"""What one tab shows: a reactive state without a single widget in it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

import param

from components.activity import WAITING, activity_of, activity_of_all, retry_activity
from components.branching import BranchingState
from components.catalogue import CatalogueState
from components.deltas import Delta, delta_of, portions
from components.detailing import DetailsState
from components.fitting import FittingState, NotNowError
from components.notices import Notice, telling
from components.processing import ProcessingState
from components.temporary import BLANK, TemporaryTab
from services.attachments import Piece, Progress
from services.chat import ChatService, Opened, Waiting
from services.connect import Connections
from services.conversation import Conversation, Draft, Queued, Versions, is_temporary
from services.errors import InputError, ModelError, NotFoundError, PanelistError
from services.events import (
    Numbered,
    RetryScheduled,
    RunFinished,
)
from services.folders import Folder, defaults_of
from services.messages import Message, clean_text
from services.options import Options
from services.parameters import Parameter, offered
from services.temporary import Temporary

log = logging.getLogger(__name__)

MAX_MODEL = 200
"""Characters of a model's name."""

_TURNS = 12
"""Of the event loop, which the request to the model takes until it has left. It goes before what shows the question."""

LOOK_AGAIN_S = 1.0
"""Seconds after which what could not be read is tried once more."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A model of an endpoint, as the picker offers it."""

    endpoint: str
    model: str

    @property
    def label(self) -> str:
        return f"{self.model} · {self.endpoint}"


class ConversationState(param.Parameterized):
    """The open conversation, the list of all, and what a person can do with them.

    Intents are plain verbs; views call them and follow the parameters.
    """

    conversation: Conversation | None = param.ClassSelector(
        class_=Conversation, default=None, allow_None=True, doc="The open conversation; None for a new, empty one."
    )  # type: ignore[assignment]
    path: tuple[Message, ...] = param.ClassSelector(class_=tuple, default=(), doc="The messages on show.")  # type: ignore[assignment]
    versions: dict[str, Versions] = param.Dict(default={}, doc="Place among siblings, for messages that have any.")  # type: ignore[assignment]
    together: tuple[Message, ...] = param.ClassSelector(
        class_=tuple, default=(), doc="The answers that stand side by side at the end of the path, until one is used."
    )  # type: ignore[assignment]
    delta: Delta | None = param.Parameter(default=None, doc="What the reply being written grew by.")  # type: ignore[assignment]
    folder: Folder | None = param.ClassSelector(
        class_=Folder, default=None, allow_None=True, doc="Where a new conversation begins, while none is open."
    )  # type: ignore[assignment]
    run_id: str | None = param.String(default=None, allow_None=True, doc="The first of the runs, while there is any.")  # type: ignore[assignment]
    runs: dict[str, str] = param.Dict(default={}, doc="The runs that are writing answers on show, by answer.")  # type: ignore[assignment]
    waiting: Waiting = param.ClassSelector(class_=Waiting, default=Waiting(), doc="Messages that wait for the answer.")  # type: ignore[assignment]
    refill: Draft | None = param.Parameter(default=None, doc="What comes back into the text box.")  # type: ignore[assignment]
    left: str | None = param.String(default=None, allow_None=True, doc="An open one that was deleted elsewhere.")  # type: ignore[assignment]
    activity: str = param.String(default="", doc="What the assistant is doing, in words; empty when idle.")  # type: ignore[assignment]
    activities: dict[str, str] = param.Dict(default={}, doc="The same of each answer that is being written.")  # type: ignore[assignment]
    prices: dict[str, int] = param.Dict(default={}, doc="Nanodollars of answers side by side that have ended.")  # type: ignore[assignment]
    choices: tuple[Choice, ...] = param.ClassSelector(class_=tuple, default=(), doc="Models that the picker offers.")  # type: ignore[assignment]
    choice: Choice | None = param.Parameter(default=None, doc="The model that answers next.")  # type: ignore[assignment]
    options: Options = param.ClassSelector(class_=Options, default=Options(), doc="Of the next question.")  # type: ignore[assignment]
    temporary: bool = param.Boolean(default=False, doc="Whether the open chat is one that is never stored.")  # type: ignore[assignment]
    kept: tuple[str, str] | None = param.Parameter(default=None, doc="Such a chat that is stored now: its ids.")  # type: ignore[assignment]
    notice: Notice | None = param.Parameter(default=None, doc="The last word to the person.")  # type: ignore[assignment]
    trouble: str | None = param.String(default=None, allow_None=True, doc="What is wrong with storage.")  # type: ignore[assignment]
    ending: bool = param.Boolean(default=False, doc="Whether the server is about to end.")  # type: ignore[assignment]
    first_run: bool = param.Boolean(default=False, doc="Whether there is nothing but the demo endpoint.")  # type: ignore[assignment]

    def __init__(
        self,
        chat: ChatService,
        connections: Connections,
        owner: str,
        temporary: Temporary | None = None,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self._stored = chat
        self._aside = TemporaryTab(temporary, owner)
        self._connections = connections
        self._owner = owner
        self.catalogue = CatalogueState(chat.catalogue, owner, self)
        self.branching = BranchingState(lambda: self._chat.branching, owner, self)
        self.processing = ProcessingState(lambda: self._chat.processing, owner, self)
        self.details = DetailsState(lambda: self._chat.details, owner, self)
        self.fitting = FittingState(lambda: self._chat.fitting, owner, self)
        self.param.watch(self._on_waiting, "waiting")
        self._following: dict[str, asyncio.Task[None]] = {}  # by run
        self._tasks: set[asyncio.Task[object]] = set()
        self._choosing = Options()
        self._latest = self._looked = 0  # number of the last intent, and of the one during which was looked last
        self._sending = asyncio.Lock()  # what a tab sends is stored in the order in which it was sent
        self.looking = asyncio.Lock()  # else what an earlier look found could be shown after what a later one did
        self._closed = self._forking = False
        self._warned = [0, 0]  # number of the last word on budgets, and of that on alerts, that was told
        self._unread: str | None = None  # the conversation that could not be read; it is tried again
        self.prepare: Prepare = _nothing_to_prepare
        self.drain: Drain = _nothing_to_drain
        self.stand_at: StandAt = _nowhere_to_stand

    async def start(self, conversation_id: str | None = None) -> None:
        """Show the list and a conversation, and keep both current until `close`."""
        self._spawn(self._listen(self._stored.changes.listen(self._owner, lambda: self._stored.pace.aside_s)))
        self._spawn(self.refresh_models())
        self.trouble = self._stored.trouble
        warned = self._stored.budgets.warned(self._owner)
        self._warned[0] = warned.number if warned is not None else 0

        async def list_all() -> None:
            with telling(self):
                await self.catalogue.refresh()

        # A temporary chat is never begun by an address: until its scripts are there, a page keeps what is typed.
        await asyncio.gather(list_all(), self.open(None if conversation_id == BLANK else conversation_id))
        self._tell_warnings()  # of an alert that came while nobody was here

    def close(self) -> None:
        """End everything that belongs to the tab. Runs go on: they belong to the process."""
        self._closed = True
        for task in (*self._tasks, *self._following.values()):
            task.cancel()
        self.fitting.stop()
        self.fitting.dismiss()
        self._aside.close()

    @property
    def _chat(self) -> ChatService:
        """The door to the open conversation."""
        return (self._aside.shown if self.temporary else None) or self._stored

    async def _door(self, conversation_id: str | None) -> ChatService:
        """Return the door to a conversation; `BLANK` is a temporary one that has not begun."""
        if conversation_id is None or not is_temporary(conversation_id):
            return self._stored
        if conversation_id == BLANK:
            return await self._aside.door(blank=self.conversation is None and not self._sending.locked())
        return await self._aside.holding(conversation_id)

    @property
    def known_questions(self) -> tuple[tuple[str, str], ...]:
        """Questions that the chosen endpoint answers in a way of its own, each with what comes."""
        return self._connections.known_questions(self.choice.endpoint) if self.choice else ()

    async def open_at(self, conversation_id: str, message_id: str) -> None:
        """Show a conversation on the branch that holds a message, and that message."""
        await self.open(conversation_id, at=message_id)

    async def open(self, conversation_id: str | None, *, at: str | None = None, folder_id: str | None = None) -> None:
        """Show a conversation, or a new, empty one for None or `BLANK`.

        Args:
            conversation_id: Which one.
            at: A message to show of it, on whichever branch it is.
            folder_id: Where a new one begins.
        """
        if conversation_id == BLANK and self.temporary and self.conversation is None:
            return
        turn = self._turn()
        self.fitting.dismiss()
        if conversation_id is None or conversation_id == BLANK:
            self._unfollow()
            self._choosing = Options()
            folder = self.catalogue.folder(folder_id)
            self._leave_temporary()
            self.param.update(
                folder=folder,
                conversation=None,
                path=(),
                versions={},
                together=(),
                run_id=None,
                runs={},
                activity="",
                activities={},
                waiting=Waiting(),
                temporary=conversation_id is not None,
            )
            self._update_choice()
            return
        try:
            chat = await self._door(conversation_id)
            if at is None:
                opened = await chat.open(self._owner, conversation_id)
            else:
                opened = await chat.open_at(self._owner, conversation_id, at)
        except InputError as error:  # it is on a branch that cannot be shown at the moment
            if turn == self._latest:
                await self.open(conversation_id)
                self.notice = Notice(str(error), "error")
        except NotFoundError:
            if turn == self._latest:
                await self.open(None)
                self.notice = Notice("That conversation is not here any more.", "error")
        except PanelistError as error:
            if turn == self._latest:
                self._unread = conversation_id
                self._spawn(self._look_again())
                self.notice = Notice(str(error), "error")
        else:
            await self.prepare((*opened.path, *opened.together[1:]))
            self._show(opened, turn)
            if at is not None and turn == self._latest:
                await self.stand_at(at)

    async def reopen(self) -> None:
        """Show the open conversation once more, a reply that is being written from its first word."""
        self._unfollow()
        if self.conversation is not None:
            await self.open(self.conversation.id)

    async def send(
        self,
        text: str,
        key: str | None = None,
        *,
        attachments: Sequence[tuple[str, str]] = (),
        now: bool = False,
        to: str | Literal["here"] | None = "here",
        show: bool = True,
        on_stored: Callable[[str], None] = lambda _: None,
    ) -> str:
        """Send a question in the open conversation, or begin one with it; while a reply is written it waits its turn.

        Args:
            text: The question.
            key: The browser's word for this request; the same one sent again stores nothing.
            attachments: Hash and name of each file that goes with it.
            now: Stop the reply that is being written instead of waiting for it.
            to: The conversation that was on the page when it was sent, which may lag behind; None begins a new one, and
                `BLANK` a temporary one.
            show: Whether the person is still there: one new chat looks like the next.
            on_stored: Told the conversation as soon as the message is stored, before it is shown.

        Returns:
            The conversation it was sent in.

        Raises:
            PanelistError: it was not stored, and why; the text is the sender's to keep.
        """
        async with self._sending:
            here = self.conversation.id if self.conversation else BLANK if self.temporary else None
            to = here if to == "here" else to
            if to == BLANK and not self.temporary:
                raise InputError("The temporary chat was left before this was sent. Open it and send it again.")
            turn = self._turn() if show and to == here else None
            try:
                blank = self.conversation is None
                chat = await (self._aside.door(blank=blank) if to == BLANK else self._door(to))
                opened = await chat.send(
                    self._owner,
                    text,
                    attachments=attachments,
                    conversation_id=None if to == BLANK else to,
                    options=self._choosing,
                    folder_id=self.folder.id if self.folder is not None else None,
                    request_key=key,
                    now=now,
                )
            except BaseException:
                self._spawn(self._look())  # nothing was shown while it was on its way
                raise
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        on_stored(opened.conversation.id)
        unseen = not self.temporary or self.conversation is None
        if to == BLANK and turn != self._latest and unseen and chat is self._aside.shown:
            self._put_aside()  # the person went elsewhere before there was anything to leave
        if turn is not None:
            self._show(opened, turn)
        else:
            self._spawn(self._look())
        return opened.conversation.id

    async def ask(self, text: str) -> None:
        """Send a prepared question, once however often it is clicked; what goes wrong is said in a notice."""
        if not self._sending.locked():
            with telling(self):
                await self.send(text)

    async def send_now(self, queued_id: str, *, asked: bool = True) -> None:
        """Send a waiting message at once, stopping the reply that is being written; see `until_fits` for `asked`."""
        here = self.conversation

        async def ask(anyway: bool) -> None:
            if here is not None:
                turn = self._turn()
                self._show(await self._chat.send_now(self._owner, here.id, queued_id, anyway=anyway), turn)

        await self._ask_fitting(ask, asked=asked)

    def _on_waiting(self, event: param.parameterized.Event) -> None:
        """Have the person decide about a message whose turn it is, and which is too long for the model."""
        before, now = event.old.too_long, event.new.too_long
        if before is not None and now != before:  # it was sent or removed, here or elsewhere
            self.fitting.dismiss()
        if now is not None and now != before:
            self._spawn(self.send_now(now, asked=False))

    async def _ask_fitting(
        self,
        ask: Callable[[bool], Coroutine[Any, Any, None]],
        switch: Callable[[str], Coroutine[Any, Any, None]] | None = None,
        *,
        asked: bool = True,
    ) -> None:
        """Ask for something; see `FittingState.until_fits`. What goes wrong is said in a notice."""
        with telling(self), contextlib.suppress(NotNowError):
            await self.fitting.until_fits(ask, switch, asked=asked)

    async def unqueue(self, queued_id: str, *, quietly: bool = False) -> bool:
        """Take a waiting message back, and say whether it was this that took it.

        Unless `quietly`, a notice says so, and its undo gives the text back.
        """
        queued = next((q for q in self.waiting.messages if q.id == queued_id), None)
        if self.conversation is None:
            return False
        with telling(self):
            await self._chat.unqueue(self._owner, self.conversation.id, queued_id)
            if queued is not None and not quietly:
                self.notice = Notice("Removed a message that was waiting.", undo=partial(self._refill, queued))
            return True
        return False

    async def _refill(self, queued: Queued) -> None:
        self.refill = Draft(queued.text, queued.attachments)

    async def attach(self, piece: Piece, to: str | None = None) -> Progress:
        """Take a piece of a file for a message to come; `to` as for `send`.

        Raises:
            PanelistError: the file is refused, or cannot be kept at the moment.
        """
        return await (await self._door(to)).attach(self._owner, piece)

    def stop(self, message_id: str | None = None) -> None:
        """End an answer that is being written, or all that are; what came is kept."""
        for id, run_id in self.runs.items():
            if message_id in {None, id}:
                self._chat.stop(self._owner, run_id)

    async def use(self, message_id: str) -> None:
        """Go on with one of the answers that stand side by side."""
        if self.conversation is not None:
            turn = self._turn()
            with telling(self):
                opened = await self._chat.choose(self._owner, self.conversation.id, message_id)
                await self.prepare(opened.path)
                self._show(opened, turn)

    def offered_by(self, choice: Choice | None) -> tuple[Parameter, ...]:
        """Return the options that a model's endpoint takes."""
        try:
            return offered(self._connections.get(choice.endpoint if choice else None))
        except PanelistError:
            return ()  # it is not set up any more

    async def retry(
        self, message_id: str, label: str | None = None, options: Options | None = None, *, beyond: bool = False
    ) -> None:
        """Have a question answered, beside the answers it has.

        With a `label` by this model, with `options` with these, and only this time; with `beyond` no budget stops it.
        """
        choice = next((choice for choice in self.choices if choice.label == label), None)
        if label is not None and choice is None:
            self.notice = Notice(f"{label} is not offered any more. Choose another model.", "error")
            return
        if self.conversation is None:
            return
        here, with_these = self.conversation.id, options

        async def switch(label: str) -> None:
            nonlocal with_these
            if with_these is None:
                await self.choose(label)
            elif (other := self.choice_of(label)) is not None:  # that, too, for this time alone
                with_these = dataclasses.replace(with_these, endpoint=other.endpoint, model=other.model)

        if choice is not None:
            with_these = dataclasses.replace(self.options, endpoint=choice.endpoint, model=choice.model)

        async def ask(anyway: bool) -> None:
            turn = self._turn()
            opened = await self._chat.retry(
                self._owner, here, message_id, options=with_these, beyond=beyond, anyway=anyway
            )
            self._show(opened, turn)

        await self._ask_fitting(ask, switch)

    async def fork(self, message_id: str) -> None:
        """Go on in a new conversation that begins like this one up to an answer; an undo in the notice comes back."""
        if self.conversation is None or self._forking:  # a double click is one fork
            return
        if self.temporary:
            self.notice = Notice("A temporary chat cannot be forked. Keep it first.", "error")
            return
        turn, here = self._turn(), self.conversation.id
        self._forking = True
        try:
            with telling(self):
                forked = await self._chat.fork(self._owner, here, message_id)
                await self.prepare(forked.path)
                self._show(forked, turn)
                undo = partial(self._unfork, forked.conversation, here)
                self.notice = Notice("This is a new conversation with the same beginning.", undo=undo)
        finally:
            self._forking = False

    async def _unfork(self, forked: Conversation, back_to: str) -> None:
        """Go back from a fork, and delete it unless something was said in it."""
        with telling(self):
            async with self.looking:  # a look in between would take it for deleted by somebody else
                now = await self._stored.open(self._owner, forked.id)
                untouched = now.conversation.head_id == forked.head_id and not now.waiting.messages
                if untouched:
                    await self._stored.catalogue.delete(self._owner, forked.id)
                if self.conversation is not None and self.conversation.id == forked.id:
                    await self.open(back_to)
                if untouched:
                    self.left = forked.id  # what was typed in it comes along
                await self.catalogue.refresh()

    async def edit(self, message_id: str, text: str, key: str) -> None:
        """Put a question differently, or an answer right; `key` is the browser's word for this request.

        Raises:
            NotNowError: it is too long for the model, and the person has decided against it.
            PanelistError: it was not stored, and why.
        """
        if self.conversation is None:
            raise NotFoundError("That conversation is not open any more. Copy your text if you need it.")
        here, followed = self.conversation.id, bool(self.path) and self.path[-1].id != message_id

        async def ask(anyway: bool) -> Opened:
            turn = self._turn()
            opened = await self._chat.edit(self._owner, here, message_id, text, request_key=key, anyway=anyway)
            await self.prepare(opened.path)
            self._show(opened, turn)
            return opened

        opened = await self.fitting.until_fits(ask)
        if followed and opened.path[-1].run_id is None and all(message.id != message_id for message in opened.path):
            undo = partial(self.show_version, message_id)
            self.notice = Notice("What followed the old answer is one version back.", undo=undo)

    async def go_on(self, message_id: str, *, beyond: bool = False) -> None:
        """Have an answer that was cut off or stopped continued in place."""
        here = self.conversation

        async def ask(anyway: bool) -> None:
            if here is not None:
                turn = self._turn()
                opened = await self._chat.go_on(self._owner, here.id, message_id, beyond=beyond, anyway=anyway)
                self._show(opened, turn)

        await self._ask_fitting(ask)

    async def drop_parameter(self, message_id: str, parameter: str) -> None:
        """Leave a refused request field out from now on, and ask again."""
        message = next((m for m in self.path if m.id == message_id), None)
        if message is not None and message.endpoint is not None:
            with telling(self):
                await self._connections.drop_parameter(message.endpoint, parameter)
            await self.retry(message_id)

    async def show_version(self, message_id: str) -> None:
        """Show another version of a message and what follows it."""
        if self.conversation is not None:
            turn = self._turn()
            with telling(self):
                opened = await self._chat.show_version(self._owner, self.conversation.id, message_id)
                await self.prepare(opened.path)
                self._show(opened, turn)

    async def message(self, message_id: str) -> Message | None:
        """Return a message of the open conversation, on whichever branch; None where it cannot be read."""
        if self.conversation is not None:
            with telling(self):
                return await self._chat.message(self._owner, self.conversation.id, message_id)
        return None

    async def choose(self, label: str) -> None:
        """Choose the model that answers next, by its label or by any name typed in."""
        label = clean_text(label).strip()
        if len(label) > MAX_MODEL:
            self.notice = Notice(f"A model's name has at most {MAX_MODEL} characters.", "error")
            label = ""
        if not label:
            self._update_choice()
            return
        choice = self.choice_of(label)
        if choice is not None:
            await self._choose(choice)

    def choice_of(self, label: str) -> Choice | None:
        """Return the model of a label, or of any name typed in; None for no name."""
        label = clean_text(label).strip()[:MAX_MODEL]
        if not label:
            return None
        choice = next((c for c in self.choices if label in (c.label, c.model)), None)
        if choice is None:
            model, _, endpoint = label.rpartition(" · ")
            if model and self._connections.knows(endpoint):
                return Choice(endpoint, model)
            choice = Choice(self.choice.endpoint if self.choice else self._connections.default.name, label)
        return choice

    async def _choose(self, choice: Choice) -> None:
        await self.set_options(dataclasses.replace(self.options, endpoint=choice.endpoint, model=choice.model))

    async def set_options(self, options: Options) -> None:
        """Ask with these from the next question on."""
        if self.conversation is None:
            self._choosing = options
            self._update_choice()
            return
        with telling(self):
            here = self.conversation
            await self._chat.set_options(self._owner, here.id, options)
            if self.conversation is not None and self.conversation.id == here.id:
                self.conversation = dataclasses.replace(self.conversation, options=options)
                self._update_choice()

    async def adopt(self, endpoint: str) -> None:
        """Answer with an endpoint that was just set up, from the open conversation's next question on."""
        self.first_run = self._connections.first_run
        try:
            models = await self._connections.models(endpoint)
        except ModelError:
            models = []  # it works without a list
        if models:
            await self._choose(Choice(endpoint, models[0]))
            self.notice = Notice(f"{models[0]} answers from now on.")
        else:
            self.notice = Notice(f"{endpoint} is set up. Type the name of one of its models.")
        self._spawn(self.refresh_models())

    async def refresh_models(self) -> None:
        """Ask every endpoint for its models, all at once; one that gives none is simply not offered."""
        self.first_run = self._connections.first_run
        listed: dict[str, tuple[Choice, ...]] = {}

        async def ask(endpoint: str) -> None:
            try:
                models = await self._connections.models(endpoint)
            except ModelError as error:
                log.info("no list of models from %s: %s", endpoint, error)
                return
            listed[endpoint] = tuple(Choice(endpoint, model) for model in models)
            self.choices = tuple(choice for name in names for choice in listed.get(name, ()))
            self._update_choice()

        names = [endpoint.name for endpoint in self._connections.endpoints()]
        await asyncio.gather(*map(ask, names))

    async def keep(self) -> None:
        """Make the temporary chat on show an ordinary conversation."""
        if self.conversation is None or not self.temporary:
            return
        here = self.conversation.id
        with telling(self):
            async with self._sending:  # what is sent behind it goes to what it has become
                kept = await self._aside.keep()
                self._unfollow()
                self.kept = here, kept
                await self.open(kept)
            self.notice = Notice("This chat is kept. It is in the list from now on.")
            await self.catalogue.refresh()

    def _leave_temporary(self) -> None:
        """Let a temporary chat that was on show go, and say how to come back to it."""
        if not self.temporary or self.conversation is None:
            return  # one in which nothing was said keeps the files of its draft
        self._put_aside()

    def _put_aside(self) -> None:
        self._aside.leave()

        async def come_back() -> None:
            with telling(self):
                await self.open(await self._aside.come_back())

        self.notice = Notice("The temporary chat is closed.", undo=come_back)

    # What follows keeps the parameters true; no view calls it.

    def _turn(self) -> int:
        """Begin an intent. What an earlier one has yet to show is then out of date."""
        self._latest += 1
        self._unread = None
        return self._latest

    def _show(self, opened: Opened, turn: int) -> None:
        if self._closed:
            return
        if turn != self._latest:
            self._spawn(self._look())  # whatever came later may have been refused
            return
        if not opened.path and not opened.whole:  # the message waits, and what the page shows of the rest is true
            self._unread = opened.conversation.id
            self._spawn(self._look_again())
            return
        self._unfollow(but=opened.runs.values())
        doing = {id: self._doing(id, run_id) for id, run_id in opened.runs.items()}
        path = opened.path
        if not opened.whole:  # what could not be read back is on the page already
            before = itertools.takewhile(lambda message: message.parent_id != path[0].parent_id, self.path)
            path = (*before, *path)
        temporary = is_temporary(opened.conversation.id)
        if not temporary:
            self._leave_temporary()
        with param.parameterized.batch_call_watchers(self):
            self.param.update(
                temporary=temporary,
                conversation=opened.conversation,
                folder=None,
                path=path,
                versions=opened.versions,
                together=opened.together,
                run_id=next(iter(opened.runs.values()), None),
                runs=opened.runs,
                waiting=opened.waiting,
            )
            self._tell_activities(doing)
        self._update_choice()
        for message_id, run_id in opened.runs.items():
            if run_id not in self._following:
                work = self._follow(opened.conversation.id, run_id, message_id)
                self._following[run_id] = asyncio.create_task(work, name=f"follow {run_id}")
        self.prices = {id: price for id, price in self.prices.items() if id not in opened.runs}  # they cost more then
        if not all(one.id in self.prices or one.id in opened.runs for one in opened.together):
            self._spawn(self._price(opened))
        if self._looked == turn:
            self._spawn(self._look())  # what was looked at during this intent may be newer than what it shows

    async def _price(self, opened: Opened) -> None:
        """Find out what the answers cost that stand side by side and have ended."""
        chat, found = self._chat, {}
        for one in opened.together:
            if one.usage is not None and one.id not in self.prices:
                with suppress(PanelistError):  # then nothing is said of it
                    price = (await chat.details.of(self._owner, opened.conversation.id, one.id)).price
                    if price is not None:
                        found[one.id] = price
        shown = {one.id for one in self.together}
        self.prices = {id: price for id, price in (self.prices | found).items() if id in shown}

    def _unfollow(self, but: Collection[str] = ()) -> None:
        for run_id in self._following.keys() - but:
            following = self._following.pop(run_id)
            if following is not asyncio.current_task():
                following.cancel()

    def _doing(self, message_id: str, run_id: str) -> str:
        known = run_id in self._following and run_id == self.runs.get(message_id)
        return self.activities.get(message_id, WAITING) if known else WAITING

    def _tell_activities(self, doing: dict[str, str]) -> None:
        self.param.update(activities=doing, activity=activity_of_all([*doing.values()], len(self.together)))

    async def _follow(self, conversation_id: str, run_id: str, message_id: str) -> None:
        """Show a run as it goes on, then its end as storage has it."""
        chat = self._chat
        try:
            now = asyncio.get_running_loop().time
            await self.drain(message_id)
            async for batch in chat.follow(self._owner, run_id):
                began = now()
                # Only text comes fast enough to be gathered; the rest is shown at once.
                if await self._apply(message_id, batch) and not isinstance(batch[-1].event, RunFinished):
                    await chat.pace.rest(began)
            await self.drain(message_id, final=True)
            opened = await chat.open(self._owner, conversation_id)
            ended = [one for one in (*opened.path[-1:], *opened.together[1:]) if one.id == message_id]
            if any(one.processed is not None for one in ended):
                await self.prepare(ended)  # it is not what was painted
        except NotFoundError:
            await self._leave(conversation_id)
        except Exception as error:  # the last wall: a page that waits for an end that nobody shows would be dead
            log.exception("following run %s failed", run_id)
            said = str(error) if isinstance(error, PanelistError) else "Showing the answer failed. Reload the page."
            self._unfollow()
            self._unread = conversation_id
            self._spawn(self._look_again())
            self.param.update(run_id=None, runs={}, activity="", activities={}, notice=Notice(said, "error"))
        else:
            if self._following.get(run_id) is asyncio.current_task():
                del self._following[run_id]
            if self.conversation is not None and self.conversation.id == conversation_id:
                self._show(opened, self._latest)

    async def _leave(self, conversation_id: str) -> None:
        """Go from a conversation that was deleted elsewhere."""
        if is_temporary(conversation_id):  # which nobody can delete: it is on its way out, or its server is
            return
        if self.conversation is not None and self.conversation.id == conversation_id:
            await self.open(None)
            self.left = conversation_id
            undo = partial(self.catalogue.restore, conversation_id, reopen=True)
            self.notice = Notice("That conversation was deleted.", undo=undo)

    async def _apply(self, message_id: str, batch: list[Numbered]) -> bool:
        """Show a batch of events; say whether there was text in it."""
        activity = self.activities.get(message_id, WAITING)
        for numbered in batch:
            activity = activity_of(numbered.event, activity)
        self._tell_activities(self.activities | {message_id: activity})
        last = batch[-1].event
        if isinstance(last, RetryScheduled):
            self._spawn(self._count_down(message_id, last))
        grown = delta_of(message_id, batch)
        if grown != Delta(message_id, "", ""):
            for portion in portions(grown):
                self.delta = portion
                await self.drain(message_id)
        return bool(grown.text or grown.reasoning)

    async def _count_down(self, message_id: str, retry: RetryScheduled) -> None:
        """Keep the seconds in the activity line true until something else happens."""
        said = self.activities.get(message_id)
        while self.activities.get(message_id) == said and retry.at > time.time():
            await asyncio.sleep(0.25)
            if self.activities.get(message_id) == said:
                said = retry_activity(retry)
                self._tell_activities(self.activities | {message_id: said})

    async def _listen(self, changes: AsyncGenerator[frozenset[str] | None]) -> None:
        seen = True
        async for changed in changes:  # a little later: what somebody waits for comes first
            try:
                seen = await self._look(changed if seen else None)  # what was missed is looked for with the next one
            except Exception:  # the last wall: a tab that hears nothing any more would be dead
                log.exception("a change could not be shown")
                seen = False
            if not seen:
                self._spawn(self._look_again())

    async def _look_again(self) -> None:
        """Look once more a little later: the end of trouble that was over before it was noticed rings for nobody."""
        await asyncio.sleep(LOOK_AGAIN_S)
        await self._look()

    async def _look(self, changed: frozenset[str] | None = None) -> bool:
        """Show what happened elsewhere, and say whether it could be read.

        `changed`: the conversations in which something did; None for all.
        """
        async with self.looking:
            self._looked = self._latest
            self.trouble, self.ending = self._stored.trouble, self._stored.ending
            self._tell_warnings()
            with telling(self):
                await self.catalogue.refresh()
                if self._unread is not None and self.trouble is None:
                    await self.open(self._unread)
                here = self.conversation
                if here is not None and (changed is None or here.id in changed):
                    try:
                        await self._catch_up()
                    except NotFoundError:
                        await self._leave(here.id)
                return True
        return False

    def _tell_warnings(self) -> None:
        """Say which mark of a budget was passed, and what was too much, since this was last asked."""
        sentences = []
        for place, warning in enumerate((self._stored.budgets.warned, self._stored.alerts.warned)):
            warned = warning(self._owner)
            if warned is not None and warned.number > self._warned[place]:
                self._warned[place] = warned.number
                sentences.append(warned.sentence)
        if sentences:
            self.notice = Notice(" ".join(sentences))

    async def _catch_up(self) -> None:
        """Show what another tab, or the end of an answer, did in the open conversation.

        Raises:
            NotFoundError: it was deleted.
        """
        here, turn = self.conversation, self._latest
        if here is not None and is_temporary(here.id):
            listed: Conversation | None = await self._chat.conversation(self._owner, here.id)
        else:
            listed = await self.catalogue.open_one()
        if here is None or listed is None or not self.path or self._sending.locked():
            return
        writing = self._chat.writing(self._owner, listed.id)
        changed = listed.updated_at != here.updated_at  # it may have been gone on with, and have ended, since
        unfollowed = not self._following.keys() >= set(writing) or (
            (bool(self.together) and changed)
            if self._following
            else (changed or any(one.status == "streaming" for one in (self.path[-1], *self.together)))
        )
        if listed.options != here.options and turn == self._latest:
            self.conversation = dataclasses.replace(here, options=listed.options)
            self._update_choice()
        if listed.head_id == self.path[-1].id and not unfollowed:
            waiting = await self._chat.waiting(self._owner, listed.id)
            if turn == self._latest:
                self.waiting = waiting
            return
        opened = await self._chat.open(self._owner, listed.id)
        await self.prepare((*opened.path, *opened.together[1:]))
        self._show(opened, turn)

    def _update_choice(self) -> None:
        options = self.conversation.options if self.conversation else self._choosing
        if self.conversation is None and self.folder is not None and options.model is None:
            known = {folder.id: folder for folder in self.catalogue.listing.folders}
            said = defaults_of(known, self.folder.id).options
            options = dataclasses.replace(options, endpoint=said.endpoint, model=said.model)
        default = self._connections.default
        endpoint = options.endpoint or default.name
        model = options.model or self._connections.known_default_model(endpoint)
        self.param.update(choice=Choice(endpoint, model) if model else None, options=options)

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        if self._closed:
            work.close()
            return
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


Prepare = Callable[[Sequence[Message]], Awaitable[None]]


async def _nothing_to_prepare(path: Sequence[Message]) -> None:
    """Stand in until a view says what it wants done, off the event loop, before a path is shown."""


StandAt = Callable[[str], Awaitable[None]]


async def _nowhere_to_stand(message_id: str) -> None:
    """Stand in until a view can show one message of the path."""


class Drain(Protocol):
    """Ends what a view has begun to show of an answer; `final`: there is no more of it."""

    async def __call__(self, message_id: str, *, final: bool = False) -> None: ...


async def _nothing_to_drain(message_id: str, *, final: bool = False) -> None:
    """Stand in until a view shows what a reply grows by."""
    await asyncio.sleep(0)
