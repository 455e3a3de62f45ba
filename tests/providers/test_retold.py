"""Texts that Responses tells in pieces and again whole: nothing is lost, and nothing is said twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.folding import calls, text
from tests.providers.responses import Event, added, call, delta, ended, ev, over, part, run, said, text_done

PIECES = st.lists(st.text("aäb🥊", min_size=1, max_size=3), min_size=1, max_size=6)


def told_again(whole: str) -> dict[str, Event]:
    return {
        "text": text_done(whole),
        "part": part("done", whole),
        "item": ended(said(whole)),
        "response": over(said(whole)),
    }


@given(PIECES, st.sets(st.sampled_from(list(told_again("")))), st.integers(0, 6))
def test_the_last_pieces_come_from_any_whole(pieces: list[str], wholes: set[str], came: int) -> None:
    whole = "".join(pieces)
    again = [event for name, event in told_again(whole).items() if name in wholes]
    out = run(added(said()), *map(delta, pieces[:came]), *again, *again, over())
    assert text(out) == (whole if wholes else "".join(pieces[:came]))


@given(PIECES, st.sets(st.integers(0, 5)))
def test_a_whole_is_said_where_pieces_are_missing_in_it(pieces: list[str], lost: set[int]) -> None:
    whole = "".join(pieces)
    came = "".join(piece for n, piece in enumerate(pieces) if n not in lost)
    out = text(run(*(delta(piece) for n, piece in enumerate(pieces) if n not in lost), over(said(whole))))
    assert out in {whole, f"{came}\n\n{whole}"}
    assert out.startswith(came)


@pytest.mark.parametrize(
    "whole", ["", "Something else.", "Hel", "lo", "  Hello\n", "H e l l o", "Hello", "\x00Hello", None, 7]
)
def test_a_whole_that_has_no_more_changes_nothing(whole: object) -> None:
    item = {**said(), "content": [{"type": "output_text", "text": whole}]}
    out = run(added(said()), delta("Hel"), delta("lo"), text_done(whole), ended(item), over(item))
    assert text(out) == "Hello"


@pytest.mark.parametrize(("size", "again"), [(1000, ""), (600_000, "\n\n{}")])
def test_what_is_too_long_to_compare_is_said_rather_than_lost(size: int, again: str) -> None:
    came, whole = "a" * size, "b" * (size + 1)
    assert text(run(delta(came), over(said(whole)))) == came + again.format(whole)


@given(st.integers(0, 4), st.sampled_from(["arguments", "item", "response"]))
def test_the_last_of_the_arguments_come_from_any_whole(came: int, whole: str) -> None:
    pieces = ['{"ci', 'ty": ', '"Be', 'rn"}']
    item = call(arguments="".join(pieces))
    told = {
        "arguments": ev("function_call_arguments.done", output_index=0, arguments=item["arguments"]),
        "item": ended(item),
        "response": over(item),
    }[whole]
    if whole == "response":
        came = 0  # ids fit too rarely to know which call the last event means
    deltas = [delta(piece, kind="function_call_arguments") for piece in pieces[:came]]
    out = run(added(call(arguments="")), *deltas, told, over())
    assert calls(out) == [("a", "f", item["arguments"])]
    assert calls(run(*deltas, ended(item), ended(item), over())) == calls(out)


def test_other_arguments_than_those_that_came_change_nothing() -> None:
    out = run(added(call(arguments="")), delta("{}", kind="function_call_arguments"), ended(call(arguments="{ }")))
    assert calls(out) == [("a", "f", "{}")]
