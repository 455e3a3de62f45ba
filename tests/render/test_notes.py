"""Footnotes stay where they were written, and definition lists are found, also while they come."""

from __future__ import annotations

import pytest

from services.render import MarkdownStream, render_markdown
from tests.render.audit import audit, tail_of


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("a[^1] b[^23].", ["1", "23"]),
        ("a[^note] [^long-note] [^größe]", ["note", "long-note", "größe"]),
        ("**a[^1]** [b[^2]](https://a.example)", ["1", "2"]),
        ("|a|\n|-|\n|b[^1]|", ["1"]),
        ("[^a-z] [^a-zA-Z] [^0-9] [^ab] [^12345] [^a b] [^] [^\"'] [^1", []),
        ("`[^1]` \\[^1] [^1](https://a.example)", []),
    ],
)
def test_references_are_numbers_or_words(text: str, labels: list[str]) -> None:
    page = audit(render_markdown(text))
    assert [note["data-note"] for note in page.all("sup")] == labels
    assert all(f"[{label}]" in page.text for label in labels)
    assert labels or page.text.count("^") == text.count("^")


def test_a_footnote_stays_where_it_was_written() -> None:
    html = render_markdown("a[^1]\n\n[^1]: The *note*.\n\n    More\n\nb\n[^x]: y\nlazy\n\nc")
    page = audit(html)
    assert [(div["data-note"], div["role"]) for div in page.all("div") if "data-note" in div] == [
        ("1", "note"),
        ("x", "note"),
    ]
    assert page.text.split() == ["a[1]", "[1]", "The", "note.", "More", "b", "[x]", "y", "lazy", "c"]


def test_a_label_is_escaped_and_short() -> None:
    page = audit(render_markdown("[^<b>\"'" + "x" * 60 + "]: a"))
    assert page.all("div")[0]["data-note"] == "<b>\"'" + "x" * 35


@pytest.mark.parametrize(
    ("text", "terms", "definitions"),
    [
        ("Tea\n: green\n: black", 1, 2),
        ("Tea\n\n: green\n\nPot *x*\n: white", 2, 2),
        ("- Tea\n  : green", 1, 1),
        ("Tea\n~ 5 minutes", 0, 0),
        ("Tea:\n:smile: and", 0, 0),
        ("Tea\n:", 0, 0),
        ("one\ntwo\n: three", 0, 0),
    ],
)
def test_definition_lists(text: str, terms: int, definitions: int) -> None:
    page = audit(render_markdown(text))
    assert (len(page.all("dt")), len(page.all("dd"))) == (terms, definitions)
    assert all(cell["dir"] == "auto" for cell in page.all("dd") + page.all("dt"))


def test_a_list_that_may_go_on_is_not_frozen() -> None:
    writer = MarkdownStream()
    writer.feed("Tea\n: green\n\nPot\n")
    assert writer.paint().frozen == ""
    writer.feed("\n: white\n\nend\n\nend\n\n")
    assert writer.paint().frozen.count("<dl>") == 1


def test_a_footnote_is_frozen_with_its_reference_before_or_after() -> None:
    writer = MarkdownStream()
    writer.feed("a[^tea]\n\n[^tea]: note\n\nb[^tea]\n\nend\n")
    assert writer.paint().frozen.count("data-note") == 3
    assert not writer.finish().changed


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("a[^", "<p>a</p>"),
        ("a[^1", "<p>a</p>"),
        ("a\n[^1", "<p>a</p>"),
        ("a\n[^1]", "<p>a</p>"),
        ("a\n[^1]:", "<p>a</p>"),
        ("a\n[^1]: ", "<p>a</p>"),
        ("a\n\n[docs]: ", "<p>a</p>"),
        ("a\n: ", "<p>a</p>"),
        ("a\n\n: **b", "<dl>\n<dt>a</dt>\n<dd><strong>b</strong></dd>\n</dl>"),
    ],
)
def test_what_is_half_there_waits(written: str, seen: str) -> None:
    assert tail_of(written).replace(' dir="auto"', "").strip() == seen
