"""The tree's pure functions."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.conversation import Change, Versions, compare, title_from


def test_a_place_among_versions_knows_its_neighbours() -> None:
    middle = Versions(1, ("a", "b", "c"))
    assert (middle.previous, middle.next) == ("a", "c")
    assert (Versions(0, ("a", "b")).previous, Versions(1, ("a", "b")).next) == (None, None)


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("How do I sort a list in Python?", "How do I sort a list in Python?"),
        ("\n\n  # A heading\nmore", "A heading"),
        ("- first\n- second", "first"),
        ("word " * 40, "word word word word word word word word word word word word…"),
        ("x" * 200, "x" * 60 + "…"),
        ("!!!", "!!!"),
        ("日本語の質問です", "日本語の質問です"),
        ("\n" * 10_000 + "too far down to be looked for", "New chat"),
    ],
)
def test_a_title_is_the_first_line_with_words(question: str, title: str) -> None:
    assert title_from(question) == title


TEXTS = st.lists(st.sampled_from(["the ", "rain ", "falls", ", ", "\n", "\r\n", "é", "日本", "🥊", "  ", "```\n"])).map(
    "".join
)


@given(TEXTS, TEXTS)
def test_a_comparison_holds_both_texts_and_nothing_else(before: str, after: str) -> None:
    found = compare(before, after)
    assert "".join(change.text for change in found if change.kind != "added") == before
    assert "".join(change.text for change in found if change.kind != "removed") == after
    assert all(change.text for change in found)
    assert all(one.kind != other.kind for one, other in pairwise(found))
    if before == after:
        assert {change.kind for change in found} <= {"same"}


def test_a_comparison_is_by_words_in_the_lines_that_changed() -> None:
    assert compare("It rains.\nA lot today.\n", "It rains.\nA little today.\n") == (
        Change("same", "It rains.\nA "),
        Change("removed", "lot "),
        Change("added", "little "),
        Change("same", "today.\n"),
    )


def test_what_would_take_too_long_is_compared_as_a_whole() -> None:
    one, other = ("a b " * 5_000).strip(), ("b c " * 5_000).strip()
    assert compare(one, other) == (Change("removed", one), Change("added", other))
