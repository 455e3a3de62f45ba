"""What is PostgreSQL's own; all that it shares with SQLite is in the tests with the fixture `where`."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, event, insert, make_url, select, text
from sqlalchemy.exc import DBAPIError

from services.errors import NotFoundError, StorageError
from services.events import RunFinished, TextDelta, UsageReported
from services.search import parse
from services.storage import search_postgres, searching
from services.storage.engine import Database
from services.storage.engine_postgres import PostgreSQL
from services.storage.migrate import migrate
from services.storage.schema import conversations, dropped_parameters, messages, metadata, searched
from services.storage.store import Store
from services.usage import Usage
from tests.storage import make
from tests.storage import postgres as server
from tests.storage.make import ANN


@pytest.fixture
async def database(postgres: str) -> AsyncIterator[Database]:
    database = await Database.open(PostgreSQL(postgres, lock_wait_s=0.2, patience_s=0.5))
    yield database
    await database.close()


@pytest.fixture
async def store(postgres: str) -> AsyncIterator[Store]:
    store = await Store.open(postgres)
    yield store
    await store.close()


@pytest.fixture
def bare() -> Iterator[str]:
    """The URL of a database in which nothing was ever made."""
    with server.own_database() as url:
        yield url


def _add(connection: Connection, parameter: str = "top_p") -> None:
    connection.execute(insert(dropped_parameters).values(endpoint="local", parameter=parameter))


def _stored(connection: Connection) -> list[str]:
    return sorted(connection.scalars(select(dropped_parameters.c.parameter)))


def _end_sessions(url: str) -> None:
    where = make_url(url)
    server.execute(
        where.set(database="postgres"),
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{where.database}'",
    )


@contextmanager
def _away(url: str) -> Iterator[None]:
    """What a client sees of a server that is shut down: its sessions end, and it gets no new ones."""
    where = make_url(url)
    server.execute(where.set(database="postgres"), f"ALTER DATABASE {where.database} ALLOW_CONNECTIONS false")
    try:
        _end_sessions(url)
        yield
    finally:
        server.execute(where.set(database="postgres"), f"ALTER DATABASE {where.database} ALLOW_CONNECTIONS true")


def _is_for_both(_: object, name: str | None, *more: object) -> bool:
    """Leave out what only PostgreSQL has beside the schema: the index of the search (search_postgres.py)."""
    return name != "ix_searched_words"


def test_migrations_lead_to_the_schema(postgres: str) -> None:
    engine = PostgreSQL(postgres).migrator()
    with engine.connect() as connection:
        opts = {"compare_type": True, "compare_server_default": True, "include_object": _is_for_both}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, metadata) == []
    engine.dispose()
    migrate(PostgreSQL(postgres))  # again changes nothing


def test_databases_of_others_and_of_the_future_are_refused(bare: str) -> None:
    make.Rows(bare).execute("CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(StorageError, match=r"belongs to another program\. It was left as it is"):
        migrate(PostgreSQL(bare))
    make.Rows(bare).execute("DROP TABLE bookmarks")
    migrate(PostgreSQL(bare))
    make.Rows(bare).execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageError, match="was written by a newer Panelist"):
        migrate(PostgreSQL(bare))


async def test_a_second_server_is_refused_until_the_first_has_gone(postgres: str) -> None:
    first = await Store.open(postgres)
    second = PostgreSQL(postgres, lock_wait_s=0.2)
    with pytest.raises(StorageError, match=r"is already used by another Panelist server\. Stop that one first"):
        migrate(second)
    with pytest.raises(StorageError, match="is already used by another Panelist server"):
        await Database.open(second)
    await first.check()
    await first.close()
    await (await Store.open(postgres)).close()


async def test_who_lost_the_lock_to_another_writes_no_more(database: Database, postgres: str) -> None:
    await database.write(_add, "a")
    with _away(postgres):
        pass
    other = await Database.open(PostgreSQL(postgres))
    with pytest.raises(StorageError, match="is already used by another Panelist server"):
        await database.write(_add, "b")
    await other.write(_add, "c")
    assert await database.read(_stored) == ["a", "c"]
    await other.close()
    await database.write(_add, "d")
    assert await database.read(_stored) == ["a", "c", "d"]


async def test_a_restart_is_not_noticed(store: Store, postgres: str) -> None:
    new = await make.asked(store)
    with _away(postgres):
        calls = [
            asyncio.create_task(store.append_events(new.run_id, make.numbered(TextDelta("Because.")))),
            asyncio.create_task(store.path(ANN, new.conversation.id)),
        ]
        await asyncio.sleep(0.5)
        assert not any(call.done() for call in calls)
    await asyncio.gather(*calls)
    assert await store.events(ANN, new.run_id) == make.numbered(TextDelta("Because."))
    _end_sessions(postgres)
    await make.finish(store, new.run_id, "Because.")


async def test_a_server_that_stays_away_is_told_and_its_return_noticed(database: Database, postgres: str) -> None:
    with _away(postgres):
        for call in (database.write(_add), database.read(_stored)):
            with pytest.raises(StorageError, match=r"cannot be used \(.*\)\. Check the server"):
                await call
    assert await database.read(_stored) == []
    await database.write(_add)


async def test_a_queue_of_writers_waits_for_a_server_together_and_not_in_turn(postgres: str) -> None:
    tries: list[DBAPIError] = []

    class Counting(PostgreSQL):
        def passing(self, error: DBAPIError) -> bool:
            tries.append(error)
            return super().passing(error)

    database = await Database.open(Counting(postgres, patience_s=1.0))
    with _away(postgres):
        ends = await asyncio.gather(*(database.write(_add, f"{n}") for n in range(20)), return_exceptions=True)
    assert all(isinstance(end, StorageError) for end in ends)
    assert len(tries) < 2 * len(ends), "each has tried for as long as if it had been alone"
    await database.close()


async def test_a_session_that_ends_in_a_transaction_begins_it_again(database: Database, postgres: str) -> None:
    def cut(connection: Connection) -> None:
        _add(connection, f"try {len(tries)}")
        tries.append(1)
        if len(tries) == 1:
            _end_sessions(postgres)
        _add(connection, "whole")

    tries: list[int] = []
    await database.write(cut)
    assert await database.read(_stored) == ["try 1", "whole"]


async def test_a_commit_that_may_have_been_carried_out_is_not_tried_again(database: Database, postgres: str) -> None:
    def cut(connection: Connection) -> None:
        tries.append(1)
        _add(connection)
        _end_sessions(postgres)

    tries: list[int] = []
    with pytest.raises(StorageError, match=r"is restarting or shut down|cannot be used"):
        await database.write(cut)
    assert len(tries) == 1
    await database.write(_add)


async def test_readers_cannot_write_and_see_one_moment(database: Database) -> None:
    def twice(connection: Connection) -> list[list[str]]:
        first = _stored(connection)
        asyncio.run_coroutine_threadsafe(database.write(_add), loop).result(10)
        return [first, _stored(connection)]

    loop = asyncio.get_running_loop()

    with pytest.raises(StorageError, match="is read-only"):
        await database.read(_add)
    assert await database.read(twice) == [[], []]
    assert await database.read(_stored) == ["top_p"]


async def test_a_table_that_somebody_locks_is_told(database: Database, postgres: str) -> None:
    rows = make.Rows(postgres)
    with rows.engine.begin() as other:
        other.execute(text("LOCK TABLE dropped_parameters"))
        with pytest.raises(StorageError, match=r"keeps .* locked\. Close that program"):
            await database.write(_add)
    await database.write(_add)


async def test_what_people_wrote_is_not_in_the_traceback(database: Database) -> None:
    words = " ".join(["my", "secret"])
    await database.write(_add, words)
    with pytest.raises(StorageError, match=r"refused an operation \(23505\)") as caught:
        await database.write(_add, words)
    shown = "".join(traceback.format_exception(caught.value))
    assert words not in shown
    assert "duplicate key" in shown


async def test_an_id_that_is_no_text_is_not_found(database: Database) -> None:
    def look(connection: Connection, id: str) -> None:
        connection.execute(select(conversations).where(conversations.c.id == id))

    for id in ("\ud800", "a\x00b"):
        for call in (database.read, database.write):
            with pytest.raises(NotFoundError):
                await call(look, id)
    await database.write(_add)


async def test_counts_of_any_size_are_kept(store: Store) -> None:
    new = await make.asked(store)
    reply = make.folded(UsageReported(Usage(input=2**40, output=10**30)), RunFinished("complete"))
    await store.finish_run(new.run_id, reply=reply, first_token_s=None, total_s=1.0)
    answer = (await store.path(ANN, new.conversation.id))[-1]
    assert answer.usage == Usage(input=2**40, output=2**63 - 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"port": 1}, r"at 127\.0\.0\.1:1 cannot be used \(Connection refused\)\. Check the server and DATABASE_URL"),
        ({"database": "panelist_none"}, r"'panelist_none' at .* cannot be used \(.*does not exist"),
    ],
)
async def test_a_database_that_is_not_there_is_told(postgres: str, change: dict[str, str | int], says: str) -> None:
    url = make_url(postgres).set(password="canary", **change)
    with pytest.raises(StorageError, match=says) as caught:
        await Store.open(url.render_as_string(hide_password=False))
    assert "canary" not in "".join(traceback.format_exception(caught.value))


async def test_a_url_that_cannot_be_read_is_told_without_its_password() -> None:
    for url in ("postgresql://me:canary@host:port/db", "mysql://me:canary@host/db", "canary"):
        with pytest.raises(StorageError, match="DATABASE_URL") as caught:
            await Store.open(url)
        assert "canary@" not in "".join(traceback.format_exception(caught.value)).replace(f'"{url}"', "")


async def test_a_database_that_cannot_hold_every_text_is_refused(bare: str) -> None:
    where = make_url(bare)
    ascii_only = where.set(database=f"{where.database}_ascii")
    server.execute(
        where,
        f"CREATE DATABASE {ascii_only.database} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
    )
    try:
        with pytest.raises(StorageError, match="make one with the encoding UTF8, not SQL_ASCII"):
            await Store.open(ascii_only.render_as_string(hide_password=False))
    finally:
        server.execute(where, f"DROP DATABASE {ascii_only.database} WITH (FORCE)")


def _much_to_search(connection: Connection) -> None:
    """Store a thousand conversations as far as a search sees them: "rare" is in one place, "often" in all."""
    ids = [f"c{number}" for number in range(1_000)]
    about = {"owner": ANN, "title": "Rain", "title_source": "user", "created_at": make.WHEN, "updated_at": make.WHEN}
    connection.execute(insert(conversations), [{"id": id, **about} for id in ids])
    mine = searching._owner_token(ANN)
    words = [[mine, "often", f"w{place}", *(["rare"] if place == 7 else [])] for place in range(5_000)]
    said = [
        {"id": f"m{place}", "conversation_id": ids[place % 1_000], "seq": place, "role": "user", "status": "complete"}
        for place in range(5_000)
    ]
    connection.execute(insert(messages), [{**one, "created_at": make.WHEN} for one in said])
    values = [
        {"place": i, "conversation_id": ids[i % 1_000], "message_id": f"m{i}", "words": search_postgres.stored(tokens)}
        for i, tokens in enumerate(words)
    ]
    connection.execute(insert(searched), values)
    connection.exec_driver_sql("ANALYZE")


@pytest.mark.parametrize(
    ("typed", "index"),
    [("nosuchword", "ix_searched_words"), ("rare", "ix_searched_words"), ("often", "pk_searched")],
)
async def test_a_search_begins_with_rare_words_or_with_the_newest(store: Store, typed: str, index: str) -> None:
    await store._database.write(_much_to_search)
    plans: list[str] = []

    @event.listens_for(store._database.readers, "before_cursor_execute")
    def _explain(_connection: object, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        if "@@" in statement:
            plan = cursor.execute(f"EXPLAIN {statement}", parameters).fetchall()
            plans.append("\n".join(line for (line,) in plan))

    for _ in range(8):  # what is asked often the driver prepares, and the server may keep a plan for it
        await store.search(ANN, parse(f"{typed} "))
    assert len(plans) >= 8
    for plan in plans[1::2]:  # the second of each search is for messages
        assert index in plan
        assert "Seq Scan" not in plan
