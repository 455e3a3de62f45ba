from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from services.errors import StorageError
from services.storage.store import Store
from tests.storage import make

ROOT = Path(__file__).parents[2]


async def _refusal(path: Path) -> str:
    with pytest.raises(StorageError) as caught:
        await Store.open(path)
    return str(caught.value)


async def test_folder_and_files_are_made_and_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "data" / "panelist.db"
    store = await Store.open(path)
    await make.asked(store)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["panelist.db", "panelist.db-shm", "panelist.db-wal", "panelist.db.lock"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    await store.close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["panelist.db", "panelist.db.lock"]


async def test_what_was_stored_is_there_after_opening_again(where: Path | str) -> None:
    store = await Store.open(where)
    new = await make.asked(store, "Is it kept?")
    await store.close()
    store = await Store.open(where)
    assert [message.text for message in await store.path(make.ANN, new.conversation.id)] == ["Is it kept?", ""]
    await store.close()


async def test_a_url_names_a_file_too(path: Path) -> None:
    store = await Store.open(f"sqlite:///{path}")
    assert "PostgreSQL" in await _refusal(path)
    await store.close()


async def test_a_second_server_is_refused_until_the_first_has_gone(path: Path, tmp_path: Path) -> None:
    first = await Store.open(path)
    sentence = await _refusal(path)
    assert sentence.startswith(f"Another Panelist server is already using {path}")
    assert "PostgreSQL" in sentence
    (tmp_path / "alias.db").symlink_to(path)
    assert "PostgreSQL" in await _refusal(tmp_path / "alias.db")
    await first.close()
    await (await Store.open(path)).close()


async def test_a_second_server_in_another_process_is_refused(path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert "PostgreSQL" in await _refusal(path)
        holder.kill()
    # However it died, its lock is gone.
    await (await Store.open(path)).close()


_HOLD = """
import sys
from pathlib import Path
from services.storage.lock import DatabaseLock
lock = DatabaseLock.take(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("garbage", [b"x", b"not a database\n" * 1000, b"\x00" * 4096], ids=["tiny", "large", "zeros"])
async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(garbage)
    for _ in range(2):  # the lock was let go
        assert "is not a database. It was left as it is" in await _refusal(path)
    assert path.read_bytes() == garbage
    assert not path.with_name("notes.txt-wal").exists()


async def test_a_cut_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6000])
    before = path.read_bytes()
    assert f"{path} is damaged. It was left as it is" in await _refusal(path)
    assert path.read_bytes() == before


async def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "is a folder. Name a file in it" in await _refusal(tmp_path)


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    sentence = await _refusal(tmp_path / "file" / "panelist.db")
    assert "cannot be written" in sentence
    assert "right to write" in sentence


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no files, even from root")
async def test_a_place_that_takes_no_files_is_refused() -> None:
    assert "cannot be written" in await _refusal(Path("/proc/panelist.db"))


@pytest.mark.parametrize("read_only", ["folder", "file"])
def test_without_the_right_to_write_it_is_refused(path: Path, read_only: str) -> None:
    command = [sys.executable, "-c", _OPEN, str(path)]
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and there is no setpriv to take that away")
        command = ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search", *command]
    target = path.parent if read_only == "folder" else path
    target.chmod(0o500)
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    finally:
        target.chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{path} cannot be written (Permission denied). Give the user that runs Panelist")


_OPEN = """
import asyncio, sys
from pathlib import Path
from services.errors import StorageError
from services.storage.store import Store
try:
    asyncio.run(Store.open(Path(sys.argv[1])))
except StorageError as error:
    print(error)
"""


async def test_a_closed_store_says_so(where: Path | str) -> None:
    store = await Store.open(where)
    await store.close()
    await store.close()
    with pytest.raises(StorageError, match="is closed"):
        await store.conversations(make.ANN)


async def test_a_reader_beside_a_server_writes_nothing(where: Path | str) -> None:
    store = await Store.open(where)
    new = await make.asked(store, "Is it read?")
    reader = await Store.beside(where)
    try:
        assert [message.text for message in await reader.path(make.ANN, new.conversation.id)] == ["Is it read?", ""]
        await make.finish(store, new.run_id)
        assert (await reader.path(make.ANN, new.conversation.id))[-1].status == "complete"
        with pytest.raises(StorageError):
            await reader.delete(make.ANN, new.conversation.id)
    finally:
        await reader.close()
    assert await store.conversations(make.ANN)
    await store.close()


async def test_a_reader_makes_no_database(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="Start Panelist once"):
        await Store.beside(tmp_path / "data" / "panelist.db")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "panelist.db").write_bytes(b"")
    with pytest.raises(StorageError, match="not of this version"):
        await Store.beside(tmp_path / "panelist.db")
