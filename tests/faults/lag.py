"""How late the event loop is, and who held it up (design.md, promise 4: nothing in it takes 50 ms).

Two measures, because only one of them may fail a test:

- *Lag* is what a person feels: a task sleeps 5 ms and notes how late it wakes. It is printed and never asserted; on a
  busy machine it tells more about the neighbours.
- *Work* is the processor time that the loop's thread spent in one callback. Neighbours take turns with it and add
  nothing to it, so a callback of ours that worked for 50 ms is a fault wherever it is met. What the garbage collector
  took meanwhile is left out and told apart: in the tests it looks through pytest and Hypothesis too.

A callback that waits instead of working (a blocking read, `time.sleep`, a thread that keeps the interpreter to itself)
is in the lag alone; ruff's ASYNC rules look for the first two.
"""

from __future__ import annotations

import asyncio
import gc
import math
import sys
import threading
import time
from asyncio import events
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parents[2]
HOUSE = ("services/", "components/")
EVERY_S = 0.005
WORTH_TELLING_S = 0.025
"""Work of one callback that is written down, whoever did it."""


@dataclass(frozen=True, slots=True)
class Long:
    """A callback that took long."""

    work_s: float
    where: str
    """The place in this repository where it was met most often, and who called it, innermost first."""
    ours: bool
    """Whether that place is in the house, and not in a test."""

    def __str__(self) -> str:
        return f"{self.work_s * 1000:.0f} ms in {self.where}"


@dataclass
class Watch:
    """What was seen of one loop."""

    late_s: list[float] = field(default_factory=list)
    long: list[Long] = field(default_factory=list)
    collecting_s: list[float] = field(default_factory=list)
    """Full collections in the loop's thread."""

    def add(self, other: Watch) -> None:
        self.late_s += other.late_s
        self.long += other.long
        self.collecting_s += other.collecting_s

    def late_ms(self, share: float) -> float:
        ordered = sorted(self.late_s) or [math.nan]
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    def __str__(self) -> str:
        longest = max((long.work_s for long in self.long), default=0.0)
        work = f"{longest * 1000:.0f}" if longest else f"under {WORTH_TELLING_S * 1000:.0f}"
        return (
            f"lag p50 {self.late_ms(0.5):.1f}, p99 {self.late_ms(0.99):.1f}, max {self.late_ms(1):.1f} ms of "
            f"{len(self.late_s)}; most work in one callback {work} ms; "
            f"{len(self.collecting_s)} full collections, {max(self.collecting_s, default=0.0) * 1000:.0f} ms at most"
        )


@asynccontextmanager
async def watched() -> AsyncIterator[Watch]:
    """Watch the running loop meanwhile."""
    watch = Watch()

    async def sample() -> None:
        while True:
            due = time.perf_counter() + EVERY_S
            await asyncio.sleep(EVERY_S)
            watch.late_s.append(max(0.0, time.perf_counter() - due))

    with _Clock(watch).running():
        sampling = asyncio.create_task(sample())
        try:
            yield watch
        finally:
            sampling.cancel()
            await asyncio.gather(sampling, return_exceptions=True)


class _Clock:
    """Stands in the way of each callback of a loop; a thread looks where the long ones are."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._begun: float | None = None
        self._met: Counter[tuple[str, ...]] = Counter()
        self._collected_s = 0.0
        self._collecting_since = 0.0
        self._over = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        run, looking = events.Handle._run, threading.Thread(target=self._look, daemon=True)

        def timed(handle: events.Handle) -> None:
            if handle._loop is not self._loop:  # type: ignore[attr-defined]
                run(handle)
                return
            before, self._collected_s, self._begun = time.thread_time(), 0.0, time.perf_counter()
            try:
                run(handle)
            finally:
                self._begun = None
                self._note(handle, time.thread_time() - before - self._collected_s)

        # Neither a debug flag nor a policy tells processor time, so the one method that runs all callbacks is replaced.
        events.Handle._run = timed  # type: ignore[method-assign]
        gc.callbacks.append(self._on_collection)
        looking.start()
        try:
            yield
        finally:
            events.Handle._run = run  # type: ignore[method-assign]
            gc.callbacks.remove(self._on_collection)
            self._over.set()
            looking.join()

    def _note(self, handle: events.Handle, work_s: float) -> None:
        met, self._met = self._met, Counter()
        if work_s >= WORTH_TELLING_S:
            del met[()]  # somewhere else's
            stack = met.most_common(1)[0][0] if met else tuple(_stack(_frame_of(handle)))
            ours = bool(stack) and stack[0].startswith(HOUSE)
            self._watch.long.append(Long(work_s, " < ".join(stack[:4]) or repr(handle), ours))

    def _look(self) -> None:
        while not self._over.wait(EVERY_S):
            since = self._begun
            if since is not None and time.perf_counter() - since > WORTH_TELLING_S / 2:
                self._met[tuple(_stack(sys._current_frames().get(self._thread)))] += 1

    def _on_collection(self, phase: str, about: dict[str, int]) -> None:
        if threading.get_ident() != self._thread:
            return
        if phase == "start":
            self._collecting_since = time.thread_time()
            return
        took_s = time.thread_time() - self._collecting_since
        self._collected_s += took_s
        if about["generation"] == 2:
            self._watch.collecting_s.append(took_s)


def _stack(frame: FrameType | None) -> Iterator[str]:
    """Yield the places of a stack that are in the house or the tests, innermost first."""
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        inside = path.relative_to(ROOT) if path.is_relative_to(ROOT) and path != Path(__file__) else None
        if inside is not None and str(inside).startswith((*HOUSE, "tests/")):
            yield f"{inside}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back


def _frame_of(handle: events.Handle) -> FrameType | None:
    """Return where the task stands now that a callback went on with."""
    task = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
    stack = task.get_stack(limit=1) if isinstance(task, asyncio.Task) else []
    return stack[0] if stack else None
