"""Whole conversations, out and in, in both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.conversation import Whole
from services.errors import InputError
from services.events import TextDelta
from services.folders import Folder
from services.messages import TextPart, derived_id, new_id
from services.search import parse
from services.storage.schema import STAGED
from services.storage.store import Store
from tests.storage import make
from tests.storage.make import ANN, BEN, Rows
from tests.trees import NOTE, exported, read, wholes


async def _branched(store: Store) -> Whole:
    """Store a conversation with two answers to one question, and return it."""
    new = await make.asked(store)
    await make.finish(store, new.run_id)
    other = await make.again(store, new)
    await make.stop(store, other.run_id, "Beca")
    return await store.whole(ANN, new.conversation.id)


async def test_all_branches_in_order_and_the_head(store: Store) -> None:
    whole = await _branched(store)
    assert [message.text for message in whole.messages] == ["Why does it rain?", "Because of clouds.", "Beca"]
    assert [message.text for message in whole.path] == ["Why does it rain?", "Beca"]
    assert whole.path == tuple(await store.path(ANN, whole.conversation.id))


async def test_an_answer_being_written_ends_where_it_is(store: Store) -> None:
    new = await make.asked(store)
    await store.append_events(new.run_id, make.numbered(TextDelta("Beca")))
    answer = (await store.whole(ANN, new.conversation.id)).messages[-1]
    assert (answer.status, answer.text) == ("interrupted", "Beca")
    assert answer.parts[-1].kind == "error"
    assert (await store.path(ANN, new.conversation.id))[-1].status == "streaming", "it goes on"


async def test_twice_adds_nothing_and_a_deleted_one_comes_back(store: Store, rows: Rows) -> None:
    whole = await _branched(store)
    before = rows.count()
    assert (await store.add_wholes(ANN, lambda: [whole])).skipped == 1
    assert rows.count() == before
    await store.delete(ANN, whole.conversation.id)
    assert await store.known(ANN, [whole.conversation.id, "unknown"]) == {whole.conversation.id: "deleted"}
    assert (await store.add_wholes(ANN, lambda: [whole])).restored == (whole.conversation.id,)
    assert await store.whole(ANN, whole.conversation.id) == whole
    assert rows.count() == before


async def test_whether_a_file_has_more_of_a_conversation(store: Store) -> None:
    whole = await _branched(store)
    id, ids = whole.conversation.id, [message.id for message in whole.messages]
    assert not await store.grown(ANN, id, ids)
    assert await store.grown(ANN, id, [*ids, "new"])
    assert await store.grown(BEN, id, ids), "it is not his"
    await store.add_wholes(BEN, lambda: [whole])
    assert not await store.grown(BEN, id, ids), "he has them under other ids"
    assert await store.grown(BEN, id, [*ids, "new"])


async def test_ids_of_somebody_else_are_given_anew(store: Store, rows: Rows) -> None:
    anns = await _branched(store)
    given = anns.conversation.id
    assert await store.known(BEN, [given]) == {}
    added = await store.add_wholes(BEN, lambda: [anns])
    assert added.added == (derived_id(BEN, given),)
    bens = await store.whole(BEN, added.added[0])
    assert [m.text for m in bens.path] == [m.text for m in anns.path]
    assert not {m.id for m in bens.messages} & {m.id for m in anns.messages}
    assert await store.whole(ANN, given) == anns
    before = rows.count()
    assert await store.known(BEN, [given]) == {given: "here"}
    assert (await store.add_wholes(BEN, lambda: [anns])).skipped == 1
    assert rows.count() == before


async def test_a_message_id_of_another_conversation_is_given_anew(store: Store) -> None:
    whole = await _branched(store)
    twin = Whole(
        replace(whole.conversation, id="twin"), tuple(replace(m, conversation_id="twin") for m in whole.messages)
    )
    [id] = (await store.add_wholes(ANN, lambda: [twin])).added
    assert id != "twin"
    assert await store.whole(ANN, whole.conversation.id) == whole
    assert [m.text for m in (await store.whole(ANN, id)).messages] == [m.text for m in whole.messages]
    assert (await store.add_wholes(ANN, lambda: [twin])).skipped == 1


async def test_what_breaks_off_stores_nothing(store: Store, rows: Rows) -> None:
    whole = await _branched(store)
    fresh = replace(whole.conversation, id="fresh", head_id=None)
    before = rows.count()

    def broken() -> list[Whole]:
        raise InputError("Broken.")

    def half():  # type: ignore[no-untyped-def]
        yield Whole(fresh, ())
        broken()

    with pytest.raises(InputError, match="Broken"):
        await store.add_wholes(ANN, half)
    assert rows.count() == before


async def test_many_messages_and_taking_all_back(store: Store) -> None:
    whole = await _branched(store)
    id = "long"
    chain = [replace(whole.messages[0], id="m0", conversation_id=id)]
    for number in range(1, 1203):
        more = {"id": f"m{number}", "parent_id": f"m{number - 1}", "parts": (TextPart(str(number)),)}
        chain.append(replace(chain[0], **more))
    long = Whole(replace(whole.conversation, id=id, head_id="m1202"), tuple(chain))
    added = await store.add_wholes(ANN, lambda: [long])
    assert [m.text for m in await store.path(ANN, id)] == [m.text for m in chain]
    assert await store.whole(ANN, id) == long
    await store.delete_all(BEN, added.added)
    assert set(await store.every_id(ANN)) == {id, whole.conversation.id}
    await store.delete_all(ANN, added.added)
    assert await store.every_id(ANN) == [whole.conversation.id]


async def test_folders_come_with_an_import_and_go_with_its_undo(store: Store, rows: Rows) -> None:
    await store.add_folder(ANN, Folder(id=new_id(), name="Work"))
    before = rows.count()["folders"]
    coming = [
        replace(Whole(replace(make.conversation(), id=f"c{number}"), ()), folder=("Work", "2026", f"{number % 2}"))
        for number in range(4)
    ]

    def broken() -> Iterator[Whole]:
        yield from coming
        raise InputError("It ends here.")

    with pytest.raises(InputError):
        await store.add_wholes(ANN, broken)
    assert rows.count()["folders"] == before
    came = await store.add_wholes(ANN, lambda: coming)
    assert sorted(folder.name for folder in await store.folders(ANN)) == ["0", "1", "2026", "Work"]
    assert rows.count()["folders"] == before + 3
    assert (await store.whole(ANN, "c3")).folder == ("Work", "2026", "1")
    await store.delete_all(ANN, came.added, folder_ids=came.folders)
    assert [folder.name for folder in await store.folders(ANN)] == ["Work"]


def _copies(whole: Whole, count: int) -> Iterator[Whole]:
    for number in range(count):
        id = f"copy-{number}"
        messages = tuple(
            replace(
                m, id=f"{id}-{m.id}", conversation_id=id, parent_id=m.parent_id and f"{id}-{m.parent_id}", run_id=None
            )
            for m in whole.messages
        )
        yield Whole(replace(whole.conversation, id=id, head_id=messages[-1].id), messages)


async def test_others_write_while_many_come_in_and_nobody_sees_half_of_them(store: Store) -> None:
    whole = await _branched(store)
    mine = {whole.conversation.id}
    between: list[set[str]] = []
    loop = asyncio.get_running_loop()

    async def look() -> None:
        fresh = await make.asked(store)  # which would wait for the end, were it all one transaction
        mine.add(fresh.conversation.id)
        assert await store.trash(ANN) == []
        assert await store.search(ANN, parse("clouds")) == hits
        between.append(set(await store.every_id(ANN)) - mine)

    def coming() -> Iterator[Whole]:
        for number, copy in enumerate(_copies(whole, 200)):
            if number % 50 == 49:
                asyncio.run_coroutine_threadsafe(look(), loop).result(20)
            yield copy

    hits = await store.search(ANN, parse("clouds"))
    imported = await store.add_wholes(ANN, coming)
    assert between == [set()] * 4
    assert len(imported.added) == 200
    assert set(await store.every_id(ANN)) - mine == set(imported.added)
    assert len(await store.search(ANN, parse("clouds"), limit=500)) == len(hits) + 200


async def test_what_was_cut_short_half_way_is_removed(store: Store, rows: Rows) -> None:
    whole = await _branched(store)
    before = rows.count()

    def broken() -> Iterator[Whole]:
        yield from _copies(whole, 200)
        assert rows.count()["conversations"] > before["conversations"], "some of it is there"
        raise InputError("Broken.")

    with pytest.raises(InputError, match="Broken"):
        await store.add_wholes(ANN, broken)
    assert rows.count() == before
    await store.add_wholes(ANN, lambda: _copies(whole, 1))
    rows.execute("UPDATE conversations SET owner = :owner WHERE id = 'copy-0'", {"owner": f"{STAGED}word/{ANN}"})
    await store.remove_staged()  # as the start does after a crash
    assert rows.count() == before


async def test_whether_there_are_files(store: Store) -> None:
    new = make.exchange(make.conversation())
    note = await store.add_attachment(ANN, "note.txt", "text/plain", NOTE)
    await make.begin(store, replace(new, question=replace(new.question, parts=(note, TextPart("Read it.")))))
    plain = await make.asked(store)
    assert await store.has_attachments(ANN, [plain.conversation.id, new.conversation.id])
    assert not await store.has_attachments(ANN, [plain.conversation.id])
    assert not await store.has_attachments(BEN, [new.conversation.id])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees=st.lists(wholes(), min_size=1, max_size=3))
def test_out_and_in_again_is_the_same(where: Path | str, tmp_path: Path, trees: list[Whole]) -> None:
    """What one database gives is what another one, that took it, gives."""
    Rows(where).clear()
    file = tmp_path / "export.json"
    text = exported(trees)
    file.write_bytes(text.encode())

    async def through() -> str:
        store = await Store.open(where, attachments=tmp_path / "attachments")
        try:
            await store.add_wholes(ANN, lambda: read(file))
            assert set(await store.every_id(ANN)) == {tree.conversation.id for tree in trees}
            return exported([await store.whole(ANN, tree.conversation.id) for tree in trees])
        finally:
            await store.close()

    assert asyncio.run(through()) == text
