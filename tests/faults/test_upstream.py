"""Every fault of the wire, through the real door: nothing hangs, nothing escapes, no cut answer looks complete.

`pytest tests/faults/test_upstream.py -s` prints a table for each wire. What they must look like is in `outcomes/`;
outcomes that were changed on purpose are written there with `PANELIST_WRITE_OUTCOMES=1`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import pytest

from services.errors import Failure, NextStep
from services.events import TextDelta
from services.messages import ErrorPart, Message, ReasoningPart, ToolCallPart
from services.options import Options
from services.runtime import Runtime, open_runtime
from services.settings import read_settings
from tests.conftest import OWNER
from tests.faults.catalogue import KEY, PLACES, Fault, common
from tests.faults.chat_faults import only_chat
from tests.faults.responses_faults import only_responses
from tests.faults.upstream import Call, Play, Upstream, perform, serving
from tests.faults.wires import BARE, CHAT, RESPONSES, TEXT, Wire

OUTCOMES = Path(__file__).with_name("outcomes")
FAULTS: dict[Wire, list[Fault]] = {
    CHAT: [*common(CHAT), *only_chat()],
    RESPONSES: [*common(RESPONSES), *(replace(fault, sizes=(None,)) for fault in only_responses())],
    BARE: [fault for fault in common(BARE) if 1 in fault.sizes],
}
LANES = 8
MOST_WORK_S = 0.5
"""Some answers here are one event of 5 or 17 MB: each copy of that takes its time, and no thread could spare it."""
SILENCE_S = 2.0
BOUND_S = 20.0
"""In which every run has to have ended; a hang is many times longer."""
FINAL = {"complete", "stopped", "truncated", "refused", "filtered", "interrupted", "failed"}


@dataclass(frozen=True, slots=True)
class Case:
    fault: Fault
    place: str
    size: int | None
    last: bool
    """Of its fault: after it the endpoint is tried again."""

    @property
    def question(self) -> str:
        return f"{self.fault.name} @ {self.place} / {self.size or 'whole'}"

    @property
    def play(self) -> Play:
        return self.fault.play(PLACES.get(self.place, 0))


@dataclass
class Seen:
    """What came of all cases."""

    wrong: list[str] = field(default_factory=list)
    outcomes: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    escaped: list[str] = field(default_factory=list)

    def table(self, wire: Wire) -> str:
        rows = []
        for fault in FAULTS[wire]:
            cells = [" or ".join(sorted(self.outcomes.get((fault.name, place), {"?"}))) for place in fault.places]
            if len(cells) == len(PLACES) and len(set(cells)) == 1:
                cells = [f"everywhere: {cells[0]}"]
            rows.append(f"{fault.name:<50} {' | '.join(cells)}")
        return "\n".join(rows) + "\n"


def cases(wire: Wire) -> Iterator[Case]:
    for fault in FAULTS[wire]:
        sizes = [size for size in fault.sizes if size in wire.sizes]
        for place in fault.places:
            for size in sizes:
                yield Case(fault, place, size, (place, size) == (fault.places[-1], sizes[-1]))


async def run_all(folder: Path, wire: Wire) -> tuple[Seen, Upstream]:
    by_question = {case.question: case for case in cases(wire)}
    plays = {question: case.play for question, case in by_question.items()}

    async def answer(call: Call) -> None:
        case = by_question.get(call.question)
        await perform(call, plays.get(call.question, wire.healthy), case.size if case else None)

    seen = Seen()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: seen.escaped.append(str(context)))
    async with serving(answer) as upstream:
        tables = [
            f'[[endpoint]]\nname = "lane{n}"\nbase_url = "{upstream.lane(n)}"\n'
            f'api = "{wire.api}"\nkey_env = "FAULT_KEY"\n'
            for n in range(LANES)
        ]
        (folder / "endpoints.toml").write_text("\n".join(tables))
        settings = read_settings(
            {
                "PANELIST_ENDPOINTS": "endpoints.toml",
                "FAULT_KEY": KEY,
                "PANELIST_TITLES": "off",
                "PANELIST_TRIES": "1",
                "PANELIST_FIRST_TOKEN_S": str(SILENCE_S),
                "PANELIST_STALL_S": str(SILENCE_S),
                "PANELIST_RUN_S": str(BOUND_S / 2),
            },
            folder,
        )
        runtime = await open_runtime(settings)
        try:
            waiting = iter(by_question.values())

            async def lane(number: int) -> None:
                unproven = 0
                for case in waiting:
                    # Five failures in a row would rest the endpoint.
                    unproven = 0 if case.last or unproven == 2 else unproven + 1
                    await one(runtime, f"lane{number}", case, seen, prove=not unproven)

            await asyncio.gather(*map(lane, range(LANES)))
            await asyncio.sleep(0.1)
            if upstream.answering:
                seen.wrong.append(f"{upstream.answering} streams were left open at the endpoint")
        finally:
            await runtime.close()
    return seen, upstream


async def one(runtime: Runtime, endpoint: str, case: Case, seen: Seen, *, prove: bool) -> None:
    """Ask one question that goes wrong, then, to prove it, one that goes well in the same conversation."""

    def wrong(what: str) -> None:
        seen.wrong.append(f"{case.question}: {what}")

    try:
        async with asyncio.timeout(BOUND_S):
            live, path = await ask(runtime, case.question, Options(endpoint=endpoint, model="m"))
    except TimeoutError:
        wrong("hangs")
        return
    question, reply = path[-2:]
    for fact in misdone(case, live, question, reply, seen):
        wrong(fact)
    if not prove:
        return
    try:
        async with asyncio.timeout(BOUND_S):
            live, path = await ask(runtime, "Now well", Options(endpoint=endpoint, model="m"), reply)
    except TimeoutError:
        wrong("the next question hangs")
        return
    if (path[-1].text, path[-1].status, len(path)) != (TEXT, "complete", 4):
        wrong(f"the next answer is {path[-1].status}: {path[-1].parts!r}")


def misdone(case: Case, live: str, question: Message, reply: Message, seen: Seen) -> Iterator[str]:
    """Yield what is wrong with one outcome, and note it in the table."""
    play = case.play
    failures = [part.failure for part in reply.parts if isinstance(part, ErrorPart)]
    kind = "".join(f" {failure.kind}" for failure in failures)
    seen.outcomes.setdefault((case.fault.name, case.place), set()).add(f"{reply.status}{kind}")
    if (question.text, question.status) != (case.question, "complete"):
        yield f"the question is stored as {question.text!r} ({question.status})"
    if reply.status not in FINAL:
        yield f"ended as {reply.status}"
    if play.whole is not None and (reply.status == "complete") != play.whole:
        yield f"is {reply.status}, and the answer was {'whole' if play.whole else 'cut'}"
    if reply.text != play.text:
        yield f"kept {_short(reply.text)}, and what arrived was {_short(play.text)}"
    thoughts = "".join(part.text for part in reply.parts if isinstance(part, ReasoningPart))
    if thoughts != play.thoughts:
        yield f"kept the thoughts {_short(thoughts)}, and what arrived was {_short(play.thoughts)}"
    calls = tuple(part.arguments for part in reply.parts if isinstance(part, ToolCallPart))
    if calls != play.calls:
        yield f"kept the calls {calls}, and what arrived was {play.calls}"
    if live not in {"", reply.text}:  # a run may be over before anybody watches
        yield f"showed {_short(live)} and stored {_short(reply.text)}"
    if reply.status in {"interrupted", "failed", "filtered"} and len(failures) != 1:
        yield f"has {len(failures)} failures"
    for failure in failures:
        yield from untold(failure)


async def ask(
    runtime: Runtime, question: str, options: Options, after: Message | None = None
) -> tuple[str, tuple[Message, ...]]:
    """Return the text as a page that watches saw it, and the path as it is stored."""
    where = after.conversation_id if after else None
    opened = await runtime.chat.send(OWNER, question, conversation_id=where, options=options)
    live = ""
    if opened.run_id:
        async for batch in runtime.chat.follow(OWNER, opened.run_id):
            live += "".join(numbered.event.text for numbered in batch if isinstance(numbered.event, TextDelta))
    return live, (await runtime.chat.open(OWNER, opened.conversation.id)).path


def untold(failure: Failure) -> Iterator[str]:
    """Yield what is wrong with the way a failure is told."""
    if not failure.message.endswith((".", "?")) or "\n" in failure.message:
        yield f"no sentence: {failure.message!r}"
    if "<" in failure.message or re.search("<(html|h1|body)", failure.detail or ""):
        yield f"raw HTML: {failure!r}"
    if failure.next_step not in get_args(NextStep) or failure.next_step == "none":
        yield f"no next step: {failure!r}"
    if failure.kind == "unexpected":
        yield f"nobody knows this: {failure.message!r}"
    if "canary" in repr(failure):
        yield f"the key is in it: {failure!r}"


def _short(text: str) -> str:
    return repr(text) if len(text) < 120 else f"{text[:40]!r}… ({len(text):,} characters)"


# aiohttp's advice about a request of over 1 MB: here the history holds an answer of 5 MB.
@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
@pytest.mark.parametrize("wire", FAULTS, ids=lambda wire: wire.name)
async def test_every_fault(wire: Wire, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "services"):
        seen, upstream = await run_all(tmp_path, wire)
    table = seen.table(wire)
    print(f"\n{table}")  # noqa: T201 - the report
    seen.wrong += [f"escaped: {what}" for what in seen.escaped]
    seen.wrong += [f"logged: {r.getMessage()} {r.exc_info}" for r in caplog.records if r.levelno >= logging.ERROR]
    if "canary" in caplog.text:
        seen.wrong.append("the key is in the log")
    files = {file.name: file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file()}
    seen.wrong += [f"the key is in {name}" for name, data in files.items() if KEY.encode() in data]
    if any("elsewhere" in path for path in upstream.paths):
        seen.wrong.append("a redirect was followed: the conversation went elsewhere")
    if not all(path.endswith(wire.path) for path in upstream.paths):
        seen.wrong.append("a question was asked in another API")
    assert not seen.wrong, "\n".join([*seen.wrong, "", table])
    outcomes = OUTCOMES / f"{wire.name}.txt"
    if os.environ.get("PANELIST_WRITE_OUTCOMES"):
        outcomes.write_text(table, encoding="utf-8")
    assert table == outcomes.read_text(encoding="utf-8")
