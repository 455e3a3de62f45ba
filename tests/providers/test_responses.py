"""The Responses dialect: what becomes of each event."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import ModelError
from services.events import ModelNamed, ReasoningDelta, ReasoningStarted, RunEvent, StepFinished, TextDelta
from services.providers.failures import Asked
from services.providers.responses import ResponsesAccumulator
from services.providers.sse import SSEDecoder
from services.usage import Usage
from tests.providers.folding import finish, reasoning, text, usage
from tests.providers.responses import (
    CREATED,
    ENDPOINT,
    PLAIN,
    Event,
    added,
    call,
    delta,
    ended,
    ev,
    over,
    run,
    said,
    thought,
    whole,
    wire,
)

BARE = [delta("Hel"), delta("lo"), over()]


@pytest.mark.parametrize(
    "events",
    [
        PLAIN,
        BARE,
        [*PLAIN, "[DONE]"],
        [*PLAIN, delta("not for you")],
        ["", "  ", *PLAIN],
        [ev("queued"), {"type": "keepalive", "sequence_number": 3}, *PLAIN],
        [{"type": "codex.rate_limits", "message": "plenty", "limits": {}}, *PLAIN],
        [ev("output_text.annotation.added", annotation={}), ev("brand_new.event", message="hi", delta="no"), *PLAIN],
        [delta(None), delta(""), {**delta("Hello"), "output_index": None, "item_id": None}, over()],
        [delta("Hello"), ev("completed", response=None)],
        [delta("Hello"), ev("completed")],
        [delta("Hello"), ev("completed", response={"output": None, "usage": None, "status": None, "id": None})],
        [delta("Hello"), ended(said("Hello"), place=7), over(said("Hello"))],  # places that do not fit
        [added(said()), ended(said("Hello")), over()],  # no deltas
        [added(said()), ended(said("Hel", "lo")), over(said("Hel", "lo"))],
        [CREATED, over(said("Hello"))],  # nothing but the end
        [delta("Hello"), ended({"type": "message", "content": None}), over()],
        [added({"type": "brand_new_call"}), ended({"type": "brand_new_call", "text": "x"}), *PLAIN],
        [ev("output_item.added", item=None), ev("output_item.done"), *PLAIN],
        [delta("Hel\x00lo\x1b"), over()],
        [whole(said("Hello"))],  # no stream at all
    ],
)
def test_one_answer_in_many_dialects(events: list[object]) -> None:
    out = run(*events)
    assert text(out) == "Hello"
    assert finish(out) == "stop"
    assert isinstance(out[-1], StepFinished)


def test_the_name_of_the_event_will_do() -> None:
    acc = ResponsesAccumulator(Asked(endpoint=ENDPOINT, model="m1"))
    assert acc.feed('{"delta": "Hello"}', "response.output_text.delta") == [TextDelta("Hello")]
    acc.feed("{}", "response.completed")
    assert acc.finish() == [StepFinished("stop", "completed")]


@pytest.mark.parametrize(
    ("last", "reason", "raw"),
    [
        (over(), "stop", "completed"),
        (over(status="incomplete", incomplete_details={"reason": "max_output_tokens"}), "length", "max_output_tokens"),
        (
            over(status="incomplete", incomplete_details={"reason": "content_filter"}),
            "content_filter",
            "content_filter",
        ),
        (ev("completed", response=whole(status="in_progress")), "stop", "completed"),
        (over(incomplete_details={"reason": None}), "stop", "completed"),
        (over(incomplete_details={"reason": "max_output_tokens"}), "length", "max_output_tokens"),
        (
            ev("completed", response=whole(status="incomplete", incomplete_details={"reason": "max_output_tokens"})),
            "length",
            "max_output_tokens",
        ),
    ],
)
def test_ends(last: Event, reason: str, raw: str) -> None:
    out = run(*PLAIN[:-1], last)
    assert text(out) == "Hello"
    assert out[-1] == StepFinished(reason, raw)  # type: ignore[arg-type]


@pytest.mark.parametrize("events", [PLAIN[:cut] for cut in range(len(PLAIN))] + [[*PLAIN[:-1], "[DONE]"], ["[DONE]"]])
def test_no_cut_answer_looks_complete(events: list[Event]) -> None:
    assert finish(run(*events)) is None


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (over(status="incomplete"), "incomplete"),
        (over(status="incomplete", incomplete_details={"reason": "steered"}), "steered"),
        (over(status="incomplete", incomplete_details={"reason": "stop"}), "incomplete"),
        (over(status="failed"), "failed"),
        (over(status="cancelled"), "cancelled"),
        (ev("completed", response=whole(status="failed")), "failed"),
    ],
)
def test_an_end_that_is_none_is_a_failure(last: Event, says: str) -> None:
    with pytest.raises(ModelError) as caught:
        run(*PLAIN[:-1], last)
    assert says in caught.value.failure.message


class TestText:
    @given(st.text(), st.lists(st.integers(0, 1000), max_size=10))
    def test_any_cut_gives_the_same_text(self, said_whole: str, cuts: list[int]) -> None:
        units = said_whole.encode("utf-16-le")
        places = sorted({0, len(units) // 2, *(place % (len(units) // 2 + 1) for place in cuts)})
        pieces = [units[2 * a : 2 * b].decode("utf-16-le", "surrogatepass") for a, b in itertools.pairwise(places)]
        out = run(*map(delta, pieces), over())
        assert text(out) == text(run(delta(said_whole), over()))
        text(out).encode()

    @given(st.lists(st.integers(1, 4000), max_size=12), st.sampled_from(["\n", "\r\n", "\r"]))
    def test_any_cut_of_the_bytes_gives_the_same_events(self, cuts: list[int], end: str) -> None:
        events = [CREATED, *self.rich, over(said("Süß 😀"), usage={"input_tokens": 1, "output_tokens": 2})]
        data = wire(*events).replace("\n", end).encode()
        assert self.read(data, [0, *sorted(cuts), len(data)]) == run(*events)

    rich = (
        ev("reasoning_summary_part.added", summary_index=0),
        delta("hm", kind="reasoning_summary_text"),
        ended(thought("hm", encrypted="gAAA")),
        delta("Süß \ud83d", 1),
        delta("\ude00", 1),
        ended(said("Süß 😀"), 1),
        added(call(arguments=""), 2),
        delta("{}", 2, "function_call_arguments"),
        ended(call(), 2),
    )

    def read(self, data: bytes, places: list[int]) -> list[RunEvent]:
        decoder = SSEDecoder()
        acc = ResponsesAccumulator(Asked(endpoint=ENDPOINT, model="m1"))
        out: list[RunEvent] = []
        for a, b in itertools.pairwise(places):
            for event in decoder.feed(data[a:b]):
                out += acc.feed(event.data, event.event)
        for event in decoder.close():
            out += acc.feed(event.data, event.event)
        return out + acc.finish()

    def test_half_an_emoji_at_the_end_is_marked(self) -> None:
        assert text(run(delta("a\ud83d"), over())) == "a\ufffd"

    def test_a_blank_line_keeps_messages_apart(self) -> None:
        assert (
            text(run(delta("Wait."), ended(said("Wait.")), delta("Here", 1), delta(".", 1), over())) == "Wait.\n\nHere."
        )
        assert text(run(delta("Wait."), added(said(), 1), delta("Here.", 1), over())) == "Wait.\n\nHere."
        assert text(run(delta("Wait."), ended(said("Wait.")), ended(said("Here."), 1), over())) == "Wait.\n\nHere."


class TestReasoning:
    @pytest.mark.parametrize(
        "events",
        [
            [delta("hm", kind="reasoning_summary_text")],
            [delta("hm", kind="reasoning_text")],
            [delta("h", kind="reasoning_text"), delta("m", kind="reasoning_text"), ended(thought("hm"))],
            [ended(thought("hm"))],
            [ended({"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}], "summary": []})],
        ],
    )
    def test_is_told_from_text(self, events: list[Event]) -> None:
        out = run(*events, delta("Yes"), over())
        assert (reasoning(out), text(out)) == ("hm", "Yes")
        assert any(isinstance(event, TextDelta) for event in out[1:])

    def test_parts_are_kept_apart(self) -> None:
        one, two = delta("One", kind="reasoning_summary_text"), delta("Two", kind="reasoning_summary_text")
        part = ev("reasoning_summary_part.added", summary_index=0, part={})
        assert reasoning(run(part, one, part, two, ended(thought("One", "Two")), over())) == "One\n\nTwo"
        assert reasoning(run(ended(thought("One", "Two")), over())) == "One\n\nTwo"

    def test_encrypted_reasoning_is_kept_without_a_word_shown(self) -> None:
        out = run(added(thought()), ended(thought(encrypted="gAAA")), delta("Yes"), over(thought(encrypted="gAAA")))
        [kept] = [event for event in out if isinstance(event, ReasoningDelta)]
        assert kept.text == ""
        assert kept.provider_metadata is not None
        assert kept.provider_metadata.origin == "openai http://127.0.0.1:1/v1"
        assert json.loads(kept.provider_metadata.data)["encrypted_content"] == "gAAA"

    def test_what_came_at_the_beginning_only_is_not_whole(self) -> None:
        out = run(added(thought(encrypted="gA")), ended(thought()), delta("Yes"), over())
        assert not any(isinstance(event, ReasoningDelta) for event in out)

    def test_reasoning_of_which_only_the_end_tells_comes_from_there(self) -> None:
        out = run(CREATED, over(thought("hm", encrypted="gAAA"), said("Yes")))
        assert (reasoning(out), text(out), finish(out)) == ("hm", "Yes", "stop")

    def test_half_an_emoji_is_shown_before_the_part_ends(self) -> None:
        out = run(delta("a\ud83d", kind="reasoning_text"), ended(thought(encrypted="gAAA")), over())
        assert reasoning(out) == "a\ufffd"
        assert [event.text for event in out if isinstance(event, ReasoningDelta) and event.provider_metadata] == [
            "\ufffd"
        ]


class TestRefusal:
    @pytest.mark.parametrize(
        "events",
        [
            [delta("I can", kind="refusal"), delta("not.", kind="refusal")],
            [ended({"type": "message", "content": [{"type": "refusal", "refusal": "I cannot."}]})],
        ],
    )
    def test_is_shown_and_named(self, events: list[Event]) -> None:
        out = run(*events, over())
        assert (text(out), finish(out)) == ("I cannot.", "refusal")

    def test_does_not_hide_a_cut(self) -> None:
        last = over(status="incomplete", incomplete_details={"reason": "max_output_tokens"})
        assert finish(run(delta("I can", kind="refusal"), last)) == "length"


def test_the_model_is_named_once() -> None:
    out = run(*PLAIN)
    assert [event for event in out if isinstance(event, ModelNamed)] == [ModelNamed("m1-2026", "resp_1", None)]


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (
            {
                "input_tokens": 10,
                "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
                "output_tokens": 7,
                "output_tokens_details": {"reasoning_tokens": 5},
                "total_tokens": 17,
            },
            Usage(input=10, cached_input=4, output=7, reasoning=5),
        ),
        ({"input_tokens": 10, "output_tokens": 7, "input_tokens_details": None}, Usage(input=10, output=7)),
        ({"input_tokens": 0, "output_tokens": 0}, None),
        (None, None),
    ],
)
@pytest.mark.parametrize("status", ["completed", "incomplete"])
def test_usage(report: object, expected: Usage | None, status: str) -> None:
    last = over(status=status, usage=report, incomplete_details={"reason": "max_output_tokens"})
    assert usage(run(CREATED, delta("a"), last)) == expected


def test_a_failed_answer_was_paid_for_too() -> None:
    acc = ResponsesAccumulator(Asked(endpoint=ENDPOINT, model="m1"))
    last = over(status="failed", error={"code": "server_error", "message": "x"}, usage={"input_tokens": 3})
    acc.feed(json.dumps(last))
    with pytest.raises(ModelError):
        acc.finish()
    assert usage(acc.close()) == Usage(input=3)


def test_thinking_that_shows_nothing_begins_all_the_same() -> None:
    out = run(CREATED, added(thought()), ended(thought()), *PLAIN)
    started = [event for event in out if isinstance(event, ReasoningStarted)]
    assert len(started) == 1
    assert out.index(started[0]) < next(n for n, event in enumerate(out) if isinstance(event, TextDelta))
    assert not [event for event in run(*PLAIN) if isinstance(event, ReasoningStarted)]
