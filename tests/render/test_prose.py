"""Where the prose is: letter by letter, and nothing of it in code."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from services.render.prose import Edit, prose_of
from tests.post.texts import any_text


def free(text: str) -> list[str]:
    """Return the stretches of prose of a text."""
    found = []
    for passage in prose_of(text).passages:
        edges = [0, *(at for span in passage.fixed for at in span), len(passage.text)]
        found += [passage.text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a `b` c", ["a ", " c"]),
        ("a ``b ` c`` d", ["a ", " d"]),
        ("[a](http://b 'c') d", [" d"]),
        ("[a][b] [b] c\n\n[b]: http://d", [" ", " c"]),
        ("![a](b) <http://c> d", [" ", " d"]),
        ("$a$ \\(b\\) $5 and $10", [" ", " $5 and $10"]),
        ("a\n$$\nb\n$$\nc", ["a", "c"]),
        ("a &amp; \\* b", ["a ", " ", " b"]),
        ('<a href="b">c</a> <!-- d --> e < f', ["c", " ", " e < f"]),
        ("see https://a.b/c'd and e@f.gh", ["see ", " and "]),
        ('a {"b": \'c\'} d="e" /f/g h/i', ["a ", " ", " ", " h/i"]),
        ("| a | `b` |\n|---|---|\n| \\| | c |\n| d | e |", ["a", "d", "e"]),  # an escaped bar moves the rest
        ("# a #\n\nb\n===\n\n> - c\n>   d\n\n1. e", ["a", "b", "c\nd", "e"]),
        ("a[^1]\n\n[^1]: b\n\nc\n: d", ["a", "b", "c", "d"]),
        ("    a\n\n- b\n\n      c\n", ["b"]),
        ("```\na\n", []),
        ("", []),
    ],
)
def test_prose_is_what_is_left_beside_code_formulas_and_links(text: str, expected: list[str]) -> None:
    assert [words for words in free(text) if words] == expected


@given(any_text)
@settings(deadline=None)
def test_every_character_is_found_where_it_stands(text: str) -> None:
    for passage in prose_of(text).passages:
        for at, character in enumerate(passage.text):
            if not character.isspace():
                assert text[passage.place(at)] == character


@given(any_text)
@settings(deadline=None)
def test_a_text_without_edits_is_the_same(text: str) -> None:
    assert prose_of(text).edited([]) == text


def test_what_would_be_read_otherwise_is_not_done() -> None:
    text = "a b\n\nc"
    prose = prose_of(text)
    assert prose.edited([Edit(2, 3, "d")]) == "a d\n\nc"
    for better in ("`", "*x*", "x\n\ny", "[x](http://y)"):
        assert prose.edited([Edit(2, 3, better)]) == ({"`": "a `\n\nc"}.get(better, text))
    assert prose.edited([Edit(0, 1, "#")]) == text


@pytest.mark.parametrize("end", ["| a | 'b' |\n", "1. a\n", "> a\n", "- a\n", "`a` [b](c) *d*\n\n"])
def test_long_texts_are_read_in_parts(end: str) -> None:
    text = "| a | b |\n|---|---|\n" + end * 4_000
    for passage in prose_of(text).passages:
        assert all(text[passage.place(at)] == one for at, one in enumerate(passage.text) if one != "\n")


def test_what_costs_too_much_to_read_is_kept() -> None:
    text = "a\n\n" + "[" * 100_000 + "\n\n" + "b\n\n" * 60_000
    prose = prose_of(text)
    assert prose.kept[-1][0] <= 3
    assert prose.kept[-1][1] == len(text)
    text = "a\n\n" + "*b" * 5_000 + "\n\nc"
    assert [passage.text for passage in prose_of(text).passages] == ["a", "c"]
