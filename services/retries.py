"""The one policy for trying a model call again, and for letting an endpoint rest that keeps failing."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from services.errors import Failure, FailureKind

MAX_TRIES = 3
MAX_WAIT_S = 60.0
"""A server that asks for a longer wait is not waited for; the person is told, with the button that waits."""

REST_AFTER = 5
"""Calls that failed in a row before an endpoint is rested."""
REST_S = 30.0

_AGAIN: frozenset[FailureKind] = frozenset({"rate_limit", "server", "timeout", "unreachable"})


def wait_before_retry(
    failure: Failure, attempt: int, tries: int = MAX_TRIES, draw: Callable[[], float] = random.random
) -> float | None:
    """Return the seconds to wait before the next try, or None when there is to be none.

    Only for failures that pass by themselves, at most `tries` in all. The server's own `Retry-After` is honoured;
    else 1 s, 2 s, … with up to half of it added, so that many clients do not come back at the same instant
    (https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/).

    Args:
        failure: Why the last try failed.
        attempt: Number of the try that failed, counted from 1.
        tries: How many there may be.
        draw: Gives a number between 0 and 1.
    """
    if failure.kind not in _AGAIN or attempt >= tries:
        return None
    wait = failure.retry_after_s if failure.retry_after_s is not None else 2.0 ** (attempt - 1) * (1 + draw() / 2)
    return wait if wait <= MAX_WAIT_S else None


@dataclass(slots=True)
class _Record:
    failed: int = 0
    rests_until: float = 0.0


class EndpointHealth:
    """Counts calls that failed in a row, for each endpoint, and rests one after too many."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._records: dict[str, _Record] = {}

    def resting(self, endpoint: str) -> Failure | None:
        """Return why an endpoint is not called at the moment, or None when it may be."""
        record = self._records.get(endpoint)
        left = record.rests_until - self._now() if record else 0.0
        if record is None or left <= 0:
            return None
        message = f"{endpoint} failed {record.failed} times in a row, so it is left alone for {left:.0f} s."
        return Failure(kind="unreachable", message=message, next_step="retry", retry_after_s=left)

    def note(self, endpoint: str, failure: Failure | None) -> None:
        """Take in how a call ended. After a rest one failure is enough for the next one."""
        if failure is None or failure.kind not in _AGAIN:
            self._records.pop(endpoint, None)  # it answered, if only to refuse
            return
        record = self._records.setdefault(endpoint, _Record())
        record.failed += 1
        if record.failed >= REST_AFTER:
            record.rests_until = self._now() + REST_S
