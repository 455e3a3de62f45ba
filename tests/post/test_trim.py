"""White space: what goes, what stays, and what it means."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings

from services.post.trim import trim
from services.render import render_markdown
from services.render.prose import prose_of
from tests.post.texts import REAL, any_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n\n a  \n\n\n\nb\t\n\n", " a\n\nb"),
        ("a   \nb", "a  \nb"),
        ("a \nb", "a\nb"),
        ("a  \n\nb", "a\n\nb"),
        ("a\\  \nb", "a\\  \nb"),
        ("a\\ \nb", "a\\ \nb"),
        ("```\na  \n\n\n\nb\n```  \n\n\n", "```\na  \n\n\n\nb\n```  \n"),
        ("```\na  \n\n", "```\na  \n\n"),
        ("- a  \n\n\n      b  \n\n\n      c\n", "- a\n\n      b  \n\n\n      c\n"),
        ("`a   \nb` c \nd", "`a   \nb` c\nd"),
        ("$$\na  \n$$\n\n\n\nb", "$$\na  \n$$\n\nb"),
        ("| a |  \n|---|  \n| b |  \n", "| a |  \n|---|  \n| b |"),
        ("    a\n", "    a\n"),
        ("a\n\n\n: b", "a\n\n\n: b"),  # with one blank line it would be a definition
        (" \n\t\n", " \n\t\n"),
        ("", ""),
    ],
)
def test_white_space_that_means_nothing_goes(text: str, expected: str) -> None:
    assert trim(text) == expected


@given(any_text)
@example("a\\ \nb")
@example("- \n-")
@settings(deadline=None, max_examples=300)
def test_a_trimmed_text_reads_the_same(text: str) -> None:
    trimmed = trim(text)
    assert trim(trimmed) == trimmed
    assert words_of(render_markdown(trimmed)) == words_of(render_markdown(text))
    assert kept(trimmed) == kept(text)
    assert "".join(trimmed.split()) == "".join(text.split())


@pytest.mark.parametrize("text", REAL)
def test_real_answers_end_their_lines_with_words(text: str) -> None:
    trimmed = trim(text)
    if "\r" not in text and kept(text) == []:
        assert not re.search(r"(?<! ) \n|\t\n|   \n|\n\n\n|\A\n|\n\Z", trimmed)


def kept(text: str) -> list[str]:
    return [text[start:end] for start, end in prose_of(text).kept]


def words_of(html: str) -> str:
    """Return the HTML without white space that a browser does not show."""
    return re.sub(r"[ \t]+(?=\n|<br>)|\s+(?=</(?!code|pre|span))|\s+\Z", "", html)
