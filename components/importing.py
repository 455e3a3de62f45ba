"""The dialog that brings conversations in: choose a file, see what is in it, import it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param
from panel.models.esm import DataEvent
from panel.viewable import Viewer

from components.dialogs import dialog
from components.notices import Notice
from components.scripts import ScriptComponent, joined
from components.sentence import SentencePane
from components.state import ConversationState
from services.attachments import size_words
from services.errors import PanelistError
from services.exchange import Preview
from services.importing import MAX_FILE, Listed
from services.render import escape

TITLES = 8
"""Titles that a preview shows of each kind."""

_HERE = Path(__file__).parent
_STYLE = (
    "<style>div{font:15px/1.5 var(--panelist-font);color:var(--panelist-text);overflow-wrap:anywhere}"
    "p{margin:8px 0 2px}ul{margin:0;padding-inline-start:1.3em}</style>"
)


class Chooser(ScriptComponent):
    """A file chooser whose file does not go through the socket."""

    most: int = param.Integer(default=MAX_FILE, doc="Bytes that a file may have.")  # type: ignore[assignment]

    _esm = joined(_HERE, "importing")
    _stylesheets = [(_HERE / "importing.css").read_text("utf-8")]  # noqa: RUF012 - Panel's own class attribute

    def __init__(self, on_message: Callable[[DataEvent], Any], **params: Any) -> None:
        super().__init__(**params)
        self.on_msg(on_message)


class ImportView(Viewer):
    """A dialog that ends with conversations in the list, or as it began."""

    def __init__(self, state: ConversationState, **params: Any) -> None:
        super().__init__(**params)
        self._state = state
        self._word: str | None = None
        self._begun = 0
        """How often the dialog began anew: what was asked for before belongs to no file on show."""
        self._chooser = Chooser(self._on_message, sizing_mode="stretch_width", margin=0)
        self._preview = pn.pane.HTML("", sizing_mode="stretch_width", margin=0)
        self._result = SentencePane(visible=False, margin=(8, 0))
        self._import = pmui.Button(
            label="Import", variant="contained", disabled=True, on_click=self._on_import, margin=(12, 0, 0, 0)
        )
        most = size_words(MAX_FILE)
        about = (
            f"A .json or .zip that Panelist, ChatGPT, Open WebUI or LibreChat exported, of at most {most}. "
            "You see what is in it before anything is imported."
        )
        self.dialog = dialog(
            "Import conversations",
            pn.pane.HTML(f"{_STYLE}<div>{escape(about)}</div>", sizing_mode="stretch_width", margin=0),
            self._chooser,
            self._preview,
            self._result,
            self._import,
            width_option="sm",
            sizing_mode="stretch_width",
        )
        self.dialog.param.watch(self._on_dialog, "open")

    def __panel__(self) -> pmui.Dialog:
        return self.dialog

    async def _on_dialog(self, event: param.parameterized.Event) -> None:
        if not event.new:
            await self._forget()
            self._chooser.tell({"type": "begin"})

    async def _on_message(self, event: DataEvent) -> None:
        match event.data:
            case {"type": "chosen"}:
                await self._forget()
            case {"type": "came", "word": str(word)}:
                await self._look(word)

    async def _look(self, word: str) -> None:
        begun = self._begun
        try:
            preview = await self._state.catalogue.preview_import(word)
        except PanelistError as error:
            await self._state.catalogue.drop_import(word)
            if begun == self._begun:
                self._result.say(str(error))
                self._chooser.tell({"type": "begin"})
            return
        if begun != self._begun:
            await self._state.catalogue.drop_import(word)
            return
        self._word = word
        self._preview.object = preview_html(preview)
        self._import.disabled = not (preview.new or preview.deleted)
        self._chooser.tell({"type": "looked"})

    async def _on_import(self, _: object) -> None:
        word, self._word = self._word, None
        if word is None:
            return
        begun = self._begun
        self._import.disabled = True
        try:
            await self._state.catalogue.import_(word)
        except PanelistError as error:
            await self._state.catalogue.drop_import(word)
            if begun == self._begun:
                self._result.say(str(error))
            else:
                self._state.notice = Notice(str(error), "error")
        else:
            if begun == self._begun:
                self.dialog.open = False

    async def _forget(self) -> None:
        """Begin anew, without the file before."""
        self._begun += 1
        word, self._word = self._word, None
        self._preview.object = ""
        self._result.visible = False
        self._import.disabled = True
        if word is not None:
            await self._state.catalogue.drop_import(word)


def preview_html(preview: Preview) -> str:
    """Return what a file would bring in, and what it would not and why."""
    parts = [
        _listing(preview.new, "to import"),
        _listing(preview.deleted, "deleted here, to be brought back as it was"),
        _listing(preview.here, "here already, left as it is"),
    ]
    if preview.grown:
        have = "1 of them has" if preview.grown == 1 else f"{preview.grown:,} of them have"
        parts.append(f"<p>{have} new messages in this file, which stay out.</p>")
    if preview.left_out:
        words = ", ".join(_counted(count, what) for what, count in preview.left_out.items())
        parts.append(f"<p>Cannot come along: {escape(words)}.</p>")
    return f'{_STYLE}<div role="status" aria-label="Preview">{"".join(parts)}</div>'


def _listing(listed: Sequence[Listed], what: str) -> str:
    if not listed:
        return ""
    rows = [f"{one.title or 'Untitled'} ({_counted(len(one.messages), 'message')})" for one in listed[:TITLES]]
    if len(listed) > TITLES:
        rows.append(f"… and {len(listed) - TITLES:,} more")
    items = "".join(f'<li dir="auto">{escape(row)}</li>' for row in rows)
    return f"<p>{_counted(len(listed), 'conversation')} {escape(what)}:</p><ul>{items}</ul>"


def _counted(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"
