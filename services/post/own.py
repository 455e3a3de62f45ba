"""The operator's own steps: functions from text to text that installed packages offer as entry points."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from services.errors import PanelistError, mask_keys
from services.messages import clean_text

_log = logging.getLogger(__name__)

GROUP = "panelist.post"
TIME_LIMIT_S = 10.0
MAX_RESULT = 2_000_000
"""Characters that a step may give back."""


class StepError(PanelistError):
    """A step could not do its work; the text is as it was before it."""


class Own:
    """A function of the operator's, loaded once, and run beside everything else with a limit of time.

    Python has no way to end a thread: a function that goes on after its time is left alone, and not called again until
    it has come back.
    """

    def __init__(self, name: str, load: Callable[[], Any], *, time_limit_s: float = TIME_LIMIT_S) -> None:
        self.name = name
        self.hint = ""
        self.why_not: str | None = None
        """A sentence if it cannot be used."""
        self._time_limit_s = time_limit_s
        self._running: threading.Thread | None = None
        self._lock = threading.Lock()
        try:
            self._function = load()
        except (Exception, SystemExit) as error:  # whatever the code of others does when it is imported
            _log.warning("the step %r could not be loaded", name, exc_info=True)
            self.why_not = f"It could not be loaded: {_told(error)}. See the log."
            return
        if not callable(self._function):
            self.why_not = "It is not a function. The entry point must name one that takes a text and returns a text."
            return
        self.hint = ((getattr(self._function, "__doc__", None) or "").strip().split("\n")[0] or "Your own step.")[:200]

    def __call__(self, text: str) -> str:
        """Return what the function makes of a text.

        Raises:
            StepError: it failed, took too long, or gave back something else.
        """
        if self.why_not is not None:
            raise StepError(f"The step {self.name!r} was left out. {self.why_not}")
        results: list[object] = []
        with self._lock:
            if self._running is not None and self._running.is_alive():
                raise StepError(f"The step {self.name!r} was left out: it is still busy with an earlier answer.")
            work = self._running = threading.Thread(target=self._work, args=(text, results), daemon=True)
            work.start()
        work.join(self._time_limit_s)
        if not results:
            limit = f"{self._time_limit_s:g} s"
            raise StepError(f"The step {self.name!r} was left out: it took longer than {limit}. Make it quicker.")
        return self._checked(results[0])

    def _work(self, text: str, results: list[object]) -> None:
        try:
            results.append(self._function(text))
        except BaseException as error:  # the code of others; nothing else runs in this thread
            _log.warning("the step %r failed", self.name, exc_info=True)
            results.append(error)

    def _checked(self, result: object) -> str:
        left_out = f"The step {self.name!r} was left out"
        if isinstance(result, BaseException):
            raise StepError(f"{left_out}: {_told(result)}. See the log.")
        if not isinstance(result, str):
            raise StepError(f"{left_out}: it gave back {type(result).__name__}, not a text.")
        if not result.strip():
            raise StepError(f"{left_out}: it gave back nothing.")
        if len(result) > MAX_RESULT:
            raise StepError(f"{left_out}: it gave back {len(result):,} characters, and {MAX_RESULT:,} is the most.")
        return clean_text(result)


@cache
def own_steps() -> tuple[Own, ...]:
    """Return the steps that installed packages offer, in order of their names; each name once."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name.strip().lower(), point)
    return tuple(Own(name, found[name].load) for name in sorted(found))


def _told(error: BaseException) -> str:
    words = " ".join(mask_keys(clean_text(str(error))).split())[:200].rstrip(".")
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
