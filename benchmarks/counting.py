"""Usage: until the dashboard of a million requests is there, on SQLite and on PostgreSQL, and the table as a file.

`python benchmarks/counting.py WHERE COUNT` fills a database, a file or a URL, before its server starts.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import pytest  # noqa: E402
from browser import BenchPage, bench_page  # noqa: E402
from loading import LOADS, WARM_UP, _median_of, _serving  # noqa: E402
from playwright.sync_api import Browser, Locator, expect  # noqa: E402
from processes import BENCH  # noqa: E402
from searching import Kind  # noqa: E402
from sqlalchemy import Connection, Table, insert  # noqa: E402
from subjects import AT, PANEL, Figures, model_server  # noqa: E402

from services.alerts import TIMED, hour_of  # noqa: E402
from services.measures import Measured  # noqa: E402
from services.statistics import Sums, day_of, sums_of, timed  # noqa: E402
from services.storage import rows as stored_rows  # noqa: E402
from services.storage.schema import costs, hour_timings, hours, requests, tallies, timings  # noqa: E402
from services.storage.store import Store  # noqa: E402
from services.storage.tallies import milliseconds  # noqa: E402
from services.usage import Usage  # noqa: E402
from tests.storage.postgres import own_database  # noqa: E402

OWNER = "local"
ROWS = (10_000, 1_000_000)
DAYS = 365
EACH = 100  # requests of a conversation
PLACES = [(endpoint, f"model-{number}") for number in range(4) for endpoint in ("openai", "local", "team")]
PLOT = "How long answers take, by model"
_AT_ONCE = 5_000
_EPOCH = date(1970, 1, 1)


def name_of(count: int, kind: Kind) -> str:
    return f"{count:,} requests, {kind}"


def measure_usage(browser: Browser, home: Path, count: int, kind: Kind) -> Figures:
    """Measure the dashboard of so many requests."""
    data = home / "data"
    data.mkdir(parents=True)
    with ExitStack() as stack:
        more = {}
        where = str(data / "panelist.db")
        if kind == "PostgreSQL":
            try:
                where = stack.enter_context(own_database())
            except pytest.skip.Exception as error:  # which no `except Exception` would see
                raise RuntimeError(str(error)) from error
            more = {"DATABASE_URL": where}
        began = time.perf_counter()
        subprocess.run([sys.executable, str(BENCH / "counting.py"), where, str(count)], check=True)
        print(f"  filled in {time.perf_counter() - began:.0f} s", flush=True)
        model = stack.enter_context(model_server(home / "model"))
        process, url = stack.enter_context(_serving((*PANEL, "app.py", *AT, "--warm"), "/app", home, model, **more))
        found: list[Figures] = []
        for number in range(WARM_UP + LOADS):
            with bench_page(browser) as page:
                page.load(url)
                figures = _opened(page, count)
            if number >= WARM_UP:
                found.append(figures)
        before, cpu = time.perf_counter(), process.cpu_seconds()
        with urllib.request.urlopen(url.replace("/app", "/usage/csv"), timeout=600) as answer:
            size = sum(len(piece) for piece in iter(lambda: answer.read(1 << 20), b""))
        export = {
            "all as CSV, s": time.perf_counter() - before,
            "all as CSV: CPU, s": process.cpu_seconds() - cpu,
            "all as CSV, MB": size / 1e6,
            "memory after it, MB": process.memory_mb(),
        }
        return _median_of(found) | export


def _opened(page: BenchPage, count: int) -> Figures:
    """Return how long the dashboard takes from a click until its figures, and its last plot, are there."""
    dialog = page.page.get_by_role("dialog", name="Usage")
    began = time.perf_counter()
    page.page.get_by_role("button", name="Usage", exact=True).click()
    dialog.get_by_text("First word", exact=True).first.wait_for()
    figures = time.perf_counter() - began
    _drawn(dialog)
    drawn = time.perf_counter() - began
    began = time.perf_counter()
    dialog.get_by_role("button", name="All", exact=True).click()
    expect(dialog.get_by_role("status").first).to_contain_text(f"{count:,} requests on", timeout=60_000)
    return {
        "click → figures, ms": 1000 * figures,
        "click → last plot drawn, ms": 1000 * drawn,
        "30 days → all, ms": 1000 * (time.perf_counter() - began),
    }


def _drawn(dialog: Locator) -> None:
    canvas = dialog.get_by_role("img", name=PLOT).locator("canvas").first
    canvas.wait_for()
    canvas.evaluate(
        """async canvas => {
            const drawn = () => canvas.width > 0
                && canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some(byte => byte)
            while (!drawn()) { await new Promise(requestAnimationFrame) }
        }"""
    )


def _made(count: int) -> Iterator[Measured]:
    """Yield requests of a year, as they come: many by day and few by night, to a few models more than to others."""
    chance = random.Random(1)
    until = datetime.now(UTC)
    for number in range(count):
        endpoint, model = PLACES[min(int(chance.expovariate(0.4)), len(PLACES) - 1)]
        failed, told = chance.random() < 0.02, chance.random() < 0.95
        first = chance.lognormvariate(-0.5, 0.6)
        used = Usage(
            input=chance.randint(20, 8_000), cached_input=chance.choice((0, 0, 512)), output=chance.randint(5, 1_500)
        )
        yield Measured(
            id=f"{number:026}",
            at=until - timedelta(days=DAYS) * (1 - (number + 1) / count),
            endpoint=endpoint,
            model=model,
            kind="title" if number % 20 == 0 else "chat",
            status="failed" if failed else "complete",
            error=chance.choice(("rate_limit", "server", "timeout")) if failed else None,
            usage=None if failed or not told else used,
            price=None if endpoint == "local" else 0 if failed else used.input * 250 + used.output * 2_000,
            queue_s=0.01,
            first_token_s=None if failed else first,
            total_s=first + used.output / 80,
            conversation_id=f"c{number // EACH:08}",
        )


def _fill(connection: Connection, count: int) -> None:
    """Store the table with all that is kept beside it, as one by one would, but at once."""
    sums: dict[tuple[Any, ...], Sums] = {}
    spent: dict[tuple[Any, ...], Sums] = {}
    by_hour: dict[tuple[Any, ...], Sums] = {}
    classes: Counter[tuple[Any, ...]] = Counter()
    recent: Counter[tuple[Any, ...]] = Counter()
    made = _made(count)
    while some := list(islice(made, _AT_ONCE)):
        connection.execute(insert(requests), [_row(one) for one in some])
        for one in some:
            added, day, place = sums_of(one), (day_of(one.at) - _EPOCH).days, (one.endpoint, one.model)
            how = (OWNER, day, *place, one.kind, one.status, one.error or "")
            where, when = (OWNER, one.conversation_id, day, *place), (OWNER, hour_of(one.at))
            for of, key in ((sums, how), (spent, where), (by_hour, when)):
                of[key] = of[key] + added if key in of else added
            for measure, number in timed(one).items():
                classes[OWNER, *place, measure, number, day] += 1
                if measure in TIMED:
                    recent[*when, measure, number] += 1
    for table, found in ((tallies, sums), (costs, spent), (hours, by_hour)):
        names = [column.name for column in table.columns if not column.primary_key]
        _insert(table, connection, ((*key, *(getattr(one, name) for name in names)) for key, one in found.items()))
    for table, counted in ((timings, classes), (hour_timings, recent)):
        _insert(table, connection, ((*key, many) for key, many in counted.items()))
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ANALYZE")  # as its autovacuum does within a minute


def _row(one: Measured) -> dict[str, Any]:
    plain = ("id", "conversation_id", "endpoint", "model", "kind", "status", "error", "price", "retries")
    times = {name: getattr(one, name) for name in ("queue_s", "first_token_s", "total_s")}
    told = {name: getattr(one, name) for name in plain}
    return told | times | {"owner": OWNER, "at": milliseconds(one.at), **stored_rows.from_usage(one.usage)}


def _insert(table: Table, connection: Connection, rows: Iterator[tuple[Any, ...]]) -> None:
    names = table.columns.keys()
    while some := list(islice(rows, _AT_ONCE)):
        connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in some])


async def _store(where: Path | str, count: int) -> None:
    store = await Store.open(where)
    await store._database.write(_fill, count)
    await store.close()


if __name__ == "__main__":
    place = sys.argv[1]
    asyncio.run(_store(place if "://" in place else Path(place), int(sys.argv[2])))
