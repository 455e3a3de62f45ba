"""The terminal's door, as a person uses it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.runtime import open_runtime
from services.settings import LOCAL_OWNER, read_settings
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.scripted import ScriptedProvider, answer
from tests.test_uploads import attached, named

ROOT = Path(__file__).parent.parent


def cli(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "/usr/bin:/bin", "PANELIST_DATA_DIR": str(folder / "data"), "HOME": str(folder)}
    command = [sys.executable, "cli.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)


async def test_a_backup_made_while_the_app_writes_comes_back_whole(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await open_app(ScriptedProvider(answer("kept"), answer("lost again")), PANELIST_DATA_DIR="data")
    one = await attached(app.chat, b"Keep that, too")
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Keep this", attachments=named(one)))
    made = cli(tmp_path, "backup", str(tmp_path / "copy.db"))
    assert (made.returncode, made.stderr) == (0, "")
    await whole_run(app.chat, await app.chat.send(OWNER, "Not in the copy"))
    running = cli(tmp_path, "restore", str(tmp_path / "copy.db"))
    assert running.returncode == 1, "not under a running server"
    assert "Traceback" not in running.stderr
    await app.close()
    shutil.rmtree(tmp_path / "data" / "attachments")
    restored = cli(tmp_path, "restore", str(tmp_path / "copy.db"))
    assert restored.returncode == 0, restored.stderr
    again = await open_runtime(read_settings({}, tmp_path), provider=ScriptedProvider())
    try:
        assert [c.title for c in await again.chat.catalogue.conversations(OWNER)] == ["Keep this"]
        assert (await again.chat.open(OWNER, done.conversation.id)).path == done.path
        assert await again.chat.attachment(OWNER, one.sha256) == ("text/plain", b"Keep that, too")
    finally:
        await again.close()


@pytest.mark.parametrize("arguments", [["backup", "copy.db"], ["restore", "gone.db"]])
def test_what_cannot_be_done_is_one_sentence(tmp_path: Path, arguments: list[str]) -> None:
    ended = cli(tmp_path, arguments[0], str(tmp_path / arguments[1]))
    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1
    assert ended.stderr.strip().endswith(".")


def test_wrong_use_is_exit_code_2(tmp_path: Path) -> None:
    assert cli(tmp_path, "backup").returncode == 2
    assert cli(tmp_path, "nonsense").returncode == 2


async def test_conversations_go_out_and_in(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await open_app(ScriptedProvider(answer("Clouds.")), PANELIST_DATA_DIR="data")
    note = await attached(app.chat, b"Rain falls", owner=LOCAL_OWNER)
    sent = await app.chat.send(LOCAL_OWNER, "Why does it rain?", attachments=named(note))
    done = await whole_run(app.chat, sent, LOCAL_OWNER)
    made = cli(tmp_path, "export", str(tmp_path / "all.zip"))  # while the app runs
    assert (made.returncode, made.stderr) == (0, "")
    again = cli(tmp_path, "export", str(tmp_path / "all.zip"))
    assert (again.returncode, "Name another file" in again.stderr) == (2, True)
    text = cli(tmp_path, "export", "-", "--as", "markdown", "--conversation", done.conversation.id)
    assert "# Why does it rain?" in text.stdout
    assert "Clouds." in text.stdout
    gone = cli(tmp_path, "export", "-", "--conversation", "unknown")
    assert (gone.returncode, len(gone.stderr.strip().splitlines())) == (2, 1)
    running = cli(tmp_path, "import", str(tmp_path / "all.zip"))
    assert (running.returncode, "already using" in running.stderr) == (1, True)
    await app.close()

    other = tmp_path / "other"
    seen = cli(other, "import", str(tmp_path / "all.zip"), "--preview")
    assert (seen.returncode, seen.stdout) == (
        0,
        "To import: 1. Deleted here, to be brought back: 0. Here already: 0.\n",
    )
    first, second = (cli(other, "import", str(tmp_path / "all.zip")) for _ in range(2))
    assert first.stdout == "Imported 1, brought back 0, here already 0.\n"
    assert second.stdout == "Imported 0, brought back 0, here already 1.\n"
    there = await open_runtime(read_settings({}, other), provider=ScriptedProvider())
    try:
        opened = await there.chat.open(LOCAL_OWNER, done.conversation.id)
        assert [message.parts for message in opened.path] == [message.parts for message in done.path]
        assert await there.chat.attachment(LOCAL_OWNER, note.sha256) == ("text/plain", b"Rain falls")
        assert not list((other / "data" / "attachments" / "uploading").iterdir()), "the file itself is not kept"
    finally:
        await there.close()


def test_what_cannot_be_exported_or_imported_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "junk.json").write_text("junk")
    for code, arguments in (
        (1, ["export", "-"]),  # there is no database yet, and none is made
        (2, ["import", str(tmp_path / "gone.json")]),
        (2, ["import", str(tmp_path / "junk.json")]),
    ):
        ended = cli(tmp_path, *arguments)
        assert ended.returncode == code, ended.stderr
        assert len(ended.stderr.strip().splitlines()) == 1
        if code == 1:
            assert not (tmp_path / "data").exists()
    assert cli(tmp_path, "export", "-", "--as", "smoke").returncode == 2
