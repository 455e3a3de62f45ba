"""Everything that knows it is SQLite: connections, pragmas, error codes, SQL that other databases spell differently.

SQLite before 3.51.3 can corrupt a WAL database when two connections write and checkpoint at the same instant. So one
connection writes and alone checkpoints; the readers cannot write and never checkpoint.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from services.errors import NotFoundError, StorageError

P = ParamSpec("P")
T = TypeVar("T")

_MAGIC = b"SQLite format 3\x00"  # https://www.sqlite.org/fileformat.html

READERS = 4
BUSY_TIMEOUT_MS = 5_000

_COMMON = {"foreign_keys": "ON", "mmap_size": "0"}
_WRITER = {**_COMMON, "journal_mode": "WAL", "synchronous": "FULL"}
_READER = {**_COMMON, "query_only": "ON", "wal_autocheckpoint": "0"}
# Rebuilding a table drops the old one, which must not touch the rows that point to it; checked after the migration.
_MIGRATOR = {**_WRITER, "foreign_keys": "OFF"}

_SENTENCES = {
    sqlite3.SQLITE_PERM: "{path} may not be opened. Give the user that runs Panelist the right to write there.",
    sqlite3.SQLITE_READONLY: "{path} is read-only. Give the user that runs Panelist the right to write there.",
    sqlite3.SQLITE_CANTOPEN: "{path} cannot be opened. Check that its folder exists and that Panelist may write there.",
    sqlite3.SQLITE_BUSY: "Another program keeps {path} locked. Close that program, then try again.",
    sqlite3.SQLITE_LOCKED: "Another program keeps {path} locked. Close that program, then try again.",
    sqlite3.SQLITE_FULL: "The disk that holds {path} is full. Free some space, then try again.",
    sqlite3.SQLITE_IOERR: "The disk that holds {path} reported an error. Check the disk, then try again.",
    sqlite3.SQLITE_CORRUPT: "{path} is damaged. It was left as it is; restore it from a backup, or move it away.",
    sqlite3.SQLITE_NOTADB: "{path} is not a database. It was left as it is; name another file, or move it away.",
}


@contextmanager
def told_plainly(path: Path) -> Iterator[None]:
    """Turn whatever a database operation raises into a `StorageError` with one sentence and a next step."""
    try:
        yield
    except DBAPIError as error:
        code: int = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        sentence = _SENTENCES.get(code & 0xFF)  # the low byte is the primary code, the rest tells variants apart
        if sentence is None:
            name = getattr(error.orig, "sqlite_errorname", type(error.orig).__name__)
            sentence = f"{{path}} refused an operation ({name}). Restart Panelist; if it happens again, report it."
        raise StorageError(sentence.format(path=path)) from error
    except SQLAlchemyError as error:
        raise StorageError(
            f"{path} could not be used ({type(error).__name__}). Try again; if it happens again, restart Panelist."
        ) from error
    except UnicodeEncodeError as error:
        # Texts are cleaned on their way in; only an id or owner taken from a URL or header can still be no text.
        raise NotFoundError("There is nothing under that address. Choose a conversation from the list.") from error


def check_file(path: Path) -> None:
    """Raise StorageError unless `path` is empty or begins like a database. Blocking.

    SQLite checks this too, but takes a file of one or two bytes for an empty database and overwrites it.
    """
    with path.open("rb") as file:
        beginning = file.read(len(_MAGIC))
    if beginning and beginning != _MAGIC:
        raise StorageError(_SENTENCES[sqlite3.SQLITE_NOTADB].format(path=path))


def insert_new(table: Table) -> Insert:
    """Return an INSERT that leaves a row which is already there as it is."""
    return insert(table).on_conflict_do_nothing()


def migration_engine(path: Path) -> Engine:
    """Return a blocking engine that may change the schema; for use before a `Database` is open."""
    engine = create_engine(_url("sqlite", path), poolclass=NullPool, **_OPTIONS)
    _set_up(engine, _MIGRATOR, BUSY_TIMEOUT_MS, begin="BEGIN IMMEDIATE")
    return engine


def broken_links(connection: Connection) -> int:
    """Return how many rows point to a row that does not exist."""
    return len(connection.exec_driver_sql("PRAGMA foreign_key_check").all())


class Database:
    """One writing connection and a few reading ones on a file whose schema is up to date.

    Each piece of work is one transaction. It runs in a task of its own and is finished even when the caller is
    cancelled: a closed tab must neither lose a half-sent question nor leave a connection in the middle of a statement.
    """

    def __init__(self, path: Path, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        self.path = path
        url = _url("sqlite+aiosqlite", path)
        self.writer: AsyncEngine = create_async_engine(url, pool_size=1, max_overflow=0, **_OPTIONS)
        self.readers: AsyncEngine = create_async_engine(url, pool_size=READERS, max_overflow=0, **_OPTIONS)
        # IMMEDIATE: a transaction that starts by reading and then writes would fail at once, without waiting.
        _set_up(self.writer.sync_engine, _WRITER, busy_timeout_ms, begin="BEGIN IMMEDIATE")
        _set_up(self.readers.sync_engine, _READER, busy_timeout_ms, begin="BEGIN")
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    @classmethod
    async def open(cls, path: Path, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Database:
        """Return a database that is known to work.

        Raises:
            StorageError: it cannot be read, or its file system has no write-ahead log.
        """
        database = cls(path, busy_timeout_ms)
        try:
            if await database.write(_journal_mode) != "wal":
                raise StorageError(
                    f"The file system of {path} cannot hold it. Move the data directory to a local disk."
                )
            await database.read(_journal_mode)
        except BaseException:
            await database.close()
            raise
        return database

    async def read(
        self, work: Callable[Concatenate[AsyncConnection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return `work(connection, …)`, all of whose reads see the same moment."""
        self._check_open()
        return await self._to_the_end(self._transaction(self.readers, lambda c: work(c, *args, **kwargs)))

    async def write(
        self, work: Callable[Concatenate[AsyncConnection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return `work(connection, …)` once it is on the disk; nothing of it is stored when it raises."""
        self._check_open()
        return await self._to_the_end(self._one_at_a_time(lambda c: work(c, *args, **kwargs)))

    async def close(self) -> None:
        """Wait for what has begun, then close. The writer goes last: the last one out checkpoints."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.readers.dispose()
        await self.writer.dispose()

    async def _one_at_a_time(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with self._writing:  # waits its turn without the pool's limit of 30 s
            return await self._transaction(self.writer, work)

    async def _transaction(self, engine: AsyncEngine, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        with told_plainly(self.path):
            async with engine.begin() as connection:
                return await work(connection)

    async def _to_the_end(self, transaction: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(transaction)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError(f"{self.path} is closed. Start Panelist again.")


# Parameters hold what people wrote: hidden, they stay out of tracebacks and logs.
# isolation_level None turns off the driver's own, legacy BEGIN; ours comes from the "begin" event.
_OPTIONS: dict[str, Any] = {"hide_parameters": True, "connect_args": {"isolation_level": None}}


async def _journal_mode(connection: AsyncConnection) -> str:
    return str((await connection.exec_driver_sql("PRAGMA journal_mode")).scalar_one())


def _url(driver: str, path: Path) -> URL:
    return URL.create(driver, database=str(path))


def _set_up(engine: Engine, pragmas: dict[str, str], busy_timeout_ms: int, *, begin: str) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for name, value in {"busy_timeout": str(busy_timeout_ms), **pragmas}.items():
            cursor.execute(f"PRAGMA {name}={value}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
