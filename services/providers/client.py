"""The provider that speaks to real endpoints. The only file that imports the SDK."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import cast
from urllib.parse import urlsplit

import aiohttp
import httpx2
import openai

from services.endpoints import Api, Endpoint, is_loopback, profile_of
from services.errors import Failure, ModelError
from services.events import KeyRefused, ModelNamed, RequestSent, RunEvent, is_delta
from services.keys import Key, Refusals
from services.pacing import Pace
from services.providers import bodies, chat, failures, responses
from services.providers.accumulator import Accumulator
from services.providers.answers import kind_of, model_names, read_all, read_answer
from services.providers.base import KeySource, ModelRequest, Provider
from services.providers.dialects import is_error, parse_body
from services.providers.failures import Asked
from services.providers.overlong import counted_in, counting, tokenizer_in, windows_in
from services.providers.pool import Pool
from services.providers.sse import GarbledError

_log = logging.getLogger(__name__)

_LIST_TIMEOUT_S = 10.0
_COUNT_TIMEOUT_S = 1.0
_MAX_ERROR_BYTES = 64 * 1024
_LARGE_PIECE = 8 * 1024
"""So much in one rest says that the model is faster than anybody can read, and nothing is gained by waiting."""
_THIN_PIECE = 1024
"""Up to five tokens, as most servers wrap them."""
_SENT_PIECE = 64 * 1024
_MOST_TAKEN = 64 * 1024
"""Bytes that wait to be read; a server that is faster than that has to wait itself."""


_ACCUMULATORS: dict[Api, type[Accumulator]] = {
    "chat": chat.ChatAccumulator,
    "responses": responses.ResponsesAccumulator,
}

TransportFor = Callable[[Endpoint], httpx2.AsyncBaseTransport | None]

OnWindows = Callable[[Endpoint, Mapping[str, int]], None]
"""Told how many tokens the models of an endpoint take, as far as its list says it."""


class _Client(openai.AsyncOpenAI):
    """The SDK's client, sending nothing that was not meant for this endpoint.

    The SDK adds `OPENAI_ORG_ID`, `OPENAI_PROJECT_ID` and `OPENAI_CUSTOM_HEADERS` of the environment to every request,
    whoever it goes to, and facts about this machine.
    """

    @property
    def default_headers(self) -> dict[str, str | openai.Omit]:
        return {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "Panelist"}


class _Capped(httpx2.AsyncByteStream):
    """A body that ends early: what the SDK reads in full when a server refuses has to fit into memory."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._stream:
            yield piece
            size += len(piece)
            if size >= _MAX_ERROR_BYTES:
                return

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _cap_refusal(response: httpx2.Response) -> None:
    if not response.is_success and isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Capped(response.stream)


class _Flow:
    """A body that is read at a pace once the answer flows.

    It is taken in as it comes all the same: what was left with the connection would be lost when that breaks.
    """

    def __init__(self, pieces: AsyncGenerator[bytes, None], pace: Pace | None) -> None:
        self._pieces = pieces
        self._pace = pace
        self._taken = bytearray()
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self.began = False

    async def gathered(self) -> AsyncGenerator[bytes, None]:
        """Yield what comes, from the beginning of the answer on all that came during a rest in one piece."""
        if self._pace is None:
            async with aclosing(self._pieces) as pieces:
                async for piece in pieces:
                    yield piece
            return
        taking = asyncio.create_task(self._take())
        try:
            while not taking.done() or self._taken:
                await self._more.wait()
                self._more.clear()
                piece, self._taken = bytes(self._taken), bytearray()
                self._room.set()
                if piece:
                    yield piece
                    if self.began and len(piece) < _LARGE_PIECE and not taking.done():
                        await self._pace.rest(thin=len(piece) < _THIN_PIECE)
            await taking
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
            await self._pieces.aclose()

    async def _take(self) -> None:
        try:
            async for piece in self._pieces:
                self._taken += piece
                self._more.set()
                if len(self._taken) >= _MOST_TAKEN:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._more.set()


def _over_the_network(endpoint: Endpoint) -> httpx2.AsyncBaseTransport | None:
    return None


