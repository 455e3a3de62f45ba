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
from services.render.blocks import FENCE, MAX_BLOCK_PRICE, Block, affordable, block_html, price_of, split
from services.render.calm import calm, completed, is_right, open_fence, spliced, without_half_line
from services.render.code import MAX_COLOURED, plain
from services.render.parts import Rest, first_cut, rest_after

MAX_CHARS = 200_000
"""Blocks that begin after this many characters of a text are shown as escaped text."""
_SAVINGS, _RATE = 30_000, 2.0
"""A text may cost `_SAVINGS` µs plus `_RATE` µs for each character; prose costs 0.5, dense lists 2, bombs 4 to 30."""
_FIRST_WINDOW = 4_000
"""µs of source that is given to the block parser at first; five times more when no block ends in it."""
_REPAINT_FREE, _REPAINT_SHARE = 4_000, 32
"""A tail dearer than the first (µs) is parsed again only after one more character per so many µs of its price."""
DEFINITION_PRICE = 60
"""µs that a link definition costs."""


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
        self._defined = False
        self._dry = dry
        self._coloured = self._tex = 0
        self._source: list[str] = []
        self._frozen: list[str] = []
        self._cut = self._return = ""
        self._open = ""
        self._offset = 0
        self._spent = 0.0
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
        grown = len(self._open) - self._tail_end
        if self._tail_price > _REPAINT_FREE and 0 <= grown < self._tail_price / _REPAINT_SHARE:
            return Paint("", spliced(self._tail, html.escape(self._open[self._tail_end :])))
        frozen = "".join(self._close(final=False))
        self._frozen.append(frozen)
        return Paint(frozen, self._paint_tail())

    def finish(self) -> Paint:
        """Return the last paint. Nothing may be fed afterwards."""
        frozen = "".join(self.close())
        shown = "".join([*self._frozen, frozen])
        whole = render_markdown("".join(self._source)) if self._defined else shown
        return Paint(frozen, "", whole, whole != shown)

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
            end, last = self._window(limit, final=final)
            if not end:
                break
            blocks, env = self._parse(self._open[:end])
            done = blocks if last else [block for block in blocks[:-1] if block.lines <= env["undecided"]]
            if cut := first_cut(done or blocks[:1], env["undecided"]):
                done, env = self._parse(self._open[: cut.end])
            if done:
                limit = _FIRST_WINDOW
                yield self._freeze(done, env)
                if cut and not self._overflow:
                    self._open, self._offset = cut.head + self._open, self._offset - len(cut.head)
                    self._rest = rest_after(done[-1])
            elif self._take_definitions(blocks, env):
                limit = _FIRST_WINDOW
            elif last or (not final and end == self._open.rfind("\n") + 1):
                if final:  # nothing but blank lines and link definitions is left
                    self._open = ""
                return
            elif limit >= MAX_BLOCK_PRICE:
                self._overflow = True
            else:
                limit *= 5
        if final and (rest := self._open.lstrip("\n")):
            yield plain(rest)

    def _window(self, limit: float, *, final: bool) -> tuple[int, bool]:
        """Return how much of the open source to parse next, and whether no block of it can go on after that.

        A code block at the start is looked through for its end alone: it may be long, and it is cheap.
        """
        self._overflow = self._offset >= MAX_CHARS
        if self._overflow:
            return 0, False
        fence = FENCE.match(self._open)
        if fence is None:
            whole = len(self._open) if final else self._open.rfind("\n") + 1
            end = affordable(self._open[:whole], limit)[0]
            return end, final and end == whole
        closing = re.compile(rf"^ {{0,3}}{fence[2][0]}{{{len(fence[2])},}}[ \t]*\n", re.M)
        found = closing.search(self._open, max(fence.end(), self._scanned))
        self._scanned = 0 if found else self._open.rfind("\n") + 1
        if found:
            return found.end(), True
        return (len(self._open) if final else 0), final

    def _parse(self, source: str) -> tuple[list[Block], dict[str, Any]]:
        self.parsed += len(source)
        references = ChainMap[str, Any]({}, self._references)
        env: dict[str, Any] = {"references": references, "tex": self._tex, "undecided": inf}
        blocks = split(source, env)
        if self._rest is not None:
            self._rest.mark(blocks)
        self._defined = self._defined or bool(env["references"])
        return blocks, env

    def _freeze(self, blocks: list[Block], env: dict[str, Any]) -> str:
        """Return the HTML of finished blocks as far as the text may cost that much; the rest of it is overflow."""
        out: list[str] = []
        start = lines = 0
        for block in blocks:
            start, lines = self._pay_definitions(env, lines, block.first_line)
            self._overflow = self._overflow or self._offset + block.end - len(block.source) >= MAX_CHARS
            if self._overflow or not self._pay(min(block.price, block.max_price), block.end):
                break
            self._ration_colours(block)
            out.append("" if self._dry else block_html(block, env))
            start, lines = block.end, block.lines
        self._tex, self._rest = env["tex"], None
        self._take(start, lines, env)
        return "".join(out)

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

    def _paint_tail(self) -> str:
        source = self._open
        self._tail_end, self._tail_price = len(source), 0.0
        if self._overflow:
            return plain(source.lstrip("\n"))
        if fence := FENCE.match(source):
            return open_fence(source, fence)
        source = without_half_line(source)
        blocks, env = self._parse_tail(source)
        if blocks:
            calm(blocks[-1].tokens, source)
        self._tail_price = 2 * price_of(source)
        self._tail = "".join(block_html(block, env) for block in blocks)
        return self._tail

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
