"""SQL on what requests come to: sums kept by day and model, so that a million requests are added up at once.

They are written in the transaction that writes the request, so that at any moment they are what the table adds up to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite

from services.alerts import TIMED, hour_of
from services.errors import FailureKind
from services.measures import Measured
from services.statistics import (
    Costly,
    Day,
    Measure,
    OfModel,
    Selection,
    Stats,
    Sums,
    day_of,
    sums_of,
    timed,
    times_of,
)
from services.storage.schema import conversations, costs, hour_timings, hours, requests, tallies, timings

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH = _BEGINNING.date()
_COSTS = ("requests", "tokens", "price", "unpriced")
_HOURS = ("requests", "failed", "price")
_SUMS = tuple(field.name for field in fields(Sums))


def number_of(day: date) -> int:
    """Return a day as the column `day` has it."""
    return (day - _EPOCH).days


def add(connection: Connection, owner: str, measured: Measured) -> None:
    """Count a request that is new in the table."""
    day = number_of(day_of(measured.at))
    where = {"owner": owner, "day": day, "endpoint": measured.endpoint, "model": measured.model}
    how = {"kind": measured.kind, "status": measured.status, "error": measured.error or ""}
    sums = sums_of(measured)
    _count(connection, tallies, [{**where, **how, **asdict(sums)}], _SUMS)
    cost = {name: getattr(sums, name) for name in _COSTS}
    _count(connection, costs, [{**where, "conversation_id": measured.conversation_id or "", **cost}], _COSTS)
    hour = {"owner": owner, "hour": hour_of(measured.at)}
    _count(connection, hours, [{**hour, **{name: getattr(sums, name) for name in _HOURS}}], _HOURS)
    if classes := timed(measured):
        times = [{"measure": measure, "class": number, "count": 1} for measure, number in classes.items()]
        _count(connection, timings, [{**where, **one} for one in times], ("count",))
        if watched := [{**hour, **one} for one in times if one["measure"] in TIMED]:
            _count(connection, hour_timings, watched, ("count",))


def stats(connection: Connection, owner: str, selection: Selection) -> Stats:
    """Return what the owner's requests of a selection come to."""
    of = _picked(tallies, owner, selection)
    added = [func.sum(tallies.c[name]).label(name) for name in _SUMS]
    everything: Select[Any] = select(*added).where(*of)
    total = connection.execute(everything).one()
    by_day = connection.execute(
        select(tallies.c.day, *added).where(*of).group_by(tallies.c.day).order_by(tallies.c.day)
    ).all()
    failed = tallies.c.error != ""
    errors: dict[int, dict[FailureKind, int]] = {}
    for row in connection.execute(
        select(tallies.c.day, tallies.c.error, func.sum(tallies.c.requests).label("many"))
        .where(*of, failed)
        .group_by(tallies.c.day, tallies.c.error)
    ):
        errors.setdefault(row.day, {})[row.error] = int(row.many)
    place = (tallies.c.endpoint, tallies.c.model)
    by_model = connection.execute(select(*place, *added).where(*of).group_by(*place)).all()
    times = _times(connection, owner, selection, timings.c.endpoint, timings.c.model)
    of_days = _times(connection, owner, selection, timings.c.day)
    models = [
        OfModel(
            endpoint=row.endpoint,
            model=row.model,
            sums=_sums(row),
            times=times_of(times.get((row.endpoint, row.model), ())),
        )
        for row in by_model
    ]
    return Stats(
        sums=_sums(total),
        times=times_of(one for some in times.values() for one in some),
        errors=_together(errors.values()),
        days=tuple(
            Day(
                date=_EPOCH + timedelta(days=row.day),
                sums=_sums(row),
                errors=errors.get(row.day, {}),
                times=times_of(of_days.get((row.day,), ())),
            )
            for row in by_day
        ),
        models=tuple(sorted(models, key=lambda one: (-one.sums.requests, one.endpoint, one.model))),
    )


def costly(connection: Connection, owner: str, selection: Selection, limit: int) -> list[Costly]:
    """Return the conversations that cost the most, temporary chats as one of them; the dearest first."""
    added = {name: func.sum(costs.c[name]) for name in _COSTS}
    found = (
        select(costs.c.conversation_id, *(total.label(name) for name, total in added.items()))
        .where(*_picked(costs, owner, selection))
        .group_by(costs.c.conversation_id)
        .order_by(added["price"].desc(), added["tokens"].desc(), costs.c.conversation_id)
        .limit(limit)
    ).subquery()
    here = (
        (conversations.c.id == found.c.conversation_id)
        & (conversations.c.owner == owner)
        & conversations.c.deleted_at.is_(None)
    )
    query = select(found, conversations.c.title).select_from(found.outerjoin(conversations, here))
    rows = [
        Costly(
            conversation_id=row.conversation_id or None,
            title=row.title,
            **{name: int(getattr(row, name)) for name in _COSTS},
        )
        for row in connection.execute(query)
    ]
    return sorted(rows, key=lambda one: (-one.price, -one.tokens, one.conversation_id or ""))


def among(owner: str, selection: Selection) -> list[ColumnElement[bool]]:
    """Return what makes a row of the table one of a selection."""
    where = [requests.c.owner == owner, *_named(requests, selection)]
    if selection.since is not None:
        where.append(requests.c.at >= milliseconds(selection.since))
    if selection.until is not None:
        where.append(requests.c.at < milliseconds(selection.until))
    return where


def milliseconds(moment: datetime) -> int:
    """Return an aware moment as the column `at` has it."""
    return (moment - _BEGINNING) // timedelta(milliseconds=1)  # rounded, the last of a day would be of the next


def _picked(table: Table, owner: str, selection: Selection) -> list[ColumnElement[bool]]:
    where = [table.c.owner == owner, *_named(table, selection)]
    if selection.first is not None:
        where.append(table.c.day >= number_of(selection.first))
    if selection.last is not None:
        where.append(table.c.day <= number_of(selection.last))
    return where


def _named(table: Table, selection: Selection) -> list[ColumnElement[bool]]:
    named = {"endpoint": selection.endpoint, "model": selection.model}
    return [table.c[column] == name for column, name in named.items() if name is not None]


def _times(
    connection: Connection, owner: str, selection: Selection, *by: ColumnElement[Any]
) -> dict[tuple[Any, ...], list[tuple[Measure, int, int]]]:
    """Return how answers were timed, by the values of some columns: measure, class, and how many are in it."""
    each = (*by, timings.c.measure, timings.c["class"])
    counted = select(*each, func.sum(timings.c.count)).where(*_picked(timings, owner, selection)).group_by(*each)
    found: dict[tuple[Any, ...], list[tuple[Measure, int, int]]] = {}
    for *place, measure, number, count in connection.execute(counted):
        found.setdefault(tuple(place), []).append((measure, number, int(count)))
    return found


def _sums(row: Row[Any]) -> Sums:
    return Sums(**{name: int(getattr(row, name) or 0) for name in _SUMS})


def _together(errors: Iterable[Mapping[FailureKind, int]]) -> dict[FailureKind, int]:
    counted: Counter[FailureKind] = Counter()
    for some in errors:
        counted.update(some)
    return dict(counted.most_common())


def _count(connection: Connection, table: Table, values: Sequence[Mapping[str, object]], counts: Sequence[str]) -> None:
    """Add numbers to the rows of a table that have these values for the rest, making those that are not there."""
    new = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(table)
    more = {name: table.c[name] + new.excluded[name] for name in counts}
    connection.execute(new.on_conflict_do_update(index_elements=list(table.primary_key), set_=more), values)
