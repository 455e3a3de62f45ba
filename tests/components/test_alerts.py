"""The dialog of alerts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from components.alerts import AlertsView
from services.alerts import OFFERS, Rule
from services.errors import StorageError
from services.runtime import Runtime
from tests.conftest import OWNER, OpenRuntime, until
from tests.test_alerts import SENTENCE, Hook, House

MINE = Rule(watched="spend", span="hour", against="fixed", amount=1)


@pytest.fixture
async def app(open_app: OpenRuntime, tmp_path: Path) -> Runtime:
    from tests.scripted import ScriptedProvider

    return await open_app(ScriptedProvider())


@pytest.fixture
async def house(app: Runtime) -> House:
    house = House(app.store)
    house.clock.now = app.chat.alerts._now()
    return house


@pytest.fixture
async def view(house: House) -> AsyncGenerator[AlertsView, None]:
    one = AlertsView(house.alerts, house.changes, OWNER)
    await one.open()
    yield one
    one.dialog.open = False


def rows(view: AlertsView) -> dict[str, str]:
    """Return what is said of each rule that is on."""
    return {row.rule.label: row.note.object for row in view._shown if row.switch.value}


def history(view: AlertsView) -> str:
    rows = [*view._unseen, *view._seen]
    return " | ".join(row[0].object if hasattr(row, "objects") else row.object for row in rows)


async def test_an_offer_is_switched_on_and_off(view: AlertsView, house: House) -> None:
    assert [row.rule.key for row in view._shown] == [offer.key for offer in OFFERS]
    assert rows(view) == {}
    assert "None so far." in history(view)
    first, kept = view._shown[0], view._shown
    first.switch.value = True
    await until(lambda: _on(house) == [OFFERS[0].label])
    await until(lambda: "$0.00 today." in rows(view).get(OFFERS[0].label, ""))
    first.switch.value = False
    await until(lambda: _on(house) == [])
    await until(lambda: rows(view) == {})
    assert view._shown is kept, "what has the keyboard stays where it is"
    await house.alerts.put(OWNER, OFFERS[1])  # by another tab
    await view._show()
    assert rows(view).keys() == {OFFERS[1].label}


def _on(house: House) -> list[str]:
    return [rule.label for rule in house.alerts._set.get(OWNER, []) if rule.on]


async def put(view: AlertsView, amount: str) -> None:
    view._amount.value_input = amount
    await view._on_set(None)


async def test_one_is_set_and_removed(view: AlertsView, house: House) -> None:
    await put(view, "lots")
    assert "number of dollars" in view._result.object
    assert await house.alerts.rules(OWNER) == []
    await put(view, "$1")
    assert not view._result.visible
    assert await house.alerts.rules(OWNER) == [MINE]
    [row] = [row for row in view._shown if row.rule == MINE]
    assert row.shown[-1].visible, "what is no offer can be removed"
    await view._on_remove(MINE, None)
    assert await house.alerts.rules(OWNER) == []


async def test_amounts_are_of_what_is_watched(view: AlertsView) -> None:
    assert view._unit.options == ["Dollars", "Times what is usual"]
    view._watched.value = "Requests that fail"
    assert view._unit.options == ["Percent", "Times what is usual"]
    view._unit.value = "Times what is usual"
    view._span.value = "In a day"
    await put(view, "3")
    assert rows(view).keys() == {"Requests that fail in a day: more than 3 × what is usual"}
    assert "Too few requests to say." in next(iter(rows(view).values()))


async def test_what_is_too_much_shows_while_it_is_open(
    view: AlertsView, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.alerts.AFTER_S", 0.01)
    await put(view, "1")
    kept = view._shown
    await house.spend(1.5)
    await house.look()
    await until(lambda: SENTENCE in history(view))
    assert "still so" in history(view)
    assert "$1.50 this hour." in rows(view)[MINE.label]
    assert view._shown is kept, "what has the keyboard stays where it is"
    [alert] = await house.alerts.latest(OWNER)
    assert view._unseen[0][1].visible
    await view._on_dismiss(alert, None)
    assert not view._seen[0][1].visible
    assert len(view._unseen) == 0
    view.dialog.open = False
    before = history(view)
    await house.alerts.remove(OWNER, MINE)
    assert history(view) == before, "a closed one reads nothing"


async def test_the_webhook_is_saved_tried_and_removed(view: AlertsView, house: House) -> None:
    view._url.value_input = "hooks.example.org"
    await view._on_hook(None)
    assert "no address" in view._result.object
    view._url.value_input = "https://hooks.example.org/secret"
    await view._on_hook(None)
    assert view._url.value_input == ""
    assert "It goes to hooks.example.org." in view._hooked.object
    assert "secret" not in view._hooked.object
    assert view._remove.visible
    await view._on_test(None)
    assert "The webhook took the test." in view._result.object
    assert isinstance(house.hook, Hook)
    house.hook.why = "hooks.example.org answered 404. Check the address."
    await view._on_test(None)
    assert "answered 404" in view._result.object
    assert not view._test.disabled
    await view._on_unhook(None)
    assert not view._remove.visible
    assert await house.alerts.hook(OWNER) is None
    await view._on_test(None)
    assert "There is no webhook yet" in view._result.object


async def test_what_cannot_be_read_is_said(view: AlertsView, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object) -> None:
        raise StorageError("The disk is full. Free some space, then try again.")

    monkeypatch.setattr(house.store.ledger, "put_alert_rule", full)
    await put(view, "1")
    assert "The disk is full." in view._result.object
