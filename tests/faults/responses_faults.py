"""The faults that only the Responses API can have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from tests.faults.catalogue import KEY, Fault, fatal, harmless, head, once
from tests.faults.responses_items import calls, items, refusals, thoughts, wholes
from tests.faults.upstream import Play
from tests.faults.wires import CHAT, DONE, LENGTH, RESPONSES, TEXT, event, over
from tests.providers import responses as rs

BEGIN, SPOKEN, UNFINISHED = RESPONSES.begin, RESPONSES.spoken, RESPONSES.unfinished
say = RESPONSES.say
FAILURE = {"code": "server_error", "message": f"The model fell over <b>here</b>. Key {KEY}"}


def only_responses() -> Iterator[Fault]:
    for faults in (errors, ends, completions, wholes, items, refusals, thoughts, calls, names, answers):
        yield from faults()


def errors() -> Iterator[Fault]:
    for name, extra in {
        "error event": {"type": "error", **FAILURE, "param": None},
        "error event with an object": {"type": "error", "error": FAILURE},
        "error event, code: null": {"type": "error", "code": None, "message": "It fell over."},
        "error event without a word": {"type": "error"},
        "response.error": {"type": "response.error", **FAILURE},
        "failed": over(status="failed", error=FAILURE),
        "failed, rate limit": over(status="failed", error={**FAILURE, "code": "rate_limit_exceeded"}),
        "failed, policy": over(status="failed", error={**FAILURE, "code": "bio_policy"}),
        "failed, error as text": over(status="failed", error="It fell over."),
        "failed, error: null": over(status="failed"),
        "failed, response: null": rs.ev("failed", response=None),
        "cancelled": over(status="cancelled"),
    }.items():
        yield fatal(RESPONSES, name, event(extra, extra["type"]))
    yield fatal(RESPONSES, "failed, in the event line only", event({"response": {"error": FAILURE}}, "response.failed"))
    late = over(rs.said(TEXT), status="failed", error=FAILURE)
    yield once("failed, the text in its output only", Play(BEGIN + say(late), TEXT))


def ends() -> Iterator[Fault]:
    """How an answer may end that is not complete."""
    said = rs.said(TEXT)
    for name, last in {
        "incomplete, max_messages": over(said, status="incomplete", incomplete_details={"reason": "max_messages"}),
        "incomplete, no reason": over(said, status="incomplete"),
        "incomplete, reason: null": over(said, status="incomplete", incomplete_details={"reason": None}),
        "incomplete, details as text": over(said, status="incomplete", incomplete_details="max_output_tokens"),
        "incomplete, response: null": rs.ev("incomplete", response=None),
        "completed, status: incomplete": {**over(said, status="incomplete"), "type": "response.completed"},
        "completed, status: failed": {**over(said, status="failed"), "type": "response.completed"},
        "completed, details: max_output_tokens": over(said, incomplete_details=LENGTH),
        "completed, the message incomplete": over({**said, "status": "incomplete"}),
    }.items():
        yield once(name, Play(UNFINISHED + say(last), TEXT))
    for reason in ("max_output_tokens", "content_filter"):
        cut = over(status="incomplete", incomplete_details={"reason": reason})
        yield fatal(RESPONSES, f"incomplete, {reason}", say(cut))
        whole = over(said, status="incomplete", incomplete_details={"reason": reason})
        yield once(f"{reason}, the text in its output only", Play(BEGIN + say(whole), TEXT))
    marked = rs.ended({**said, "status": "incomplete"})
    yield once("completed, the ended message incomplete", Play(SPOKEN + say(marked, over()), TEXT))


def completions() -> Iterator[Fault]:
    """What may be odd about an answer that is complete."""
    last, said = RESPONSES.finish(), rs.said(TEXT)
    for name, end in {
        "completed twice": last + last,
        "[DONE] after completed": last + DONE,
        "a word after completed": last + RESPONSES.delta("Noch"),
        "an error after completed": last + event({"error": "late"}),
        "bad JSON after completed": last + b"data: {\n\n",
        "response: null": say(rs.ev("completed", response=None)),
        "response missing": say(rs.ev("completed")),
        "response beside the type": say({**over(said)["response"], "type": "response.completed"}),
        "status: null": say(rs.ev("completed", response={"status": None})),
        "status: in_progress": say({**over(said, status="in_progress"), "type": "response.completed"}),
        "output: null": say(rs.ev("completed", response={"output": None})),
        "output of nulls": say(over(None, {}, {"type": "message", "content": None}, {"type": 7})),
        "usage missing": say(rs.ev("completed", response=rs.whole(said))),
        "usage: null": say(over(said, usage=None)),
        "odd usage": say(over(said, usage={"input_tokens": "many", "output_tokens": -1, "total_tokens": 1e99})),
    }.items():
        yield once(name, Play(UNFINISHED + end, TEXT, whole=True))
    beside = say({**over(said)["response"], "type": "response.completed"})
    yield once("response beside the type, and no word before", Play(BEGIN + beside, TEXT, whole=True))
    yield Fault("completed too early", lambda i: Play(RESPONSES.around(last, i), TEXT, whole=True))
    early = say(over())
    # The model's own word counts, and after it nothing more is read.
    yield Fault(
        "completed too early, no output",
        lambda i: replace(RESPONSES.upto(i), body=RESPONSES.around(early, i), whole=None),
    )


def names() -> Iterator[Fault]:
    """What an event is called, twice, and its number."""
    whole = RESPONSES.whole
    number = rb'"sequence_number":\d+'
    for name, body in {
        "names in the event lines only": re.sub(rb'\{"type":"response[^"]*",', b"{", whole),
        "names in the data only": re.sub(rb"event: .*\n", b"", whole),
        "names that do not agree": re.sub(rb"event: .*", b"event: response.completed", whole),
        "names that are numbers": re.sub(rb'\{"type":"response[^"]*",', b'{"type":7,', whole),
        "names that are null": re.sub(rb'\{"type":"response[^"]*",', b'{"type":null,', whole),
        "numbers missing": re.sub(b"," + number, b"", whole),
        "numbers all 0": re.sub(number, b'"sequence_number":0', whole),
        "numbers with gaps": re.sub(rb'"sequence_number":(?=\d)', b'"sequence_number":1', whole),
        "numbers as text": re.sub(number, b'"sequence_number":"?"', whole),
    }.items():
        assert body != whole
        yield once(name, Play(body, TEXT, whole=True))
    for name, extra in {
        "an unknown event": rs.ev("brand_new.delta", delta="x", text="x", message="x", item_id="msg_1"),
        "an unknown event without a dot": {"type": "brand_new", "delta": "x"},
        "an unknown event of limits": {"type": "codex.rate_limits", "message": "plenty", "detail": "x"},
        "an event of a server's own tool": rs.ev("mcp_call.failed", item_id="mcp_1", output_index=1),
        "error: null": rs.ev("queued", error=None, response={"error": None, "status": "queued"}),
        "created again": rs.CREATED,
    }.items():
        yield harmless(RESPONSES, name, event(extra, extra["type"]))
    ends = {"response.created": rs.CREATED["response"], "response.completed": over(rs.said(TEXT))["response"]}
    begin, end = (event(response, name) for name, response in ends.items())
    spoken = b"".join(RESPONSES.words) + RESPONSES.close()
    yield once("responses without an envelope", Play(begin + spoken + end, TEXT, whole=True))
    yield harmless(RESPONSES, "an event without a name", event({"delta": "x", "sequence_number": 5}))
    yield once("the events of Chat Completions", Play(CHAT.whole))


def answers() -> Iterator[Fault]:
    """Answers of servers that do not stream."""
    said = rs.said(TEXT)
    length = {"status": "incomplete", "incomplete_details": LENGTH}
    for name, fields, text, whole in (
        ("incomplete", length, TEXT, False),
        ("failed", {"status": "failed", "error": FAILURE}, TEXT, False),
        ("in_progress", {"status": "in_progress"}, TEXT, False),
        ("without a status", {"status": None}, TEXT, False),
        ("without an output", {"output": None}, "", False),
        ("with an empty output", {"output": []}, "", False),
        ("of two messages", {"output": [said, rs.said("Noch.")]}, f"{TEXT}\n\nNoch.", True),
    ):
        body = json.dumps({**rs.whole(said), **fields}).encode()
        yield once(f"a JSON answer {name}", Play(body, text, whole, head("200 OK"), end="length"))
