"""The tree's pure functions."""

from __future__ import annotations

import pytest

from services.conversation import Versions, title_from


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
