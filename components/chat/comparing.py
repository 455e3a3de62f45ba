"""Two versions of a message side by side, or an answer before and after its steps, and what became of the words."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import param
from panel.models.esm import DataEvent

from components.chat.views import who_wrote
from components.dialogs import dialog
from components.scripts import ScriptComponent, joined
from components.state import ConversationState
from services.conversation import Versions, compare
from services.messages import as_shown, text_of

_HERE = Path(__file__).parent


class Comparison(ScriptComponent):
    """The content of the dialog: two versions, which a person can exchange for others, or one answer as it came and as
    it is shown."""

    dark: bool = param.Boolean(default=False)  # type: ignore[assignment]

    _esm = joined(_HERE, "comparing")
    _stylesheets = [(_HERE / "comparing.css").read_text("utf-8")]  # noqa: RUF012 - Panel's own class attribute

    def __init__(self, state: ConversationState, **params: Any) -> None:
        super().__init__(**params)
        self.on_msg(self._on_message)
        self._state = state
        self._versions = Versions(0, ())
        self._places = (0, 0)
        self._processed: str | None = None  # the answer whose steps are looked at
        self.dialog = dialog("Compare versions", self, width_option="lg", sizing_mode="stretch_width")

    async def open(self, what: Versions | str, places: tuple[int, int] | None = None) -> None:
        """Open the dialog on two versions, by default one and the one before it; of the first, the one after it.

        Or on an answer, by its id, as it came and as its steps made it.
        """
        if isinstance(what, str):
            self._processed, self._versions = what, Versions(0, ())
        else:
            later = max(1, what.index)
            self._processed, self._versions, self._places = None, what, places or (later - 1, later)
        self.dialog.param.update(title="What changed" if self._processed else "Compare versions", open=True)
        await self._show()

    async def _show(self) -> None:
        if self._processed is not None:
            await self._show_processed(self._processed)
            return
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

    async def _show_processed(self, message_id: str) -> None:
        self.tell({"type": "wait"})
        message = await self._state.message(message_id)
        if self._processed != message_id:
            return  # something else was chosen meanwhile
        if message is None or message.processed is None:
            self.tell({"type": "unread"})
            return
        before, after = (text_of(as_shown(message.parts, replace(message.processed, shown=on))) for on in (False, True))
        changes = await asyncio.to_thread(compare, before, after)
        self.tell(
            {
                "type": "compared",
                "count": 0,
                "places": (0, 1),
                "by": ["As it came", f"After {', '.join(message.processed.steps)}"],
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
