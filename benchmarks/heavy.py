"""Replies that are hard to show: 200 KB of Markdown, and 64 KB of each known Markdown bomb."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path

from browser import BenchPage, bench_page
from playwright.sync_api import Browser
from processes import BENCH, ROOT, Process, free_port
from subjects import AT, Figures, model_server, settings_of

LONG_TOKENS = 34_000
"""About 200 KB."""
BOMB_CHARS = 65_536


def bombs() -> dict[str, str]:
    """Return those that the tests of the renderer know."""
    sys.path.insert(0, str(ROOT))
    from tests.render.test_bombs import BOMBS

    return {name.replace(" ", "-"): make(BOMB_CHARS) for name, make in BOMBS.items()}


def measure_heavy(browser: Browser, home: Path, most: int | None) -> Figures:
    """Return the longest event-loop block and the longest browser task; `most`: how many bombs are tried."""
    texts = home / "texts"
    texts.mkdir(parents=True)
    for name, text in list(bombs().items())[:most]:
        (texts / name).write_text(text, "utf-8")
    blocks = home / "blocks"
    with ExitStack() as stack:
        model = stack.enter_context(model_server(home / "model", texts))
        port = free_port()
        arguments = [str(BENCH / "watched.py"), str(blocks), "serve", "app.py", *AT, "--warm"]
        process = Process([one.format(port=port) for one in arguments], home / "subject", settings_of(model, home))
        stack.callback(process.end)
        process.start()
        url = f"http://localhost:{port}/app"
        process.wait_for(url)
        with bench_page(browser) as page:
            page.load(url)
            page.ask("full-20")
        figures = _long_reply(browser, url, blocks)
        page = stack.enter_context(bench_page(browser))
        page.load(url)
        worst: list[tuple[float, float, str]] = []
        for name in sorted(path.name for path in texts.iterdir()):
            began = time.time()
            _bomb(page, name)
            worst.append((_longest_block_ms(blocks, began), page.longest_task_ms(), name))
        if worst:
            figures |= {
                "bombs: event-loop block, ms": max(block for block, _, _ in worst),
                "bombs: browser task, ms": max(task for _, task, _ in worst),
            }
            for what, place in (("event loop", 0), ("browser", 1)):
                slowest = sorted(worst, key=lambda bomb, place=place: bomb[place], reverse=True)[:5]
                print(f"slowest bombs, {what}:", [(name, round(bomb[place])) for *bomb, name in slowest])
        return figures


def _long_reply(browser: Browser, url: str, blocks: Path) -> Figures:
    with bench_page(browser) as page:
        page.load(url)
        began = time.time()
        reply = page.ask(f"full-{LONG_TOKENS}")
        return {
            "200 KB: Enter → last word, ms": (reply.seen["omegaword"] - reply.enter) * 1000,
            "200 KB: event-loop block, ms": _longest_block_ms(blocks, began),
            "200 KB: browser task, ms": max(reply.long_tasks_ms, default=0.0),
        }


def _bomb(page: BenchPage, name: str) -> None:
    page.page.get_by_role("button", name="New chat").click()
    page.page.wait_for_timeout(500)
    page.press_enter(f"text-{name}")
    # Not by its role: to look for that, the whole page is searched and laid out, which is a long task itself.
    answer = page.page.locator("article.assistant[data-status=complete]")
    answer.wait_for(state="attached", timeout=120_000)
    page.page.wait_for_timeout(500)


def _longest_block_ms(blocks: Path, since: float) -> float:
    """Return the processor time of the longest callback since then; 0 where none took 10 ms."""
    lines = blocks.read_text().splitlines() if blocks.exists() else []
    found = [line.split() for line in lines]
    return max((float(took) * 1000 for at, took in found if float(at) >= since), default=0.0)
