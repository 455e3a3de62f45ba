"""Attached files: whole on the disk before they are named, each owner's own, gone when nobody wants them."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from services.conversation import Queued
from services.errors import NotFoundError, StorageError
from services.messages import AttachmentPart, TextPart, new_id
from services.storage.backup import backup, restore
from services.storage.files import UPLOADS, Files
from services.storage.store import UNSENT, Store
from tests.storage import make
from tests.storage.make import ANN, BEN

ROOT = Path(__file__).parents[2]
DATA = b"Rain, rain.\n"


async def send(store: Store, *attachments: AttachmentPart, owner: str = ANN) -> make.Exchange:
    new = make.exchange(make.conversation())
    new = replace(new, question=replace(new.question, parts=(*attachments, TextPart("What is this?"))))
    await make.begin(store, new, owner)
    return new


async def kept(store: Store, data: bytes = DATA, owner: str = ANN, name: str = "a.txt") -> AttachmentPart:
    return await store.add_attachment(owner, name, "text/plain", data)


async def test_a_message_comes_back_with_its_attachments(store: Store) -> None:
    first, second = await kept(store), await kept(store, b"more", name="b.txt")
    new = await send(store, first, second)
    [question, _] = await store.path(ANN, new.conversation.id)
    assert question.attachments == (first, second)
    assert question.text == "What is this?"
    assert await store.attachment_bytes(ANN, first.sha256) == DATA


async def test_a_message_that_waits_keeps_its_attachments(store: Store) -> None:
    new = await make.asked(store)
    waits = Queued(id=new_id(), text="", created_at=make.WHEN, attachments=(await kept(store),))
    await store.enqueue(ANN, new.conversation.id, waits)
    assert await store.queue(ANN, new.conversation.id) == [waits]


async def test_nobody_sends_what_is_somebody_elses_or_was_never_there(store: Store, rows: make.Rows) -> None:
    bens = await kept(store, owner=BEN)
    before = rows.count()
    with pytest.raises(NotFoundError, match=r"“a\.txt” is not on this server any more"):
        await send(store, bens)
    assert rows.count() == before, "nothing of it was stored"
    here = await make.asked(store)
    with pytest.raises(NotFoundError):
        await store.enqueue(
            ANN, here.conversation.id, Queued(id="q", text="", created_at=make.WHEN, attachments=(bens,))
        )
    assert await store.queue(ANN, here.conversation.id) == []
    assert await kept(store) == bens, "the same bytes are kept once"
    await send(store, bens)


@pytest.mark.parametrize("sha256", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 65, "\0" * 64])
async def test_only_a_hash_names_a_file(store: Store, tmp_path: Path, sha256: str) -> None:
    with pytest.raises(NotFoundError):
        await store.attachment_bytes(ANN, sha256)
    with pytest.raises(NotFoundError):
        Files(tmp_path).read(sha256)


async def test_what_is_damaged_is_told(store: Store, tmp_path: Path) -> None:
    one = await kept(store)
    place = Files(tmp_path / "attachments").place(one.sha256)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    place.write_bytes(DATA[:-1])
    with pytest.raises(StorageError, match="is damaged"):
        await store.attachment_bytes(ANN, one.sha256)
    await kept(store)
    assert await store.attachment_bytes(ANN, one.sha256) == DATA, "the same file once more mends it"
    place.unlink()
    with pytest.raises(NotFoundError, match="Attach it again"):
        await store.attachment_bytes(ANN, one.sha256)


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "attachments").write_text("a file")
    with pytest.raises(StorageError, match="cannot be written"):
        Files(tmp_path / "attachments").add(DATA)


async def test_what_was_never_sent_goes_after_a_week(where: Path | str, tmp_path: Path) -> None:
    now = [make.WHEN]
    store = await Store.open(where, attachments=tmp_path / "attachments", now=lambda: now[0])
    files = Files(tmp_path / "attachments")
    sent, unsent, bens, again = [await kept(store, word) for word in (b"sent", b"unsent", b"ben's too", b"again")]
    await kept(store, b"ben's too", owner=BEN)
    await send(store, bens, owner=BEN)
    await send(store, sent)
    now[0] += UNSENT - timedelta(seconds=1)
    await kept(store, b"again")
    assert await store.remove_orphans() == 0
    now[0] += timedelta(seconds=2)
    if isinstance(where, Path):
        set_aside = where.with_name("panelist.db.before-restore-1")
        set_aside.touch()
        assert await store.remove_orphans() == 0, "the database that was set aside may name them"
        set_aside.unlink()
    assert await store.remove_orphans() == 1
    assert [files.has(one.sha256) for one in (sent, unsent, bens, again)] == [True, False, True, True]
    with pytest.raises(NotFoundError):
        await send(store, unsent)
    await store.close()


async def test_what_is_erased_takes_the_files_along_that_nothing_else_names(store: Store, tmp_path: Path) -> None:
    files = Files(tmp_path / "attachments")
    alone, twice, waits, bens, draft = [await kept(store, word) for word in (b"1", b"2", b"3", b"4", b"5")]
    await kept(store, b"4", owner=BEN)
    await send(store, bens, owner=BEN)
    await send(store, twice)
    await send(store, waits)
    gone = await send(store, alone, twice, bens)
    queued = Queued(id=new_id(), text="", created_at=make.WHEN, attachments=(waits,))
    await store.enqueue(ANN, gone.conversation.id, queued)
    await make.finish(store, gone.run_id)
    await store.delete(ANN, gone.conversation.id)
    assert files.has(alone.sha256), "it can be restored"
    await store.erase(ANN, gone.conversation.id)
    assert [files.has(one.sha256) for one in (alone, twice, waits, bens, draft)] == [False, True, True, True, True]
    assert await store.attachment_bytes(BEN, bens.sha256) == b"4"
    for mine in (alone, bens):
        with pytest.raises(NotFoundError):
            await store.attachment_bytes(ANN, mine.sha256)
    await send(store, await kept(store, b"1"))
    assert files.has(alone.sha256), "it can be attached again"


async def test_what_never_came_to_its_end_goes_after_a_day(store: Store, tmp_path: Path) -> None:
    old, young = await store.begin_upload(), await store.begin_upload()
    os.utime(old, (time.time() - 90_000,) * 2)
    await store.remove_orphans()
    assert [file.name for file in (tmp_path / "attachments" / UPLOADS).iterdir()] == [young.name]


async def test_there_and_back_again(path: Path, tmp_path: Path) -> None:
    store = await Store.open(path)
    one = await kept(store, b"x" * 500_000)
    new = await send(store, one)
    gone = await kept(store, b"gone", name="gone.txt")
    await store.close()
    Files.of(path, None).remove([gone.sha256])
    backup(path, tmp_path / "copy.db")
    elsewhere = tmp_path / "new" / "panelist.db"
    restore(tmp_path / "copy.db", elsewhere)
    assert elsewhere.stat().st_size < 500_000, "the files are out of the database again"
    store = await Store.open(elsewhere)
    [question, _] = await store.path(ANN, new.conversation.id)
    assert await store.attachment_bytes(ANN, question.attachments[0].sha256) == b"x" * 500_000
    await store.backup(tmp_path / "again.db")
    await store.close()
    restore(elsewhere, tmp_path / "third" / "panelist.db")  # no backup, but a database with its files beside it
    assert Files.of(tmp_path / "third" / "panelist.db", None).has(one.sha256)
    restore(tmp_path / "again.db", elsewhere)


async def test_a_kill_leaves_no_message_without_its_files(path: Path) -> None:
    for calls in range(1, 40, 3):
        script = [sys.executable, "-c", _KILLED, str(path), str(calls)]
        done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode in {0, -signal.SIGKILL}, done.stderr
        store = await Store.open(path)
        for one in await store.conversations(ANN):
            for attachment in (await store.path(ANN, one.id))[0].attachments:
                data = await store.attachment_bytes(ANN, attachment.sha256)
                assert hashlib.sha256(data).hexdigest() == attachment.sha256
        await store.close()
        if done.returncode == 0:
            assert calls > 4
            return
    pytest.fail("it was killed each time")


_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from services.storage.store import Store
from tests.storage.test_files import kept, send
async def main():
    store = await Store.open(Path(sys.argv[1]))
    left = int(sys.argv[2])
    def counted(event, _):
        nonlocal left
        if event in {"open", "os.rename", "os.mkdir", "sqlite3.execute", "os.truncate"}:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(counted)
    for n in range(3):
        await send(store, await kept(store, b"%d" % n * 100_000))
    os._exit(0)
asyncio.run(main())
"""
