"""What Prometheus reads of this process: requests, tokens, money, times, and how busy it is. No content, no owners.

Names and units follow https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

from services.measures import Measured
from services.observing import Observed
from services.prices import NANOS

MOST_MODELS = 100
"""Models that are told apart: each is dozens of series, and servers name as many models as they like."""

OTHER = "other"
"""The endpoint and the model of all that came after those."""

LONGEST = 100
"""Characters of a name."""

LAG_EVERY_S = 0.25

_FIRST = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 13, 20, 30, 60)
_WHOLE = (0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900)
_QUEUE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LAG = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)

_WHERE = ("endpoint", "model")


class Metrics:
    """Counts from the start of the process on."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._requests = Counter(
            "panelist_requests",
            "Requests to models that have ended.",
            (*_WHERE, "kind", "status", "error"),
            registry=registry,
        )
        self._tokens = Counter(
            "panelist_tokens",
            "Tokens as the endpoints counted them; cached_input is a part of input, and reasoning of output.",
            (*_WHERE, "type"),
            registry=registry,
        )
        self._spend = Counter(
            "panelist_spend_dollars", "What requests of known price cost, in US dollars.", _WHERE, registry=registry
        )
        self._unpriced = Counter(
            "panelist_unpriced_requests", "Requests whose price nobody knows.", _WHERE, registry=registry
        )
        self._retries = Counter("panelist_retries", "Calls that were made again.", _WHERE, registry=registry)
        self._first = Histogram(
            "panelist_first_token_seconds",
            "From the request until the first word of an answer.",
            _WHERE,
            buckets=_FIRST,
            registry=registry,
        )
        self._whole = Histogram(
            "panelist_request_duration_seconds",
            "From the request until its end.",
            _WHERE,
            buckets=_WHOLE,
            registry=registry,
        )
        self._queue = Histogram(
            "panelist_request_queue_seconds",
            "From the request until it left for the model.",
            buckets=_QUEUE,
            registry=registry,
        )
        self._lag = Histogram(
            "panelist_event_loop_lag_seconds",
            f"How late the event loop is, looked at every {LAG_EVERY_S} s.",
            buckets=_LAG,
            registry=registry,
        )
        self._running = Gauge("panelist_running_replies", "Replies that are being written.", registry=registry)
        self._waiting = Gauge(
            "panelist_waiting_messages", "Messages that wait for the answer before them.", registry=registry
        )
        self._pages = Gauge("panelist_open_pages", "Pages that are open in browsers.", registry=registry)
        self._places: set[tuple[str, str]] = set()

    def observe(self, observed: Observed) -> None:
        """Count a request that has ended."""
        one = observed.measured
        place = self._place(one)
        self._requests.labels(*place, one.kind, one.status, one.error or "").inc()
        if one.usage is not None:
            usage = one.usage
            counts = {
                "input": usage.input,
                "cached_input": usage.cached_input,
                "output": usage.output,
                "reasoning": usage.reasoning,
            }
            for kind, count in counts.items():
                self._tokens.labels(*place, kind).inc(max(count, 0))
        if one.price is None:
            self._unpriced.labels(*place).inc()
        else:
            self._spend.labels(*place).inc(one.price / NANOS)
        self._retries.labels(*place).inc(one.retries)
        if one.first_token_s is not None and one.kind == "chat":
            self._first.labels(*place).observe(one.first_token_s)
        if one.total_s is not None:
            self._whole.labels(*place).observe(one.total_s)
        if one.queue_s is not None:
            self._queue.observe(one.queue_s)

    async def watch_loop(self, every_s: float = LAG_EVERY_S) -> None:
        """Look how late the event loop is, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + every_s
            await asyncio.sleep(every_s)
            self._lag.observe(max(loop.time() - due, 0.0))

    async def read(self, *, running: int, waiting: int, pages: int, accept: str = "") -> tuple[bytes, str]:
        """Return all of it and how busy the process is, in a form that is accepted, and the name of that form."""
        self._running.set(running)
        self._waiting.set(waiting)
        self._pages.set(pages)
        encode, content_type = choose_encoder(accept)
        # In a thread: where there are many models there are thousands of lines.
        return await asyncio.to_thread(encode, self._registry), content_type

    def _place(self, one: Measured) -> tuple[str, str]:
        place = one.endpoint[:LONGEST], one.model[:LONGEST]
        if place not in self._places:
            if len(self._places) >= MOST_MODELS:
                return OTHER, OTHER
            self._places.add(place)
        return place
