"""One page in real Chromium, and what it costs: probe.js tells what is seen and received, DevTools the rest."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright
from reply import LAST

PROBE = Path(__file__).parent / "probe.js"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_S = 120
OPENED_S = 1.5
"""A new window draws what is the browser's own for about a second, in processes that would take the page's time."""
SETTLE_S = 1.0
"""After the last word the page and the server still finish the reply; that is part of what it costs."""


@dataclass(frozen=True)
class Reply:
    """What one reply was in the page."""

    enter: float
    """When Enter was pressed, seconds since the epoch."""
    seen: dict[str, float]
    """When each marker word was visible, seconds since the epoch."""
    bytes: int
    """Payload of websocket frames and HTTP bodies to the browser."""
    busy_s: float
    """Main thread, all tasks (DevTools' TaskDuration)."""
    long_tasks_ms: list[float]


@dataclass
class BenchPage:
    page: Page
    devtools: CDPSession
    usable_ms: float = 0
    readable_ms: float | None = None
    """None where there is no conversation to be read."""
    live_ms: float = 0
    whole_ms: float = 0
    load_bytes: int = 0
    errors: list[str] = field(default_factory=list)

    def load(self, url: str) -> None:
        """Load the page with an empty cache and wait until all of it is live."""
        self.page.goto(url, wait_until="commit")
        self.page.wait_for_function("__bench.whole !== null", polling=50, timeout=TIMEOUT_S * 1000)
        self.usable_ms, self.readable_ms, self.live_ms, self.whole_ms = self.page.evaluate(
            "[__bench.usable, __bench.readable, __bench.live, __bench.whole]"
        )
        self.page.wait_for_timeout(SETTLE_S * 1000)
        self.load_bytes = self._received()

    def ask(self, question: str) -> Reply:
        """Type the question, press Enter, and wait until the reply's last word has been seen and things are calm.

        Once per page: the words of an earlier reply would be seen again.
        """
        received, busy = self.press_enter(question)
        try:
            self.page.wait_for_function(f"'{LAST}' in __bench.seen", polling=100, timeout=TIMEOUT_S * 1000)
        except Exception as error:
            seen = self.page.evaluate("Object.keys(__bench.seen).length")
            raise TimeoutError(
                f"the last word was not visible after {TIMEOUT_S} s ({seen} marker words were); "
                f"errors in the page: {self.errors or 'none'}"
            ) from error
        self.page.wait_for_timeout(SETTLE_S * 1000)
        bench: dict[str, Any] = self.page.evaluate("({enter: __bench.enter, seen: __bench.seen, tasks: __bench.tasks})")
        if not self.page.get_by_text(LAST).last.is_visible():
            raise RuntimeError("the last word came into the page but is not visible at the end")
        return Reply(
            enter=bench["enter"] / 1000,
            seen={word: ms / 1000 for word, ms in bench["seen"].items()},
            bytes=self._received() - received,
            busy_s=self._busy_s() - busy,
            long_tasks_ms=bench["tasks"],
        )

    def fill_up(self, questions: int) -> None:
        """Ask short questions whose answers hold no marker word, one after the other."""
        for number in range(questions):
            self.press_enter(f"plain-20 @q{number}")
            self.page.wait_for_timeout(400)

    def longest_task_ms(self) -> float:
        """Return the longest task of the main thread since Enter; 0 where none took 50 ms."""
        return max(self.page.evaluate("__bench.tasks"), default=0.0)

    def press_enter(self, question: str) -> tuple[int, float]:
        """Send a question, and return what had been received and how busy the page had been before."""
        box = self.page.locator("textarea:visible").first
        box.fill(question)
        self.page.wait_for_timeout(300)
        before = self._received(), self._busy_s()
        box.press("Enter")
        return before

    def _busy_s(self) -> float:
        metrics = self.devtools.send("Performance.getMetrics")["metrics"]
        return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))

    def _received(self) -> int:
        return int(self.page.evaluate("__bench.received()"))


@contextmanager
def chromium() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def bench_page(browser: Browser) -> Iterator[BenchPage]:
    """Open a page in a profile of its own: no cache, no cookies, no conversation of an earlier measurement."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.add_init_script(path=PROBE)
    page = context.new_page()
    page.wait_for_timeout(OPENED_S * 1000)
    devtools = context.new_cdp_session(page)
    one = BenchPage(page, devtools)
    page.on("pageerror", lambda error: one.errors.append(str(error)))
    devtools.send("Performance.enable")
    try:
        yield one
    finally:
        context.close()
        time.sleep(0.2)