class OpenAIProvider(Provider):
    """Calls OpenAI-compatible endpoints. One per process and event loop; `aclose` ends its connections."""

    def __init__(
        self,
        keys: KeySource,
        *,
        transport_for: TransportFor = _over_the_network,
        connect_timeout_s: float = 5.0,
        tail_timeout_s: float = 5.0,
        pace: Pace | None = None,
        on_windows: OnWindows = lambda *_: None,
    ) -> None:
        """Wait, after the finish reason, `tail_timeout_s` at most for the usage and the stream's end.

        With a `pace`, what comes of an answer is gathered between two looks from its first word on.
        """
        self._pace = pace
        self._on_windows = on_windows
        self._keys = keys
        self._transport_for = transport_for
        self._connect_timeout_s = connect_timeout_s
        self._tail_timeout_s = tail_timeout_s
        self._clients: Pool[_Client] = Pool(keys.holds)
        self._tls: ssl.SSLContext | None = None
        self._reading: asyncio.Task[ssl.SSLContext] | None = None
        self._counting: dict[str, str] = {}
        """Servers on this machine that count tokens, by base URL."""

    async def stream(self, request: ModelRequest) -> AsyncGenerator[RunEvent, None]:
        """Call the model and yield what comes back as it comes; see `Provider.stream`."""
        endpoint, large = request.endpoint, request.is_large
        # A large one is made and sent without holding up all that goes on meanwhile.
        body = await asyncio.to_thread(bodies.body_of, request) if large else bodies.body_of(request)
        asked = await self._asked(endpoint, request.model, frozenset(body))
        content, sha256 = await asyncio.to_thread(_hashed, body) if large else _hashed(body, large=False)
        yield RequestSent(sha256)
        refusals = Refusals()
        while True:
            began = False
            try:
                async with aclosing(self._answer(asked, content, large=large)) as events:
                    async for event in events:
                        began = began or not isinstance(event, ModelNamed)
                        yield event
                return
            except ModelError as error:
                following = None if began else await self._next(asked, error.failure, refusals)
                if following is None:
                    raise
                yield KeyRefused(asked.key_name, error.failure)
                asked = following

    async def _answer(self, asked: Asked, content: memoryview, *, large: bool) -> AsyncGenerator[RunEvent, None]:
        """Make a call with one key, and yield what comes back."""
        endpoint = asked.endpoint
        acc: Accumulator | None = None
        try:
            async with (
                self._client_for(asked) as client,
                aclosing(await _post(client, asked, bodies.path_of(endpoint), content, large=large)) as response,
            ):
                self._took(asked)
                _log.debug("%s answered with status %s", asked.name, response.status_code)
                headers = response.headers
                acc = _ACCUMULATORS[endpoint.speaks](asked, headers, failures.request_id_of(asked, headers))
                in_process = self._transport_for(endpoint) is not None  # which then has its own pace
                flow = _Flow(response.aiter_bytes(), None if in_process else self._pace)
                async with (
                    aclosing(flow.gathered()) as pieces,
                    aclosing(
                        read_answer(pieces, headers.get("content-type", ""), asked, acc, self._tail_timeout_s)
                    ) as events,
                ):
                    async for event in events:
                        flow.began = flow.began or is_delta(event)
                        yield event
        except Exception as error:  # whatever the SDK and the transports raise becomes a failure in words
            if acc is not None and acc.has_reason and not isinstance(error, ModelError):
                _log.debug("%s broke off after the finish reason", asked.name)
                for event in acc.finish():
                    yield event
                return
            for event in acc.close() if acc is not None else ():
                yield event
            if isinstance(error, ModelError):
                raise
            failure = _failure_of(error, asked, self._connect_timeout_s, began=acc is not None)
            raise ModelError(failure) from error

    async def list_models(self, endpoint: Endpoint) -> list[str]:
        """Return the names of the endpoint's models, in its own order; see `Provider.list_models`."""
        asked = await self._asked(endpoint, None, frozenset())
        refusals = Refusals()
        while True:
            try:
                return await self._list(asked)
            except ModelError as error:
                following = await self._next(asked, error.failure, refusals)
                if following is None:
                    raise
                asked = following

    async def _list(self, asked: Asked) -> list[str]:
        endpoint, began = asked.endpoint, False
        try:
            async with (
                asyncio.timeout(_LIST_TIMEOUT_S),
                self._client_for(asked) as client,
                client.models.with_streaming_response.list(extra_headers=_auth(asked)) as response,
            ):
                began = True
                self._took(asked)
                headers = response.headers
                async with aclosing(response.http_response.aiter_bytes()) as pieces:
                    body = parse_body(await read_all(pieces))
        except TimeoutError as error:
            raise ModelError(failures.timed_out(asked, _LIST_TIMEOUT_S)) from error
        except Exception as error:  # as in `stream`
            raise ModelError(_failure_of(error, asked, self._connect_timeout_s, began=began)) from error
        names = model_names(body)
        if names is not None:
            self._on_windows(endpoint, windows_in(body))
            counts = tokenizer_in(body)
            if counts is not None and is_loopback(endpoint.base_url):
                self._counting[endpoint.base_url] = counts
            return names
        if isinstance(body, dict) and is_error(body):
            raise ModelError(failures.classify_payload(asked, body, headers))
        said = body if isinstance(body, str) else ""
        raise ModelError(failures.garbled(asked, kind_of(body, headers.get("content-type", "")), said))

    async def count_tokens(self, endpoint: Endpoint, model: str, text: str) -> int | None:
        """Have a server on this machine count tokens; see `Provider.count_tokens`."""
        server = self._counting.get(endpoint.base_url)
        if server is None:
            return None
        url = f"{endpoint.base_url.removesuffix('/v1')}/tokenize"
        try:
            async with asyncio.timeout(_COUNT_TIMEOUT_S):
                asked = await self._asked(endpoint, model, frozenset())
                content = memoryview(json.dumps(counting(server, model, text)).encode())
                async with (
                    self._client_for(asked) as client,
                    aclosing(await _post(client, asked, url, content, large=False)) as response,
                    aclosing(response.aiter_bytes()) as pieces,
                ):
                    return counted_in(parse_body(await read_all(pieces)))
        except Exception as error:  # as in `stream`; an estimate does without
            _log.debug("%s does not count tokens: %s", endpoint.name, type(error).__name__)
            self._counting.pop(endpoint.base_url, None)  # until its models are listed again
            return None

    async def aclose(self) -> None:
        """Close every connection."""
        await self._clients.close()

    async def _next(self, asked: Asked, failure: Failure, refusals: Refusals) -> Asked | None:
        """Return how to ask again where a key was refused and there is another one; note it among those refused."""
        if failure.kind != "auth" or asked.key is None:
            return None
        self._keys.note(asked.endpoint, asked.key, refused=True)
        refusals.keys.append(Key(asked.key_name, asked.key))
        following = await self._asked(asked.endpoint, asked.model, asked.fields, refusals)
        return following if following.key is not None else None

    def _took(self, asked: Asked) -> None:
        if asked.key is not None:
            self._keys.note(asked.endpoint, asked.key, refused=False)

    async def _asked(
        self, endpoint: Endpoint, model: str | None, fields: frozenset[str], refusals: Refusals | None = None
    ) -> Asked:
        """Fetch the key, the first one that was not refused.

        Raises:
            ModelError: there is none though one is needed, or it could not be sent.
        """
        found = await self._keys.key_of(endpoint, refusals)
        key = found.value if found is not None else None
        name = found.name if found is not None else ""
        asked = Asked(endpoint=endpoint, model=model, fields=fields, key=key, key_name=name)
        if key is None and refusals is None and profile_of(endpoint.profile).needs_key:
            raise ModelError(failures.key_needed(asked))  # so that the conversation is not sent for nothing
        if key is not None and not all("!" <= letter <= "~" for letter in key):
            raise ModelError(failures.bad_key(asked))
        return asked

    async def warm(self) -> None:
        """Do what the first call would have to: reading the certificates takes 0.1 s, so it is done in a thread."""
        if self._tls is None:
            if self._reading is None:
                self._reading = asyncio.create_task(asyncio.to_thread(httpx2.create_ssl_context))
            try:
                self._tls = await asyncio.shield(self._reading)
            finally:
                self._reading = None

    def _client_for(self, asked: Asked) -> AbstractAsyncContextManager[_Client]:
        async def make() -> _Client:
            transport = self._transport_for(asked.endpoint)
            if transport is None:
                await self.warm()
            return self._make_client(asked, transport)

        return self._clients.lent(asked.endpoint.base_url, asked.key or "", make)

    def _make_client(self, asked: Asked, transport: httpx2.AsyncBaseTransport | None) -> _Client:
        url = asked.endpoint.base_url
        # No read timeout: deadlines are measured on content by the run loop, and keep-alives would reset this one.
        # `pool` is what the aiohttp transport takes as the limit for looking up and connecting together.
        timeout = httpx2.Timeout(None, connect=self._connect_timeout_s, pool=self._connect_timeout_s)
        hooks = {"response": [_cap_refusal]}
        if transport is not None:
            http = httpx2.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False, event_hooks=hooks)
        else:
            # A proxy named in the environment is not the way to this machine.
            mounts = {f"all://{urlsplit(url).hostname}": None} if is_loopback(url) else None
            http = openai.DefaultAioHttpClient(
                verify=self._tls or True, timeout=timeout, follow_redirects=False, event_hooks=hooks, mounts=mounts
            )
        # Keys are empty, not None: for None the SDK looks into the environment and would send OpenAI's key anywhere.
        return _Client(
            api_key=asked.key or "",
            admin_api_key="",
            base_url=url,
            timeout=timeout,
            max_retries=0,
            http_client=http,
        )


