"""Which kind of database an address names."""

from __future__ import annotations

from pathlib import Path

from services.errors import StorageError
from services.storage.engine import Dialect
from services.storage.engine_sqlite import SQLite

_FILE = "sqlite:///"


def dialect_of(where: Path | str) -> Dialect:
    """Return the dialect of a file's path, or of a URL that begins with `postgresql://` or `sqlite:///`."""
    if isinstance(where, Path):
        return SQLite(where)
    if where.startswith(_FILE):
        return SQLite(Path(where.removeprefix(_FILE)))
    if where.startswith("postgresql://"):
        from services.storage.engine_postgres import PostgreSQL  # noqa: PLC0415 - who has none need not import it

        return PostgreSQL(where)
    raise StorageError("The address of a database begins with postgresql:// or sqlite:///. Correct DATABASE_URL.")
