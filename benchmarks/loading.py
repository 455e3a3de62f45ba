"""Loading a page: until one can type, read and use it, what that costs, and how it grows with the conversation."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from browser import BenchPage, bench_page
from playwright.sync_api import Browser
from processes import BENCH, Process, free_port
from subjects import AT, PANEL, STOCK, Figures, model_server, settings_of

LENGTHS = (2, 500, 5000)
WARM_UP = 3
"""Loads before any that counts: what a process learns and keeps is not a session's."""
LOADS = 3
SESSIONS = 8
"""Open at once when their memory is measured."""

STATIC = "static page"


def name_of(length: int) -> str:
    return f"Panelist, {length:,} messages"


COLUMNS = (*map(name_of, LENGTHS), STOCK, STATIC)


def measure_loading(browser: Browser, home: Path) -> dict[str, Figures]:
    """Measure cold loads of every column, in turns, and the memory of Panelist's sessions."""
    with ExitStack() as stack:
        model = stack.enter_context(model_server(home / "model"))
        data = home / "panelist" / "data"
        data.mkdir(parents=True)
        told = subprocess.run(
            [sys.executable, str(BENCH / "history.py"), str(data), *map(str, LENGTHS)],
            check=True,
            capture_output=True,
            text=True,
        )
        panelist, at = stack.enter_context(
            _serving((*PANEL, "app.py", *AT, "--warm"), "/app", home / "panelist", model)
        )
        urls = {name_of(length): f"{at}?c={id}" for length, id in zip(LENGTHS, told.stdout.split(), strict=True)}
        for _ in range(WARM_UP):
            _load(browser, at)
        stock, urls[STOCK] = stack.enter_context(
            _serving(
                (*PANEL, str(BENCH / "baselines/chat_interface.py"), *AT), "/chat_interface", home / "stock", model
            )
        )
        page = home / "page.html"
        page.write_text(first_view(urls[name_of(LENGTHS[0])]), "utf-8")
        static, urls[STATIC] = stack.enter_context(
            _serving((str(BENCH / "baselines/static_page.py"), "{port}", str(page)), "/", home / "static", model)
        )
        servers = {STOCK: stock, STATIC: static}
        loads: dict[str, list[Figures]] = {name: [] for name in COLUMNS}
        for name in COLUMNS:
            _load(browser, urls[name])
        for _ in range(LOADS):
            for name in COLUMNS:
                process = servers.get(name, panelist)
                before = process.cpu_seconds()
                figures = _load(browser, urls[name])
                loads[name].append(figures | {"load: CPU s": process.cpu_seconds() - before})
        for length in LENGTHS:
            grown = _memory(browser, panelist, urls[name_of(length)])
            loads[name_of(length)][0] |= {"load: MB per idle session": grown}
        return {name: _median_of(found) for name, found in loads.items()}


def first_view(url: str) -> str:
    """Return what Panelist sends before its page, without a script."""
    with urllib.request.urlopen(url) as answer:
        page = answer.read().decode()
    shown, found, _ = page.partition('<div id="later">')
    assert found, "the page has no first view"
    still = re.sub("(?s)<script>.*?</script>", "", shown)
    return still.replace('id="first"', 'id="shown"').replace("#first", "#shown")  # what nothing will take the place of


@contextmanager
def _serving(
    arguments: tuple[str, ...], path: str, home: Path, model: str, **more: str
) -> Iterator[tuple[Process, str]]:
    port = free_port()
    process = Process([one.format(port=port) for one in arguments], home, settings_of(model, home) | more)
    process.start()
    try:
        process.wait_for(f"http://localhost:{port}{path}")
        yield process, f"http://localhost:{port}{path}"
    finally:
        process.end()


def _load(browser: Browser, url: str) -> Figures:
    with bench_page(browser) as page:
        page.load(url)
        return _figures(page)


def _figures(page: BenchPage) -> Figures:
    figures = {
        "load: typable, ms": page.usable_ms,
        "load: live, ms": page.live_ms,
        "load: whole, ms": page.whole_ms,
        "load: KB": page.load_bytes / 1000,
    }
    return figures | ({"load: readable, ms": page.readable_ms} if page.readable_ms is not None else {})


def _memory(browser: Browser, process: Process, url: str) -> float:
    """Return how much memory each of `SESSIONS` open pages takes, MB."""
    with ExitStack() as stack:
        before = process.memory_mb()
        for _ in range(SESSIONS):
            stack.enter_context(bench_page(browser)).load(url)
        return (process.memory_mb() - before) / SESSIONS


def _median_of(found: list[Figures]) -> Figures:
    names = dict.fromkeys(name for figures in found for name in figures)
    middle: Figures = {}
    for name in names:
        values = sorted(figures[name] for figures in found if name in figures)
        middle[name] = values[len(values) // 2]
    return middle
