"""The Chat Completions dialect: what is sent, and every odd chunk that was seen."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.endpoints import Endpoint, ProfileName
from services.errors import Failure, ModelError
from services.events import (
    ModelNamed,
    ReasoningDelta,
    StepFinished,
    TextDelta,
)
from services.messages import AttachmentPart, ErrorPart, Message, Part, ReasoningPart, Role, TextPart
from services.providers.base import ModelRequest
from services.providers.chat import ChatAccumulator, encode
from services.providers.failures import Asked
from tests.providers.folding import ENDPOINT, PLAIN, delta, finish, reasoning, run, text

MAP = AttachmentPart("b" * 64, "map.png", "image/png", 3)
FAILURE = Failure(kind="server", message="down")


def message(role: Role, *parts: Part | str) -> Message:
    return Message(
        id="m",
        conversation_id="c",
        parent_id=None,
        role=role,
        parts=tuple(TextPart(part) if isinstance(part, str) else part for part in parts),
        status="complete",
        created_at=datetime.now(UTC),
    )


def request(*messages: Message, endpoint: Endpoint = ENDPOINT, system: str | None = None) -> ModelRequest:
    return ModelRequest(endpoint=endpoint, model="m1", messages=messages, system_prompt=system)


class TestEncode:
    def test_sends_nothing_that_was_not_set(self) -> None:
        assert encode(request(message("user", "Hi"))) == {
            "model": "m1",
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    @pytest.mark.parametrize(("profile", "dropped"), [("mistral", set()), ("generic", {"stream_options"})])
    def test_leaves_usage_out_where_it_is_refused(self, profile: ProfileName, dropped: set[str]) -> None:
        endpoint = Endpoint(name="x", base_url="http://x/v1", profile=profile, dropped=frozenset(dropped))
        assert "stream_options" not in encode(request(message("user", "Hi"), endpoint=endpoint))

    def test_system_prompt_comes_first(self) -> None:
        body = encode(request(message("user", "Hi"), system="Be brief."))
        assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
        assert len(encode(request(message("user", "Hi"), system=" "))["messages"]) == 1  # type: ignore[arg-type]

    def test_only_text_is_sent(self) -> None:
        answer = message("assistant", ReasoningPart("hm"), "Hello", ErrorPart(FAILURE))
        body = encode(request(message("user", "Hi"), answer, message("user", "More")))
        assert body["messages"] == [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "More"},
        ]

    def test_a_failed_answer_joins_the_questions_around_it(self) -> None:
        path = message("user", "One"), message("assistant", ErrorPart(FAILURE)), message("user", "Two")
        assert encode(request(*path))["messages"] == [{"role": "user", "content": "One\n\nTwo"}]

    def test_pictures_are_parts_of_their_message(self) -> None:
        asked = replace(request(message("user", "See: ", MAP, "What is it?")), images={MAP.sha256: "data:x"})
        parts = [
            {"type": "text", "text": "See: "},
            {"type": "image_url", "image_url": {"url": "data:x"}},
            {"type": "text", "text": "What is it?"},
        ]
        assert encode(asked)["messages"] == [{"role": "user", "content": parts}]
        failed = message("assistant", ErrorPart(FAILURE))
        joined = replace(asked, messages=(*asked.messages, failed, message("user", "More")))
        assert encode(joined)["messages"] == [{"role": "user", "content": [*parts, {"type": "text", "text": "More"}]}]
        alone = replace(asked, messages=(message("user", MAP),))
        assert encode(alone)["messages"] == [{"role": "user", "content": [parts[1]]}]

    def test_what_is_sent_is_fit_for_json(self) -> None:
        body = encode(request(message("user", "a\ud83d\ude00\udc00\x00")))
        assert body["messages"] == [{"role": "user", "content": "a😀\ufffd"}]


@pytest.mark.parametrize(
    "chunks",
    [
        PLAIN,
        [{"choices": [], "model": "", "prompt_filter_results": []}, *PLAIN],  # Azure
        [*PLAIN, {"choices": [], "usage": None}],
        [*PLAIN, {"choices": None}],
        [*PLAIN, {"choices": [{"index": 0, "delta": None}]}],
        [{"choices": [{"index": 0, "delta": None, "finish_reason": None}]}, *PLAIN],
        [*PLAIN, {}],
        [*PLAIN, "[DONE]"],
        [*PLAIN, "[DONE]", delta(content="not for you")],
        ["", "  ", *PLAIN],
        [delta(content="Hello"), delta("stop", content=None)],
        [delta("stop", content="Hello")],
        [delta("", content="Hel"), delta("null", content="lo"), delta("stop")],
        [{"choices": [{"delta": {"content": "Hello"}}]}, {"choices": [{"delta": {}, "finish_reason": "stop"}]}],
        [{"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}],
        [*PLAIN, {"choices": [{"delta": None, "message": {"content": "Hello"}, "finish_reason": "stop"}]}],
        [delta(content=[{"type": "text", "text": "Hel"}, "lo"]), delta("stop")],
        [delta(content={"type": "text", "text": "Hello"}), delta("stop")],
        [delta("stop", content="Hel"), delta("stop", content="lo"), "[DONE]"],  # a reason on every chunk
        [delta(content="Hel\x00lo\x1b"), delta("stop")],
        [*PLAIN, {"error": None, "choices": []}],
    ],
)
def test_one_answer_in_many_dialects(chunks: list[object]) -> None:
    events = run(*chunks)
    assert text(events) == "Hello"
    assert finish(events) == "stop"
    assert isinstance(events[-1], StepFinished)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("eos", "stop"),
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("content_filter", "content_filter"),
        ("SAFETY", "content_filter"),
        ("tool_calls", "tool_calls"),
        ("refusal", "refusal"),
    ],
)
def test_finish_reasons(raw: str, reason: str) -> None:
    assert run(delta(content="a"), delta(raw))[-1] == StepFinished(reason, raw)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "chunks",
    [
        [delta(content="Hel")],
        [delta(content="Hel"), "[DONE]"],
        [delta(content="Hel"), delta(""), {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}],
        [delta(content="Hel"), {"choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]}],
        [delta(False, content="Hel")],
        [delta("stop", content="Hel"), delta("stop", content="lo")],  # a reason on every chunk, and then cut
        [delta("stop", content="Hel"), delta(content="lo")],
        ["[DONE]"],
        [],
    ],
)
def test_no_cut_answer_looks_complete(chunks: list[object]) -> None:
    assert finish(run(*chunks)) is None


@pytest.mark.parametrize("raw", ["error", "abort", "network_error", "insufficient_system_resource", "stopped?", "cut"])
def test_an_unknown_reason_is_a_failure(raw: str) -> None:
    with pytest.raises(ModelError) as caught:
        run(delta(content="Hel"), delta(raw))
    assert raw in caught.value.failure.message


class TestText:
    @given(st.text(), st.lists(st.integers(0, 1000), max_size=10))
    def test_any_cut_gives_the_same_text(self, whole: str, cuts: list[int]) -> None:
        units = whole.encode("utf-16-le")
        places = sorted({0, len(units) // 2, *(place % (len(units) // 2 + 1) for place in cuts)})
        pieces = [units[2 * a : 2 * b].decode("utf-16-le", "surrogatepass") for a, b in itertools.pairwise(places)]
        events = run(*(delta(content=piece) for piece in pieces), delta("stop"))
        assert text(events) == text(run(delta(content=whole), delta("stop")))
        text(events).encode()

    def test_halves_of_an_emoji_are_joined(self) -> None:
        events = run('{"choices":[{"delta":{"content":"a\\ud83d"}}]}', '{"choices":[{"delta":{"content":"\\ude00b"}}]}')
        assert text(events) == "a😀b"

    def test_half_an_emoji_at_the_end_is_marked(self) -> None:
        assert text(run('{"choices":[{"delta":{"content":"a\\ud83d"}}]}')) == "a\ufffd"

    def test_only_the_first_of_several_choices_is_read(self) -> None:
        other = {"index": 1, "delta": {"content": "B"}, "finish_reason": "stop"}
        events = run({"choices": [other, {"index": 0, "delta": {"content": "A"}}]}, {"choices": [other]})
        assert text(events) == "A"
        assert finish(events) is None


class TestReasoning:
    @pytest.mark.parametrize(
        "fields",
        [
            {"reasoning_content": "hm"},
            {"reasoning": "hm"},
            {"reasoning": "hm", "reasoning_content": "hm"},
            {"reasoning_content": None, "reasoning": "hm", "content": None},
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
            {"content": [{"type": "thinking", "thinking": "hm"}]},
        ],
    )
    def test_is_told_from_text(self, fields: dict[str, object]) -> None:
        events = run(delta(**fields), delta(content="Yes"), delta("stop"))
        assert (reasoning(events), text(events)) == ("hm", "Yes")
        assert events.index(ReasoningDelta("hm")) < events.index(TextDelta("Yes"))


class TestRefusal:
    def test_is_shown_and_named(self) -> None:
        events = run(delta(refusal="I can"), delta(refusal="not."), delta("stop"))
        assert (text(events), finish(events)) == ("I cannot.", "refusal")

    @pytest.mark.parametrize("raw", ["length", "content_filter"])
    def test_does_not_hide_a_cut(self, raw: str) -> None:
        assert finish(run(delta(refusal="I can"), delta(raw))) == raw


def test_the_model_is_named_once_it_is_known() -> None:
    acc = ChatAccumulator(Asked(endpoint=ENDPOINT, model="m1"), request_id="r")
    assert acc.feed('{"model": "", "id": "", "choices": []}') == [ModelNamed(None, None, "r")]
    assert acc.feed('{"model": "m1-2026", "id": "x", "choices": []}') == [ModelNamed("m1-2026", "x", "r")]
    assert acc.feed('{"model": "m1-2026", "id": "y", "choices": []}') == []


@pytest.mark.parametrize(
    ("chunk", "kind"),
    [
        ({"error": {"message": "x", "type": "server_error"}}, "server"),
        ({"error": "boom"}, "server"),
        ({"error": {"code": 429, "message": "slow down"}}, "rate_limit"),
        (
            {"error": {"code": "context_length_exceeded", "type": "invalid_request_error", "message": "long"}},
            "too_long",
        ),
        ({"detail": "Internal Server Error"}, "server"),
        ({"object": "error", "message": "bad", "type": "BadRequestError", "code": 400}, "bad_request"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "server"),
        (
            {"choices": [{"delta": {"content": ""}, "finish_reason": "error", "error": {"code": 502, "message": "x"}}]},
            "server",
        ),
        ({"error": {"code": 502, "message": "x"}, "choices": [{"delta": {}, "finish_reason": "error"}]}, "server"),
        ('{"choices": [{"del', "garbled"),
        ("<html>", "garbled"),
        ("[1]", "garbled"),
        ("12", "garbled"),
        ("null", "garbled"),
        ("[" * 100_000, "garbled"),
    ],
)
def test_errors_in_the_stream(chunk: object, kind: str) -> None:
    with pytest.raises(ModelError) as caught:
        run(delta(content="Hel"), chunk)
    assert caught.value.failure.kind == kind


@pytest.mark.parametrize("data", ['{"message": "overloaded"}', '{"code": 500}', "upstream died", "{}"])
def test_an_error_event_needs_no_error_key(data: str) -> None:
    acc = ChatAccumulator(Asked(endpoint=ENDPOINT, model="m1"))
    with pytest.raises(ModelError) as caught:
        acc.feed(data, "error")
    assert caught.value.failure.kind == "server"


def test_what_was_held_back_survives_a_cut() -> None:
    acc = ChatAccumulator(Asked(endpoint=ENDPOINT, model="m1"))
    acc.feed('{"choices":[{"delta":{"content":"a\\ud83d"},"finish_reason":"stop"}]}')
    assert acc.close() == [TextDelta("\ufffd")]
