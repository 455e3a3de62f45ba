"""Texts, whole or as they come: the same blocks, so the same HTML."""

from __future__ import annotations

import html
import re
from collections import ChainMap
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Any

from services.messages import clean_text
from services.render.blocks import (
    FENCE,
    MAX_BLOCK_CHARS,
    MAX_CODE_LINES,
    Block,
    affordable,
    block_html,
    price_of,
    split,
)
from services.render.calm import calm, completed, is_right, open_fence, spliced, without_half_line
from services.render.code import MAX_COLOURED, colouring, plain
from services.render.parts import Rest, first_cut, rest_after
from services.render.tokens import language_of

MAX_CHARS = 200_000
"""Blocks that begin after this many characters of a text are shown as escaped text."""
_SAVINGS, _RATE = 30_000, 2.5
"""A text may cost `_SAVINGS` µs plus `_RATE` µs for each character; prose costs 0.6, dense lists 2, bombs 4 to 30."""
_FIRST_WINDOW, _LAST_WINDOW = 4_000, 12_000
"""µs of source that is given to the block parser at first, and when no block ends in that."""
_REPAINT_FREE, _REPAINT_SHARE = 4_000, 32
"""A tail dearer than the first (µs) is parsed again only after one more character per so many µs of its price."""
DEFINITION_PRICE = 60
"""µs that a link definition costs."""
STEP_PRICE = 5_000
"""µs after which others have their turn; what is begun, a block or the parsing of a window, is ended first."""


@dataclass(frozen=True, slots=True)
class Paint:
    """What changed on the page since the last paint."""

    frozen: str
    """Blocks that were finished since: to be added to those before, never to be touched again."""
    tail: str
    """The unfinished rest, in place of the previous one."""
    html: str = ""
    """The whole text's HTML; only on the last paint."""
    changed: bool = False
    """The frozen blocks do not add up to `html`, because a link was defined after it was used: show `html` instead."""


