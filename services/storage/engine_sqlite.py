"""Everything that knows it is SQLite: the file and its lock, connections, pragmas, error codes.

SQLite before 3.51.3 can corrupt a WAL database when two connections write and checkpoint at the same instant. So one
connection writes and alone checkpoints; the readers cannot write and never checkpoint.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, QueuePool

from services.errors import NoDatabaseError, PanelistError, StorageError
from services.storage.engine import READERS
from services.storage.lock import DatabaseLock

_MAGIC = b"SQLite format 3\x00"  # https://www.sqlite.org/fileformat.html

BUSY_TIMEOUT_MS = 5_000
CHECKED_BYTES = 64 * 2**20
"""Files up to this size are read through once when they are opened: a fraction of a second. In larger ones damage is
noticed when it is met."""

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
    sqlite3.SQLITE_CORRUPT: "{path} is damaged. It was left as it is; restore it from a backup "
    "(`python cli.py restore FILE` keeps the damaged file beside it), or move it away.",
    sqlite3.SQLITE_NOTADB: "{path} is not a database. It was left as it is; name another file, or move it away.",
}


class SQLite:
    """A file on this machine, used by one server at a time. Implements `Dialect`."""

    patience_s = 0.0  # SQLite waits by itself: busy_timeout

    def __init__(self, path: Path, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        self.path = path.resolve()  # two names of one file share its lock
        self._busy_timeout_ms = busy_timeout_ms
        self._lock: DatabaseLock | None = None

    @property
    def name(self) -> str:
        return str(self.path)

    def prepare(self) -> None:
        """Make the folder and an empty file that only this user can read, lock it, and look for damage."""
        with rights_told(self.path):
            if self.path.is_dir():
                raise StorageError(f"{self.path} is a folder. Name a file in it for the database.")
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = DatabaseLock.take(self.path)
            try:
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files that mode
                check_file(self.path)
                if self.path.stat().st_size <= CHECKED_BYTES:
                    check_damage(self.path)
            except BaseException:
                self.release()
                raise

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def migrator(self) -> Engine:
        engine = create_engine(self._url, poolclass=NullPool, **OPTIONS)
        set_up(engine, _MIGRATOR, BUSY_TIMEOUT_MS, begin="BEGIN IMMEDIATE")
        return engine

    def broken_links(self, connection: Connection) -> int:
        return len(connection.exec_driver_sql("PRAGMA foreign_key_check").all())

    def writer(self) -> Engine:
        # IMMEDIATE: a transaction that starts by reading and then writes would fail at once, without waiting.
        return self._engine(1, _WRITER, begin="BEGIN IMMEDIATE")

    def readers(self) -> Engine:
        return self._engine(READERS, _READER, begin="BEGIN")

    def beside(self) -> Engine:
        if not self.path.is_file():
            raise NoDatabaseError(
                f"There is no database {self.path} yet. Start Panelist once, or set PANELIST_DATA_DIR."
            )
        with rights_told(self.path):
            check_file(self.path)

        def connect() -> sqlite3.Connection:
            return sqlite3.connect(
                f"{self.path.as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
            )

        engine = create_engine(
            "sqlite://",
            creator=connect,
            poolclass=QueuePool,
            pool_size=READERS,
            hide_parameters=OPTIONS["hide_parameters"],
        )
        set_up(engine, _READER, self._busy_timeout_ms, begin="BEGIN")
        return engine

    def check(self, connection: Connection) -> None:
        if connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() != "wal":
            raise StorageError(
                f"The file system of {self.path} cannot hold it. Move the data directory to a local disk."
            )

    def explain(self, error: DBAPIError) -> PanelistError:
        sentence = told(self.path, error.orig)
        sentence.__cause__ = error
        return sentence

    def passing(self, error: DBAPIError) -> bool:
        return False

    def _engine(self, size: int, pragmas: dict[str, str], *, begin: str) -> Engine:
        engine = create_engine(self._url, pool_size=size, max_overflow=0, **OPTIONS)
        set_up(engine, pragmas, self._busy_timeout_ms, begin=begin)
        return engine

    @property
    def _url(self) -> URL:
        return URL.create("sqlite", database=str(self.path))


def check_file(path: Path) -> None:
    """Raise StorageError unless `path` is empty or begins like a database. Blocking.

    SQLite checks this too, but takes a file of one or two bytes for an empty database and overwrites it.
    """
    with path.open("rb") as file:
        beginning = file.read(len(_MAGIC))
    if beginning and beginning != _MAGIC:
        raise StorageError(_SENTENCES[sqlite3.SQLITE_NOTADB].format(path=path))


def check_damage(path: Path) -> None:
    """Raise StorageError if the structure of the database at `path` is damaged. Blocking; changes nothing."""
    try:
        with closing(read_only(path)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise told(path, error) from error
    if found != "ok":
        raise StorageError(_SENTENCES[sqlite3.SQLITE_CORRUPT].format(path=path))


def read_only(path: Path) -> sqlite3.Connection:
    """Return a connection that neither writes nor checkpoints, so that it may stand beside a server's."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    return connection


def told(path: Path, error: BaseException | None) -> StorageError:
    """Return what the driver raised as a sentence."""
    sentence = _SENTENCES.get(code_of(error))
    if sentence is None:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        sentence = f"{{path}} refused an operation ({name}). Restart Panelist; if it happens again, report it."
    return StorageError(sentence.format(path=path))


def code_of(error: BaseException | None) -> int:
    """Return SQLite's primary code of what the driver raised."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF  # the low byte is the primary code, the rest tells variants apart


@contextmanager
def rights_told(path: Path) -> Iterator[None]:
    """Turn what the system says about a file that is to be written into a sentence."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written ({error.strerror}). "
            "Give the user that runs Panelist the right to write there, or name another place."
        ) from error


# Parameters hold what people wrote: hidden, they stay out of tracebacks and logs.
# isolation_level None turns off the driver's own, legacy BEGIN; ours comes from the "begin" event.
OPTIONS: dict[str, Any] = {"hide_parameters": True, "connect_args": {"isolation_level": None}}


def set_up(engine: Engine, pragmas: dict[str, str], busy_timeout_ms: int, *, begin: str) -> None:
    """Have every connection of an engine begin with these pragmas, and every transaction with this statement."""

    @event.listens_for(engine, "connect")
    def _on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for name, value in {"busy_timeout": str(busy_timeout_ms), **pragmas}.items():
            cursor.execute(f"PRAGMA {name}={value}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
