"""Top-level blocks: where they end, what they cost, and their HTML."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from services.render.code import plain
from services.render.tokens import CLEANER, MD

_log = logging.getLogger(__name__)

MAX_BLOCK_PRICE = 20_000
"""A block dearer than this (µs), and 0.3 for each of its characters, is shown as escaped text."""
MAX_BLOCK_CHARS, MAX_CODE_LINES = 32_000, 20_000
"""So is a block, other than one of code, that is longer than the first (characters), and code of more lines."""
MAX_INLINE = 60
"""So is one with words inside more marks than that: a browser takes half a second to paint 600, and goes on with it."""
FENCE = re.compile(r"(?:[ \t]*\n)*( {0,3})(`{3,}(?=[^`\n]*\n)|~{3,})([^\n]*)\n")
"""The first line of a code block, and blank lines before it; groups: its indent, its marker, its info."""
_MARKERS = re.compile(r"(?:[ \t]+|>|[-+*:](?=[ \t])|\d{1,9}[.)](?=[ \t]))*")
"""What a line of nested lists, definitions and quotes begins with."""
_AUTOLINK = re.compile(r"<[A-Za-z][^<>\s]{0,40}[:@]")
PRICES = {
    "[": 14,
    "![": 18,
    "](": 20,
    "]": 3,
    "!": 4,
    "*": 6,
    "_": 5,
    "`": 5,
    "<": 5,
    "&": 4,
    "\\": 3,
    "~": 5,
    "$": 6,
    ":": 4,
    **dict.fromkeys("%+=@^{}", 3),
    **dict.fromkeys("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", 15),
}
"""µs that each occurrence costs the inline parser, or of marks of direction a browser, measured at its worst."""


@dataclass(frozen=True)
class Block:
    """A paragraph, list, table, code block…: what can be rendered without looking at its neighbours."""

    tokens: list[Token]
    source: str
    end: int
    """Where it ends in the text that was parsed."""
    lines: int
    """Lines of that text up to its end."""

    @property
    def first_line(self) -> int:
        """The line of that text on which it begins."""
        return (self.tokens[0].map or [0])[0]

    @cached_property
    def price(self) -> float:
        """The estimated µs of rendering it."""
        return price_of(self.source)

    @property
    def max_price(self) -> float:
        """What it may cost (µs)."""
        return MAX_BLOCK_PRICE + 0.3 * len(self.source)

    @property
    def is_plain(self) -> bool:
        """Whether it is shown as escaped text: it is too dear, too long, or deeper than the parser goes."""
        too_long = len(self.source) > MAX_BLOCK_CHARS and self.tokens[0].type != "fence"
        return too_long or self.is_cut or self.price > self.max_price

    @property
    def is_cut(self) -> bool:
        """Whether the parser reached its nesting limit in it: it drops what is deeper without a word."""
        deepest = MD.options.maxNesting - 1
        return any(token.level >= deepest and token.nesting == 1 for token in self.tokens)


@lru_cache(maxsize=4)  # the open end of an answer is priced several times a paint
def affordable(source: str, limit: float) -> tuple[int, float]:
    """Return how many characters of `source`, in whole lines, the block parser gets for `limit` µs, and their price.

    Deep nesting and wide tables make each line dearer. The price only grows with each line, so a text that is cut
    elsewhere is not priced otherwise. A line that is longer than any block may be is never afforded.
    """
    end, total, depth, pipes = 0, 0.0, 0, 0
    while end < len(source):
        stop = source.find("\n", end) + 1 or len(source)
        if stop - end > MAX_BLOCK_CHARS:
            break
        prefix = _MARKERS.match(source, end, min(stop, end + 200))
        marks = prefix.group() if prefix else ""
        depth = max(depth, min(10, len(marks) - marks.count(" ") - marks.count("\t")))
        pipes = max(pipes, source.count("|", end, stop))
        total += 12 + 0.1 * (stop - end) + 4 * depth + min(len(marks), 20) + 12 * pipes
        if total > limit and end:
            return end, total
        end = stop
    return end, total


@lru_cache(maxsize=4)
def price_of(source: str) -> float:
    """Return the estimated µs of rendering one block, the colours of code aside."""
    if FENCE.match(source):
        return 40 + len(source) * 0.1
    marks = sum(source.count(mark) * cost for mark, cost in PRICES.items())
    return 20 + affordable(source, float("inf"))[1] + marks + 40 * len(_AUTOLINK.findall(source))


def split(source: str, env: dict[str, Any]) -> list[Block]:
    """Return the top-level blocks of `source`; what else the parser found is added to `env`.

    That is link definitions (`references`), the first line that may be read otherwise when more lines have come
    (`undecided`): the blocks from there on are not certain yet; and where each line begins (`starts`).
    """
    tokens: list[Token] = []
    MD.block.parse(source, MD, env, tokens)
    starts = env["starts"] = [0, *(found.end() for found in re.finditer("\n", source)), len(source)]
    blocks: list[Block] = []
    first = 0
    for i, token in enumerate(tokens):
        if token.level == 0 and token.nesting != 1:
            first_line, last_line = tokens[first].map or [0, 0]
            start, end = starts[first_line], starts[last_line]
            blocks.append(Block(tokens[first : i + 1], source[start:end], end, last_line))
            first = i + 1
    return blocks


def block_html(block: Block, env: dict[str, Any]) -> str:
    """Return the block's HTML; escaped text when it is too dear, too deep, or more than the parser can take."""
    if block.is_plain:
        return plain(block.source)
    state = StateCore("", MD, env, block.tokens)
    env["block_tex"] = 0
    try:
        MD.core.process(state)
        if any(child.level > MAX_INLINE for token in state.tokens for child in token.children or ()):
            return plain(block.source)
        return CLEANER.clean(MD.renderer.render(state.tokens, MD.options, env))
    except Exception:  # whatever a model wrote that the parser cannot take, it is shown
        _log.exception("a block of %d characters could not be rendered", len(block.source))
        return plain(block.source)
    finally:
        env["tex"] += env["block_tex"]
