"""SQL on alerts: what hours come to, the rules, what was too much, and where it is told."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, Row, delete, insert, select, update

from services.alerts import Alert, Counted, Rule
from services.statistics import Measure
from services.storage.engine import insert_new
from services.storage.schema import alert_hooks, alert_rules, alerts, hour_timings, hours
from services.storage.tallies import milliseconds


def counted(connection: Connection, owner: str, first: int, until: int) -> dict[int, Counted]:
    """Return what the owner's requests come to in each hour from the first until before the last."""
    timed: dict[int, dict[Measure, dict[int, int]]] = {}
    table = hour_timings
    where = (table.c.owner == owner, table.c.hour >= first, table.c.hour < until)
    for row in connection.execute(select(table).where(*where)):
        timed.setdefault(row.hour, {}).setdefault(row.measure, {})[row._mapping["class"]] = int(row._mapping["count"])
    query = select(hours).where(hours.c.owner == owner, hours.c.hour >= first, hours.c.hour < until)
    return {
        row.hour: Counted(
            requests=int(row.requests), failed=int(row.failed), price=int(row.price), timed=timed.get(row.hour, {})
        )
        for row in connection.execute(query)
    }


def forget(connection: Connection, before: int) -> None:
    """Remove what was counted in hours before one, whoever's: nothing is compared with them any more."""
    for table in (hours, hour_timings):
        connection.execute(delete(table).where(table.c.hour < before))


def rules(connection: Connection, owner: str) -> list[Rule]:
    """Return the owner's rules."""
    query = select(alert_rules).where(alert_rules.c.owner == owner)
    found = connection.execute(query.order_by(alert_rules.c.watched, alert_rules.c.span, alert_rules.c.against))
    return [_rule(row, on=bool(row.enabled)) for row in found]


def put_rule(connection: Connection, owner: str, rule: Rule) -> None:
    """Set a rule, in the place of what there was for the same."""
    remove_rule(connection, owner, rule)
    watched, span, against = rule.key
    key = {"owner": owner, "watched": watched, "span": span, "against": against}
    connection.execute(insert(alert_rules).values(**key, amount=rule.amount, enabled=rule.on))


def remove_rule(connection: Connection, owner: str, rule: Rule) -> None:
    """Remove what was set for the same as a rule is."""
    columns = (alert_rules.c.watched, alert_rules.c.span, alert_rules.c.against)
    same = [column == value for column, value in zip(columns, rule.key, strict=True)]
    connection.execute(delete(alert_rules).where(alert_rules.c.owner == owner, *same))


def put(connection: Connection, owner: str, alert: Alert) -> None:
    """Keep an alert; one that is there already stays as it is."""
    values = {
        "id": alert.id,
        "owner": owner,
        "watched": alert.rule.watched,
        "span": alert.rule.span,
        "against": alert.rule.against,
        "amount": alert.rule.amount,
        "at": milliseconds(alert.at),
        "value": alert.value,
        "level": alert.limit,
        "sentence": alert.sentence,
        "recovered_at": None,
        "dismissed_at": None,
        "delivery": None,
    }
    connection.execute(insert_new(connection, alerts).values(values))


def recover(connection: Connection, owner: str, alert_id: str, now: datetime) -> None:
    """Note that something is not too much any more."""
    _note(connection, owner, alert_id, recovered_at=milliseconds(now))


def dismiss(connection: Connection, owner: str, alert_id: str, now: datetime) -> None:
    """Note that an alert was seen."""
    _note(connection, owner, alert_id, dismissed_at=milliseconds(now))


def deliver(connection: Connection, owner: str, alert_id: str, delivery: str) -> None:
    """Note what became of telling it."""
    connection.execute(update(alerts).where(alerts.c.owner == owner, alerts.c.id == alert_id).values(delivery=delivery))


def latest(connection: Connection, owner: str, limit: int) -> list[Alert]:
    """Return the owner's last alerts, the newest first."""
    query = select(alerts).where(alerts.c.owner == owner).order_by(alerts.c.at.desc(), alerts.c.id.desc()).limit(limit)
    return [_alert(row) for row in connection.execute(query)]


def standing(connection: Connection) -> list[tuple[str, Alert]]:
    """Return what is too much and has not recovered, whoever's, with its owner; the oldest first."""
    query = select(alerts).where(alerts.c.recovered_at.is_(None)).order_by(alerts.c.at, alerts.c.id)
    return [(row.owner, _alert(row)) for row in connection.execute(query)]


def owners(connection: Connection) -> list[str]:
    """Return whoever has a rule that is on."""
    query = select(alert_rules.c.owner).where(alert_rules.c.enabled).distinct().order_by(alert_rules.c.owner)
    return list(connection.scalars(query))


def hook(connection: Connection, owner: str) -> str | None:
    """Return where the owner's alerts are told, beside the page."""
    found: str | None = connection.scalar(select(alert_hooks.c.url).where(alert_hooks.c.owner == owner))
    return found


def put_hook(connection: Connection, owner: str, url: str | None) -> None:
    """Set where they are told, or with None nowhere."""
    connection.execute(delete(alert_hooks).where(alert_hooks.c.owner == owner))
    if url is not None:
        connection.execute(insert(alert_hooks).values(owner=owner, url=url))


def _note(connection: Connection, owner: str, alert_id: str, **when: int) -> None:
    [column] = when
    connection.execute(
        update(alerts)
        .where(alerts.c.owner == owner, alerts.c.id == alert_id, alerts.c[column].is_(None))
        .values(**when)
    )


def _rule(row: Row[tuple[object, ...]], *, on: bool = True) -> Rule:
    return Rule(watched=row.watched, span=row.span, against=row.against, amount=row.amount, on=on)


def _alert(row: Row[tuple[object, ...]]) -> Alert:
    return Alert(
        id=row.id,
        rule=_rule(row),
        at=_moment(row.at),
        value=row.value,
        limit=row.level,
        sentence=row.sentence,
        recovered_at=None if row.recovered_at is None else _moment(row.recovered_at),
        dismissed_at=None if row.dismissed_at is None else _moment(row.dismissed_at),
        delivery=row.delivery,
    )


def _moment(number: int) -> datetime:
    return datetime.fromtimestamp(number / 1000, UTC)
