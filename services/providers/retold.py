"""A text that is told in pieces, and again whole: with its part, its item and the response.

What came in pieces is on show and stays. But servers leave pieces out (OpenAI all of some short answers, xAI the last
ones), and then only the whole has them. Ids and places cannot be trusted to say what belongs together (LiteLLM makes up
an id for each piece, vLLM one for the response), so what has come is found by its text.
"""

from __future__ import annotations

from services.messages import clean_text
from services.providers.accumulator import Joiner

_LONGEST = 500_000
"""Letters that are compared one by one, in 20 ms."""


class Retold(Joiner):
    """Cleans the pieces, and says what only a whole has."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[str] = []
        self._starts: dict[str, int] = {}
        """How many pieces came before an item or a part of one."""
        self._ended: set[str] = set()
        self._start = 0
        """As `_starts`, of an item that was not announced."""
        self._item: str | None = None
        """That the last piece belongs to."""

    def feed(self, text: str, item: str | None = None) -> str:
        """Take a piece in and return what can be shown. An item goes on in its line though its end was announced."""
        if item is not None and item == self._item:
            self.go_on()
        self._item = item
        self._pieces.append(text)
        return super().feed(text)

    def begin(self, item: str) -> None:
        """Begin an item, unless it has begun already."""
        if item in self._starts and item not in self._ended:
            return
        self._ended.discard(item)
        self._start = self._starts[item] = len(self._pieces)
        self._item = None
        self.end_block()

    def begin_part(self, part: str) -> None:
        self._starts.setdefault(part, len(self._pieces))

    def end(self, item: str) -> None:
        self._ended.add(item)
        self._starts.setdefault(item, self._start)
        self._start = len(self._pieces)
        self.end_block()

    def since(self, *places: str | None) -> str:
        """Return what came since a part or an item began: the first of these that was announced."""
        return self._told(next((self._starts[place] for place in places if place in self._starts), self._start))

    @property
    def told(self) -> str:
        """All that came."""
        return self._told(0)

    def _told(self, start: int) -> str:
        return "".join(self._pieces[start:])

    def compare(self, whole: str, told: str) -> tuple[str, str]:
        """Return what has to be said for `whole` to be there, and what of `told` comes after it.

        Where pieces are missing before the last one, that is the whole: what is on show cannot be changed.
        """
        if whole == told:  # as nearly always, and then nothing has to be cleaned
            return "", ""
        whole, told = clean_text(whole), clean_text(told)
        words = whole.strip()
        found = told.find(words)
        if found >= 0:
            return "", told[found + len(words) :]
        begun = told.lstrip()
        if whole.lstrip().startswith(begun):
            return whole.lstrip()[len(begun) :] if begun else whole, ""
        if _has_more(whole, told):
            self.end_block()
            return words, ""
        return "", told


def _has_more(whole: str, told: str) -> bool:
    """Whether `told` is `whole` with something left out, spaces aside. Where that takes too long, it is."""
    letters, told = "".join(whole.split()), "".join(told.split())
    rest = iter(letters)
    return len(letters) > len(told) and (len(letters) > _LONGEST or all(letter in rest for letter in told))
