"""Several keys: the next one is tried where one is refused, and connections end with their key."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from services.endpoints import KeyPlace
from services.errors import ModelError
from services.events import KeyRefused, RequestSent, RunEvent, StepFinished, TextDelta
from services.keys import KeyRing
from services.providers.base import ModelRequest
from services.providers.client import OpenAIProvider
from services.providers.pool import Pool
from tests.providers.asking import ANSWER, SSE, ask, data, request, text

URL = "https://api.acme.test/v1"


def several(*names: str) -> ModelRequest:
    asked = request(URL)
    places = tuple(KeyPlace(name=name.lower(), kind="env", where=name) for name in names)
    return replace(asked, endpoint=replace(asked.endpoint, more_keys=places))


@asynccontextmanager
async def opened(
    tmp_path: Path, *good: str, **keys: str
) -> AsyncIterator[tuple[OpenAIProvider, KeyRing, list[str], list[tuple[str, bool]]]]:
    """Open a provider whose endpoint takes the `good` keys; what it is asked with is listed."""
    asked_with: list[str] = []
    noted: list[tuple[str, bool]] = []

    def handler(sent: httpx2.Request) -> httpx2.Response:
        asked_with.append(sent.headers["authorization"].removeprefix("Bearer "))
        if asked_with[-1] not in good:
            return httpx2.Response(401, json={"error": {"message": f"Incorrect API key provided: {asked_with[-1]}"}})
        if sent.method == "GET":
            return httpx2.Response(200, json={"data": [{"id": "m1"}]})
        return httpx2.Response(200, headers=SSE, text=ANSWER)

    ring = KeyRing(keys, tmp_path)
    ring.on_note = lambda _, key, refused: noted.append((key, refused))
    made = OpenAIProvider(ring, transport_for=lambda _: httpx2.MockTransport(handler))
    try:
        yield made, ring, asked_with, noted
    finally:
        await made.aclose()


async def test_the_next_key_is_tried_and_told(tmp_path: Path) -> None:
    async with opened(tmp_path, "second-key", A="first-key", B="second-key") as (made, _, asked_with, noted):
        events, failure = await ask(made, several("A", "B"))
        assert failure is None
        [refused] = [event for event in events if isinstance(event, KeyRefused)]
        assert (refused.key, refused.failure.kind) == ("a", "auth")
        assert "first-key" not in repr(refused)
        assert text(events) == "Hello"
        assert asked_with == ["first-key", "second-key"]
        assert noted == [("first-key", True), ("second-key", False)]
        await ask(made, several("A", "B"))
        assert asked_with[2:] == ["second-key"], "the refused one is not asked with first any more"


async def test_all_refused_is_the_failure_it_was(tmp_path: Path) -> None:
    async with opened(tmp_path, A="first-key", B="second-key") as (made, _, asked_with, _noted):
        events, failure = await ask(made, several("A", "B"))
        assert [type(event) for event in events] == [KeyRefused]
        assert failure is not None
        assert (failure.kind, failure.next_step) == ("auth", "add_key")
        assert asked_with == ["first-key", "second-key"], "each once"
        with pytest.raises(ModelError):
            await made.list_models(several("A", "B").endpoint)
        assert len(asked_with) == 4


async def test_the_list_of_models_comes_by_the_next_key_too(tmp_path: Path) -> None:
    async with opened(tmp_path, "second-key", A="first-key", B="second-key") as (made, _, asked_with, _noted):
        assert await made.list_models(several("A", "B").endpoint) == ["m1"]
        assert asked_with == ["first-key", "second-key"]


async def test_a_command_that_makes_a_new_key_each_time_is_asked_once_more(tmp_path: Path) -> None:
    count = "import sys; f = open(sys.argv[1], 'a+'); f.write('x'); print(f'key-{f.tell()}')"
    command = shlex.join([sys.executable, "-c", count, str(tmp_path / "count")])
    places = (
        KeyPlace(name="vault", kind="command", where=command, max_age_s=1e-9),
        KeyPlace(name="standby", kind="env", where="B"),
    )
    asked = request(URL)
    endpoint = replace(asked.endpoint, more_keys=places)
    async with opened(tmp_path, "key-9", B="standby-key") as (made, _, asked_with, _noted):
        _, failure = await ask(made, replace(asked, endpoint=endpoint))
        assert failure is not None
        assert failure.kind == "auth"
        assert asked_with == ["key-1", "key-2", "standby-key"]
        with pytest.raises(ModelError):
            await made.list_models(endpoint)
        assert sorted(asked_with[3:]) == ["key-3", "key-4", "standby-key"]


async def test_nothing_is_asked_twice_once_words_have_come(tmp_path: Path) -> None:
    asked = 0
    late = data("Hel") + 'data: {"error": {"code": "invalid_api_key", "message": "expired"}}\n\n'

    def handler(_: httpx2.Request) -> httpx2.Response:
        nonlocal asked
        asked += 1
        return httpx2.Response(200, headers=SSE, text=late)

    made = OpenAIProvider(
        KeyRing({"A": "first-key", "B": "second-key"}, tmp_path), transport_for=lambda _: httpx2.MockTransport(handler)
    )
    events, failure = await ask(made, several("A", "B"))
    await made.aclose()
    assert failure is not None
    assert failure.kind == "auth"
    assert (text(events), asked) == ("Hel", 1)


async def test_another_failure_tries_no_other_key(tmp_path: Path) -> None:
    asked: list[str] = []

    def handler(sent: httpx2.Request) -> httpx2.Response:
        asked.append(sent.headers["authorization"])
        return httpx2.Response(429, json={"error": {"message": "slow down"}})

    made = OpenAIProvider(
        KeyRing({"A": "first-key", "B": "second-key"}, tmp_path), transport_for=lambda _: httpx2.MockTransport(handler)
    )
    _, failure = await ask(made, several("A", "B"))
    await made.aclose()
    assert failure is not None
    assert (failure.kind, len(asked)) == ("rate_limit", 1)


class Slow(httpx2.AsyncBaseTransport):
    """Begins an answer, and ends it when it is let; says when it was closed."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.closed = asyncio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        slow = self

        class Body(httpx2.AsyncByteStream):
            async def __aiter__(self) -> AsyncIterator[bytes]:
                yield data("Hel").encode()
                await slow.go_on.wait()
                yield (data("lo") + data(finish="stop") + "data: [DONE]\n\n").encode()

        return httpx2.Response(200, headers=SSE, stream=Body())

    async def aclose(self) -> None:
        self.closed.set()


