from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from services.errors import StorageError
from services.storage.engine import migration_engine
from services.storage.migrate import migrate
from services.storage.schema import metadata


def test_migrations_lead_to_the_schema(path: Path) -> None:
    engine = migration_engine(path)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def _statements(path: Path) -> set[str]:
    """The database's own words for its tables and indexes, in a normal form."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'")
        return {re.sub(r"[\s\"]+", "", sql) for (sql,) in found}


def test_migrations_lead_to_the_schema_checks_included(path: Path, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'direct.db'}")
    metadata.create_all(engine)
    engine.dispose()
    assert _statements(path) == _statements(tmp_path / "direct.db")


def test_migrating_again_changes_nothing(path: Path, empty_database: bytes) -> None:
    migrate(path)
    assert path.read_bytes() == empty_database


def test_a_percent_sign_in_the_path_is_only_a_percent_sign(tmp_path: Path) -> None:
    migrate(tmp_path / "50%(here)s?.db")
    assert (tmp_path / "50%(here)s?.db").exists()


def test_a_database_from_the_future_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"was written by a newer Panelist\. Update Panelist"):
        migrate(path)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE bookmarks (url)")
    with pytest.raises(StorageError, match="belongs to another program"):
        migrate(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]
