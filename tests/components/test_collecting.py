"""What pages leave behind is collected, in a good moment."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest
from panel.io import document

from components import collecting
from components.collecting import Collecting


class Page:
    """Something that only a collection can take away."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(collecting, "CALM_S", 0.01)
    monkeypatch.setattr(collecting, "ENOUGH_GONE", 2)
    yield
    gc.unfreeze()


async def gone(page: weakref.ref[Page], within_s: float) -> bool:
    for _ in range(round(within_s / 0.01)):
        if page() is None:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_what_stays_is_looked_at_no_more_until_a_page_has_gone() -> None:
    pages = Collecting()
    page = Page()
    left = weakref.ref(page)
    pages.page_came()
    assert gc.get_freeze_count() > 0
    assert gc.get_count()[2] == 0
    del page
    gc.collect()
    assert left() is not None, "it is set aside"
    pages.page_went()
    assert not await gone(left, 0.1), "one page is not worth it"
    pages.page_went()
    assert await gone(left, 5)
    assert gc.get_freeze_count() > 0, "and what stays is set aside again"


async def test_nothing_stops_while_an_answer_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "MOST_GONE", 3)
    pages, busy = Collecting(), True
    pages.is_busy = lambda: busy
    page = Page()
    left = weakref.ref(page)
    pages.page_came()
    del page
    for _ in range(2):
        pages.page_went()
    assert not await gone(left, 0.1)
    busy = False
    assert await gone(left, 5)

    busy, page = True, Page()
    left = weakref.ref(page)
    pages.page_came()
    del page
    for _ in range(3):
        pages.page_went()
    assert await gone(left, 5), "what waits for a good moment has a limit"


async def test_what_died_young_is_not_set_aside() -> None:
    left = weakref.ref(Page())
    Collecting().page_came()
    assert left() is None


def test_it_is_not_done_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_garbage_collect", document._garbage_collect)
    collected: list[object] = []
    monkeypatch.setattr(gc, "collect", lambda *_: collected.append(1))
    collecting.install()
    document._garbage_collect()
    assert collected == []


async def test_a_few_pages_are_collected_after_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "LONG_S", 0.05)
    pages, page = Collecting(), Page()
    left = weakref.ref(page)
    pages.page_came()
    del page
    pages.page_went()
    assert await gone(left, 5)
