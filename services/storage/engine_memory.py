"""A SQLite database that is nowhere but in this process's memory."""

from __future__ import annotations

import sqlite3

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from services.errors import InputError, PanelistError, StorageError
from services.messages import new_id
from services.storage.engine_sqlite import OPTIONS, code_of, set_up

_PAGE = 4096

_BEYOND = 16
"""Times as much as people may fill it with is there for the answers: one that has begun always fits."""

_FULL = "This temporary chat is full. Keep it, or begin a new chat."

_PRAGMAS = {
    "foreign_keys": "ON",
    "temp_store": "MEMORY",  # else a large sort would go through a file
    "journal_mode": "MEMORY",
    "page_size": str(_PAGE),
}


class Memory:
    """Gone when it is released. Implements `Dialect`.

    All that opens it shares one connection: connections that share a cache lock each other out, table by table.
    """

    name = "the memory of a temporary chat"
    patience_s = 0.0

    def __init__(self, most: int) -> None:
        """Take the bytes from which on `check_room` refuses more."""
        self._most = most
        # An address of its own (https://www.sqlite.org/inmemorydb.html); it lives while any connection to it is open.
        self._address = f"file:{new_id()}?mode=memory&cache=shared"
        self._pragmas = {**_PRAGMAS, "max_page_count": str(_BEYOND * most // _PAGE)}
        self._kept: sqlite3.Connection | None = None
        self._engine = self._new_engine()

    def prepare(self) -> None:
        """Open the connection that keeps it, and does nothing else."""
        self._kept = sqlite3.connect(self._address, uri=True, check_same_thread=False)

    def release(self) -> None:
        if self._kept is not None:
            self._kept.close()

    def migrator(self) -> Engine:
        return self._new_engine()

    def broken_links(self, connection: Connection) -> int:
        return len(connection.exec_driver_sql("PRAGMA foreign_key_check").all())

    def writer(self) -> Engine:
        return self._engine

    def readers(self) -> Engine:
        return self._engine

    def beside(self) -> Engine:
        return self._engine

    def check(self, connection: Connection) -> None:
        """Do nothing: there is no disk that could be in the way."""

    def check_room(self, connection: Connection) -> None:
        """Raise InputError if there is more in it than there may be, with what the transaction has added."""
        pages, free = (
            connection.exec_driver_sql(f"PRAGMA {what}").scalar_one() for what in ("page_count", "freelist_count")
        )
        if (pages - free) * _PAGE > self._most:  # no StorageError: to wait and try again would be of no use
            raise InputError(_FULL)

    def explain(self, error: DBAPIError) -> PanelistError:
        if code_of(error.orig) == sqlite3.SQLITE_FULL:
            return StorageError(_FULL)
        told = StorageError("The memory of this temporary chat refused an operation. Begin a new chat.")
        told.__cause__ = error
        return told

    def passing(self, error: DBAPIError) -> bool:
        return False

    def _new_engine(self) -> Engine:
        engine = create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(self._address, uri=True, isolation_level=None, check_same_thread=False),
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=0,
            hide_parameters=OPTIONS["hide_parameters"],
        )
        set_up(engine, self._pragmas, 0, begin="BEGIN IMMEDIATE")
        return engine
