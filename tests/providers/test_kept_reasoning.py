"""What a provider wants back of its reasoning, on its way: stream, events, message, storage, next request."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.events import ReasoningDelta, Reply, RunEvent, TextDelta, is_delta
from services.messages import Part, ProviderMetadata, ReasoningPart, TextPart, clean_text
from services.providers.responses import encode
from services.storage import codec
from tests.providers.responses import CREATED, ENDPOINT, PLAIN, delta, ended, run, thought
from tests.providers.test_chat import message, request

texts = st.text().map(clean_text)
metadata = st.builds(ProviderMetadata, texts, texts)
deltas: st.SearchStrategy[RunEvent] = st.one_of(
    st.builds(TextDelta, st.text(min_size=1)),
    st.builds(ReasoningDelta, st.text(min_size=1)),
    st.builds(ReasoningDelta, st.text(), metadata),
)

META = ProviderMetadata("openai https://api.openai.com/v1", '{"type":"reasoning"}')


def folded(*events: RunEvent, look: int = -1) -> tuple[Part, ...]:
    reply = Reply()
    for number, event in enumerate(events):
        reply.apply(event)
        if number == look:
            _ = reply.parts
    return reply.parts


@pytest.mark.parametrize(
    ("events", "parts"),
    [
        ([ReasoningDelta("a"), ReasoningDelta("b", META)], [ReasoningPart("ab", META)]),
        ([ReasoningDelta("", META), TextDelta("x")], [ReasoningPart("", META), TextPart("x")]),
        ([ReasoningDelta("a", META), ReasoningDelta("b")], [ReasoningPart("a", META), ReasoningPart("b")]),
        ([ReasoningDelta("a", META), ReasoningDelta("", META)], [ReasoningPart("a", META), ReasoningPart("", META)]),
        ([TextDelta("x"), ReasoningDelta("", META)], [TextPart("x"), ReasoningPart("", META)]),
    ],
)
def test_metadata_ends_its_part(events: list[RunEvent], parts: list[Part]) -> None:
    assert list(folded(*events)) == parts
    assert all(is_delta(event) for event in events)


@given(st.lists(deltas, max_size=20), st.integers(0, 20))
def test_the_fold_is_the_same_whoever_looks_on_the_way(events: list[RunEvent], look: int) -> None:
    assert folded(*events, look=look) == folded(*events)


@given(texts, metadata)
def test_it_comes_back_from_storage(text: str, given: ProviderMetadata) -> None:
    part, event = ReasoningPart(text, given), ReasoningDelta(text, given)
    assert codec.part_from_json(part.kind, codec.part_to_json(part)) == part
    assert codec.event_from_json(event.kind, codec.event_to_json(event)) == event


def test_rows_without_it_are_as_before() -> None:
    assert codec.part_to_json(ReasoningPart("hm")) == '{"text":"hm"}'
    assert codec.part_from_json("reasoning", '{"text":"hm"}') == ReasoningPart("hm")
    assert codec.event_from_json("reasoning_delta", '{"text":"hm"}') == ReasoningDelta("hm")


def test_from_the_stream_through_storage_into_the_next_request() -> None:
    item = thought("h\ud83d", encrypted="gAAA")
    parts = folded(*run(CREATED, delta("h\ud83d", kind="reasoning_summary_text"), ended(item), *PLAIN[2:]))
    stored = [(part.kind, codec.part_to_json(part)) for part in parts]
    reply = message("assistant", *(codec.part_from_json(kind, row) for kind, row in stored))
    assert reply.text == "Hello"
    [sealed, answer] = json.loads(json.dumps(encode(request(reply, endpoint=ENDPOINT))["input"]))
    summary = [{"type": "summary_text", "text": "h\ufffd"}]
    assert sealed == {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "gAAA"}
    assert answer["content"] == [{"type": "output_text", "text": "Hello"}]
