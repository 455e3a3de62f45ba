from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.conversation import MAX_TITLE, TitleSource
from services.errors import NotFoundError
from services.messages import clean_text
from services.options import Options
from services.storage.store import Begun, Store
from tests.storage import make
from tests.storage.make import ANN, BEN


async def test_a_conversation_comes_back_as_it_was(store: Store) -> None:
    new = await make.asked(store)
    stored = await store.conversation(ANN, new.conversation.id)
    assert (stored.title, stored.title_source) == ("Rain", "question")
    assert stored.head_id == new.answer.id
    assert stored.options == Options(endpoint="local", model="tiny")
    assert stored.created_at == make.WHEN
    assert stored.created_at.utcoffset() == timedelta(0)
    assert stored.updated_at > make.WHEN
    assert stored.updated_at.utcoffset() == timedelta(0)


async def test_begin_run_returns_what_is_stored(store: Store) -> None:
    new = make.exchange(make.conversation())
    stored = await store.begin_run(ANN, conversation=new.conversation, question=new.question, answers=[new.answer])
    assert stored == Begun(await store.conversation(ANN, new.conversation.id), (new.run_id,), fresh=True)


async def test_a_moment_is_kept_whatever_zone_it_is_told_in(store: Store) -> None:
    elsewhere = make.WHEN.astimezone(timezone(timedelta(hours=9)))
    new = make.exchange(replace(make.conversation(), created_at=elsewhere))
    await make.begin(store, new)
    stored = (await store.conversation(ANN, new.conversation.id)).created_at
    assert (stored, stored.utcoffset()) == (elsewhere, timedelta(0))


async def test_the_list_has_the_last_changed_first_though_the_clock_stands_still(where: Path | str) -> None:
    store = await Store.open(where, now=lambda: make.WHEN)
    first, second, third = [await make.asked(store) for _ in range(3)]
    await make.finish(store, first.run_id)
    expected = [first.conversation.id, third.conversation.id, second.conversation.id]
    assert [c.id for c in await store.conversations(ANN)] == expected
    await store.close()


async def test_the_list_has_the_last_changed_first_though_the_clock_goes_back(where: Path | str) -> None:
    times = [make.WHEN - timedelta(hours=n) for n in range(10)]
    store = await Store.open(where, now=iter(times).__next__)
    first, second = [await make.asked(store) for _ in range(2)]
    assert [c.id for c in await store.conversations(ANN)] == [second.conversation.id, first.conversation.id]
    await store.close()


async def test_renaming_and_options_do_not_move_a_conversation(store: Store) -> None:
    first, second = [await make.asked(store) for _ in range(2)]
    await store.rename(ANN, first.conversation.id, "Clouds", "user")
    await store.set_options(ANN, first.conversation.id, Options(model="other"))
    assert [c.id for c in await store.conversations(ANN)] == [second.conversation.id, first.conversation.id]


async def test_pages_follow_each_other_without_overlap(store: Store) -> None:
    ids = [(await make.asked(store)).conversation.id for _ in range(5)][::-1]
    seen: list[str] = []
    page = await store.conversations(ANN, limit=2)
    while page:
        seen += [c.id for c in page]
        page = await store.conversations(ANN, limit=2, before=(page[-1].updated_at, page[-1].id))
    assert seen == ids


async def test_an_owner_sees_only_their_own(store: Store) -> None:
    await make.asked(store, owner=BEN)
    new = await make.asked(store)
    assert [c.id for c in await store.conversations(ANN)] == [new.conversation.id]
    assert await store.conversations("cleo") == []


@pytest.mark.parametrize(
    ("present", "source", "expected"),
    [
        ("question", "model", "New"),
        ("question", "user", "New"),
        ("model", "model", "New"),
        ("model", "user", "New"),
        ("user", "user", "New"),
        ("user", "model", "Old"),
        ("user", "question", "Old"),
    ],
)
async def test_a_title_that_a_person_chose_is_kept(
    store: Store, present: TitleSource, source: TitleSource, expected: str
) -> None:
    id = (await make.asked(store)).conversation.id
    await store.rename(ANN, id, "Old", present)
    renamed = await store.rename(ANN, id, "New", source)
    assert renamed.title == expected
    assert renamed.title_source == (source if expected == "New" else present)
    assert renamed == await store.conversation(ANN, id)


async def test_a_long_title_is_cut(store: Store) -> None:
    id = (await make.asked(store)).conversation.id
    assert (await store.rename(ANN, id, "é" * 500, "user")).title == "é" * MAX_TITLE


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(title=st.text(st.characters(exclude_categories=()), max_size=50))
async def test_any_title_can_be_stored(store: Store, title: str) -> None:
    id = (await make.asked(store)).conversation.id
    assert (await store.rename(ANN, id, title, "user")).title == clean_text(title)


async def test_options_are_replaced(store: Store) -> None:
    id = (await make.asked(store)).conversation.id
    await store.set_options(ANN, id, Options(model="other"))
    assert (await store.conversation(ANN, id)).options == Options(endpoint=None, model="other")


async def test_delete_hides_and_restore_brings_back(store: Store) -> None:
    new = await make.asked(store)
    id = new.conversation.id
    before = await store.path(ANN, id)
    await store.delete(ANN, id)
    assert await store.conversations(ANN) == []
    for call in (
        store.conversation(ANN, id),
        store.path(ANN, id),
        store.rename(ANN, id, "x", "user"),
        store.delete(ANN, id),
        store.events(ANN, new.run_id),
        make.begin(store, make.exchange(new.conversation, after=new.answer.id)),
    ):
        with pytest.raises(NotFoundError):
            await call
    await store.restore(ANN, id)
    await store.restore(ANN, id)
    assert [c.id for c in await store.conversations(ANN)] == [id]
    assert await store.path(ANN, id) == before


async def test_an_answer_to_a_deleted_conversation_is_still_kept(store: Store) -> None:
    new = await make.asked(store)
    await store.delete(ANN, new.conversation.id)
    await make.finish(store, new.run_id, "Kept.")
    await store.restore(ANN, new.conversation.id)
    assert (await store.path(ANN, new.conversation.id))[-1].text == "Kept."


async def test_dropped_parameters_add_up(store: Store) -> None:
    assert await store.dropped_parameters() == {}
    await store.drop_parameter("local", "top_p")
    await store.drop_parameter("local", "stop")
    await store.drop_parameter("local", "stop")
    await store.drop_parameter("far", "stop")
    assert await store.dropped_parameters() == {"local": frozenset({"top_p", "stop"}), "far": frozenset({"stop"})}
