"""`kill -9` at a random moment, again and again on the same data: what was acknowledged is there, once, in order.

20 times, or `PANELIST_KILLS=200`; `PANELIST_SEED` repeats a run's moments as far as a clock can.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from services.messages import Message
from services.runtime import open_runtime
from services.settings import read_settings
from tests.faults.child import OWNER
from tests.faults.upstream import Call, Play, perform, serving
from tests.faults.wires import CHAT

KILLS = int(os.environ.get("PANELIST_KILLS", "20"))
ROOT = Path(__file__).parents[2]
ALIVE_S = 2.0
"""How long after opening the database a child lives at most."""
KEPT_S = 1.0
"""What the endpoint sent this long before the kill is stored: 250 ms, a commit, and what a busy machine adds to them.

The report says what was really lost.
"""
SPEEDS = ((40, 0.02), (400, 0.01))
"""Characters and seconds of a piece: 2 and 40 KB/s."""


@dataclass
class Sent:
    """What the endpoint sent of one answer, and when."""

    text: str = ""
    moments: list[tuple[float, int]] = field(default_factory=list)

    def by(self, moment: float) -> int:
        return max((size for sent, size in self.moments if sent <= moment), default=0)


@dataclass
class World:
    folder: Path
    random: random.Random
    sent: dict[str, Sent] = field(default_factory=dict)
    """By question."""
    wrong: list[str] = field(default_factory=list)
    lost_s: list[float] = field(default_factory=list)
    lost_chars: list[int] = field(default_factory=list)
    killed_while: Counter[str] = field(default_factory=Counter)
    killed_at: list[float] = field(default_factory=list)
    """By life."""
    settled: dict[str, Message] = field(default_factory=dict)
    """Answers that were checked, which no later life may change."""

    @property
    def journal_size(self) -> int:
        path = self.folder / "journal"
        return path.stat().st_size if path.exists() else 0

    @property
    def journal(self) -> list[list[str]]:
        # A kill may cut the last line.
        return [json.loads(line) for line in (self.folder / "journal").read_bytes().split(b"\n") if line[-1:] == b"]"]

    async def answer(self, call: Call) -> None:
        """Write an answer of a random length at one of two speeds, noting each piece before it goes."""
        size, pause = self.random.choice(SPEEDS)
        sent = self.sent[call.question] = Sent()
        await perform(call, Play(end="open"), None)
        for number in range(self.random.randint(5, int(1.6 / pause))):
            piece = f"{number:06} ".ljust(size, "é")
            await call.write(_chunk(CHAT.delta(piece)))
            sent.text += piece
            sent.moments.append((time.monotonic(), len(sent.text)))
            await asyncio.sleep(pause)
        await call.write(_chunk(CHAT.end()) + b"0\r\n\r\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def one_life(world: World, base_url: str, life: int) -> None:
    """Start a Panelist on the data and kill it at a random moment."""
    before = world.journal_size
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.child", str(world.folder), base_url, str(world.folder / "journal")),
        str(life),
        cwd=ROOT,
    )
    try:
        async with asyncio.timeout(30):
            while world.journal_size == before and child.returncode is None:
                await asyncio.sleep(0.01)
        await asyncio.sleep(world.random.uniform(0, ALIVE_S))
        if life % 3 == 0:  # while a question is being stored
            await _trying(world)
        if child.returncode is not None:
            world.wrong.append(f"life {life}: Panelist ended by itself with {child.returncode}")
        world.killed_at.append(time.monotonic())
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def _trying(world: World) -> None:
    """Wait for a question that was sent and is not acknowledged."""
    tries = sum(entry[0] == "try" for entry in world.journal)
    with suppress(TimeoutError):
        async with asyncio.timeout(3):
            while sum(entry[0] == "try" for entry in world.journal) == tries:
                await asyncio.sleep(0.001)
    await asyncio.sleep(world.random.uniform(0, 0.01))


async def check(world: World, life: int) -> None:
    """Restart on the data and compare with the journal and with what the endpoint sent."""
    settings = read_settings({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "PANELIST_TITLES": "off"}, world.folder)
    runtime = await open_runtime(settings)
    try:
        conversations = await runtime.store.conversations(OWNER, limit=10_000)
        paths = [await runtime.store.path(OWNER, conversation.id) for conversation in conversations]
    finally:
        await runtime.close()
    facts = (*check_questions(world, paths), *check_answers(world, paths), *damage(world.folder / "data/panelist.db"))
    world.wrong += [f"life {life}: {fact}" for fact in facts]


def check_questions(world: World, paths: list[list[Message]]) -> Iterator[str]:
    """Yield what was lost, doubled or out of order."""
    stored = {message.id: message for path in paths for message in path}
    tried = {entry[1] for entry in world.journal if entry[0] == "try"}
    acknowledged = [entry[1:] for entry in world.journal if entry[0] == "stored"]
    for question, count in Counter(message.text for message in stored.values() if message.role == "user").items():
        if count > 1 or question not in tried:
            yield f"question {question!r} is there {count} times{'' if question in tried else ' and nobody asked it'}"
    for question, conversation_id, question_id, answer_id, _ in acknowledged:
        message, answer = stored.get(question_id), stored.get(answer_id)
        if message is None or message.text != question or message.conversation_id != conversation_id:
            yield f"question {question!r} was acknowledged and is not there"
        elif answer is None or answer.parent_id != question_id:
            yield f"the answer to {question!r} is not there"
    for path in paths:
        texts = [message.text for message in path if message.role == "user"]
        numbers = [int(text.rsplit("-", 1)[1]) for text in texts]
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))) or len(path) != 2 * len(texts):
            yield f"a conversation holds {texts} in {len(path)} messages"


def check_answers(world: World, paths: list[list[Message]]) -> Iterator[str]:
    journal = world.journal
    began = {entry[1]: int(entry[5]) for entry in journal if entry[0] == "stored"}
    ended = {entry[1]: entry[2] for entry in journal if entry[0] == "ended"}
    shown = {entry[1]: int(entry[2]) for entry in journal if entry[0] == "shown"}
    stored: dict[str, Message] = {}
    for path in paths:
        for question, answer in zip(path[::2], path[1::2], strict=False):
            stored[answer.id] = answer
            if world.settled.setdefault(answer.id, answer) is answer:
                life = began.get(question.text, int(question.text.split("-")[0]))
                yield from check_answer(world, life, question, answer, ended.get(answer.id), shown)
    for answer_id, settled in world.settled.items():
        if stored.get(answer_id) != settled:
            yield f"an answer changed from {settled!r} to {stored.get(answer_id)!r}"


def check_answer(
    world: World, life: int, question: Message, answer: Message, ended: str | None, shown: dict[str, int]
) -> list[str]:
    """Return what is wrong with one answer, and note how much of it was lost."""
    killed_at = world.killed_at[life]
    sent = world.sent.get(question.text, Sent())
    name = f"the answer to {question.text!r}"
    kept = len(answer.text)
    if not sent.text.startswith(answer.text):
        return [f"{name} holds what nobody sent"]
    if ended is not None or answer.status == "complete":
        world.killed_while["after"] += 1
        whole = answer.text == sent.text and answer.status == "complete"
        return [] if whole else [f"{name} is {answer.status} with {kept} of {len(sent.text)} characters"]
    world.killed_while["before the first word" if not sent.text else "in the middle"] += 1
    if answer.status != "interrupted":
        return [f"{name} is {answer.status}"]
    first_lost = next((moment for moment, size in sent.moments if size > kept), killed_at)
    world.lost_s.append(killed_at - first_lost)
    world.lost_chars.append(max(sent.by(killed_at), shown.get(answer.id, 0)) - kept)
    due = sent.by(killed_at - KEPT_S)
    return [] if kept >= due else [f"{name} has {kept} characters, and {due} were sent {KEPT_S} s before the kill"]


def damage(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        said = [row[0] for row in database.execute("PRAGMA integrity_check")]
        broken = database.execute("PRAGMA foreign_key_check").fetchall()
        open_rows = [
            f"{count} {table} are left streaming"
            for table in ("messages", "runs")
            for (count,) in database.execute(f"SELECT count(*) FROM {table} WHERE status = 'streaming'")
            if count
        ]
    return open_rows + [f"integrity_check: {line}" for line in said if line != "ok"] + [f"{row}" for row in broken]


async def test_killed_at_any_moment(tmp_path: Path) -> None:
    seed = int(os.environ.get("PANELIST_SEED") or random.randrange(1_000_000))
    world = World(tmp_path, random.Random(seed))
    async with serving(world.answer) as upstream:
        for life in range(KILLS):
            await one_life(world, upstream.lane(0), life)
            if life % 2 or life == KILLS - 1:  # else the next life is the one that mends, and may die of it
                await check(world, life)
    lost_s, lost_chars = sorted(world.lost_s) or [0.0], sorted(world.lost_chars) or [0]
    acknowledged = sum(entry[0] == "stored" for entry in world.journal)
    tries = Counter(entry[1] for entry in world.journal if entry[0] == "try")
    again = sum(count > 1 for count in tries.values())
    print(  # noqa: T201 - the report
        f"\n{KILLS} kills, seed {seed}: {acknowledged} questions acknowledged, {again} sent again, "
        f"{len(world.wrong)} things wrong; "
        f"answers {dict(world.killed_while)}; lost of the {len(world.lost_s)} that were cut: "
        f"median {lost_s[len(lost_s) // 2] * 1000:.0f} ms / {lost_chars[len(lost_chars) // 2]} characters, "
        f"at most {lost_s[-1] * 1000:.0f} ms / {lost_chars[-1]} characters"
    )
    assert not world.wrong, f"seed {seed}\n" + "\n".join(world.wrong)
    assert world.killed_while["in the middle"] >= KILLS // 4, "too few answers were cut to prove anything"
