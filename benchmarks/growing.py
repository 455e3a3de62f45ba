"""How the list of conversations grows with their number, and how opening one grows with its messages."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from browser import SETTLE_S, BenchPage, bench_page
from catalogue import LAST
from history import LAST_WORD
from loading import LOADS, WARM_UP, _median_of, _serving
from playwright.sync_api import Browser, Locator
from processes import BENCH, Process
from subjects import AT, PANEL, Figures, model_server

LISTS = (10, 1_000, 10_000)
LENGTHS = (10, 500, 5_000)


def list_of(count: int) -> str:
    return f"{count:,} conversations"


def length_of(count: int) -> str:
    return f"{count:,} messages"


def measure_sidebar(browser: Browser, home: Path, count: int) -> Figures:
    """Measure a page whose list has so many conversations, and going to the list's end."""
    data = home / "data"
    data.mkdir(parents=True)
    subprocess.run([sys.executable, str(BENCH / "catalogue.py"), str(data), str(count)], check=True)
    with (
        model_server(home / "model") as model,
        _serving((*PANEL, "app.py", *AT, "--warm"), "/app", home, model) as (process, url),
    ):
        found: list[Figures] = []
        for number in range(WARM_UP + LOADS):
            with bench_page(browser) as page:
                before = process.cpu_seconds()
                page.page.goto(url, wait_until="commit")
                _rows(page).first.wait_for(timeout=60_000)
                ready = float(page.page.evaluate("performance.now()"))
                page.page.wait_for_function("__bench.whole !== null", polling=50)
                page.page.wait_for_timeout(SETTLE_S * 1000)
                loaded = process.cpu_seconds() - before
                figures = {
                    "start → list ready, ms": ready,
                    "KB to load the page": page._received() / 1000,
                    "CPU per load, s": loaded,
                    "rows in the page": float(_rows(page).count()),
                    **_costs(page, process, "list's end", lambda page=page: _go_to_end(page)),
                }
                if number >= WARM_UP:
                    found.append(figures)
        return _median_of(found)


def measure_opening(browser: Browser, home: Path) -> dict[str, Figures]:
    """Measure a click in the list of a live page, until the last word of the conversation is on show."""
    data = home / "data"
    data.mkdir(parents=True)
    subprocess.run(
        [sys.executable, str(BENCH / "history.py"), str(data), *map(str, LENGTHS)], check=True, capture_output=True
    )
    with (
        model_server(home / "model") as model,
        _serving((*PANEL, "app.py", *AT, "--warm"), "/app", home, model) as (process, url),
    ):
        found: dict[str, list[Figures]] = {length_of(count): [] for count in LENGTHS}
        for number in range(WARM_UP + LOADS):
            for count in LENGTHS:
                with bench_page(browser) as page:
                    page.load(url)
                    figures = _costs(page, process, "click", lambda page=page, count=count: _open(page, count))
                if number >= WARM_UP:
                    found[length_of(count)].append(figures)
        return {name: _median_of(figures) for name, figures in found.items()}


def _costs(page: BenchPage, process: Process, what: str, act: Callable[[], None]) -> Figures:
    """Return what an act takes: until it is done, and with what follows from it within a second."""
    received, cpu, began = page._received(), process.cpu_seconds(), time.perf_counter()
    act()
    taken = time.perf_counter() - began
    page.page.wait_for_timeout(SETTLE_S * 1000)
    return {
        f"{what} → ready, ms": taken * 1000,
        f"{what}: KB": (page._received() - received) / 1000,
        f"{what}: CPU, s": process.cpu_seconds() - cpu,
    }


def _go_to_end(page: BenchPage) -> None:
    _rows(page).first.press("End")
    page.page.get_by_role("link", name=LAST).wait_for()


def _open(page: BenchPage, count: int) -> None:
    page.page.get_by_role("link", name=f"{count} messages", exact=True).click()
    page.page.get_by_text(LAST_WORD).last.wait_for()


def _rows(page: BenchPage) -> Locator:
    return page.page.get_by_role("navigation", name="Conversations").get_by_role("link")
