"""The columns of the table: what is measured, how it is started, and how one reply is asked of it."""

from __future__ import annotations

import json
import math
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from browser import bench_page
from model_server import MODELS
from playwright.sync_api import Browser
from processes import BENCH, Process, free_port

WARM_UP = "full-20"

Figures = dict[str, float]
"""Row of the table to its value, for one subject in one run."""


@dataclass(frozen=True)
class Subject:
    """A column. `arguments` may name {port}; without a `page` it is a program that is asked line by line."""

    name: str
    arguments: tuple[str, ...]
    page: str | None = None


PANEL = ("-m", "panel", "serve")
AT = ("--port", "{port}", "--address", "localhost", "--log-level", "warning")

SUBJECTS = (
    Subject("Panelist", (*PANEL, "app.py", *AT, "--warm"), "/app"),  # as the README starts it
    Subject("stock ChatInterface", (*PANEL, str(BENCH / "baselines/chat_interface.py"), *AT), "/chat_interface"),
    Subject("SSE page", (str(BENCH / "baselines/sse_page.py"), "{port}"), "/"),
    Subject("SDK alone", (str(BENCH / "baselines/sdk_alone.py"),)),
    Subject("SDK alone, aiohttp", (str(BENCH / "baselines/sdk_alone.py"), "aiohttp")),
)


PANELIST, STOCK, SSE = (subject.name for subject in SUBJECTS[:3])
COMPARED = (PANELIST, SSE)
"""Columns of the rows that are about more than one reply; the others would take hours."""
EARLIER = 24
"""Questions before the one that is measured."""


@dataclass(frozen=True)
class Speed:
    """One of the two ways the same reply is sent."""

    row: str
    scenario: str
    tokens: int


def speeds(tokens: int) -> tuple[Speed, Speed]:
    return Speed("full speed", f"full-{tokens}", tokens), Speed("200/s", f"paced-200-{tokens}", tokens)


@contextmanager
def model_server(home: Path, texts: Path | None = None) -> Iterator[str]:
    port = free_port()
    server = Process([str(BENCH / "model_server.py"), str(port), *([str(texts)] if texts else [])], home)
    server.start()
    try:
        server.wait_for(f"http://127.0.0.1:{port}/v1/models")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.end()


def settings_of(model: str, home: Path) -> dict[str, str]:
    """Return the environment that all columns get, of which each reads its part."""
    return {
        "OPENAI_BASE_URL": f"{model}/v1",
        "OPENAI_API_KEY": "sk-bench",
        "BENCH_MODEL": MODELS[0],
        "PANELIST_MODEL": MODELS[0],
        "PANELIST_TITLES": "off",
        "PANELIST_DATA_DIR": str(home / "data"),
    }


def measure(subject: Subject, browser: Browser, home: Path, tokens: int, failures: list[str]) -> Figures:
    """Start the subject afresh, warm it up with one short reply, and measure the same reply at both speeds."""
    figures: Figures = {}
    with model_server(home / "model") as model:
        port = free_port()
        process = Process(
            [argument.format(port=port) for argument in subject.arguments],
            home / "subject",
            settings_of(model, home / "subject"),
            piped=subject.page is None,
        )
        process.start()
        try:
            if subject.page is None:
                process.ask(WARM_UP)
            else:
                process.wait_for(f"http://localhost:{port}{subject.page}")
                with bench_page(browser) as page:
                    page.load(f"http://localhost:{port}{subject.page}")
                    page.ask(WARM_UP)
            for speed in speeds(tokens):
                try:
                    if subject.page is None:
                        figures |= _program(process, model, speed)
                    else:
                        figures |= _page(process, browser, f"http://localhost:{port}{subject.page}", model, speed)
                except Exception as error:  # the others are still worth measuring; the cell says "failed"
                    failures.append(f"{subject.name}, {speed.row}: {type(error).__name__}: {error}")
            if subject.name in COMPARED:
                figures |= _later(browser, f"http://localhost:{port}{subject.page}", model, speeds(tokens)[1])
        finally:
            process.end()
    return figures


def _page(process: Process, browser: Browser, url: str, model: str, speed: Speed) -> Figures:
    with bench_page(browser) as page:
        page.load(url)
        before = process.cpu_seconds()
        reply = page.ask(speed.scenario)
        cpu = process.cpu_seconds() - before
        return {
            f"{speed.row}: first word, ms": (reply.seen["alphaword"] - reply.enter) * 1000,
            f"{speed.row}: last word, ms": (reply.seen["omegaword"] - reply.enter) * 1000,
            f"{speed.row}: lag p95, ms": lag_p95(model, reply.seen),
            f"{speed.row}: CPU": cpu / speed.tokens * 1000,
            f"{speed.row}: KB": reply.bytes / 1000,
            f"{speed.row}: busy, s": reply.busy_s,
            f"{speed.row}: long tasks": len(reply.long_tasks_ms),
            f"{speed.row}: long tasks, ms": sum(reply.long_tasks_ms),
        }


def _later(browser: Browser, url: str, model: str, speed: Speed) -> Figures:
    """Measure the lag of the 25th question's reply."""
    with bench_page(browser) as page:
        page.load(url)
        page.fill_up(EARLIER)
        return {f"{speed.row}, 25th question: lag p95, ms": lag_p95(model, page.ask(speed.scenario).seen)}


def _program(process: Process, model: str, speed: Speed) -> Figures:
    before = process.cpu_seconds()
    answer = json.loads(process.ask(speed.scenario))
    return {
        f"{speed.row}: first word, ms": answer["first_ms"],
        f"{speed.row}: last word, ms": answer["last_ms"],
        f"{speed.row}: lag p95, ms": lag_p95(model, answer["seen"]),
        f"{speed.row}: CPU": (process.cpu_seconds() - before) / speed.tokens * 1000,
    }


def lag_p95(model: str, seen: dict[str, float], who: str = "") -> float:
    """Return the 95th percentile of seen minus sent, over the marker words; a word never seen is a failure."""
    with urllib.request.urlopen(f"{model}/sent", timeout=10) as answer:
        sent: dict[str, float] = json.loads(answer.read())[who]
    marks = sorted(word for word in sent if word.startswith("mark"))
    if missing := [word for word in marks if word not in seen]:
        raise LookupError(f"never visible: {', '.join(missing)}")
    lags = sorted((seen[word] - sent[word]) * 1000 for word in marks)
    return lags[math.ceil(0.95 * len(lags)) - 1]
