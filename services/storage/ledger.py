"""What requests measured and what may be spent, behind methods that take the owner first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from services.alerts import Alert, Counted, Rule
from services.measures import Measured
from services.spending import Budget, Hold, Period, Refused, Standing
from services.statistics import Costly, Selection, Stats
from services.storage import alerts, requests, tallies
from services.storage.engine import Database


class Ledger:
    """The money side of a store. Every method raises `StorageError` as the store's do."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def append(self, owner: str, measured: Measured) -> None:
        """Keep what a request measured; the same one again changes nothing."""
        await self._database.write(requests.append, owner, measured)

    async def stats(self, owner: str, selection: Selection) -> Stats:
        """Return what the owner's requests of a selection come to."""
        return await self._database.read(tallies.stats, owner, selection)

    async def costly(self, owner: str, selection: Selection, limit: int) -> list[Costly]:
        """Return the conversations that cost the most, temporary chats as one of them; the dearest first."""
        return await self._database.read(tallies.costly, owner, selection, limit)

    async def page(self, owner: str, selection: Selection, after: Measured | None, limit: int) -> list[Measured]:
        """Return the next requests of a selection in the order of their times, behind one that was read before."""
        return await self._database.read(requests.page, owner, selection, after, limit)

    async def counted(self, owner: str, first: int, until: int) -> dict[int, Counted]:
        """Return what the owner's requests come to in each hour from the first until before the last."""
        return await self._database.read(alerts.counted, owner, first, until)

    async def forget_hours(self, before: int) -> None:
        """Remove what was counted in hours before one, whoever's; for whoever looks after the server."""
        await self._database.write(alerts.forget, before)

    async def alert_rules(self, owner: str) -> list[Rule]:
        """Return what the owner wants to be told of."""
        return await self._database.read(alerts.rules, owner)

    async def put_alert_rule(self, owner: str, rule: Rule) -> None:
        """Set a rule, in the place of what there was for the same."""
        await self._database.write(alerts.put_rule, owner, rule)

    async def remove_alert_rule(self, owner: str, rule: Rule) -> None:
        """Remove what was set for the same as a rule is."""
        await self._database.write(alerts.remove_rule, owner, rule)

    async def put_alert(self, owner: str, alert: Alert) -> None:
        """Keep an alert; the same one again changes nothing."""
        await self._database.write(alerts.put, owner, alert)

    async def recover_alert(self, owner: str, alert_id: str) -> None:
        """Note that something is not too much any more."""
        await self._database.write(alerts.recover, owner, alert_id, self._now())

    async def dismiss_alert(self, owner: str, alert_id: str) -> None:
        """Note that an alert was seen."""
        await self._database.write(alerts.dismiss, owner, alert_id, self._now())

    async def deliver_alert(self, owner: str, alert_id: str, delivery: str) -> None:
        """Note what became of telling it: empty where it was told, else why not."""
        await self._database.write(alerts.deliver, owner, alert_id, delivery)

    async def latest_alerts(self, owner: str, limit: int) -> list[Alert]:
        """Return the owner's last alerts, the newest first."""
        return await self._database.read(alerts.latest, owner, limit)

    async def standing_alerts(self) -> list[tuple[str, Alert]]:
        """Return what has not recovered, with its owner, the oldest first; for the start."""
        return await self._database.read(alerts.standing)

    async def alert_owners(self) -> list[str]:
        """Return all who want to be told of anything; for the start."""
        return await self._database.read(alerts.owners)

    async def alert_hook(self, owner: str) -> str | None:
        """Return where the owner's alerts are told, beside the page."""
        return await self._database.read(alerts.hook, owner)

    async def put_alert_hook(self, owner: str, url: str | None) -> None:
        """Set where they are told, or with None nowhere."""
        await self._database.write(alerts.put_hook, owner, url)

    async def reserve(self, owner: str, run_id: str, conversation_id: str | None, hold: Hold) -> Refused | None:
        """Reserve what a run could cost at most, or say which budget has no room for it.

        For a run of another store, or one of which nobody knows whether its beginning reserved that already.
        """
        return await self._database.write(requests.reserve, owner, run_id, conversation_id, hold, self._now())

    async def settle(self, owner: str, run_id: str, measured: Measured | None) -> None:
        """Put what a run of another store cost in the place of what was reserved for it; once more changes nothing."""
        await self._database.write(requests.settle, owner, run_id, measured)

    async def standings(
        self, owner: str, period: Period, conversation_id: str | None = None, endpoint: str | None = None
    ) -> list[Standing]:
        """Return how much is used of the owner's budgets: those of all conversations, and of this one.

        Without an endpoint, of every endpoint that has one.
        """
        return await self._database.read(requests.standings, owner, period, conversation_id, endpoint)

    async def budgets(self, owner: str) -> list[Budget]:
        """Return the owner's budgets."""
        return await self._database.read(requests.every, owner)

    async def put_budget(self, owner: str, budget: Budget) -> None:
        """Set a budget, in the place of what there was for the same."""
        await self._database.write(requests.put_budget, owner, budget)

    async def remove_budget(self, owner: str, budget: Budget) -> None:
        """Remove what was set for the same as a budget is."""
        await self._database.write(requests.remove_budget, owner, budget)
