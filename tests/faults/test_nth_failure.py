"""Make the n-th wait for storage, or for the network, of one whole run fail, for every n: nothing is lost or stuck."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest

from services.chat import ChatService, Opened
from services.connect import Connections
from services.errors import PanelistError, StorageError
from services.events import RunFinished, TextDelta
from services.keys import KeyRing
from services.loop import Deadlines
from services.messages import RESUMABLE, ErrorPart
from services.providers.client import OpenAIProvider
from services.runner import RunManager
from services.settings import read_settings
from services.storage.store import Store
from services.trouble import StorageTrouble
from tests.conftest import OWNER
from tests.faults.upstream import Call, perform, serving
from tests.faults.wires import CHAT, TEXT
from tests.keyed import KEYED

BOUND_S = 20.0
QUESTION = "Does it hold?"
SECOND = "And then?"


@dataclass
class Bomb:
    """Counts waits and makes one of them, or every one from it on until it is disarmed, fail."""

    at: int = 0
    """Number of the wait that fails, counted from 1; none for 0."""
    lasting: bool = False
    late: bool = False
    """The work is done, and only its word does not come: a connection that broke behind a commit."""
    error: Callable[[], Exception] = lambda: StorageError("The disk is full. Free some space, then try again.")
    names: list[str] = field(default_factory=list)
    """What was waited for, in order."""

    relevant: int = 0
    """How many of them belong to the question that may fail."""

    def disarm(self) -> None:
        self.at = 0
        self.relevant = self.relevant or len(self.names)

    def tick(self, name: str) -> None:
        self.names.append(name)
        if self.at and (len(self.names) == self.at or (self.lasting and len(self.names) > self.at)):
            raise self.error()


class FailingStore:
    """The store, every wait for which passes the bomb first."""

    def __init__(self, store: Store, bomb: Bomb) -> None:
        self._store = store
        self._bomb = bomb

    @cached_property
    def ledger(self) -> FailingStore:
        return FailingStore(cast(Store, self._store.ledger), self._bomb)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._store, name)

        async def wait(*args: Any, **kwargs: Any) -> Any:
            if not self._bomb.late:
                self._bomb.tick(name)
            result = await method(*args, **kwargs)
            if self._bomb.late:
                self._bomb.tick(name)
            return result

        return wait


class FailingStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, bomb: Bomb) -> None:
        self._stream = stream
        self._bomb = bomb

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._bomb.tick("read")
        async for piece in self._stream:
            yield piece
            self._bomb.tick("read")

    async def aclose(self) -> None:
        try:
            self._bomb.tick("close")
        finally:
            await self._stream.aclose()


class FailingTransport(httpx2.AsyncHTTPTransport):
    """The network, every wait for which passes the bomb first."""

    def __init__(self, bomb: Bomb) -> None:
        super().__init__()
        self._bomb = bomb

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._bomb.tick(f"send {request.url.path.rsplit('/', 1)[-1]}")
        response = await super().handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = FailingStream(response.stream, self._bomb)
        return response


@dataclass
class House:
    chat: ChatService
    runs: RunManager
    storage: Bomb
    network: Bomb


@asynccontextmanager
async def house(folder: Path, storage: Bomb, network: Bomb) -> AsyncIterator[House]:
    """Wire the doors as `open_runtime` does, with the bombs in between."""

    async def answer(call: Call) -> None:
        if call.path.endswith("/models"):
            body = b'{"data":[{"id":"m"}]}'
            call.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        else:
            await perform(call, CHAT.healthy, 40)

    async with serving(answer) as upstream:
        settings = read_settings({**KEYED, "OPENAI_BASE_URL": upstream.lane(0), "PANELIST_TITLES": "off"}, folder)
        keys = KeyRing(settings.environ, settings.app_dir, settings.env_file)
        real = await Store.open(settings.data_dir / "panelist.db")
        store = cast(Store, FailingStore(real, storage))
        provider = OpenAIProvider(keys, transport_for=lambda _: FailingTransport(network))
        trouble = StorageTrouble(store.check)
        runs = RunManager(store, provider, Deadlines(first_token_s=5, stall_s=5, run_s=10), 2, trouble)
        connections = Connections(settings, keys, provider, store)
        try:
            yield House(ChatService(settings, store, runs, connections, provider, trouble), runs, storage, network)
        finally:
            storage.disarm()
            network.disarm()
            await runs.close()
            await provider.aclose()
            await real.close()


async def watch(chat: ChatService, opened: Opened) -> tuple[str, RunFinished | None]:
    """Return what a page that watches shows in the end."""
    text, end = "", None
    async for batch in chat.follow(OWNER, opened.run_id or ""):
        for numbered in batch:
            if isinstance(numbered.event, TextDelta):
                text += numbered.event.text
            elif isinstance(numbered.event, RunFinished):
                end = numbered.event
    return text, end


async def broken_promises(folder: Path, storage: Bomb, network: Bomb) -> AsyncGenerator[str, None]:
    """Ask one question while a bomb ticks and yield what is not as design.md, section 7, promises."""
    async with house(folder, storage, network) as here:
        try:
            opened = await here.chat.send(OWNER, QUESTION)
            watching = asyncio.ensure_future(watch(here.chat, opened))
            if storage.lasting:  # the trouble ends while somebody waits
                await asyncio.sleep(0.5)
                storage.disarm()
            text, end = await watching
        except PanelistError as error:
            storage.disarm()
            if not str(error).endswith("."):
                yield f"refused without a sentence: {error}"
            if kept := rows(folder, "SELECT role, status FROM messages"):
                yield f"{HALF_REFUSED} {kept}"
                await settle(here)
        else:
            storage.disarm()
            network.disarm()
            async for fact in broken_answer(here, opened, text, end):
                yield fact
        try:
            where = rows(folder, "SELECT id FROM conversations")
            again = await here.chat.send(OWNER, "And now?", conversation_id=where[0][0] if where else None)
            while not await at_rest(here, again.conversation.id):
                pass
            question, reply = (await here.chat.open(OWNER, again.conversation.id)).path[-2:]
            if (question.text, reply.text) != ("And now?", TEXT):
                yield f"the next answer is {reply.text!r} to {question.text!r}"
        except PanelistError as error:
            yield f"the conversation cannot be used: {error}"
    if left := rows(folder, "SELECT id FROM runs WHERE status = 'streaming'"):
        yield f"{len(left)} runs are left streaming"


async def broken_answer(here: House, opened: Opened, text: str, end: RunFinished | None) -> AsyncGenerator[str, None]:
    """Yield what is wrong with the answer to a question that was taken, after the page showed `text` and `end`."""
    question, reply = (await here.chat.open(OWNER, opened.conversation.id)).path
    if question.text != QUESTION:
        yield f"the question is {question.text!r}"
    if reply.status == "streaming":
        yield f"the answer is left streaming with {reply.text!r}"
    if end and (end.status, text) != (reply.status, reply.text):  # none: it was over before anybody watched
        yield f"shown is {text!r}, {end}; stored is {reply.text!r}, {reply.status}"
    if (reply.status == "complete" and reply.text != TEXT) or not TEXT.startswith(reply.text):
        yield f"the answer is {reply.status} with {reply.text!r}"
    failures = [part.failure for part in reply.parts if isinstance(part, ErrorPart)]
    if reply.status != "complete" and not (failures and failures[0].message.endswith(".")):
        yield f"the end is not told: {failures}"
    if any(failure.kind == "unexpected" for failure in failures):
        yield f"{UNFORESEEN}: {failures[0].message}"
    if here.runs.live_in(opened.conversation.id):
        yield "the run is left in memory"


async def settle(here: House) -> None:
    """Wait for a run that the sender knows nothing of."""
    for conversation in await here.chat.catalogue.conversations(OWNER):
        opened = await here.chat.open(OWNER, conversation.id)
        if opened.run_id is not None:
            await watch(here.chat, opened)


def rows(folder: Path, query: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(folder / "data" / "panelist.db")) as database:
        return database.execute(query).fetchall()


HALF_REFUSED = "the sender was refused, and stored are"
UNFORESEEN = "told as something unforeseen"
NETWORK_ERRORS = (
    lambda: httpx2.ReadError("the line is dead"),
    lambda: ConnectionResetError("reset"),
    lambda: TimeoutError("too late"),
)


def bombs(kind: str, n: int) -> tuple[Bomb, Bomb]:
    """Return what ticks in storage and in the network, in a run whose n-th wait of that kind fails."""
    match kind:
        case "storage":
            return Bomb(n), Bomb()
        case "storage for a while":
            return Bomb(n, lasting=True), Bomb()
        case "storage, after it was done":
            return Bomb(n, late=True), Bomb()
        case _:
            return Bomb(), Bomb(n, error=NETWORK_ERRORS[n % len(NETWORK_ERRORS)])


Scenario = Callable[[Path, Bomb, Bomb], AsyncGenerator[str, None]]


async def insist(here: House, storage: Bomb, text: str, key: str, to: str | None) -> Opened:
    """Send as a page does: the same request again when it was refused, after the trouble has ended."""
    try:
        return await here.chat.send(OWNER, text, conversation_id=to, request_key=key)
    except PanelistError:
        storage.disarm()
        return await here.chat.send(OWNER, text, conversation_id=to, request_key=key)


async def at_rest(here: House, conversation_id: str) -> bool:
    """Do what a person would do next; say when there is nothing left to do."""
    opened = await here.chat.open(OWNER, conversation_id)
    last = opened.path[-1]
    if opened.run_id is not None:
        await watch(here.chat, opened)
    elif opened.waiting.held:
        await here.chat.send_now(OWNER, conversation_id, opened.waiting.messages[0].id)
    elif opened.waiting.messages or last.status == "streaming":
        await asyncio.sleep(0.01)
    elif last.status in RESUMABLE and last.text:
        await here.chat.go_on(OWNER, conversation_id, last.id)
    else:
        return True
    return False


async def broken_queue(folder: Path, storage: Bomb, network: Bomb) -> AsyncGenerator[str, None]:
    """Ask two questions, the second while the first is answered, and have a cut answer continued."""
    async with house(folder, storage, network) as here:
        here_id = (await insist(here, storage, QUESTION, "first", None)).conversation.id
        await insist(here, storage, SECOND, "second", here_id)
        for _ in range(400):
            try:
                if await at_rest(here, here_id):
                    break
            except PanelistError:
                storage.disarm()
        else:
            yield "it does not come to an end"
        storage.disarm()
        network.disarm()
        opened = await here.chat.open(OWNER, here_id)
    if [m.text for m in opened.path if m.role == "user"] != [QUESTION, SECOND]:
        yield f"the questions are {[m.text for m in opened.path]}"
    if (count := len(rows(folder, "SELECT id FROM messages WHERE role = 'user'"))) != 2:
        yield f"{count} questions are stored"
    for message in opened.path:
        if message.status == "complete" and message.role == "assistant" and TEXT not in message.text:
            yield f"an answer that looks whole is {message.text!r}"
    if left := rows(folder, "SELECT id FROM runs WHERE status = 'streaming'"):
        yield f"{len(left)} runs are left streaming"
    if rows(folder, "SELECT id FROM queued"):
        yield "a message is left waiting"


@pytest.mark.parametrize(
    ("kind", "scenario"),
    [
        ("storage", broken_promises),
        ("storage for a while", broken_promises),
        ("network", broken_promises),
        ("storage", broken_queue),
        ("storage, after it was done", broken_queue),
        ("network", broken_queue),
    ],
)
async def test_every_wait_may_fail(kind: str, scenario: Scenario, tmp_path: Path) -> None:
    silent = Bomb(), Bomb()
    (tmp_path / "0").mkdir()
    assert [fact async for fact in scenario(tmp_path / "0", *silent)] == [], "without a failure"
    waits = silent[kind == "network"].names
    waits = waits[: silent[kind == "network"].relevant]
    assert len(waits) >= 4, waits
    wrong: list[str] = []
    failed: list[str] = []
    for n in range(1, len(waits) + 1):
        (folder := tmp_path / str(n)).mkdir()
        storage, network = bombs(kind, n)
        name = f"{kind} {n}"
        try:
            async with asyncio.timeout(BOUND_S):
                facts = [fact async for fact in scenario(folder, storage, network)]
        except TimeoutError:
            facts = ["hangs"]
        names = (network if kind == "network" else storage).names
        failed.append(names[n - 1] if len(names) >= n else "not reached")
        wrong += [f"{name} ({failed[-1]}): {fact}" for fact in facts]
    print(f"\n{kind}: {', '.join(failed)}")  # noqa: T201 - the report
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 8, 13])
async def test_a_sender_who_leaves_while_the_question_is_stored(tmp_path: Path, turns: int) -> None:
    async with house(tmp_path, Bomb(), Bomb()) as here:
        sending = asyncio.ensure_future(here.chat.send(OWNER, QUESTION))
        for _ in range(turns):
            await asyncio.sleep(0)
        sending.cancel()
        for _ in range(200):
            statuses = rows(tmp_path, "SELECT status FROM messages ORDER BY seq")
            if len(statuses) == 2 and ("streaming",) not in statuses:
                break
            await asyncio.sleep(0.02)
        assert statuses == [("complete",), ("complete",)]
