"""The conversation on show: one component that gets its messages as data."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import param
from panel.models.esm import DataEvent

from components.chat.streaming import StreamingMarkdown
from components.chat.views import (
    CHIPS,
    Beside,
    answer_html,
    beside_of,
    empty_view,
    likely_view,
    message_view,
    outline_of,
    possible,
    spent_on,
)
from components.deltas import Delta
from components.diagrams import ADDRESSES
from components.files import serve_here
from components.fitting import NotNowError
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
    "beside",
    "likely",
    "transcript",
)
SCRIPT = joined(_HERE, *PARTS)
PLACES = (_HERE / "places.js").read_text("utf-8")
STYLES = [
    MARKDOWN_CSS,
    *((_HERE / f"{part}.css").read_text("utf-8") for part in ("transcript", "attached", "beside")),
]
"""What the first view needs, too."""
ALL_STYLES = [
    *STYLES,
    *((_HERE / f"{part}.css").read_text("utf-8") for part in ("live", "scrolling", "editing", "likely")),
]


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
    beside: Beside | None


class _Writing:
    """An answer that is being painted."""

    def __init__(self, message: Message) -> None:
        self.reply = StreamingMarkdown(message.id)
        self.paint: Iterator[list[Any]] = iter(())
        """That which is under way, in steps."""
        self.earlier = message.text
        """What an earlier run wrote: it comes before what this one does."""


class Transcript(ScriptComponent):
    """Follows the state's path: sends what changed of it, and paints the reply being written."""

    opening: str = param.String(default="", doc="JSON of what the page begins with; empty where that follows it.")  # type: ignore[assignment]
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
        self._writing: dict[str, _Writing] = {}
        self._named: str | None = None  # the answer that was painted last
        state.param.watch(self._on_path, ["path", "versions", "together", "first_run", "temporary"])
        state.param.watch(self._on_activities, ["activities", "prices"])
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

    def open(self) -> None:
        """Let the page begin with the conversation, unless a reply is being written: it is told from its first word."""
        if not any(message.status == "streaming" for message in (*self._state.path, *self._state.together)):
            self._begin_afresh()
            self.opening = json.dumps(self._changes("show"))

    def _on_path(self, *_: object) -> None:
        if self.opening and not self._ready:
            return  # the page says when it has that
        here = self._state.conversation.id if self._state.conversation else None
        begun = self._shown is None and not self._sent and 0 < len(self._state.path) <= 2
        if here != self._shown and not begun:
            self._show_all()
        else:
            self._shown = here
            self._patch()

    def _show_all(self) -> None:
        """Send the conversation afresh: it was opened, or the page was (re)built."""
        self._begin_afresh()
        self._patch("show")

    def _begin_afresh(self) -> None:
        self._shown = self._state.conversation.id if self._state.conversation else None
        self._sent = {}
        self._writing = {}
        self._named = None
        self._first = max(0, len(self._state.path) - WINDOW)

    async def _prepare(self, path: Sequence[Message]) -> None:
        """Prepare what will be shown of a path."""
        first = max(0, len(path) - WINDOW)
        if path and path[0].conversation_id == self._shown:
            first = min(first, self._first)  # another version stays where its reader is, whatever follows it
        await _prepare(path[first:])

    def _patch(self, kind: str = "patch") -> None:
        """Send the messages that are not on the page as they should be."""
        self._tell(self._changes(kind))
        for writing in self._writing.values():
            if earlier := writing.earlier:
                writing.earlier = ""
                self._begin(writing, writing.reply.paint(Delta(writing.reply.message_id, "", earlier)))
        if self._state.together:
            self._on_activities()

    def _changes(self, kind: str) -> dict[str, Any]:
        """Return what brings the page up to date, which is taken to have it from now on."""
        state = self._state
        self._first = min(self._first, max(0, len(state.path) - 1))
        together = state.together
        window = (*state.path[self._first : -1], *together) if together else state.path[self._first :]
        remembers = remembers_from(state.path)
        head = state.path[-1].id if state.path else None
        now = {
            message.id: _Sent(
                message,
                None if beside else state.versions.get(message.id),
                place < 2,
                message is remembers,
                beside,
            )
            for place, message in enumerate(window, self._first)
            for beside in (beside_of(message, together, head),)
        }
        changed = [self._view(entry) for id, entry in now.items() if self._sent.get(id) != entry]
        added = [message for message in window if message.id not in self._sent]
        self._sent = now
        self._writing = {id: writing for id, writing in self._writing.items() if id in now}
        return {
            "type": kind,
            "conversation": self._shown,
            "order": list(now),
            "set": changed,
            "more": self._first > 0,
            "questions": sum(message.role == "user" for message in state.path),
            "mine": any(message.status == "streaming" for message in added),
            "empty": empty_view(state.first_run, temporary=state.temporary) if not window else None,
        }

    def _view(self, sent: _Sent) -> dict[str, Any]:
        message, writing = sent.message, self._writing.get(sent.message.id)
        view = partial(
            message_view, message, sent.versions, first=sent.first, remembers=sent.remembers, beside=sent.beside
        )
        before = self._sent[message.id].message if message.id in self._sent else None
        if message.status == "streaming":
            if writing is not None and before is not None and before.status == "streaming":
                return view(painted=True)  # only what stands around it has changed
            # A run is followed from its first word.
            self._writing[message.id] = _Writing(message)
            return {**view(painted=True), "html": ""}
        if writing is None:
            return view(painted=before is not None and before.status != "streaming" and before.text == message.text)
        del self._writing[message.id]
        if not writing.reply.finished:
            self._begin(writing, writing.reply.finish())
        self._end(writing)
        self._tell({"type": "settle", "id": message.id})
        return view(painted=writing.reply.shows(message.text))

    def _begin(self, writing: _Writing, paint: Iterator[list[Any]]) -> None:
        """Do the first step of a paint, which mostly is the only one; `_drain` does the others."""
        self._end(writing)
        writing.paint = paint
        self._step(writing)

    def _step(self, writing: _Writing) -> bool:
        """Do one step of the paint that is under way; say whether there was any."""
        done = next(writing.paint, None)
        if done:
            id = writing.reply.message_id
            live, _, *what = done
            self._tell([live, 0 if self._named == id else id, *what])
            self._named = id
        return done is not None

    def _end(self, writing: _Writing) -> None:
        while self._step(writing):
            pass

    async def _drain(self, message_id: str, *, final: bool = False) -> None:
        """End the paint that is under way, others having their turn between its steps; with `final` the last one."""
        await asyncio.sleep(0)  # to paint all that a page missed which comes late would hold up the others
        writing = self._writing.get(message_id)
        if writing is None:
            return
        for _ in iter(partial(self._step, writing), False):
            await asyncio.sleep(0)
        reply = writing.reply
        if final and not reply.finished:
            self._begin(writing, reply.finish())
            await self._drain(message_id)
            if reply.defines:
                await asyncio.to_thread(answer_html, reply.text)

    def _on_activities(self, *_: object) -> None:
        """Say in each answer that stands beside others what is done for it, or what it cost."""
        state = self._state
        beside = {
            message.id: state.activities.get(message.id) or spent_on(message, state.prices.get(message.id))
            for message in state.together
        }
        if beside:
            self._tell({"type": "doing", "of": beside})

    def _on_address(self, *_: object, **more: int) -> None:
        here = None if self._state.temporary else self._state.conversation  # the browser keeps addresses and titles
        self._tell({"type": "address", "id": here.id if here else None, "title": here.title if here else None, **more})

    def _on_choices(self, *_: object) -> None:
        self._tell({"type": "models", "labels": [choice.label for choice in self._state.choices]})

    def _on_delta(self, event: param.parameterized.Event) -> None:
        writing = self._writing.get(event.new.message_id) if event.new is not None else None
        if writing is not None and not writing.reply.finished:
            self._begin(writing, writing.reply.paint(event.new))

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

    async def _on_message(self, event: DataEvent) -> None:  # noqa: PLR0912 - a case for each message
        match event.data:
            case {"type": "ready", "dark": bool(dark), "narrow": bool(narrow), **more}:
                self._on_screen(dark, narrow)
                await self._on_ready(opened=more.get("opened") is True)
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
            case {"type": "likely", "id": str(id)} if self._message(id):
                await self._on_likely(id)
            case {"type": "use", "id": str(id)}:
                await self._state.use(id)
            case {"type": "stop", "id": str(id)}:
                self._state.stop(id)
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

    async def _on_likely(self, message_id: str) -> None:
        """Show how likely the model held each piece of an answer."""
        details = await self._state.details.of(message_id)
        if details is not None:
            view = await asyncio.to_thread(likely_view, [run.run for run in details.runs])
            self._tell({"type": "likely", "id": message_id, **view})

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
        except NotNowError:
            why = ""  # it can be edited on
        except PanelistError as error:
            why = str(error)
        except Exception:  # the last wall: the page waits for a word
            log.exception("an edit could not be stored")
            why = "Something unforeseen went wrong in Panelist; its log says more. Your text is still here."
        self.tell({"type": "edited", "id": message_id, "refused": why})

    async def _on_ready(self, *, opened: bool) -> None:
        """The page is there, for the first time or again: give it everything, from the first word of a reply.

        With `opened` it began with the conversation: give it what has changed since.
        """
        serve_here()
        opened = opened and bool(self.opening) and self._state.run_id is None
        self.opening = ""
        if not opened:
            self._ready = False  # what a new page has not got yet cannot be patched
            if self._state.run_id is not None:
                await self._state.reopen()
            else:
                await prepare_window(self._state.path)
        self._ready = True
        if opened:
            self._on_path()
        else:
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
        shown = (*self._state.path, *self._state.together)
        return next((message for message in shown if message.id == message_id), None)
