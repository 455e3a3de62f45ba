"""The list of conversations: open, rename, delete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import param
from panel.models.esm import DataEvent

from components.scripts import ScriptComponent, joined
from components.state import ConversationState

_HERE = Path(__file__).parent


class ConversationList(ScriptComponent):
    """One component for all rows, however many there are."""

    items: list[dict[str, Any]] = param.List(default=[], doc="Id, title and time (ms since 1970) of each.")  # type: ignore[assignment]
    current: str | None = param.String(default=None, allow_None=True, doc="The open conversation.")  # type: ignore[assignment]
    dark: bool = param.Boolean(default=False)  # type: ignore[assignment]

    _esm = joined(_HERE, "conversations")
    _stylesheets = [(_HERE / "conversations.css").read_text("utf-8")]  # noqa: RUF012 - Panel's own class attribute

    def __init__(self, state: ConversationState, on_close: Callable[[], None], **params: Any) -> None:
        super().__init__(**params)
        self.on_msg(self._on_message)
        self._state = state
        self._on_close = on_close
        state.param.watch(self._update, ["conversations", "conversation"])
        self._update()

    def _update(self, *_: object) -> None:
        state = self._state
        items = [
            {"id": c.id, "title": c.title, "time": int(c.updated_at.timestamp() * 1000)} for c in state.conversations
        ]
        self.param.update(items=items, current=state.conversation.id if state.conversation else None)

    async def _on_message(self, event: DataEvent) -> None:
        match event.data:
            case {"type": "rename", "id": str(id), "title": str(title)}:
                await self._state.rename(id, title)
            case {"type": "delete", "id": str(id)}:
                await self._state.delete(id)
            case {"type": "more"}:
                await self._state.show_more()
            case {"type": "close"}:
                self._on_close()
