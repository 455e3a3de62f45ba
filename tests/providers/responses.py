"""Events of the Responses API and what becomes of them, for tests."""

from __future__ import annotations

import json
from typing import Any

from services.endpoints import Endpoint
from services.events import RunEvent
from services.providers.failures import Asked
from services.providers.responses import ResponsesAccumulator

ENDPOINT = Endpoint(name="here", base_url="http://127.0.0.1:1/v1", profile="openai")

Event = dict[str, Any]


def run(*events: object, close: bool = False) -> list[RunEvent]:
    acc = ResponsesAccumulator(Asked(endpoint=ENDPOINT, model="m1", fields=frozenset({"model", "input", "include"})))
    out: list[RunEvent] = []
    for event in events:
        out += acc.feed(event if isinstance(event, str) else json.dumps(event))
    return out + (acc.close() if close else acc.finish())


def ev(kind: str, **fields: object) -> Event:
    return {"type": f"response.{kind}", "sequence_number": 1, **fields}


def delta(text: object, place: int = 0, kind: str = "output_text") -> Event:
    return ev(f"{kind}.delta", item_id="msg_1", output_index=place, content_index=0, delta=text, logprobs=[])


def part(kind: str, text: str) -> Event:
    """Return the beginning or the end of a message's first part."""
    return ev(f"content_part.{kind}", item_id="msg_1", output_index=0, content_index=0, part=said(text)["content"][0])


def text_done(text: object, kind: str = "output_text") -> Event:
    return ev(f"{kind}.done", item_id="msg_1", output_index=0, content_index=0, text=text, logprobs=[])


def added(item: Event, place: int = 0) -> Event:
    return ev("output_item.added", output_index=place, item=item)


def ended(item: Event, place: int = 0) -> Event:
    return ev("output_item.done", output_index=place, item=item)


def said(*texts: str) -> Event:
    content = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}


def thought(*summary: str, encrypted: str | None = None) -> Event:
    texts = [{"type": "summary_text", "text": text} for text in summary]
    return {"type": "reasoning", "id": "rs_1", "summary": texts, "encrypted_content": encrypted, "status": None}


def call(name: str = "f", arguments: str = "{}", call_id: str = "a") -> Event:
    return {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id, "name": name, "arguments": arguments}


def whole(*output: Event, status: str = "completed", **fields: object) -> Event:
    return {"id": "resp_1", "object": "response", "model": "m1-2026", "status": status, "error": None} | {
        "output": list(output),
        **fields,
    }


def over(*output: Event, status: str = "completed", **fields: object) -> Event:
    return ev(status, response=whole(*output, status=status, **fields))


CREATED = ev("created", response=whole(status="in_progress"))
PLAIN = [
    CREATED,
    ev("in_progress", response=whole(status="in_progress")),
    added({**said(), "status": "in_progress"}),
    part("added", ""),
    delta("Hel"),
    delta("lo"),
    text_done("Hello"),
    part("done", "Hello"),
    ended(said("Hello")),
    over(said("Hello")),
]
"""As OpenAI writes it."""


def wire(*events: Event) -> str:
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
