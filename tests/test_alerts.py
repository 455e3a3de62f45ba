"""Alerts: what is too much, told once until it is over, in the page and to a webhook."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from components.state import ConversationState
from services.alerting import RECENT, Alerting
from services.alerts import (
    ENOUGH_PAST,
    LEAST,
    OFFERS,
    PAST_DAYS,
    Counted,
    Rule,
    first_hour,
    hour_of,
    in_words,
    level_of,
    moment_of,
    rule_of,
    sentence_of,
    spans_of,
    told,
)
from services.changes import Changes
from services.errors import InputError, StorageError
from services.measures import Measured
from services.messages import new_id
from services.prices import NANOS
from services.runtime import Runtime, open_runtime
from services.settings import read_settings
from services.statistics import EVERYTHING, class_of
from services.storage.store import Store
from tests.conftest import OWNER, OpenRuntime, until, whole_run
from tests.scripted import ScriptedProvider
from tests.test_budgets import DEAR, PRICED, opened
from tests.test_budgets import told as said
from tests.test_webhooks import Place, place

__all__ = ["place"]

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)

SPEND = Rule(watched="spend", span="hour", against="fixed", amount=1)
ERRORS = Rule(watched="errors", span="hour", against="fixed", amount=20)
SLOW = Rule(watched="first_token_s", span="hour", against="fixed", amount=2)


def past_of(rule: Rule) -> Rule:
    return replace(rule, against="past", amount=2)


def spent(dollars: float) -> Counted:
    return Counted(requests=1, price=round(dollars * NANOS))


def failed(some: int, of: int) -> Counted:
    return Counted(requests=of, failed=some)


def slow(seconds: float, count: int = LEAST) -> Counted:
    return Counted(requests=count, timed={"first_token_s": {class_of(seconds): count}})


@pytest.mark.parametrize(
    ("rule", "counted", "over"),
    [
        (SPEND, spent(1), False),
        (SPEND, spent(1.01), True),
        (SPEND, Counted(), False),
        (ERRORS, failed(9, 9), None),
        (ERRORS, failed(2, 10), False),
        (ERRORS, failed(3, 10), True),
        (SLOW, slow(3, LEAST - 1), None),
        (SLOW, slow(1.5), False),
        (SLOW, slow(3), True),
    ],
)
def test_what_is_more_than_an_amount_is_too_much(rule: Rule, counted: Counted, over: bool | None) -> None:
    assert level_of(rule, counted, []).is_over is over


@pytest.mark.parametrize(
    ("rule", "now", "past", "limit"),
    [
        (SPEND, spent(5), [spent(2)] * (ENOUGH_PAST - 1), None),
        (SPEND, spent(5), [spent(2)] * ENOUGH_PAST, 4.0),
        (SPEND, spent(5), [spent(1), spent(2), spent(2), spent(3), spent(99)], 4.0),
        (SPEND, spent(0.05), [spent(0)] * 9, 0.1),
        (SPEND, spent(5), [Counted()] * 9, None),
        (ERRORS, failed(3, 10), [failed(0, 100)] * 9, 5.0),
        (ERRORS, failed(3, 10), [failed(2, 10)] * 9, 40.0),
        (ERRORS, failed(3, 10), [failed(2, 9)] * 9, None),
        (SLOW, slow(3), [slow(1.5)] * 9, 3.0),
        (SLOW, slow(3), [slow(0.1)] * 9, 1.0),
    ],
)
def test_what_is_usual_is_the_median_of_the_past(
    rule: Rule, now: Counted, past: list[Counted], limit: float | None
) -> None:
    found = level_of(past_of(rule), now, past)
    assert found.limit == (None if limit is None else pytest.approx(limit, rel=0.04))


@pytest.mark.parametrize(
    ("rule", "counted", "past", "sentence"),
    [
        (SPEND, spent(1.5), [], "$1.50 was spent in an hour: more than $1.00."),
        (
            past_of(replace(SPEND, span="day")),
            spent(9),
            [spent(2)] * 9,
            "$9.00 was spent in a day: more than $4.00, which is 2 × what is usual.",
        ),
        (ERRORS, failed(400, 1_000), [], "40 % of 1,000 requests in an hour failed: more than 20 %."),
        (
            past_of(ERRORS),
            failed(3, 10),
            [failed(0, 10)] * 9,
            "30 % of 10 requests in an hour failed: more than is usual, and more than 5 %.",
        ),
        (SLOW, slow(8), [], "95 % of first words in an hour came within 8.2 s: more than 2 s."),
    ],
)
def test_a_sentence_says_what_and_how_much(rule: Rule, counted: Counted, past: list[Counted], sentence: str) -> None:
    assert sentence_of(level_of(rule, counted, past)) == sentence


@pytest.mark.parametrize(
    ("given", "amount"),
    [
        (("spend", "day", "fixed", "$1,000.50"), 1000.5),
        (("errors", "hour", "fixed", "20 %"), 20),
        (("errors", "hour", "past", "2 ×"), 2),
        (("total_s", "hour", "fixed", "60 s"), 60),
    ],
)
def test_a_rule_is_as_a_person_typed_it(given: tuple[str, str, str, str], amount: float) -> None:
    assert rule_of(*given).amount == amount


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("spend", "day", "fixed", "lots"), "number of dollars above 0"),
        (("spend", "day", "fixed", "0"), "above 0"),
        (("spend", "day", "fixed", "nan"), "above 0"),
        (("errors", "hour", "fixed", "101"), "number of percent above 0, 100 at most"),
        (("errors", "hour", "past", "5000"), "times what is usual above 0, 1,000 at most"),
        (("total_s", "hour", "fixed", "-1"), "seconds"),
        (("weather", "hour", "fixed", "1"), "no such alert"),
        (("spend", "year", "fixed", "1"), "no such alert"),
    ],
)
def test_what_is_no_rule_is_refused(given: tuple[str, str, str, str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        rule_of(*given)


def test_offers_stand_beside_what_is_set() -> None:
    mine = replace(OFFERS[0], amount=7)
    shown = told([mine])
    assert shown[0] == mine
    assert [rule.key for rule in shown] == [offer.key for offer in OFFERS]
    assert not any(rule.on for rule in shown[1:])
    assert len({rule.label for rule in shown}) == len(shown)
    assert in_words("spend", 0.0015) == "$0.0015"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Hook:
    """Takes what a webhook would be told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.why = ""
        self.waits: asyncio.Event | None = None

    async def __call__(self, url: str, body: dict[str, Any]) -> str:
        if self.waits is not None:
            await self.waits.wait()
        self.told.append((url, body))
        return self.why


