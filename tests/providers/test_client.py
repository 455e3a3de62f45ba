"""The provider against a transport that answers from values; `test_sockets.py` has the real thing."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest

from services.endpoints import Api
from services.errors import Failure, ModelError
from services.events import ModelNamed, RunEvent, StepFinished, UsageReported
from services.messages import AttachmentPart, TextPart
from services.providers import chat, responses
from tests.providers.asking import ANSWER, KEY, SSE, ask, data, finished, provider, request, text


async def mock(response: httpx2.Response | Exception, **options: object) -> tuple[list[RunEvent], Failure | None]:
    def handler(_: httpx2.Request) -> httpx2.Response:
        if isinstance(response, Exception):
            raise response
        return response

    async with provider(handler) as made:
        return await ask(made, request("https://api.acme.test/v1"))


class TestRequest:
    async def test_what_is_sent(self) -> None:
        seen: list[httpx2.Request] = []

        def handler(sent: httpx2.Request) -> httpx2.Response:
            seen.append(sent)
            return httpx2.Response(200, headers={**SSE, "x-request-id": "r1"}, text=ANSWER)

        async with provider(handler) as made:
            events, failure = await ask(made, request("https://api.acme.test/v1"))
        assert failure is None
        assert events[0] == ModelNamed(None, None, "r1")
        assert text(events) == "Hello"
        assert events[-1] == StepFinished("stop", "stop")
        assert str(seen[0].url) == "https://api.acme.test/v1/chat/completions"
        assert seen[0].headers["authorization"] == f"Bearer {KEY}"
        assert json.loads(seen[0].content) == {
            "model": "m1",
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    @pytest.mark.parametrize("api", ["chat", "responses"])
    async def test_a_request_with_pictures_is_the_same_json(self, api: Api) -> None:
        seen: list[httpx2.Request] = []

        def handler(sent: httpx2.Request) -> httpx2.Response:
            seen.append(sent)
            return httpx2.Response(200, headers=SSE, text=ANSWER)

        asked = request("https://api.acme.test/v1", api=api)
        picture = AttachmentPart("b" * 64, "é.png", "image/png", 3)
        question = replace(asked.messages[0], parts=(TextPart("Sieh, 👋"), picture))
        asked = replace(asked, messages=(question,), images={picture.sha256: "data:image/png;base64,YWJj"})
        async with provider(handler) as made:
            await ask(made, asked)
        encode = chat.encode if api == "chat" else responses.encode
        assert json.loads(seen[0].content) == encode(asked)
        assert seen[0].headers["content-type"] == "application/json"
        assert seen[0].headers["authorization"] == f"Bearer {KEY}"

    @pytest.mark.parametrize("api", ["chat", "responses"])
    async def test_a_large_request_gives_way(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        threads, turns, sent_in = set[threading.Thread](), 0, list[int]()

        def noted(text: str) -> str:
            threads.add(threading.current_thread())
            return text

        async def ticking() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        class Unread(httpx2.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
                before = turns
                assert int(request.headers["content-length"]) == len(await request.aread()) > 4_000_000
                assert "transfer-encoding" not in request.headers
                sent_in.append(turns - before)
                return httpx2.Response(200, headers=SSE, text=ANSWER)

        monkeypatch.setattr("services.providers.base.clean_text", noted)
        asked = request("https://api.acme.test/v1", api=api)
        asked = replace(asked, messages=(replace(asked.messages[0], parts=(TextPart("é" * 2_000_000),)),))
        ticker = asyncio.create_task(ticking())
        async with provider(transport=Unread()) as made:
            _, failure = await ask(made, asked)
        ticker.cancel()
        assert failure is None
        assert threading.main_thread() not in threads != set()
        assert sent_in[0] >= 4_000_000 // 65_536

    async def test_the_environment_of_the_sdk_goes_nowhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID", "BASE_URL"):
            monkeypatch.setenv(f"OPENAI_{name}", "leak")
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer leak\nX-Other: leak")
        seen: list[httpx2.Request] = []

        def handler(sent: httpx2.Request) -> httpx2.Response:
            seen.append(sent)
            return (
                httpx2.Response(200, headers=SSE, text=ANSWER)
                if sent.method == "POST"
                else httpx2.Response(200, json=[])
            )

        async with provider(handler, key=None) as made:
            assert (await ask(made, request("http://127.0.0.1:1/v1")))[1] is None
            assert await made.list_models(request("http://127.0.0.1:1/v1").endpoint) == []
        assert len(seen) == 2
        for sent in seen:
            assert "authorization" not in sent.headers
            assert "leak" not in str(sent.headers)
            assert sent.url.host == "127.0.0.1"

    @pytest.mark.parametrize("key", ["a\nb", "a b", "schlüssel", "a\r\nX-Evil: 1", "ключ"])
    async def test_a_key_that_is_none_is_not_sent(self, key: str) -> None:
        async with provider(lambda _: pytest.fail("was sent"), key=key) as made:
            _, failure = await ask(made, request("https://api.acme.test/v1"))
        assert failure is not None
        assert (failure.kind, failure.next_step) == ("auth", "add_key")
        assert key not in failure.message

    async def test_without_a_needed_key_nothing_is_sent(self) -> None:
        async with provider(lambda _: pytest.fail("was sent"), key=None) as made:
            _, failure = await ask(made, request("https://api.openai.com/v1", profile="openai"))
        assert failure is not None
        assert failure.kind == "auth"

    async def test_nothing_secret_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        async with provider(lambda _: httpx2.Response(200, headers=SSE, text=ANSWER)) as made:
            await ask(made, request("https://api.acme.test/v1"))
        logged = " ".join(record.getMessage() for record in caplog.records if record.name.startswith("services"))
        assert "acme" in logged
        assert KEY not in caplog.text
        assert "Hel" not in caplog.text


class TestAnswers:
    async def test_usage_after_the_finish_reason(self) -> None:
        usage = 'data: {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}\n\n'
        events, _ = await mock(
            httpx2.Response(200, headers=SSE, text=ANSWER.replace("data: [DONE]", usage + "data: [DONE]"))
        )
        assert any(isinstance(event, UsageReported) for event in events)
        assert isinstance(events[-1], StepFinished)

    @pytest.mark.parametrize(
        "headers",
        [
            SSE,
            {"content-type": "application/json"},
            {"content-type": "text/plain"},
            {},
            {"content-type": "TEXT/EVENT-STREAM; charset=x"},
        ],
    )
    @pytest.mark.parametrize("start", ["", "\ufeff", "\n\n", ": hi\n\n", "event: x\n"])
    async def test_a_stream_is_known_by_its_bytes(self, headers: dict[str, str], start: str) -> None:
        events, failure = await mock(httpx2.Response(200, headers=headers, content=(start + ANSWER).encode()))
        assert failure is None
        assert (text(events), finished(events)) == ("Hello", True)

    @pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", ""])
    async def test_a_whole_answer_is_taken(self, content_type: str) -> None:
        body = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}], "model": "m1"}
        response = httpx2.Response(
            200, headers={"content-type": content_type}, content=json.dumps(body, indent=1).encode()
        )
        events, failure = await mock(response)
        assert failure is None
        assert (text(events), finished(events)) == ("Hello", True)

    async def test_a_cut_whole_answer_is_not(self) -> None:
        body = json.dumps({"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]})[:-1]
        events, failure = await mock(httpx2.Response(200, headers={"content-type": "application/json"}, text=body))
        assert events == []
        assert failure is not None
        assert failure.kind == "garbled"

    @pytest.mark.parametrize(
        ("content_type", "body", "word"),
        [
            ("text/html", "<!doctype html><title>Login</title>", "web page"),
            ("text/event-stream", "<html></html>", "web page"),
            ("text/html; charset=utf-8", "Welcome to nginx", "web page"),
            ("text/plain", "Ollama is running", "plain text"),
            ("application/json", '{"ok": true}', "JSON"),
            ("application/json", "[1, 2]", "JSON"),
            ("application/json", "", "empty"),
            ("", "", "empty"),
        ],
    )
    async def test_other_bodies_are_named(self, content_type: str, body: str, word: str) -> None:
        events, failure = await mock(httpx2.Response(200, headers={"content-type": content_type}, text=body))
        assert events == []
        assert failure is not None
        assert (failure.kind, failure.next_step) == ("garbled", "check_endpoint")
        assert word in failure.message

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            ('data: {"error": {"code": 429, "message": "slow"}}\n\n', "rate_limit"),
            ('event: error\ndata: {"reason": "gone"}\n\n', "server"),
            ('data: {"detail": "boom"}\n\n', "server"),
            ('{"error": {"message": "boom", "code": 503}}', "server"),
            ('data: {"choices": [{"delta"\n\n', "garbled"),
            ("data: 5\n\n", "garbled"),
        ],
    )
    async def test_errors_with_status_200(self, body: str, kind: str) -> None:
        _, failure = await mock(httpx2.Response(200, headers=SSE, text=body))
        assert failure is not None
        assert failure.kind == kind

    async def test_text_before_an_error_is_kept(self) -> None:
        events, failure = await mock(
            httpx2.Response(200, headers=SSE, text=data("Hel") + 'data: {"error": "boom"}\n\n')
        )
        assert text(events) == "Hel"
        assert failure is not None

    @pytest.mark.parametrize(
        "body", [data("Hel"), data("Hel") + "data: [DONE]\n\n", data("Hel") + data(finish="stop")[:-9], ""]
    )
    async def test_a_cut_stream_is_not_finished(self, body: str) -> None:
        events, failure = await mock(httpx2.Response(200, headers=SSE, text=body))
        assert failure is None
        assert not finished(events)

    async def test_a_forgotten_blank_line_at_the_end_costs_nothing(self) -> None:
        body = data("Hello") + data(finish="stop").rstrip()
        events, failure = await mock(httpx2.Response(200, headers=SSE, text=body))
        assert (text(events), finished(events), failure) == ("Hello", True, None)


class TestRefusals:
    @pytest.mark.parametrize(
        ("response", "kind", "step"),
        [
            (
                httpx2.Response(401, json={"error": {"message": f"Incorrect API key provided: {KEY}"}}),
                "auth",
                "add_key",
            ),
            (
                httpx2.Response(429, headers={"retry-after": "5"}, json={"error": {"message": "slow"}}),
                "rate_limit",
                "retry",
            ),
            (
                httpx2.Response(400, json={"error": {"param": "stream_options", "message": "no"}}),
                "bad_request",
                "drop_parameter",
            ),
            (httpx2.Response(404, json={"detail": "Not Found"}), "not_found", "check_endpoint"),
            (httpx2.Response(502, html="<html>Bad gateway</html>"), "server", "retry"),
            (httpx2.Response(307, headers={"location": "https://evil.test/v1"}), "garbled", "check_endpoint"),
            (httpx2.Response(301, headers={"location": "http://["}), "garbled", "check_endpoint"),
            (httpx2.Response(304), "garbled", "check_endpoint"),
            (httpx2.Response(500, content=b"\xff\xfe"), "server", "retry"),
            (httpx2.ConnectTimeout("slow"), "timeout", "retry"),
            (httpx2.ConnectError("refused"), "unreachable", "retry"),
            (httpx2.ReadError("reset"), "unreachable", "retry"),
            (httpx2.RemoteProtocolError("?"), "unreachable", "retry"),
            (httpx2.UnsupportedProtocol("ftp"), "unreachable", "check_endpoint"),
            (RuntimeError(KEY), "unexpected", "retry"),
        ],
    )
    async def test_become_failures(self, response: httpx2.Response | Exception, kind: str, step: str) -> None:
        events, failure = await mock(response)
        assert events == []
        assert failure is not None
        assert (failure.kind, failure.next_step) == (kind, step)
        assert "acme" in failure.message
        assert KEY not in repr(failure)

    async def test_an_endless_refusal_is_read_in_part(self) -> None:
        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 1000

        _, failure = await mock(httpx2.Response(500, content=endless()))
        assert failure is not None
        assert failure.kind == "server"

    @pytest.mark.parametrize(
        "url", ["http://[::1", "http://exa mple.test", "nonsense", "http://x:99999/v1", "http://\x00/"]
    )
    async def test_bad_urls(self, url: str) -> None:
        async with provider() as made:
            _, failure = await ask(made, request(url))
            assert failure is not None
            assert failure.kind == "unreachable"
            with pytest.raises(ModelError):
                await made.list_models(request(url).endpoint)


class TestModels:
    @pytest.mark.parametrize(
        ("body", "names"),
        [
            ({"data": [{"id": "b"}, {"id": "a"}, {"id": "b"}]}, ["b", "a"]),
            ({"object": "list", "data": None}, []),
            ({"models": [{"name": "a"}, {"model": "b"}, {"id": "c"}]}, ["a", "b", "c"]),
            (["a", {"id": "b"}, 7, {}, {"id": ""}], ["a", "b"]),
        ],
    )
    async def test_lists(self, body: object, names: list[str]) -> None:
        def handler(sent: httpx2.Request) -> httpx2.Response:
            assert (sent.method, sent.url.path) == ("GET", "/v1/models")
            assert sent.headers["authorization"] == f"Bearer {KEY}"
            return httpx2.Response(200, json=body)

        async with provider(handler) as made:
            assert await made.list_models(request("https://api.acme.test/v1").endpoint) == names

    @pytest.mark.parametrize(
        ("response", "kind"),
        [
            (httpx2.Response(200, html="<html></html>"), "garbled"),
            (httpx2.Response(200, json={"ok": True}), "garbled"),
            (httpx2.Response(200, json=7), "garbled"),
            (httpx2.Response(200, content=b""), "garbled"),
            (httpx2.Response(200, json={"error": {"code": 401, "message": KEY}}), "auth"),
            (httpx2.Response(404, html="<html>nope</html>"), "not_found"),
            (httpx2.Response(401, json={"error": {"message": KEY}}), "auth"),
            (httpx2.Response(308, headers={"location": "https://evil.test"}), "garbled"),
        ],
    )
    async def test_no_lists(self, response: httpx2.Response, kind: str) -> None:
        async with provider(lambda _: response) as made:
            with pytest.raises(ModelError) as caught:
                await made.list_models(request("https://api.acme.test/v1").endpoint)
        assert caught.value.failure.kind == kind
        assert KEY not in repr(caught.value.failure)
