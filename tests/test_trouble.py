"""Storage trouble is told when it begins and when it ends, whoever met it."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from services import trouble
from services.errors import StorageError
from services.trouble import StorageTrouble
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.scripted import ScriptedProvider, answer


class Disk:
    def __init__(self) -> None:
        self.error: StorageError | None = None
        self.checks = 0

    async def check(self) -> None:
        self.checks += 1
        if self.error is not None:
            raise self.error


@pytest.fixture
def disk() -> Disk:
    return Disk()


async def changed(watched: StorageTrouble) -> str | None:
    """Wait until something else is told, and return it."""
    bell = asyncio.Event()
    watched.on_change = bell.set
    async with asyncio.timeout(10):
        await bell.wait()
    return watched.sentence


async def test_it_is_told_while_it_lasts(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble, "CHECK_S", 0.001)
    watched = StorageTrouble(disk.check)
    disk.error = StorageError("The disk is full.")
    watched.suspect()
    watched.suspect()
    assert await changed(watched) == "The disk is full."
    disk.error = StorageError("The disk is gone.")
    assert await changed(watched) == "The disk is gone."
    disk.error = None
    assert await changed(watched) is None
    checks = disk.checks
    await asyncio.sleep(0.02)
    assert disk.checks == checks, "a disk that works is left alone"


async def test_what_failed_for_a_reason_of_its_own_is_no_trouble(disk: Disk) -> None:
    watched = StorageTrouble(disk.check)
    told: list[str | None] = []
    watched.on_change = lambda: told.append(watched.sentence)
    watched.suspect()
    await asyncio.sleep(0.01)
    assert (told, disk.checks) == ([], 1)


async def test_what_somebody_cannot_store_is_told_until_it_is_stored(disk: Disk) -> None:
    watched = StorageTrouble(disk.check)
    watched.report("run 1", StorageError("Not stored."))
    watched.report("run 2", StorageError("Not stored either."))
    watched.suspect()
    await asyncio.sleep(0.01)
    assert watched.sentence == "Not stored."
    watched.report("run 1", None)
    assert watched.sentence == "Not stored either."
    watched.report("run 2", None)
    assert watched.sentence is None


async def test_a_locked_database_is_told_and_untold_without_a_run(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await open_app(ScriptedProvider(answer("One"), answer("Two")))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "First"))
    here = done.conversation.id
    changes = app.chat.changes.listen(OWNER)
    other = sqlite3.connect(tmp_path / "data" / "panelist.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError):
        await app.chat.catalogue.rename(OWNER, here, "Rename")
    async with asyncio.timeout(30):
        while app.chat.trouble is None:
            await anext(changes)
    assert "locked" in app.chat.trouble
    assert (await app.chat.open(OWNER, here)).path == done.path, "reading goes on"
    other.execute("ROLLBACK")
    other.close()
    async with asyncio.timeout(30):
        while app.chat.trouble is not None:
            await anext(changes)
    await whole_run(app.chat, await app.chat.send(OWNER, "Second", conversation_id=here))
