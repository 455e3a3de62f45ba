"""How long servers ask to wait."""
# ruff: noqa: E501 - tables read better with a row per line

from __future__ import annotations

import pytest

from services.providers.waits import retry_after_s

WAITS: list[tuple[dict[str, str], str, float | None]] = [
    ({"retry-after": "7"}, "", 7),
    ({"retry-after": "0.5"}, "", 0.5),
    ({"retry-after-ms": "1500", "retry-after": "9"}, "", 1.5),
    ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, "", 30),
    ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, "", 0),
    ({"retry-after": "soon"}, "", None),
    ({"retry-after": "-3"}, "", None),
    ({"retry-after": "nan"}, "", None),
    ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-tokens": "1s"}, "", 360),
    ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-tokens": "20ms"}, "", 0.02),
    ({"x-ratelimit-reset-requests": "1m2.5s"}, "", 62.5),
    ({"x-ratelimit-reset": "12"}, "", 12),
    ({"x-ratelimit-reset": "1700000000"}, "", 0),
    ({"x-ratelimit-reset": "1700000000000"}, "", 0),
    ({}, "Please try again in 1.5s.", 1.5),
    ({}, "Please retry in 23 seconds", 23),
    ({}, "Try again in 1m3.2s. Visit", 63.2),
    ({}, "try again in 200ms.", 0.2),
    ({}, "try again in 15 minutes", None),
    ({}, "try again later", None),
    ({}, "", None),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "text", "expected"), WAITS)
def test_waits(headers: dict[str, str], text: str, expected: float | None) -> None:
    assert retry_after_s(headers, text) == (expected if expected is None else pytest.approx(expected))
