"""The conversation on show: one component that gets its messages as data."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import param
from panel.models.esm import DataEvent

from components.chat.streaming import StreamingMarkdown
from components.chat.views import CHIPS, answer_html, empty_view, message_view, outline_of, possible
from components.deltas import Delta
from components.diagrams import ADDRESSES
from components.files import serve_here
from components.notices import Notice
from components.scripts import ScriptComponent, joined
from components.state import ConversationState
from services.conversation import Versions, remembers_from
from services.errors import PanelistError
from services.messages import Message
from services.render import MARKDOWN_CSS

log = logging.getLogger(__name__)

_HERE = Path(__file__).parent

WINDOW = 40
"""Messages that are sent at first and with each "Show earlier messages"."""

REACH = 400
"""Messages that are sent to get to where a reader left off; whoever was further up begins at the end."""

PARTS = (
    "places",
    "scrolling",
    "outline",
    "announcing",
    "code",
    "tables",
    "copying",
    "diagrams",
    "attached",
    "editing",
    "processed",
    "transcript",
)
SCRIPT = joined(_HERE, *PARTS)
PLACES = (_HERE / "places.js").read_text("utf-8")
STYLES = [
    MARKDOWN_CSS,
    *((_HERE / f"{part}.css").read_text("utf-8") for part in ("transcript", "attached")),
]
"""What the first view needs, too."""
ALL_STYLES = [*STYLES, *((_HERE / f"{part}.css").read_text("utf-8") for part in ("live", "scrolling", "editing"))]


async def prepare_window(path: Sequence[Message]) -> None:
    """Render the end of a path in a thread: a window of long answers takes longer than the loop may wait."""
    await _prepare(path[-WINDOW:])


async def _prepare(shown: Sequence[Message]) -> None:
    texts = [m.text for m in shown if m.role == "assistant"]
    texts += [m.memory.summary for m in shown if m.memory is not None and m.memory.summary is not None]
    await asyncio.to_thread(lambda: [answer_html(text) for text in texts])


class _Sent(NamedTuple):
    """All that a message's view is made of."""

    message: Message
    versions: Versions | None
    first: bool
    remembers: bool


