"""Both APIs through the same client: what must be the same whichever an endpoint speaks."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass

import httpx2
import pytest

from services.endpoints import Api
from services.events import ReasoningDelta, StepFinished, TextDelta, UsageReported
from services.providers.base import ModelRequest
from tests.providers.asking import ANSWER, KEY, SSE, ask, data, finished, provider, request, text
from tests.providers.folding import PLAIN as CHAT_PLAIN
from tests.providers.responses import PLAIN, delta, ended, ev, over, said, thought, whole, wire
from tests.providers.sockets import CHUNKED, chunk, hanging, head, reset, sending, serving, stay


@dataclass(frozen=True)
class Wire:
    """One answer, "Hello", in an API's words."""

    api: Api
    path: str
    good: str
    begun: str
    """Only "Hel"."""
    said: str
    """All but the end."""
    whole: object
    failed: str
    """An error after "Hel"."""

    def request(self, base_url: str) -> ModelRequest:
        return request(base_url, api=self.api)


CHAT = Wire(
    api="chat",
    path="/v1/chat/completions",
    good=ANSWER,
    begun=data("Hel"),
    said=data("Hel") + data("lo"),
    whole={"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]},
    failed=data("Hel") + 'data: {"error": {"code": "rate_limit_exceeded", "message": "slow"}}\n\n',
)
RESPONSES = Wire(
    api="responses",
    path="/v1/responses",
    good=wire(*PLAIN),
    begun=wire(*PLAIN[:5]),
    said=wire(*PLAIN[:-1]),
    whole=whole(said("Hello")),
    failed=wire(*PLAIN[:5], {"type": "error", "code": "rate_limit_exceeded", "message": "slow"}),
)

pytestmark = pytest.mark.parametrize("api", [CHAT, RESPONSES], ids=lambda api: api.api)

URL = "https://api.acme.test/v1"


def cut_up(body: str, size: int) -> list[bytes]:
    raw = body.encode()
    return [chunk(raw[at : at + size]) for at in range(0, len(raw), size)]


class TestTransport:
    async def test_what_is_sent(self, api: Wire) -> None:
        seen: list[httpx2.Request] = []

        def handler(sent: httpx2.Request) -> httpx2.Response:
            seen.append(sent)
            return httpx2.Response(200, headers=SSE, text=api.good)

        async with provider(handler) as made:
            events, failure = await ask(made, api.request(URL))
        assert failure is None
        assert text(events) == "Hello"
        assert isinstance(events[-1], StepFinished)
        assert seen[0].url.path == api.path
        assert seen[0].headers["authorization"] == f"Bearer {KEY}"
        assert not any(name.startswith("x-stainless") and "raw" in name for name in seen[0].headers)
        assert json.loads(seen[0].content)["stream"] is True

    @pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", ""])
    async def test_a_whole_answer_is_taken(self, api: Wire, content_type: str) -> None:
        answer = httpx2.Response(200, headers={"content-type": content_type}, text=json.dumps(api.whole))
        async with provider(lambda _: answer) as made:
            events, failure = await ask(made, api.request(URL))
        assert (text(events), finished(events), failure) == ("Hello", True, None)

    @pytest.mark.parametrize("body", ["<!doctype html><title>Login</title>", '{"ok": true}', "Ollama is running", ""])
    async def test_what_is_no_answer_is_said(self, api: Wire, body: str) -> None:
        async with provider(lambda _: httpx2.Response(200, text=body)) as made:
            events, failure = await ask(made, api.request(URL))
        assert events == []
        assert failure is not None
        assert failure.kind == "garbled"

    @pytest.mark.parametrize("end", ["", "data: [DONE]\n\n"])
    @pytest.mark.parametrize("part", ["begun", "said"])
    async def test_a_cut_stream_is_not_finished(self, api: Wire, part: str, end: str) -> None:
        answer = httpx2.Response(200, headers=SSE, text=getattr(api, part) + end)
        async with provider(lambda _: answer) as made:
            events, failure = await ask(made, api.request(URL))
        assert (finished(events), failure) == (False, None)

    async def test_text_before_an_error_is_kept(self, api: Wire) -> None:
        async with provider(lambda _: httpx2.Response(200, headers=SSE, text=api.failed)) as made:
            events, failure = await ask(made, api.request(URL))
        assert text(events) == "Hel"
        assert failure is not None
        assert failure.kind == "rate_limit"

    async def test_malformed_json_is_a_failure(self, api: Wire) -> None:
        body = api.begun + 'data: {"type": "response.output_te\n\n'
        async with provider(lambda _: httpx2.Response(200, headers=SSE, text=body)) as made:
            events, failure = await ask(made, api.request(URL))
        assert text(events) == "Hel"
        assert failure is not None
        assert failure.kind == "garbled"

    async def test_a_server_without_the_api_is_named(self, api: Wire) -> None:
        async with provider(lambda _: httpx2.Response(404, json={"detail": "Not Found"})) as made:
            _, failure = await ask(made, api.request(URL))
        assert failure is not None
        assert (failure.kind, failure.next_step) == ("not_found", "check_endpoint")
        assert ("'chat'" in failure.message) == (api is RESPONSES)


class TestSockets:
    @pytest.mark.parametrize("size", [1, 7, 100_000])
    async def test_pieces_of_any_size(self, api: Wire, size: int) -> None:
        pieces = [CHUNKED, *cut_up(api.good, size), b"0\r\n\r\n"]
        async with serving(sending(*pieces, then=stay)) as server, provider() as made:
            for _ in range(2):
                events, failure = await ask(made, api.request(server.url))
                assert (text(events), finished(events), failure) == ("Hello", True, None)
        assert server.connections == 1, "the connection is left to the next"

    @pytest.mark.parametrize("then", [None, reset])
    async def test_a_broken_connection_is_a_failure(self, api: Wire, then: None) -> None:
        async with serving(sending(CHUNKED, chunk(api.begun), then=then)) as server, provider() as made:
            events, failure = await ask(made, api.request(server.url))
        assert not finished(events)
        assert failure is not None
        assert failure.kind == "unreachable"

    async def test_the_end_is_not_waited_for(self, api: Wire) -> None:
        async with serving(hanging(CHUNKED, chunk(api.good))) as server, provider() as made:
            events, failure = await ask(made, api.request(server.url))
            await server.hung_up.wait()
        assert (finished(events), failure) == (True, None)

    async def test_closing_the_generator_hangs_up(self, api: Wire) -> None:
        async with serving(hanging(CHUNKED, chunk(api.begun))) as server, provider() as made:
            async with aclosing(made.stream(api.request(server.url))) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        break
                assert not server.hung_up.is_set()
            async with asyncio.timeout(10):
                await server.hung_up.wait()

    async def test_an_error_status_is_read(self, api: Wire) -> None:
        body = b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}'
        refusal = head("429 Too Many", "application/json", f"Content-Length: {len(body)}", "Retry-After: 5")
        async with serving(sending(refusal, body)) as server, provider() as made:
            _, failure = await ask(made, api.request(server.url))
        assert failure is not None
        assert (failure.kind, failure.retry_after_s) == ("rate_limit", 5.0)


