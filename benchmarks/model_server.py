"""A scripted model server: OpenAI's chat completions on 127.0.0.1, at a chosen speed, in a process of its own.

`python benchmarks/model_server.py PORT [FOLDER]`. The question, or else the model's name, says what is answered:

- `full-2000`: the reply of 2,000 tokens as fast as the reader takes them
- `paced-200-2000`: the same at 200 a second by an absolute schedule, so that a late token does not make the next late
- `plain-20`: 20 words without a marker among them, at once
- `stamped-50-500`: 500 tokens at 50 a second, each the time of its sending in ms
- `text-NAME`: FOLDER/NAME in pieces of 40 characters, at once

Each token is one chunk and one write. What follows behind an `@` tells questions that are asked at the same time apart.
`GET /sent` tells when each marker word of each question's newest reply was sent (`time.time()`, just before the write).
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from reply import FIRST, LAST, mark_names, reply_tokens

MODELS = ("full-2000", "paced-200-2000", "full-500", "paced-200-500", "full-20")

_SCENARIO = re.compile(
    r"(?P<kind>full|paced|plain|stamped|text)-(?:(?P<rate>\d+)-)?(?P<what>[\w.]+)(?: ?@(?P<who>\w+))?"
)
_sent: dict[str, dict[str, float]] = {}
_folder = Path()


@dataclass(frozen=True)
class Scenario:
    """What is answered."""

    kind: str
    rate: float
    """Tokens a second; 0: as fast as they are read."""
    what: str
    who: str


def scenario_of(body: dict[str, Any]) -> Scenario:
    """Return what is asked for."""
    question = body["messages"][-1]["content"]
    for name in (question if isinstance(question, str) else question[0].get("text", ""), body["model"]):
        if found := _SCENARIO.fullmatch(name.strip()):
            return Scenario(found["kind"], float(found["rate"] or 0), found["what"], found["who"] or "")
    return Scenario("full", 0.0, "20", "")


def _chunk(delta: dict[str, str], finish: str | None = None, **more: object) -> bytes:
    choices = [] if "usage" in more else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "bench"}
    return _frame(f"data: {json.dumps({**head, 'choices': choices, **more})}\n\n".encode())


def _frame(payload: bytes) -> bytes:
    """Return one chunk of HTTP's chunked transfer."""
    return b"%x\r\n%s\r\n" % (len(payload), payload)


@cache
def _script(count: int) -> list[tuple[str | None, bytes]]:
    """Return the reply's writes, each with its marker word, prepared so that sending costs next to nothing."""
    marks = {FIRST, LAST, *mark_names()}
    tokens = reply_tokens(count)
    return [(t.strip() if t.strip() in marks else None, _chunk({"content": t})) for t in tokens]


def _writes(scenario: Scenario) -> Iterator[tuple[str | None, bytes]]:
    match scenario.kind:
        case "plain":
            yield from ((None, _chunk({"content": "word "})) for _ in range(int(scenario.what)))
        case "stamped":
            for _ in range(int(scenario.what)):
                yield None, _chunk({"content": f"{time.time() * 1000:.0f} "})
        case "text":
            text = (_folder / scenario.what).read_text("utf-8")
            yield from ((None, _chunk({"content": text[at : at + 40]})) for at in range(0, len(text), 40))
        case _:
            yield from _script(int(scenario.what))


async def _stream(writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
    scenario = scenario_of(body)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    writer.write(_chunk({"role": "assistant", "content": ""}))
    sent = _sent[scenario.who] = {}
    begun = time.monotonic()
    writes = _writes(scenario)
    count = 0
    while True:
        if scenario.rate and (wait := begun + count / scenario.rate - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        mark, payload = next(writes, (None, b""))
        if not payload:
            break
        if mark:
            sent[mark] = time.time()
        writer.write(payload)
        await writer.drain()
        count += 1
    writer.write(_chunk({}, "stop"))
    if (body.get("stream_options") or {}).get("include_usage"):
        usage = {"prompt_tokens": 10, "completion_tokens": count, "total_tokens": count + 10}
        writer.write(_chunk({}, usage=usage))
    writer.write(_frame(b"data: [DONE]\n\n") + _frame(b""))
    await writer.drain()


def _answer(writer: asyncio.StreamWriter, value: object, status: str = "200 OK") -> None:
    payload = json.dumps(value).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(payload)}\r\n\r\n"
    writer.write(head.encode() + payload)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            size = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            body = json.loads(await reader.readexactly(int(size[1]))) if size else {}
            match method, path:
                case "GET", "/v1/models":
                    _answer(writer, {"object": "list", "data": [{"id": m, "object": "model"} for m in MODELS]})
                case "GET", "/sent":
                    _answer(writer, _sent)
                case "POST", "/v1/chat/completions" if body.get("stream"):
                    await _stream(writer, body)
                case _:
                    _answer(writer, {"error": {"message": f"not scripted: {method} {path}"}}, "404 Not Found")
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client is done
    finally:
        writer.close()


async def main(port: int) -> None:
    for model in MODELS:
        _script(int(scenario_of({"model": model, "messages": [{"content": ""}]}).what))
    async with await asyncio.start_server(_serve, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    _folder = Path(*sys.argv[2:])
    asyncio.run(main(int(sys.argv[1])))
