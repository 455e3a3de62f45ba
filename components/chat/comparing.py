"""Two versions of a message side by side, and what became of the words of the one in the other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import param
from panel.models.esm import DataEvent

from components.chat.views import who_wrote
from components.dialogs import dialog
from components.scripts import ScriptComponent, joined
from components.state import ConversationState
from services.conversation import Versions, compare

_HERE = Path(__file__).parent


class Comparison(ScriptComponent):
    """The content of the dialog: two versions, which a person can exchange for others."""

    dark: bool = param.Boolean(default=False)  # type: ignore[assignment]

    _esm = joined(_HERE, "comparing")
    _stylesheets = [(_HERE / "comparing.css").read_text("utf-8")]  # noqa: RUF012 - Panel's own class attribute

    def __init__(self, state: ConversationState, **params: Any) -> None:
        super().__init__(**params)
        self.on_msg(self._on_message)
        self._state = state
        self._versions = Versions(0, ())
        self._places = (0, 0)
        self.dialog = dialog("Compare versions", self, width_option="lg", sizing_mode="stretch_width")

    async def open(self, versions: Versions, places: tuple[int, int] | None = None) -> None:
        """Open the dialog on two versions, by default one and the one before it; of the first, the one after it."""
        later = max(1, versions.index)
        self._versions, self._places = versions, places or (later - 1, later)
        self.dialog.open = True
        await self._show()

    async def _show(self) -> None:
        ids, places = self._versions.ids, self._places
        if not ids:
            return
        self.tell({"type": "wait"})
        shown = [await self._state.message(ids[place]) for place in places]
        one, other = shown
        if one is None or other is None:
            if places == self._places:
                self.tell({"type": "unread"})
            return
        changes = await asyncio.to_thread(compare, one.text, other.text)
        answers = one.role == other.role == "assistant"
        differ = await self._state.details.differences(one.id, other.id) if answers else ()
        if places == self._places:  # no other pair was chosen meanwhile
            self.tell(
                {
                    "type": "compared",
                    "count": len(ids),
                    "places": places,
                    "by": [who_wrote(one), who_wrote(other)],
                    "options": [[each.option, each.before, each.after] for each in differ],
                    "changes": [[change.kind, change.text] for change in changes],
                }
            )

    async def _on_message(self, event: DataEvent) -> None:
        count = len(self._versions.ids)
        match event.data:
            case {"type": "ready"}:
                await self._show()
            case {"type": "places", "places": [int(one), int(other)]} if 0 <= one < count and 0 <= other < count:
                self._places = (one, other)
                await self._show()
