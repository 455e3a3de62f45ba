"""Budgets: what may be spent, and whether one more answer fits. Values and pure functions; amounts are nanodollars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from services.errors import Failure, InputError
from services.prices import NANOS, in_dollars

Scope = Literal["day", "month", "conversation", "endpoint"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

MOST = 1_000_000 * NANOS
"""The largest budget."""

WARN_AT = (50, 80, 100)
"""Percent of a budget at which its owner is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one owner may spend."""

    scope: Scope
    """In each day, in each month, in a conversation, or at an endpoint in each month."""
    name: str = ""
    """The endpoint's name, or the conversation's id; a conversation without one of its own has that without a name."""
    amount: int

    @property
    def label(self) -> str:
        match self.scope:
            case "day":
                return "Today"
            case "month":
                return "This month"
            case "conversation":
                return "This conversation" if self.name else "Each conversation"
            case "endpoint":
                return f"{self.name}, this month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How much of a budget is used."""

    budget: Budget
    spent: int
    reserved: int
    """For answers that are being written."""

    @property
    def left(self) -> int:
        return max(self.budget.amount - self.spent - self.reserved, 0)

    @property
    def percent(self) -> int:
        """Of the budget that is spent, rounded down; 100 from a budget of nothing."""
        return self.spent * 100 // self.budget.amount if self.budget.amount else 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The day and the month that a moment is in, where the server is."""

    day: datetime
    month: datetime

    @classmethod
    def of(cls, moment: datetime) -> Period:
        """Return those of an aware moment, by this machine's time zone."""
        here = moment.astimezone()
        day = datetime(here.year, here.month, here.day).astimezone()
        month = datetime(here.year, here.month, 1).astimezone()
        return cls(day=day, month=month)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What a run could cost at most, to be reserved before it begins."""

    worst: int
    endpoint: str
    input_tokens: int
    """About how many it sends."""
    period: Period
    beyond: bool = False
    """Whether the owner wants it answered also beyond a budget."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A run that a budget has no room for."""

    standing: Standing
    worst: int

    @property
    def failure(self) -> Failure:
        budget = self.standing.budget
        where = {"day": "today", "month": "this month", "conversation": "this conversation"}.get(
            budget.scope, f"{budget.name} this month"
        )
        message = (
            f"This answer could cost up to {in_dollars(self.worst)}, and {in_dollars(self.standing.left)} of the "
            f"budget of {in_dollars(budget.amount)} for {where} is left, so the model was not asked."
        )
        return Failure(kind="budget", message=message, next_step="spend")


def budget_of(scope: str, name: str, dollars: str | float) -> Budget:
    """Return a budget as a person set it.

    Raises:
        InputError: there is no such scope, or it is no amount.
    """
    if scope not in SCOPES:
        raise InputError(f"A budget is for a {', '.join(SCOPES[:-1])} or an {SCOPES[-1]}.")
    if scope == "endpoint" and not name:
        raise InputError("Choose the endpoint that the budget is for.")
    said = f"A budget is an amount in dollars from 0 to {MOST // NANOS:,}."
    try:
        amount = float(str(dollars).strip().removeprefix("$").replace(",", ""))
    except ValueError as error:
        raise InputError(said) from error
    if not 0 <= amount * NANOS <= MOST:
        raise InputError(said)
    return Budget(scope=scope, name=name if scope in {"conversation", "endpoint"} else "", amount=round(amount * NANOS))


def crossed(before: int, after: Standing) -> int | None:
    """Return the highest mark of `WARN_AT` that was passed since so many percent, if one was."""
    return max((mark for mark in WARN_AT if before < mark <= after.percent), default=None)


def warning(standing: Standing, mark: int) -> str:
    """Return the sentence for a mark that was passed."""
    budget = standing.budget
    spent = f"{in_dollars(standing.spent)} of {in_dollars(budget.amount)}"
    if mark >= 100:
        return f"{budget.label}: the budget is used up ({spent}). New questions are stopped until you raise it."
    return f"{budget.label}: {mark} % of the budget is used ({spent})."
