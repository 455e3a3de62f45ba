"""What was deleted: restore it, or remove it for good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import param
from panel.models.esm import DataEvent

from components.dialogs import dialog
from components.scripts import ScriptComponent, joined
from components.state import ConversationState
from services.catalogue import IN_TRASH

_HERE = Path(__file__).parent


class Trash(ScriptComponent):
    """The list in the dialog; read afresh whenever the dialog opens and whenever something in it was done."""

    dark: bool = param.Boolean(default=False)  # type: ignore[assignment]

    _esm = joined(_HERE, "trash")
    _stylesheets = [(_HERE / "trash.css").read_text("utf-8")]  # noqa: RUF012 - Panel's own class attribute

    def __init__(self, state: ConversationState, **params: Any) -> None:
        super().__init__(**params)
        self.on_msg(self._on_message)
        self._state = state
        self.dialog = dialog("Trash", self, width_option="sm", sizing_mode="stretch_width")

    async def open(self) -> None:
        """Open the dialog on what the trash holds now."""
        self.dialog.open = True
        await self._show()

    async def _show(self) -> None:
        rows = [
            {
                "id": one.conversation.id,
                "title": one.conversation.title,
                "at": int(one.at.timestamp() * 1000),
                "until": int(one.until.timestamp() * 1000),
            }
            for one in await self._state.catalogue.trash()
        ]
        self.tell({"type": "rows", "rows": rows, "full": len(rows) >= IN_TRASH})

    async def _on_message(self, event: DataEvent) -> None:
        match event.data:
            case {"type": "ready"}:
                pass
            case {"type": "restore", "id": str(id)}:
                await self._state.catalogue.restore(id)
            case {"type": "erase", "id": str(id)}:
                await self._state.catalogue.erase(id)
        await self._show()
