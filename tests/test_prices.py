"""Prices and context windows."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage as Listed
from genai_prices import calc_price
from hypothesis import given
from hypothesis import strategies as st

from services.endpoints import Endpoint, ModelFacts, ProfileName, Rates
from services.prices import NANOS, facts_of, in_dollars, price_of, window_of
from services.settings import DEMO_ENDPOINT
from services.usage import Usage

NOW = datetime(2026, 11, 1, tzinfo=UTC)
USED = Usage(input=1_234, cached_input=200, output=567, reasoning=30)
counts = st.integers(0, 2_000_000)


def at(profile: ProfileName = "generic", url: str = "https://llm.example.org/v1", **more: object) -> Endpoint:
    return Endpoint(name="here", base_url=url, profile=profile, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("profile", "model"),
    [
        ("openai", "gpt-5"),
        ("openai", "gpt-5-mini-2025-08-07"),
        ("openai", "gpt-6-astra"),
        ("mistral", "mistral-large-latest"),
        ("deepseek", "deepseek-chat"),
        ("openrouter", "anthropic/claude-sonnet-4.5"),
    ],
)
@given(fresh=counts, cached=counts, output=counts)
def test_prices_are_those_of_the_list(profile: ProfileName, model: str, fresh: int, cached: int, output: int) -> None:
    used = Usage(input=fresh + cached, cached_input=cached, output=output)
    listed = Listed(input_tokens=fresh + cached, cache_read_tokens=cached, output_tokens=output)
    expected = calc_price(listed, model, provider_id=profile, genai_request_timestamp=NOW).total_price
    price = price_of(used, at(profile), model, at=NOW)
    assert price is not None
    assert abs(Decimal(price) / NANOS - expected) <= Decimal("0.5") / NANOS


def test_the_model_that_answered_decides_and_else_the_one_asked_for() -> None:
    mini = price_of(USED, at("openai"), "gpt-5-mini", at=NOW)
    assert price_of(USED, at("openai"), "gpt-5-mini", "gpt-5", at=NOW) == mini
    assert price_of(USED, at("openai"), "a name of their own", "gpt-5-mini", at=NOW) == mini
    assert price_of(USED, at("openai"), None, at=NOW) is None


def test_a_service_tier_has_its_own_price() -> None:
    usual = price_of(USED, at("openai"), "gpt-5", at=NOW)
    flex = price_of(USED, at("openai"), "gpt-5", at=NOW, service_tier="flex")
    assert usual is not None
    assert flex is not None
    assert flex < usual


@pytest.mark.parametrize("profile", ["ollama", "llamacpp", "vllm", "lmstudio", "generic"])
def test_a_price_that_nobody_knows_is_unknown_and_not_nothing(profile: ProfileName) -> None:
    assert price_of(USED, at(profile), "gpt-5", at=NOW) is None
    assert window_of(at(profile), "gpt-5") is None


def test_a_generic_endpoint_is_known_by_its_host() -> None:
    there = at("generic", "https://api.anthropic.com/v1")
    assert price_of(USED, there, "claude-sonnet-4-5", at=NOW)
    assert window_of(there, "claude-sonnet-4-5")


def test_the_demo_endpoint_costs_nothing() -> None:
    assert price_of(USED, DEMO_ENDPOINT, "demo", at=NOW) == 0


def test_the_file_of_endpoints_wins() -> None:
    rates = Rates(input=Decimal("0.5"), cached_input=Decimal("0.05"), output=Decimal(2))
    ours = at("openai", facts=ModelFacts(price=rates, context_window=9), models={"gpt-5": ModelFacts(context_window=8)})
    assert price_of(USED, ours, "gpt-5", at=NOW) == (1_034 * 500 + 200 * 50 + 567 * 2_000)
    assert (window_of(ours, "gpt-5"), window_of(ours, "gpt-6-sol")) == (8, 9)
    assert facts_of(ours, "gpt-5") == ModelFacts(price=rates, context_window=8)


def test_cached_input_costs_what_other_input_does_unless_said() -> None:
    ours = at(facts=ModelFacts(price=Rates(input=Decimal(1), output=Decimal(0))))
    assert price_of(USED, ours, "any", at=NOW) == 1_234 * 1_000


@pytest.mark.parametrize("profile", ["openai", "generic"])
def test_reports_that_cannot_be_are_never_an_error(profile: ProfileName) -> None:
    endpoint = at(
        profile,
        facts=ModelFacts() if profile == "openai" else ModelFacts(price=Rates(input=Decimal(1), output=Decimal(1))),
    )
    price_of(Usage(input=1, cached_input=50, output=1), endpoint, "gpt-5", at=NOW)
    assert price_of(Usage(input=10**30), endpoint, "gpt-5", at=NOW) is None


@pytest.mark.parametrize(
    ("nanos", "words"),
    [
        (None, "unknown"),
        (0, "$0.00"),
        (1, "$0.000000001"),
        (12_345, "$0.0000123"),
        (6_025_000, "$0.00602"),
        (250_000_000, "$0.25"),
        (200_000_000, "$0.20"),
        (158_400_000, "$0.158"),
        (999_999_999, "$1.00"),
        (1_234_560_000_000, "$1,234.56"),
    ],
)
def test_amounts_in_words(nanos: int | None, words: str) -> None:
    assert in_dollars(nanos) == words
