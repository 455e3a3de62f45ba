"""Folders in both databases: in one another, moved, removed and brought back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.arranging import Delete, Move, Pin
from services.errors import InputError, NotFoundError
from services.folders import (
    MAX_DEPTH,
    MAX_FOLDERS,
    MAX_TAG,
    Defaults,
    Folder,
    around,
    check_place,
    clean_tag,
    defaults_of,
    in_order,
)
from services.messages import new_id
from services.options import Options
from services.storage.store import Store
from tests.storage import make
from tests.storage.make import ANN, BEN


async def folder(store: Store, name: str, parent: Folder | None = None, owner: str = ANN) -> Folder:
    new = Folder(id=new_id(), name=name, parent_id=parent.id if parent else None)
    await store.add_folder(owner, new)
    return new


async def chain(store: Store, length: int) -> list[Folder]:
    found: list[Folder] = []
    for number in range(length):
        found.append(await folder(store, str(number), found[-1] if found else None))
    return found


async def place(store: Store, moved: Folder, into: Folder | None) -> Folder:
    return await store.change_folder(ANN, moved.id, lambda f: replace(f, parent_id=into.id if into else None))


async def test_a_folder_keeps_what_it_says(store: Store) -> None:
    full = Folder(
        id=new_id(),
        name="Käse <b>",
        options=Options(endpoint="local", model="tiny"),
        system_prompt="Be brief.\nAlways.",
        unfolded=False,
    )
    await store.add_folder(ANN, full)
    await store.add_folder(ANN, replace(full, name="again"))
    assert await store.folders(ANN) == [full]
    assert await store.change_folder(ANN, full.id, lambda f: replace(f, name="Cheese")) == full
    assert await store.folders(ANN) == [replace(full, name="Cheese")]


async def test_none_lies_in_itself_also_when_two_move_at_once(store: Store) -> None:
    one, two = await folder(store, "one"), await folder(store, "two")
    told = await asyncio.gather(place(store, one, two), place(store, two, one), return_exceptions=True)
    [refusal] = [each for each in told if isinstance(each, Exception)]
    assert isinstance(refusal, InputError)
    assert "cannot be moved into itself" in str(refusal)
    assert sum(each.parent_id is None for each in await store.folders(ANN)) == 1
    with pytest.raises(InputError):
        await place(store, one, one)


async def test_they_go_so_deep_and_no_deeper(store: Store) -> None:
    deep = await chain(store, MAX_DEPTH)
    with pytest.raises(InputError, match="deep at most"):
        await folder(store, "too deep", deep[-1])
    other = await folder(store, "other")
    inner = await folder(store, "inner", other)
    with pytest.raises(InputError, match="deep at most"):
        await place(store, other, deep[-2])
    await place(store, inner, deep[-2])
    await place(store, deep[1], None)


async def test_there_is_an_end_to_them(store: Store, rows: make.Rows) -> None:
    values = [{"id": f"f{number}"} for number in range(MAX_FOLDERS)]
    rows.execute("INSERT INTO folders (id, owner, name, unfolded) VALUES (:id, 'ann', 'x', true)", *values)
    with pytest.raises(InputError, match="Remove one first"):
        await folder(store, "one more")
    await folder(store, "his first", owner=BEN)


async def test_removing_moves_what_is_in_it_up_and_undo_brings_all_back(store: Store) -> None:
    outer = await folder(store, "outer")
    middle = await folder(store, "middle", outer)
    inner = await folder(store, "inner", middle)
    here, gone, elsewhere = [(await make.asked(store, text)).conversation.id for text in ("here", "gone", "elsewhere")]
    await store.arrange(ANN, [here, gone], Move(middle.id))
    await store.arrange(ANN, [elsewhere], Move(inner.id))
    await store.arrange(ANN, [gone], Delete())
    before = await store.folders(ANN), await store.whole(ANN, here)
    removed = await store.remove_folder(ANN, middle.id)
    assert {f.id: f.parent_id for f in await store.folders(ANN)} == {outer.id: None, inner.id: outer.id}
    assert (await store.conversation(ANN, here)).folder_id == outer.id
    await store.restore(ANN, gone)
    assert (await store.conversation(ANN, gone)).folder_id == outer.id
    await store.arrange(ANN, [gone], Move(None))
    for _ in range(2):
        await store.bring_folder_back(ANN, removed)
    assert {f.id: f for f in await store.folders(ANN)} == {f.id: f for f in before[0]}
    assert await store.whole(ANN, here) == before[1]
    assert (await store.conversation(ANN, gone)).folder_id is None, "it had been moved since"
    assert (await store.conversation(ANN, elsewhere)).folder_id == inner.id


async def test_a_folder_comes_back_where_the_one_around_it_is_gone(store: Store) -> None:
    outer = await folder(store, "outer")
    inner = await folder(store, "inner", outer)
    here = (await make.asked(store)).conversation.id
    await store.arrange(ANN, [here], Move(inner.id))
    removed = await store.remove_folder(ANN, inner.id)
    await store.remove_folder(ANN, outer.id)
    await store.bring_folder_back(ANN, removed)
    assert await store.folders(ANN) == [replace(inner, parent_id=None)]
    assert (await store.conversation(ANN, here)).folder_id == inner.id


async def test_nobody_sees_or_changes_somebody_elses(store: Store) -> None:
    anns = await folder(store, "Ann's")
    bens = (await make.asked(store, owner=BEN)).conversation.id
    assert await store.folders(BEN) == []
    assert await store.defaults(BEN, anns.id) == Defaults()
    for call in (
        store.change_folder(BEN, anns.id, lambda f: replace(f, name="Ben's")),
        store.remove_folder(BEN, anns.id),
        store.add_folder(BEN, Folder(id=new_id(), name="in hers", parent_id=anns.id)),
        store.arrange(BEN, [bens], Move(anns.id)),
    ):
        with pytest.raises(NotFoundError):
            await call
    new = make.exchange(replace(make.conversation(), folder_id=anns.id))
    await make.begin(store, new, BEN)
    assert (await store.conversation(BEN, new.conversation.id)).folder_id is None
    assert await store.folders(ANN) == [anns]
    await store.arrange(ANN, [bens], Pin())
    assert (await store.conversation(BEN, bens)).pinned_at is None


async def test_the_nearest_folder_that_says_something_counts(store: Store) -> None:
    outer, middle, inner = await chain(store, 3)
    model = Options(endpoint="local", model="tiny")
    await store.change_folder(ANN, outer.id, lambda f: replace(f, options=model, system_prompt="Outer."))
    await store.change_folder(ANN, middle.id, lambda f: replace(f, system_prompt="Middle."))
    assert await store.defaults(ANN, inner.id) == Defaults(model, "Middle.")
    assert await store.defaults(ANN, outer.id) == Defaults(model, "Outer.")
    assert await store.defaults(ANN, "none") == Defaults()


@st.composite
def forests(draw: st.DrawFn) -> list[Folder]:
    """Folders whose parents may be anything, circles among them."""
    ids = [str(number) for number in range(draw(st.integers(1, 7)))]
    parents = st.none() | st.sampled_from(ids)
    return [Folder(id=id, name=draw(st.sampled_from("abc")), parent_id=draw(parents)) for id in ids]


@given(forests(), st.data())
def test_what_is_accepted_one_after_the_other_has_no_circle(wanted: list[Folder], data: st.DataObject) -> None:
    there = [replace(folder, parent_id=None) for folder in wanted]
    for folder in wanted:
        try:
            check_place(there, folder)
        except InputError:
            continue
        there = [folder if one.id == folder.id else one for one in there]
    ordered = list(in_order(there))
    assert {folder.id for folder, _ in ordered} == {folder.id for folder in there}
    assert all(depth < MAX_DEPTH for _, depth in ordered)
    known = {folder.id: folder for folder in there}
    assert all(len(list(around(known, folder.id))) == depth + 1 for folder, depth in ordered)
    assert defaults_of(known, data.draw(st.sampled_from(list(known)))) == Defaults()


@given(st.text())
def test_a_tag_is_one_word_and_stays_the_same(typed: str) -> None:
    tag = clean_tag(typed)
    assert clean_tag(tag) == tag
    assert len(tag) <= MAX_TAG
    assert tag.split() in ([], [tag])
