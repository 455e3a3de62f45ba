"""Alerts: what is watched, and when it is too much. Values and pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal, get_args

from services.errors import InputError
from services.prices import NANOS, in_dollars
from services.statistics import Measure, begin_of, day_of, spread_of

Watched = Literal["spend", "errors", "first_token_s", "total_s"]
WATCHED: tuple[Watched, ...] = get_args(Watched)

Span = Literal["hour", "day"]
"""Hours are those of UTC; a day has those that begin in it by the server's time zone."""
SPANS: tuple[Span, ...] = get_args(Span)

Against = Literal["fixed", "past"]
"""An amount, or a multiple of what is usual: the median of the last `PAST_DAYS`."""
AGAINST: tuple[Against, ...] = get_args(Against)

TIMED: tuple[Literal["first_token_s", "total_s"], ...] = ("first_token_s", "total_s")
"""Measures whose spread is looked at."""

LEAST = 10
"""Requests, or answers, without which a share or a percentile says nothing."""

PAST_DAYS = 14
KEPT = timedelta(days=PAST_DAYS + 2)
"""For which hours are counted by themselves."""
ENOUGH_PAST = 5
"""Hours or days that there must be before anything is usual."""

UNUSUAL: Mapping[Watched, float] = {"spend": 0.1, "errors": 5.0, "first_token_s": 1.0, "total_s": 5.0}
"""What is unusual at least, in the unit of each: twice next to nothing is nothing to tell."""

