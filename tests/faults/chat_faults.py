"""The faults that only Chat Completions can have."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.faults.catalogue import Fault, fatal, harmless, head, once
from tests.faults.upstream import Play
from tests.faults.wires import CHAT, DONE, TEXT, event


def only_chat() -> Iterator[Fault]:
    yield fatal(CHAT, "error in a choice", event({"choices": [{"delta": {}, "error": {"message": "It fell over."}}]}))
    for name, payload in {
        "choices: null": {"choices": None},
        "choices missing": {"id": "x"},
        "a choice: null": {"choices": [None]},
        "delta: null": {"choices": [{"delta": None}]},
        "content: null": {"choices": [{"delta": {"content": None}, "finish_reason": None}]},
        "usage: null": {"choices": [], "usage": None},
        "odd usage": {"choices": [], "usage": {"prompt_tokens": "many", "completion_tokens": -1, "total_tokens": 1e99}},
        "error: null": {"error": None, "choices": []},
    }.items():
        yield harmless(CHAT, name, event(payload))
    yield from _ends()


def _ends() -> Iterator[Fault]:
    spoken, finish, delta = CHAT.spoken, CHAT.finish(), CHAT.delta("Noch")
    yield harmless(CHAT, "finish reason too early", finish)
    yield Fault("finish reason too early, then cut", lambda i: CHAT.upto(i + 1, finish + delta, text="Noch"))
    for end in ("ended", "closed", "dropped", "reset"):
        yield once(f"cut before [DONE], {end}", Play(spoken + finish, TEXT, whole=True, end=end))
    yield once("usage missing", Play(spoken + finish + DONE, TEXT, whole=True))
    yield once("usage after [DONE]", Play(spoken + finish + DONE + CHAT.usage, TEXT, whole=True))
    usage = {"prompt_tokens": 3, "completion_tokens": 5}
    yield once("usage on the finish", Play(spoken + CHAT.ended("stop", usage=usage) + DONE, TEXT, whole=True))
    yield once("an error after the finish", Play(spoken + finish + event({"error": "late"}), TEXT, None))
    yield once("bad JSON after the finish", Play(spoken + finish + b"data: {\n\n", TEXT, None))
    for reason in ("length", "content_filter", "tool_calls", "refusal", "network_error", "gibberish", "", None, 7):
        yield once(f"finish reason {reason!r}", Play(spoken + CHAT.ended(reason) + CHAT.after, TEXT))
    choice = {"message": {"content": TEXT}, "finish_reason": "gibberish"}
    odd = json.dumps({"choices": [choice]}).encode()
    yield once("a JSON answer, finish reason 'gibberish'", Play(odd, TEXT, head=head("200 OK"), end="length"))
    for name, noise in (("stall", b""), ("keep-alives for ever", b": k\n\n"), ("empty events for ever", CHAT.blank)):
        yield once(f"{name} after [DONE]", Play(CHAT.whole, TEXT, whole=True, end="hang", noise=noise), None)
