"""A path is the same whether its beginning was read before or not."""

from __future__ import annotations

import random

import pytest

from services.storage import paths
from services.storage.paths import Paths
from services.storage.store import Store
from tests.storage import make
from tests.storage.make import ANN


async def same_as_afresh(store: Store, conversation_id: str, head_id: str | None = None) -> int:
    """Check a path against one of which nothing is known, and return its length."""
    known = store._paths
    found = await store.path(ANN, conversation_id, head_id)
    store._paths = Paths()
    assert found == await store.path(ANN, conversation_id, head_id)
    store._paths = known
    return len(found)


@pytest.mark.parametrize("seed", range(6))
async def test_any_walk_through_a_tree_reads_what_is_there(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    first = await make.asked(store)
    await make.finish(store, first.run_id)
    here = first.conversation.id
    done = [first]
    for _ in range(25):
        earlier = chance.choice(done)
        if chance.random() < 0.3:
            new = await make.again(store, earlier)
        else:
            new = make.exchange(first.conversation, f"After {len(done)}", after=earlier.answer.id)
            await make.begin(store, new)
        await same_as_afresh(store, here)
        if chance.random() < 0.8:
            await make.finish(store, new.run_id, f"Answer {len(done)}")
        done.append(new)
        await same_as_afresh(store, here)
        await same_as_afresh(store, here, chance.choice(done).answer.id)
        shown = await store.snapshot(ANN, here)
        versions = await store.versions(ANN, here, [message.id for message in shown.path])
        assert {id: v for id, v in versions.items() if len(v.ids) > 1} == {
            message.id: shown.versions[message.id] for message in shown.path if message.id in shown.versions
        }


async def test_who_opens_it_again_shares_its_messages(store: Store) -> None:
    first = await make.asked(store)
    await make.finish(store, first.run_id)
    follow = make.exchange(first.conversation, after=first.answer.id)
    await make.begin(store, follow)
    once = await store.path(ANN, first.conversation.id)
    again = await store.path(ANN, first.conversation.id)
    assert [one is other for one, other in zip(once, again, strict=True)] == [True, True, True, False]


async def test_what_is_kept_has_a_limit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "MOST_CHARS", 4 * paths._EACH)
    for _ in range(5):
        first = await make.asked(store)
        await make.finish(store, first.run_id)
        await make.begin(store, make.exchange(first.conversation, after=first.answer.id))
        assert await same_as_afresh(store, first.conversation.id) == 4
        assert store._paths._chars <= paths.MOST_CHARS
        assert len(store._paths._kept) <= 2
    assert store._paths._chars == sum(beginning.chars for beginning in store._paths._kept.values())


async def test_an_answer_that_was_followed_before_it_was_written_is_read_when_it_is(store: Store) -> None:
    first = await make.asked(store)
    await make.begin(store, make.exchange(first.conversation, after=first.answer.id))
    await store.path(ANN, first.conversation.id)
    await make.finish(store, first.run_id, "Written at last")
    assert (await store.path(ANN, first.conversation.id))[1].text == "Written at last"


async def test_what_was_read_before_it_was_forgotten_is_not_kept(store: Store) -> None:
    first = await make.asked(store)
    await make.finish(store, first.run_id)
    follow = make.exchange(first.conversation, after=first.answer.id)
    await make.begin(store, follow)
    path = await store.path(ANN, first.conversation.id)
    known = Paths()
    turn = known.turn
    known.forget([first.conversation.id])
    known.keep(path, [1, 2, 3, 4], turn)
    assert known.known(first.conversation.id) is None
    known.keep(path, [1, 2, 3, 4], known.turn)
    assert known.known(first.conversation.id) is not None
