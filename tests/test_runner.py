"""Writing down what runs say: in few transactions, and so that every reader gets the same text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from services.chat import ChatService, Opened
from services.events import Numbered, Reply, RunEvent, StepFinished, TextDelta, UsageReported
from services.messages import Message, Part, ReasoningPart, TextPart, clean_text
from services.providers.base import ModelRequest
from services.providers.chat import ChatAccumulator
from services.providers.failures import Asked
from services.runner import FLUSH_CHARS, FLUSH_S
from services.runtime import Runtime, open_runtime
from services.settings import read_settings
from tests.conftest import OWNER, OpenRuntime, until, whole_run
from tests.providers.folding import delta
from tests.scripted import ScriptedProvider
from tests.storage.make import Rows

RUNS = 100
ROUNDS = 4
WORDS = 20
"""Deltas of each run in each round, of one letter."""
PACE_S = 0.01


class Choir(ScriptedProvider):
    """Answers all questions side by side: some letters in each round, one after the other, then waits for the next."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds = [asyncio.Event() for _ in range(ROUNDS + 1)]

    async def stream(self, request: ModelRequest) -> AsyncGenerator[RunEvent, None]:
        for number, begin in enumerate(self.rounds):
            await begin.wait()
            if number == ROUNDS:
                break
            for _ in range(WORDS):
                yield TextDelta("x")
                await asyncio.sleep(PACE_S)
        yield StepFinished("stop", "stop")


def count_commits(app: Runtime) -> list[str]:
    """Return a list that grows with each transaction that is committed from now on."""
    commits: list[str] = []
    event.listen(app.store._database.writer, "commit", lambda _: commits.append("commit"))
    return commits


async def test_a_hundred_runs_are_written_down_together(open_app: OpenRuntime, tmp_path: Path) -> None:
    choir = Choir()
    app = await open_app(choir)
    rows = Rows(tmp_path / "data" / "panelist.db")
    commits, began = count_commits(app), asyncio.get_running_loop().time()
    asked = [await app.chat.send(OWNER, f"q{number}") for number in range(RUNS)]
    took = asyncio.get_running_loop().time() - began
    assert len(commits) <= RUNS + took / FLUSH_S + 1, "that a call begins waits for what comes next"

    def stored(words: int) -> bool:
        return rows.count()["run_events"] == RUNS * (1 + words)  # and that its step has begun

    await until(lambda: stored(0))
    commits, began = count_commits(app), asyncio.get_running_loop().time()
    for number, begin in enumerate(choir.rounds[:ROUNDS], 1):
        begin.set()
        await until(partial(stored, WORDS * number))
    took = asyncio.get_running_loop().time() - began
    print(f"\n{RUNS * ROUNDS * WORDS} deltas of {RUNS} runs: {len(commits)} transactions in {took:.1f} s")  # noqa: T201
    # As many as the design allows, which a slow machine only makes more: four a second, and one for every 2 KB.
    assert len(commits) <= took / FLUSH_S + RUNS * ROUNDS * WORDS / FLUSH_CHARS + 1
    assert len(commits) < RUNS
    choir.rounds[ROUNDS].set()
    for opened in asked:
        answer = (await whole_run(app.chat, opened)).path[-1]
        assert (len(answer.text), answer.status) == (ROUNDS * WORDS, "complete")


# An emoji in halves, line ends in halves, what no text may hold, and nothing at all.
pieces = st.one_of(
    st.sampled_from(["", "\ud83e", "\udd4a", "🥊", "\r", "\n", "\r\n", "\x00", "\x1b", "\ufeff", "\u2028", " ", "{"]),
    st.text(st.characters(), max_size=8),
)
streams = st.lists(st.tuples(st.sampled_from(["content", "reasoning_content"]), pieces), max_size=12)


