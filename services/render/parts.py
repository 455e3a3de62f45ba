"""Parts of a block that is too long to be rendered in one go: a list, a quote or a table, cut between two items."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from services.render.blocks import Block, price_of

MAX_WHOLE_PRICE, _PART_PRICE = 10_000, 7_000
"""A list, a quote or a table that is dearer than the first (µs) is cut into parts that cost the second at most."""

_LEVELS = {"bullet_list_open": 1, "ordered_list_open": 1, "blockquote_open": 1, "table_open": 2}
"""How deep in them the items are."""
_QUOTED = re.compile(r" {0,3}>")


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the first part of a block ends."""

    end: int
    """In the text that was parsed."""
    head: str = ""
    """What the rest begins with: the head of a table."""


def first_cut(blocks: list[Block], certain: float) -> Cut | None:
    """Return where to cut the first block that is too dear to be one; None when there is none, or only one item in it.

    The last item stays behind, which may go on. A block's price only grows, so one that is longer is cut alike.

    Args:
        blocks: Those that are finished, or one that is not.
        certain: The first line that may still be read otherwise.
    """
    return next((cut for block in blocks if block.price > MAX_WHOLE_PRICE and (cut := _cut(block, certain))), None)


def _cut(block: Block, certain: float) -> Cut | None:
    level = _LEVELS.get(block.tokens[0].type)
    if level is None:
        return None
    lines = block.source.split("\n")
    is_table = block.tokens[0].type == "table_open"
    body = next((i for i, token in enumerate(block.tokens) if is_table and token.type == "tbody_open"), 0)
    items = (token for token in block.tokens[body:] if token.level == level and token.nesting != -1 and token.map)
    starts = [token.map[0] for token in items if token.map]
    ends = [at - block.first_line for at in starts[1:] if at <= certain]
    if block.tokens[0].type == "blockquote_open":
        ends = [at for at in ends if _QUOTED.match(lines[at])]
    if not ends:
        return None
    afforded = bisect_right(ends, _PART_PRICE, key=lambda at: int(price_of("\n".join(lines[:at]))))
    left = "\n".join(lines[ends[max(0, afforded - 1)] :])
    return Cut(block.end - len(left), f"{lines[0]}\n{lines[1]}\n" if is_table else "")


@dataclass(frozen=True, slots=True)
class Rest:
    """What is left of a block whose first part was cut off."""

    opening: str
    """The type of its first token."""
    number: int | None
    """That of its first item, in an ordered list."""

    def mark(self, blocks: list[Block]) -> None:
        """Say of the first of these blocks that it goes on with the one before, if it does."""
        if blocks and (first := blocks[0].tokens[0]).type == self.opening:
            first.attrSet("data-continued", "")
            if self.number is not None:
                first.attrSet("start", self.number)


def rest_after(block: Block) -> Rest:
    """Return what goes on behind the first part of a block."""
    opening = block.tokens[0]
    if opening.type != "ordered_list_open":
        return Rest(opening.type, None)
    items = sum(token.type == "list_item_open" and token.level == 1 for token in block.tokens)
    return Rest(opening.type, int(opening.attrs.get("start", 1)) + items)