class Transcript(ScriptComponent):
    """Follows the state's path: sends what changed of it, and paints the reply being written."""

    dark: bool = param.Boolean(default=False)  # type: ignore[assignment]

    _esm = SCRIPT
    _stylesheets = ALL_STYLES
    _constants: ClassVar[dict[str, Any]] = {"diagrams": ADDRESSES}

    def __init__(
        self,
        state: ConversationState,
        on_connect: Callable[[], None],
        on_choose_model: Callable[[], None],
        on_compare: Callable[[Versions | str], None],
        on_details: Callable[[str], None],
        on_options: Callable[[str], None],
        on_map: Callable[[], None],
        on_share: Callable[[], None],
        on_screen: Callable[[bool, bool], None],
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.on_msg(self._on_message)
        self._state = state
        self._on_connect = on_connect
        self._on_choose_model = on_choose_model
        self._on_compare = on_compare
        self._on_details = on_details
        self._on_options = on_options
        self._on_map = on_map
        self._on_share = on_share
        self._on_screen = on_screen
        self._ready = False
        self._shown: str | None = None
        self._sent: dict[str, _Sent] = {}
        self._first = 0  # index in the path of the first message that is on the page
        self._reply: StreamingMarkdown | None = None
        self._paint: Iterator[list[Any]] = iter(())  # that which is under way, in steps
        self._earlier = ""
        state.param.watch(self._on_path, ["path", "versions", "first_run", "temporary"])
        state.param.watch(self._on_address, "conversation")
        state.param.watch(self._on_delta, "delta", onlychanged=False)
        state.param.watch(lambda event: self._tell({"type": "activity", "text": event.new}), "activity")
        state.param.watch(self._on_notice, "notice", onlychanged=False)
        state.param.watch(self._on_trouble, ["trouble", "ending"])
        state.param.watch(self._on_choices, "choices")
        state.prepare = self._prepare
        state.drain = self._drain
        state.stand_at = self._stand_at

    def _tell(self, message: dict[str, Any] | list[Any]) -> None:
        if not self._ready:
            return
        if isinstance(message, list):
            self.say(message)
        else:
            self.tell(message)

    def _on_path(self, *_: object) -> None:
        here = self._state.conversation.id if self._state.conversation else None
        begun = self._shown is None and not self._sent and 0 < len(self._state.path) <= 2
        if here != self._shown and not begun:
            self._show_all()
        else:
            self._shown = here
            self._patch()

    def _show_all(self) -> None:
        """Send the conversation afresh: it was opened, or the page was (re)built."""
        self._shown = self._state.conversation.id if self._state.conversation else None
        self._sent = {}
        self._reply = None
        self._paint = iter(())
        self._first = max(0, len(self._state.path) - WINDOW)
        self._patch("show")

    async def _prepare(self, path: Sequence[Message]) -> None:
        """Prepare what will be shown of a path."""
        first = max(0, len(path) - WINDOW)
        if path and path[0].conversation_id == self._shown:
            first = min(first, self._first)  # another version stays where its reader is, whatever follows it
        await _prepare(path[first:])

    def _patch(self, kind: str = "patch") -> None:
        """Send the messages that are not on the page as they should be."""
        state = self._state
        self._first = min(self._first, max(0, len(state.path) - 1))
        window = state.path[self._first :]
        remembers = remembers_from(state.path)
        now = {
            message.id: _Sent(message, state.versions.get(message.id), place < 2, message is remembers)
            for place, message in enumerate(window, self._first)
        }
        self._earlier = ""
        changed = [self._view(entry) for id, entry in now.items() if self._sent.get(id) != entry]
        added = [message for message in window if message.id not in self._sent]
        self._sent = now
        self._tell(
            {
                "type": kind,
                "conversation": self._shown,
                "order": list(now),
                "set": changed,
                "more": self._first > 0,
                "questions": sum(message.role == "user" for message in state.path),
                "mine": any(message.status == "streaming" for message in added),
                "empty": empty_view(state.first_run, temporary=state.temporary) if not window else None,
            }
        )
        if self._reply is not None and self._earlier:
            self._begin(self._reply.paint(Delta(self._reply.message_id, "", self._earlier)))

    def _view(self, sent: _Sent) -> dict[str, Any]:
        message, reply = sent.message, self._reply
        view = partial(message_view, message, sent.versions, first=sent.first, remembers=sent.remembers)
        if reply is not None and reply.message_id == message.id and message.status != "streaming":
            self._reply = None
            if not reply.finished:
                self._begin(reply.finish())
            self._end()
            self._tell({"type": "settle", "id": message.id})
            return view(painted=reply.shows(message.text))
        if message.status != "streaming":
            return view()
        # A run is followed from its first word; what an earlier one wrote into this message comes before it.
        self._reply = StreamingMarkdown(message.id)
        self._paint = iter(())
        self._earlier = message.text
        return {**view(painted=True), "html": ""}

    def _begin(self, paint: Iterator[list[Any]]) -> None:
        """Do the first step of a paint, which mostly is the only one; `_drain` does the others."""
        self._end()
        self._paint = paint
        self._step()

    def _step(self) -> bool:
        """Do one step of the paint that is under way; say whether there was any."""
        done = next(self._paint, None)
        if done:
            self._tell(done)
        return done is not None

    def _end(self) -> None:
        while self._step():
            pass

    async def _drain(self, *, final: bool = False) -> None:
        """End the paint that is under way, others having their turn between its steps; with `final` the last one."""
        await asyncio.sleep(0)  # to paint all that a page missed which comes late would hold up the others
        for _ in iter(self._step, False):
            await asyncio.sleep(0)
        reply = self._reply
        if final and reply is not None and not reply.finished:
            self._begin(reply.finish())
            await self._drain()
            if reply.defines:
                await asyncio.to_thread(answer_html, reply.text)

    def _on_address(self, *_: object, **more: int) -> None:
        here = None if self._state.temporary else self._state.conversation  # the browser keeps addresses and titles
        self._tell({"type": "address", "id": here.id if here else None, "title": here.title if here else None, **more})

    def _on_choices(self, *_: object) -> None:
        self._tell({"type": "models", "labels": [choice.label for choice in self._state.choices]})

    def _on_delta(self, event: param.parameterized.Event) -> None:
        reply = self._reply
        if reply is None or reply.finished or event.new is None:
            return
        if reply.message_id == event.new.message_id:
            self._begin(reply.paint(event.new))

    def _on_notice(self, event: param.parameterized.Event) -> None:
        if event.new is not None:
            self._tell_notice(event.new)

    def _tell_notice(self, notice: Notice) -> None:
        undo = notice.mark if notice.undo is not None else None
        self._tell({"type": "notice", "text": notice.text, "kind": notice.kind, "undo": undo})

    def _on_trouble(self, *_: object) -> None:
        trouble = self._state.trouble
        said = f"{trouble} Reading goes on, and answers are kept until they can be saved." if trouble else None
        if self._state.ending:
            said = "Panelist is shutting down. Your draft is kept, and this page comes back by itself."
        self._tell({"type": "trouble", "text": said})

    async def _on_message(self, event: DataEvent) -> None:
        match event.data:
            case {"type": "ready", "dark": bool(dark), "narrow": bool(narrow)}:
                self._on_screen(dark, narrow)
                await self._on_ready()
            case {"type": "ping"}:
                self._tell({"type": "pong"})
            case {"type": "older"}:
                await self._show_earlier()
            case {"type": "reach", "id": str(id), **more}:
                await self._reach(id, far=more.get("far") is True)
            case {"type": "outline"}:
                self._tell({"type": "outline", "items": outline_of(self._state.path)})
            case {"type": "copy", "id": str(id)} if message := self._message(id):
                self.tell({"type": "copied", "id": id, "text": message.text})
            case {"type": "all", "id": str(id)} if id in self._sent:
                view = message_view(**self._sent[id]._asdict(), whole=True)
                self._tell(
                    {
                        "type": "patch",
                        "conversation": self._shown,
                        "order": list(self._sent),
                        "set": [view],
                        "more": self._first > 0,
                    }
                )
            case {"type": "fit" | "tell_all"}:
                await self._on_fit(event.data)
            case {"type": "compare" | "changed" | "details" | "options" | "map" | "connect"}:
                self._on_dialog(event.data)
            case {"type": "step", "id": str(id), "step": str(step), "parameter": parameter}:
                await self._on_step(id, step, parameter)
            case _:
                await self._on_intent(event.data)

    def _on_dialog(self, data: object) -> None:
        match data:
            case {"type": "compare", "id": str(id)} if versions := self._state.versions.get(id):
                self._on_compare(versions)
            case {"type": "details", "id": str(id)} if self._message(id):
                self._on_details(id)
            case {"type": "changed", "id": str(id)} if (message := self._message(id)) and message.processed:
                self._on_compare(id)
            case {"type": "options", "id": str(id)} if self._message(id):
                self._on_options(id)
            case {"type": "map"} if self._state.conversation is not None:
                self._on_map()
            case {"type": "connect"}:
                self._on_connect()

    async def _on_intent(self, data: object) -> None:
        """Pass on what a person wants to the state. What is none of ours does nothing."""
        state = self._state
        match data:
            case {"type": "open", "id": str() | None as id, "back": int(back)}:
                if id is None or state.conversation is None or state.conversation.id != id:
                    await state.open(id)
                self._on_address(back=back)
            case {"type": "retry", "id": str(id), **more}:
                model = more.get("model")
                await state.retry(id, model if isinstance(model, str) else None)
            case {"type": "raw", "id": str(id), "raw": bool(raw)} if self._message(id):
                await state.processing.show(id, raw=raw)
            case {"type": "share"}:
                self._on_share()
            case {"type": "fork", "id": str(id)}:
                await state.fork(id)
            case {"type": "continue", "id": str(id)}:
                await state.go_on(id)
            case {"type": "version", "id": str(id)}:
                await state.show_version(id)
            case {"type": "undo", "mark": str(mark)} if (
                (notice := state.notice) and notice.mark == mark and notice.undo
            ):
                await notice.undo()
            case {"type": "edit", "id": str(id), "text": str(text), "key": str(key)}:
                await self._on_edit(id, text, key)
            case {"type": "chip", "text": str(text)} if text in CHIPS and not state.path:
                await state.ask(text)

    async def _on_fit(self, data: object) -> None:
        """Do what concerns how much of the conversation the model is told."""
        match data:
            case {"type": "tell_all", "id": str(id)}:
                await self._state.fitting.tell_all(id)
            case {"how": "picker"}:
                self._on_choose_model()
            case {"id": str(id), "how": "trim" | "summarise" as how}:
                await self._state.fitting.fit_answer(id, how)

    async def _on_edit(self, message_id: str, text: str, key: str) -> None:
        why = None
        try:
            await self._state.edit(message_id, text, key)
        except PanelistError as error:
            why = str(error)
        except Exception:  # the last wall: the page waits for a word
            log.exception("an edit could not be stored")
            why = "Something unforeseen went wrong in Panelist; its log says more. Your text is still here."
        self.tell({"type": "edited", "id": message_id, "refused": why})

    async def _on_ready(self) -> None:
        """The page is there, for the first time or again: give it everything, from the first word of a reply."""
        serve_here()
        self._ready = False  # what a new page has not got yet cannot be patched
        if self._state.run_id is not None:
            await self._state.reopen()
        else:
            await prepare_window(self._state.path)
        self._ready = True
        self._show_all()
        self._on_address()
        self._on_choices()
        self._on_trouble()
        self._tell({"type": "activity", "text": self._state.activity})
        if self._state.notice is not None:  # it may have been said before the page could hear it
            self._tell_notice(self._state.notice)

    async def _show_earlier(self) -> None:
        """Send one more window of messages, upwards."""
        here, first = self._shown, max(0, self._first - WINDOW)
        await _prepare(self._state.path[first : self._first])
        if here == self._shown:
            self._first = min(self._first, first)
            self._patch()

    async def _reach(self, message_id: str, *, far: bool) -> None:
        """Send earlier messages, a window at a time, until one of them is on the page; unless `far`, not too many."""
        here, path = self._shown, self._state.path
        index = next((i for i, message in enumerate(path) if message.id == message_id), None)
        if index is not None and (far or index >= len(path) - REACH):
            while self._first > index and here == self._shown and path[0] == self._state.path[0]:
                await self._show_earlier()
        if here == self._shown:
            self._tell({"type": "reached", "id": message_id})

    async def _stand_at(self, message_id: str) -> None:
        """Show a message of the path at the top of the view."""
        await self._reach(message_id, far=True)
        self._tell({"type": "stand", "id": message_id})

    async def _on_step(self, message_id: str, step: str, parameter: object) -> None:
        message = self._message(message_id)
        match step:
            case "retry":
                await self._state.retry(message_id)
            case "spend" if message is not None and "continue" in possible(message):
                await self._state.go_on(message_id, beyond=True)
            case "spend":
                await self._state.retry(message_id, beyond=True)
            case "add_key" | "check_endpoint":
                self._on_connect()
            case "choose_model":
                self._on_choose_model()
            case "drop_parameter" if isinstance(parameter, str):
                await self._state.drop_parameter(message_id, parameter)
            case "shorten" if message is not None and (question := self._message(message.parent_id)):
                self._tell({"type": "edit", "id": question.id})

    def _message(self, message_id: str | None) -> Message | None:
        return next((message for message in self._state.path if message.id == message_id), None)
