"""What need not be read again: messages that have been followed by others hardly ever change any more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock

from services.messages import Message

MOST_CHARS = 16_000_000
"""Of the texts of all paths that are kept."""
_EACH = 500
"""A message counts as so many characters more: there is more to it than its text."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first messages of a path."""

    messages: tuple[Message, ...]
    seq: int
    """The place of the last of them in its conversation."""
    chars: int


class Paths:
    """The beginnings of the paths that were read last, by conversation; whoever opens one again shares its messages.

    Several threads may use it at once.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[str, Beginning] = OrderedDict()
        self._chars = 0
        self.turn = 0
        """Grows with each `forget`: what was read before one is kept no more."""

    def known(self, conversation_id: str) -> Beginning | None:
        with self._lock:
            if conversation_id in self._kept:
                self._kept.move_to_end(conversation_id)
            return self._kept.get(conversation_id)

    def forget(self, conversation_ids: Iterable[str]) -> None:
        """Keep nothing of these conversations any more."""
        with self._lock:
            self.turn += 1
            for id in conversation_ids:
                if (known := self._kept.pop(id, None)) is not None:
                    self._chars -= known.chars

    def keep(self, path: Sequence[Message], seqs: Sequence[int], turn: int) -> None:
        """Keep all but the last message, which may still be written.

        Args:
            path: The messages.
            seqs: The places of the last ones.
            turn: That of the moment before they were read.
        """
        if len(path) < 2 or len(seqs) < 2:
            return  # what is known already reaches as far
        if any(message.status == "streaming" for message in path[-len(seqs) : -1]):
            return  # it was followed before it was written: its run is yet to come
        with self._lock:
            if turn == self.turn:
                self._keep(path, seqs)

    def _keep(self, path: Sequence[Message], seqs: Sequence[int]) -> None:
        conversation_id = path[0].conversation_id
        before = self._kept.pop(conversation_id, None)
        messages = tuple(path[:-1])
        shared = len(before.messages) if before and messages[: len(before.messages)] == before.messages else 0
        chars = (before.chars if before and shared else 0) + sum(len(m.text) + _EACH for m in messages[shared:])
        self._chars += chars - (before.chars if before else 0)
        self._kept[conversation_id] = Beginning(messages, seqs[-2], chars)
        while self._chars > MOST_CHARS and self._kept:
            self._chars -= self._kept.popitem(last=False)[1].chars
