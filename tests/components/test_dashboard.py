"""Usage without a browser: what is looked at, what is said of it, and that sums equal the table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.dashboard.figures import Figures, names_of
from components.dashboard.looking import Looking
from components.dashboard.shown import shown
from components.dashboard.view import UsageView
from services.errors import InputError, StorageError
from services.measures import Measured
from services.messages import new_id
from services.numbers import percent, seconds, short
from services.prices import NANOS, in_dollars
from services.runtime import Runtime
from services.statistics import OfModel, Stats, Sums, Times, day_of
from services.usage import Usage
from tests.conftest import OWNER, OpenRuntime, until
from tests.scripted import ScriptedProvider
from tests.test_budgets import COST, PRICED, told

TODAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
TWO = (
    PRICED
    + """
[[endpoint]]
name = "cheap"
base_url = "http://127.0.0.1:9/v1"
price = { input = 0.1, output = 1 }

[[endpoint]]
name = "own"
base_url = "http://127.0.0.1:9/v1"
"""
)


def one(days: float = 0, **more: Any) -> Measured:
    about: dict[str, Any] = {
        "endpoint": "dear",
        "model": "model-a",
        "kind": "chat",
        "status": "complete",
        "error": None,
        "usage": Usage(input=1_000, cached_input=200, output=500),
        "price": COST,
        "queue_s": 0.1,
        "first_token_s": 0.5,
        "total_s": 5.5,
    }
    return Measured(id=new_id(), at=TODAY - timedelta(days=days), **(about | more))


@pytest.fixture
async def app(open_app: OpenRuntime, tmp_path: Path) -> Runtime:
    (tmp_path / "endpoints.toml").write_text(TWO, "utf-8")
    app = await open_app(ScriptedProvider(told("Because.")), PANELIST_ENDPOINTS="endpoints.toml")
    for each in (
        one(0),
        one(0, model="model-b", first_token_s=1.0),
        one(1, endpoint="own", model="llama", price=None, conversation_id="gone"),
        one(2, usage=None, price=7, status="failed", error="server", first_token_s=None),
        one(40, conversation_id="old"),
    ):
        await app.store.ledger.append(OWNER, each)
    await app.store.ledger.append("ben", one(0))
    return app


@pytest.fixture
def looking(app: Runtime) -> Looking:
    return Looking(app.measuring, app.connections, OWNER, lambda: [("cheap", "small"), ("demo", "demo")], lambda: TODAY)


def day(ago: int) -> date:
    return day_of(TODAY - timedelta(days=ago))


async def test_periods_end_today(looking: Looking) -> None:
    looked = await looking.read()
    assert looked.selection.first == day(29)
    assert looked.stats.sums.requests == 4
    looking.choose_period("All")
    looked = await looking.read()
    assert (looked.selection.first, looked.stats.sums.requests) == (None, 5)
    looking.choose_days(day(2).isoformat(), day(1).isoformat())
    assert (await looking.read()).stats.sums.requests == 2
    looking.choose_days("", day(1).isoformat())
    assert (await looking.read()).stats.sums.requests == 3


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [("yesterday", "", "is no day"), ("2026-02-30", "", "is no day"), ("2026-05-02", "2026-05-01", "are none")],
)
async def test_days_that_cannot_be_are_refused_and_change_nothing(
    looking: Looking, first: str, last: str, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        looking.choose_days(first, last)
    with pytest.raises(InputError, match="no period"):
        looking.choose_period("1 minute")
    assert (await looking.read()).stats.sums.requests == 4


async def test_the_period_stays_while_days_of_it_are_brushed(looking: Looking) -> None:
    looking.brush(day(2), day(1))
    looked = await looking.read()
    assert (looked.period.sums.requests, looked.stats.sums.requests) == (4, 2)
    assert [found.conversation_id for found in looked.costly] == [None, "gone"]
    looking.brush(None, None)
    assert (await looking.read()).stats.sums.requests == 4
    looking.brush(day(2), day(1))
    looking.choose_period("7 days")
    assert (await looking.read()).look.brushed is None


async def test_models_are_chosen_among_all_of_the_period(looking: Looking) -> None:
    looking.choose_model("dear", "model-b")
    looked = await looking.read()
    assert looked.stats.sums.requests == 1
    assert {of.model for of in looked.models} == {"model-a", "model-b", "llama"}
    looking.choose_model("dear", None)
    assert (await looking.read()).stats.sums.requests == 3
    looking.choose_model(None, "model-b")
    assert (await looking.read()).stats.sums.requests == 4, "a model is one of an endpoint"


async def test_another_model_has_its_price_and_unknown_stays_unknown(looking: Looking) -> None:
    looked = await looking.read()
    assert looked.choices == (("cheap", "small"), ("dear", "model-a"), ("dear", "model-b"))
    looking.compare(("cheap", "small"))
    looked = await looking.read()
    instead = looked.instead
    assert instead is not None
    each = (1_000 * 100) + (500 * 1_000)
    assert (instead.price, instead.requests, instead.left_out) == (3 * each, 3, 1)
    assert instead.days == ((day(1), each), (day(0), 2 * each))
    assert instead.actual == 2 * COST, "what is only guessed is not compared"
    said = shown(looked)["compared"]
    assert said == (
        f"The same tokens on small would have cost {in_dollars(3 * each)}: {in_dollars(2 * COST - 3 * each)} less than "
        f"the {in_dollars(2 * COST)} that they did cost (1 request has no known price). 1 request without known tokens "
        "is left out. Another model would write other answers."
    )
    looking.brush(day(1), day(1))
    brushed = (await looking.read()).instead
    assert brushed is not None
    assert brushed.price == each
    looking.compare(("own", "llama"))
    looked = await looking.read()
    assert looked.instead is not None
    assert (looked.instead.price, looked.instead.days) == (None, ())
    assert shown(looked)["compared"] == "Nobody knows what llama would have cost."
    looking.compare(("gone", "x"))
    assert "not set up any more" in shown(await looking.read())["compared"]


async def test_what_is_shown_is_what_the_table_says(looking: Looking) -> None:
    looking.choose_period("All")
    view = shown(await looking.read())
    cards = {what: (value, note) for what, value, note in view["cards"]}
    assert cards["Spent"] == (in_dollars(3 * COST + 7), "1 of unknown price, $0.000000007 of it estimated")
    assert cards["Requests"] == ("5", "20.0 % failed")
    assert cards["Tokens"] == ("6.00 k", "4.00 k in, 2.00 k out")
    assert sum(day["requests"] for day in view["days"]) == 5
    assert sum(day["input"] + day["cached"] for day in view["days"]) == 4_000
    assert view["errors"] == [["Server", 1]]
    titles = {row["title"]: (row["id"], row["price"]) for row in view["costly"]}
    assert titles["Temporary chats"] == (None, in_dollars(2 * COST + 7))
    assert titles["a deleted conversation"][0] is None
    [own] = [row for row in view["of_models"] if row["model"] == "llama"]
    assert own["price"] == "unknown"


async def test_nothing_is_said_to_be_nothing(app: Runtime) -> None:
    view = shown(await Looking(app.measuring, app.connections, "cleo", list, lambda: TODAY).read())
    assert view["empty"]
    assert [value for _, value, _ in view["cards"]] == ["$0.00", "0", "0", "–", "–", "–"]


def test_numbers_in_words() -> None:
    assert [short(count) for count in (0, 999, 1_000, 12_345, 123_456, 1_234_567, 2 * 10**9)] == [
        *("0", "999", "1.00 k", "12.3 k", "123 k", "1.23 M", "2.00 B"),
    ]
    assert [seconds(value) for value in (None, 0.0123, 0.5, 1.234, 12.3)] == ["–", "0.012 s", "0.5 s", "1.2 s", "12 s"]
    assert (percent(1, 3), percent(0, 0)) == ("33.3 %", "–")


def test_names_of_models_are_short_different_and_no_formulas() -> None:
    names = names_of(
        [
            OfModel(endpoint=endpoint, model=model, sums=Sums(), times=Times())
            for endpoint, model in [
                ("a", "m" * 99),
                ("b", "m" * 99),
                ("b", "m" * 98 + "n"),
                ("a", ""),
                ("a", r"$$\frac{1}{2}$$"),
                ("a", r"\(x\)"),
            ]
        ]
    )
    assert len(set(names)) == len(names)
    assert all(len(name) < 60 for name in names)
    assert not any("$$" in name or "\\" in name for name in names)


async def test_plots_hold_the_same_numbers(looking: Looking) -> None:
    looking.choose_period("All")
    looked = await looking.read()
    figures = Figures(lambda first, last: None, drags=True)
    figures.show(looked)
    data = {name: source.data for name, source in figures._sources.items()}
    assert sum(data["spend"]["top"]) * NANOS == pytest.approx(looked.stats.sums.price)
    heights = [top - bottom for top, bottom in zip(data["tokens"]["top"], data["tokens"]["bottom"], strict=True)]
    assert sum(heights) == looked.stats.sums.tokens
    assert sum(data["activity"]["top"]) == 5
    assert data["errors"]["name"] == ["Server"]
    assert figures._spans.data["what"] == ["First word", "Whole answer"] * 3
    light = list(data["spend"]["colour"])
    figures.dress(True)
    assert list(figures._sources["spend"].data["colour"]) != light
    empty = replace(looked, period=_NOTHING, stats=_NOTHING)
    figures.show(empty)
    assert [len(source.data["x"]) for source in figures._sources.values()] == [0, 0, 0, 0]


async def test_a_brush_is_told_in_days_and_not_echoed(looking: Looking) -> None:
    brushed: list[tuple[date | None, date | None]] = []
    figures = Figures(lambda *days: brushed.append(days), drags=True)
    figures.show(await looking.read())
    spend = figures._sources["spend"]
    spend.selected.indices = [1, 2]
    assert brushed == [(day(1), day(0))]
    looking.brush(day(1), day(0))
    figures.show(await looking.read())
    assert spend.selected.indices == [1, 2]
    spend.selected.indices = []
    assert brushed == [(day(1), day(0)), (None, None)]
    spend.selected.indices = [99]
    assert brushed[-1] == (None, None), "which the page may say, whatever it shows"


_NOTHING = Stats(sums=Sums(), times=Times(), errors={}, days=(), models=())


class View(UsageView):
    """A dialog whose page is a list of what it was told."""

    def __init__(self, looking: Looking, app: Runtime) -> None:
        self.told: list[dict[str, Any]] = []
        self.alerts = 0
        super().__init__(looking, app.chat.changes, OWNER, on_alerts=self._count, drags=True)

    def _count(self) -> None:
        self.alerts += 1

    def _send_msg(self, data: dict[str, Any]) -> None:
        self.told.append(data)

    async def says(self, **data: Any) -> dict[str, Any]:
        await self._on_message(SimpleNamespace(data=data))  # type: ignore[arg-type]
        return self.told[-1]


@pytest.fixture
async def view(looking: Looking, app: Runtime) -> AsyncIterator[View]:
    one = View(looking, app)
    yield one
    one.dialog.open = False


async def test_the_dialog_follows_what_is_asked(view: View, app: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.dashboard.view.AFTER_S", 0.01)
    await view.open()
    assert view.told == [], "nobody could hear it yet"
    said = await view.says(type="ready")
    assert view.told[0]["type"] == "about"
    assert said["cards"][1][1] == "4"
    assert len(view.plots) == 5
    await app.store.ledger.append(OWNER, one(0))
    app.chat.changes.ring(OWNER, "c")
    await until(lambda: view.told[-1].get("cards", ["", ["", ""]])[1][1] == "5")
    view.dialog.open = False
    await asyncio.sleep(0)
    heard = len(view.told)
    app.chat.changes.ring(OWNER, "c")
    await asyncio.sleep(0.1)
    assert len(view.told) == heard, "a closed one reads nothing"


async def test_what_the_page_says_is_checked(view: View) -> None:
    await view.says(type="ready")
    assert (await view.says(type="period", name="All"))["cards"][1][1] == "5"
    assert (await view.says(type="period", name="<script>"))["type"] == "failed"
    assert (await view.says(type="days", first="x", last=""))["type"] == "failed"
    assert (await view.says(type="model", endpoint="dear", model=None))["cards"][1][1] == "4"
    assert (await view.says(type="compare", place=["cheap", "small"]))["instead"] == ["cheap", "small"]
    assert (await view.says(type="compare", place=None))["compared"] == ""
    files = (await view.says(type="days", first="2026-11-18", last="2026-11-19"))["files"]
    assert files[0] == "usage/csv?first=2026-11-18&last=2026-11-19&endpoint=dear"


async def test_alerts_take_its_place(view: View) -> None:
    await view.open()
    await view.says(type="ready")
    await view.says(type="alerts")
    assert (view.alerts, view.dialog.open) == (1, False)


async def test_what_cannot_be_read_is_said(view: View, app: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise StorageError("The disk is full. Free some space, then try again.")

    monkeypatch.setattr(app.store.ledger, "stats", broken)
    assert await view.says(type="ready") == {
        "type": "failed",
        "why": "The disk is full. Free some space, then try again.",
    }
