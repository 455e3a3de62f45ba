"""Loaded by the server under test before anything else: at SIGUSR1 it writes down what it holds, after a collection.

Beside the guard of the browser tests, which is loaded from here: a process has one `sitecustomize` only.
"""

import gc
import json
import os
import runpy
import signal
from collections import Counter
from ctypes import CDLL
from pathlib import Path

COUNTED = (
    "Document",
    "ServerSession",
    "ConversationState",
    "Transcript",
    "Composer",
    "ConversationList",
    "ModelPicker",
)


def _take(_signal: int, _frame: object) -> None:
    frozen = gc.get_freeze_count()
    gc.unfreeze()  # as the server itself does, in a good moment
    while gc.collect():
        pass
    if hasattr(libc := CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)  # what the allocator keeps for the next session is no leak
    names = Counter(type(held).__name__ for held in gc.get_objects())
    gc.freeze()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    sizes = {"rss": pages * os.sysconf("SC_PAGE_SIZE"), "frozen": frozen}
    taken = {**sizes, **{name: names[name] for name in COUNTED}}
    target = Path(os.environ["CENSUS"])
    target.with_suffix(".new").write_text(json.dumps(taken), "utf-8")
    target.with_suffix(".new").rename(target)


if "CENSUS" in os.environ:
    runpy.run_path(os.environ["GUARD"])
    signal.signal(signal.SIGUSR1, _take)
