from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.storage.engine import Database
from services.storage.migrate import migrate
from services.storage.store import Store


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A migrated database without rows; copying it is cheaper than migrating for each test."""
    path = tmp_path_factory.mktemp("empty") / "panelist.db"
    migrate(path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path, empty_database: bytes) -> Path:
    path = tmp_path / "data" / "panelist.db"
    path.parent.mkdir()
    path.write_bytes(empty_database)
    return path


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    store = await Store.open(path)
    yield store
    await store.close()


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = await Database.open(path, busy_timeout_ms=200)
    yield database
    await database.close()
