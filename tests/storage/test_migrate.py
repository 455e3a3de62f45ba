from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from services.errors import StorageError
from services.storage import searching
from services.storage.dialects import dialect_of
from services.storage.engine_sqlite import SQLite
from services.storage.migrate import MIGRATIONS, heads, known_revisions, migrate
from services.storage.schema import metadata
from services.storage.store import Store
from tests.storage import make
from tests.storage.postgres import own_database

ROOT = Path(__file__).parents[2]


def test_migrations_lead_to_the_schema(path: Path) -> None:
    engine = SQLite(path).migrator()
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "compare_server_default": True, "include_name": _is_no_index_of_words},
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def _is_no_index_of_words(name: str | None, type_: str, _parents: object) -> bool:
    """FTS5 keeps its own tables beside the one that it indexes."""
    return type_ != "table" or name is None or not name.startswith("searched_fts")


def _statements(path: Path) -> set[str]:
    """The database's own words for its tables and indexes, in a normal form."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'")
        return {re.sub(r"[\s\"]+", "", sql) for (sql,) in found}


def test_migrations_lead_to_the_schema_checks_included(path: Path, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'direct.db'}")
    metadata.create_all(engine)
    with engine.begin() as connection:
        for statement in searching.make(connection):
            connection.exec_driver_sql(statement)
    engine.dispose()
    assert _statements(path) == _statements(tmp_path / "direct.db")


def test_migrating_again_changes_nothing(path: Path, empty_database: bytes) -> None:
    migrate(SQLite(path))
    assert path.read_bytes() == empty_database


def test_a_percent_sign_in_the_path_is_only_a_percent_sign(tmp_path: Path) -> None:
    migrate(SQLite(tmp_path / "50%(here)s?.db"))
    assert (tmp_path / "50%(here)s?.db").exists()


def test_a_database_from_the_future_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"was written by a newer Panelist\. Update Panelist"):
        migrate(SQLite(path))
    assert path.read_bytes() == before


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE bookmarks (url)")
    with pytest.raises(StorageError, match="belongs to another program"):
        migrate(SQLite(path))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]


@pytest.fixture
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """A place in which nothing was ever made."""
    if request.param == "sqlite":
        yield tmp_path / "panelist.db"
    else:
        with own_database() as url:
            yield url


@pytest.mark.parametrize(
    ("bare", "first"),
    [("sqlite", None), ("sqlite", "0001"), ("postgresql", "0001")],
    indirect=["bare"],
)
async def test_a_migration_killed_at_any_statement_leaves_all_as_it_was(bare: Path | str, first: str | None) -> None:
    if first is not None:
        migrate(dialect_of(bare), first)
        make.Rows(bare).execute(_CONVERSATION)
    script = [sys.executable, "-c", _KILLED, type(bare).__name__, str(bare)]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= (5 if first else 20), "statements at which it was killed"
    store = await Store.open(bare)
    assert [one.title for one in await store.conversations("ann")] == ([] if first is None else ["Kept"])
    await make.asked(store)
    await store.close()


_CONVERSATION = """
INSERT INTO conversations (id, owner, title, title_source, created_at, updated_at)
VALUES ('c', 'ann', 'Kept', 'user', '2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000')
"""

_KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import Engine, create_engine, event, inspect
from services.storage.dialects import dialect_of
from services.storage.migrate import MIGRATIONS, heads, known_revisions, migrate
kind, where = sys.argv[1:]
where = where if kind == "str" else Path(where)
def child(last):
    def count(*_):
        seen.append(1)
        if len(seen) == last:
            os.kill(os.getpid(), signal.SIGKILL)
    seen = []
    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)
    migrate(dialect_of(where))
    os._exit(0)
def tables():
    engine = dialect_of(where).migrator()
    with engine.connect() as connection:
        found = inspect(connection).get_table_names()
    engine.dispose()
    return found
before = tables()
last = 0
while True:
    last += 1
    pid = os.fork()
    if pid == 0:
        child(last)
    _, status = os.waitpid(pid, 0)
    if status == 0:
        break
    assert os.WTERMSIG(status) == signal.SIGKILL, status
    assert tables() == before, (last, tables())
print(last - 1)
"""


def test_what_is_read_of_the_revisions_is_what_alembic_reads() -> None:
    history = ScriptDirectory(str(MIGRATIONS))
    assert heads() == set(history.get_heads())
    assert known_revisions() == {one.revision for one in history.walk_revisions()}
