"""Every test of faults watches its event loop; what it saw is told at the end, by module. See `lag.py`."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator

import pytest

from tests.faults.lag import Watch, watched

LIMIT_S = 0.15
"""Three times what is promised (and measured, alone, by `benchmarks/`): where two processes share the caches of a slow
machine, the same work was seen to take twice the processor time."""
SEEN = pytest.StashKey[dict[str, Watch]]()


@pytest.fixture(autouse=True)
def _loop(request: pytest.FixtureRequest) -> None:
    if inspect.iscoroutinefunction(request.function):
        request.getfixturevalue("_watched_loop")


@pytest.fixture
async def _watched_loop(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Fail a test in which a callback of ours works too long; a module may allow more in `MOST_WORK_S`, and say why."""
    async with watched() as watch:
        yield
    request.config.stash.setdefault(SEEN, {}).setdefault(request.module.__name__, Watch()).add(watch)
    limit_s = getattr(request.module, "MOST_WORK_S", LIMIT_S)
    blocking = [str(long) for long in watch.long if long.ours and long.work_s > limit_s]
    assert not blocking, f"the event loop was blocked: {'; '.join(blocking)}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not (seen := config.stash.get(SEEN, {})):
        return
    terminalreporter.section("event loop")
    for module, watch in seen.items():
        terminalreporter.write_line(f"{module.rpartition('.')[2]}: {watch}")
        for long in sorted(watch.long, key=lambda long: long.work_s, reverse=True)[:5]:
            terminalreporter.write_line(f"  {long}")
