"""Who is told of which changes."""

from __future__ import annotations

import asyncio

import pytest

from services import changes as module
from services.changes import Changes

ANN, BEN = "ann", "ben"


async def test_a_listener_is_told_which_conversations_changed_and_those_of_others_never() -> None:
    changes = Changes()
    told = changes.listen(ANN)
    changes.ring(BEN, "b")
    changes.ring(ANN, "one")
    changes.ring(ANN, "two")
    changes.ring(ANN, "one")
    assert await anext(told) == {"one", "two"}
    changes.ring(ANN, "two")
    assert await anext(told) == {"two"}
    waiting = asyncio.ensure_future(anext(told))
    changes.ring(BEN, "b")
    await asyncio.sleep(0.01)
    assert not waiting.done()
    waiting.cancel()


async def test_what_comes_within_the_wait_comes_together() -> None:
    changes = Changes()
    told = changes.listen(ANN, lambda: 0.05)
    waiting = asyncio.ensure_future(anext(told))
    changes.ring(ANN, "one")
    await asyncio.sleep(0.01)
    assert not waiting.done()
    changes.ring(ANN, "two")
    assert await waiting == {"one", "two"}


async def test_when_it_may_be_any_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = Changes()
    told = changes.listen(ANN)
    changes.ring(ANN, "one")
    changes.ring_all()
    assert await anext(told) is None
    monkeypatch.setattr(module, "_REMEMBERED", 2)
    for id in ("one", "two", "three"):
        changes.ring(ANN, id)
    assert await anext(told) is None, "the first is not remembered any more"
    changes.ring(ANN, "four")
    assert await anext(told) == {"four"}, "who missed nothing of it is told exactly"


def test_a_version_grows_with_what_the_owner_is_told_alone() -> None:
    changes = Changes()
    first = changes.version(ANN)
    changes.ring(BEN, "b")
    assert changes.version(ANN) == first
    changes.ring(ANN, "a")
    second = changes.version(ANN)
    changes.ring_all()
    assert first < second < changes.version(ANN)
    assert changes.version("a third") == changes.version(ANN)
