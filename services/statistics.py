"""What requests to models come to, by day and by model. Values and pure functions; see `services.measures`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal, get_args

from services.endpoints import Endpoint
from services.errors import FailureKind, InputError
from services.measures import Measured
from services.messages import MessageStatus
from services.prices import price_of
from services.usage import Usage

Measure = Literal["first_token_s", "total_s", "tokens_per_s"]
"""What is looked at in its whole spread, of answers alone: a title is another kind of request."""

MEASURES: tuple[Measure, ...] = get_args(Measure)

EXACT = 0.04
"""By which part of itself a percentile may be off: answers are counted in classes that grow by 7 %."""

_CLASSES = 10
"""Of each doubling."""
_SMALLEST = 0.001
_MOST_CLASSES = 400

_THOUGHT_OUT: frozenset[MessageStatus] = frozenset({"complete", "truncated", "refused", "filtered"})
"""How answers end that the model brought to an end: only these tell how long it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which requests are looked at; None is all of them."""

    first: date | None = None
    """The first day, by the server's time zone."""
    last: date | None = None
    """The last day, itself included."""
    endpoint: str | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        if self.first is not None and self.last is not None and self.first > self.last:
            raise InputError(f"The days from {self.first} to {self.last} are none. Choose a last day after the first.")

    @property
    def since(self) -> datetime | None:
        """The moment that the first day begins."""
        return None if self.first is None else begin_of(self.first)

    @property
    def until(self) -> datetime | None:
        """The moment after the last day."""
        if self.last is None or self.last >= date.max - timedelta(days=1):
            return None
        return begin_of(self.last + timedelta(days=1))


EVERYTHING = Selection()


def day_from(name: str, text: str) -> date:
    """Return the day that was typed for something; InputError where it is none."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{name} is a day, written as YYYY-MM-DD, and not {text!r}.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What some requests come to. Adds up with `+`; amounts are nanodollars."""

    requests: int = 0
    failed: int = 0
    """How many of them ended with an error."""
    untold: int = 0
    """How many of them have no tokens, because the endpoint did not tell."""
    unpriced: int = 0
    """How many of them have no price, because nobody knows one."""
    cached: int = 0
    """Of how many of them the endpoint read something from its cache."""
    retries: int = 0
    input: int = 0
    cached_input: int = 0
    output: int = 0
    reasoning: int = 0
    price: int = 0
    """Of those that have one."""
    guessed: int = 0
    """How much of `price` is of requests whose tokens nobody told."""

    def __add__(self, other: Sums) -> Sums:
        return Sums(**{name: getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__})

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input + self.output


@dataclass(frozen=True, slots=True)
class Spread:
    """How a measure is spread over answers, to within `EXACT`."""

    count: int = 0
    p50: float | None = None
    """Half of them are no higher; None where there are none."""
    p95: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How fast answers came."""

    first_token_s: Spread = Spread()
    total_s: Spread = Spread()
    tokens_per_s: Spread = Spread()


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day, by the time zone that the server had then."""

    date: date
    sums: Sums
    errors: Mapping[FailureKind, int] = field(default_factory=dict)
    times: Times = Times()


