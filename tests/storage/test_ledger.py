"""Measures and budgets in the database: what is reserved, what it becomes, and that nothing is overspent."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, select

from services.events import Reply, RunFinished, StepStarted, TextDelta, UsageReported
from services.measures import Measured, orphaned
from services.messages import new_id
from services.settings import DEMO_ENDPOINT
from services.spending import Budget, Hold, Period
from services.statistics import EVERYTHING
from services.storage.schema import requests
from services.storage.store import Store
from services.usage import Usage
from tests.storage.make import ANN, BEN, WHEN, begin, conversation, exchange

PERIOD = Period.of(WHEN)


def hold(worst: int, endpoint: str = "local", *, beyond: bool = False) -> Hold:
    return Hold(worst=worst, endpoint=endpoint, input_tokens=7, period=PERIOD, beyond=beyond)


def measured(price: int | None, conversation_id: str | None = None, endpoint: str = "local") -> Measured:
    return Measured(
        id=new_id(),
        at=WHEN,
        endpoint=endpoint,
        model="tiny",
        kind="chat",
        status="complete",
        error=None,
        usage=Usage(input=3, output=2),
        price=price,
        queue_s=0.1,
        first_token_s=0.2,
        total_s=1.2,
        conversation_id=conversation_id,
    )


def done(text: str = "Because.") -> Reply:
    reply = Reply()
    for event in (StepStarted("local", "tiny"), TextDelta(text), UsageReported(Usage(input=3, output=2))):
        reply.apply(event)
    reply.apply(RunFinished("complete"))
    return reply


async def begun(store: Store, holding: Hold | None, *, owner: str = ANN) -> tuple[str, str, bool]:
    """Begin a run in a new conversation; return it, its conversation, and whether it was refused."""
    new = exchange(conversation())
    found = await store.begin_run(
        owner, conversation=new.conversation, question=new.question, answers=[new.answer], hold=holding
    )
    return new.run_id, new.conversation.id, bool(found.refused)


async def left(store: Store, owner: str = ANN, conversation_id: str | None = None) -> dict[str, int]:
    found = await store.ledger.standings(owner, PERIOD, conversation_id)
    return {standing.budget.label: standing.left for standing in found}


async def test_what_a_run_cost_takes_the_place_of_what_was_reserved(store: Store) -> None:
    await store.ledger.put_budget(ANN, Budget(scope="day", amount=100))
    run, here, refused = await begun(store, hold(60))
    assert not refused
    assert await left(store) == {"Today": 40}
    await store.finish_run(run, reply=done(), first_token_s=0.2, total_s=1.2, measured=measured(25, here))
    assert await left(store) == {"Today": 75}
    await store.finish_run(run, reply=done(), first_token_s=0.2, total_s=1.2, measured=measured(25, here))
    assert await left(store) == {"Today": 75}, "the same end twice costs once"


async def test_a_run_without_room_is_stored_and_refused(store: Store) -> None:
    await store.ledger.put_budget(ANN, Budget(scope="month", amount=100))
    _, _, first = await begun(store, hold(60))
    run, here, second = await begun(store, hold(60))
    assert (first, second) == (False, True)
    assert (await store.run(ANN, run)).status == "streaming", "its answer says why there is none"
    assert await left(store) == {"This month": 40}
    _, _, insisting = await begun(store, hold(60, beyond=True))
    assert not insisting
    assert await left(store) == {"This month": 0}
    assert (await store.conversation(ANN, here)).id == here


async def test_a_run_is_reserved_for_once(store: Store) -> None:
    await store.ledger.put_budget(ANN, Budget(scope="day", amount=100))
    run, here, _ = await begun(store, hold(60))
    assert await store.ledger.reserve(ANN, run, here, hold(60)) is None, "whose beginning's word was lost"
    assert await left(store) == {"Today": 40}


async def test_each_budget_counts_its_own(store: Store) -> None:
    for budget in (
        Budget(scope="day", amount=1_000),
        Budget(scope="month", amount=1_000),
        Budget(scope="endpoint", name="dear", amount=1_000),
        Budget(scope="conversation", amount=1_000),
    ):
        await store.ledger.put_budget(ANN, budget)
    yesterday = replace(measured(1, "a"), at=WHEN - timedelta(days=1))
    earlier = replace(measured(10, "a"), at=PERIOD.month - timedelta(seconds=1))
    for one in (measured(100, "a"), measured(200, "b", "dear"), measured(None, "a"), yesterday, earlier):
        await store.ledger.append(ANN, one)
    await store.ledger.append(BEN, measured(500, "c"))
    month = 700 if yesterday.at < PERIOD.month else 699
    assert await left(store, conversation_id="a") == {
        "Today": 700,
        "This month": month,
        "dear, this month": 800,
        "Each conversation": 889,
    }
    await store.ledger.put_budget(ANN, Budget(scope="conversation", name="a", amount=120))
    assert (await left(store, conversation_id="a"))["This conversation"] == 9
    assert "Each conversation" not in await left(store, conversation_id="a"), "its own wins"
    assert (await left(store, conversation_id="b"))["Each conversation"] == 800
    assert await left(store, BEN) == {}


async def test_a_budget_is_replaced_and_removed(store: Store) -> None:
    await store.ledger.put_budget(ANN, Budget(scope="day", amount=5))
    await store.ledger.put_budget(ANN, Budget(scope="day", amount=7))
    assert await store.ledger.budgets(ANN) == [Budget(scope="day", amount=7)]
    assert await store.ledger.budgets(BEN) == []
    await store.ledger.remove_budget(BEN, Budget(scope="day", amount=7))
    await store.ledger.remove_budget(ANN, Budget(scope="day", amount=0))
    assert await store.ledger.budgets(ANN) == []


async def test_the_start_settles_what_a_crash_left(store: Store) -> None:
    """A run of this database by what came of it, one of a temporary chat by the most it could have cost."""
    await store.ledger.put_budget(ANN, Budget(scope="day", amount=1_000_000))
    run, here, _ = await begun(store, hold(60))
    assert await store.ledger.reserve(ANN, "of a temporary chat", None, hold(33)) is None
    seen: list[int | None] = []

    def measure(record: Any, reply: Reply, tokens: int | None) -> Measured | None:
        seen.append(tokens)
        return measured(5, record.conversation_id)

    orphans = await store.interrupt_orphans(measure)
    assert (orphans.runs, [(lost.price, lost.status) for lost in orphans.lost]) == (1, [(33, "interrupted")])
    assert seen == [7]
    [standing] = await store.ledger.standings(ANN, PERIOD, here)
    assert (standing.spent, standing.reserved) == (5 + 33, 0)
    assert (await store.run(ANN, run)).status == "interrupted"


async def test_a_run_that_a_crash_cut_short_is_measured_by_what_came(store: Store) -> None:
    new = exchange(conversation())
    await begin(store, new)
    record = replace(await store.run(ANN, new.run_id), endpoint="demo")
    reply = Reply()
    assert orphaned(record, reply, DEMO_ENDPOINT, 4) is None, "it had sent nothing"
    reply.apply(StepStarted("demo", "demo"))
    reply.apply(TextDelta("x" * 30))
    kept = orphaned(record, reply, DEMO_ENDPOINT, 4)
    assert kept is not None
    assert (kept.usage, kept.price, kept.conversation_id) == (None, 0, new.conversation.id)
    unknown = orphaned(record, reply, DEMO_ENDPOINT, None)
    assert unknown is not None
    assert unknown.price is None, "nobody knows what was sent"


async def test_a_request_that_is_kept_again_counts_once(store: Store) -> None:
    """As after a commit whose word was lost."""
    one = measured(7)
    for _ in range(2):
        await store.ledger.append(ANN, one)
    sums = (await store.ledger.stats(ANN, EVERYTHING)).sums
    assert (sums.requests, sums.price) == (1, 7)


async def test_what_is_kept_has_every_measure_and_no_content(store: Store, where: Path | str) -> None:
    one = replace(
        measured(12, "here"), status="failed", error="rate_limit", retries=2, at=datetime(2026, 1, 2, tzinfo=UTC)
    )
    await store.ledger.append(ANN, one)
    await store.ledger.append(ANN, one)
    engine = create_engine(
        f"sqlite:///{where}" if isinstance(where, Path) else where.replace("postgresql", "postgresql+psycopg", 1)
    )
    with engine.connect() as connection:
        [row] = connection.execute(select(requests)).mappings().all()
    engine.dispose()
    assert dict(row) == {
        "id": one.id,
        "at": 1_767_312_000_000,
        "owner": ANN,
        "conversation_id": "here",
        "endpoint": "local",
        "model": "tiny",
        "kind": "chat",
        "status": "failed",
        "error": "rate_limit",
        "input": 3,
        "cached_input": 0,
        "output": 2,
        "reasoning": 0,
        "price": 12,
        "queue_s": 0.1,
        "first_token_s": 0.2,
        "total_s": 1.2,
        "retries": 2,
    }


acts = st.lists(
    st.tuples(
        st.sampled_from(["begin", "begin", "begin", "aside", "end", "fail", "crash", "together"]),
        st.integers(0, 60),
        st.integers(0, 100),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=acts, budget=st.integers(0, 200))
def test_no_interleaving_overspends_and_nothing_stays_reserved(
    acts: list[tuple[str, int, int]], budget: int, tmp_path_factory: Any, empty_database: bytes
) -> None:
    """Runs begin, also two at once, end with what they cost (their worst at most), fail, and processes die."""
    folder: Path = tmp_path_factory.mktemp("life")
    path = folder / "panelist.db"
    path.write_bytes(empty_database)

    async def life() -> None:
        store = await Store.open(path)
        await store.ledger.put_budget(ANN, Budget(scope="day", amount=budget))
        live: list[tuple[str, str | None, int]] = []

        def measure(record: Any, reply: Reply, tokens: int | None) -> Measured | None:
            worst = next(worst for run, _, worst in live if run == record.id)
            return measured(worst, record.conversation_id)

        async def start(worst: int) -> None:
            run, here, refused = await begun(store, hold(worst))
            if refused:
                await store.finish_run(run, reply=done(), first_token_s=None, total_s=0.1)
            else:
                live.append((run, here, worst))

        for act, worst, share in acts:
            match act:
                case "begin":
                    await start(worst)
                case "together":
                    await asyncio.gather(start(worst), start(worst), start(share))
                case "aside":
                    run = new_id()
                    if await store.ledger.reserve(ANN, run, None, hold(worst)) is None:
                        live.append((run, None, worst))
                case "end" | "fail" if live:
                    run, here, most = live.pop(share % len(live))
                    cost = None if act == "fail" else measured(most * share // 100, here)
                    if here is None:
                        await store.ledger.settle(ANN, run, cost)
                    else:
                        await store.finish_run(run, reply=done(), first_token_s=None, total_s=0.1, measured=cost)
                case "crash":
                    await store.close()
                    store = await Store.open(path)
                    await store.interrupt_orphans(measure)
                    live.clear()
                case _:
                    pass
            [standing] = await store.ledger.standings(ANN, PERIOD)
            assert standing.spent + standing.reserved <= budget
            assert standing.reserved == sum(worst for _, _, worst in live)
        await store.interrupt_orphans(measure)
        await store.close()

    asyncio.run(life())
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM reservations").fetchone() == (0,)
    database.close()
