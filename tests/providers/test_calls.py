"""Tool calls, in every shape that servers give them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.providers.folding import calls, delta, finish, run


def call(**fields: object) -> dict[str, Any]:
    return delta(tool_calls=[fields])


ARGS = '{"city": "Bern"}'


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        (
            [
                call(index=0, id="a", type="function", function={"name": "f", "arguments": ""}),
                call(index=0, function={"arguments": ARGS[:5]}),
                call(index=0, function={"arguments": ARGS[5:]}),
                call(index=1, id="b", function={"name": "g", "arguments": "{}"}),
            ],
            [("a", "f", ARGS), ("b", "g", "{}")],
        ),
        (  # Ollama: all at index 0
            [
                call(index=0, id="a", function={"name": "f", "arguments": ARGS}),
                call(index=0, id="b", function={"name": "f", "arguments": "{}"}),
            ],
            [("a", "f", ARGS), ("b", "f", "{}")],
        ),
        (  # index from 1, id and name in every fragment
            [
                call(index=1, id="a", function={"name": "f", "arguments": ARGS[:5]}),
                call(index=1, id="a", function={"name": "f", "arguments": ARGS[5:]}),
            ],
            [("a", "f", ARGS)],
        ),
        (  # no index
            [
                call(id="a", function={"name": "f", "arguments": ARGS[:5]}),
                call(function={"arguments": ARGS[5:]}),
                call(id="b", function={"name": "g", "arguments": "{}"}),
            ],
            [("a", "f", ARGS), ("b", "g", "{}")],
        ),
        (  # neither index nor id
            [
                call(id="", function={"name": "f", "arguments": ARGS}),
                call(id=None, function={"name": "f", "arguments": "{}"}),
            ],
            [("call_1", "f", ARGS), ("call_2", "f", "{}")],
        ),
        (  # interleaved
            [
                call(index=0, id="a", function={"name": "f"}),
                call(index=1, id="b", function={"name": "g"}),
                call(index=0, function={"arguments": "{}"}),
                call(index=1, function={"arguments": ARGS}),
            ],
            [("a", "f", "{}"), ("b", "g", ARGS)],
        ),
        (  # the id comes late
            [call(index=0, function={"name": "f"}), call(index=0, id="a", function={"arguments": "{}"})],
            [("a", "f", "{}")],
        ),
        ([call(index=0, id="a", function={"name": "f", "arguments": {"x": 1}})], [("a", "f", '{"x": 1}')]),
        ([call(index=0, id="a", function={"name": "f", "arguments": '{"x": '})], [("a", "f", '{"x": ')]),
        ([call(index=0, id="a", function=None), call(index=0, function={"name": "f"})], [("a", "f", "")]),
        ([delta(tool_calls=None), delta(tool_calls=["?", None])], []),
        (
            [delta(function_call={"name": "f", "arguments": "{"}), delta(function_call={"arguments": "}"})],
            [("call_1", "f", "{}")],
        ),
    ],
)
def test_tool_calls(chunks: list[object], expected: list[tuple[str, str, str]]) -> None:
    events = run(*chunks, delta("stop"))
    assert calls(events) == expected
    assert finish(events) == ("tool_calls" if expected else "stop")


def test_cut_tool_calls_are_not_asked_for() -> None:
    events = run(call(index=0, id="a", function={"name": "f", "arguments": '{"x'}), delta("length"))
    assert (calls(events), finish(events)) == ([("a", "f", '{"x')], "length")
