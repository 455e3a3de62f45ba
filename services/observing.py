"""Who is told of each request to a model, once it is measured and kept: first of all the log, in one line."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from services.endpoints import Endpoint
from services.measures import Measured
from services.prices import NANOS, in_dollars

log = logging.getLogger(__name__)

_MOST = 200
"""Characters of a name that a line has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One request that has ended."""

    owner: str | None
    """None where nobody saw its end: a stop of Panelist cut it short."""
    measured: Measured
    endpoint: Endpoint | None
    """Where it went; None where that is not set up any more."""
    asked_model: str
    """As it was asked for; the answer may name another one."""


Observer = Callable[[Observed], None]


class Observers:
    """All who are told. None of them may wait for anything, and what one fails at is kept from the others."""

    def __init__(self) -> None:
        self._all: list[Observer] = [log_request]

    def add(self, observer: Observer) -> None:
        """Tell this one, too, from now on."""
        self._all.append(observer)

    def tell(self, observed: Observed) -> None:
        """Tell all of them of a request, of which they have not been told yet."""
        for observer in self._all:
            try:
                observer(observed)
            except Exception:  # whatever it is, an answer is worth more than who watches it
                log.exception("a request could not be told to %r", observer)


def log_request(observed: Observed) -> None:
    """Write the line."""
    log.info("%s", line_of(observed.measured), extra={"fields": fields_of(observed.measured)})


def fields_of(measured: Measured) -> dict[str, str | int | float | bool | None]:
    """Return what a line has of a request in JSON: its measures, never a word of its content; None is unknown."""
    usage = measured.usage
    return {
        "event": "request",
        "at": measured.at.isoformat(timespec="milliseconds"),
        "endpoint": _plain(measured.endpoint),
        "model": _plain(measured.model),
        "kind": measured.kind,
        "status": measured.status,
        "error": measured.error,
        "input_tokens": usage.input if usage else None,
        "cached_input_tokens": usage.cached_input if usage else None,
        "output_tokens": usage.output if usage else None,
        "reasoning_tokens": usage.reasoning if usage else None,
        "price_usd": None if measured.price is None else measured.price / NANOS,
        "queue_s": _seconds(measured.queue_s),
        "first_token_s": _seconds(measured.first_token_s),
        "duration_s": _seconds(measured.total_s),
        "tokens_per_s": _seconds(measured.tokens_per_s),
        "retries": measured.retries,
        "cache_hit": measured.cache_hit if usage else None,
        "conversation_id": measured.conversation_id,
    }


def line_of(measured: Measured) -> str:
    """Return the same for people; what is not known is left out."""
    end = measured.status if measured.error is None else f"{measured.status} ({measured.error})"
    said = [f"{measured.kind} by {_plain(measured.model) or 'unknown'} at {_plain(measured.endpoint)}: {end}"]
    if measured.usage is not None:
        cached = f" ({measured.usage.cached_input} cached)" if measured.cache_hit else ""
        said.append(f"{measured.usage.input} tokens in{cached}, {measured.usage.output} out")
    said.append(f"price {in_dollars(measured.price)}")
    times = (("queue", measured.queue_s), ("first word", measured.first_token_s), ("total", measured.total_s))
    said += [f"{what} {value:.2f} s" for what, value in times if value is not None]
    if measured.tokens_per_s is not None:
        said.append(f"{measured.tokens_per_s:.0f} tokens/s")
    if measured.retries:
        said.append(f"retries {measured.retries}")
    if measured.conversation_id is not None:
        said.append(f"conversation {measured.conversation_id}")
    return ", ".join(said)


def _plain(name: str) -> str:
    """Return a name, which a server may have chosen, as one that stays on its line."""
    return "".join(letter if letter.isprintable() else "·" for letter in name[:_MOST])


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
