"""Many readers at once: ten tabs of one browser, and as many streams as one core of a server feeds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from browser import LAST, bench_page
from playwright.sync_api import Browser
from processes import BENCH, Process, free_port
from subjects import Figures, Subject, lag_p95, model_server, settings_of

TABS = 10
TAB_SCENARIO = "paced-50-400"
STREAMS = (20, 40, 60, 80, 100, 120, 140)
ENOUGH_MS = 250
"""Lag, p95, up to which a stream counts as fed."""


def measure_tabs(subject: Subject, browser: Browser, home: Path) -> Figures:
    """Ask in ten tabs, one right after the other, and return the lag over the words of all."""
    with ExitStack() as stack:
        model = stack.enter_context(model_server(home / "model"))
        process, url = _started(stack, subject, home, model)
        pages = [stack.enter_context(bench_page(browser)) for _ in range(TABS)]
        for page in pages:
            page.load(url)
        before = process.cpu_seconds()
        for number, page in enumerate(pages):
            page.press_enter(f"{TAB_SCENARIO} @t{number}")
        lags = []
        for number, page in enumerate(pages):
            page.page.wait_for_function(f"'{LAST}' in __bench.seen", polling=500, timeout=180_000)
            seen = page.page.evaluate("__bench.seen")
            lags.append(lag_p95(model, {word: ms / 1000 for word, ms in seen.items()}, f"t{number}"))
        return {
            "10 tabs: lag p95, ms": sorted(lags)[int(0.95 * len(lags))],
            "10 tabs: CPU s": process.cpu_seconds() - before,
        }


def measure_streams(subject: Subject, home: Path) -> Figures:
    """Return how many streams at 50 tokens a second one core of the server feeds, by clients without a browser."""
    figures: Figures = {"streams: one core feeds": 0}
    with ExitStack() as stack:
        model = stack.enter_context(model_server(home / "model"))
        process, url = _started(stack, subject, home, model)
        assert process.popen is not None
        server, others = sorted(os.sched_getaffinity(0))[0], sorted(os.sched_getaffinity(0))[1:]
        _pin(process.popen.pid, {server})
        for streams in STREAMS:
            # Once more where it seems too many: one disturbance must not decide.
            for _ in range(2):
                lag = _lag_of(url, streams, subject.name, others or {server})
                figures[f"streams: lag p95 at {streams}, ms"] = lag
                if lag < ENOUGH_MS:
                    break
            else:
                break
            figures["streams: one core feeds"] = streams
    return figures


def _lag_of(url: str, streams: int, column: str, cores: set[int]) -> float:
    told = subprocess.run(
        [sys.executable, str(BENCH / "clients.py"), url, str(streams), column],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    return float(json.loads(told.stdout)["p95"])


def _pin(pid: int, cores: set[int]) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def _started(stack: ExitStack, subject: Subject, home: Path, model: str) -> tuple[Process, str]:
    port = free_port()
    process = Process([one.format(port=port) for one in subject.arguments], home / "subject", settings_of(model, home))
    stack.callback(process.end)
    process.start()
    url = f"http://localhost:{port}{subject.page}"
    process.wait_for(url)
    with urllib.request.urlopen(url):
        pass
    return process, url
