"""The tree's pure functions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.conversation import (
    Budget,
    Change,
    Difference,
    Versions,
    below,
    compare,
    differences,
    fork_point,
    newest_leaf,
    path_to,
    siblings,
    title_from,
)
from services.options import Options
from tests.storage import make


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


@st.composite
def trees(draw: st.DrawFn) -> dict[str, str | None]:
    """Messages and what each follows, a parent before its children."""
    parents: dict[str, str | None] = {}
    for number in range(draw(st.integers(1, 15))):
        parents[str(number)] = draw(st.none() | st.sampled_from(sorted(parents))) if parents else None
    return parents


@given(trees(), st.data())
def test_paths_part_at_the_last_message_that_both_have(parents: dict[str, str | None], data: st.DataObject) -> None:
    one, other = (data.draw(st.sampled_from(sorted(parents))) for _ in range(2))
    paths = [path_to(parents, id) for id in (one, other)]
    assert [parents[path[0]] for path in paths] == [None, None]
    assert all(parents[child] == parent for path in paths for parent, child in pairwise(path))
    shared = fork_point(*paths)
    assert paths[0][:shared] == paths[1][:shared]
    assert set(paths[0]) & set(paths[1]) == set(paths[0][:shared])
    assert fork_point(*reversed(paths)) == shared


@given(trees(), st.data())
def test_a_message_is_on_the_path_of_all_that_is_below_it(parents: dict[str, str | None], data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(sorted(parents)))
    assert below(parents, one) == tuple(id for id in parents if one in path_to(parents, id))
    leaf = newest_leaf(parents, one)
    assert leaf in below(parents, one)
    assert leaf not in parents.values()
    versions = siblings(parents, one)
    assert versions.ids[versions.index] == one
    assert {parents[id] for id in versions.ids} == {parents[one]}


def test_what_two_messages_were_written_with_is_compared() -> None:
    one = make.answer_to(make.exchange(make.conversation()).question)
    one = replace(one, options=Options(temperature=0.5, seed=1))
    other = replace(one, model="large", endpoint=None, options=Options(seed=1, top_p=0.9))
    assert differences(one, one) == ()
    assert differences(one, other) == (
        Difference("model", "tiny", "large"),
        Difference("endpoint", "local", None),
        Difference("Temperature", "0.5", None),
        Difference("Top p", None, "0.9"),
    )


def test_links_that_run_in_a_circle_end_a_path() -> None:
    assert path_to({"a": "b", "b": "a"}, "a") == ("b", "a")
    assert path_to({"a": None}, "gone") == path_to({}, None) == ()


def test_a_change_in_a_very_long_text_is_found_in_its_line() -> None:
    many = "the same line\n" * 70_000
    assert compare(f"{many}one\n{many}", f"{many}other\n{many}") == (
        Change("same", many),
        Change("removed", "one\n"),
        Change("added", "other\n"),
        Change("same", many),
    )


def test_comparisons_that_share_a_budget_take_no_more_than_that_together() -> None:
    budget = Budget(50)
    kinds = [[change.kind for change in compare(f"a b {n}", f"a c {n}", budget)] for n in range(20)]
    assert kinds[0] == ["same", "removed", "added", "same"]
    assert kinds[-1] == ["removed", "added"]
    assert budget.steps >= 0


def _changed_often(order: str) -> str:
    return "".join(f"{order * 700}\nline {number} stays\n" for number in range(30))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (_changed_often("x y "), _changed_often("y x ")),
        ("x y z " * 200 + "one", "x z y " * 200 + "other"),
        ("a " * 1_000_000, "b " * 1_000_000),
        ("a\n" * 1_000_000, "b\n" * 1_000_000),
        ("a\nb\n" * 40_000, "b\na\n" * 40_000),
    ],
)
def test_no_comparison_takes_more_than_its_steps(before: str, after: str) -> None:
    lines = 0

    def count(_frame: FrameType, _event: str, _what: object) -> Callable[..., object]:
        nonlocal lines
        lines += 1
        return count

    sys.settrace(count)
    try:
        found = compare(before, after)
    finally:
        sys.settrace(None)
    assert lines < 20_000_000
    assert "".join(change.text for change in found if change.kind != "added") == before
    assert "".join(change.text for change in found if change.kind != "removed") == after
