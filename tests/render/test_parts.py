"""Long lists, quotes and tables come in parts: rightly, and as cheaply as short ones."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.render import MarkdownStream, render_markdown
from tests.render.audit import audit, visible
from tests.render.test_stream import stream

BLOCKS = {
    "list": "".join(f"- an item with **bold** words {n}\n" for n in range(900)),
    "numbers": "".join(f"{n}. an item of `some` words\n" for n in range(7, 900)),
    "all ones": "1. an item of `some` words\n" * 900,
    "loose": "".join(f"* an item {n}\n\n  and a paragraph\n\n" for n in range(500)),
    "tight, then loose": "- an item of words\n" * 600 + "- an item of words\n\n" * 300,
    "nested": "".join(f"- top {n}\n  - [ ] nested\n    1. deep\n" for n in range(400)),
    "with code": "".join(f"- item {n}\n\n  ```py\n  x = {n}\n  ```\n" for n in range(300)),
    "quote": "".join(f"> a paragraph {n} of\n> two lines\n>\n" for n in range(500)),
    "lazy quote": "".join(f"> a paragraph {n} of\ntwo lines\n>\n" for n in range(500)),
    "quoted list": "> - an item\n> - and another\n>\n> words\n>\n" * 300,
    "table": "|n|square|\n|-|-:|\n"
    + "".join(f"| the number {n} as it is | squared it is {n * n} |\n" for n in range(900)),
    "bare table": "n | square\n--|--\n"
    + "".join(f"the number {n} as it is | squared it is {n * n}\n" for n in range(900)),
}
"""Each longer than one part, and ended by whatever follows."""


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("size", [701])
def test_it_ends_as_what_it_is(name: str, size: int) -> None:
    text = f"Before.\n\n{BLOCKS[name]}\n# After\n"
    frozen, last = stream(text, [size])
    assert frozen == last.html == render_markdown(text)
    page = audit(last.html)
    assert "plain" not in [attrs.get("class") for _, attrs in page.elements]
    kind = page.elements[1][0]
    assert len(page.all(kind)) > 1, "in parts"
    assert page.elements[-1][0] == "h1"


@pytest.mark.parametrize(
    ("name", "count"), [("list", 900), ("loose", 500), ("nested", 400), ("quote", 500), ("table", 900)]
)
def test_nothing_is_lost_and_nothing_doubled(name: str, count: int) -> None:
    text = visible(render_markdown(f"{BLOCKS[name]}\nEnd.\n"))
    numbers = [int(found) for found in re.findall(r"(?:words|item|top|paragraph|number) (\d+)", text)]
    assert numbers == list(range(count))


def test_numbers_go_on() -> None:
    for name, first in (("numbers", 7), ("all ones", 1)):
        html = render_markdown(BLOCKS[name])
        begins = [int(start or 1) for start in re.findall(r"<ol(?:[^>]* start=\"(\d+)\")?", html)]
        counts = [part.count("<li") for part in html.split("</ol>")[:-1]]
        assert begins == [first + sum(counts[:n]) for n in range(len(counts))]
        assert len(counts) > 1


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("list", "ul"),
        ("numbers", "ol"),
        ("quote", "blockquote"),
        ("table", 'div class="table-block"'),
    ],
)
def test_parts_but_the_first_say_that_they_go_on(name: str, tag: str) -> None:
    parts = [f"<{found}" for found in re.findall(rf"^<({tag}[^>]*)", render_markdown(BLOCKS[name]), re.M)]
    assert ["data-continued" in part for part in parts] == [False] + [True] * (len(parts) - 1)
    assert len(parts) > 1
    apart = render_markdown(f"{BLOCKS[name]}\nWords.\n\n{BLOCKS[name]}")
    assert apart.count("data-continued") == 2 * (len(parts) - 1), "what stands apart begins anew"


def test_a_part_that_is_written_goes_on_as_well() -> None:
    writer = MarkdownStream()
    writer.feed(BLOCKS["table"].rstrip("\n"))
    assert "data-continued" in writer.paint().tail


def test_every_part_of_a_table_has_its_head() -> None:
    html = render_markdown(BLOCKS["table"])
    assert html.count("<table") == html.count("<thead") > 1
    assert len(re.findall("<th[ >]", html)) == 2 * html.count("<table")


@given(
    st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=2),
    st.lists(st.integers(200, 3_000), min_size=1, max_size=5),
    st.sampled_from(["", "words\n", "\n", "[a]: http://b.c\n", "\n: defined\n", "1. x\n", "```\n"]),
)
@settings(max_examples=8, deadline=None)
def test_every_cut_gives_the_same(names: list[str], cuts: list[int], between: str) -> None:
    text = between.join(BLOCKS[name] for name in names) + between
    frozen, last = stream(text, cuts)
    assert last.html == render_markdown(text)
    assert last.changed == (frozen != last.html)


@pytest.mark.parametrize("name", ["list", "nested", "quote"])
def test_what_is_parsed_grows_with_the_text_alone(name: str) -> None:
    def parsed(text: str) -> int:
        writer = MarkdownStream()
        for start in range(0, len(text), 500):
            writer.feed(text[start : start + 500])
            writer.paint()
        writer.finish()
        return writer.parsed

    assert parsed(BLOCKS[name] * 3) < 3.5 * parsed(BLOCKS[name])
