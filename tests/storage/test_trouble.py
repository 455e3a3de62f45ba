"""Trouble with the storage: each is told in a sentence, nothing is half done, and when it ends all goes on."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path

import pytest

from services.errors import StorageError
from services.events import TextDelta
from services.messages import new_id
from services.storage.engine import Database
from services.storage.engine_sqlite import SQLite
from services.storage.store import Store
from tests.storage import make
from tests.storage.make import ANN

ROOT = Path(__file__).parents[2]
LONG = "rain " * 50_000

Trouble = Callable[[Store, Path], AbstractAsyncContextManager[None]]


@pytest.fixture
async def brisk(path: Path) -> AsyncIterator[Store]:
    """A store that does not wait long for locks."""
    dialect = SQLite(path, busy_timeout_ms=100)
    dialect.prepare()
    store = Store(path, await Database.open(dialect), dialect, lambda: make.WHEN)
    yield store
    await store.close()


async def _pragma(store: Store, words: str) -> None:
    """Set something on the connection that writes, beside all transactions."""
    with store._database.writer.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.execute(f"PRAGMA {words}")


@asynccontextmanager
async def _locked(_store: Store, path: Path) -> AsyncIterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@asynccontextmanager
async def _full(store: Store, _path: Path) -> AsyncIterator[None]:
    await _pragma(store, "max_page_count=1")  # SQLite raises it to the present size
    yield
    await _pragma(store, "max_page_count=1000000")


@asynccontextmanager
async def _read_only(store: Store, _path: Path) -> AsyncIterator[None]:
    await _pragma(store, "query_only=ON")
    yield
    await _pragma(store, "query_only=OFF")


@asynccontextmanager
async def _failing_disk(_store: Store, path: Path) -> AsyncIterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # no file grows past its first page
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


TROUBLES: dict[str, tuple[Trouble, str]] = {
    "read-only": (_read_only, r"is read-only\. Give the user that runs Panelist the right"),
    "locked": (_locked, r"Another program keeps .* locked\. Close that program"),
    "full": (_full, r"is full\. Free some space"),
    "failing disk": (_failing_disk, r"reported an error\. Check the disk"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_every_write_fails_whole_reading_goes_on_and_the_end_is_noticed(
    brisk: Store, path: Path, trouble: str
) -> None:
    begin, sentence = TROUBLES[trouble]
    writing, cut = await make.asked(brisk), await make.asked(brisk)
    await make.stop(brisk, cut.run_id, "Beca")
    calls: list[Callable[[], Awaitable[object]]] = [
        brisk.check,
        lambda: make.asked(brisk, LONG),
        lambda: brisk.append_events(writing.run_id, make.numbered(TextDelta(LONG))),
        lambda: make.finish(brisk, writing.run_id, LONG),
    ]
    before = make.Rows(path).count()
    async with begin(brisk, path):
        for call in calls:
            with pytest.raises(StorageError, match=sentence):
                await call()
            assert len(await brisk.conversations(ANN)) == 2
            assert (await brisk.path(ANN, cut.conversation.id))[-1].text == "Beca"
    assert make.Rows(path).count() == before
    for call in calls:  # tried again, each does what it was to do
        await call()
    assert (await brisk.path(ANN, writing.conversation.id))[-1].text == LONG
    assert (await brisk.resume_run(ANN, cut.conversation.id, cut.answer.id, new_id())).fresh
    assert make.Rows(path).count()["conversations"] == 3


async def test_checking_leaves_nothing(store: Store, rows: make.Rows) -> None:
    await make.asked(store)
    before, listed = rows.count(), await store.conversations(ANN)
    for _ in range(3):
        await store.check()
    assert rows.count() == before
    assert await store.conversations(ANN) == listed


def test_a_disk_that_fills_up_and_is_emptied_again(tmp_path: Path) -> None:
    command = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=2m tmpfs "$1" && shift && exec "$@"', "sh"]
    if sys.platform != "linux" or subprocess.run([*command, tmp_path, "true"], capture_output=True).returncode != 0:
        pytest.skip("a small disk takes the right to mount one; max_page_count stands in for it above")
    done = subprocess.run(
        [*command, tmp_path, sys.executable, "-c", _FILLED, tmp_path], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told, read, then = done.stdout.splitlines()
    assert told == f"The disk that holds {tmp_path / 'panelist.db'} is full. Free some space, then try again."
    assert (read, then) == ("read on", "written")


_FILLED = """
import asyncio, sys
from pathlib import Path
from services.errors import StorageError
from services.storage.store import Store
from tests.storage import make
async def main():
    folder = Path(sys.argv[1])
    store = await Store.open(folder / "panelist.db")
    first = await make.asked(store)
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    try:
        while True:
            await make.asked(store, "rain " * 5_000)
    except StorageError as error:
        print(error)
    assert len(await store.path(make.ANN, first.conversation.id)) == 2
    print("read on")
    ballast.unlink()
    await store.check()
    await make.finish(store, first.run_id)
    print("written")
    await store.close()
asyncio.run(main())
"""


@pytest.fixture
async def filled(path: Path) -> Path:
    store = await Store.open(path)
    for n in range(20):
        await make.finish(store, (await make.asked(store, f"{n} " * 500)).run_id)
    await store.close()
    return path


def _damages(data: bytes) -> Iterator[bytes]:
    """Flip the bytes of the beginning of each page, where SQLite keeps what the page is."""
    for page in range(4096, len(data), 4096):
        yield data[:page] + bytes(byte ^ 0xFF for byte in data[page : page + 16]) + data[page + 16 :]


async def test_flipped_bytes_are_noticed_at_the_start_and_the_file_is_left_alone(filled: Path) -> None:
    whole = filled.read_bytes()
    told = []
    for damaged in _damages(whole):
        filled.write_bytes(damaged)
        try:
            await (await Store.open(filled)).close()  # a page without structure: the middle of a long text
        except StorageError as error:
            told.append(str(error))
        assert filled.read_bytes() == damaged
        assert {file.name for file in filled.parent.iterdir()} <= {
            *(f"panelist.db{ending}" for ending in ("", ".lock", "-wal", "-shm"))
        }
    assert len(told) > len(whole) // 4096 * 0.8
    assert all(f"{filled} is damaged. It was left as it is; restore it from a backup" in sentence for sentence in told)
    assert all("cli.py restore FILE" in sentence for sentence in told)
    for ending in ("-wal", "-shm"):
        filled.with_name(f"panelist.db{ending}").unlink(missing_ok=True)
    filled.write_bytes(whole)
    store = await Store.open(filled)
    assert len(await store.conversations(ANN)) == 20
    await store.close()


async def test_a_damaged_file_with_a_log_of_a_killed_server_is_left_alone_too(filled: Path) -> None:
    with closing(sqlite3.connect(filled, isolation_level=None)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute("INSERT INTO dropped_parameters VALUES ('a', 'b')")
        wal = filled.with_name("panelist.db-wal").read_bytes()
    damaged = next(_damages(filled.read_bytes()))
    filled.write_bytes(damaged)
    filled.with_name("panelist.db-wal").write_bytes(wal)
    with pytest.raises(StorageError, match="is damaged"):
        await Store.open(filled)
    assert filled.read_bytes() == damaged
    assert filled.with_name("panelist.db-wal").read_bytes() == wal
