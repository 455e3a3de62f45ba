"""Copies of the database: whole, private, never over anything, and back again."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from services.errors import StorageError
from services.events import TextDelta
from services.storage.backup import backup, restore
from services.storage.store import Store
from tests.storage import make
from tests.storage.make import ANN, Rows

ROOT = Path(__file__).parents[2]


async def _filled(path: Path, *texts: str) -> None:
    store = await Store.open(path)
    for text in texts:
        await make.finish(store, (await make.asked(store, text)).run_id)
    await store.close()


async def _questions(path: Path) -> list[str]:
    store = await Store.open(path)
    found = [(await store.path(ANN, one.id))[0].text for one in await store.conversations(ANN)]
    await store.close()
    return found


def _files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


async def test_a_backup_made_while_the_app_writes_is_whole(path: Path, tmp_path: Path) -> None:
    async def write() -> None:
        for n in range(200):
            seq = make.numbered(TextDelta(f"{n} "), start=n + 1)
            await store.append_events(new.run_id, seq)
            acknowledged.append(n)

    acknowledged: list[int] = []
    store = await Store.open(path)
    new = await make.asked(store, "Is it whole?")
    writing = asyncio.create_task(write())
    copies = []
    while not writing.done():
        copies.append((tmp_path / f"copy{len(copies)}.db", len(acknowledged)))
        await store.backup(copies[-1][0])
    await writing
    assert len(await store.events(ANN, new.run_id)) == 200
    await store.close()
    for copy, at_least in copies:
        with closing(sqlite3.connect(copy)) as connection:
            seqs = [seq for (seq,) in connection.execute("SELECT seq FROM run_events ORDER BY seq")]
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) >= at_least
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert len(copies) > 1
    assert _files(tmp_path) == sorted([*(copy.name for copy, _ in copies), "data"])


async def test_another_process_can_back_up_and_leaves_no_trace(path: Path, tmp_path: Path) -> None:
    store = await Store.open(path)
    await make.asked(store, "Kept?")
    before = path.read_bytes(), path.with_name("panelist.db-wal").read_bytes()
    script = "import sys; from pathlib import Path; from services.storage.backup import backup; "
    script += "backup(Path(sys.argv[1]), Path(sys.argv[2]))"
    subprocess.run([sys.executable, "-c", script, str(path), str(tmp_path / "copy.db")], cwd=ROOT, check=True)
    assert (path.read_bytes(), path.with_name("panelist.db-wal").read_bytes()) == before
    await make.asked(store, "And on.")
    await store.close()
    assert await _questions(tmp_path / "copy.db") == ["Kept?"]


async def test_there_and_back_again(path: Path, tmp_path: Path) -> None:
    await _filled(path, "first")
    backup(path, tmp_path / "copy.db")
    await _filled(path, "second")
    kept = restore(tmp_path / "copy.db", path)
    assert kept is not None
    assert await _questions(path) == ["first"]
    assert await _questions(kept) == ["second", "first"]
    assert kept.name.startswith("panelist.db.before-restore-")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (tmp_path / "copy.db").exists()


async def test_into_an_empty_place(path: Path, tmp_path: Path) -> None:
    await _filled(path, "first")
    assert restore(path, tmp_path / "new" / "panelist.db") is None
    assert await _questions(tmp_path / "new" / "panelist.db") == ["first"]


async def test_what_a_killed_server_left_is_backed_up_and_set_aside_whole(path: Path, tmp_path: Path) -> None:
    backup(path, tmp_path / "empty.db")
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(path)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.with_name("panelist.db-wal").stat().st_size > 0
    backup(path, tmp_path / "copy.db")
    assert (Rows(tmp_path / "copy.db")).count()["messages"] == 2
    kept = restore(tmp_path / "empty.db", path)
    assert kept is not None
    assert await _questions(path) == []  # the old -wal is not taken for the new database's
    assert await _questions(kept) == ["Why does it rain?"]


_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from services.storage.store import Store
from tests.storage import make
async def main():
    await make.asked(await Store.open(Path(sys.argv[1])))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


@pytest.mark.parametrize("there", ["file", "folder", "link", "dangling", "itself"])
def test_a_backup_goes_over_and_through_nothing(path: Path, tmp_path: Path, there: str) -> None:
    target = tmp_path / "copy.db"
    elsewhere = tmp_path / "elsewhere"
    match there:
        case "file":
            target.write_text("mine")
        case "folder":
            target.mkdir()
        case "link":
            elsewhere.write_text("mine")
            target.symlink_to(elsewhere)
        case "dangling":
            target.symlink_to(elsewhere)
        case "itself":
            target = path
    before = path.read_bytes(), _files(tmp_path)
    with pytest.raises(StorageError, match=r"is there already, and a backup replaces nothing\. Name a new file"):
        backup(path, target)
    assert (path.read_bytes(), _files(tmp_path)) == before
    assert there != "link" or elsewhere.read_text() == "mine"


def test_a_backup_that_cannot_be_made_says_so_and_leaves_nothing(path: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"copy.db cannot be written \(No such file"):
        backup(path, tmp_path / "nowhere" / "copy.db")
    with pytest.raises(StorageError, match="does not exist, so there is nothing to back up"):
        backup(tmp_path / "none.db", tmp_path / "copy.db")
    path.write_bytes(_flipped(path.read_bytes()))
    with pytest.raises(StorageError, match=r"panelist\.db is damaged\. It was left as it is"):
        backup(path, tmp_path / "copy.db")
    assert _files(tmp_path) == ["data"]


async def test_nothing_is_restored_under_a_running_server(path: Path, tmp_path: Path) -> None:
    backup(path, tmp_path / "copy.db")
    store = await Store.open(path)
    with pytest.raises(StorageError, match="Another Panelist server is already using"):
        restore(tmp_path / "copy.db", path)
    await make.asked(store)
    await store.close()
    assert len(_files(path.parent)) == 2


def _flipped(data: bytes) -> bytes:
    return data[:4096] + bytes(byte ^ 0xFF for byte in data[4096:12288]) + data[12288:]


def test_only_a_whole_database_of_a_known_panelist_is_restored(path: Path, tmp_path: Path) -> None:
    before, files = path.read_bytes(), _files(path.parent)
    source = tmp_path / "source.db"

    def refusal() -> str:
        with pytest.raises(StorageError) as caught:
            restore(source, path)
        assert path.read_bytes() == before
        assert set(_files(path.parent)) <= {*files, "panelist.db.lock"}
        return str(caught.value)

    assert "does not exist" in refusal()
    source.symlink_to(path)
    assert "is the database itself" in refusal()
    source.unlink()
    source.hardlink_to(path)
    assert "is the database itself" in refusal()
    source.unlink()
    source.write_text("Dear diary, today it rained.")
    assert "is not a database" in refusal()
    source.write_bytes(b"")
    assert "is not a database of Panelist's" in refusal()
    source.write_bytes(_flipped(before))
    assert f"{source} is damaged" in refusal()
    source.write_bytes(before[:6000])
    assert f"{source} is damaged" in refusal()
    shutil.copy(path, source)
    Rows(source).execute("UPDATE alembic_version SET version_num = '9999'")
    assert "was written by a newer Panelist" in refusal()
    source.unlink()
    Rows(source).execute("CREATE TABLE bookmarks (url TEXT)")
    assert "is not a database of Panelist's" in refusal()


async def test_a_damaged_database_is_kept_beside_the_restored_one(path: Path, tmp_path: Path) -> None:
    await _filled(path, "first")
    backup(path, tmp_path / "copy.db")
    damaged = _flipped(path.read_bytes())
    path.write_bytes(damaged)
    kept = restore(tmp_path / "copy.db", path)
    assert kept is not None
    assert kept.read_bytes() == damaged
    assert await _questions(path) == ["first"]


def test_postgresql_has_tools_of_its_own(tmp_path: Path) -> None:
    url = "postgresql://me:canary@db.example.org/panelist"
    for call in (lambda: backup(url, tmp_path / "copy.db"), lambda: restore(tmp_path / "copy.db", url)):
        with pytest.raises(StorageError, match=r"'panelist' at db\.example\.org:5432 is copied by.*pg_dump") as caught:
            call()
        assert "canary" not in str(caught.value)
