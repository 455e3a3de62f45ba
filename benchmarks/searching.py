"""Search: until the first results are there, among 1,000 to 100,000 messages, on SQLite and in this process."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from sqlalchemy import Connection, insert  # noqa: E402

from services.messages import TextPart  # noqa: E402
from services.search import parse  # noqa: E402
from services.storage import codec, searching  # noqa: E402
from services.storage.schema import conversations, messages, parts  # noqa: E402
from services.storage.store import Store  # noqa: E402

SIZES = (1_000, 10_000, 100_000)
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
    "model: and dates": "the model:gpt before:2024-01-10",
    "no such word": "nosuchword",
}


def name_of(size: int) -> str:
    return f"{size:,} messages"


def measure_search(home: Path, size: int) -> dict[str, float]:
    """Return the medians of every query among so many messages, and what the index takes."""
    return asyncio.run(_measure(home / f"{size}.db", size))


async def _measure(path: Path, size: int) -> dict[str, float]:
    store = await Store.open(path)
    await store._database.write(_fill, size)
    figures = {"database without the index, MB": await store._database.read(_megabytes)}
    began = time.perf_counter()
    await store._database.write(searching.put_all)
    figures["indexing all of it, s"] = time.perf_counter() - began
    figures["database with it, MB"] = await store._database.read(_megabytes)
    for what, typed in QUERIES.items():
        figures[f"{what}, ms"] = await _median_ms(store, typed)
    figures["slowest of these, ms"] = max(figures[f"{what}, ms"] for what in QUERIES)
    await store.close()
    return figures


async def _median_ms(store: Store, typed: str) -> float:
    taken = []
    for _ in range(TRIES):
        began = time.perf_counter()
        await store.search(OWNER, parse(typed))
        taken.append(1000 * (time.perf_counter() - began))
    return sorted(taken)[TRIES // 2]


def _megabytes(connection: Connection) -> float:
    """Return the size of the database, whatever of it is still in the journal."""
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