@pytest.mark.parametrize("where", range(len(PLAIN)))
async def test_every_event_may_be_the_last(api: Wire, where: int) -> None:
    """Every word that arrived is kept, and nothing cut looks complete."""
    if api is CHAT:
        events_wire = "".join(f"data: {json.dumps(event)}\n\n" for event in CHAT_PLAIN[:where])
        whole_at = len(CHAT_PLAIN)
    else:
        events_wire, whole_at = wire(*PLAIN[:where]), len(PLAIN)
    async with provider(lambda _: httpx2.Response(200, headers=SSE, text=events_wire)) as made:
        events, failure = await ask(made, api.request(URL))
    assert finished(events) == (where >= whole_at)
    assert "Hello".startswith(text(events))
    assert failure is None or failure.kind == "garbled"


async def test_reasoning_and_usage_are_the_same_events(api: Wire) -> None:
    counted = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    if api is CHAT:
        thinking = 'data: {"choices": [{"delta": {"reasoning_content": "hm"}}]}\n\n'
        body = thinking + ANSWER.replace("data: [DONE]", f'data: {{"usage": {json.dumps(counted)}}}\n\ndata: [DONE]')
    else:
        body = wire(
            ev("reasoning_summary_part.added"),
            delta("hm", kind="reasoning_summary_text"),
            ended(thought("hm")),
            delta("Hello", 1),
            over(usage=counted),
        )
    async with provider(lambda _: httpx2.Response(200, headers=SSE, text=body)) as made:
        events, failure = await ask(made, api.request(URL))
    assert failure is None
    assert ReasoningDelta("hm") in events
    [report] = [event for event in events if isinstance(event, UsageReported)]
    assert (report.usage.input, report.usage.output) == (3, 2)
