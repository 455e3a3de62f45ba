"""What was measured, through its door: sums that equal what servers told, and the table as a file."""

from __future__ import annotations

import csv
import io
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from services import measuring
from services.errors import InputError, StorageError
from services.measures import Measured
from services.measuring import Measuring
from services.runtime import measuring_of
from services.sheets import COLUMNS, SheetKind
from services.statistics import Selection, Sums, day_of
from services.usage import Usage
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.scripted import refusal
from tests.test_budgets import COST, DEAR, USED, opened, told

WHEN = datetime(2026, 11, 1, 12, tzinfo=UTC)


class FakeLedger:
    """Requests in their order, a page at a time."""

    def __init__(self, requests: list[Measured]) -> None:
        self.requests = requests
        self.most = 0

    async def page(self, owner: str, selection: Selection, after: Measured | None, limit: int) -> list[Measured]:
        start = self.requests.index(after) + 1 if after else 0
        self.most = max(self.most, limit)
        return self.requests[start : start + limit]


def one(number: int = 0, **more: Any) -> Measured:
    about: dict[str, Any] = {
        "id": f"r{number}",
        "at": WHEN + timedelta(milliseconds=number),
        "endpoint": "local",
        "model": "tiny",
        "kind": "chat",
        "status": "complete",
        "error": None,
        "usage": Usage(input=30, cached_input=10, output=20, reasoning=5),
        "price": 12_345,
        "queue_s": 0.1,
        "first_token_s": 0.2,
        "total_s": 1.2,
        "retries": 1,
        "conversation_id": "c",
    }
    return Measured(**(about | more))


async def file_of(door: Measuring, kind: SheetKind) -> bytes:
    export = await door.export(OWNER, kind)
    return b"".join([piece async for piece in export.pieces])


async def test_sums_are_what_servers_told(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await opened(open_app, tmp_path, told("Because."), [refusal("rate_limit")], told("So."))
    for question in ("Why?", "refused", "And?"):
        await whole_run(app.chat, await app.chat.send(OWNER, question, options=DEAR))
    stats = await app.measuring.stats(OWNER)
    assert stats.sums == Sums(
        requests=3,
        failed=1,
        untold=1,
        cached=2,
        input=2 * USED.input,
        cached_input=2 * USED.cached_input,
        output=2 * USED.output,
        reasoning=2 * USED.reasoning,
        price=2 * COST,
    )
    assert stats.errors == {"rate_limit": 1}
    [day] = stats.days
    assert (day.sums, day.errors) == (stats.sums, stats.errors)
    [of] = stats.models
    assert (of.endpoint, of.model, of.sums) == ("dear", "model-a", stats.sums)
    assert (of.times.first_token_s.count, of.times.total_s.count) == (2, 2)
    assert (await app.measuring.stats("ben")).sums == Sums()
    titles = {found.title for found in await app.measuring.costly(OWNER)}
    assert titles == {"Why?", "refused", "And?"}


async def test_it_is_read_beside_a_running_server(
    open_app: OpenRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANELIST_DATA_DIR", str(tmp_path / "data"))
    with pytest.raises(StorageError, match="There is no database"):
        async with measuring_of(tmp_path):
            pass
    app = await opened(open_app, tmp_path, told("Because."), told("So."))
    await whole_run(app.chat, await app.chat.send(OWNER, "Why?", options=DEAR))
    async with measuring_of(tmp_path) as beside:
        assert await beside.stats(OWNER) == await app.measuring.stats(OWNER)
        await whole_run(app.chat, await app.chat.send(OWNER, "And?", options=DEAR))
        assert (await beside.stats(OWNER)).sums.requests == 2, "as it is at the moment"
        [head, *rows] = list(csv.reader(io.StringIO((await file_of(beside, "csv")).decode())))
        assert (tuple(head), len(rows)) == (COLUMNS, 2)


async def test_csv_has_every_measure() -> None:
    door = Measuring(FakeLedger([one(), one(1, usage=None, price=None, first_token_s=None, conversation_id=None)]))  # type: ignore[arg-type]
    full, empty = csv.DictReader(io.StringIO((await file_of(door, "csv")).decode()))
    assert full == {
        "id": "r0",
        "at": "2026-11-01T12:00:00.000+00:00",
        "conversation_id": "c",
        "endpoint": "local",
        "model": "tiny",
        "kind": "chat",
        "status": "complete",
        "error": "",
        "input": "30",
        "cached_input": "10",
        "output": "20",
        "reasoning": "5",
        "price_usd": "0.000012345",
        "queue_s": "0.1",
        "first_token_s": "0.2",
        "total_s": "1.2",
        "tokens_per_s": "20.0",
        "retries": "1",
        "cache_hit": "true",
    }
    unknown = ("input", "output", "price_usd", "first_token_s", "tokens_per_s", "cache_hit", "conversation_id")
    assert {empty[name] for name in unknown} == {""}, "unknown is never 0"


@pytest.mark.parametrize("name", ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
async def test_a_name_is_no_formula(name: str) -> None:
    door = Measuring(FakeLedger([one(model=name, endpoint=name, conversation_id=name)]))  # type: ignore[arg-type]
    [row] = csv.DictReader(io.StringIO((await file_of(door, "csv")).decode(), newline=""))
    assert {row["model"], row["endpoint"], row["conversation_id"]} == {f"'{name}"}


async def test_names_with_commas_quotes_and_lines_stay_one_cell() -> None:
    name = 'a "model", of\r\ntwo lines ünd 雨'
    door = Measuring(FakeLedger([one(model=name)]))  # type: ignore[arg-type]
    text = (await file_of(door, "csv")).decode()
    [row] = csv.DictReader(io.StringIO(text, newline=""))
    assert row["model"] == name


async def test_parquet_has_the_same_with_types() -> None:
    door = Measuring(FakeLedger([one(), one(1, usage=None, price=None, error="server", status="failed")]))  # type: ignore[arg-type]
    table = parquet.read_table(io.BytesIO(await file_of(door, "parquet")))
    assert tuple(table.column_names) == COLUMNS
    full, empty = table.to_pylist()
    assert full["at"] == WHEN
    assert full["price_usd"] == Decimal("0.000012345")
    assert (full["input"], full["cache_hit"], full["tokens_per_s"]) == (30, True, 20.0)
    assert (empty["input"], empty["price_usd"], empty["cache_hit"], empty["error"]) == (None, None, None, "server")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("count", [0, 1, measuring.ROWS_AT_ONCE, 2 * measuring.ROWS_AT_ONCE + 1])
async def test_files_are_made_a_page_at_a_time(kind: SheetKind, count: int) -> None:
    ledger = FakeLedger([one(number) for number in range(count)])
    export = await Measuring(ledger).export(OWNER, kind)  # type: ignore[arg-type]
    pieces = [piece async for piece in export.pieces]
    assert len(pieces) <= count // measuring.ROWS_AT_ONCE + 2
    assert max(map(len, pieces)) < 2_000_000
    data = b"".join(pieces)
    if kind == "csv":
        rows = [row["id"] for row in csv.DictReader(io.StringIO(data.decode()))]
    else:
        rows = [row["id"] for row in parquet.read_table(io.BytesIO(data)).to_pylist()]
    assert rows == [each.id for each in ledger.requests]
    assert ledger.most == measuring.ROWS_AT_ONCE
    assert export.name == f"panelist-requests-{day_of(datetime.now(UTC))}.{kind}"


async def test_without_pyarrow_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    door = Measuring(FakeLedger([one()]))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="pip install pyarrow"):
        await door.export(OWNER, "parquet")
    assert await file_of(door, "csv")
