"""Numbers of measured requests in words."""

from __future__ import annotations

from services.errors import FailureKind
from services.prices import in_dollars
from services.statistics import Sums

NOTHING = "–"
"""In the place of what there is none of."""


def seconds(value: float | None) -> str:
    """Return a time, to the two figures that it is known by."""
    if value is None:
        return NOTHING
    return f"{value:.0f} s" if value >= 10 else f"{value:.2g} s"


def short(count: int) -> str:
    """Return a number with three figures that count."""
    for size, letter in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            value = count / size
            return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {letter}"
    return str(count)


def percent(part: int, whole: int) -> str:
    """Return a share."""
    return f"{100 * part / whole:.1f} %" if whole else NOTHING


def words_of(kind: FailureKind) -> str:
    """Return a class of errors."""
    return kind.replace("_", " ").capitalize()


def requests(count: int) -> str:
    """Return how many requests there are."""
    return f"{count:,} request{'' if count == 1 else 's'}"


def cost_of(sums: Sums) -> str:
    """Return what some requests cost; with a plus where some of them have no known price."""
    if sums.requests and sums.unpriced == sums.requests:
        return "unknown"
    return in_dollars(sums.price) + ("+" if sums.unpriced else "")
