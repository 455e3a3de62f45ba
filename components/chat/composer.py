"""The text box with Send and Stop."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar, TypedDict

import param
from panel.models.esm import DataEvent

from components.chat import attaching
from components.chat.attaching import LIMITS
from components.chat.commands import Commands, CommandView
from components.chat.gauge import Gauge
from components.chat.views import said_in
from components.notices import Notice
from components.scripts import ScriptComponent, joined
from components.state import ConversationState
from components.temporary import BLANK
from services.chat import MAX_TEXT
from services.conversation import Draft
from services.errors import NotFoundError, PanelistError
from services.messages import ENDED_BY_MODEL, clean_text
from services.parameters import told
from services.render import MARKDOWN_CSS, render_markdown

log = logging.getLogger(__name__)

_HERE = Path(__file__).parent

PREVIEW = 200
"""Characters of a waiting message that are shown."""

_INERT = "button:not(.sort) { display: none !important; } .sort { pointer-events: none; }"
"""Nothing is clicked in a preview."""

PREVIEW_CHARS = 50_000
"""Characters of a draft that are rendered."""

PREVIEW_STYLE = MARKDOWN_CSS + _INERT

STYLE = "\n".join((_HERE / f"{part}.css").read_text("utf-8") for part in ("composer", "attaching"))


def placeholder(state: ConversationState) -> str:
    """Return what the empty text box says."""
    said = f"Message {state.choice.model}" if state.choice else "Ask anything"
    return f"{said} in {state.folder.name}" if state.folder is not None else said


def held_because(state: ConversationState) -> str:
    """Return why waiting messages are not sent by themselves; empty when they are."""
    if not state.waiting.held:
        return ""
    if state.waiting.too_long is not None:
        return "Not sent, because it would be too long for the model:"
    last = state.path[-1] if state.path else None
    if last is None or last.status not in ENDED_BY_MODEL:
        return "Not sent, because the last answer did not finish:"
    if last.run_id is None:
        return "Not sent, because you wrote the last answer:"
    return "Not sent, because Panelist was stopped:"


class ComposerView(TypedDict):
    """What the text box shows beside its text."""

    conversation: str | None
    """Whose draft is shown; None that of a new chat, and `BLANK` of a temporary one."""
    writing: bool
    """Whether a reply is being written."""
    placeholder: str
    options: str
    """Which options are set, in words."""
    queue: list[dict[str, str]]
    """Messages that wait: id, the beginning of the text, names of the files."""
    held: str
    """Why they wait for a person, if they do."""
    commands: list[CommandView]
    """What a slash and a word do."""
    cannot: list[list[str]]
    """Names of those that cannot be done now, each with the reason."""


class Composer(ScriptComponent):
    """Owns its text in the browser; the server hears of it when it is sent, and answers when it is stored."""

    shown: str = param.String(default="{}", doc="JSON of a `ComposerView`, as the page begins.")  # type: ignore[assignment]
    dark: bool = param.Boolean(default=False)  # type: ignore[assignment]

    _esm = joined(
        _HERE, "kept", "attaching", "recalling", "commands", "previewing", "screen", "temporary", "gauge", "composer"
    )
    _stylesheets = [  # noqa: RUF012 - Panel's own class attribute
        STYLE,
        *((_HERE / f"{part}.css").read_text("utf-8") for part in ("commands", "previewing", "temporary", "gauge")),
    ]
    _constants: ClassVar[dict[str, Any]] = {"limits": LIMITS, "most": MAX_TEXT, "most_previewed": PREVIEW_CHARS}

    def __init__(
        self,
        state: ConversationState,
        commands: Commands,
        on_help: Callable[[], None],
        on_options: Callable[[], None],
        on_search: Callable[[], None],
        on_send: Callable[[], Awaitable[None]],
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.on_msg(self._on_message)
        self._state = state
        self._commands = commands
        self._previewing = asyncio.Lock()
        self._previewed = 0  # number of the last request for a preview
        self._on_help = on_help
        self._on_options = on_options
        self._on_search = on_search
        self._before_send = on_send
        self._ready = False
        self._gauge = Gauge(state, self.tell, commands.choose_model)
        told = ["conversation", "path", "run_id", "choice", "options", "waiting", "folder", "temporary"]
        state.param.watch(self._update, told)
        state.param.watch(self._on_refill, "refill", onlychanged=False)
        state.param.watch(self._on_left, "left", onlychanged=False)
        state.param.watch(self._on_kept, "kept", onlychanged=False)
        self.view = self._view()
        self._update()

    def _on_refill(self, event: param.parameterized.Event) -> None:
        if event.new is not None:
            self.tell({"type": "fill", **_filling(event.new)})

    def _on_left(self, event: param.parameterized.Event) -> None:
        self.tell({"type": "left", "id": event.new})

    def _on_kept(self, event: param.parameterized.Event) -> None:
        self.tell({"type": "kept", "from": event.new[0], "to": event.new[1]})

    def focus(self) -> None:
        """Put the keyboard into the text box."""
        self.tell({"type": "focus"})

    def download(self, address: str) -> None:
        """Have the browser keep what is at an address of this server."""
        self.tell({"type": "download", "address": address})

    def _update(self, *_: object) -> None:
        before: dict[str, object] = {**self.view}
        self.view = self._view()
        if not self._ready:
            self.shown = json.dumps(self.view)
        elif changed := {name: value for name, value in self.view.items() if value != before[name]}:
            self.tell({"type": "shown", "set": changed})

    def _view(self) -> ComposerView:
        state = self._state
        return ComposerView(
            conversation=state.conversation.id if state.conversation else BLANK if state.temporary else None,
            writing=state.run_id is not None,
            queue=[
                {"id": queued.id, "text": queued.text[:PREVIEW], "files": said_in("", queued.attachments)[:PREVIEW]}
                for queued in state.waiting.messages
            ],
            held=held_because(state),
            placeholder=placeholder(state),
            options=", ".join(f"{label} {value}" for label, value in told(state.options)),
            commands=self._commands.views(),
            cannot=self._commands.cannot(),
        )

    async def _on_message(self, event: DataEvent) -> None:  # noqa: PLR0912 - a case for each message
        match event.data:
            case {
                "type": "send",
                "key": str(key),
                "text": str(text),
                "now": bool(now),
                "conversation": str() | None as to,
                "elsewhere": bool(elsewhere),
                **more,
            }:
                await self._on_send(key, text, more.get("files", []), now, to, elsewhere)
            case {"type": "ready"}:
                self._ready = True
                self._gauge.begin()
                self.tell({"type": "shown", "set": self.view})
            case {"type": "piece", **piece}:
                if (answer := await attaching.take(self._state, piece)) is not None:
                    self.tell(answer)
            case {"type": "send_now", "id": str(id)}:
                await self._state.send_now(id)
            case {"type": "edit", "id": str(id)}:
                self._on_edit(id)
            case {"type": "taken", "id": str(id)}:
                if not await self._state.unqueue(id, quietly=True):
                    self.tell({"type": "gone", "id": id})
            case {"type": "unqueue", "id": str(id)}:
                await self._state.unqueue(id)
            case {"type": "stop"}:
                self._state.stop()
            case {"type": "open", "id": str() | None as id, **more}:
                here, at = self._state.conversation, more.get("at")
                try:
                    if id is not None and isinstance(at, str):
                        await self._state.open_at(id, at)
                    elif id is None or here is None or here.id != id:
                        folder = more.get("folder")
                        await self._state.open(id, folder_id=folder if isinstance(folder, str) else None)
                finally:
                    self.tell({"type": "opened"})  # the text box waits for it
            case {"type": "keep"}:
                await self._state.keep()
            case {"type": "help"}:
                self._on_help()
            case {"type": "options"}:
                self._on_options()
            case {"type": "search"}:
                self._on_search()
            case _:
                await self._on_more(event.data)

    async def _on_more(self, data: object) -> None:
        """Do what is not about messages that are sent. What is none of ours does nothing."""
        match data:
            case {"type": "command", "name": str(name), "argument": str(argument), "conversation": str() | None as to}:
                await self._commands.run(name, argument, to)
            case {"type": "question", "index": int(index), "conversation": str(id)}:
                self.tell({"type": "question", "index": index, "conversation": id, "text": self._question(index, id)})
            case {"type": "not_downloaded", "why": str(why)}:
                self._state.notice = Notice(why, "error")
            case {"type": "preview", "number": int(number), "text": str(text), "style": bool(style)}:
                await self._on_preview(number, text, style)
            case _:
                await self._gauge.hear(data)

    def _question(self, index: int, conversation_id: str) -> str | None:
        """Return a question of the open conversation, waiting ones last; None when it is not there (any more)."""
        state = self._state
        asked = [message.text for message in state.path if message.role == "user"]
        asked += [queued.text for queued in state.waiting.messages]
        here = state.conversation is not None and state.conversation.id == conversation_id
        return asked[index] if here and 0 <= index < len(asked) else None

    async def _on_preview(self, number: int, text: str, style: bool) -> None:
        """Render a draft in a thread, one at a time; of several that wait only the last."""
        self._previewed = number
        async with self._previewing:
            if number != self._previewed:
                return
            html: str | None = None
            try:
                html = await asyncio.to_thread(render_markdown, clean_text(text[:PREVIEW_CHARS]))
            except Exception:  # the last wall: the page waits for a word
                log.exception("a preview of %d characters could not be made", len(text))
        told = {"type": "preview", "number": number, "html": html}
        self.tell({**told, "style": PREVIEW_STYLE} if style else told)

    def _on_edit(self, queued_id: str) -> None:
        """Give the browser a waiting message for its text box; it says "taken" when it has it, and not before."""
        queued = next((q for q in self._state.waiting.messages if q.id == queued_id), None)
        if queued is not None:
            filling = _filling(Draft(queued.text, queued.attachments))
            self.tell({"type": "fill", **filling, "taken": queued.id})

    async def _on_send(self, key: str, text: str, files: object, now: bool, to: str | None, elsewhere: bool) -> None:
        def stored(conversation_id: str) -> None:
            self.tell({"type": "stored", "key": key, "conversation": conversation_id})

        self._gauge.sent()
        try:
            await self._before_send()
            named = attaching.as_named(files)
            await self._state.send(text, key, attachments=named, now=now, to=to, show=not elsewhere, on_stored=stored)
        except PanelistError as error:
            gone = isinstance(error, NotFoundError)
            self.tell({"type": "refused", "key": key, "text": str(error), "gone": gone})
        except Exception:  # the last wall: the text box waits for a word
            log.exception("a message could not be sent")
            said = "Something unforeseen went wrong in Panelist; its log says more. Your text is still here."
            self.tell({"type": "refused", "key": key, "text": said, "gone": False})


def _filling(draft: Draft) -> dict[str, object]:
    return {"text": draft.text, "files": attaching.as_given(draft.attachments)}
