"""The list of conversations: open, rename, delete."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar

import param
from panel.models.esm import DataEvent

from components.catalogue import HITS
from components.scripts import ScriptComponent, joined
from components.state import ConversationState
from services.conversation import Conversation
from services.errors import PanelistError
from services.search import Hit

_HERE = Path(__file__).parent

DAY = 24 * 60 - 1
"""Minutes that a clock can be away from UTC, as far as Python takes them."""

_PLACE = re.compile(r"-?\d{1,18}|1\d{18}", re.ASCII)  # below 2**61


class ConversationList(ScriptComponent):
    """One component for all rows, however many there are."""

    items: str = param.String(default="[]", doc="JSON, as the page begins: id, title and time (ms since 1970) of each.")  # type: ignore[assignment]
    current: str | None = param.String(default=None, allow_None=True, doc="The open conversation, as the page begins.")  # type: ignore[assignment]
    dark: bool = param.Boolean(default=False)  # type: ignore[assignment]

    _esm = joined(_HERE, "search", "conversations")
    _stylesheets = [(_HERE / f"{part}.css").read_text("utf-8") for part in ("conversations", "search")]  # noqa: RUF012 - Panel's own class attribute

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
        state.catalogue.param.watch(self._update, "conversations")
        state.param.watch(self._update, "conversation")
        self._update()

    def _update(self, *_: object) -> None:
        here = self._state.conversation
        before, self._rows = self._rows, (self._items(self._state.catalogue.conversations), here.id if here else None)
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
                await self._state.catalogue.rename(id, title)
            case {"type": "delete", "id": str(id)}:
                await self._state.catalogue.delete(id)
            case {"type": "more"}:
                await self._state.catalogue.show_more()
            case {"type": "trash"}:
                self._on_trash()
            case {"type": "close"}:
                self._on_close()
            case {"type": "search", "number": int(number), "text": str(text), "west": int(west), **more}:
                await self._search(number, text, west, more.get("before"))

    async def _search(self, number: int, text: str, west: int, before: object) -> None:
        """Answer the page's search of a number; `west` are the minutes that its clock is behind UTC."""
        zone = timezone(timedelta(minutes=-max(-DAY, min(west, DAY))))
        place = int(before) if isinstance(before, str) and _PLACE.fullmatch(before) else None
        try:
            hits = await self._state.catalogue.search(text, zone=zone, before=place)
        except PanelistError as error:
            self.say(["refused", number, str(error)])
        else:
            rows = json.dumps([_row(hit) for hit in hits], ensure_ascii=False, separators=(",", ":"))
            self.say(["hits", number, rows, len(hits) == HITS])


def _row(hit: Hit) -> dict[str, Any]:
    """Return a hit for the page; its place is a text, because it is no number that JavaScript has."""
    return {
        "id": hit.conversation_id,
        "title": hit.title,
        "at": hit.message_id,
        "role": hit.role,
        "time": int(hit.at.timestamp() * 1000),
        "pieces": [[piece.text, piece.found] for piece in hit.snippet],
        "place": str(hit.place),
    }
