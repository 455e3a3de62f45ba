"""The Responses dialect: tool calls, errors and events that nobody should send."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import ModelError
from tests.providers.folding import calls, finish
from tests.providers.responses import CREATED, PLAIN, Event, added, call, delta, ended, ev, over, run, whole

ARGS = '{"city": "Bern"}'


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (
            [
                added(call(arguments="")),
                delta(ARGS[:5], 0, "function_call_arguments"),
                delta(ARGS[5:], 0, "function_call_arguments"),
                ev("function_call_arguments.done", output_index=0, arguments=ARGS),
                ended(call(arguments=ARGS)),
                added(call("g", "", "b"), 1),
                delta("{}", 1, "function_call_arguments"),
                ended(call("g", "{}", "b"), 1),
            ],
            [("a", "f", ARGS), ("b", "g", "{}")],
        ),
        ([ended(call(arguments=ARGS)), ended(call("g", "{}", "b"), 1)], [("a", "f", ARGS), ("b", "g", "{}")]),
        ([added(call(arguments=ARGS)), ended(call(arguments=ARGS))], [("a", "f", ARGS)]),
        (
            [added(call(arguments="")), ev("function_call_arguments.done", output_index=0, arguments=ARGS)],
            [("a", "f", ARGS)],
        ),
        (
            [added(call(arguments="")), delta(ARGS, 0, "function_call_arguments"), ended(call(arguments=ARGS))],
            [("a", "f", ARGS)],
        ),
        ([over(call(arguments=ARGS), call("g", "{}", "b"))], [("a", "f", ARGS), ("b", "g", "{}")]),
        ([ended({"type": "function_call", "id": "fc", "name": None, "arguments": None})], [("fc", "", "")]),
        (  # no places
            [
                {**added(call(arguments="")), "output_index": None},
                {**delta(ARGS, 0, "function_call_arguments"), "output_index": None},
                {**ended(call(arguments=ARGS)), "output_index": None},
                {**ended(call("g", "{}", "b")), "output_index": None},
            ],
            [("a", "f", ARGS), ("b", "g", "{}")],
        ),
    ],
)
def test_tool_calls(events: list[Event], expected: list[tuple[str, str, str]]) -> None:
    out = run(CREATED, *events, over(*(event["item"] for event in events if "item" in event)))
    assert calls(out) == expected
    assert finish(out) == "tool_calls"


def test_cut_tool_calls_are_kept_as_far_as_they_came() -> None:
    out = run(added(call(arguments="")), delta(ARGS[:5], 0, "function_call_arguments"))
    assert (calls(out), finish(out)) == ([("a", "f", ARGS[:5])], None)


@pytest.mark.parametrize(
    ("event", "kind", "step"),
    [
        ({"type": "error", "code": "server_error", "message": "x", "param": None}, "server", "retry"),
        ({"type": "error", "code": "rate_limit_exceeded", "message": "x"}, "rate_limit", "retry"),
        ({"type": "error", "code": None, "message": "The server had an error"}, "server", "retry"),
        ({"type": "error", "error": {"type": "insufficient_quota", "message": "x"}}, "quota", "add_key"),
        ({"error": {"code": "context_length_exceeded", "message": "x"}}, "too_long", "shorten"),
        ({"detail": "Internal Server Error"}, "server", "retry"),
        (over(status="failed", error={"code": "server_error", "message": "x"}), "server", "retry"),
        (over(status="failed", error={"code": "rate_limit_exceeded", "message": "x"}), "rate_limit", "retry"),
        (over(status="failed", error={"code": "bio_policy", "message": "x"}), "filtered", "shorten"),
        (over(status="failed", error={"code": "invalid_prompt", "message": "was flagged"}), "filtered", "shorten"),
        (over(status="failed", error={"code": "vector_store_timeout", "message": "x"}), "server", "retry"),
        (whole(status="failed", error={"code": "server_error", "message": "x"}), "server", "retry"),
        ('{"type": "response.output_te', "garbled", "check_endpoint"),
        ("<html>", "garbled", "check_endpoint"),
        ("[1]", "garbled", "check_endpoint"),
        ("null", "garbled", "check_endpoint"),
        ("[" * 100_000, "garbled", "check_endpoint"),
    ],
)
def test_errors_in_the_stream(event: object, kind: str, step: str) -> None:
    with pytest.raises(ModelError) as caught:
        run(CREATED, delta("Hel"), event)
    assert (caught.value.failure.kind, caught.value.failure.next_step) == (kind, step)


FIELDS = (
    *("response", "item", "type", "delta", "output", "content", "summary", "usage", "error", "status", "reason"),
    *("incomplete_details", "arguments", "output_index", "text", "name", "call_id", "id", "encrypted_content"),
    *("part", "item_id", "content_index", "refusal"),
)
TYPES = {event["type"] for event in PLAIN} | {
    *("response.failed", "response.incomplete", "response.refusal.done", "response.function_call_arguments.done"),
    *("response.reasoning_summary_part.added", "response.reasoning_summary_text.done", "error"),
}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(FIELDS),
                inner | st.sampled_from(["message", "reasoning", "function_call", "failed"]),
                max_size=5,
            )
        ),
        max_leaves=20,
    ),
    st.sampled_from(sorted(TYPES)),
)
def test_nothing_but_a_model_error_comes_of_odd_events(payload: object, kind: str) -> None:
    event = {**payload, "type": kind} if isinstance(payload, dict) else {"type": kind, "item": payload}
    with contextlib.suppress(ModelError):
        run(event, close=True)
