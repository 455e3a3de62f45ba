"""The list of conversations: open, rename, delete."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import param
from panel.models.esm import DataEvent

from components.scripts import ScriptComponent, joined
from components.state import ConversationState
from services.conversation import Conversation

_HERE = Path(__file__).parent


class ConversationList(ScriptComponent):
    """One component for all rows, however many there are."""

    items: str = param.String(default="[]", doc="JSON, as the page begins: id, title and time (ms since 1970) of each.")  # type: ignore[assignment]
    current: str | None = param.String(default=None, allow_None=True, doc="The open conversation, as the page begins.")  # type: ignore[assignment]
    dark: bool = param.Boolean(default=False)  # type: ignore[assignment]

    _esm = joined(_HERE, "conversations")
    _stylesheets = [(_HERE / "conversations.css").read_text("utf-8")]  # noqa: RUF012 - Panel's own class attribute

    _written: ClassVar[tuple[Sequence[Conversation], str]] = ((), "[]")

    def __init__(
        self, state: ConversationState, on_close: Callable[[], None], on_trash: Callable[[], None], **params: Any
    ) -> None:
        super().__init__(**params)
        self.on_msg(self._on_message)
        self._state = state
        self._on_close = on_close
        self._on_trash = on_trash
        self._ready = False
        self._rows: tuple[str, str | None] = ("[]", None)
        state.param.watch(self._update, ["conversations", "conversation"])
        self._update()

    def _update(self, *_: object) -> None:
        here = self._state.conversation
        before, self._rows = self._rows, (self._items(self._state.conversations), here.id if here else None)
        if not self._ready:
            self.items, self.current = self._rows
        elif self._rows != before:  # the short way: this goes to every tab whenever anything happens in one of them
            self.say(["rows", *self._rows])

    @classmethod
    def _items(cls, conversations: Sequence[Conversation]) -> str:
        """Return the rows as JSON. All tabs that were given one and the same list share the text, too."""
        if cls._written[0] is not conversations:
            rows = [{"id": c.id, "title": c.title, "time": int(c.updated_at.timestamp() * 1000)} for c in conversations]
            cls._written = conversations, json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
        return cls._written[1]

    async def _on_message(self, event: DataEvent) -> None:
        match event.data:
            case {"type": "ready"}:
                self._ready = True
                self.say(["rows", *self._rows])
            case {"type": "rename", "id": str(id), "title": str(title)}:
                await self._state.rename(id, title)
            case {"type": "delete", "id": str(id)}:
                await self._state.delete(id)
            case {"type": "more"}:
                await self._state.show_more()
            case {"type": "trash"}:
                self._on_trash()
            case {"type": "close"}:
                self._on_close()
