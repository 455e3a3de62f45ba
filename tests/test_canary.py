"""The search for keys finds one wherever it may be. What is planted here is another word than the suite's."""

from __future__ import annotations

import gzip
import json
import logging
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.canary import Watch, may_hold_a_key
from tests.keyed import PLAIN, SHAPED, WORD
from tests.storage.make import Rows
from tests.storage.postgres import own_database

ROOT = Path(__file__).parent.parent
PLANTED = "plantedkeyneverseen"


def in_a_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE messages (text TEXT)")
        database.execute("INSERT INTO messages VALUES (?)", (f"Your key is {PLANTED}.",))


def across_the_pages_of_a_database(path: Path) -> None:
    for length in range(0, 4_096, 6):  # one of these lies on two pages, wherever they begin
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE messages (text TEXT)")
            database.execute("INSERT INTO messages VALUES (?)", ("x" * 2_000 + PLANTED + "x" * (3_000 + length),))
        if PLANTED.encode() not in path.read_bytes():
            return
        path.unlink()
    pytest.fail("it always lies on one page")


def in_a_write_ahead_log(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE messages (text TEXT)")
    database.execute("INSERT INTO messages VALUES (?)", (PLANTED,))
    database.commit()
    for suffix in ("", "-wal"):  # as a kill leaves them
        shutil.copy(f"{path}{suffix}", path.with_name(f"killed{suffix}"))
    database.close()
    path.unlink()
    assert PLANTED.encode() not in path.with_name("killed").read_bytes()


def in_a_log(path: Path) -> None:
    path.write_text("INFO ready\n" * 200_000 + f"ERROR no: Bearer {PLANTED}\n", "utf-8")


def in_an_export(path: Path) -> None:
    path.write_text(json.dumps({"conversations": [{"title": PLANTED}]}), "utf-8")


def in_a_packed_export(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", "x" * 1_000 + PLANTED)
    assert PLANTED.encode() not in path.read_bytes()


def in_a_stream_of_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(("x" * 1_000 + PLANTED).encode()))


def between_two_pieces(path: Path) -> None:
    path.write_bytes(b"x" * ((1 << 20) - 7) + PLANTED.encode())


@pytest.mark.parametrize(
    "plant",
    [
        in_a_database,
        across_the_pages_of_a_database,
        in_a_write_ahead_log,
        in_a_log,
        in_an_export,
        in_a_packed_export,
        in_a_stream_of_gzip,
        between_two_pieces,
    ],
)
def test_it_is_found(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    deep = tmp_path / "data" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / "other").write_text("nothing", "utf-8")
    plant(deep / "planted")
    watch = Watch(PLANTED)
    watch.look_into(tmp_path)
    assert len(watch.found) == 1
    assert str(deep) in watch.found[0]


def test_where_a_key_may_be_is_named(tmp_path: Path) -> None:
    for name in (".env", "main.key", "env", "key", "main.key.log"):
        (tmp_path / name).write_text(PLANTED, "utf-8")
    watch = Watch(PLANTED)
    watch.look_into(tmp_path)
    assert [Path(found.split(":")[0].removeprefix("file ")).name for found in watch.found] == [
        "env",
        "key",
        "main.key.log",
    ]
    assert may_hold_a_key(tmp_path / ".env")


def test_what_is_damaged_is_looked_into_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04" + PLANTED.encode())
    (tmp_path / "b.gz").write_bytes(b"\x1f\x8bnothing")
    (tmp_path / "c.db").write_bytes(b"SQLite format 3\0" + PLANTED[:9].encode())
    watch = Watch(PLANTED)
    watch.look_into(tmp_path)
    assert len(watch.found) == 1


def test_it_is_found_in_postgresql() -> None:
    with own_database() as url:
        Rows(url).execute("CREATE TABLE said (text TEXT, data BYTEA)")
        clean = Watch(PLANTED)
        Rows(url).execute(f"INSERT INTO said VALUES ('{PLANTED[:9]}', NULL)")
        clean.look_into_postgresql(url)
        assert clean.looked["row of PostgreSQL"] == 1
        assert clean.found == []
        Rows(url).execute(f"INSERT INTO said VALUES ('Your key is {PLANTED}', NULL)")
        Rows(url).execute(f"INSERT INTO said VALUES ('', 'ab{PLANTED}'::bytea)")
        watch = Watch(PLANTED)
        watch.look_into_postgresql(url)
        assert len(watch.found) == 2


def test_what_is_told_is_looked_into() -> None:
    watch = Watch(PLANTED)
    watch.look("frame", "here", f'{{"html": "{PLANTED}"}}')
    watch.look("frame", "here", f"\x00{PLANTED}".encode())
    watch.look("frame", "here", "nothing")
    assert (len(watch.found), watch.looked["frame"]) == (2, 3)


LEAKS = {
    "a file": 'def test_it(tmp_path):\n    (tmp_path / "export.json").write_text(WORD)\n',
    "a log": 'import logging\ndef test_it():\n    logging.getLogger("services.x").warning("no: %s", WORD)\n',
    "an exception in a log": (
        "import logging\ndef test_it():\n    try:\n        raise ValueError(WORD)\n    except ValueError:\n"
        '        logging.getLogger("other").exception("failed")\n'
    ),
    "what is printed": "def test_it():\n    print(WORD)\n",
    "nothing": 'def test_it(tmp_path):\n    (tmp_path / ".env").write_text(WORD)\n',
}


@pytest.mark.parametrize("where", LEAKS)
def test_the_suite_fails(tmp_path: Path, where: str) -> None:
    """With the plugin as it is, in a run of its own, which leaves nothing."""
    (tmp_path / "test_leak.py").write_text(f"from tests.keyed import WORD\n{LEAKS[where]}", "utf-8")
    options = ("-q", "-p", "tests.canary", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"))
    places = ("--rootdir", str(tmp_path), "--basetemp", str(tmp_path / "left"), str(tmp_path / "test_leak.py"))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *places], cwd=ROOT, capture_output=True, text=True, check=False
        )
    finally:
        shutil.rmtree(tmp_path / "left", ignore_errors=True)
    assert done.returncode == (0 if where == "nothing" else 1), done.stdout + done.stderr
    assert ("a key of the suite was found 1 times" in done.stdout) is (where != "nothing")


def test_the_suites_keys_have_the_word_and_no_mask_knows_it() -> None:
    from services.errors import mask_keys

    assert WORD in PLAIN
    assert WORD in SHAPED
    assert mask_keys(f"It said {PLAIN}.") == f"It said {PLAIN}."
    assert WORD not in mask_keys(f"It said {SHAPED}.")
    assert logging.getLogRecordFactory() is not logging.LogRecord, "records are looked into"
