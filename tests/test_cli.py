"""The terminal's door, as a person uses it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.runtime import open_runtime
from services.settings import read_settings
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
