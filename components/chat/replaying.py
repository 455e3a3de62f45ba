"""Asks once more with a change, and compares the two answers when the new one is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from components.state import ConversationState
from services.conversation import Versions
from services.messages import Message
from services.options import Options


@dataclass(frozen=True, slots=True)
class _Awaited:
    """An answer that is to be compared with an earlier one when it has ended."""

    before: str
    id: str


class Replaying:
    """What is awaited in one tab. Whoever goes elsewhere meanwhile is not called back."""

    def __init__(self, state: ConversationState, on_compare: Callable[[Versions, tuple[int, int]], None]) -> None:
        self._state = state
        self._on_compare = on_compare
        self._awaited: _Awaited | None = None
        state.param.watch(lambda _: self._look(), "path")

    async def ask(self, message_id: str, options: Options) -> None:
        """Answer the question of an answer once more, with these options, and compare the two at its end."""
        self._awaited = None
        known = {message.id for message in self._state.path}
        await self._state.retry(message_id, options=options)
        new = self._last
        if new is not None and new.id not in known:
            self._awaited = _Awaited(message_id, new.id)
            self._look()

    @property
    def _last(self) -> Message | None:
        path = self._state.path
        return path[-1] if path and path[-1].role == "assistant" else None

    def _look(self) -> None:
        awaited, new = self._awaited, self._last
        if awaited is None or (new is not None and (new.id, new.status) == (awaited.id, "streaming")):
            return
        self._awaited = None
        versions = self._state.versions.get(awaited.id)
        if (
            new is None
            or new.id != awaited.id
            or not new.text
            or versions is None
            or awaited.before not in versions.ids
        ):
            return
        self._on_compare(versions, (versions.ids.index(awaited.before), versions.index))
