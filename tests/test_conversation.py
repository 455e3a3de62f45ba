"""The tree's pure functions."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.conversation import Versions, newest_leaf, path_to, title_from, versions_of
from services.messages import Message


def message(id: str, parent: str | None = None) -> Message:
    return Message(
        id=id,
        conversation_id="c",
        parent_id=parent,
        role="user",
        parts=(),
        status="complete",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def tree(*links: tuple[str, str | None]) -> dict[str, Message]:
    return {id: message(id, parent) for id, parent in links}


FORKED = tree(("a", None), ("b", "a"), ("c", "b"), ("d", "a"), ("e", "d"))


def test_the_path_runs_from_the_root_to_the_head() -> None:
    assert [m.id for m in path_to("c", FORKED)] == ["a", "b", "c"]
    assert [m.id for m in path_to("e", FORKED)] == ["a", "d", "e"]
    assert path_to(None, FORKED) == []


def test_a_broken_tree_is_refused_and_never_walked_forever() -> None:
    with pytest.raises(ValueError, match="own ancestor"):
        path_to("a", tree(("a", "b"), ("b", "a")))
    with pytest.raises(ValueError, match="not in the conversation"):
        path_to("b", tree(("b", "gone")))


def test_versions_are_counted_in_order_of_creation() -> None:
    versions = versions_of(FORKED["d"], FORKED.values())
    assert versions == Versions(1, ("b", "d"))
    assert (versions.previous, versions.next) == ("b", None)
    assert versions_of(FORKED["b"], FORKED.values()).next == "d"


def test_the_newest_leaf_follows_the_newest_child() -> None:
    assert newest_leaf("a", FORKED.values()) == "e"
    assert newest_leaf("b", FORKED.values()) == "c"


@given(st.lists(st.integers(0, 100), max_size=40))
def test_every_message_is_reached_by_its_own_path(parents: list[int]) -> None:
    messages: dict[str, Message] = {"00": message("00")}
    for number, parent in enumerate(parents, 1):
        messages[f"{number:02}"] = message(f"{number:02}", f"{parent % number:02}")
    for id, here in messages.items():
        path = path_to(id, messages)
        assert path[0].parent_id is None
        assert path[-1] == here
        assert all(child.parent_id == parent.id for parent, child in itertools.pairwise(path))
        assert newest_leaf(id, messages.values()) >= id


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
    ],
)
def test_a_title_is_the_first_line_with_words(question: str, title: str) -> None:
    assert title_from(question) == title