URL = "https://hooks.example.org/services/T0/secret"


class House:
    """Alerts on a real database, with what they are told by."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock, self.hook, self.changes = Clock(), Hook(), Changes()
        self.jobs: list[Any] = []
        self.alerts = self.again()

    def again(self) -> Alerting:
        """As after a restart."""
        return Alerting(
            self.store.ledger,
            self.changes,
            self.clock,
            background=lambda job, name: self.jobs.append(job),
            tell=self.hook,
        )

    async def request(self, owner: str = OWNER, **more: Any) -> None:
        about: dict[str, Any] = {
            "endpoint": "dear",
            "model": "tiny",
            "kind": "chat",
            "status": "complete",
            "error": None,
            "usage": None,
            "price": 0,
            "queue_s": 0.1,
            "first_token_s": 0.5,
            "total_s": 1.0,
        }
        await self.store.ledger.append(owner, Measured(id=new_id(), at=self.clock.now, **(about | more)))

    async def spend(self, dollars: float, owner: str = OWNER) -> None:
        await self.request(owner, price=round(dollars * NANOS))

    async def look(self) -> None:
        await self.alerts.look(OWNER)
        await self.deliver()

    async def deliver(self) -> None:
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            await job

    def lose(self) -> None:
        """As when the process is killed."""
        for job in self.jobs:
            job.close()
        self.jobs.clear()

    async def listed(self) -> list[tuple[str, bool, bool]]:
        found = await self.alerts.latest(OWNER)
        return [(one.sentence, one.recovered_at is not None, one.dismissed_at is not None) for one in found]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    store = await Store.open(tmp_path / "panelist.db")
    house = House(store)
    yield house
    await house.deliver()
    await store.close()


SENTENCE = "$1.50 was spent in an hour: more than $1.00."
FAILED = "100 % of 10 requests in an hour failed: more than 20 %."


async def test_it_is_told_once_until_it_is_over(house: House) -> None:
    await house.alerts.put_hook(OWNER, URL)
    await house.alerts.put(OWNER, SPEND)
    await house.spend(0.75)
    await house.look()
    assert await house.listed() == []
    assert house.alerts.warned(OWNER) is None
    for _ in range(3):
        await house.spend(0.25)
    await house.look()
    await house.spend(0.5)
    await house.look()
    assert [sentence for sentence, *_ in await house.listed()] == [SENTENCE]
    warned = house.alerts.warned(OWNER)
    assert warned is not None
    assert warned.sentence == f"Alert: {SENTENCE} See /alerts."
    assert [(url, body["event"]) for url, body in house.hook.told] == [(URL, "alert")]

    house.clock.now += timedelta(hours=1)
    await house.look()
    assert await house.listed() == [(SENTENCE, True, False)]
    assert house.alerts.warned(OWNER) is None
    assert [body["event"] for _, body in house.hook.told] == ["alert", "recovered"]
    assert house.hook.told[-1][1]["text"] == "Panelist: Spent in an hour: $0.00 now, no more than $1.00."

    await house.spend(3)
    await house.look()
    assert len(await house.listed()) == 2
    again = house.alerts.warned(OWNER)
    assert again is not None
    assert again.number > warned.number


async def test_what_a_webhook_is_told(house: House) -> None:
    await house.alerts.put_hook(OWNER, URL)
    await house.alerts.put(OWNER, SPEND)
    await house.spend(1.5)
    await house.look()
    [(_, body)] = house.hook.told
    [alert] = await house.alerts.latest(OWNER)
    assert body == {
        "event": "alert",
        "text": f"Panelist: {SENTENCE}",
        "alert": {
            "id": alert.id,
            "at": "2026-11-20T12:30:00+00:00",
            "watched": "spend",
            "span": "hour",
            "against": "fixed",
            "amount": 1.0,
            "value": 1.5,
            "limit": 1.0,
            "unit": "dollars",
        },
    }
    assert alert.delivery == ""


async def test_what_became_of_the_webhook_is_kept(house: House) -> None:
    await house.alerts.put(OWNER, SPEND)
    await house.spend(1.5)
    await house.look()
    [alert] = await house.alerts.latest(OWNER)
    assert (alert.delivery, house.hook.told) == (None, [])
    await house.alerts.put_hook(OWNER, URL)
    house.hook.why = "hooks.example.org answered 500."
    await house.alerts.put(OWNER, replace(SPEND, amount=1.2))
    await house.deliver()
    newest, _ = await house.alerts.latest(OWNER)
    assert newest.delivery == house.hook.why
    assert await house.alerts.hook(OWNER) == "hooks.example.org", "the address itself is given to nobody"
    assert await house.alerts.hook("ben") is None
    await house.alerts.put_hook(OWNER, None)
    assert await house.alerts.try_hook(OWNER) == "There is no webhook yet. Enter its address first."


async def test_the_webhook_can_be_tried(house: House) -> None:
    await house.alerts.put_hook(OWNER, URL)
    assert await house.alerts.try_hook(OWNER) == ""
    assert await house.alerts.try_hook(OWNER, "http://localhost:9/x") == ""
    assert [url for url, _ in house.hook.told] == [URL, "http://localhost:9/x"]
    assert house.hook.told[0][1]["event"] == "test"
    with pytest.raises(InputError, match="no address"):
        await house.alerts.try_hook(OWNER, "hooks.example.org")
    with pytest.raises(InputError, match="no address"):
        await house.alerts.put_hook(OWNER, "file:///etc/passwd")


async def test_a_rule_that_is_switched_off_or_changed_ends_what_it_told(house: House) -> None:
    await house.alerts.put(OWNER, SPEND)
    await house.spend(1.5)
    await house.look()
    await house.alerts.put(OWNER, replace(SPEND, on=False))
    await house.look()
    assert await house.listed() == [(SENTENCE, True, False)]
    assert house.alerts.warned(OWNER) is None
    await house.alerts.put(OWNER, SPEND)
    assert len(await house.listed()) == 2
    await house.alerts.remove(OWNER, SPEND)
    await house.look()
    assert [recovered for _, recovered, _ in await house.listed()] == [True, True]
    assert await house.alerts.rules(OWNER) == []


async def test_a_dismissed_one_is_not_told_again_before_it_recovered(house: House) -> None:
    await house.alerts.put(OWNER, SPEND)
    await house.spend(1.5)
    await house.look()
    [alert] = await house.alerts.latest(OWNER)
    await house.alerts.dismiss("ben", alert.id)
    assert await house.listed() == [(SENTENCE, False, False)], "nobody dismisses another one's"
    await house.alerts.dismiss(OWNER, alert.id)
    await house.spend(1)
    await house.look()
    assert await house.listed() == [(SENTENCE, False, True)]
    assert house.alerts.warned(OWNER) is None


async def test_it_stands_through_a_restart(house: House) -> None:
    await house.alerts.put(OWNER, SPEND)
    await house.spend(1.5)
    await house.look()
    house.alerts = house.again()
    await house.alerts._recall()
    warned = house.alerts.warned(OWNER)
    assert warned is not None
    assert warned.sentence == f"Alert: {SENTENCE} See /alerts."
    await house.look()
    assert len(await house.listed()) == 1
    house.clock.now += timedelta(hours=1)
    await house.look()
    assert await house.listed() == [(SENTENCE, True, False)]


async def fail(house: House) -> None:
    for _ in range(LEAST):
        await house.request(status="failed", error="server", first_token_s=None, total_s=None)
    await house.look()


async def test_too_little_to_say_ends_it_once_its_hour_is_over(house: House) -> None:
    await house.alerts.put_hook(OWNER, URL)
    await house.alerts.put(OWNER, ERRORS)
    await fail(house)
    house.clock.now += timedelta(minutes=29)
    await house.look()
    assert await house.listed() == [(FAILED, False, False)]
    house.clock.now += timedelta(minutes=1)
    await house.look()
    assert await house.listed() == [(FAILED, True, False)]
    body = house.hook.told[-1][1]
    assert body["text"] == (
        "Panelist: Requests that fail in an hour: that hour is over, and there is too little since to say more."
    )
    assert (body["event"], body["alert"]["value"]) == ("recovered", None)
    house.clock.now += timedelta(days=1)
    await fail(house)
    assert [recovered for _, recovered, _ in await house.listed()] == [False, True], "and it is told again"


async def test_what_was_usual_once_and_is_not_any_more_ends_too(house: House) -> None:
    for hours in range(ENOUGH_PAST, 0, -1):
        house.clock.now = NOW - timedelta(hours=hours)
        await house.spend(1)
    house.clock.now = NOW
    await house.alerts.put(OWNER, past_of(SPEND))
    await house.spend(9)
    await house.look()
    house.clock.now += timedelta(days=PAST_DAYS + 1)
    await house.look()
    assert [recovered for _, recovered, _ in await house.listed()] == [True]


async def test_an_hour_is_looked_at_once_more_after_it(house: House) -> None:
    await house.alerts.put(OWNER, SPEND)
    await house.look()
    began = house.clock.now
    house.clock.now = NOW.replace(minute=0) + timedelta(hours=1, minutes=5)
    ended, house.clock.now = house.clock.now, began
    await house.spend(1.5)  # kept when it ends, under the moment when it began
    house.clock.now = ended
    await house.look()
    assert await house.listed() == [(SENTENCE, False, False)]
    [alert] = await house.alerts.latest(OWNER)
    assert alert.at == NOW.replace(minute=0) + timedelta(hours=1)
    await house.look()
    assert await house.listed() == [(SENTENCE, False, False)], "it stays for somebody to see"
    house.alerts = house.again()
    house.clock.now += timedelta(minutes=50)
    await house.look()
    assert await house.listed() == [(SENTENCE, False, False)]
    house.clock.now += timedelta(minutes=5)
    await house.look()
    await house.look()
    assert await house.listed() == [(SENTENCE, True, False)]


async def test_an_hour_that_was_told_of_is_not_told_of_again_after_it(house: House) -> None:
    await house.alerts.put(OWNER, SPEND)
    await house.spend(1.5)
    await house.look()
    house.clock.now += timedelta(hours=1)
    for _ in range(2):
        await house.look()
        house.alerts = house.again()
    assert await house.listed() == [(SENTENCE, True, False)]


async def test_an_hour_before_a_rule_was_set_is_not_told_of(house: House) -> None:
    await house.spend(1.5)
    house.clock.now += timedelta(hours=1)
    await house.alerts.put(OWNER, SPEND)
    await house.look()
    assert await house.listed() == []


async def test_yesterday_is_looked_at_in_the_first_hour_of_a_day(house: House) -> None:
    rule = replace(SPEND, span="day")
    await house.alerts.put(OWNER, rule)
    tomorrow = moment_of(first_hour("day", NOW + timedelta(days=1)))
    house.clock.now = tomorrow - timedelta(minutes=1)
    await house.spend(1.5)
    house.clock.now = tomorrow + timedelta(hours=1)
    await house.look()
    assert await house.listed() == []
    house.clock.now = tomorrow + timedelta(minutes=1)
    await house.look()
    assert await house.listed() == [("$1.50 was spent in a day: more than $1.00.", False, False)]


def test_a_day_has_the_hours_that_begin_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        first = first_hour("day", NOW)
        days = spans_of({first - 1: spent(1), first: spent(2), first + 23: spent(4), first + 24: spent(8)}, "day")
        following = first_hour("day", NOW + timedelta(days=1))
    time.tzset()
    assert moment_of(first) == datetime(2026, 11, 19, 19, tzinfo=UTC), "half an hour after midnight there"
    assert following == first + 24
    assert [counted.price // NANOS for counted in days.values()] == [1, 6, 8]


async def test_the_past_is_that_of_the_same_owner_by_hours_or_days(house: House) -> None:
    for days in range(ENOUGH_PAST, 0, -1):
        for hours in (0, 1):
            house.clock.now = NOW - timedelta(days=days, hours=hours)
            await house.spend(1)
    house.clock.now = NOW
    await house.alerts.put(OWNER, past_of(SPEND))
    await house.alerts.put(OWNER, past_of(replace(SPEND, span="day")))
    await house.spend(99, "ben")
    await house.spend(2.5)
    by_span = {level.rule.span: level for level in await house.alerts.look(OWNER)}
    assert (by_span["hour"].value, by_span["hour"].limit) == (2.5, 2.0)
    assert (by_span["day"].value, by_span["day"].limit) == (2.5, 4.0)
    assert [sentence for sentence, *_ in await house.listed()] == [
        "$2.50 was spent in an hour: more than $2.00, which is 2 × what is usual."
    ]
    house.clock.now += timedelta(hours=1)
    [hour] = [level for level in await house.alerts.look(OWNER) if level.rule.span == "hour"]
    assert hour.value == 0


async def test_hours_that_nothing_is_compared_with_go(house: House) -> None:
    await house.spend(1)
    await house.store.ledger.forget_hours(hour_of(NOW))
    assert len(await house.store.ledger.counted(OWNER, 0, 10**6)) == 1
    await house.store.ledger.forget_hours(hour_of(NOW) + 1)
    assert await house.store.ledger.counted(OWNER, 0, 10**6) == {}
    assert (await house.store.ledger.stats(OWNER, EVERYTHING)).sums.requests == 1, "the table stays"


async def test_what_could_not_be_kept_is_tried_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.alerts.put(OWNER, SPEND)
    await house.spend(1.5)

    async def full(*_: object) -> None:
        raise StorageError("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(house.store.ledger, "put_alert", full)
        with pytest.raises(StorageError):
            await house.look()
    await house.look()
    assert len(await house.listed()) == 1
    house.clock.now += timedelta(hours=1)
    with monkeypatch.context() as broken:
        broken.setattr(house.store.ledger, "recover_alert", full)
        with pytest.raises(StorageError):
            await house.look()
    await house.look()
    assert await house.listed() == [(SENTENCE, True, False)]


async def test_a_request_leads_to_a_notice_in_the_page(
    open_app: OpenRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.alerting.AFTER_S", 0.01)
    app = await opened(open_app, tmp_path, said("Because."))
    await app.chat.alerts.put(OWNER, replace(SPEND, amount=0.001))
    state = ConversationState(app.chat, app.connections, OWNER, app.temporary)
    await state.start()
    await whole_run(app.chat, await app.chat.send(OWNER, "Why?", options=DEAR))
    await until(lambda: _told(state) is not None)
    assert _told(state) == "Alert: $0.006 was spent in an hour: more than $0.001. See /alerts."
    state.close()
    later = await _page(app)
    assert _told(later) == _told(state), "also a page that opens later, until it is dismissed"
    later.close()
    [alert] = await app.chat.alerts.latest(OWNER)
    await app.chat.alerts.dismiss(OWNER, alert.id)
    last = await _page(app)
    assert _told(last) is None
    last.close()
    await app.close()
    again = await open_runtime(app.settings, provider=ScriptedProvider())
    assert (await again.chat.alerts.look(OWNER))[0].is_over
    assert len(await again.chat.alerts.latest(OWNER)) == 1
    await again.close()


async def _page(app: Runtime) -> ConversationState:
    state = ConversationState(app.chat, app.connections, OWNER, app.temporary)
    await state.start()
    return state


def _told(state: ConversationState) -> str | None:
    return None if state.notice is None else state.notice.text


async def test_rules_read_while_one_is_set_are_not_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = house.store.ledger
    read, begun, go_on = ledger.alert_rules, asyncio.Event(), asyncio.Event()

    async def slowly(owner: str) -> list[Rule]:
        found = await read(owner)
        if not begun.is_set():
            begun.set()
            await go_on.wait()
        return found

    monkeypatch.setattr(ledger, "alert_rules", slowly)
    asked = asyncio.create_task(house.alerts.rules(OWNER))
    await begun.wait()
    await house.alerts.put(OWNER, SPEND)
    go_on.set()
    assert await asked == [SPEND]
    assert await house.alerts.rules(OWNER) == [SPEND]


async def test_a_webhook_is_told_after_a_restart_what_a_stop_kept_from_it(house: House) -> None:
    await house.alerts.put_hook(OWNER, URL)
    await house.alerts.put(OWNER, SPEND)
    await house.spend(1.5)
    await house.alerts.look(OWNER)
    house.lose()
    house.alerts = house.again()
    await house.look()
    [alert] = await house.alerts.latest(OWNER)
    assert [(body["event"], body["alert"]["id"]) for _, body in house.hook.told] == [("alert", alert.id)]
    assert alert.delivery == ""
    house.alerts = house.again()
    await house.look()
    assert len(house.hook.told) == 1


async def test_a_webhook_is_not_told_of_what_is_long_ago_or_was_seen(house: House) -> None:
    day = replace(SPEND, span="day")
    await house.alerts.put(OWNER, SPEND)
    await house.alerts.put(OWNER, day)
    await house.spend(1.5)
    await house.look()
    await house.alerts.put_hook(OWNER, URL)
    seen, other = await house.alerts.latest(OWNER)
    await house.alerts.dismiss(OWNER, seen.id)
    told = []
    for moment in (NOW + RECENT, NOW):
        house.clock.now = moment
        house.alerts = house.again()
        await house.alerts._recall()
        await house.deliver()
        told.append([body["alert"]["id"] for _, body in house.hook.told])
    assert told == [[], [other.id]]


async def test_that_it_is_over_says_nothing_of_how_its_beginning_was_told(house: House) -> None:
    await house.alerts.put_hook(OWNER, URL)
    await house.alerts.put(OWNER, SPEND)
    await house.spend(1.5)
    house.hook.why = "hooks.example.org answered 500."
    await house.look()
    house.hook.why = ""
    house.clock.now += timedelta(hours=1)
    await house.look()
    assert [body["event"] for _, body in house.hook.told] == ["alert", "recovered"]
    [alert] = await house.alerts.latest(OWNER)
    assert alert.delivery == "hooks.example.org answered 500."


async def test_everybody_is_looked_at_at_the_start(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.alerting.AFTER_S", 0.01)
    await house.alerts.put(OWNER, SPEND)
    await house.spend(1.5)
    house.alerts = house.again()
    watching = asyncio.create_task(house.alerts.watch())

    async def told() -> bool:
        return bool(await house.listed())

    await until(told)
    watching.cancel()
    await asyncio.wait({watching})
    assert await house.listed() == [(SENTENCE, False, False)]


async def test_what_one_question_made_too_much_is_told_before_the_end(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a terminal without a server, which is over before anybody would look."""
    monkeypatch.setattr("services.alerting.AFTER_S", 1_000)
    (tmp_path / "endpoints.toml").write_text(PRICED, "utf-8")
    settings = read_settings({"PANELIST_ENDPOINTS": "endpoints.toml", "PANELIST_TITLES": "off"}, tmp_path)
    app = await open_runtime(settings, provider=ScriptedProvider(said("Because.")), brief=True)
    await app.chat.alerts.put_hook(OWNER, place.url)
    await app.chat.alerts.put(OWNER, replace(SPEND, amount=0.001))
    await whole_run(app.chat, await app.chat.send(OWNER, "Why?", options=DEAR))
    assert await app.chat.alerts.latest(OWNER) == []
    await app.close()
    again = await open_runtime(settings, provider=ScriptedProvider(), brief=True)
    [alert] = await again.chat.alerts.latest(OWNER)
    await again.close()
    assert (alert.sentence, alert.delivery) == ("$0.006 was spent in an hour: more than $0.001.", "")
    assert len(place.got) == 1


async def test_a_webhook_that_takes_long_holds_no_end_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.alerting.LAST_S", 0.5)
    await house.alerts.put_hook(OWNER, URL)
    await house.alerts.put(OWNER, SPEND)
    await house.spend(1.5)
    await house.alerts.look(OWNER)
    house.lose()
    house.hook.waits = asyncio.Event()
    await house.alerts.finish()
    assert [alert.delivery for alert in await house.alerts.latest(OWNER)] == [None]
    house.hook.waits = None
    await house.alerts.finish()
    assert [alert.delivery for alert in await house.alerts.latest(OWNER)] == [""]
