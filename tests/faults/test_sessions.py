"""Pages that come and go leave nothing behind: opened while answers are settled and while one is being written.

60 of them, or 200 with `PANELIST_LONG=1`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import until
from tests.faults.tab import Tab
from tests.faults.upstream import Call, Play, perform, serving
from tests.faults.wires import CHAT
from tests.keyed import KEYED
from tests.servers.need import unavailable
from tests.ui.conftest import Server, tracebacks_of_ours

LONG = bool(os.environ.get("PANELIST_LONG"))
WARM_UP, MEASURED = (50, 150) if LONG else (20, 40)
MOST_GROWTH = 14 * 2**20
"""Bytes that the measured sessions may leave together. The allocator's own whims are up to 10 MB, however many they
are: pages wait for one another to be collected. A session that is held is 1 MB."""
AT_ONCE = 10
OURS = ("ServerSession", "ConversationState", "Transcript", "Composer", "ConversationList", "ModelPicker")
OWN_DOCUMENTS = 2
"""Bokeh has one for scripts, and one warmed the server up."""
SETTLED = "".join(f"## Part {n}\n\nSome **words** and `code`.\n\n```py\nx = {n}\n```\n\n" for n in range(60))
PIECE = " and so on"


async def answer(call: Call) -> None:
    """Answer one question at length and the other without an end."""
    if call.question == "Tell me":
        await perform(call, Play(CHAT.delta(SETTLED) + CHAT.end()), None)
        return
    await perform(call, Play(end="open"), None)
    while not call.gone:
        piece = CHAT.delta(PIECE)
        await call.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await asyncio.sleep(0.1)


@dataclass
class House:
    """The real server, and what it holds."""

    server: Server

    @property
    def _census(self) -> Path:
        return self.server.folder / "census"

    async def census(self) -> dict[str, int]:
        """Return how many of our and Bokeh's objects are alive, and the bytes of memory in use."""
        self._census.unlink(missing_ok=True)
        assert self.server.process is not None
        self.server.process.send_signal(signal.SIGUSR1)
        await until(self._census.exists)
        taken: dict[str, int] = json.loads(self._census.read_text("utf-8"))
        return taken

    async def emptied(self) -> dict[str, int]:
        """Wait until no page is left, and return what is; after a while also when some are."""
        for _ in range(100):
            taken = await self.census()
            if taken["Document"] <= OWN_DOCUMENTS and not any(taken[name] for name in OURS):
                break
            await asyncio.sleep(0.2)
        return taken

    def conversation(self, question: str) -> str:
        """Return the conversation that began with a question."""
        with closing(sqlite3.connect(self.server.folder / "data" / "panelist.db")) as database:
            query = "SELECT id FROM conversations WHERE title = ?"
            found: str = database.execute(query, (question,)).fetchone()[0]
        return found


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[House]:
    async with serving(answer) as upstream:
        here = Path(__file__).parent
        server = Server(
            folder,
            {
                **KEYED,
                "OPENAI_BASE_URL": upstream.lane(0),
                "PANELIST_MODEL": "m",
                "PANELIST_TITLES": "off",
                "PYTHONPATH": str(here / "census"),
                "GUARD": str(here.parent / "ui" / "guard" / "sitecustomize.py"),
                "CENSUS": str(folder / "census"),
            },
            options=("--warm", "--unused-session-lifetime", "500", "--check-unused-sessions", "300"),
        )
        try:
            await asyncio.to_thread(server.start)
            yield House(server)
        finally:
            server.end()


async def visit(house: House, question: str, number: int) -> None:
    """Open a conversation as a page does, see it, and leave: in order, or without a word."""
    tab = await Tab.open(f"{house.server.url}?c={house.conversation(question)}")
    await tab.message("Transcript", type="ready", dark=False, narrow=False)
    await tab.hear("Part 59" if question == "Tell me" else PIECE.strip())
    await (tab.drop() if number % 2 else tab.close())


async def visits(house: House, count: int) -> None:
    """Let pages come and go, some at a time; half of them while the answer they show is being written."""
    numbers = iter(range(count))

    async def one_after_the_other() -> None:
        for number in numbers:
            await visit(house, "Tell me" if number // 2 % 2 else "Go on for ever", number)

    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))


async def test_sessions_leave_nothing_behind(tmp_path: Path) -> None:
    if not Path("/proc/self/statm").exists():
        unavailable("no /proc that tells the memory of a process")
    async with running(tmp_path) as house:
        for question in ("Tell me", "Go on for ever"):
            tab = await Tab.open(house.server.url)
            await tab.message("Transcript", type="ready", dark=False, narrow=False)
            await tab.message(
                "Composer", type="send", key=question, text=question, now=False, conversation=None, elsewhere=False
            )
            await tab.hear("Part 59" if question == "Tell me" else PIECE.strip())
            await tab.close()
        await visits(house, WARM_UP)
        before = await house.emptied()
        await visits(house, MEASURED)
        after = await house.emptied()
        assert house.server.foreign == ""
        assert tracebacks_of_ours(house.server.log) == []  # tornado tells of sockets that were dropped
    growth = after["rss"] - before["rss"]
    print(  # noqa: T201 - the report
        f"\nmemory after {WARM_UP} sessions {before['rss'] / 2**20:.1f} MB, after {WARM_UP + MEASURED} "
        f"{after['rss'] / 2**20:.1f} MB: {growth / MEASURED / 1000:.1f} KB for each; held: {after}"
    )
    assert not {name: after[name] for name in OURS if after[name]}, "still held"
    assert after["Document"] <= OWN_DOCUMENTS
    assert growth < MOST_GROWTH
    assert after["frozen"] > 100_000, "what is loaded for good is looked through in every collection"
