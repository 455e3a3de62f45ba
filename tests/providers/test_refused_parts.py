"""Refusals that only the Responses API knows."""

from __future__ import annotations

import httpx2
import pytest

from services.providers.failures import Asked, classify_status
from tests.providers.asking import ask, provider, request
from tests.providers.responses import ENDPOINT

FIELDS = frozenset({"model", "input", "stream", "store", "include", "instructions"})
ASKED = Asked(endpoint=ENDPOINT, model="m1", fields=FIELDS)

SEALED = [
    (400, "Encrypted content is not supported with this model.", "include"),
    (400, "Encrypted content is not supported with this model.", None),
    (400, "The encrypted content gAAA...wXBV could not be verified.", None),
    (400, "Item 'rs_1' of type 'reasoning' was provided without its required following item.", "input"),
    (404, "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.", "input"),
]


@pytest.mark.parametrize(("status", "says", "param"), SEALED)
async def test_what_is_encrypted_can_be_left_out(status: int, says: str, param: str | None) -> None:
    answer = httpx2.Response(status, json={"error": {"message": says, "type": "invalid_request_error", "param": param}})
    async with provider(lambda _: answer) as made:
        events, failure = await ask(made, request("https://api.openai.com/v1", profile="openai"))
    assert events == []
    assert failure is not None
    assert (failure.kind, failure.next_step, failure.parameter) == ("bad_request", "drop_parameter", "include")
    assert "'include'" in failure.message


@pytest.mark.parametrize(("status", "says", "param"), SEALED)
def test_it_is_not_offered_twice(status: int, says: str, param: str | None) -> None:
    asked = Asked(endpoint=ENDPOINT, model="m1", fields=FIELDS - {"include"})
    failure = classify_status(asked, status, {"error": {"message": says, "param": param}}, {})
    assert failure.parameter is None


@pytest.mark.parametrize("field", ["store", "input", "instructions", "model", "stream"])
def test_what_a_request_needs_is_not_offered(field: str) -> None:
    failure = classify_status(
        ASKED, 400, {"error": {"message": f"Unsupported parameter: '{field}'", "param": field}}, {}
    )
    assert (failure.kind, failure.parameter) == ("bad_request", None)
