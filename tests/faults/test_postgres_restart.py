"""PostgreSQL goes away while answers are being written, and comes back: every event is stored, once, and in order.

On a server of our own, that can be killed. `tests/storage/test_postgres.py` has what the store does about it; here the
whole house stands on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

import pytest

from services.chat import ChatService, Opened
from services.errors import StorageError
from services.events import Numbered, Reply, RunEvent, StepFinished, TextDelta
from services.providers.base import ModelRequest
from services.runtime import Runtime
from tests.conftest import OWNER, OpenRuntime, until
from tests.faults.cluster import Cluster, own_cluster
from tests.scripted import ScriptedProvider

RUNS = 8
PACE_S = 0.004
"""Seconds between two words of one answer."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with own_cluster() as cluster:
        yield cluster


class Talker(ScriptedProvider):
    """Speaks on in every answer, no word twice, until it is told to hold or to end."""

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[str, str] = {}
        """By question."""
        self.hold = asyncio.Event()
        self.go_to_the_end = asyncio.Event()
        self.ending: set[str] = set()
        """Questions whose answers end now, hold or not."""

    async def stream(self, request: ModelRequest) -> AsyncGenerator[RunEvent, None]:
        question = request.messages[-1].text
        self.said[question] = ""
        number = 0
        while not self.hold.is_set() and question not in self.ending:
            number += 1
            piece = f"{question}/{number} 🥊\n"
            self.said[question] += piece
            yield TextDelta(piece)
            await asyncio.sleep(PACE_S)
        if question not in self.ending:
            await self.go_to_the_end.wait()
        yield StepFinished("stop", "stop")

    async def speak_on(self, characters: int = 4_000) -> None:
        """Wait until each answer that has not ended has grown by several of storage's portions."""
        due = {question: len(text) + characters for question, text in self.said.items() if question not in self.ending}
        await until(lambda: all(len(self.said[question]) >= size for question, size in due.items()))


@dataclass
class Watched:
    """A run, and the events as a page that watches it gets them."""

    opened: Opened
    live: list[Numbered]
    watching: asyncio.Task[None]

    @classmethod
    def of(cls, chat: ChatService, opened: Opened) -> Watched:
        live: list[Numbered] = []

        async def watch() -> None:
            assert opened.run_id is not None
            async for batch in chat.follow(OWNER, opened.run_id):
                live.extend(batch)

        return cls(opened, live, asyncio.create_task(watch()))


async def begin(app: Runtime, talker: Talker) -> list[Watched]:
    """Begin several runs at once and wait until storage holds the beginning of each."""
    asked = await asyncio.gather(*(app.chat.send(OWNER, f"q{number}") for number in range(RUNS)))
    watched = [Watched.of(app.chat, opened) for opened in asked]

    async def writing() -> bool:
        return all([len(await app.store.events(OWNER, opened.run_id or "")) > 10 for opened in asked])

    await until(writing)
    return watched


async def every_event_is_stored(app: Runtime, watched: list[Watched]) -> None:
    """Wait until storage holds what the pages were shown, event for event."""

    async def whole() -> bool:
        return all([await app.store.events(OWNER, one.opened.run_id or "") == one.live for one in watched])

    await until(whole)
    for one in watched:
        assert [numbered.seq for numbered in one.live] == list(range(1, len(one.live) + 1))


async def answers_are_whole(chat: ChatService, talker: Talker, watched: list[Watched]) -> None:
    """Compare what each page showed and what is stored with what the model said."""
    for one in watched:
        question, answer = (await chat.open(OWNER, one.opened.conversation.id)).path
        shown = Reply()
        for numbered in one.live:
            shown.apply(numbered.event)
        assert (answer.status, shown.status) == ("complete", "complete")
        assert answer.text == shown.text == talker.said[question.text]
        assert answer.parts == shown.parts


async def send_as_a_page_does(chat: ChatService, text: str) -> Opened:
    """Send until it is taken, with one key: what is refused may have been stored in the server's last moment."""
    while True:
        try:
            return await chat.send(OWNER, text, request_key="a key of the page's")
        except StorageError:
            await asyncio.sleep(0.1)


async def listen(chat: ChatService, told: list[str | None]) -> None:
    """Note what a page would show of trouble, each time it is told to look."""
    async for _ in chat.changes.listen(OWNER):
        told.append(chat.trouble)


@pytest.mark.parametrize("mode", ["immediate", "fast"])
async def test_a_restart_while_answers_are_written(open_app: OpenRuntime, cluster: Cluster, mode: str) -> None:
    talker, url = Talker(), cluster.new_database()
    app = await open_app(talker, DATABASE_URL=url)
    watched = await begin(app, talker)
    restarting = asyncio.create_task(asyncio.to_thread(cluster.restart, mode))
    meanwhile = asyncio.create_task(send_as_a_page_does(app.chat, "in the middle"))
    await restarting
    watched.append(Watched.of(app.chat, await meanwhile))
    await talker.speak_on()
    talker.hold.set()
    await every_event_is_stored(app, watched)
    talker.go_to_the_end.set()
    await asyncio.gather(*(one.watching for one in watched))
    assert app.chat.trouble is None
    assert len(await app.chat.catalogue.conversations(OWNER)) == RUNS + 1
    await answers_are_whole(app.chat, talker, watched)
    await app.close()
    again = await open_app(ScriptedProvider(), DATABASE_URL=url)
    await answers_are_whole(again.chat, talker, watched)


async def test_a_server_that_stays_away_while_answers_are_written_and_end(
    open_app: OpenRuntime, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    talker, url = Talker(), cluster.new_database()
    app = await open_app(talker, DATABASE_URL=url)
    watched = await begin(app, talker)
    ending, going_on = watched[: RUNS // 2], watched[RUNS // 2 :]
    told: list[str | None] = []
    listening = asyncio.create_task(listen(app.chat, told))
    await asyncio.to_thread(cluster.stop, "immediate")
    try:
        talker.ending |= {one.opened.path[0].text for one in ending}
        await until(lambda: all(f"{one.opened.run_id} could not be stored yet" in caplog.text for one in ending))
        await until(lambda: "events could not be stored and wait" in caplog.text)
        await talker.speak_on()
        assert str(app.chat.trouble).startswith("The PostgreSQL database")
        assert not any(one.watching.done() for one in ending), "an answer ends when its end is stored"
    finally:
        await asyncio.to_thread(cluster.start)
    await asyncio.gather(*(one.watching for one in ending))
    await talker.speak_on()
    talker.hold.set()
    await every_event_is_stored(app, going_on)
    await until(lambda: told[-1] is None)
    assert app.chat.trouble is None
    assert told[0] is not None, "the trouble is told, and then its end"
    talker.go_to_the_end.set()
    await asyncio.gather(*(one.watching for one in going_on))
    listening.cancel()
    assert len(await app.chat.catalogue.conversations(OWNER)) == RUNS
    await answers_are_whole(app.chat, talker, watched)
    await app.close()
    again = await open_app(ScriptedProvider(), DATABASE_URL=url)
    await answers_are_whole(again.chat, talker, watched)
