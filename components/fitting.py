"""How long the next question of one tab is for its model, and what a person does when it is too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

import param

from components.notices import Notice, telling
from services.conversation import Conversation
from services.errors import InputError, PanelistError
from services.estimates import Estimate
from services.fitting import Asking, Choices, Fitting, Progress, Shortened, TooLongError
from services.folders import Folder
from services.options import Options

T = TypeVar("T")

Draft = tuple[str, Sequence[tuple[str, str]]]
"""A text, and hash and name of each file that goes with it."""

How = Literal["trim", "summarise"]


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be done about something that is too long and waits for a decision."""

    choices: Choices
    labels: dict[tuple[str, str], str]
    """Of the larger models, by endpoint and name."""
    why: str = ""
    """Why what was chosen before was not done."""
    asked: bool = True
    """Whether the person has just asked for it, and is where that was asked for."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person chose."""

    how: How | Literal["anyway", "model", "picker", "no"]
    model: str | None = None
    """The label of the one to switch to."""


class NotNowError(Exception):
    """The person has decided against it, or has gone elsewhere. There is nothing to be told of that."""


class Model(Protocol):
    """A model of an endpoint."""

    @property
    def endpoint(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def label(self) -> str: ...


class Tab(Protocol):
    """What is to be known of the tab."""

    conversation: Conversation | None
    folder: Folder | None
    options: Options
    notice: Notice | None

    @property
    def choices(self) -> Sequence[Model]:
        """The models that can be chosen."""

    async def open(self, conversation_id: str | None) -> None:
        """Show a conversation, or a new, empty one for None."""

    async def retry(self, message_id: str) -> None:
        """Have a question answered once more."""

    async def choose(self, label: str) -> None:
        """Choose the model that answers next."""


class FittingState(param.Parameterized):
    """Measures drafts, and makes conversations shorter. One summary at a time is written for a tab."""

    progress: Progress | None = param.Parameter(default=None, doc="How far a summary has come that is written.")  # type: ignore[assignment]

    offer: Offer | None = param.Parameter(default=None, doc="What is to be decided about something too long.")  # type: ignore[assignment]

    def __init__(self, door: Callable[[], Fitting], owner: str, tab: Tab, **params: Any) -> None:
        """Take what returns the door to the open conversation."""
        super().__init__(**params)
        self._door = door
        self._owner = owner
        self._tab = tab
        self._writing: asyncio.Task[Shortened] | None = None
        self._deciding: asyncio.Future[Decision] | None = None

    async def estimate(self, draft: Draft) -> Estimate:
        """Return about how many tokens would be sent with a draft; PanelistError when nobody can say."""
        return await self._door().estimate(self._owner, self._asking(draft))

    async def choices(self, draft: Draft) -> tuple[Choices, dict[tuple[str, str], str]]:
        """Return what can be done when a draft is too long, and the labels of larger models by endpoint and name.

        Raises:
            PanelistError: nobody can say.
        """
        return await self._choices(self._asking(draft))

    async def _choices(self, asking: Asking) -> tuple[Choices, dict[tuple[str, str], str]]:
        models = {(one.endpoint, one.model): one.label for one in self._tab.choices}
        return await self._door().choices(self._owner, asking, list(models)), models

    async def until_fits(
        self,
        ask: Callable[[bool], Coroutine[Any, Any, T]],
        switch: Callable[[str], Coroutine[Any, Any, None]] | None = None,
        *,
        asked: bool = True,
    ) -> T:
        """Ask for something, and where that is too long have the person decide, until it is asked for or given up.

        Args:
            ask: Asks for it; told whether to do so although it is too long.
            switch: Has the model of a label answer; the conversation's is changed without.
            asked: Whether the person has just asked for it; else the keyboard stays where it is.

        Raises:
            NotNowError: it was given up; nothing was changed.
            PanelistError: as `ask`.
        """
        anyway = False
        while True:
            try:
                return await ask(anyway)
            except TooLongError as error:
                decided = await self._decided(error.asking, asked=asked)
                if decided.how == "model" and decided.model is not None:
                    await (switch or self._tab.choose)(decided.model)
                anyway = decided.how == "anyway"

    async def _decided(self, asking: Asking, *, asked: bool) -> Decision:
        """Return what the person wants to be done, when it is done; where that fails another choice is offered."""
        self.dismiss()
        why = ""
        deciding: asyncio.Future[Decision] | None = None
        try:
            while True:
                choices, labels = await self._choices(asking)
                if asking.go_on is not None:  # no other model goes on with an answer
                    choices = replace(choices, larger=())
                deciding = self._deciding = asyncio.get_running_loop().create_future()
                self.offer = Offer(choices, labels, why, asked or bool(why))
                decided = await deciding
                if decided.how in {"no", "picker"}:
                    raise NotNowError
                try:
                    match decided.how:
                        case "trim" | "summarise" as how:
                            await self._fit(asking, how)
                except PanelistError as error:
                    why = str(error)
                    continue
                if self._here != asking.conversation_id:
                    raise NotNowError
                return decided
        finally:
            if self._deciding is deciding:
                self._deciding = self.offer = None

    def decide(self, decision: Decision) -> None:
        """Take what a person chose of the offer; one that nothing waits for any more does nothing."""
        if self._deciding is not None and not self._deciding.done():
            self._deciding.set_result(decision)

    def dismiss(self) -> None:
        """Give up what waits for a decision: the person has gone on to something else."""
        self.decide(Decision("no"))

    async def fit(self, draft: Draft, how: How) -> None:
        """Make the conversation so much shorter that a draft fits, with an undo in the notice.

        Raises:
            PanelistError: it could not be made shorter, and why.
        """
        await self._fit(self._asking(draft), how)

    async def fit_answer(self, message_id: str, how: How) -> None:
        """Make the conversation shorter for an answer that failed, and ask for it once more."""
        if self._tab.conversation is None:
            return
        with telling(self._tab):
            here = self._tab.conversation.id
            await self._fit(Asking(conversation_id=here, again=message_id, options=self._tab.options), how)
            if self._here == here:
                await self._tab.retry(message_id)

    async def tell_all(self, message_id: str) -> None:
        """Let the model be told again what is above a message and this itself, with an undo in the notice."""
        here = self._here
        if here is None:
            return
        with telling(self._tab):
            door = self._door()
            done = await door.tell_all(self._owner, here, message_id)
            await self._reopen(here)
            self._tab.notice = Notice("Messages above are sent again.", undo=partial(self._undo, door, done))

    def stop(self) -> None:
        """Stop the summary that is being written; nothing is changed then."""
        if self._writing is not None:
            self._writing.cancel()

    @property
    def _here(self) -> str | None:
        return self._tab.conversation.id if self._tab.conversation is not None else None

    def _asking(self, draft: Draft) -> Asking:
        text, files = draft
        folder = self._tab.folder
        return Asking(
            conversation_id=self._here,
            text=text,
            attachments=tuple(files),
            options=self._tab.options,
            folder_id=folder.id if folder is not None else None,
        )

    async def _fit(self, asking: Asking, how: How) -> None:
        door = self._door()  # also for the undo: what is open then may be behind another one
        if how == "trim":
            done = await door.trim(self._owner, asking)
            said = f"The oldest {_messages(done.count)} not sent any more."
        else:
            done = await self._write(door.summarise(self._owner, asking, self._tell))
            said = f"The oldest {_messages(done.count)} told as a summary from now on."
        await self._reopen(done.conversation_id)
        self._tab.notice = Notice(said, undo=partial(self._undo, door, done))

    async def _write(self, work: Coroutine[Any, Any, Shortened]) -> Shortened:
        if self._writing is not None:
            work.close()
            raise InputError("A summary is being written already. Wait for its end, or stop it first.")
        writing = self._writing = asyncio.create_task(work)
        try:
            return await writing
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # the tab is closed
                writing.cancel()
                raise
            raise InputError("The summary was stopped, and nothing was changed.") from None
        finally:
            self._writing = None
            self.progress = None

    def _tell(self, progress: Progress) -> None:
        self.progress = progress

    async def _undo(self, door: Fitting, done: Shortened) -> None:
        with telling(self._tab):
            await door.undo(self._owner, done)
            await self._reopen(done.conversation_id)

    async def _reopen(self, conversation_id: str) -> None:
        """Show the conversation as it is now, unless the person has gone elsewhere."""
        if self._here == conversation_id:
            await self._tab.open(conversation_id)


def _messages(count: int) -> str:
    return "message is" if count == 1 else f"{count:,} messages are"
