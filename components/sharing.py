"""The dialog that makes a page of chosen messages, to be given to somebody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import param
from panel.models.esm import DataEvent

from components.chat.views import said_in
from components.dialogs import dialog
from components.notices import Notice
from components.scripts import ScriptComponent, joined
from components.state import ConversationState
from services.conversation import MAX_TITLE
from services.messages import Message, ReasoningPart

LINE = 100
"""Characters of a message by which it is known."""

_HERE = Path(__file__).parent


class Sharing(ScriptComponent):
    """The content of the dialog: the messages on show, each to be shared or left out. It shares them by itself."""

    dark: bool = param.Boolean(default=False)  # type: ignore[assignment]
    most: int = param.Integer(default=MAX_TITLE, doc="Characters of a title.")  # type: ignore[assignment]

    _esm = joined(_HERE, "sharing")
    _stylesheets = [(_HERE / "sharing.css").read_text("utf-8")]  # noqa: RUF012 - Panel's own class attribute

    def __init__(self, state: ConversationState, **params: Any) -> None:
        super().__init__(**params)
        self.on_msg(self._on_message)
        self._state = state
        self.dialog = dialog("Share", self, width_option="sm", sizing_mode="stretch_width")

    async def open(self) -> None:
        """Open the dialog on the messages on show."""
        if self._state.conversation is None:
            self._state.notice = Notice("There is nothing to share yet. Ask something first.", "error")
            return
        self.dialog.open = True
        self._show()

    def _show(self) -> None:
        conversation = self._state.conversation
        if conversation is not None:
            rows = [row_of(message) for message in self._state.path]
            self.tell({"type": "rows", "conversation": conversation.id, "title": conversation.title, "rows": rows})

    async def _on_message(self, event: DataEvent) -> None:
        match event.data:
            case {"type": "ready"}:
                self._show()
            case {"type": "shared"}:
                self.dialog.open = False


def row_of(message: Message) -> dict[str, Any]:
    """Return what a message is known by: its first line with something in it, and what comes with it."""
    lines = (line.strip() for line in message.text[: 20 * LINE].splitlines())
    line = next(filter(None, lines), "") or said_in("", message.attachments)
    return {
        "id": message.id,
        "who": "You" if message.role == "user" else "Assistant",
        "line": line[:LINE] + ("…" if len(line) > LINE else ""),
        "thoughts": any(isinstance(part, ReasoningPart) and part.text for part in message.parts),
        "files": len(message.attachments),
    }
