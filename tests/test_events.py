"""Run events that come together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.events import ModelNamed, ReasoningDelta, RunEvent, TextDelta, merged


def test_what_came_together_is_told_in_one_piece() -> None:
    named = ModelNamed("m", None, None)
    sealed = ReasoningDelta("c", {"item": 1})
    events = [
        named,
        ReasoningDelta("a"),
        ReasoningDelta("b"),
        sealed,
        ReasoningDelta("d"),
        TextDelta("e"),
        TextDelta("f"),
    ]
    assert list(merged(events)) == [named, ReasoningDelta("abc", {"item": 1}), ReasoningDelta("d"), TextDelta("ef")]
    assert list(merged([])) == []


def test_what_came_before_a_failure_is_told_before_it() -> None:
    def failing() -> Iterator[RunEvent]:
        yield TextDelta("a")
        yield TextDelta("b")
        raise ValueError("it broke off")

    events = merged(failing())
    assert next(events) == TextDelta("ab")
    with pytest.raises(ValueError, match="broke off"):
        next(events)
