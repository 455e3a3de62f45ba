"""How many tokens models take, by whoever said so."""

from __future__ import annotations

from services.endpoints import Endpoint, ModelFacts
from services.errors import Failure
from services.settings import DEMO_ENDPOINT
from services.usage import Usage
from services.windows import Windows

HERE = Endpoint(name="here", base_url="http://127.0.0.1:9/v1")
OPENAI = Endpoint(name="openai", base_url="https://api.openai.com/v1", profile="openai")


def too_long(window: int | None) -> Failure:
    return Failure(kind="too_long", message="Too long.", window=window)


def test_a_refusal_teaches_and_the_file_of_endpoints_wins() -> None:
    windows = Windows()
    assert windows.of(HERE, "m") is None
    windows.answered(HERE, "m", too_long(4_096), None)
    assert windows.of(HERE, "m") == 4_096
    assert windows.of(HERE, "another") is None
    said = Endpoint(name="here", base_url=HERE.base_url, facts=ModelFacts(context_window=9))
    assert windows.of(said, "m") == 9


def test_a_list_teaches_and_is_nearer_the_truth_than_the_price_list() -> None:
    windows = Windows()
    known = windows.of(OPENAI, "gpt-5")
    assert known
    windows.listed(OPENAI, {"gpt-5": 77})
    assert windows.of(OPENAI, "gpt-5") == 77


def test_what_takes_more_than_it_said_is_not_held_to_it() -> None:
    windows = Windows()
    windows.answered(HERE, "m", too_long(100), None)
    windows.answered(HERE, "m", None, Usage(input=100, output=50))
    assert windows.of(HERE, "m") == 100
    windows.answered(HERE, "m", None, Usage(input=101))
    assert windows.of(HERE, "m") is None


def test_other_failures_and_the_demo_teach_nothing() -> None:
    windows = Windows()
    windows.answered(HERE, "m", Failure(kind="server", message="No.", window=5), None)
    windows.answered(HERE, "m", too_long(None), None)
    windows.answered(DEMO_ENDPOINT, "m", too_long(5), None)
    assert (windows.of(HERE, "m"), windows.of(DEMO_ENDPOINT, "m")) == (None, None)


def test_a_list_without_an_end_fills_no_memory() -> None:
    windows = Windows()
    windows.listed(HERE, {f"m{n}": 5 for n in range(20_000)})
    assert windows.of(HERE, "m1") == 5
    assert windows.of(HERE, "m19999") is None