async def test_a_reply_is_finished_with_the_key_it_began_with(tmp_path: Path) -> None:
    lines: list[Slow] = []

    def transport_for(_: object) -> Slow:
        lines.append(Slow())
        return lines[-1]

    ring = KeyRing({}, tmp_path)
    asked = request(URL)
    ring.remember(asked.endpoint, "old-key")
    made = OpenAIProvider(ring, transport_for=transport_for)
    events: list[RunEvent] = []
    async with aclosing(made.stream(asked)) as running:
        async for event in running:
            events.append(event)
            if isinstance(event, TextDelta):
                break
        [old] = [line for line in lines if not line.closed.is_set()][:1]
        ring.remember(asked.endpoint, "new-key")
        async with aclosing(made.stream(asked)) as next_one:
            async for event in next_one:
                if isinstance(event, TextDelta):
                    break
        assert not old.closed.is_set(), "an answer is being written over it"
        old.go_on.set()
        events += [event async for event in running]
    assert text(events) == "Hello"
    assert any(isinstance(event, StepFinished) for event in events)
    assert isinstance(events[0], RequestSent)
    await asyncio.wait_for(old.closed.wait(), 5)
    assert made._clients.has(URL, "new-key")
    assert not made._clients.has(URL, "old-key")
    await made.aclose()


class Closing:
    """A client that notes that it was closed."""

    def __init__(self) -> None:
        self.closed = False

    async def close(self) -> None:
        self.closed = True


async def making(client: Closing) -> Closing:
    await asyncio.sleep(0)
    return client


async def test_a_pool_keeps_one_client_for_each_and_closes_what_is_gone() -> None:
    good = {"a"}
    pool: Pool[Closing] = Pool(lambda _, key: key in good)
    one, other = Closing(), Closing()

    async def use(client: Closing, then: Callable[[], None] = lambda: None) -> Closing:
        async with pool.lent("u", "a", lambda: making(client)) as lent:
            then()
            await asyncio.sleep(0)
            return lent

    first, second = await asyncio.gather(use(one), use(other))
    assert first is second is one
    assert await use(other, then=good.clear) is one
    assert not pool.has("u", "a")
    good.add("a")
    assert await use(Closing()) is not one
    await pool.close()
    assert (one.closed, other.closed) == (True, True)
