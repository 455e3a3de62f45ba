"""The list and its order in both databases: sections, windows, and everything that is done with many and taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from services.arranging import Archive, Arrangement, Delete, Move, Pin, Tag
from services.errors import InputError, NotFoundError
from services.folders import MAX_TAGS, Folder
from services.listing import Listing, Section, View
from services.messages import new_id
from services.storage.store import Store
from tests.storage import make
from tests.storage.make import ANN, BEN, WHEN

SEEN = View(midnight=WHEN)


async def many(store: Store, rows: make.Rows, ages: list[int], **fields: object) -> list[str]:
    """Store conversations that were used so many days before, and return their ids."""
    ids = [new_id() for _ in ages]
    columns = {"owner": ANN, "title": "x", "title_source": "user", **fields}
    rows.execute(
        f"INSERT INTO conversations (id, {', '.join(columns)}, created_at, updated_at) "
        f"VALUES (:id, {', '.join(f':{name}' for name in columns)}, :at, :at)",
        *(
            {"id": id, **columns, "at": f"{WHEN - timedelta(days=age):%Y-%m-%d %H:%M:%S.%f}+00:00"[:-6]}
            for id, age in zip(ids, ages, strict=True)
        ),
    )
    return ids


def told(listing: Listing) -> list[tuple[str, int]]:
    return [(section.name, section.count) for section in listing.sections]


async def test_pinned_then_folders_then_by_last_use(store: Store) -> None:
    folder = Folder(id=new_id(), name="Work")
    await store.add_folder(ANN, folder)
    titles = ("old", "pinned", "filed", "archived", "gone", "new")
    old, pinned, filed, archived, gone, new = [(await make.asked(store, text)).conversation.id for text in titles]
    await store.arrange(ANN, [filed, pinned], Move(folder.id))
    await store.arrange(ANN, [pinned, archived], Pin())
    await store.arrange(ANN, [archived], Archive())
    await store.arrange(ANN, [gone], Delete())
    seen = View(midnight=store._now() - timedelta(hours=1))
    listing = await store.listing(ANN, seen)
    assert listing.sections == (
        Section("pinned", "Pinned", 1),
        Section("folder", folder.id, 1, 0, 1),
        Section("day", "Today", 2),
    )
    assert [c.id for c in listing.conversations] == [pinned, filed, new, old]
    assert (listing.conversations[0].folder_id, listing.folders) == (folder.id, (folder,))
    await store.change_folder(ANN, folder.id, lambda f: replace(f, unfolded=False))
    listing = await store.listing(ANN, seen)
    assert (listing.sections[1], len(listing.conversations)) == (Section("folder", folder.id, 0, 0, 1), 3)
    listing = await store.listing(ANN, replace(seen, archived=True))
    assert (told(listing), [c.id for c in listing.conversations]) == ([("Today", 1)], [archived])
    assert await store.listing(BEN, seen) == Listing((), 0, (), (), ())


async def test_days_begin_at_midnight_where_somebody_is(store: Store, rows: make.Rows) -> None:
    await many(store, rows, [0, 1, 1, 5, 7, 20, 400])
    assert told(await store.listing(ANN, SEEN)) == [
        ("Today", 1),
        ("Yesterday", 2),
        ("Last 7 days", 2),
        ("Last 30 days", 1),
        ("Older", 1),
    ]
    later = View(midnight=WHEN + timedelta(days=1))
    assert told(await store.listing(ANN, later))[0] == ("Yesterday", 1)


async def test_windows_together_are_the_list(store: Store, rows: make.Rows) -> None:
    outer, inner = Folder(id=new_id(), name="b"), Folder(id=new_id(), name="a")
    await store.add_folder(ANN, outer)
    await store.add_folder(ANN, replace(inner, parent_id=outer.id))
    await many(store, rows, list(range(40)))
    await many(store, rows, list(range(5)), folder_id=outer.id)
    await many(store, rows, list(range(23)), folder_id=inner.id)
    await store.arrange(ANN, (await store.every_id(ANN))[3:9], Pin())
    all_of_them = await store.listed_ids(ANN, SEEN, 0, 1000)
    assert len(set(all_of_them)) == 68
    for count in (1, 7, 60):
        found: list[str] = []
        while len(found) < 68:
            window = await store.listing(ANN, replace(SEEN, first=len(found), count=count))
            fresh = [c.id for c in window.conversations]
            assert await store.listed_ids(ANN, SEEN, window.first, count) == fresh
            found += fresh[len(found) - window.first :]
        assert found == all_of_them
    end = await store.listing(ANN, replace(SEEN, first=10**9, count=10))
    assert ([c.id for c in end.conversations], end.first) == (all_of_them[-10:], 58)
    inside = {section.name: section for section in end.sections}
    assert (inside[outer.id].holds, inside[inner.id].depth) == (inside[inner.id].holds + inside[outer.id].count, 1)


ALL: tuple[Arrangement, ...] = (Pin(), Pin(False), Archive(), Archive(False), Move(None), Tag(("b",), ("a",)), Delete())


@pytest.mark.parametrize("arrangement", ALL, ids=repr)
async def test_what_was_done_is_taken_back_exactly(store: Store, rows: make.Rows, arrangement: Arrangement) -> None:
    folder = Folder(id=new_id(), name="Work")
    await store.add_folder(ANN, folder)
    ids = [(await make.asked(store, str(number))).conversation.id for number in range(4)]
    for part, earlier in ((ids[:2], Pin()), (ids[1:3], Archive()), (ids[:3], Move(folder.id)), (ids[2:], Tag(("a",)))):
        await store.arrange(ANN, part, earlier)
    hers = (await make.asked(store, owner=BEN)).conversation
    before = [await store.conversation(ANN, id) for id in ids]
    did = await store.arrange(ANN, [*ids, hers.id, "unknown", *ids], arrangement)
    assert 0 < len(set(did.ids)) <= 4
    assert (await store.arrange(ANN, ids, arrangement)).was == (), "it is so already"
    assert (await store.conversation(BEN, hers.id)).pinned_at is None
    await store.put_back(BEN, did)
    for _ in range(2):
        await store.put_back(ANN, did)
        assert [await store.conversation(ANN, id) for id in ids] == before


async def test_what_somebody_changed_since_is_not_taken_back(store: Store) -> None:
    one, other = [Folder(id=new_id(), name=name) for name in ("One", "Other")]
    for folder in (one, other):
        await store.add_folder(ANN, folder)
    id = (await make.asked(store)).conversation.id
    moved = await store.arrange(ANN, [id], Move(one.id))
    tagged = await store.arrange(ANN, [id], Tag(("first",)))
    await store.arrange(ANN, [id], Move(other.id))
    await store.arrange(ANN, [id], Tag(("second",)))
    for undone in (moved, tagged):
        await store.put_back(ANN, undone)
    now = await store.conversation(ANN, id)
    assert (now.folder_id, now.tags) == (other.id, ("second",))


async def test_five_thousand_at_once(store: Store, rows: make.Rows) -> None:
    ids = await many(store, rows, [number % 50 for number in range(5_000)])
    await store.arrange(ANN, ids[:2_500], Tag(("half",)))
    for arrangement in (Archive(), Tag(("whole",)), Delete()):
        before = await store.listing(ANN, SEEN)
        did = await store.arrange(ANN, ids, arrangement)
        assert len(did.was) == 5_000
        await store.put_back(ANN, did)
        assert await store.listing(ANN, SEEN) == before


async def test_tags_are_words_that_can_be_listed(store: Store) -> None:
    ids = [(await make.asked(store, str(number))).conversation.id for number in range(3)]
    await store.arrange(ANN, ids[:2], Tag(("Two Words", "50%", "a_b", "#x", " ")))
    assert (await store.conversation(ANN, ids[0])).tags == ("50", "a_b", "two-words", "x")
    await store.arrange(ANN, ids[1:], Tag(("axb",)))
    tagged = await store.listing(ANN, replace(SEEN, tag="a_b"))
    assert {c.id for c in tagged.conversations} == {*ids[:2]}
    assert tagged.tags == ("50", "a_b", "axb", "two-words", "x")
    assert (await store.listing(ANN, replace(SEEN, tag="%"))).conversations == ()
    with pytest.raises(InputError, match="at most 20 tags"):
        await store.arrange(ANN, ids, Tag(tuple(f"t{number}" for number in range(MAX_TAGS))))
    assert (await store.conversation(ANN, ids[2])).tags == ("axb",), "all or none"


async def test_moving_where_there_is_no_folder_changes_nothing(store: Store) -> None:
    here = (await make.asked(store)).conversation.id
    with pytest.raises(NotFoundError, match="folder is not there"):
        await store.arrange(ANN, [here], Move("none"))
    folder = Folder(id=new_id(), name="Work")
    await store.add_folder(ANN, folder)
    await store.arrange(ANN, [here], Move(folder.id))
    did = await store.arrange(ANN, [here], Move(None))
    await store.remove_folder(ANN, folder.id)
    await store.put_back(ANN, did)
    assert (await store.conversation(ANN, here)).folder_id is None, "where it was is gone"


async def test_what_is_used_again_comes_out_of_the_archive(store: Store) -> None:
    new = await make.asked(store)
    await make.finish(store, new.run_id)
    await store.arrange(ANN, [new.conversation.id], Archive())
    await make.begin(store, make.exchange(new.conversation, "And then?", after=new.answer.id))
    assert (await store.conversation(ANN, new.conversation.id)).archived_at is None
