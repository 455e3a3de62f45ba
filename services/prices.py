"""What tokens cost, and how many a model takes: by the file of endpoints, else by the price list that comes along.

The list is genai-prices' (https://github.com/pydantic/genai-prices), read from the package and never from elsewhere.
Amounts are whole nanodollars (10⁻⁹ US dollars), so that sums are exact in every database.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from services.endpoints import Endpoint, ModelFacts, Rates, is_loopback, profile_of
from services.usage import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

NANOS = 1_000_000_000
"""Nanodollars of a dollar."""

_MILLION = 1_000_000
_LARGEST = 1_000_000 * NANOS
"""From which on a price is no price: an endpoint may report any number, and databases hold the sum of nine thousand."""


def load() -> None:
    """Read the price list: 0.2 s of work that is better done before the first question than at its end."""
    importlib.import_module("genai_prices.data_snapshot").get_snapshot()


def price_of(
    usage: Usage,
    endpoint: Endpoint,
    *models: str | None,
    at: datetime,
    service_tier: str | None = None,
    calls: int = 1,
) -> int | None:
    """Return what a call cost in nanodollars, rounded to even; None where nobody knows.

    Args:
        usage: The tokens; of several `calls`, of all together. Where long calls cost more, each is an average one.
        endpoint: Where the call went.
        models: Names of the model, the surest first: as it answered, then as it was asked for.
        at: When, aware: prices change.
        service_tier: The one that was asked for.
        calls: How many there were, one or more.
    """
    for model in filter(None, models):
        rates = facts_of(endpoint, model).price
        if rates is not None:
            return _nanos(_by_rates(usage, rates), calls)
    if endpoint.is_demo:
        return 0
    for info, provider in _listed(endpoint, *models):
        from genai_prices import Usage as Counted  # noqa: PLC0415 - see `load`

        cached = min(usage.cached_input, usage.input)  # an endpoint may report anything
        given, read, wrote = (Decimal(count) / calls for count in (usage.input, cached, usage.output))
        counted = Counted(input_tokens=given, cache_read_tokens=read, output_tokens=wrote)
        context = {"service_tier": service_tier} if service_tier else None
        try:
            price = info.calc_price(counted, provider, genai_request_timestamp=at, price_context=context)
        except (LookupError, ValueError, ArithmeticError):
            continue  # it has no price for one of these
        return _nanos(price.total_price * calls, calls)
    return None


def window_of(endpoint: Endpoint, *models: str | None) -> int | None:
    """Return how many tokens a model takes, question and answer together; None where nobody knows."""
    for model in filter(None, models):
        window = facts_of(endpoint, model).context_window
        if window is not None:
            return window
    return next((info.context_window for info, _ in _listed(endpoint, *models) if info.context_window), None)


def facts_of(endpoint: Endpoint, model: str) -> ModelFacts:
    """Return what the file of endpoints says of a model: its own, and of the rest what holds for all of them."""
    own = endpoint.models.get(model, ModelFacts())
    return ModelFacts(
        price=own.price or endpoint.facts.price,
        context_window=own.context_window or endpoint.facts.context_window,
    )


def in_list(endpoint: Endpoint) -> bool:
    """Whether the price list is looked into for an endpoint, which has to be read the first time."""
    whose = profile_of(endpoint.profile).prices
    return whose is not None and not (whose == "host" and is_loopback(endpoint.base_url)) and not endpoint.is_demo


def in_dollars(nanos: int | None) -> str:
    """Return an amount in words: cents, and below a dollar as many places as three figures that count take."""
    if nanos is None:
        return "unknown"
    dollars = Decimal(nanos) / NANOS
    if nanos == 0 or abs(dollars) >= 1:
        return f"${dollars:,.2f}"
    whole, _, cents = f"{dollars:.{min(2 - math.floor(math.log10(abs(dollars))), 9)}f}".partition(".")
    return f"${whole}.{cents.rstrip('0'):0<2}"


def _listed(endpoint: Endpoint, *models: str | None) -> Iterator[tuple[ModelInfo, Provider]]:
    """Yield what the price list has of a model; nothing for servers that no price list is of."""
    if not in_list(endpoint):
        return
    whose = profile_of(endpoint.profile).prices
    from genai_prices import data_snapshot  # noqa: PLC0415 - see `load`

    provider_id, url = (None, endpoint.base_url) if whose == "host" else (whose, None)
    for model in filter(None, models):
        try:
            provider, info = data_snapshot.get_snapshot().find_provider_model(model, None, provider_id, url)
        except LookupError:
            continue
        yield info, provider


def _by_rates(usage: Usage, rates: Rates) -> Decimal:
    cached = min(usage.cached_input, usage.input)
    of_cached = rates.input if rates.cached_input is None else rates.cached_input
    return ((usage.input - cached) * rates.input + cached * of_cached + usage.output * rates.output) / _MILLION


def _nanos(dollars: Decimal, calls: int) -> int | None:
    nanos = int((dollars * NANOS).to_integral_value(ROUND_HALF_EVEN))
    return nanos if 0 <= nanos < _LARGEST * calls else None