_MOST: Mapping[Watched, float] = {"spend": 1_000_000, "errors": 100, "first_token_s": 86_400, "total_s": 86_400}
_MOST_TIMES = 1_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_NAMES: Mapping[Watched, str] = {
    "spend": "Spent",
    "errors": "Requests that fail",
    "first_token_s": "Time to the first word",
    "total_s": "Time of a whole answer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one owner wants to be told of. There is one for each of what is watched, for how long, and against what."""

    watched: Watched
    span: Span
    against: Against
    amount: float
    """Dollars, percent or seconds; against the past, how many times what is usual."""
    on: bool = True

    @property
    def key(self) -> tuple[Watched, Span, Against]:
        return self.watched, self.span, self.against

    @property
    def name(self) -> str:
        """What is watched, in words."""
        return f"{_NAMES[self.watched]} in {'an hour' if self.span == 'hour' else 'a day'}"

    @property
    def bound(self) -> str:
        """What is too much, in words."""
        if self.against == "fixed":
            return f"more than {in_words(self.watched, self.amount)}"
        return f"more than {self.amount:g} × what is usual"

    @property
    def label(self) -> str:
        return f"{self.name}: {self.bound}"


OFFERS: tuple[Rule, ...] = (
    Rule(watched="spend", span="day", against="fixed", amount=5),
    Rule(watched="spend", span="day", against="past", amount=2),
    Rule(watched="spend", span="hour", against="past", amount=4),
    Rule(watched="errors", span="hour", against="fixed", amount=20),
    Rule(watched="errors", span="day", against="past", amount=2),
    Rule(watched="first_token_s", span="hour", against="past", amount=2),
    Rule(watched="total_s", span="hour", against="fixed", amount=60),
)
"""What can be switched on as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the requests of an hour or a day come to. Adds up with `+`."""

    requests: int = 0
    failed: int = 0
    price: int = 0
    """Nanodollars, of those whose price is known."""
    timed: Mapping[Measure, Mapping[int, int]] = field(default_factory=dict)
    """Of each measure, how many answers are in each class; see `services.statistics.class_of`."""

    def __add__(self, other: Counted) -> Counted:
        timed: dict[Measure, dict[int, int]] = {measure: dict(of) for measure, of in self.timed.items()}
        for measure, of in other.timed.items():
            mine = timed.setdefault(measure, {})
            for number, count in of.items():
                mine[number] = mine.get(number, 0) + count
        return Counted(
            requests=self.requests + other.requests,
            failed=self.failed + other.failed,
            price=self.price + other.price,
            timed=timed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How something that is watched stands."""

    rule: Rule
    value: float | None
    """None where there is too little to say."""
    limit: float | None
    """None where nothing is usual yet."""
    count: int = 0
    """Requests that it is of."""

    @property
    def is_over(self) -> bool | None:
        """Whether it is too much; None where that is not known."""
        return None if self.value is None or self.limit is None else self.value > self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something that was too much."""

    id: str
    rule: Rule
    """As it was then."""
    at: datetime
    value: float
    limit: float
    sentence: str
    recovered_at: datetime | None = None
    dismissed_at: datetime | None = None
    delivery: str | None = None
    """What became of telling a webhook that it began: empty where it was told, else why not; None where none was."""

    @property
    def is_late(self) -> bool:
        """Whether it tells of the hour or day before: `at` is then the very moment that the one after began."""
        return self.at == moment_of(first_hour(self.rule.span, self.at))

    def is_done(self, level: Level, now: datetime) -> bool:
        """Whether it is over. What cannot be said any more is, once the hour or day that it was told in has ended."""
        ended = next_span(self.rule.span, self.at) <= now
        return ended if level.is_over is None else not level.is_over and (ended or not self.is_late)

    def was_told(self, since: datetime, until: datetime) -> bool:
        """Whether it was told after one moment and no later than another, or stood longer than that."""
        return since < self.at <= until or (
            self.at <= since and (self.recovered_at is None or self.recovered_at >= until)
        )


def rule_of(watched: str, span: str, against: str, amount: str | float) -> Rule:
    """Return a rule as a person set it.

    Raises:
        InputError: there is nothing of the kind, or it is no amount.
    """
    if watched not in WATCHED or span not in SPANS or against not in AGAINST:
        raise InputError("There is no such alert. Choose what is watched, for how long, and against what.")
    most = _MOST[watched] if against == "fixed" else _MOST_TIMES
    unit = "times what is usual" if against == "past" else {"spend": "dollars", "errors": "percent"}.get(watched)
    said = f"An alert is at a number of {unit or 'seconds'} above 0, {most:,g} at most."
    try:
        number = float(str(amount).strip().removeprefix("$").rstrip("%×xs ").replace(",", ""))
    except ValueError as error:
        raise InputError(said) from error
    if not 0 < number <= most:
        raise InputError(said)
    return Rule(watched=watched, span=span, against=against, amount=number)


def hour_of(moment: datetime) -> int:
    """Return the hour of an aware moment, counted from 1970 on."""
    return (moment - _EPOCH) // timedelta(hours=1)


def moment_of(hour: int) -> datetime:
    """Return when an hour begins."""
    return _EPOCH + timedelta(hours=hour)


def spans_of(hours: Mapping[int, Counted], span: Span) -> dict[int | date, Counted]:
    """Return what hours come to by the hour, or by the day."""
    found: dict[int | date, Counted] = {}
    for hour, counted in hours.items():
        key = hour if span == "hour" else day_of(moment_of(hour))
        found[key] = found.get(key, Counted()) + counted
    return found


def first_hour(span: Span, now: datetime) -> int:
    """Return the hour that the span of this moment begins with."""
    if span == "hour":
        return hour_of(now)
    begin = begin_of(day_of(now))
    return hour_of(begin) + (moment_of(hour_of(begin)) < begin)  # time zones may be half an hour off


def next_span(span: Span, now: datetime) -> datetime:
    """Return when the span of this moment is over."""
    return moment_of(hour_of(now) + 1) if span == "hour" else begin_of(day_of(now) + timedelta(days=1))


def value_of(watched: Watched, counted: Counted) -> float | None:
    """Return what is watched of an hour or a day; None where there is too little to say."""
    match watched:
        case "spend":
            return counted.price / NANOS
        case "errors":
            return 100 * counted.failed / counted.requests if counted.requests >= LEAST else None
        case "first_token_s" | "total_s":
            spread = spread_of(counted.timed.get(watched, {}).items())
            return spread.p95 if spread.count >= LEAST else None


def limit_of(rule: Rule, past: Iterable[Counted]) -> float | None:
    """Return what is too much, given the hours or days before; None where nothing is usual yet.

    Only those in which there was something to measure say what is usual: nights are not a quiet kind of day.
    """
    if rule.against == "fixed":
        return rule.amount
    values = [value for one in past if one.requests and (value := value_of(rule.watched, one)) is not None]
    if len(values) < ENOUGH_PAST:
        return None
    return max(rule.amount * statistics.median(values), UNUSUAL[rule.watched])


def level_of(rule: Rule, now: Counted, past: Iterable[Counted]) -> Level:
    """Return how a rule stands."""
    count = now.requests
    if rule.watched in TIMED:
        count = sum(now.timed.get(rule.watched, {}).values())
    return Level(rule=rule, value=value_of(rule.watched, now), limit=limit_of(rule, past), count=count)


def in_words(watched: Watched, value: float) -> str:
    """Return an amount with its unit."""
    match watched:
        case "spend":
            return in_dollars(round(value * NANOS))
        case "errors":
            return f"{value:.1f}".removesuffix(".0") + " %"
        case "first_token_s" | "total_s":
            return f"{value:,.0f} s" if value >= 10 else f"{value:.2g} s"


def sentence_of(level: Level) -> str:
    """Return what is told of a level that is too much."""
    assert level.value is not None
    assert level.limit is not None
    rule = level.rule
    value, limit = in_words(rule.watched, level.value), in_words(rule.watched, level.limit)
    during = "an hour" if rule.span == "hour" else "a day"
    match rule.watched:
        case "spend":
            said = f"{value} was spent in {during}"
        case "errors":
            said = f"{value} of {level.count:,} requests in {during} failed"
        case "first_token_s":
            said = f"95 % of first words in {during} came within {value}"
        case "total_s":
            said = f"95 % of answers in {during} took up to {value}"
    if rule.against == "fixed":
        return f"{said}: more than {limit}."
    if math.isclose(level.limit, UNUSUAL[rule.watched]):
        return f"{said}: more than is usual, and more than {limit}."
    return f"{said}: more than {limit}, which is {rule.amount:g} × what is usual."


def recovery_of(alert: Alert, level: Level) -> str:
    """Return what is told when it is not too much any more."""
    rule = alert.rule
    if level.value is None or level.limit is None:
        return f"{rule.name}: that {rule.span} is over, and there is too little since to say more."
    limit = in_words(rule.watched, alert.limit)
    return f"{rule.name}: {in_words(rule.watched, level.value)} now, no more than {limit}."


def told(rules: Sequence[Rule]) -> list[Rule]:
    """Return the owner's rules, then what is offered beside them, switched off."""
    keys = {rule.key for rule in rules}
    return [*rules, *(replace(offer, on=False) for offer in OFFERS if offer.key not in keys)]