class MarkdownStream:
    """Markdown that arrives in pieces: finished blocks are frozen, only the unfinished rest is parsed again."""

    def __init__(self, references: dict[str, Any] | None = None, *, dry: bool = False) -> None:
        self.parsed = 0
        """Characters given to the parser so far: the work done."""
        self._references = {} if references is None else references
        self.defined = False
        """Whether links are defined in it, which may have been used before."""
        self._dry = dry
        self._coloured = self._tex = 0
        self._source: list[str] = []
        self._frozen: list[str] = []
        self._cut = self._return = ""
        self._open = ""
        self._offset = 0
        self._spent = self._busy = 0.0
        self._overflow = False
        self._rest: Rest | None = None  # of a block that was cut, with which the open source begins
        self._scanned = 0
        self._tail, self._tail_end, self._tail_price = "", 0, 0.0

    def feed(self, text: str) -> None:
        """Take more text, cut anywhere: in a line break, in a pair of surrogates, in a word."""
        text, self._cut = self._cut + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._cut = text[:-1], text[-1]
        self._append(clean_text(text))

    def paint(self) -> Paint:
        """Return what is new. Costs as much as the unfinished block does, less when that one is large."""
        *_, paint = self.painting()
        assert paint is not None
        return paint

    def painting(self) -> Iterator[Paint | None]:
        """Do what `paint` does in steps of some milliseconds, each of which yields nothing but the last, the paint.

        Nothing may be fed before the last one.
        """
        grown = len(self._open) - self._tail_end
        if self._tail_price > _REPAINT_FREE and 0 <= grown < self._tail_price / _REPAINT_SHARE:
            yield Paint("", spliced(self._tail, html.escape(self._open[self._tail_end :])))
            return
        pieces: list[str] = []
        self._busy = 0.0
        for piece in self._close(final=False):
            pieces.append(piece)
            if not piece:
                yield None
        self._frozen += pieces
        for _ in self._paint_tail():
            yield None
        yield Paint("".join(pieces), self._tail)

    def finish(self) -> Paint:
        """Return the last paint. Nothing may be fed afterwards."""
        *_, paint = self.finishing()
        assert paint is not None
        whole = render_markdown("".join(self._source)) if self.defined else self.shown
        return Paint(paint.frozen, "", whole, whole != self.shown)

    def finishing(self) -> Iterator[Paint | None]:
        """Do what `finish` does in steps, without looking whether the end of the text has changed its beginning."""
        pieces: list[str] = []
        self._busy = 0.0
        for piece in self.close():
            pieces.append(piece)
            if not piece:
                yield None
        self._frozen += pieces
        yield Paint("".join(pieces), "")

    @property
    def shown(self) -> str:
        """The HTML of all blocks that are finished."""
        return "".join(self._frozen)

    def close(self) -> Iterator[str]:
        """Yield the HTML of all that is left, in pieces between which others may have their turn."""
        self._append(clean_text(self._cut))
        if self._return:
            self._append("\n")
        self._cut = ""
        yield from self._close(final=True)

    def _append(self, text: str) -> None:
        text, self._return = self._return + text, ""
        if text.endswith("\r"):
            text, self._return = text[:-1], "\r"
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        self._source.append(text)
        self._open += text

    def _close(self, *, final: bool) -> Iterator[str]:
        """Yield the HTML of the blocks that end in the open source, piece by piece, and take them out of it."""
        limit = float(_FIRST_WINDOW)
        while self._open and not self._overflow:
            end, last, price = self._window(limit, final=final)
            if not end:
                break
            yield from self._turn(price)
            blocks, env = self._parse(self._open[:end])
            done = blocks if last else [block for block in blocks[:-1] if block.lines <= env["undecided"]]
            if cut := first_cut(done or blocks[:1], env["undecided"]):
                yield from self._turn(price)
                done, env = self._parse(self._open[: cut.end])
            if done:
                limit = float(_FIRST_WINDOW)
                yield from self._freeze(done, env)
                if cut and not self._overflow:
                    self._open, self._offset = cut.head + self._open, self._offset - len(cut.head)
                    self._rest = rest_after(done[-1])
            elif self._take_definitions(blocks, env):
                limit = float(_FIRST_WINDOW)
            elif last or (not final and end == self._open.rfind("\n") + 1):
                if final:  # nothing but blank lines and link definitions is left
                    self._open = ""
                return
            elif limit == _LAST_WINDOW:
                self._overflow = True
            else:
                limit = _LAST_WINDOW
        if final and (rest := self._open.lstrip("\n")):
            self._open = ""
            yield plain(rest)

    def _turn(self, price: float) -> Iterator[str]:
        """Note work of so many µs that comes next; yield nothing where others have their turn before it."""
        if self._busy > 0 and self._busy + price > STEP_PRICE:
            self._busy = 0.0
            yield ""
        self._busy += price

    def _window(self, limit: float, *, final: bool) -> tuple[int, bool, float]:
        """Return how much of the open source to parse next, whether no block of it can go on after that, its price.

        A code block at the start is looked through for its end alone: it may be long, and it is cheap.
        """
        self._overflow = self._offset >= MAX_CHARS
        if self._overflow:
            return 0, False, 0.0
        fence = FENCE.match(self._open)
        if fence is None:
            whole = len(self._open) if final else self._open.rfind("\n") + 1
            end, price = affordable(self._open[:whole], limit)
            self._overflow = whole > 0 and not end
            return end, final and end == whole, price
        closing = re.compile(rf"^ {{0,3}}{fence[2][0]}{{{len(fence[2])},}}[ \t]*\n", re.M)
        found = closing.search(self._open, max(fence.end(), self._scanned))
        self._scanned = 0 if found else self._open.rfind("\n") + 1
        if self._open.count("\n", 0, found.end() if found else None) > MAX_CODE_LINES:
            self._overflow = True
            return 0, False, 0.0
        if found:
            return found.end(), True, 0.0
        return (len(self._open) if final else 0), final, 0.0

    def _parse(self, source: str) -> tuple[list[Block], dict[str, Any]]:
        self.parsed += len(source)
        references = ChainMap[str, Any]({}, self._references)
        env: dict[str, Any] = {"references": references, "tex": self._tex, "undecided": inf}
        blocks = split(source, env)
        if self._rest is not None:
            self._rest.mark(blocks)
        self.defined = self.defined or bool(env["references"])
        return blocks, env

    def _freeze(self, blocks: list[Block], env: dict[str, Any]) -> Iterator[str]:
        """Yield the HTML of finished blocks as far as the text may cost that much; the rest of it is overflow."""
        start = lines = 0
        for block in blocks:
            start, lines = self._pay_definitions(env, lines, block.first_line)
            self._overflow = self._overflow or self._offset + block.end - len(block.source) >= MAX_CHARS
            if self._overflow or not self._pay(min(block.price, block.max_price), block.end):
                break
            self._ration_colours(block)
            if not self._dry:
                yield from self._html(block, env)
            start, lines = block.end, block.lines
        self._tex, self._rest = env["tex"], None
        self._take(start, lines, env)

    def _html(self, block: Block, env: dict[str, Any]) -> Iterator[str]:
        """Yield nothing where others have their turn, and the block's HTML at last."""
        for token in block.tokens if not block.is_plain else ():
            if token.type == "fence" and not token.meta.keys() & {"open", "uncoloured"}:
                coloured = ""
                for coloured in colouring(token.content, language_of(token)):
                    if not coloured:
                        yield ""
                token.meta["coloured"] = coloured
        yield from self._turn(min(block.price, block.max_price))
        yield block_html(block, env)

    def _pay(self, price: float, end: int) -> bool:
        """Spend on what ends there in the open source; say whether a text that begins like this may cost that much."""
        self._spent += price
        self._overflow = self._spent > _SAVINGS + _RATE * (self._offset + end)
        return not self._overflow

    def _pay_definitions(self, env: dict[str, Any], first: int, last: int) -> tuple[int, int]:
        """Pay for link definitions on lines from `first` and before `last`; return where that ends, and the line."""
        for line in _definitions(env, first, last):
            if not self._pay(DEFINITION_PRICE, env["starts"][line]):
                return env["starts"][line], line
        return env["starts"][last], last

    def _take(self, end: int, lines: int, env: dict[str, Any]) -> None:
        """Take the source up to `end`, and the links that are defined in these first lines, out of what is open."""
        defined = env["references"].maps[0].items()
        self._references.update((label, link) for label, link in defined if link["map"][1] <= lines)
        self._open, self._offset, self._scanned = self._open[end:], self._offset + end, 0

    def _take_definitions(self, blocks: list[Block], env: dict[str, Any]) -> bool:
        """Take link definitions before the first block out of what is open; say whether there were any.

        The last one stays: what follows may become its title.
        """
        first = min([env["undecided"], *(block.first_line for block in blocks[:1])])
        defined = _definitions(env, 0, first)
        if len(defined) < 2:
            return False
        self._take(*self._pay_definitions(env, 0, defined[-1]), env)
        return True

    def _ration_colours(self, block: Block) -> None:
        for token in block.tokens:
            if token.type == "fence":
                self._coloured += len(token.content)
                if self._coloured > MAX_COLOURED:
                    token.meta["uncoloured"] = True

    def _paint_tail(self) -> Iterator[None]:
        """Render the open source in steps."""
        source = self._open
        self._tail_end, self._tail_price = len(source), 0.0
        if self._overflow or (len(source) > MAX_BLOCK_CHARS and not FENCE.match(source)):
            self._tail = plain(source.lstrip("\n"))
        elif fence := FENCE.match(source):
            self._tail = open_fence(source, fence)
        else:
            source = without_half_line(source)
            for _ in self._turn(affordable(source, inf)[1]):
                yield
            blocks, env = self._parse_tail(source)
            if blocks:
                calm(blocks[-1].tokens, source)
            self._tail_price = 2 * price_of(source)
            pieces: list[str] = []
            for block in blocks:
                for piece in self._html(block, env):
                    pieces.append(piece)
                    if not piece:
                        yield
            self._tail = "".join(pieces)

    def _parse_tail(self, source: str) -> tuple[list[Block], dict[str, Any]]:
        if (guess := completed(source)) != source:
            blocks, env = self._parse(guess)
            if source.startswith(guess) or (blocks and is_right(blocks[-1].tokens)):
                return blocks, env
        return self._parse(source)


def _definitions(env: dict[str, Any], first: int, last: float) -> list[int]:
    """Return the lines from `first` and before `last` on which a link definition begins."""
    defined = [*env["references"].maps[0].values(), *env.get("duplicate_refs", ())]
    return sorted(link["map"][0] for link in defined if first <= link["map"][0] < last)


def render_pieces(text: str) -> Iterator[str]:
    """Yield the HTML of `text` in pieces that take some milliseconds each, for an event loop that must not wait."""
    references: dict[str, Any] = {}
    if "]:" in text:  # links may be defined after they are used
        scout = MarkdownStream(references, dry=True)
        scout.feed(text)
        for _ in scout.close():
            yield ""
    stream = MarkdownStream(references)
    stream.feed(text)
    yield from stream.close()


def render_markdown(text: str) -> str:
    """Return `text`, which may come from anyone, as safe HTML: Markdown, or escaped text where it costs too much."""
    return "".join(render_pieces(text))
