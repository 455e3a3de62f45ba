"""The map of the conversation: its whole tree, drawn in the browser from data; and two branches side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import panel as pn
import param
from panel.models.esm import DataEvent

from components.chat.views import who_wrote
from components.dialogs import dialog
from components.scripts import ScriptComponent, joined
from components.state import ConversationState
from services.conversation import Branches, Budget, Node, Outline, Removed, compare, differences
from services.messages import Message

_HERE = Path(__file__).parent

PORTION = 500
"""Messages that are sent at once: others write to their pages meanwhile."""
_MOST_STEPS = 10_000_000
"""Pairs of words that a comparison of two branches looks at: about a second."""


class ConversationMap(ScriptComponent):
    """The content of the dialog; it follows the state for as long as that is open."""

    dark: bool = param.Boolean(default=False)  # type: ignore[assignment]

    _esm = joined(_HERE, "layout", "branches", "map")
    _stylesheets = [(_HERE / f"{part}.css").read_text("utf-8") for part in ("comparing", "map")]  # noqa: RUF012 - Panel's

    def __init__(self, state: ConversationState, on_details: Callable[[str], None], **params: Any) -> None:
        super().__init__(**params)
        self.on_msg(self._on_message)
        self._state = state
        self._on_details = on_details
        self._showing = False
        self._outdated = False
        self.dialog = dialog("Map of the conversation", self, width_option=self._width, sizing_mode="stretch_width")
        state.param.watch(self._on_change, ["conversation", "path", "versions"])
        state.param.watch(self._on_notice, "notice", onlychanged=False)

    async def open(self) -> None:
        """Open the dialog on the open conversation, as it is now."""
        self.dialog.param.update(width_option=self._width, open=True)
        self.tell({"type": "opened"})
        await self._show()

    @property
    def _width(self) -> Literal["sm", "lg"]:
        """Small for a straight line; wherever the tree forks, a message on show has versions."""
        return "lg" if self._state.versions else "sm"

    def _on_change(self, *_: object) -> None:
        if self.dialog.open:
            self.dialog.width_option = self._width
            pn.state.execute(self._show)

    def _on_notice(self, event: param.parameterized.Event) -> None:
        """Say here what the dialog hides in the transcript."""
        notice = event.new
        if notice is not None and self.dialog.open:
            undo = notice.mark if notice.undo is not None else None
            self.tell({"type": "notice", "text": notice.text, "kind": notice.kind, "undo": undo})

    async def _show(self) -> None:
        """Send the tree; what changes while it is read and sent is sent once more."""
        self._outdated = True
        if self._showing:
            return
        self._showing = True
        try:
            while self._outdated:
                self._outdated = False
                outline = await self._state.branching.map()
                if outline is None:
                    self.tell({"type": "empty"})
                    continue
                for portion in await asyncio.to_thread(_portions, outline):
                    self.tell(portion)
                    await asyncio.sleep(0)
                removed = await self._state.branching.removed()
                self.tell({"type": "removed", "rows": [_removed(one) for one in removed]})
        finally:
            self._showing = False

    async def _on_message(self, event: DataEvent) -> None:
        branching = self._state.branching
        match event.data:
            case {"type": "ready"}:
                await self._show()
            case {"type": "go", "id": str(id)}:
                self.dialog.open = False
                await branching.go(id)
            case {"type": "details", "id": str(id)}:
                self.dialog.open = False
                self._on_details(id)
            case {"type": "prune", "id": str(id)}:
                await branching.prune(id)
            case {"type": "restore", "id": str(id)}:
                await branching.restore(id)
            case {"type": "pick", "id": str(id)}:
                await branching.pick(id)
            case {"type": "fork", "id": str(id)}:
                self.dialog.open = False
                await self._state.fork(id)
            case {"type": "compare", "ids": [str(one), str(other)]}:
                await self._compare(one, other)
            case {"type": "undo", "mark": str(mark)} if (
                (notice := self._state.notice) and notice.mark == mark and notice.undo
            ):
                await notice.undo()

    async def _compare(self, one: str, other: str) -> None:
        branches = await self._state.branching.branches(one, other)
        if branches is None:
            self.tell({"type": "compared", "ids": [one, other], "steps": None})
            return
        budget = Budget(_MOST_STEPS)
        steps = await asyncio.to_thread(lambda: [_step(pair, budget) for pair in branches.pairs])
        self.tell({"type": "compared", "ids": [one, other], "steps": steps, **_about(branches)})


def _portions(outline: Outline) -> list[dict[str, Any]]:
    """Return the tree in pieces of a moment each; a node names what it follows by its place."""
    nodes = outline.nodes
    places = {node.id: place for place, node in enumerate(nodes)}
    about = {
        "count": len(nodes),
        "head": outline.conversation.head_id,
        "conversation": outline.conversation.id,
    }
    starts = range(0, max(1, len(nodes)), PORTION)
    return [
        {
            "type": "nodes",
            "start": start,
            "rows": [_row(node, places) for node in nodes[start : start + PORTION]],
            **about,
        }
        for start in starts
    ]


def _row(node: Node, places: dict[str, int]) -> list[Any]:
    return [
        node.id,
        -1 if node.parent_id is None else places[node.parent_id],
        node.role,
        node.status,
        node.model or "",
        node.beginning,
        int(node.created_at.timestamp() * 1000),
        node.picked_from is not None,
    ]


def _removed(one: Removed) -> dict[str, Any]:
    until = int(one.until.timestamp() * 1000)
    return {"id": one.node.id, "text": one.node.beginning, "count": one.count, "until": until}


def _step(pair: tuple[Message | None, Message | None], budget: Budget) -> dict[str, Any]:
    """Return a message of each branch, what became of the words, and what else differs."""
    one, other = pair
    changes = compare(one.text if one else "", other.text if other else "", budget)
    return {
        "by": [None if message is None else who_wrote(message) for message in pair],
        "statuses": [None if message is None else message.status for message in pair],
        "changes": [[change.kind, change.text] for change in changes],
        "options": [[d.option, d.before, d.after] for d in differences(one, other)] if one and other else [],
    }


def _about(branches: Branches) -> dict[str, Any]:
    return {"common": branches.common_id, "left_out": branches.left_out}
