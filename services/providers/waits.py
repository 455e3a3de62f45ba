"""How long a server asks to wait before the next try."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_FACTORS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_IN_TEXT = re.compile(
    r"(?:retry|try again|wait)(?: after| in| for)? ((?:\d+(?:\.\d+)?(?:ms|h|m|s))+|\d+(?:\.\d+)?)"
    r"(?![\d.]*\d|\s*(?:min|hour|day|month))",
    re.I,
)
_LATER_THAN_1980 = 315_532_800.0


def retry_after_s(headers: Mapping[str, str], text: str = "") -> float | None:
    """Return the seconds after which a retry makes sense, or None where the server does not say.

    `Retry-After` is seconds or a date (RFC 9110, 10.2.3); a date is measured against the server's own `Date`, so that
    a wrong clock here does no harm. Names in `headers` are lower case, or the mapping ignores case.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    after = headers.get("retry-after", "")
    wait = _duration(after)
    if wait is None:
        wait = _until(after, headers.get("date", ""))
    if wait is None:
        wait = _reset(headers)
    if wait is None and (found := _IN_TEXT.search(text[:2000])):
        wait = _duration(found[1])
    return wait


def _reset(headers: Mapping[str, str]) -> float | None:
    """Read `x-ratelimit-reset-*`: of the limit that is used up, else of the tokens, which run out unannounced."""
    waits = {name: _duration(headers.get(f"x-ratelimit-reset-{name}")) for name in ("tokens", "requests")}
    used_up = [
        wait
        for name, wait in waits.items()
        if wait is not None and _number(headers.get(f"x-ratelimit-remaining-{name}")) == 0
    ]
    if used_up:
        return max(used_up)
    given = [wait for wait in waits.values() if wait is not None]
    return given[0] if given else _epoch(_number(headers.get("x-ratelimit-reset")))


def _epoch(value: float | None) -> float | None:
    """Read seconds from now, seconds since 1970 or (OpenRouter) milliseconds since 1970."""
    if value is None or value < _LATER_THAN_1980:
        return value
    seconds = value / 1000 if value > 1000 * _LATER_THAN_1980 else value
    return max(0.0, seconds - time.time())


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _duration(text: str | None) -> float | None:
    """Read plain seconds or a duration as Go writes it: `6m0s`, `1.5s`, `20ms`."""
    plain = _number(text)
    if plain is not None or not text:
        return plain
    found = _DURATION.findall(text)
    if "".join(number + unit for number, unit in found) != text.strip():
        return None
    return sum(float(number) * _FACTORS[unit] for number, unit in found)


def _until(text: str, server_date: str) -> float | None:
    try:
        target = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    try:
        now = parsedate_to_datetime(server_date).timestamp()
    except (ValueError, TypeError, OverflowError):
        now = time.time()
    return max(0.0, target - now)
