"""What somebody looks at of measured requests: which days, which model, and what is compared with it. No Panel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from services.connect import Connections
from services.errors import InputError, ModelError
from services.measuring import Measuring
from services.statistics import Costly, Instead, OfModel, Selection, Stats, day_of

PERIODS: dict[str, int | None] = {"7 days": 7, "30 days": 30, "90 days": 90, "12 months": 365, "All": None}
"""Periods that end today, by their name, in days."""

DEAREST = 20
"""Conversations that are listed."""

MOST_CHOICES = 500
"""Models that can be compared with; endpoints may list thousands."""

Place = tuple[str, str]
"""An endpoint and a model of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is looked at."""

    period: str | None = "30 days"
    """One of `PERIODS`; None where `first` and `last` say it."""
    first: date | None = None
    last: date | None = None
    brushed: tuple[date, date] | None = None
    """Days of the period that were chosen in a plot."""
    endpoint: str | None = None
    model: str | None = None
    instead: Place | None = None
    """The model that is compared with."""

    def days(self, today: date) -> tuple[date | None, date | None]:
        """Return the first and the last day of the period."""
        if self.period is None:
            return self.first, self.last
        count = PERIODS[self.period]
        return (None if count is None else today - timedelta(days=count - 1)), None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was found."""

    look: Look
    selection: Selection
    """With the brushed days."""
    period: Stats
    """Of the whole period, with the model that was chosen."""
    stats: Stats
    """Of the brushed days of it, or all."""
    models: tuple[OfModel, ...]
    """Those of the period, to choose from."""
    costly: tuple[Costly, ...]
    instead: Instead | None
    instead_period: Instead | None
    choices: tuple[Place, ...]
    """Models that can be compared with."""


class Looking:
    """What one dashboard looks at. Every method but `read` only changes that, and raises InputError where it cannot."""

    def __init__(
        self,
        measuring: Measuring,
        connections: Connections,
        owner: str,
        offered: Callable[[], Iterable[Place]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take what returns the models that the tab offers for questions."""
        self.look = Look()
        self._measuring = measuring
        self._connections = connections
        self._owner = owner
        self._offered = offered
        self._now = now
        self._priced: tuple[tuple[Place, ...], tuple[Place, ...]] = ((), ())

    def choose_period(self, name: str) -> None:
        """Look at a period that ends today."""
        if name not in PERIODS:
            raise InputError(f"There is no period {name!r}. Choose one of {', '.join(PERIODS)}.")
        self.look = replace(self.look, period=name, first=None, last=None, brushed=None)

    def choose_days(self, first: str, last: str) -> None:
        """Look at the days from the first to the last; an empty one leaves that end open."""
        days = [_day(text) for text in (first, last)]
        Selection(first=days[0], last=days[1])
        self.look = replace(self.look, period=None, first=days[0], last=days[1], brushed=None)

    def choose_model(self, endpoint: str | None, model: str | None) -> None:
        """Look at the requests to one model, to all of an endpoint, or to all."""
        self.look = replace(self.look, endpoint=endpoint, model=model if endpoint is not None else None)

    def brush(self, first: date | None, last: date | None) -> None:
        """Look at some days of the period, or at all of them again."""
        self.look = replace(self.look, brushed=None if first is None or last is None else (first, last))

    def compare(self, place: Place | None) -> None:
        """Compare with another model, or with none."""
        self.look = replace(self.look, instead=place)

    @property
    def selection(self) -> Selection:
        """The requests that are looked at, as of today."""
        look = self.look
        first, last = look.days(day_of(self._now()))
        selection = Selection(first=first, last=last, endpoint=look.endpoint, model=look.model)
        return replace(selection, first=look.brushed[0], last=look.brushed[1]) if look.brushed else selection

    async def read(self) -> Looked:
        """Return what there is of it.

        Raises:
            StorageError: it cannot be read.
        """
        look, chosen = self.look, self.selection
        first, last = look.days(day_of(self._now()))
        whole = replace(chosen, first=first, last=last)
        period = await self._measuring.stats(self._owner, whole)
        filtered = (look.endpoint, look.model) != (None, None)
        every = await self._measuring.stats(self._owner, _all_of(whole)) if filtered else period
        stats = await self._measuring.stats(self._owner, chosen) if look.brushed else period
        costly = await self._measuring.costly(self._owner, chosen, DEAREST)
        instead_period = await self._instead(period, look.instead)
        return Looked(
            look=look,
            selection=chosen,
            period=period,
            stats=stats,
            models=every.models,
            costly=tuple(costly),
            instead=await self._instead(stats, look.instead) if look.brushed else instead_period,
            instead_period=instead_period,
            choices=await self._choices(every.models),
        )

    async def _instead(self, stats: Stats, place: Place | None) -> Instead | None:
        if place is None or not self._connections.knows(place[0]):
            return None
        return await self._measuring.instead(stats, self._connections.get(place[0]), place[1])

    async def _choices(self, used: Iterable[OfModel]) -> tuple[Place, ...]:
        """Return the models of known price: those that the tab offers, and those that were asked."""
        places = tuple(dict.fromkeys([*((of.endpoint, of.model) for of in used if of.model), *self._offered()]))
        if places != self._priced[0]:
            known = [place for place in places if self._connections.knows(place[0])][:MOST_CHOICES]
            try:
                pairs = [(self._connections.get(endpoint), model) for endpoint, model in known]
            except ModelError:  # one of them was just taken away
                return self._priced[1]
            priced = await self._measuring.priced(pairs)
            self._priced = places, tuple(sorted((endpoint.name, model) for endpoint, model in priced))
        return self._priced[1]


def _all_of(selection: Selection) -> Selection:
    return replace(selection, endpoint=None, model=None)


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text!r} is no day. Write it as 2026-01-31.") from error
