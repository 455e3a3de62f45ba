from __future__ import annotations

import asyncio
import sqlite3
import threading
import traceback
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from services.errors import NotFoundError, StorageError
from services.storage.engine import READERS, Database
from services.storage.engine_sqlite import SQLite
from services.storage.schema import dropped_parameters

COMMON = {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 200, "mmap_size": 0}
WRITER = {**COMMON, "synchronous": 2, "query_only": 0, "wal_autocheckpoint": 1000}
READER = {**COMMON, "query_only": 1, "wal_autocheckpoint": 0}


def _pragmas(connection: Connection, names: list[str]) -> dict[str, object]:
    return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}


def _add(connection: Connection, parameter: str = "top_p") -> None:
    connection.execute(insert(dropped_parameters).values(endpoint="local", parameter=parameter))


def _stored(connection: Connection) -> list[str]:
    return list(connection.scalars(select(dropped_parameters.c.parameter)))


async def test_pragmas_of_the_writer(database: Database) -> None:
    assert await database.write(_pragmas, list(WRITER)) == WRITER


async def test_pragmas_of_every_reader(database: Database) -> None:
    def all_at_once(connection: Connection) -> dict[str, object]:
        everybody.wait(10)  # so that no connection is used twice
        return _pragmas(connection, list(READER))

    everybody = threading.Barrier(READERS)
    assert await asyncio.gather(*(database.read(all_at_once) for _ in range(READERS))) == [READER] * READERS


async def test_the_driver_begins_nothing_by_itself(database: Database) -> None:
    def level(connection: Connection) -> str | None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        return driver.isolation_level

    assert await database.write(level) is None
    assert await database.read(level) is None


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(StorageError, match="is read-only"):
        await database.read(_add)


async def test_a_write_that_fails_leaves_nothing(database: Database) -> None:
    def half(connection: Connection) -> None:
        _add(connection)
        raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        await database.write(half)
    assert await database.read(_stored) == []


async def test_reads_go_on_during_a_write_and_see_one_moment(database: Database) -> None:
    def slow(connection: Connection) -> None:
        _add(connection)
        written.set()
        assert go_on.wait(10)

    def twice(connection: Connection) -> list[list[str]]:
        first = _stored(connection)
        go_on.set()
        assert done.wait(10)
        return [first, _stored(connection)]

    async def write() -> None:
        await database.write(slow)
        done.set()

    written, go_on, done = threading.Event(), threading.Event(), threading.Event()
    writing = asyncio.create_task(write())
    await asyncio.to_thread(written.wait, 10)
    assert await database.read(twice) == [[], []]
    await writing
    assert await database.read(_stored) == ["top_p"]


async def test_writes_queue(database: Database) -> None:
    names = [f"p{n:02}" for n in range(20)]
    await asyncio.gather(*(database.write(_add, name) for name in names))
    assert sorted(await database.read(_stored)) == names


async def test_a_cancelled_write_is_carried_out(database: Database) -> None:
    def slow(connection: Connection) -> None:
        begun.set()
        assert go_on.wait(10)
        _add(connection)

    begun, go_on = threading.Event(), threading.Event()
    task = asyncio.create_task(database.write(slow))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await database.write(_add, "stop")  # waits for its turn
    assert await database.read(_stored) == ["top_p", "stop"]


async def test_closing_waits_for_what_has_begun(path: Path) -> None:
    database = await Database.open(SQLite(path))
    writing = asyncio.create_task(database.write(_add))
    await asyncio.sleep(0)
    await database.close()
    await writing
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT parameter FROM dropped_parameters").fetchall() == [("top_p",)]


async def test_waiting_for_a_lock_does_not_hold_up_the_loop(path: Path) -> None:
    database = await Database.open(SQLite(path, busy_timeout_ms=60_000))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(database.write(_add))
        for _ in range(20):
            assert await database.read(_stored) == []
        assert not writing.done()
        other.execute("COMMIT")
    await writing
    await database.close()


async def test_a_lock_that_stays_is_told(database: Database, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match=r"Another program keeps .* locked\. Close that program"):
            await database.write(_add)
        other.execute("ROLLBACK")
    await database.write(_add)


async def test_a_full_disk_is_told_and_later_writes_work(database: Database) -> None:
    def limit(connection: Connection, pages: int) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    await database.write(limit, 1)  # SQLite raises it to the present size
    with pytest.raises(StorageError, match=r"is full\. Free some space, then try again"):
        await database.write(_add, "x" * 100_000)
    await database.write(limit, 1_000_000)
    await database.write(_add)
    assert await database.read(_stored) == ["top_p"]


async def test_damage_is_told(database: Database, path: Path) -> None:
    await database.close()
    pages = path.read_bytes()
    path.write_bytes(pages[:4096] + b"\xff" * (len(pages) - 4096))
    with pytest.raises(StorageError, match=r"is damaged\. It was left as it is; restore it from a backup"):
        await (await Database.open(SQLite(path))).read(_stored)


async def test_any_other_refusal_names_its_code(database: Database) -> None:
    await database.write(_add)
    with pytest.raises(StorageError, match=r"refused an operation \(SQLITE_CONSTRAINT_PRIMARYKEY\)"):
        await database.write(_add)


async def test_what_people_wrote_is_not_in_the_traceback(database: Database) -> None:
    words = ["my", "secret"]
    await database.write(_add, " ".join(words))
    with pytest.raises(StorageError) as caught:
        await database.write(_add, " ".join(words))
    assert "my secret" not in "".join(traceback.format_exception(caught.value))


async def test_an_id_that_is_no_text_is_not_found(database: Database) -> None:
    def look(connection: Connection) -> None:
        connection.exec_driver_sql("SELECT ?", ("\ud800",))

    with pytest.raises(NotFoundError):
        await database.read(look)
