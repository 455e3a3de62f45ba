"""Reading and writing, whatever the database. What differs between databases is behind `Dialect`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection, Engine, Insert, Table
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from services.errors import NotFoundError, PanelistError, StorageError

P = ParamSpec("P")
T = TypeVar("T")

READERS = 4
_RETRY_S = 0.2


class Dialect(Protocol):
    """One kind of database: its connections, what only it has, what its errors mean."""

    @property
    def name(self) -> str:
        """How sentences call the database; holds no password."""

    @property
    def patience_s(self) -> float:
        """How long a transaction waits for a database that is away for a moment."""

    def prepare(self) -> None:
        """Take the database for this process, making it where that is possible. Blocking."""

    def release(self) -> None:
        """Let another process have it; a second call does nothing."""

    def migrator(self) -> Engine:
        """Return a blocking engine that may change the schema."""

    def broken_links(self, connection: Connection) -> int:
        """Return how many rows point to a row that does not exist."""

    def writer(self) -> Engine:
        """Return an engine with the one connection that writes."""

    def readers(self) -> Engine:
        """Return an engine whose connections cannot write, and see one moment in each transaction."""

    def beside(self) -> Engine:
        """Return an engine like `readers` for a process that is not the server, and may stand beside it.

        Raises:
            StorageError: there is no database yet.
        """

    def check(self, connection: Connection) -> None:
        """Raise StorageError if what was opened cannot do what is asked of it."""

    def explain(self, error: DBAPIError) -> PanelistError:
        """Return the error as a sentence, with a cause that holds nothing of what people wrote."""

    def passing(self, error: DBAPIError) -> bool:
        """Whether the database is only away for a moment, and nothing of the transaction was done."""


@contextmanager
def told_plainly(dialect: Dialect) -> Iterator[None]:
    """Turn whatever a database operation raises into a `PanelistError` with one sentence and a next step."""
    try:
        yield
    except DBAPIError as error:
        raise dialect.explain(error)  # noqa: B904 - the dialect chooses the cause
    except SQLAlchemyError as error:
        raise StorageError(
            f"{dialect.name} could not be used ({type(error).__name__}). "
            "Try again; if it happens again, restart Panelist."
        ) from error
    except UnicodeEncodeError as error:
        raise no_such_text() from error


def no_such_text() -> NotFoundError:
    # Texts are cleaned on their way in; only an id or owner taken from a URL or header can still be no text.
    return NotFoundError("There is nothing under that address. Choose a conversation from the list.")


def insert_new(connection: Connection, table: Table) -> Insert:
    """Return an INSERT that leaves a row which is already there as it is."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite  # noqa: PLC0415 - only that of the database is there

        return sqlite.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415

    return postgresql.insert(table).on_conflict_do_nothing()


class Database:
    """One writing connection and a few reading ones on a database whose schema is up to date.

    Each piece of work is one transaction. It runs in a task of its own and is finished even when the caller is
    cancelled: a closed tab must neither lose a half-sent question nor leave a connection in the middle of a statement.
    Whatever a transaction meets, the next one begins afresh: once the cause has ended, so has the trouble. Connections
    are kept through it: where a disk fails, one that is open can often still read, and a new one could not.
    """

    def __init__(self, dialect: Dialect, *, beside: bool = False) -> None:
        self._dialect = dialect
        self.writer = dialect.beside() if beside else dialect.writer()
        self.readers = self.writer if beside else dialect.readers()
        self._reads = ThreadPoolExecutor(READERS, "read")
        self._writes = ThreadPoolExecutor(1, "write")
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._alone = not beside
        self._written = 0
        self._closed = False
        self.on_failure: Callable[[], None] = lambda: None

    @classmethod
    async def open(cls, dialect: Dialect) -> Database:
        """Return a database that is known to work.

        Raises:
            StorageError: it cannot be read or written.
        """
        database = cls(dialect)
        try:
            await database.write(dialect.check)
            await database.read(dialect.check)
        except BaseException:
            await database.close()
            raise
        return database

    async def read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return `work(connection, …)`, all of whose reads see the same moment. It may be called more than once.

        It is called in a thread, so that neither the database nor making thousands of messages holds up the event loop.
        """
        self._check_open()
        whole = partial(self._attempt, self.readers, lambda c: work(c, *args, **kwargs))
        transaction = self._transaction(self._reads, whole, self._patience_ends())
        return await self._to_the_end(transaction)

    async def write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return `work(connection, …)` once it is on the disk; nothing of it is stored when it raises.

        As for `read`. A server that is lost in the very moment of the commit may have carried it out.
        """
        self._check_open()
        return await self._to_the_end(self._one_at_a_time(lambda c: work(c, *args, **kwargs)))

    @property
    def moment(self) -> int | None:
        """What stays the same as long as nothing is written; None while something is, or where others may write."""
        return self._written if self._alone and not self._writing.locked() else None

    async def close(self) -> None:
        """Wait for what has begun, then close. The writer goes last: the last one out checkpoints."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(self._tasks)
        for engine, threads in ((self.readers, self._reads), (self.writer, self._writes)):
            await asyncio.to_thread(engine.dispose)
            threads.shutdown()

    async def _one_at_a_time(self, work: Callable[[Connection], T]) -> T:
        give_up = self._patience_ends()  # from now on: else each in the queue would wait as long once more
        async with self._writing:  # waits its turn without the pool's limit of 30 s
            try:
                return await self._transaction(self._writes, partial(self._attempt, self.writer, work), give_up)
            finally:
                self._written += 1  # whatever it came to

    def _patience_ends(self) -> float:
        return asyncio.get_running_loop().time() + self._dialect.patience_s

    async def _transaction(self, threads: Executor, attempt: Callable[[], T], give_up: float) -> T:
        loop = asyncio.get_running_loop()
        while True:
            with told_plainly(self._dialect):
                try:
                    return await loop.run_in_executor(threads, attempt)
                except _AwayError as away:
                    if loop.time() >= give_up:
                        raise away.error  # noqa: B904 - told as what it is
            await asyncio.sleep(_RETRY_S)  # a server that is starting tells nobody when it is ready

    def _attempt(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        done = False
        try:
            with engine.begin() as connection:
                result = work(connection)
                done = True
        except DBAPIError as error:
            if not done and self._dialect.passing(error):
                raise _AwayError(error) from error
            raise
        return result

    async def _to_the_end(self, transaction: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(self._noted(transaction))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _noted(self, transaction: Coroutine[Any, Any, T]) -> T:
        try:
            return await transaction
        except StorageError:
            self.on_failure()
            raise

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError(f"{self._dialect.name} is closed. Start Panelist again.")


class _AwayError(Exception):
    """The database is away for a moment."""

    def __init__(self, error: DBAPIError) -> None:
        super().__init__()
        self.error = error
