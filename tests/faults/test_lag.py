"""The watch on the event loop: it knows work from waiting, and the house from the tests."""

from __future__ import annotations

import asyncio
import gc
import time

from services.render import render_markdown
from tests.faults.lag import WORTH_TELLING_S, watched

MOST_WORK_S = 10.0
"""Here it is done on purpose."""


def work(of_s: float = 0.1) -> None:
    ends = time.thread_time() + of_s
    while time.thread_time() < ends:
        pass


async def test_work_is_told_with_its_place() -> None:
    async with watched() as watch:
        await asyncio.sleep(0)
        work()
        await asyncio.sleep(0)
    [long] = watch.long
    assert long.work_s >= 0.1
    assert not long.ours
    assert long.where.startswith("tests/faults/test_lag.py")
    assert "test_work_is_told" in long.where


async def test_work_in_the_house_is_told_as_such() -> None:
    async with watched() as watch:
        await asyncio.sleep(0)
        render_markdown("## Part\n\nSome **words** and `code`.\n\n" * 3_000)
        await asyncio.sleep(0)
    [long] = watch.long
    assert long.ours
    assert long.where.startswith("services/render/")


async def test_who_waits_is_late_and_works_not() -> None:
    async with watched() as watch:
        await asyncio.sleep(0.02)
        time.sleep(0.1)
        await asyncio.sleep(0.02)
    assert watch.long == []
    assert watch.late_ms(1) > 80
    assert watch.late_ms(0) < watch.late_ms(1)


async def test_a_collection_is_told_apart() -> None:
    async with watched() as watch:
        await asyncio.sleep(0)
        gc.collect()
        await asyncio.sleep(0)
    assert max(watch.collecting_s) > WORTH_TELLING_S, "or this proves nothing"
    assert watch.long == []
