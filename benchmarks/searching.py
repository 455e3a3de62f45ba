"""Search: until the first results are there, among 1,000 to 100,000 messages, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import pytest  # noqa: E402
from sqlalchemy import Connection, insert  # noqa: E402

from services.messages import TextPart  # noqa: E402
from services.search import parse  # noqa: E402
from services.storage import codec, searching  # noqa: E402
from services.storage.schema import conversations, messages, parts  # noqa: E402
from services.storage.store import Store  # noqa: E402
from tests.storage.postgres import own_database  # noqa: E402

Kind = Literal["SQLite", "PostgreSQL"]

SIZES = (1_000, 10_000, 100_000)
KINDS: tuple[Kind, ...] = ("SQLite", "PostgreSQL")
TRIES = 9
OWNER = "local"

_WORDS = 30_000
_EACH = 10  # messages of a conversation
_BEGAN = datetime(2024, 1, 1, tzinfo=UTC)

# The words of the text come as often as those of a language do (Zipf); these stand at places of our choice.
_PLACES = {0: "the", 1: "of", 500: "rain", 501: "雨が降る", 20_000: "zirconium"}
QUERIES = {
    "one letter": "t",
    "a common word": "the",
    "a word half typed": "rai",
    "a rare word": "zirconium",
    "two words": "rain the",
    "a phrase": '"the of"',
    "one Japanese character": "降",
    "common -common": "of -the",
    "title: and a word": "title:rain the",
    "-title: and a word": "-title:t rain",
    "model: and dates": "the model:gpt before:2024-01-10",
    "no such word": "nosuchword",
}


def name_of(size: int, kind: Kind) -> str:
    return f"{size:,} messages, {kind}"


def measure_search(home: Path, size: int, kind: Kind) -> dict[str, float]:
    """Return the medians of every query among so many messages, and what the index takes."""
    if kind == "SQLite":
        return asyncio.run(_measure(home / f"{size}.db", size))
    try:
        with own_database() as url:
            return asyncio.run(_measure(url, size))
    except pytest.skip.Exception as error:  # which no `except Exception` would see
        raise RuntimeError(str(error)) from error


async def _measure(where: Path | str, size: int) -> dict[str, float]:
    store = await Store.open(where)
    write, read = store._database.write, store._database.read
    await write(_fill, size)
    figures = {"database without the index, MB": await read(_megabytes)}
    await write(_before_the_index)
    began = time.perf_counter()
    await write(searching.put_all)
    await write(_make_what_is_missing)
    figures["indexing all of it, s"] = time.perf_counter() - began
    figures["database with it, MB"] = await read(_megabytes)
    for what, typed in QUERIES.items():
        figures[f"{what}, ms"] = await _median_ms(store, OWNER, typed)
    figures["somebody else's common word, ms"] = await _median_ms(store, "else", "the")
    figures["slowest of these, ms"] = max(value for what, value in figures.items() if what.endswith(", ms"))
    await store.close()
    return figures


async def _median_ms(store: Store, owner: str, typed: str) -> float:
    taken = []
    for _ in range(TRIES):
        began = time.perf_counter()
        await store.search(owner, parse(typed))
        taken.append(1000 * (time.perf_counter() - began))
    return sorted(taken)[TRIES // 2]


def _before_the_index(connection: Connection) -> None:
    """Bring a database where the migration would find it: an index of all at once is made faster."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("DROP INDEX ix_searched_words")
        connection.exec_driver_sql("ANALYZE")  # as its autovacuum does within a minute


def _make_what_is_missing(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        for statement in searching.make(connection):
            connection.exec_driver_sql(statement)


def _megabytes(connection: Connection) -> float:
    """Return the size of the database, whatever of it is still in the journal."""
    if connection.dialect.name == "postgresql":
        return float(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one() / 1e6)
    pages, size = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("page_count", "page_size"))
    return float(pages * size / 1e6)


def _fill(connection: Connection, size: int) -> None:
    """Store so many messages as they were before there was an index."""
    text = _Texts()
    for number in range(0, size, _EACH):
        at = _BEGAN + timedelta(minutes=number)
        about = {"owner": OWNER, "title": text(5), "title_source": "model", "created_at": at, "updated_at": at}
        id = f"c{number:08}"
        connection.execute(insert(conversations).values(id=id, **about))
        ids = [f"m{number + place:08}" for place in range(_EACH)]
        told = [
            {
                "id": message_id,
                "conversation_id": id,
                "parent_id": ids[place - 1] if place else None,
                "seq": place + 1,
                "role": "assistant" if place % 2 else "user",
                "status": "complete",
                "model": "gpt-5" if place % 2 else None,
                "created_at": at + timedelta(seconds=place),
            }
            for place, message_id in enumerate(ids)
        ]
        said = [codec.part_to_json(TextPart(text(180 if place % 2 else 20))) for place in range(_EACH)]
        connection.execute(insert(messages), told)
        connection.execute(
            insert(parts),
            [{"message_id": i, "position": 0, "kind": "text", "data": data} for i, data in zip(ids, said, strict=True)],
        )


class _Texts:
    """Makes texts of so many words, the same ones each time."""

    def __init__(self) -> None:
        self._chance = random.Random(1)
        self._words = list(self._all_words())
        self._often = list(itertools.accumulate(1 / (place + 1) for place in range(_WORDS)))

    def _all_words(self) -> Iterator[str]:
        for place in range(_WORDS):
            made = "".join(self._chance.choices("abcdefghijklmnopqrstuvwxyz", k=self._chance.randint(2, 10)))
            yield _PLACES.get(place, made)

    def __call__(self, count: int) -> str:
        return " ".join(self._chance.choices(self._words, cum_weights=self._often, k=count))
