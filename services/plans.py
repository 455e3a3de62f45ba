"""Publishing plans: what is asked of a model, what it answered as values, and these as text, table, CSV and calendar.

Pure functions. A model may answer anything: what can be read is read, and of the rest is said what is wrong with it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from services.errors import InputError
from services.messages import clean_text, derived_id
from services.sheets import cell

MAX_ITEMS = 100
MAX_CHANNELS = 20
MAX_TITLE = 200
MAX_SUMMARY = 2_000

_TOLD = 5
"""Problems that a model is told at once."""

RULES = (
    "You plan publications. Answer with one JSON object and nothing else, of this form: "
    '{"items": [{"date": "2026-01-31", "channel": "Blog", "title": "…", "summary": "…"}]}. '
    "Each item has a date as YYYY-MM-DD, a channel, a title of its own and a summary of one sentence."
)
"""What the model is told before the question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a plan is wanted for."""

    topic: str
    items: int = 8
    start: date
    """The first day on which anything can come out."""
    channels: tuple[str, ...] = ()
    """Where; empty: the model chooses."""
    audience: str | None = None

    def __post_init__(self) -> None:
        if not self.topic.strip():
            raise InputError("A plan needs a topic. Write it behind `plan`.")
        if not 1 <= self.items <= MAX_ITEMS:
            raise InputError(f"A plan has 1 to {MAX_ITEMS} items.")
        if len(self.channels) > MAX_CHANNELS or any(len(name) > MAX_TITLE for name in self.channels):
            raise InputError(f"A plan has at most {MAX_CHANNELS} channels, each with a short name.")

    @property
    def end(self) -> date:
        """The last day that a plan can reach."""
        return self.start + timedelta(days=5 * 366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to be published."""

    date: date
    channel: str
    title: str
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What could be read of an answer."""

    items: tuple[Item, ...]
    """In order of their days."""
    problems: tuple[str, ...] = ()
    """What is wrong with the rest, in sentences."""


def question_of(wish: Wish) -> str:
    """Return what a model is asked for."""
    lines = [
        f"Publishing plan: {wish.topic.strip()}",
        "",
        f"Items: {wish.items}",
        f"First day: {wish.start.isoformat()}",
    ]
    if wish.channels:
        lines.append(f"Channels, and no others: {', '.join(wish.channels)}")
    if wish.audience:
        lines.append(f"Audience: {wish.audience}")
    return "\n".join(lines)


def again(problems: Sequence[str]) -> str:
    """Return what a model is told about an answer that is no plan."""
    told = " ".join(problems[:_TOLD])
    return f"That plan cannot be used as it is. {told} Answer again with the whole plan, as one JSON object alone."


def read(text: str, wish: Wish) -> Plan:
    """Return the plan that is in an answer."""
    found = next((given for given in _values(text) if _rows(given) is not None), None)
    rows = _rows(found)
    if rows is None:
        return Plan((), ("There is no JSON object with a list of items in it.",))
    items: list[Item] = []
    problems: list[str] = []
    for number, row in enumerate(rows[:MAX_ITEMS], start=1):
        try:
            items.append(_item(row, wish))
        except ValueError as error:
            problems.append(f"Item {number} {error}.")
    if len(rows) != wish.items:
        problems.append(f"There are {len(rows)} items, and {wish.items} are wanted.")
    return Plan(tuple(sorted(items, key=lambda item: item.date)), tuple(problems))


def bullets(items: Sequence[Item]) -> str:
    """Return a plan as a list."""
    return "\n".join(
        f"- {item.date.isoformat()}, {item.channel}: {item.title}{f' – {item.summary}' if item.summary else ''}"
        for item in items
    )


def sheet(items: Sequence[Item]) -> str:
    """Return a plan as CSV, in which no spreadsheet finds anything to run."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("date", "channel", "title", "summary"))
    writer.writerows([cell(text) for text in cells(item)] for item in items)
    return out.getvalue()


def calendar(items: Sequence[Item], name: str, source: str, now: datetime | None = None) -> bytes:
    """Return a plan as a calendar file (RFC 5545), each item as a day of its own.

    Args:
        items: In any order.
        name: Of the calendar.
        source: Whose plan it is: the same one's items are the same events when they come again.
        now: When it is made.
    """
    from icalendar import Calendar, Event  # noqa: PLC0415 - takes long, and only a calendar needs it

    made = Calendar()
    made.add("prodid", "-//Panelist//Publishing plan//EN")
    made.add("version", "2.0")
    made.add("x-wr-calname", name)
    for number, item in enumerate(items):
        event = Event()
        event.add("uid", f"{derived_id(source, str(number))}@panelist")
        event.add("dtstamp", now or datetime.now(UTC))
        event.add("dtstart", item.date)
        event.add("dtend", item.date + timedelta(days=1))
        event.add("summary", item.title)
        event.add("categories", [item.channel])
        event.add("transp", "TRANSPARENT")
        if item.summary:
            event.add("description", item.summary)
        made.add_component(event)
    data: bytes = made.to_ical()
    return data


def plain(items: Sequence[Item]) -> list[dict[str, str]]:
    """Return a plan as JSON has it."""
    return [dict(zip(("date", "channel", "title", "summary"), cells(item), strict=True)) for item in items]


HEAD = ("Date", "Channel", "Title", "Summary")
"""Of `cells`."""


def cells(item: Item) -> tuple[str, str, str, str]:
    """Return an item as a row."""
    return item.date.isoformat(), item.channel, item.title, item.summary


def _values(text: str) -> Iterator[object]:
    """Yield what JSON there is in an answer, whatever stands around it."""
    decoder = json.JSONDecoder()
    at = 0
    while (begin := min((place for mark in "{[" if (place := text.find(mark, at)) >= 0), default=-1)) >= 0:
        try:
            value, at = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError):
            at = begin + 1
        else:
            yield value


def _rows(value: object) -> list[object] | None:
    """Return the list of items that a value is, or has in it."""
    if isinstance(value, dict):
        value = next((inner for inner in value.values() if isinstance(inner, list)), None)
    if isinstance(value, list) and any(isinstance(row, dict) for row in value):
        return value
    return None


def _item(row: object, wish: Wish) -> Item:
    """Return an item; ValueError says what is wrong with it."""
    if not isinstance(row, dict):
        raise ValueError("is no object")
    fields = {str(name).strip().lower(): value for name, value in row.items()}
    title = _line(fields.get("title"), MAX_TITLE)
    if not title:
        raise ValueError("has no title")
    channel = _line(fields.get("channel"), MAX_TITLE)
    known = {name.casefold(): name for name in wish.channels}
    if known:
        if channel.casefold() not in known:
            raise ValueError(f"has the channel {channel[:40]!r}, which is none of {', '.join(wish.channels)}")
        channel = known[channel.casefold()]
    if not channel:
        raise ValueError("has no channel")
    summary = _line(fields.get("summary", fields.get("description")), MAX_SUMMARY)
    return Item(date=_day(fields.get("date"), wish), channel=channel, title=title, summary=summary)


def _day(value: object, wish: Wish) -> date:
    try:
        day = date.fromisoformat(str(value).strip()[:10])
    except ValueError as error:
        raise ValueError(f"has the date {str(value)[:40]!r}, which is not written as YYYY-MM-DD") from error
    if not wish.start <= day <= wish.end:
        raise ValueError(f"has the date {day.isoformat()}, and the first day is {wish.start.isoformat()}")
    return day


def _line(value: object, most: int) -> str:
    return " ".join(clean_text(value).split())[:most] if isinstance(value, str) else ""
