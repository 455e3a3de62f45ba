"""Alerts that tell once: looked at after requests, told in the page and to a webhook, and again when it is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from services import webhooks
from services.alerts import (
    PAST_DAYS,
    SPANS,
    Alert,
    Counted,
    Level,
    Rule,
    Span,
    first_hour,
    hour_of,
    level_of,
    moment_of,
    next_span,
    recovery_of,
    sentence_of,
    spans_of,
)
from services.budgets import Warned
from services.changes import Changes
from services.errors import StorageError
from services.messages import new_id
from services.observing import Observed
from services.storage.ledger import Ledger

log = logging.getLogger(__name__)

AFTER_S = 1.0
"""In which the requests after the first are looked at together."""

RECENT = timedelta(days=1)
"""In which a webhook is told of what a stop of Panelist kept it from."""

LAST_S = 2.0
"""For what is left to look at and to tell when Panelist ends; the next start does what this is too short for."""

SHOWN = 50
"""Alerts that are listed."""

_Key = tuple[str, str, str]
Background = Callable[[Coroutine[object, object, None], str], object]


class Alerting:
    """The alerts of all owners. One task looks; whoever made a request does not wait for it."""

    def __init__(
        self,
        ledger: Ledger,
        changes: Changes,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        background: Background | None = None,
        tell: Callable[[str, dict[str, Any]], Coroutine[Any, Any, str]] = webhooks.tell,
    ) -> None:
        """Take what runs work that nobody waits for, and what tells webhooks."""
        self._ledger = ledger
        self._changes = changes
        self._now = now
        self._background = background
        self._tell = tell
        self._set: dict[str, list[Rule]] = {}
        self._changed = 0
        """How often any rule was."""
        self._standing: dict[str, dict[_Key, Alert]] = {}
        """By owner and rule: what is too much at the moment."""
        self._past: dict[tuple[str, Span], dict[int, list[Counted]]] = {}
        """By the hour that it is the past of; of the last two."""
        self._settled: dict[tuple[str, _Key], int] = {}
        """By owner and rule: the first hour of the span that nothing more is told of the one before in."""
        self._told: dict[str, dict[str, Warned]] = {}
        """By owner and alert, as long as it stands; the last one is at the end."""
        self._untold: dict[tuple[str, str], Callable[[], Coroutine[object, object, None]]] = {}
        """By alert and event: what a webhook has not been told to the end."""
        self._looking: asyncio.Task[None] | None = None
        self._count = 0
        self._asked: set[str] = set()
        self._recalled = False
        self._recalling = asyncio.Lock()
        self._more = asyncio.Event()

    # What a person does

    async def rules(self, owner: str) -> list[Rule]:
        """Return the owner's rules."""
        while owner not in self._set:  # one process writes them
            before = self._changed
            found = await self._ledger.alert_rules(owner)
            if before == self._changed:  # else they may have been read before they were written
                self._set[owner] = found
        return self._set[owner]

    async def put(self, owner: str, rule: Rule) -> None:
        """Set a rule, in the place of what there was for the same; one that is off ends what it told."""
        await self._recall()
        await self._ledger.put_alert_rule(owner, rule)
        self._renew(owner)
        await self._forget(owner, rule)
        self._settled[owner, rule.key] = first_hour(rule.span, self._now())  # it was not watched before
        await self.look(owner)

    async def remove(self, owner: str, rule: Rule) -> None:
        """Remove a rule, which ends what it told."""
        await self._recall()
        await self._ledger.remove_alert_rule(owner, rule)
        self._renew(owner)
        await self._forget(owner, rule)
        self._changes.ring(owner, "")

    def _renew(self, owner: str) -> None:
        self._changed += 1
        self._set.pop(owner, None)

    async def latest(self, owner: str) -> list[Alert]:
        """Return the owner's last alerts, the newest first."""
        return await self._ledger.latest_alerts(owner, SHOWN)

    async def dismiss(self, owner: str, alert_id: str) -> None:
        """Take an alert as seen. It is not told again before it has recovered."""
        await self._recall()
        await self._ledger.dismiss_alert(owner, alert_id)
        for key, alert in list(self._standing.get(owner, {}).items()):
            if alert.id == alert_id:
                self._standing[owner][key] = replace(alert, dismissed_at=self._now())
                self._told.get(owner, {}).pop(alert_id, None)
        self._changes.ring(owner, "")

    async def hook(self, owner: str) -> str | None:
        """Return the host of the owner's webhook; the address stays here."""
        url = await self._ledger.alert_hook(owner)
        return None if url is None else webhooks.host_of(url)

    async def put_hook(self, owner: str, url: str | None) -> None:
        """Set the owner's webhook, or none.

        Raises:
            InputError: it is no address.
        """
        await self._ledger.put_alert_hook(owner, None if url is None else webhooks.check_hook(url))

    async def try_hook(self, owner: str, url: str | None = None) -> str:
        """Tell a webhook that this is a test, the owner's own unless given; return why it could not be, else nothing.

        Raises:
            InputError: it is no address.
        """
        target = webhooks.check_hook(url) if url else await self._ledger.alert_hook(owner)
        if target is None:
            return "There is no webhook yet. Enter its address first."
        return await self._tell(
            target, {"event": "test", "text": "Panelist: this is a test of the webhook for alerts."}
        )

    def warned(self, owner: str) -> Warned | None:
        """Return the last alert that stands and was not dismissed; the owner's changes ring when there is another."""
        return next(reversed(self._told.get(owner, {}).values()), None)

    # What happens

    def note(self, observed: Observed) -> None:
        """Look at the owner's alerts soon: a request was kept."""
        if observed.owner is not None:
            self._asked.add(observed.owner)
            self._more.set()

    async def watch(self) -> None:
        """Look at what was noted, and at what is too much when its hour or day is over, for ever."""
        try:
            await self._recall()
        except StorageError as error:  # the next look tries again
            log.warning("alerts of before were not read: %s", error)
        while True:
            try:
                async with asyncio.timeout(self._patience_s()):
                    await self._more.wait()
            except TimeoutError:
                self._asked |= self._standing.keys()
            await asyncio.sleep(AFTER_S)
            self._more.clear()
            self._looking = asyncio.create_task(self._look_at_asked(), name="look at alerts")
            await asyncio.shield(self._looking)  # cancelled half-way, it would not know what it has written

    async def finish(self) -> None:
        """Look at what was noted, and tell webhooks what they were not told, for a moment.

        To be awaited when nothing runs in the background any more, and before the database is closed: a terminal opens
        it for no longer than an answer takes.
        """
        try:
            async with asyncio.timeout(LAST_S):
                if self._looking is not None:
                    await asyncio.wait({self._looking})
                await self._look_at_asked()
                tellings = [tell() for tell in self._untold.values()]
                for error in await asyncio.gather(*tellings, return_exceptions=True):
                    if isinstance(error, Exception):  # the last wall: the database is to be closed
                        log.error("a webhook could not be told", exc_info=error)
        except TimeoutError:
            log.info("not every alert was looked at and told within %s s; the next start does that", LAST_S)
        finally:
            if self._looking is not None:
                self._looking.cancel()

    async def _look_at_asked(self) -> None:
        asked, self._asked = self._asked, set()
        for owner in asked:
            try:
                await self.look(owner)
            except StorageError as error:
                log.warning("alerts were not looked at: %s", error)
            except Exception:  # the last wall: who watches must not fall asleep
                log.exception("alerts could not be looked at")

    async def look(self, owner: str) -> list[Level]:
        """Return how the owner's rules stand, and tell what is too much now, or is not any more.

        Raises:
            StorageError: it cannot be read or kept.
        """
        await self._recall()
        rules = await self.rules(owner)
        levels = await self.levels(owner, rules)
        standing = self._standing.setdefault(owner, {})
        for level in levels:
            alert = standing.get(level.rule.key)
            if not level.rule.on:
                continue
            if alert is None and level.is_over:
                await self._fire(owner, level)
            elif alert is not None and alert.is_done(level, self._now()):
                await self._recover(owner, alert, level)
        await self._look_back(owner, rules)
        return levels

    async def _look_back(self, owner: str, rules: list[Rule]) -> None:
        """Tell what the last hour or day came to in the end: a request is of the hour that it began in."""
        now, standing = self._now(), self._standing[owner]
        for span in SPANS:
            begin = first_hour(span, now)
            if hour_of(now) != begin:  # no request takes longer
                continue
            last = moment_of(begin - 1)
            since, until = moment_of(first_hour(span, last)), moment_of(begin)
            wanted = [
                rule
                for rule in rules
                if rule.on and rule.span == span and rule.key not in standing
                if self._settled.get((owner, rule.key)) != begin
            ]
            over = [level for level in await self.levels(owner, wanted, last) if level.is_over]
            latest = await self.latest(owner) if over else []
            for level in over:
                key = level.rule.key
                told = any(alert.rule.key == key and alert.was_told(since, until) for alert in latest)
                if not told and key not in standing:
                    await self._fire(owner, level, until)
                self._settled[owner, key] = begin

    async def levels(self, owner: str, rules: list[Rule], at: datetime | None = None) -> list[Level]:
        """Return how rules stand, or what the hours and days of another moment came to, without telling anybody."""
        if not rules:
            return []
        now = at or self._now()
        hours = await self._ledger.counted(owner, first_hour("day", now), hour_of(now) + 1)
        found = []
        for rule in rules:
            since = first_hour(rule.span, now)
            counted = sum((one for hour, one in hours.items() if hour >= since), Counted())
            past = await self._before(owner, rule.span, now) if rule.against == "past" else []
            found.append(level_of(rule, counted, past))
        return found

    async def _before(self, owner: str, span: Span, now: datetime) -> list[Counted]:
        """Return the hours or days before that of a moment; they are read once in each."""
        known, first = self._past.setdefault((owner, span), {}), first_hour(span, now)
        past = known.get(first)
        if past is None:
            hours = await self._ledger.counted(owner, first - 24 * PAST_DAYS, first)
            spans: dict[int | date, Counted] = spans_of(hours, span)
            past = known[first] = list(spans.values())
            for old in sorted(known)[:-2]:
                del known[old]
        return past

    async def _fire(self, owner: str, level: Level, at: datetime | None = None) -> None:
        assert level.value is not None
        assert level.limit is not None
        alert = Alert(
            id=new_id(),
            rule=level.rule,
            at=at or self._now(),
            value=level.value,
            limit=level.limit,
            sentence=sentence_of(level),
        )
        self._standing[owner][level.rule.key] = alert
        try:
            await self._ledger.put_alert(owner, alert)
        except BaseException:
            del self._standing[owner][level.rule.key]
            raise
        log.info("an alert: %s", alert.sentence)
        self._warn(owner, alert)
        self._deliver(owner, alert, "alert", alert.sentence, level.value)

    async def _recover(self, owner: str, alert: Alert, level: Level) -> None:
        await self._forget(owner, alert.rule)
        self._changes.ring(owner, "")
        self._deliver(owner, alert, "recovered", recovery_of(alert, level), level.value)

    async def _forget(self, owner: str, rule: Rule) -> None:
        """End what a rule told, if it did."""
        standing = self._standing.get(owner, {})
        alert = standing.pop(rule.key, None)
        if alert is None:
            return
        try:
            await self._ledger.recover_alert(owner, alert.id)
        except BaseException:
            standing[rule.key] = alert  # so that it is tried again
            raise
        self._told.get(owner, {}).pop(alert.id, None)

    async def _recall(self) -> None:
        """Take up what was too much when Panelist ended, before anything else is done; once.

        And have everybody looked at soon who wants to be told: not all may have been, then.
        """
        async with self._recalling:
            if self._recalled:
                return
            for owner, alert in await self._ledger.standing_alerts():
                self._standing.setdefault(owner, {})[alert.rule.key] = alert
                if alert.dismissed_at is None:
                    self._warn(owner, alert)
                    if alert.delivery is None and self._now() - alert.at < RECENT:
                        self._deliver(owner, alert, "alert", alert.sentence, alert.value)
            self._asked |= set(await self._ledger.alert_owners())
            self._recalled = True
            self._more.set()

    def _warn(self, owner: str, alert: Alert) -> None:
        self._count += 1
        self._told.setdefault(owner, {})[alert.id] = Warned(self._count, f"Alert: {alert.sentence} See /alerts.")
        self._changes.ring(owner, "")

    def _deliver(self, owner: str, alert: Alert, event: str, sentence: str, value: float | None) -> None:
        if self._background is not None:
            self._untold[alert.id, event] = tell = partial(self._tell_hook, owner, alert, event, sentence, value)
            self._background(tell(), "tell a webhook")

    async def _tell_hook(self, owner: str, alert: Alert, event: str, sentence: str, value: float | None) -> None:
        try:
            url = await self._ledger.alert_hook(owner)
            why = "" if url is None else await self._tell(url, body_of(alert, event, sentence, value))
            self._untold.pop((alert.id, event), None)
            if url is None:
                return
            if event == "alert":
                await self._ledger.deliver_alert(owner, alert.id, why)
        except StorageError as error:
            log.warning("whether a webhook was told was not kept: %s", error)
            return
        if why:
            log.warning("a webhook was not told of an alert: %s", why)
        self._changes.ring(owner, "")

    def _patience_s(self) -> float | None:
        """Return the seconds until the next hour, where something has to be looked at then."""
        if not any(self._standing.values()):
            return None
        now = self._now()
        return (next_span("hour", now) - now).total_seconds()


def body_of(alert: Alert, event: str, sentence: str, value: float | None) -> dict[str, Any]:
    """Return what a webhook is told; `text` is what chat programs show."""
    rule = alert.rule
    units = {"spend": "dollars", "errors": "percent", "first_token_s": "seconds", "total_s": "seconds"}
    return {
        "event": event,
        "text": f"Panelist: {sentence}",
        "alert": {
            "id": alert.id,
            "at": alert.at.isoformat(timespec="seconds"),
            "watched": rule.watched,
            "span": rule.span,
            "against": rule.against,
            "amount": rule.amount,
            "value": value,
            "limit": alert.limit,
            "unit": units[rule.watched],
        },
    }
