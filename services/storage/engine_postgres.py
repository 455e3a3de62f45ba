"""Everything that knows it is PostgreSQL: connections, the lock, error codes.

The lock that keeps a second server away is a session lock of the one connection that writes. So whoever writes holds
it: a server that lost its connection takes it again with the next one, or learns that another was faster.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from services.errors import InUseError, PanelistError, StorageError
from services.storage.engine import READERS, no_such_text
from services.storage.schema import add_for_postgresql

add_for_postgresql()

LOCK_KEY = int.from_bytes(b"Panelist", "big")
LOCK_WAIT_S = 3.0
"""How long to wait for another's lock: long enough for the server to notice that its holder is gone."""
PATIENCE_S = 5.0
"""How long to wait for a server that is away: a restart takes a second or two."""

_LOCKED = "55P03"
# https://www.postgresql.org/docs/current/errcodes-appendix.html; the longest beginning that fits counts.
_SENTENCES = {
    "08": "{name} does not answer. Check that the server runs; Panelist goes on by itself when it is back.",
    "25006": "{name} is read-only. Connect DATABASE_URL to the primary server.",
    "28": "{name} refused the login. Check the user and password in DATABASE_URL.",
    "3D000": "{name} does not exist. Create it with createdb, or correct DATABASE_URL.",
    "42501": "The user of {name} lacks a right. Make it the owner of the database.",
    "53": "{name} has no room: its disk, memory or connections are used up. Free some, then try again.",
    "55P03": "Another program keeps {name} locked. Close that program, then try again.",
    "57P": "{name} is restarting or shut down. Panelist goes on by itself when it is back.",
    "58": "The disk that holds {name} reported an error. Check the disk, then try again.",
    "XX": "{name} is damaged or met an internal error. See the server's log; if need be, restore it with pg_restore.",
}
_AWAY = ("08", "57P")
_REACH: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,  # ms; without it a lost network is noticed after a quarter of an hour
    "application_name": "panelist",
    "client_encoding": "utf8",  # else a database's own
}
_READER = (
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    f"SET lock_timeout = {int(LOCK_WAIT_S * 1000)}",  # as when somebody restores a dump
    "SET plan_cache_mode = force_custom_plan",  # how to search depends on how common the words are
)


class PostgreSQL:
    """A database on a server, used by one Panelist at a time. Implements `Dialect`."""

    def __init__(self, url: str, *, lock_wait_s: float = LOCK_WAIT_S, patience_s: float = PATIENCE_S) -> None:
        self.patience_s = patience_s
        self._writer = (
            f"SET lock_timeout = {int(lock_wait_s * 1000)}",
            f"SELECT pg_advisory_lock({LOCK_KEY})",
        )
        try:
            self._url = make_url(url).set(drivername="postgresql+psycopg")
        except (ArgumentError, ValueError):
            raise StorageError(
                "DATABASE_URL cannot be read. Write postgresql://user:password@host:5432/database."
            ) from None  # the cause would show the password
        self._reach = {name: value for name, value in _REACH.items() if name not in self._url.query}

    @property
    def name(self) -> str:
        place = f"{self._url.host or 'this machine'}:{self._url.port or 5432}"
        return f"The PostgreSQL database {self._url.database or self._url.username!r} at {place}"

    def prepare(self) -> None:
        """Nothing: the lock comes with the connection that writes."""

    def release(self) -> None:
        """Nothing: the lock goes with the connection that writes."""

    def migrator(self) -> Engine:
        engine = create_engine(self._url, poolclass=NullPool, hide_parameters=True, connect_args=self._reach)
        _set_up(engine, self._writer, self.name)
        return engine

    def broken_links(self, connection: Connection) -> int:
        return 0  # PostgreSQL checks each link as it is made

    def writer(self) -> Engine:
        return self._engine(1, self._writer)

    def readers(self) -> Engine:
        return self._engine(READERS, _READER)

    def beside(self) -> Engine:
        return self.readers()

    def check(self, connection: Connection) -> None:
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding != "UTF8":
            raise StorageError(f"{self.name} cannot hold every text: make one with the encoding UTF8, not {encoding}.")

    def explain(self, error: DBAPIError) -> PanelistError:
        state = _state(error)
        if state is None and isinstance(error, DataError):
            return no_such_text()  # the driver's own refusal of a NUL character
        sentence: PanelistError
        if state is None and isinstance(error, OperationalError | InterfaceError):
            sentence = StorageError(f"{self.name} cannot be used ({_said(error)}). Check the server and DATABASE_URL.")
        else:
            fitting = [words for code, words in _SENTENCES.items() if state is not None and state.startswith(code)]
            unknown = f"{{name}} refused an operation ({state}). Restart Panelist; if it happens again, report it."
            sentence = StorageError((fitting[-1] if fitting else unknown).format(name=self.name))
        # Not the error itself: its details hold the rows it is about.
        sentence.__cause__ = RuntimeError(f"{type(error.orig).__name__} {state}: {_said(error)}")
        return sentence

    def passing(self, error: DBAPIError) -> bool:
        state = _state(error)
        if state is None:
            return isinstance(error, OperationalError | InterfaceError)
        return state.startswith(_AWAY)

    def _engine(self, size: int, statements: tuple[str, ...]) -> Engine:
        engine = create_engine(
            self._url,
            pool_size=size,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args=self._reach,
        )
        _set_up(engine, statements, self.name)
        return engine


def _set_up(engine: Engine, statements: tuple[str, ...], name: str) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        try:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()
        except BaseException as error:
            connection.close()  # the pool does not know it yet
            if getattr(error, "sqlstate", None) == _LOCKED:
                raise InUseError(f"{name} is already used by another Panelist server. Stop that one first.") from None
            raise
        finally:
            cursor.close()


def _state(error: DBAPIError) -> str | None:
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state


def _said(error: DBAPIError) -> str:
    """Return the first line of what the server said, which tells nothing about rows."""
    primary: str | None = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    lines = (primary or str(error.orig)).splitlines() or [type(error.orig).__name__]
    return lines[0].rpartition(" failed: ")[2].removeprefix("FATAL:").strip()  # the rest names the server once more
