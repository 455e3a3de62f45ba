"""Many readers without a browser, each with a stream of 50 tokens a second: `python clients.py URL COUNT COLUMN`.

Prints the lag of all tokens (when read minus when the model server sent them; each token is that time), as JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parent.parent))

from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from tests.faults.tab import Tab

SCENARIO = "stamped-50-1000"
SETTLING_S = 1
"""From when all have begun."""
BEGINNING_S = 10
"""Seconds in which all should have; a stream that has not by then, and within the measurement, is told as one minute
late."""
SECONDS = 6
_STAMP = re.compile(r"\b1[0-9]{12}\b")

AsyncHTTPClient.configure(None, max_clients=1000)


class Lags(list[float]):
    def __init__(self) -> None:
        super().__init__()
        self.since = float("inf")
        self.begun = False

    def read(self, text: str) -> None:
        now = time.time() * 1000
        stamps = _STAMP.findall(text)
        self.begun = self.begun or bool(stamps)
        self += [now - sent for stamp in stamps if (sent := float(stamp)) >= self.since]


class Stream(Tab):
    """A tab that notes when the pieces of its reply come, and keeps nothing once it is there."""

    lags: Lags | None = None

    async def _listen(self) -> None:
        while (said := await self._socket.read_message()) is not None:
            if self.lags is None:
                self.heard.append(str(said))
                self._more.set()
            elif '["live"' in said[:400]:  # type: ignore[operator]
                self.lags.read(str(said))
        self._more.set()


async def _measure(several: list[Lags]) -> None:
    until = time.monotonic() + BEGINNING_S
    while time.monotonic() < until and not all(lags.begun for lags in several):
        await asyncio.sleep(0.05)
    await asyncio.sleep(SETTLING_S)
    for lags in several:
        lags.since = time.time() * 1000
    await asyncio.sleep(SECONDS)


async def of_panelist(url: str, count: int) -> list[Lags]:
    tabs = [await Stream.open(url) for _ in range(count)]
    for number, tab in enumerate(tabs):
        await tab.message("ConversationList", type="ready")
        await tab.message("Transcript", type="ready", dark=False, narrow=False)
        composer = await tab.model("Composer")
        tab.lags = Lags()
        message = {"key": f"{time.time_ns()}", "text": f"{SCENARIO} @s{number}", "now": False, "elsewhere": False}
        data = {"type": "send", **message, "conversation": None, "files": []}
        entries = [list(entry) for entry in data.items()]
        tab.tell("data_event", model={"id": composer}, data={"type": "map", "entries": entries})
    await _measure([tab.lags for tab in tabs if tab.lags is not None])
    for tab in tabs:
        await tab.message("Composer", type="stop")  # else the answers, which no tab ends, go on in the next measurement
        await tab.close()
    return [tab.lags for tab in tabs if tab.lags is not None]


async def of_sse_page(url: str, count: int) -> list[Lags]:
    async def read(number: int, lags: Lags) -> None:
        take: Callable[[bytes], None] = lambda piece: lags.read(piece.decode("utf-8", "replace"))  # noqa: E731
        question = quote(f"{SCENARIO} @s{number}")
        await AsyncHTTPClient().fetch(
            HTTPRequest(f"{url}ask?q={question}", streaming_callback=take, request_timeout=60), raise_error=False
        )

    lags = [Lags() for _ in range(count)]
    reading = [asyncio.ensure_future(read(number, one)) for number, one in enumerate(lags)]
    await _measure(lags)
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    return lags


async def main(url: str, count: int, column: str) -> None:
    found = await (of_panelist if column == "Panelist" else of_sse_page)(url, count)
    each = sorted(sorted(lags)[int(0.95 * len(lags))] if lags else 60_000.0 for lags in found)
    # The slowest streams decide: a mean would hide those that get nothing.
    print(json.dumps({"p95": each[int(0.95 * len(each))], "tokens": sum(map(len, found))}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
