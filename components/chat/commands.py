"""Commands of the text box: what a slash and a word do. Each does what a button does, by the same intent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypedDict

from components.chat.views import possible
from components.files import address_of_export
from components.notices import Notice
from components.state import ConversationState
from services.conversation import MAX_TITLE, Draft
from services.messages import Message

NOTHING_OPEN = "No conversation is open yet."
NO_ANSWER = "There is no answer yet."
WRITING = "An answer is being written."


class CommandView(TypedDict):
    """A command as the text box offers it."""

    name: str
    other: str
    """Another word for it; empty when there is none."""
    takes: str
    """What follows the word, in [brackets] where it may be left out; empty when nothing does."""
    about: str
    takes_away: bool
    """Whether it is done only when typed whole or chosen, not by the first letters of its word."""
    where: Literal["server", "page", "box"]
    """Who does it: this module, the page's own scripts, or nobody: it is a text to send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A word after a slash."""

    name: str
    about: str
    run: Callable[[str], Awaitable[None] | None] | None = None
    """Does it, given what followed the word; None where the page's own scripts do."""
    takes: str = ""
    other: str = ""
    takes_away: bool = False
    off: Callable[[], str] = lambda: ""


class Commands:
    """What can be done in one tab by typing it."""

    def __init__(
        self,
        state: ConversationState,
        *,
        on_connect: Callable[[], None],
        on_choose_model: Callable[[], None],
        on_theme: Callable[[str], None],
        on_help: Callable[[], None],
        on_options: Callable[[], None],
        on_budgets: Callable[[], None],
        on_keys: Callable[[], None],
        on_details: Callable[[str], None],
        on_trash: Callable[[], None],
        on_usage: Callable[[], None],
        on_alerts: Callable[[], None],
        on_map: Callable[[], None],
        on_download: Callable[[str], None],
        on_import: Callable[[], None],
        on_share: Callable[[], None],
    ) -> None:
        self._state = state
        self._on_download = on_download
        self._on_choose_model = on_choose_model
        self._on_details = on_details
        self._on_theme = on_theme
        self._all = (
            Command(name="new", about="Begin a new chat"),
            Command(
                name="model", takes="[name]", about="Choose the model, here or by its name", run=self._choose_model
            ),
            Command(
                name="options",
                about="Set temperature, length and other options of this conversation",
                run=lambda _: on_options(),
            ),
            Command(
                name="stop",
                about="Stop the answer",
                run=lambda _: state.stop(),
                takes_away=True,
                off=self._nothing_to_stop,
            ),
            Command(
                name="retry",
                other="regenerate",
                about="Answer the last question once more",
                run=self._retry,
                off=lambda: "" if self._unanswered else self._cannot({"retry", "regenerate"}, "It has no answer."),
            ),
            Command(name="edit", about="Put the last question differently", off=self._no_question),
            Command(
                name="continue",
                about="Go on with an answer that did not finish",
                run=self._go_on,
                off=lambda: self._cannot({"continue"}, "The last answer is finished, or has not begun."),
            ),
            Command(
                name="fork",
                about="Go on in a new chat with the same beginning",
                run=self._fork,
                off=lambda: (
                    "A temporary chat cannot be forked. Keep it first."
                    if state.temporary
                    else self._cannot({"fork"}, "The last answer is not finished.")
                ),
            ),
            Command(
                name="copy",
                about="Copy the last answer",
                off=lambda: self._cannot({"copy"}, "The last answer is empty."),
            ),
            Command(
                name="details",
                about="See how the last answer was written: model, tokens, time, price",
                run=self._details,
                off=lambda: "" if self._last else NO_ANSWER,
            ),
            Command(
                name="map", about="See all branches of this conversation", run=lambda _: on_map(), off=self._closed
            ),
            Command(name="outline", about="Show the questions and headings", off=self._no_outline),
            Command(
                name="rename",
                takes="title",
                about="Give this conversation a title",
                run=self._rename,
                off=self._unlisted,
            ),
            Command(
                name="delete",
                about="Delete this conversation (with undo)",
                run=self._delete,
                takes_away=True,
                off=self._unlisted,
            ),
            Command(name="pin", about="Keep this conversation at the top of the list", run=self._pin, off=self._closed),
            Command(
                name="archive",
                about="Put this conversation away from the list, or back",
                run=self._archive,
                takes_away=True,
                off=self._closed,
            ),
            Command(name="tag", takes="tags", about="Put tags on this conversation", run=self._tag, off=self._closed),
            Command(
                name="move",
                takes="[folder]",
                about="Put this conversation into a folder, or out of any",
                run=self._move,
                takes_away=True,
                off=self._closed,
            ),
            Command(
                name="budget",
                other="budgets",
                about="Set what may be spent, and see what is left of it",
                run=lambda _: on_budgets(),
            ),
            Command(
                name="usage",
                other="stats",
                about="See what was spent, how many tokens, how fast answers came",
                run=lambda _: on_usage(),
            ),
            Command(
                name="alerts",
                other="alert",
                about="Be told when something costs, fails or takes too much",
                run=lambda _: on_alerts(),
            ),
            Command(name="trash", about="See what was deleted", run=lambda _: on_trash()),
            Command(name="temporary", about="Begin a chat that is never saved"),
            Command(
                name="keep", about="Keep this temporary chat", run=lambda _: state.keep(), off=self._nothing_to_keep
            ),
            Command(
                name="export",
                takes="[all] [markdown, html, notebook or json]",
                about="Download this conversation, or all of them",
                run=self._export,
            ),
            Command(
                name="share",
                about="Make a page of chosen messages, to give to somebody",
                run=lambda _: on_share(),
                off=self._closed,
            ),
            Command(name="import", about="Bring conversations in from a file", run=lambda _: on_import()),
            Command(
                name="theme", takes="[light or dark]", about="Change between light and dark", run=self._choose_theme
            ),
            Command(name="connect", about="Connect a model", run=lambda _: on_connect()),
            Command(
                name="keys",
                about="See how old the keys of endpoints are; check and change them",
                run=lambda _: on_keys(),
            ),
            Command(name="help", about="Show the keyboard shortcuts", run=lambda _: on_help()),
        )

    def views(self) -> list[CommandView]:
        """Return what the text box offers: the commands, and the questions that the endpoint knows."""
        own = [
            CommandView(
                name=f"/{command.name}",
                other=f"/{command.other}" if command.other else "",
                takes=command.takes,
                about=command.about,
                takes_away=command.takes_away,
                where="page" if command.run is None else "server",
            )
            for command in self._all
        ]
        return own + [
            CommandView(name=text, other="", takes="", about=f"Demo: {about}", takes_away=False, where="box")
            for text, about in self._state.known_questions
        ]

    def cannot(self) -> list[list[str]]:
        """Return the names of the commands that cannot be done now, each with the reason."""
        return [[f"/{command.name}", why] for command in self._all if (why := command.off())]

    async def run(self, name: str, argument: str, conversation_id: str | None) -> None:
        """Do what a command says, unless it cannot be done in the conversation it was typed in.

        What was typed behind it comes back into the text box when it was not done.
        """
        command = next((command for command in self._all if f"/{command.name}" == name), None)
        if command is None or command.run is None:
            return
        state = self._state
        said = state.notice
        here = state.conversation.id if state.conversation else None
        why = "The page was on its way to another conversation." if conversation_id != here else command.off()
        if why:
            self._refuse(name, why)
        elif (done := command.run(argument)) is not None:
            await done
        if argument and state.notice is not None and state.notice is not said and state.notice.kind == "error":
            state.refill = Draft(f"{name} {argument}")

    def choose_model(self) -> None:
        """Put the keyboard into the model picker."""
        self._on_choose_model()

    def _refuse(self, name: str, why: str) -> None:
        self._state.notice = Notice(f"{name} was not done. {why}", "error")

    @property
    def _last(self) -> Message | None:
        path = self._state.path
        return path[-1] if path and path[-1].role == "assistant" else None

    @property
    def _unanswered(self) -> Message | None:
        """The question that the conversation ends with, such as a copied one."""
        path = self._state.path
        return path[-1] if path and path[-1].role == "user" else None

    def _unlisted(self) -> str:
        if self._state.temporary:
            return "A temporary chat is not in the list. Keep it first, or leave it with /new."
        return self._closed()

    def _nothing_to_keep(self) -> str:
        return self._closed() if self._state.temporary else "This chat is no temporary one."

    def _closed(self) -> str:
        return "" if self._state.conversation else NOTHING_OPEN

    def _nothing_to_stop(self) -> str:
        return "" if self._state.run_id else "No answer is being written."

    def _no_question(self) -> str:
        return WRITING if self._state.run_id else "" if self._state.path else NOTHING_OPEN

    def _no_outline(self) -> str:
        asked = sum(message.role == "user" for message in self._state.path)
        return "" if asked > 1 else "It begins with the second question."

    def _cannot(self, any_of: set[str], otherwise: str) -> str:
        """Return why the last answer has none of these actions; empty when it has one."""
        last = self._last
        if last is None:
            return NO_ANSWER
        if self._state.run_id is not None or last.status == "streaming":
            return WRITING
        return "" if possible(last) & any_of else otherwise

    async def _retry(self, _: str) -> None:
        last = self._unanswered or self._last
        if last is not None:
            await self._state.retry(last.id)

    async def _go_on(self, _: str) -> None:
        if self._last is not None:
            await self._state.go_on(self._last.id)

    async def _fork(self, _: str) -> None:
        if self._last is not None:
            await self._state.fork(self._last.id)

    def _details(self, _: str) -> None:
        if self._last is not None:
            self._on_details(self._last.id)

    async def _rename(self, title: str) -> None:
        if len(title) > MAX_TITLE:
            self._refuse("/rename", f"A title has at most {MAX_TITLE} characters.")
        elif self._state.conversation is not None:
            await self._state.catalogue.rename(self._state.conversation.id, title)

    async def _delete(self, _: str) -> None:
        if self._state.conversation is not None:
            await self._state.catalogue.delete(self._state.conversation.id)

    async def _pin(self, _: str) -> None:
        here = await self._state.catalogue.open_one()
        if here is not None:
            await self._state.catalogue.pin([here.id], here.pinned_at is None)

    async def _archive(self, _: str) -> None:
        here = await self._state.catalogue.open_one()
        if here is not None:
            await self._state.catalogue.archive([here.id], here.archived_at is None)

    async def _tag(self, tags: str) -> None:
        if self._state.conversation is not None:
            await self._state.catalogue.tag([self._state.conversation.id], tags.replace(",", " ").split())

    async def _move(self, name: str) -> None:
        catalogue = self._state.catalogue
        named = [one for one in catalogue.listing.folders if one.name.casefold() == name.strip().casefold()]
        if name and len(named) != 1:
            why = "There are several folders of that name." if named else "There is no folder of that name."
            self._refuse("/move", f"{why} Choose one with Move to… in the list.")
        elif self._state.conversation is not None:
            await catalogue.move([self._state.conversation.id], named[0].id if named else None)

    def _export(self, what: str) -> None:
        here = self._state.conversation
        match what.lower().split() or ["markdown"]:
            case ["all"]:
                self._on_download(address_of_export("json"))
            case ["all", "markdown" | "html" | "notebook" | "json" as kind]:
                self._on_download(address_of_export(kind))
            case ["markdown" | "html" | "notebook" | "json" as kind] if here is not None:
                self._on_download(address_of_export(kind, here.id))
            case ["markdown" | "html" | "notebook" | "json"]:
                self._refuse("/export", f"{NOTHING_OPEN} All of them come with /export all.")
            case _:
                self._refuse(
                    "/export", "It takes markdown, html, notebook or json, as in /export html or /export all html."
                )

    async def _choose_model(self, name: str) -> None:
        if not name:
            self._on_choose_model()
            return
        if " " in name and not any(name in (known.label, known.model) for known in self._state.choices):
            self._refuse("/model", "No model of that name is known. Type its name without spaces, or choose it above.")
            return
        await self._state.choose(name)
        chosen = self._state.choice
        if chosen is not None and name in (chosen.label, chosen.model):
            self._state.notice = Notice(f"{chosen.model} answers from now on.")

    def _choose_theme(self, name: str) -> None:
        match name.lower():
            case "" | "light" | "dark" as theme:
                self._on_theme(theme)
            case _:
                self._refuse("/theme", "A theme is light or dark, as in /theme dark.")