async def _in_pieces(content: memoryview) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _SENT_PIECE):
        yield bytes(content[start : start + _SENT_PIECE])
        await asyncio.sleep(0)  # a fast server would never let anybody else have a turn


def _hashed(body: dict[str, object], *, large: bool = True) -> tuple[memoryview, str]:
    content = bodies.written(body, large=large)
    return content, bodies.hash_of(content)


async def _post(client: _Client, asked: Asked, path: str, content: memoryview, *, large: bool) -> httpx2.Response:
    """Post and return the response with its body unread: the SDK's own reading would lose data, and costs more."""
    length = {"Content-Length": str(len(content))}  # not all servers take chunks
    return cast(
        "httpx2.Response",
        await client.post(
            path,
            content=_in_pieces(content) if large else bytes(content),
            options={"headers": {**_auth(asked), **length}},
            cast_to=httpx2.Response,
            stream=True,
            stream_cls=openai.AsyncStream[object],
        ),
    )


def _auth(asked: Asked) -> dict[str, str | openai.Omit]:
    return {} if asked.key else {"Authorization": openai.Omit()}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those behind it: the SDK and its transports wrap what really happened two or three times."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def _failure_of(error: Exception, asked: Asked, connect_timeout_s: float, *, began: bool) -> Failure:
    """Put an exception into words. `began`: the endpoint had answered with its headers.

    The aiohttp transport reports nearly everything as `ConnectTimeout`, refused and dropped connections too, so the
    exceptions behind it decide.
    """
    if isinstance(error, openai.APIStatusError):
        body = parse_body(error.response.content)
        return failures.classify_status(asked, error.status_code, body, error.response.headers)
    chain = list(_chain(error))
    reason = "; ".join(f"{type(link).__name__}: {link}" for link in chain)

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in chain)

    if has(GarbledError):
        return failures.garbled(asked, "an event too large to be one", reason)
    if has(httpx2.DecodingError):
        return failures.garbled(asked, "compressed data that cannot be unpacked", reason)
    if has(httpx2.InvalidURL, httpx2.UnsupportedProtocol, aiohttp.InvalidURL):
        return failures.bad_url(asked, reason)
    if has(ssl.SSLError, aiohttp.ClientSSLError):
        return failures.bad_certificate(asked, reason)
    if has(socket.gaierror, aiohttp.ClientConnectorDNSError):
        return failures.unknown_host(asked, reason)
    if has(aiohttp.ClientConnectorError, httpx2.ConnectError, ConnectionRefusedError):
        return failures.unreachable(asked, reason)
    if not began and (has(TimeoutError) or (has(httpx2.TimeoutException) and not has(OSError, aiohttp.ClientError))):
        return failures.timed_out(asked, connect_timeout_s)
    if has(aiohttp.ClientResponseError):
        return failures.garbled(asked, "something that is not HTTP", reason)
    if has(httpx2.TransportError, aiohttp.ClientError, OSError):
        return failures.broke_off(asked, reason)
    _log.debug("a call to %s failed with %s", asked.name, type(error).__name__)
    message = f"The call to {asked.name} failed in a way that Panelist does not know ({type(error).__name__})."
    return Failure(kind="unexpected", message=message, next_step="retry")
