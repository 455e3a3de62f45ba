"""Ids, texts and the fold of run events."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import Failure, mask_keys
from services.events import (
    ModelNamed,
    ReasoningDelta,
    Reply,
    RunFinished,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCallRequested,
    UsageReported,
)
from services.messages import (
    ENDED_BY_MODEL,
    MESSAGE_STATUSES,
    RESUMABLE,
    TRANSITIONS,
    ErrorPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    clean_text,
    moved,
    new_id,
)
from services.usage import Usage


def folded(*events) -> Reply:
    reply = Reply()
    for event in events:
        reply.apply(event)
    return reply


def test_ids_sort_by_time_and_never_repeat() -> None:
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == len(ids)
    assert all(len(id) == 26 for id in ids)
    assert [id[:10] for id in ids] == sorted(id[:10] for id in ids)


def test_clean_text_joins_surrogate_pairs_and_replaces_single_ones() -> None:
    assert clean_text("a\ud83d\ude00b") == "a😀b"
    assert clean_text("a\ud83db") == "a�b"


def test_clean_text_copies_nothing_where_nothing_is_wrong() -> None:
    text = "Zwölf 🥊\n\t" * 1000
    assert clean_text(text) is text


def test_clean_text_drops_control_characters_and_keeps_white_space() -> None:
    assert clean_text("a\x00b\x07c\x1b[31m\td\r\ne\x7f") == "abc[31m\td\r\ne"


@given(st.text(alphabet=st.characters()))
def test_clean_text_always_gives_text_that_can_be_stored(text: str) -> None:
    cleaned = clean_text(text)
    assert json.loads(json.dumps(cleaned).encode("utf-8")) == cleaned
    assert "\x00" not in cleaned
    assert clean_text(cleaned) == cleaned


def test_a_reply_joins_deltas_of_one_kind_into_one_part() -> None:
    reply = folded(
        StepStarted("openai", "asked"),
        ReasoningDelta("let me "),
        ReasoningDelta("think"),
        TextDelta("Hel"),
        TextDelta("lo"),
    )
    assert reply.parts == (ReasoningPart("let me think"), TextPart("Hello"))
    assert reply.status == "streaming"
    reply.apply(TextDelta(" there"))  # reading the parts on the way does not cut them
    assert reply.parts == (ReasoningPart("let me think"), TextPart("Hello there"))


@given(st.lists(st.tuples(st.booleans(), st.text(min_size=1, max_size=5)), max_size=30), st.integers(0, 30))
def test_the_fold_is_the_same_whoever_looks_on_the_way(pieces: list[tuple[bool, str]], look: int) -> None:
    events = [TextDelta(text) if is_text else ReasoningDelta(text) for is_text, text in pieces]
    undisturbed, watched = folded(*events), Reply()
    for number, event in enumerate(events):
        watched.apply(event)
        if number == look:
            _ = watched.parts
    assert watched.parts == undisturbed.parts
    assert watched.text == "".join(text for is_text, text in pieces if is_text)


def test_a_reply_remembers_what_the_endpoint_said() -> None:
    reply = folded(
        StepStarted("openai", "asked"),
        ModelNamed("answered-2026", "resp-1", "req-1"),
        ModelNamed(None, None, "req-2"),
        ToolCallRequested("call-1", "get_weather", '{"city": "Bonn"}'),
        UsageReported(Usage(input=10, output=2)),
        UsageReported(Usage(input=10, output=5, reasoning=1)),
        StepFinished("stop", "stop"),
        RunFinished("complete"),
    )
    assert (reply.model, reply.response_id, reply.request_id) == ("answered-2026", "resp-1", "req-2")
    assert reply.parts == (ToolCallPart("call-1", "get_weather", '{"city": "Bonn"}'),)
    assert reply.usage == Usage(input=10, output=5, reasoning=1), "a later report replaces an earlier one"
    assert (reply.finish_reason, reply.status) == ("stop", "complete")


def test_usage_of_several_steps_adds_up() -> None:
    step = [StepStarted("e", "m"), UsageReported(Usage(input=1)), UsageReported(Usage(input=3, output=2))]
    assert folded(*step, *step).usage == Usage(input=6, output=4)


def test_a_failed_reply_keeps_its_text_and_says_why() -> None:
    failure = Failure(kind="server", message="It broke.")
    reply = folded(TextDelta("half an ans"), RunFinished("interrupted", failure))
    assert reply.parts == (TextPart("half an ans"), ErrorPart(failure))


def test_keys_are_masked_whatever_they_look_like() -> None:
    for text in (
        "Incorrect API key provided: sk-proj-abcDEF1234567890.",
        "Incorrect API key provided: sk-abc1****************wxyz.",
        "bad key gsk_abcdefghijklmnop",
        "Authorization: Bearer my-very-own-token",
        "token 0123456789abcdef0123456789abcdef",
    ):
        masked = mask_keys(text)
        assert "…" in masked
        assert not {"abcDEF", "wxyz", "abcdefgh", "my-very-own", "456789abcd"} & {
            s for s in text.split() if s in masked
        }
    assert mask_keys("plain words stay, gpt-6-mini too") == "plain words stay, gpt-6-mini too"
    assert mask_keys("my key is swordfish!", "swordfish") == "my key is …!"


def test_a_run_never_moves_on_from_its_end() -> None:
    for before, after in itertools.product(MESSAGE_STATUSES, repeat=2):
        if after in TRANSITIONS[before]:
            assert moved(before, after) == after
        else:
            with pytest.raises(ValueError, match=f"{before} cannot become {after}"):
                moved(before, after)
    ends = [status for status in MESSAGE_STATUSES if not TRANSITIONS[status]]
    assert set(ends) == set(MESSAGE_STATUSES) - {"streaming", "awaiting_approval"}
    assert set(ends) >= RESUMABLE | ENDED_BY_MODEL


def test_a_reply_ends_once() -> None:
    reply = Reply()
    reply.apply(RunFinished("complete"))
    with pytest.raises(ValueError, match="complete cannot become failed"):
        reply.apply(RunFinished("failed"))
