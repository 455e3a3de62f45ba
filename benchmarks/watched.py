"""Panelist with a watch on its event loop: `python benchmarks/watched.py FILE serve app.py …`.

Appends the time and the processor seconds of each callback that worked for 10 ms or more. The garbage collector's work
is in them.
"""

from __future__ import annotations

import sys
import threading
import time
from asyncio import events
from pathlib import Path

from panel.command import main

WORTH_S = 0.010


def watch(file: Path) -> None:
    run, thread = events.Handle._run, threading.get_ident()

    def timed(handle: events.Handle) -> None:
        if threading.get_ident() != thread:
            run(handle)
            return
        before = time.thread_time()
        run(handle)
        if (took := time.thread_time() - before) >= WORTH_S:
            with file.open("a") as log:
                log.write(f"{time.time()} {took}\n")

    events.Handle._run = timed  # type: ignore[method-assign]


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
    sys.argv[:] = ["panel", *sys.argv[2:]]
    main()
