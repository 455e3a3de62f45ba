"""What is known to make Markdown parsers slow: its work grows with its length alone.

Work is counted in calls of Python's functions, which is the same on every machine and on every day.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from components.deltas import PORTION
from services.render import MarkdownStream, render_markdown
from services.render.code import _known as coloured_before
from services.render.tex import mathml
from tests.render.audit import audit

SIZE = 65_536 if os.environ.get("PANELIST_LONG") == "1" else 16_384
MOST_CALLS = 400
"""For each character: what grows with the square of the text is far beyond it."""
MOST_STEP_CALLS = 250_000
"""In one step of a paint, after which others have their turn: some 25 ms."""


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
    "lists on each line": again("- - - - - - - a\n"),
    "nested tasks": lambda size: "".join(f"{'  ' * (n % 8)}- [ ] a\n" for n in range(size // 15))[:size],
    "one item of a long list": lambda size: "- a\n" + again("  - b\n")(size),
    "quoted list": again("> - a\n"),
    "list of formulas": again("- $x^2$\n"),
    "lists of code": again("- ```py\n  a = 1\n  ```\n"),
    "emphasis that never matches": again("***a_"),
    "code in every word": again("`a` "),
    "links in every word": again("[a](http://a.b) "),
    "links that lead elsewhere": again("[http://x.y](http://a.b) "),
    "references that are defined": lambda size: "[a]: http://a.b\n\n" + again("[a] ")(size),
    "references that are defined last": lambda size: again("[a] ")(size) + "\n\n[a]: http://a.b\n",
    "autolinks": again("<http://a.b> "),
    "mail addresses": again("<a@b.c> "),
    "bare addresses": again("http://a.b/c?d=e "),
    "comments": again("<!-- a "),
    "tags": again("<div><p>"),
    "CDATA": again("<![CDATA[ "),
    "numeric entities": again("&#x41;"),
    "pictures": again("![a](http://a.b/c.png) "),
    "wide and long table": lambda size: f"{'|a' * 100}|\n{'|-' * 100}|\n" + again(f"{'|a' * 100}|\n")(size),
    "cell of a table": lambda size: "|a|\n|-|\n|" + again("a ")(size) + "|\n",
    "one definition after the other": lambda size: "a\n" + again(": b\n")(size),
    "definitions with words": again("a\n\n: b\n\n    c\n\n"),
    "nested fractions": again("$" + "\\frac{a}{" * 30 + "b" + "}" * 30 + "$\n\n"),
    "long formulas": again(f"$${'a+' * 900}a$$\n\n"),
    "dollars in prose": again("it costs $5 and $10, "),
    "long code": again("```py\n" + "def f(x): return {1: [x]}\n" * 400 + "```\n\n"),
    "code that is not closed": lambda size: "```py\n" + again("x = 1\n")(size),
    "code of empty lines": lambda size: "```\n" + "\n" * size + "```\n",
    "code of one line": lambda size: "```\n" + "a " * (size // 2) + "\n```\n",
    "short paragraphs": again("a\n\n"),
    "title of a link": lambda size: f"[a](b '{'c' * size}')",
    "marks of direction": again("\u202ea\u202cb\u2067c\u2069"),
    "combining marks": again("a" + "\u0301\u0302\u0303\u0323" * 10),
    "joined emoji": again("👩‍👩‍👧‍👦"),
    "soft hyphens": again("a\u00ad"),
    "carriage returns": again("a\r"),
}


@contextmanager
def counted(counts: list[int]) -> Iterator[None]:
    """Count the functions that are called, Python's and C's, in the last of `counts`."""

    def note(_frame: FrameType, event: str, _value: object) -> None:
        counts[-1] += event in {"call", "c_call"}

    coloured_before.clear()
    mathml.cache_clear()
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)


def stream(text: str, counts: list[int], portion: int = 1_000) -> str:
    """Return the HTML of a text that comes in portions; `counts` gets the calls of each step."""
    writer = MarkdownStream()
    with counted(counts):
        for start in range(0, len(text), portion):
            writer.feed(text[start : start + portion])
            for _ in writer.painting():
                counts.append(0)
        for _ in writer.finishing():
            counts.append(0)
    return writer.finish().html


@pytest.mark.parametrize("name", BOMBS)
def test_work_grows_with_the_text_alone(name: str) -> None:
    text = BOMBS[name](SIZE)
    counts = [0]
    html = stream(text, counts)
    assert sum(counts) < MOST_CALLS * SIZE
    assert html == render_markdown(text)
    audit(html)


@pytest.mark.parametrize("name", BOMBS)
def test_no_step_of_a_paint_takes_long(name: str) -> None:
    counts = [0]
    stream(BOMBS[name](SIZE), counts, PORTION)
    assert max(counts) < MOST_STEP_CALLS
