"""What is known to make Markdown parsers slow: its work grows with its length alone.

Work is counted in calls of Python's functions, which is the same on every machine and on every day.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType

import pytest

from services.render import MarkdownStream, render_markdown
from services.render.code import highlight
from services.render.tex import mathml
from tests.render.audit import audit

SIZE = 65_536 if os.environ.get("PANELIST_LONG") == "1" else 16_384
MOST_CALLS = 400
"""For each character: what grows with the square of the text is far beyond it."""


def again(piece: str) -> Callable[[int], str]:
    return lambda size: (piece * (size // len(piece) + 1))[:size]


def growing(mark: str) -> Callable[[int], str]:
    """Return a text of runs of a mark, each longer than the one before."""
    return lambda size: " ".join(mark * n for n in range(1, int((2 * size) ** 0.5)))[:size]


def numbered(piece: str) -> Callable[[int], str]:
    return lambda size: "".join(piece.format(n) for n in range(size // len(piece)))[:size]


BOMBS: dict[str, Callable[[int], str]] = {
    "nested quotes": again(">"),
    "nested quotes with blanks": again("> "),
    "quotes that grow": lambda size: "\n".join(">" * n for n in range(int((2 * size) ** 0.5)))[:size],
    "nested lists": lambda size: "".join(f"{'  ' * n}- a\n" for n in range(int(size**0.5)))[:size],
    "lists on one line": again("- "),
    "numbers on one line": again("1. "),
    "lists and quotes": again("> - "),
    "long list": again("- an item\n"),
    "task list": again("- [ ] an item\n"),
    "empty items": again("-\n"),
    "emphasis that opens": again("*a "),
    "emphasis that closes": again("a* "),
    "strong in words": again("a**b"),
    "emphasis both ways": again("*a _b "),
    "deep emphasis": lambda size: "*" * (size // 2) + "a" + "*" * (size // 2 - 1),
    "stars": again("*"),
    "underscores": again("_a __b "),
    "strikes": again("~~a ~b "),
    "brackets": again("["),
    "images": again("!["),
    "closing brackets": again("]"),
    "brackets in pairs": again("[a]"),
    "brackets nested": lambda size: "[" * (size // 2) + "]" * (size // 2),
    "links unclosed": again("[a](b"),
    "links with pointed ends": again("[a](<b"),
    "links with open titles": again('[a](b "c'),
    "links in links": again("[a](b)[ "),
    "references": again("[a][b] "),
    "link definitions": numbered("[k{0}]: http://a.b/{0}\n"),
    "definitions of one": again("[k]: http://a.b/\n"),
    "definitions in a paragraph": again("[k]: a 'b\n"),
    "definitions with long labels": again("[" + "k" * 900 + "]: a\n"),
    "backticks that grow": growing("`"),
    "backticks": again("`a``b"),
    "fences that grow": lambda size: "\n".join("`" * n for n in range(3, int((2 * size) ** 0.5)))[:size],
    "pointed brackets": again("<"),
    "open autolinks": again("<http://a"),
    "open tags": again("<a b='"),
    "addresses": again("//a.b/ "),
    "entities": again("&amp;"),
    "entities that are none": again("&x"),
    "escapes": again("\\*"),
    "dollars": again("$"),
    "formulas unclosed": again("$a "),
    "displays unclosed": again("$$a\n"),
    "formulas": again("$a$ "),
    "brackets of TeX": again("\\[a "),
    "parentheses of TeX": again("\\(a\n"),
    "table of many columns": lambda size: f"{'|a' * (size // 4)}|\n{'|-' * (size // 4)}|\n"[:size],
    "table of many rows": lambda size: "|a|b|\n|-|-|\n" + again("|c|d|\n")(size),
    "table of short rows": lambda size: f"{'|a' * 200}|\n{'|-' * 200}|\n" + again("|\n")(size),
    "tables": again("|a|\n|-|\n\n"),
    "heads of tables": again("|a|b|\n"),
    "footnotes": numbered("[^{0}]: note\n\n"),
    "nested footnotes": again("[^1]: "),
    "references of footnotes": again("[^1]"),
    "definition lists": again("a\n: b\n\n"),
    "colons": again(": "),
    "braces": again("{}"),
    "signs": again("a=b+c@d^%"),
    "headings": again("# a\n"),
    "underlined headings": again("a\n=\n"),
    "setext": again("a\n---\n\n"),
    "rules": again("---\n"),
    "one paragraph": again("a line of words\n"),
    "one word": again("a"),
    "blank lines": again("\n"),
    "indented code": again("    a\n\n"),
    "spaces": again(" "),
    "tabs": again("\t- "),
    "zero bytes": again("\x00*"),
    "line breaks": again("a  \n"),
}


def calls(act: Callable[[], object]) -> int:
    """Return how many functions are called, Python's and C's."""
    count = 0

    def note(_frame: FrameType, event: str, _value: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    highlight.cache_clear()
    mathml.cache_clear()
    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count


def stream(text: str) -> str:
    writer = MarkdownStream()
    for start in range(0, len(text), 1_000):
        writer.feed(text[start : start + 1_000])
        writer.paint()
    return writer.finish().html


@pytest.mark.parametrize("name", BOMBS)
def test_work_grows_with_the_text_alone(name: str) -> None:
    text = BOMBS[name](SIZE)
    assert calls(lambda: stream(text)) < MOST_CALLS * SIZE
    html = render_markdown(text)
    assert stream(text) == html
    audit(html)
