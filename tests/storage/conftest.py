from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.storage.engine import Database
from services.storage.engine_postgres import PostgreSQL
from services.storage.engine_sqlite import SQLite
from services.storage.migrate import migrate
from services.storage.store import Store
from tests.storage.make import Rows
from tests.storage.postgres import own_database


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A migrated database without rows; copying it is cheaper than migrating for each test."""
    path = tmp_path_factory.mktemp("empty") / "panelist.db"
    migrate(SQLite(path))
    return path.read_bytes()


@pytest.fixture(scope="session")
def migrated_postgres() -> Iterator[str]:
    with own_database() as url:
        migrate(PostgreSQL(url))
        yield url


@pytest.fixture
def path(tmp_path: Path, empty_database: bytes) -> Path:
    path = tmp_path / "data" / "panelist.db"
    path.parent.mkdir()
    path.write_bytes(empty_database)
    return path


@pytest.fixture
def postgres(migrated_postgres: str) -> str:
    """The URL of a migrated database without rows."""
    Rows(migrated_postgres).clear()
    return migrated_postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest) -> Path | str:
    """A migrated database without rows, of each kind: what uses this is the contract of the store."""
    found = request.getfixturevalue("path" if request.param == "sqlite" else "postgres")
    assert isinstance(found, Path | str)
    return found


@pytest.fixture
async def store(where: Path | str, tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(where, attachments=tmp_path / "attachments")
    yield store
    await store.close()


@pytest.fixture
def rows(where: Path | str) -> Rows:
    return Rows(where)


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = await Database.open(SQLite(path, busy_timeout_ms=200))
    yield database
    await database.close()