@dataclass(frozen=True, slots=True, kw_only=True)
class OfModel:
    """A model of an endpoint; empty where none was found out."""

    endpoint: str
    model: str
    sums: Sums
    times: Times


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What the requests of a selection come to."""

    sums: Sums
    times: Times
    errors: Mapping[FailureKind, int]
    """The most frequent first."""
    days: tuple[Day, ...]
    """In order; a day without requests is not there."""
    models: tuple[OfModel, ...]
    """The most requests first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costly:
    """A conversation, by what it cost."""

    conversation_id: str | None
    """None stands for all temporary chats together."""
    title: str | None
    """None where it was deleted, or is none."""
    requests: int
    tokens: int
    price: int
    unpriced: int
    """Requests in it that have no price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instead:
    """What requests would have cost on another model, had it read and written as many tokens."""

    endpoint: str
    model: str
    price: int | None
    """None where nobody knows."""
    days: tuple[tuple[date, int], ...]
    """Of each day; none where the price is not known."""
    requests: int
    """How many are counted: those whose tokens the endpoint told."""
    left_out: int
    actual: int
    """What the counted ones did cost, as far as that is known."""


def instead(stats: Stats, endpoint: Endpoint, model: str) -> Instead:
    """Return what the requests of a selection would have cost on another model, at the prices of their days.

    Reads the price list where that is not loaded; see `services.prices.load`.
    """
    days: list[tuple[date, int]] = []
    known = True
    for day in stats.days:
        sums = day.sums
        if sums.requests > sums.untold:
            used = Usage(input=sums.input, cached_input=sums.cached_input, output=sums.output)
            noon = begin_of(day.date) + timedelta(hours=12)
            price = price_of(used, endpoint, model, at=noon, calls=sums.requests - sums.untold)
            known = known and price is not None
            days.append((day.date, price or 0))
    return Instead(
        endpoint=endpoint.name,
        model=model,
        price=sum(price for _, price in days) if known else None,
        days=tuple(days) if known else (),
        requests=stats.sums.requests - stats.sums.untold,
        left_out=stats.sums.untold,
        actual=stats.sums.price - stats.sums.guessed,
    )


def has_price(endpoint: Endpoint, model: str, at: datetime) -> bool:
    """Whether a model is one whose price is known and not that of an example."""
    return not endpoint.is_demo and price_of(Usage(input=1_000, output=1_000), endpoint, model, at=at) is not None


def sums_of(one: Measured) -> Sums:
    """Return what a single request comes to."""
    usage, told = one.usage, one.usage is not None
    return Sums(
        requests=1,
        failed=int(one.error is not None),
        untold=int(not told),
        unpriced=int(one.price is None),
        cached=int(one.cache_hit),
        retries=one.retries,
        input=usage.input if usage else 0,
        cached_input=usage.cached_input if usage else 0,
        output=usage.output if usage else 0,
        reasoning=usage.reasoning if usage else 0,
        price=one.price or 0,
        guessed=0 if told else one.price or 0,
    )


def timed(one: Measured) -> dict[Measure, int]:
    """Return the class that each measure of a request is counted in, as far as it has any."""
    if one.kind != "chat":
        return {}
    values: dict[Measure, float | None] = {"first_token_s": one.first_token_s}
    if one.status in _THOUGHT_OUT:
        values |= {"total_s": one.total_s, "tokens_per_s": one.tokens_per_s}
    return {measure: class_of(value) for measure, value in values.items() if value is not None}


def class_of(value: float) -> int:
    """Return the class that a value is counted in."""
    return min(round(_CLASSES * math.log2(max(value, _SMALLEST) / _SMALLEST)), _MOST_CLASSES)


def value_of(number: int) -> float:
    """Return the middle of a class."""
    return float(_SMALLEST * 2 ** (number / _CLASSES))


def spread_of(counts: Iterable[tuple[int, int]]) -> Spread:
    """Return how values are spread that were counted in classes: pairs of a class and how many are in it."""
    held = sorted(counts)
    count = sum(many for _, many in held)
    return Spread(count, _percentile(held, count, 50), _percentile(held, count, 95))


def times_of(counts: Iterable[tuple[Measure, int, int]]) -> Times:
    """Return how fast answers came that were counted: measure, class, and how many are in it."""
    held: dict[Measure, list[tuple[int, int]]] = {measure: [] for measure in MEASURES}
    for measure, number, many in counts:
        held[measure].append((number, many))
    return Times(**{measure: spread_of(some) for measure, some in held.items()})


def day_of(moment: datetime) -> date:
    """Return the day that an aware moment is in, by this machine's time zone."""
    return moment.astimezone().date()


def begin_of(day: date) -> datetime:
    """Return the moment that a day begins at, by this machine's time zone."""
    try:
        return datetime(day.year, day.month, day.day).astimezone()
    except (OverflowError, ValueError, OSError):  # the first and last days that there are
        return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _percentile(held: list[tuple[int, int]], count: int, percent: int) -> float | None:
    """Return the value that so many percent of all are no higher than (nearest rank)."""
    rank = math.ceil(count * percent / 100)
    for number, many in held:
        rank -= many
        if rank <= 0:
            return value_of(number)
    return None