class Played(ScriptedProvider):
    """Turns deltas of the wire into events as a provider does, and waits before it says why it stops."""

    def __init__(self) -> None:
        super().__init__()
        self.deltas: list[tuple[str, str]] = []
        self.gate = asyncio.Event()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[RunEvent, None]:
        accumulator = ChatAccumulator(Asked(endpoint=request.endpoint, model=request.model))
        # Usage is told at a boundary: what came before it is written down at once.
        used = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
        for chunk in (*(delta(**{kind: text}) for kind, text in self.deltas), used):
            for said in accumulator.feed(json.dumps(chunk)):
                yield said
                await asyncio.sleep(0)
        await self.gate.wait()
        accumulator.feed(json.dumps(delta("stop")))
        for said in accumulator.finish():
            yield said


@dataclass
class Reader:
    """Follows a run from a number on, and keeps what it gets."""

    got: list[Numbered] = field(default_factory=list)

    async def follow(self, chat: ChatService, opened: Opened, after: int = 0) -> None:
        assert opened.run_id is not None
        async with aclosing(chat.follow(OWNER, opened.run_id, after)) as batches:
            async for batch in batches:
                self.got += batch


def folded(events: list[Numbered]) -> Reply:
    reply = Reply()
    for numbered in events:
        reply.apply(numbered.event)
    return reply


async def play(app: Runtime, provider: Played, deltas: list[tuple[str, str]]) -> Message:
    """Ask once, compare what all readers get with what is stored, and return the answer."""
    provider.deltas, provider.gate = deltas, asyncio.Event()
    opened = await app.chat.send(OWNER, "Say it")
    live, late, later = Reader(), Reader(), Reader()
    reading = [asyncio.create_task(live.follow(app.chat, opened))]
    kept: list[Numbered] = []

    async def written_down() -> bool:
        kept[:] = await app.store.events(OWNER, opened.run_id or "")
        return bool(kept) and isinstance(kept[-1].event, UsageReported)

    await until(written_down)
    assert kept == live.got
    missed = len(kept) // 2
    reading += [asyncio.create_task(late.follow(app.chat, opened))]
    reading += [asyncio.create_task(later.follow(app.chat, opened, missed))]
    provider.gate.set()
    await asyncio.gather(*reading)
    assert live.got == late.got == kept[:missed] + later.got
    answer = (await app.chat.open(OWNER, opened.conversation.id)).path[-1]
    assert answer.parts == folded(live.got).parts
    for field_name, kind in (("content", "text"), ("reasoning_content", "reasoning")):
        said = "".join(text for name, text in deltas if name == field_name)
        assert _bytes(answer.parts, kind) == clean_text(said).encode()
        assert clean_text(said).encode().startswith(_bytes(folded(kept).parts, kind))
    return answer


def _bytes(parts: tuple[Part, ...], kind: str) -> bytes:
    told = (part for part in parts if isinstance(part, TextPart | ReasoningPart) and part.kind == kind)
    return "".join(part.text for part in told).encode()


def test_live_replayed_and_reloaded_are_the_same_to_the_byte(tmp_path: Path) -> None:
    provider = Played()
    environ = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "PANELIST_TITLES": "off"}
    answers: list[Message] = []

    async def again() -> None:
        app = await open_runtime(read_settings(environ, tmp_path), provider=provider)
        for answer in answers:
            assert (await app.chat.open(OWNER, answer.conversation_id)).path[-1] == answer
        await app.close()

    with asyncio.Runner() as runner:
        app = runner.run(open_runtime(read_settings(environ, tmp_path), provider=provider))

        @settings(max_examples=100, deadline=None)
        @given(streams)
        @example([("content", "\ud83e"), ("reasoning_content", "\ud83d"), ("content", "\udd4a\r"), ("content", "\n")])
        def same(deltas: list[tuple[str, str]]) -> None:
            answers.append(runner.run(play(app, provider, deltas)))

        try:
            same()
        finally:
            runner.run(app.close())
        runner.run(again())
