"""How many tokens a text has, by the vocabulary of OpenAI's present models; for other models that is an estimate.

It is counted in a process of its own (`services.tokenizing`), which is started when it is first needed and ends when it
has not been for a while: to read the vocabulary would hold up every thread of this one, the event loop's among them.
"""

from __future__ import annotations

import atexit
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Lock, Timer

from services.errors import PanelistError

ROOT = Path(__file__).parent.parent

IDLE_S = 900.0
"""Seconds without a question after which the process ends, and with it the memory that it takes."""

PATIENCE_S = 10.0
"""Seconds that it may take, and as many more for each megabyte: a hundred times what it does."""

_LEAVE_S = 1.0

_DAMAGED = 2**64 - 1  # as services.tokenizing has it, which is not imported here for what it imports


class Counter:
    """Counts in another process, one text after the other. Blocking: it is for threads."""

    def __init__(self, idle_s: float = IDLE_S, patience_s: float = PATIENCE_S) -> None:
        self._idle_s = idle_s
        self._patience_s = patience_s
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def count(self, text: str) -> int:
        """Return how many tokens a text has. What looks like a special token is text; 1 MB takes 0.1 s.

        Raises:
            PanelistError: the vocabulary is not as it was shipped, or no process could be started.
        """
        data = text.encode("utf-8", "surrogatepass")
        with self._lock:
            try:
                counted = self._answer(data)
            except (OSError, EOFError):  # it ended, as it does after a while
                self._end()
                try:
                    counted = self._answer(data)
                except (OSError, EOFError) as error:
                    self._end()
                    raise PanelistError("Tokens cannot be counted at the moment: no process for it starts.") from error
        if counted == _DAMAGED:
            raise PanelistError("The list of tokens that Panelist came with is missing or damaged. Install it again.")
        return counted

    def close(self) -> None:
        """End the process; the next count starts another."""
        with self._lock:
            self._end()

    def wait(self) -> None:
        """Wait until the process ends by itself."""
        if self._process is not None:
            self._process.wait()

    def _answer(self, data: bytes) -> int:
        if self._process is None:
            self._process = _started(self._idle_s)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._in_time(len(data)):
            self._process.stdin.write(len(data).to_bytes(8))
            self._process.stdin.write(data)
            self._process.stdin.flush()
            answer = self._process.stdout.read(8)
        if len(answer) < 8:
            raise EOFError
        return int.from_bytes(answer)

    @contextlib.contextmanager
    def _in_time(self, size: int) -> Iterator[None]:
        """End a process that does not answer: whoever waits for it holds a thread that others need."""
        timer = Timer(self._patience_s * (1 + size / 1_000_000), self._kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what it did not read goes nowhere
                    pipe.close()
        try:
            process.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _started(idle_s: float) -> subprocess.Popen[bytes]:
    # A group of its own: Ctrl-C in the terminal is for whoever waits for the count.
    return subprocess.Popen(  # noqa: S603 - this interpreter, with words of our own
        [sys.executable, "-m", "services.tokenizing", str(idle_s)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
    )


_counter = Counter()
atexit.register(_counter.close)


def count(text: str) -> int:
    """Return how many tokens a text has; see `Counter.count`."""
    return _counter.count(text)
