from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from services.conversation import Versions
from services.errors import Failure, NotFoundError
from services.events import ReasoningDelta, RunFinished, TextDelta, ToolCallRequested
from services.messages import ErrorPart, ReasoningPart, TextPart, ToolCallPart
from services.storage.store import Store
from tests.storage import make
from tests.storage.make import ANN


async def _texts(store: Store, conversation_id: str, head_id: str | None = None) -> list[str]:
    return [message.text for message in await store.path(ANN, conversation_id, head_id)]


async def test_the_path_leads_from_the_root_to_the_head(store: Store) -> None:
    first = await make.asked(store, "one")
    await make.finish(store, first.run_id, "eins")
    second = make.exchange(first.conversation, "two", after=first.answer.id)
    await make.begin(store, second)
    await make.finish(store, second.run_id, "zwei")
    id = first.conversation.id
    assert await _texts(store, id) == ["one", "eins", "two", "zwei"]
    assert await _texts(store, id, first.answer.id) == ["one", "eins"]
    assert await _texts(store, id, first.question.id) == ["one"]
    assert (await store.path(ANN, id))[2] == second.question


async def test_every_kind_of_part_comes_back_in_order(store: Store) -> None:
    new = await make.asked(store)
    failure = Failure(kind="server", message="It broke.", status_code=500)
    reply = make.folded(
        ReasoningDelta("hm"),
        TextDelta("a"),
        ToolCallRequested("1", "clock", '{"zone": "U'),
        TextDelta("b"),
        RunFinished("failed", failure),
    )
    await store.finish_run(new.run_id, reply=reply, first_token_s=None, total_s=1.0)
    answer = (await store.path(ANN, new.conversation.id))[-1]
    assert answer.parts == (
        ReasoningPart("hm"),
        TextPart("a"),
        ToolCallPart("1", "clock", '{"zone": "U'),
        TextPart("b"),
        ErrorPart(failure),
    )
    assert (answer.status, answer.run_id, answer.parent_id) == ("failed", new.run_id, new.question.id)


async def test_a_path_of_thousands_of_messages(store: Store, rows: make.Rows) -> None:
    new = await make.asked(store)
    ids = [new.answer.id, *(f"m{n}" for n in range(3000))]
    rows.execute(
        "INSERT INTO messages (id, conversation_id, parent_id, seq, role, status, created_at) "
        "VALUES (:id, :conversation_id, :parent_id, :seq, 'user', 'complete', '2026-01-01 00:00:00')",
        *(
            {"id": id, "conversation_id": new.conversation.id, "parent_id": parent, "seq": seq}
            for seq, (parent, id) in enumerate(pairwise(ids), start=3)
        ),
    )
    parent = ids[-1]
    assert len(await store.path(ANN, new.conversation.id, parent)) == 3002
    assert await store.newest_leaf(ANN, new.conversation.id, new.question.id) == parent
    assert len(await store.versions(ANN, new.conversation.id, [f"m{n}" for n in range(3000)])) == 3000


async def test_links_that_run_in_a_circle_do_not_hang(store: Store, rows: make.Rows) -> None:
    new = await make.asked(store)
    ids = {"answer": new.answer.id, "question": new.question.id}
    rows.execute("UPDATE messages SET parent_id = :answer WHERE id = :question", ids)
    assert len(await store.path(ANN, new.conversation.id)) == 2
    assert await store.newest_leaf(ANN, new.conversation.id, new.question.id)


async def test_versions_are_the_siblings_in_the_order_they_came(store: Store) -> None:
    first = await make.asked(store)
    second = await make.again(store, first)
    edited = make.exchange(first.conversation, "Why does it snow?")
    await make.begin(store, edited)
    third = await make.again(store, first)
    answers = (first.answer.id, second.answer.id, third.answer.id)
    asked = [first.question.id, first.answer.id, third.answer.id, edited.question.id, "unknown"]
    assert await store.versions(ANN, first.conversation.id, asked) == {
        first.question.id: Versions(0, (first.question.id, edited.question.id)),
        edited.question.id: Versions(1, (first.question.id, edited.question.id)),
        first.answer.id: Versions(0, answers),
        third.answer.id: Versions(2, answers),
    }
    assert await store.versions(ANN, first.conversation.id, []) == {}


async def test_versions_of_roots_stay_in_their_conversation(store: Store) -> None:
    first, _ = await make.asked(store), await make.asked(store)
    found = await store.versions(ANN, first.conversation.id, [first.question.id])
    assert found == {first.question.id: Versions(0, (first.question.id,))}


async def test_the_newest_leaf_follows_the_newest_children(store: Store) -> None:
    first = await make.asked(store)
    second = await make.again(store, first)
    follow = make.exchange(first.conversation, after=first.answer.id)
    await make.begin(store, follow)
    id = first.conversation.id
    assert await store.newest_leaf(ANN, id, first.question.id) == second.answer.id
    assert await store.newest_leaf(ANN, id, first.answer.id) == follow.answer.id
    assert await store.newest_leaf(ANN, id, follow.answer.id) == follow.answer.id


async def test_the_head_can_be_moved_within_the_conversation_only(store: Store) -> None:
    first, other = await make.asked(store), await make.asked(store)
    await make.again(store, first)
    id = first.conversation.id
    await store.set_head(ANN, id, first.answer.id)
    assert (await store.conversation(ANN, id)).head_id == first.answer.id
    assert (await store.path(ANN, id))[-1].id == first.answer.id
    for foreign in (other.answer.id, "unknown", "\ud800", "a\x00b"):
        with pytest.raises(NotFoundError):
            await store.set_head(ANN, id, foreign)
        with pytest.raises(NotFoundError):
            await store.path(ANN, id, foreign)
        with pytest.raises(NotFoundError):
            await store.newest_leaf(ANN, id, foreign)
    assert (await store.conversation(ANN, id)).head_id == first.answer.id


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM conversations WHERE owner = 'a' AND deleted_at IS NULL "
        "AND (updated_at, id) < ('2026', 'x') ORDER BY updated_at DESC, id DESC LIMIT 100",
        "SELECT max(updated_at) FROM conversations WHERE owner = 'a' AND deleted_at IS NULL",
        "SELECT id FROM messages WHERE conversation_id = 'c' AND parent_id = 'p' ORDER BY seq DESC LIMIT 1",
        "SELECT id FROM messages WHERE conversation_id = 'c' AND parent_id IS NULL",
        "SELECT id FROM messages WHERE conversation_id = 'c' AND parent_id IS 'p'",
        "SELECT max(seq) FROM messages WHERE conversation_id = 'c'",
        "SELECT id FROM runs WHERE status = 'streaming'",
    ],
)
def test_queries_use_an_index_and_sort_nothing(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        plan = " ".join(str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}"))
    assert "INDEX" in plan
    assert "SCAN" not in plan
    assert "TEMP B-TREE" not in plan
