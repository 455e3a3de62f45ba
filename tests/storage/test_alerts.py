"""Alerts in each kind of database: whose they are, and that what is noted stays as it was first noted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from services.alerts import Alert, Counted, Rule
from services.storage.store import Store
from tests.storage.make import ANN, BEN, WHEN
from tests.storage.test_ledger import measured

RULE = Rule(watched="errors", span="hour", against="past", amount=2.5)
ALERT = Alert(id="a1", rule=RULE, at=WHEN, value=12.5, limit=7.25, sentence="Too many failed.")


async def test_rules_are_set_replaced_and_removed(store: Store) -> None:
    ledger = store.ledger
    await ledger.put_alert_rule(ANN, RULE)
    await ledger.put_alert_rule(ANN, replace(RULE, amount=3, on=False))
    await ledger.put_alert_rule(ANN, replace(RULE, span="day"))
    assert await ledger.alert_rules(ANN) == [replace(RULE, span="day"), replace(RULE, amount=3, on=False)]
    assert await ledger.alert_rules(BEN) == []
    await ledger.put_alert_rule(BEN, replace(RULE, on=False))
    assert await ledger.alert_owners() == [ANN], "once, and nobody whose rules are all off"
    await ledger.remove_alert_rule(BEN, RULE)
    await ledger.remove_alert_rule(ANN, RULE)
    assert await ledger.alert_rules(ANN) == [replace(RULE, span="day")]


async def test_alerts_are_kept_with_what_becomes_of_them(store: Store) -> None:
    ledger = store.ledger
    newer = replace(ALERT, id="a2", at=WHEN + timedelta(hours=1))
    for alert in (ALERT, newer, replace(ALERT, sentence="Something else.")):
        await ledger.put_alert(ANN, alert)
    assert await ledger.latest_alerts(ANN, 10) == [newer, ALERT]
    assert await ledger.latest_alerts(ANN, 1) == [newer]
    assert await ledger.latest_alerts(BEN, 10) == []
    assert await ledger.standing_alerts() == [(ANN, ALERT), (ANN, newer)]
    await ledger.recover_alert(BEN, "a1")
    await ledger.dismiss_alert(BEN, "a1")
    await ledger.deliver_alert(BEN, "a1", "never")
    assert await ledger.latest_alerts(ANN, 10) == [newer, ALERT], "nobody touches another one's"
    await ledger.recover_alert(ANN, "a1")
    await ledger.dismiss_alert(ANN, "a1")
    await ledger.deliver_alert(ANN, "a1", "")
    _, found = await ledger.latest_alerts(ANN, 10)
    assert found.recovered_at is not None
    assert found.dismissed_at is not None
    assert found.delivery == ""
    await ledger.recover_alert(ANN, "a1")
    assert (await ledger.latest_alerts(ANN, 10))[1] == found, "the first time counts"
    assert await ledger.standing_alerts() == [(ANN, newer)]


async def test_each_has_one_webhook(store: Store) -> None:
    ledger = store.ledger
    assert await ledger.alert_hook(ANN) is None
    await ledger.put_alert_hook(ANN, "https://a.example/1")
    await ledger.put_alert_hook(ANN, "https://a.example/2")
    assert (await ledger.alert_hook(ANN), await ledger.alert_hook(BEN)) == ("https://a.example/2", None)
    await ledger.put_alert_hook(ANN, None)
    assert await ledger.alert_hook(ANN) is None


async def test_hours_are_counted_with_each_request_once(store: Store) -> None:
    ledger = store.ledger
    hour = int(WHEN.timestamp()) // 3600
    first = measured(7)
    for one in (first, first, replace(measured(None), status="failed", error="server", total_s=9.0)):
        await ledger.append(ANN, one)
    await ledger.append(BEN, measured(99))
    await ledger.append(ANN, replace(measured(5), at=WHEN + timedelta(hours=2), kind="title"))
    found = await ledger.counted(ANN, hour, hour + 3)
    assert found == {
        hour: Counted(requests=2, failed=1, price=7, timed={"first_token_s": {76: 2}, "total_s": {102: 1}}),
        hour + 2: Counted(requests=1, price=5),
    }
    assert list(await ledger.counted(ANN, hour + 1, hour + 3)) == [hour + 2]
    assert await ledger.counted(ANN, hour + 1, hour + 2) == {}
