"""What requests come to: at any moment the sums that are kept are what the table adds up to."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.errors import InputError
from services.measures import Measured
from services.messages import new_id
from services.statistics import (
    EVERYTHING,
    EXACT,
    MEASURES,
    Costly,
    Measure,
    Selection,
    Spread,
    Stats,
    Sums,
    begin_of,
    day_of,
    sums_of,
)
from services.storage.dialects import dialect_of
from services.storage.migrate import migrate
from services.storage.store import Store
from services.usage import Usage
from tests.storage import make
from tests.storage.make import ANN, BEN, WHEN
from tests.storage.postgres import own_database

FIRST = date(2026, 3, 27)  # a change to summer time is near, in Europe

counts = st.integers(0, 3) | st.integers(0, 200_000)
seconds = st.none() | st.floats(0, 4_000, allow_nan=False)
usages = st.none() | st.builds(Usage, input=counts, cached_input=counts, output=counts, reasoning=counts)
moments = st.integers(0, 4 * 86_400_000_000).map(lambda micro: begin_of(FIRST) + timedelta(microseconds=micro))
kinds = st.sampled_from(("chat", "chat", "title"))
statuses = st.sampled_from(("complete", "stopped", "failed"))
errors = st.sampled_from((None, None, "rate_limit", "server"))
many = st.lists(
    st.builds(
        Measured,
        id=st.builds(new_id),
        at=moments,
        endpoint=st.sampled_from(("local", "dear")),
        model=st.sampled_from(("tiny", "large", "")),
        kind=kinds,
        status=statuses,
        error=errors,
        usage=usages,
        price=st.none() | st.integers(0, 10**9),
        queue_s=seconds,
        first_token_s=seconds,
        total_s=seconds,
        retries=st.integers(0, 3),
        conversation_id=st.sampled_from((None, "a", "b", "c")),
    ),
    max_size=30,
)
selections = st.builds(
    lambda start, days, endpoint, model: Selection(
        first=None if start is None else FIRST + timedelta(days=start),
        last=None if days is None else FIRST + timedelta(days=(start or 0) + days),
        endpoint=endpoint,
        model=model,
    ),
    st.none() | st.integers(0, 4),
    st.none() | st.integers(0, 4),
    st.sampled_from((None, "local", "dear")),
    st.sampled_from((None, "tiny", "large")),
)


def one(at: datetime = WHEN, **more: Any) -> Measured:
    about: dict[str, Any] = {
        "endpoint": "local",
        "model": "tiny",
        "kind": "chat",
        "status": "complete",
        "error": None,
        "usage": Usage(input=30, output=20),
        "price": 12,
        "queue_s": 0.1,
        "first_token_s": 0.2,
        "total_s": 1.2,
    }
    return Measured(id=new_id(), at=at, **(about | more))


def within(each: Measured, selection: Selection) -> bool:
    day = day_of(each.at)
    return (
        (selection.first is None or day >= selection.first)
        and (selection.last is None or day <= selection.last)
        and selection.endpoint in {None, each.endpoint}
        and selection.model in {None, each.model}
    )


def summed(some: Sequence[Measured]) -> Sums:
    return reduce(add, map(sums_of, some), Sums())


def nearest(values: list[float], percent: int) -> float | None:
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1] if values else None


def value(each: Measured, measure: Measure) -> float | None:
    if each.kind != "chat" or (measure != "first_token_s" and each.status != "complete"):
        return None
    found: float | None = getattr(each, measure)
    return found


def check_spread(spread: Spread, some: Sequence[Measured], measure: Measure) -> None:
    values = [found for each in some if (found := value(each, measure)) is not None]
    assert spread.count == len(values)
    for told, percent in ((spread.p50, 50), (spread.p95, 95)):
        exact = nearest(values, percent)
        if exact is None:
            assert told is None
        elif 0.001 <= exact <= 10**6:
            assert told == pytest.approx(exact, rel=EXACT)


def dearest(some: Sequence[Measured]) -> list[Costly]:
    """Return what conversations cost that none of is here any more."""
    found: dict[str | None, Sums] = {}
    for each in some:
        found[each.conversation_id] = found.get(each.conversation_id, Sums()) + sums_of(each)
    rows = [
        Costly(
            conversation_id=id,
            title=None,
            requests=sums.requests,
            tokens=sums.tokens,
            price=sums.price,
            unpriced=sums.unpriced,
        )
        for id, sums in found.items()
    ]
    return sorted(rows, key=lambda row: (-row.price, -row.tokens, row.conversation_id or ""))


def check(stats: Stats, some: Sequence[Measured]) -> None:
    """See that stats are what a table of these requests adds up to."""

    def by(key: Callable[[Measured], Any]) -> dict[Any, list[Measured]]:
        found: dict[Any, list[Measured]] = {}
        for each in some:
            found.setdefault(key(each), []).append(each)
        return found

    assert stats.sums == summed(some)
    assert stats.errors == Counter(each.error for each in some if each.error)
    days = by(lambda each: day_of(each.at))
    assert [day.date for day in stats.days] == sorted(days)
    for day in stats.days:
        assert day.sums == summed(days[day.date])
        assert day.errors == Counter(each.error for each in days[day.date] if each.error)
    models = by(lambda each: (each.endpoint, each.model))
    assert {(of.endpoint, of.model) for of in stats.models} == set(models)
    for of in stats.models:
        mine = models[of.endpoint, of.model]
        assert of.sums == summed(mine)
        for measure in MEASURES:
            check_spread(getattr(of.times, measure), mine, measure)
    for measure in MEASURES:
        check_spread(getattr(stats.times, measure), some, measure)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some=many, others=many, selection=selections)
def test_what_is_kept_is_what_the_table_adds_up_to(
    some: list[Measured], others: list[Measured], selection: Selection, tmp_path_factory: Any, empty_database: bytes
) -> None:
    path: Path = tmp_path_factory.mktemp("sums") / "panelist.db"
    path.write_bytes(empty_database)

    async def life() -> None:
        store = await Store.open(path)
        for each in some:
            await store.ledger.append(ANN, each)
            await store.ledger.append(ANN, each)  # the same again counts once
        for each in others:
            await store.ledger.append(BEN, each)
        for asked in (EVERYTHING, selection):
            these = [each for each in some if within(each, asked)]
            check(await store.ledger.stats(ANN, asked), these)
            assert await store.ledger.costly(ANN, asked, 2) == dearest(these)[:2]
        await store.close()

    asyncio.run(life())


async def test_both_databases_add_up_alike(store: Store) -> None:
    chance = random.Random(6)
    some = [
        one(
            WHEN + timedelta(minutes=chance.randrange(20_000)),
            model=chance.choice(("tiny", "large")),
            error=chance.choice((None, None, None, "server")),
            usage=chance.choice((None, Usage(input=chance.randrange(999), cached_input=3, output=7, reasoning=2))),
            price=chance.choice((None, 0, chance.randrange(10**9))),
            first_token_s=chance.expovariate(1),
            total_s=chance.expovariate(0.1) + 3,
        )
        for _ in range(120)
    ]
    for each in some:
        await store.ledger.append(ANN, each)
    asked = Selection(first=day_of(WHEN) + timedelta(days=2), last=day_of(WHEN) + timedelta(days=9), model="tiny")
    check(await store.ledger.stats(ANN, EVERYTHING), some)
    check(await store.ledger.stats(ANN, asked), [each for each in some if within(each, asked)])
    check(await store.ledger.stats(BEN, EVERYTHING), [])


async def test_the_dearest_conversations_and_what_became_of_them(store: Store) -> None:
    kept = await make.asked(store)
    gone = await make.asked(store)
    elses = await make.asked(store, owner=BEN)
    await store.delete(ANN, gone.conversation.id)
    for price, where in (
        (5, kept.conversation.id),
        (None, kept.conversation.id),
        (50, gone.conversation.id),
        (7, None),
        (1, elses.conversation.id),
    ):
        await store.ledger.append(ANN, one(price=price, conversation_id=where))
    await store.ledger.append(BEN, one(price=9_000, conversation_id=elses.conversation.id))
    found = await store.ledger.costly(ANN, EVERYTHING, 10)
    assert found == [
        Costly(conversation_id=gone.conversation.id, title=None, requests=1, tokens=50, price=50, unpriced=0),
        Costly(conversation_id=None, title=None, requests=1, tokens=50, price=7, unpriced=0),
        Costly(conversation_id=kept.conversation.id, title="Rain", requests=2, tokens=100, price=5, unpriced=1),
        Costly(conversation_id=elses.conversation.id, title=None, requests=1, tokens=50, price=1, unpriced=0),
    ], "nobody else's title is told"
    assert await store.ledger.costly(ANN, EVERYTHING, 2) == found[:2]
    assert await store.ledger.costly(ANN, Selection(model="large"), 9) == []


async def test_the_last_moment_of_a_day_is_of_that_day(store: Store) -> None:
    midnight = begin_of(date(2026, 5, 2))
    await store.ledger.append(ANN, one(midnight - timedelta(microseconds=1)))
    await store.ledger.append(ANN, one(midnight))
    await store.ledger.append(ANN, one(midnight + timedelta(microseconds=999)))
    for day, requests in ((date(2026, 5, 1), 1), (date(2026, 5, 2), 2)):
        asked = Selection(first=day, last=day)
        assert (await store.ledger.stats(ANN, asked)).sums.requests == requests
        assert len(await store.ledger.page(ANN, asked, None, 10)) == requests


async def test_numbers_that_nobody_can_mean_do_no_harm(store: Store) -> None:
    for _ in range(3):
        await store.ledger.append(ANN, one(usage=Usage(input=2**70, output=2**63), price=10**15 - 1))
    stats = await store.ledger.stats(ANN, EVERYTHING)
    assert (stats.sums.input, stats.sums.output, stats.sums.price) == (3 * 10**12, 3 * 10**12, 3 * (10**15 - 1))
    [each, *_] = await store.ledger.page(ANN, EVERYTHING, None, 1)
    assert each.usage == Usage(input=10**12, output=10**12), "the table says the same"


async def test_pages_of_requests_leave_none_out_and_repeat_none(store: Store) -> None:
    some = [one(WHEN + timedelta(milliseconds=number // 3)) for number in range(20)]
    for each in some:
        await store.ledger.append(ANN, each)
    await store.ledger.append(BEN, one())
    read: list[Measured] = []
    while page := await store.ledger.page(ANN, EVERYTHING, read[-1] if read else None, 3):
        read += page
    assert read == sorted(some, key=lambda each: (each.at, each.id))


def test_days_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="are none"):
        Selection(first=date(2026, 5, 2), last=date(2026, 5, 1))
    Selection(first=date.max, last=date.max)
    assert Selection(last=date.max).until is None
    assert Selection(first=date.min).since is not None


@pytest.fixture(params=["sqlite", "postgresql"])
def before_tallies(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "sqlite":
        yield tmp_path / "panelist.db"
    else:
        with own_database() as url:
            yield url


async def test_the_migration_adds_up_what_is_there(before_tallies: Path | str) -> None:
    migrate(dialect_of(before_tallies), "0009")
    rows = make.Rows(before_tallies)
    some = [
        one(WHEN + timedelta(hours=5 * nth), model=model, error=error, usage=usage, price=price, conversation_id=here)
        for nth, (model, error, usage, price, here) in enumerate(
            [
                ("tiny", None, Usage(input=3, output=4), 5, "a"),
                ("tiny", "server", None, 7, "b"),
                ("large", None, Usage(input=3, cached_input=2, output=4), None, None),
            ]
            * 9
        )
    ]
    for each in some:
        rows.execute(_row(each))
    store = await Store.open(before_tallies)
    check(await store.ledger.stats(ANN, EVERYTHING), some)
    assert await store.ledger.costly(ANN, EVERYTHING, 10) == dearest(some)
    await store.ledger.append(ANN, one())
    assert (await store.ledger.stats(ANN, EVERYTHING)).sums.requests == len(some) + 1
    await store.close()


async def test_the_migration_counts_the_last_hours_as_they_are_counted_later(before_tallies: Path | str) -> None:
    migrate(dialect_of(before_tallies), "0015")
    now = datetime.now(UTC)
    some = [
        one(
            now - timedelta(hours=7 * nth),
            kind="title" if nth == 3 else "chat",
            error="server" if nth % 4 == 0 else None,
            status="failed" if nth % 4 == 0 else "stopped" if nth % 4 == 1 else "complete",
            price=None if nth == 2 else 5,
        )
        for nth in range(20)
    ]
    rows = make.Rows(before_tallies)
    for each in (*some, one(now - timedelta(days=30))):
        rows.execute(_row(each))
    store = await Store.open(before_tallies)
    for each in some:
        await store.ledger.append(BEN, replace(each, id=new_id()))
    counted = await store.ledger.counted(ANN, 0, 10**6)
    assert counted == await store.ledger.counted(BEN, 0, 10**6)
    assert len(counted) == len(some)
    assert sum(one.failed for one in counted.values()) == 5
    await store.close()


def _row(each: Measured) -> str:
    usage = each.usage
    told = (usage.input, usage.cached_input, usage.output, usage.reasoning) if usage else (None,) * 4
    values = (
        *(each.id, int(each.at.timestamp() * 1000), ANN, each.conversation_id, each.endpoint, each.model),
        *(each.kind, each.status),
        *(each.error, *told, each.price, each.queue_s, each.first_token_s, each.total_s, each.retries),
    )
    words = ", ".join("NULL" if value is None else repr(value) for value in values)
    return (
        "INSERT INTO requests (id, at, owner, conversation_id, endpoint, model, kind, status, error, input,"
        f" cached_input, output, reasoning, price, queue_s, first_token_s, total_s, retries) VALUES ({words})"
    )
