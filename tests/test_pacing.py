"""How often what flows is looked at."""

from __future__ import annotations

import asyncio
import time

import pytest

from services.pacing import LEAST_S, MOST_S, THIN_S, Pace


async def test_rests_are_short_while_there_is_little_to_do() -> None:
    assert Pace().rest_s == LEAST_S


async def test_little_is_waited_for_longer_but_never_longer_than_a_busy_loop_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("services.pacing.asyncio.sleep", sleep)
    pace = Pace()
    await pace.rest(thin=True)
    await pace.rest()
    pace._late_s = 10.0
    await pace.rest(thin=True)
    assert slept == pytest.approx([THIN_S, LEAST_S, MOST_S], abs=0.01)


async def test_a_busy_loop_makes_all_rest_longer_and_a_calm_one_shorter_again() -> None:
    pace = Pace()

    async def busy() -> None:
        for _ in range(12):
            time.sleep(0.06)
            await asyncio.sleep(0)

    for _ in range(4):
        await asyncio.gather(busy(), pace.rest())
    long = pace.rest_s
    assert LEAST_S < long <= MOST_S
    pace._late_s = 10.0
    assert pace.rest_s == MOST_S, "there is an end to it"
    pace._late_s = 0.01
    for _ in range(20):
        await pace.rest()
    assert pace.rest_s < LEAST_S + 0.05


async def test_a_machine_that_slept_is_not_a_busy_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pace, loop = Pace(), asyncio.get_running_loop()
    time_of_loop, slept = loop.time, 0
    with monkeypatch.context() as patched:
        patched.setattr(loop, "time", lambda: time_of_loop() + slept)
        resting = asyncio.create_task(pace.rest())
        await asyncio.sleep(0)
        slept = 3600
        await resting
    assert pace._late_s == pytest.approx(0.1)
