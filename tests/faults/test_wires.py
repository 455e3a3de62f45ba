"""The answers that faults are done to are real ones: the SDK, which OpenAI writes, knows their events."""

from __future__ import annotations

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from services.providers.sse import SSEDecoder
from tests.faults.wires import RESPONSES, TEXT


def test_responses_are_written_as_openai_writes_them() -> None:
    known: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
    call = b"".join(RESPONSES.calling('{"city"', ': "Bern"}'))
    said = SSEDecoder().feed(RESPONSES.begin + RESPONSES.thought("Hm.") + call)
    events = [known.validate_json(event.data) for event in said]
    events += [known.validate_json(event.data) for event in SSEDecoder().feed(RESPONSES.whole)]
    assert not [event for event in events if event.model_extra], "a field that OpenAI does not have"
    whole = events[len(said) :]
    assert [event.sequence_number for event in whole] == list(range(len(whole)))
    assert Response.model_validate(RESPONSES.answer(TEXT)).output_text == TEXT
