"""The shape of a conversation's tree: its outline, what leaves it and comes back, copies; and that it stays a tree."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.conversation import (
    BEGINNING,
    TRASH,
    Conversation,
    Node,
    Pruned,
    Versions,
    below,
    newest_leaf,
    path_to,
    siblings,
)
from services.errors import InputError, NotFoundError
from services.messages import Message, TextPart
from services.search import parse
from services.storage.store import Store
from services.usage import Usage
from tests.storage import make
from tests.storage.make import ANN, Rows


async def _said(store: Store, text: str, answer: str, after: make.Exchange | None = None) -> make.Exchange:
    """Store a question and its finished answer, by default in a conversation of their own."""
    where = after.conversation if after else make.conversation()
    new = make.exchange(where, text, after.answer.id if after else None)
    await make.begin(store, new)
    await make.finish(store, new.run_id, answer)
    return new


async def _path(store: Store, conversation: Conversation) -> list[str]:
    return [message.text for message in await store.path(ANN, conversation.id)]


@pytest.fixture
async def forked(store: Store) -> tuple[make.Exchange, make.Exchange, make.Exchange]:
    """Rain, and after it two questions beside one another; the second is on show."""
    rain = await _said(store, "Rain?", "Clouds.")
    snow = await _said(store, "Snow?", "Colder clouds.", rain)
    hail = await _said(store, "Hail?", "Rising air.", rain)
    return rain, snow, hail


Forked = tuple[make.Exchange, make.Exchange, make.Exchange]


async def test_an_outline_has_every_message_and_how_it_begins(store: Store) -> None:
    note = await store.add_attachment(ANN, 'no\tte "1".txt', "text/plain", b"Rain")
    silent = make.exchange(make.conversation())
    await make.begin(store, replace(silent, question=replace(silent.question, parts=(note,))))
    long = '\\ "quoted"\n\n\U0001f327 and\u2028' + "rain " * 400
    await make.finish(store, silent.run_id, long)
    told = replace(make.answer_to(silent.question), status="complete", parts=(note, TextPart("")), run_id=None)
    await store.add_answer(ANN, told)
    outline = await store.outline(ANN, silent.conversation.id)
    asked, answered, empty = outline.nodes
    assert outline.conversation == await store.conversation(ANN, silent.conversation.id)
    assert (asked.parent_id, answered.parent_id) == (None, asked.id)
    assert asked.beginning == 'no te "1".txt'
    assert answered.beginning == " ".join(long.split())[: BEGINNING - 1] + "…"
    assert (answered.role, answered.status, answered.model, answered.endpoint) == (
        "assistant",
        "complete",
        "tiny",
        "local",
    )
    assert empty.beginning == ""


@given(st.text(max_size=600))
@settings(max_examples=300)
def test_however_a_text_is_cut_its_beginning_can_be_read(text: str) -> None:
    from services.storage.codec import beginning_from_json, part_from_json, part_to_json
    from services.storage.tree import CUT

    whole = part_to_json(TextPart(text))
    stored = part_from_json("text", whole)
    assert isinstance(stored, TextPart)
    for size in {CUT, 9, 10, 11, 12, len(whole) - 1, len(whole)}:
        found = beginning_from_json(whole[:size])
        assert stored.text.startswith(found)
        assert size < len(whole) - 2 or found == stored.text
    assert len(found) >= min(len(stored.text), 60)


async def test_an_outline_of_thousands_of_messages(store: Store, rows: Rows) -> None:
    new = await _said(store, "one", "eins")
    ids = [new.answer.id, *(f"m{n}" for n in range(3000))]
    rows.execute(
        "INSERT INTO messages (id, conversation_id, parent_id, seq, role, status, created_at) "
        "VALUES (:id, :conversation_id, :parent_id, :seq, 'user', 'complete', '2026-01-01 00:00:00')",
        *(
            {"id": id, "conversation_id": new.conversation.id, "parent_id": parent, "seq": seq}
            for seq, (parent, id) in enumerate(pairwise(ids), start=3)
        ),
    )
    assert [node.id for node in (await store.outline(ANN, new.conversation.id)).nodes][2:] == ids[1:]
    assert (await store.prune(ANN, new.conversation.id, "m0")).count == 3000
    assert len((await store.outline(ANN, new.conversation.id)).nodes) == 2


async def test_what_is_pruned_is_gone_everywhere_and_comes_back_as_it_was(store: Store, forked: Forked) -> None:
    rain, snow, hail = forked
    id = rain.conversation.id
    await store.path(ANN, id)  # as a page has it in memory
    before = await store.whole(ANN, id)
    gone = await store.prune(ANN, id, hail.question.id)
    assert (gone.count, gone.head_id, gone.moved_to) == (2, hail.answer.id, snow.answer.id)
    assert await _path(store, rain.conversation) == ["Rain?", "Clouds.", "Snow?", "Colder clouds."]
    assert [node.id for node in (await store.outline(ANN, id)).nodes] == [m.id for m in before.messages[:4]]
    assert len((await store.whole(ANN, id)).messages) == 4
    assert (await store.snapshot(ANN, id)).versions == {}
    assert await store.versions(ANN, id, [snow.question.id, hail.question.id]) == {
        snow.question.id: Versions(0, (snow.question.id,))
    }
    assert await store.search(ANN, parse("rising")) == []
    for lost in (hail.question.id, hail.answer.id):
        with pytest.raises(NotFoundError):
            await store.path(ANN, id, lost)
        with pytest.raises(NotFoundError):
            await store.message(ANN, id, lost)
        with pytest.raises(NotFoundError):
            await store.set_head(ANN, id, lost)
        with pytest.raises(NotFoundError):
            await store.newest_leaf(ANN, id, lost)
        with pytest.raises(NotFoundError):
            await store.branches(ANN, id, snow.answer.id, lost)
        with pytest.raises(NotFoundError):
            await store.pick(ANN, id, lost)
        with pytest.raises(NotFoundError):
            await make.begin(store, make.exchange(rain.conversation, after=lost))
    assert await store.prune(ANN, id, hail.question.id) == Pruned(id, hail.question.id, 0)
    await store.unprune(ANN, gone)
    await store.unprune(ANN, gone)
    assert replace((await store.whole(ANN, id)), conversation=before.conversation) == before
    assert await _path(store, rain.conversation) == ["Rain?", "Clouds.", "Hail?", "Rising air."]
    assert [hit.message_id for hit in await store.search(ANN, parse("rising"))] == [hail.answer.id]


async def test_a_branch_that_is_not_on_show_goes_without_moving_the_head(store: Store, forked: Forked) -> None:
    rain, snow, _ = forked
    gone = await store.prune(ANN, rain.conversation.id, snow.question.id)
    assert (gone.count, gone.moved_to) == (2, None)
    assert [(one.node.id, one.count) for one in await store.removed(ANN, rain.conversation.id)] == [
        (snow.question.id, 2)
    ]
    assert await _path(store, rain.conversation) == ["Rain?", "Clouds.", "Hail?", "Rising air."]
    await store.unprune(ANN, gone)
    assert await _path(store, rain.conversation) == ["Rain?", "Clouds.", "Hail?", "Rising air."]


async def test_what_was_shown_meanwhile_stays_on_show(store: Store, forked: Forked) -> None:
    rain, _, hail = forked
    gone = await store.prune(ANN, rain.conversation.id, hail.question.id)
    sun = await _said(store, "Sun?", "No clouds.", rain)
    await store.unprune(ANN, gone)
    assert (await store.conversation(ANN, rain.conversation.id)).head_id == sun.answer.id


async def test_one_after_the_other_comes_back_in_the_other_order(store: Store, forked: Forked) -> None:
    rain, _, hail = forked
    id = rain.conversation.id
    inner = await store.prune(ANN, id, hail.answer.id)
    assert await _path(store, rain.conversation) == ["Rain?", "Clouds.", "Hail?"]
    outer = await store.prune(ANN, id, hail.question.id)
    with pytest.raises(InputError, match="Bring that back first"):
        await store.unprune(ANN, inner)
    [one] = await store.removed(ANN, id)
    assert (one.node.id, one.count, one.until - one.at) == (hail.question.id, 1, TRASH)
    await store.unprune(ANN, outer)
    [one] = await store.removed(ANN, id)
    assert (one.node.id, one.node.beginning) == (hail.answer.id, "Rising air.")
    assert await _path(store, rain.conversation) == ["Rain?", "Clouds.", "Hail?"]
    await store.unprune(ANN, inner)
    assert await _path(store, rain.conversation) == ["Rain?", "Clouds.", "Hail?", "Rising air."]


async def test_nothing_goes_while_an_answer_below_is_written_nor_all_of_it(store: Store, forked: Forked) -> None:
    rain, snow, _ = forked
    id = rain.conversation.id
    again = await make.again(store, snow)
    with pytest.raises(InputError, match="still being written"):
        await store.prune(ANN, id, snow.question.id)
    await make.finish(store, again.run_id)
    with pytest.raises(InputError, match="Delete the conversation instead"):
        await store.prune(ANN, id, rain.question.id)
    assert len((await store.outline(ANN, id)).nodes) == 7


async def test_an_answer_that_was_cut_off_can_be_continued_when_nothing_follows_it_any_more(store: Store) -> None:
    cut = await make.asked(store)
    await make.stop(store, cut.run_id, "Beca")
    after = await _said(store, "Why?", "So.", cut)
    with pytest.raises(InputError):
        await store.resume_run(ANN, cut.conversation.id, cut.answer.id, "r1")
    await store.prune(ANN, cut.conversation.id, after.question.id)
    assert (await store.resume_run(ANN, cut.conversation.id, cut.answer.id, "r2")).fresh


async def test_what_was_pruned_is_erased_like_the_trash(store: Store, rows: Rows, forked: Forked) -> None:
    rain, _, hail = forked
    before = rows.count()
    began, passed = store._now(), [timedelta(0)]
    store._now = lambda: began + passed[0]
    last = hail
    for number in range(600):  # more than go at once
        last = make.exchange(rain.conversation, str(number), last.answer.id)
        await make.begin(store, last)
        await make.finish(store, last.run_id)
        if number == 0:
            first = last
    await store.prune(ANN, rain.conversation.id, last.answer.id)
    await store.prune(ANN, rain.conversation.id, first.question.id)
    passed[0] = TRASH - timedelta(seconds=1)
    await store.prune(ANN, rain.conversation.id, hail.answer.id)
    await store.empty_trash()
    assert rows.count()["messages"] == before["messages"] + 1200
    passed[0] = TRASH + timedelta(seconds=1)
    await store.empty_trash()
    assert rows.count() == before
    passed[0] += TRASH
    await store.empty_trash()
    assert rows.count()["messages"] == before["messages"] - 1
    assert rows.count()["runs"] == before["runs"] - 1
    with pytest.raises(NotFoundError):
        await store.unprune(ANN, Pruned(rain.conversation.id, hail.answer.id, 1))


async def test_erasing_takes_the_files_along_that_nothing_else_names(store: Store, tmp_path: Path) -> None:
    began, passed = store._now(), [timedelta(0)]
    store._now = lambda: began + passed[0]
    rain = await _said(store, "Rain?", "Clouds.")
    alone, twice = [await store.add_attachment(ANN, "a.txt", "text/plain", word) for word in (b"1", b"2")]
    for parts in ((alone, twice), (twice,)):
        new = make.exchange(rain.conversation, after=rain.answer.id)
        await make.begin(store, replace(new, question=replace(new.question, parts=parts)))
        await make.finish(store, new.run_id)
        if parts[0] is alone:
            await store.prune(ANN, rain.conversation.id, new.question.id)
    assert await store.attachment_bytes(ANN, alone.sha256) == b"1", "it may come back"
    passed[0] = TRASH + timedelta(seconds=1)
    await store.empty_trash()
    assert await store.attachment_bytes(ANN, twice.sha256) == b"2"
    with pytest.raises(NotFoundError):
        await store.attachment_bytes(ANN, alone.sha256)


async def test_branches_begin_where_they_part(store: Store, forked: Forked) -> None:
    rain, snow, hail = forked
    id = rain.conversation.id
    more = await _said(store, "Why?", "Physics.", snow)
    found = await store.branches(ANN, id, more.answer.id, hail.answer.id)
    assert found.common_id == rain.answer.id
    texts = [tuple(m and m.text for m in pair) for pair in found.pairs]
    assert texts == [("Snow?", "Hail?"), ("Colder clouds.", "Rising air."), ("Why?", None), ("Physics.", None)]
    cut = await store.branches(ANN, id, more.answer.id, hail.answer.id, most=1)
    assert (len(cut.pairs), cut.left_out) == (1, 3)
    assert (await store.branches(ANN, id, hail.answer.id, hail.answer.id)).pairs == ()
    along = await store.branches(ANN, id, rain.question.id, hail.question.id)
    assert (along.common_id, [m and m.text for _, m in along.pairs]) == (rain.question.id, ["Clouds.", "Hail?"])
    await store.prune(ANN, id, more.question.id)
    edited = make.exchange(rain.conversation, "Wind?")
    await make.begin(store, edited)
    assert (await store.branches(ANN, id, edited.answer.id, hail.answer.id)).common_id is None


async def test_a_copy_has_all_of_its_original_and_says_where_it_came_from(store: Store, forked: Forked) -> None:
    rain, snow, _ = forked
    id = rain.conversation.id
    for original in (snow.question.id, snow.answer.id):
        old = await store.message(ANN, id, original)
        end = (await store.path(ANN, id))[-1]
        copy = await store.pick(ANN, id, original)
        assert await store.pick(ANN, id, original) == copy, "a double click"
        new = (await store.path(ANN, id))[-1]
        assert new == replace(old, id=copy, parent_id=end.id, picked_from=original)
    assert (await store.path(ANN, id))[-1].model == "tiny"
    assert await _path(store, rain.conversation) == [
        "Rain?",
        "Clouds.",
        "Hail?",
        "Rising air.",
        "Snow?",
        "Colder clouds.",
    ]
    assert (await store.outline(ANN, id)).nodes[-1].picked_from == snow.answer.id
    await store.set_head(ANN, id, snow.answer.id)
    with pytest.raises(InputError, match="ends with an answer"):
        await store.pick(ANN, id, snow.answer.id)
    await store.set_head(ANN, id, snow.question.id)
    with pytest.raises(InputError, match="ends with a question"):
        await store.pick(ANN, id, rain.question.id)
    again = await make.again(store, snow)
    with pytest.raises(InputError, match="still being written"):
        await store.pick(ANN, id, rain.question.id)
    await make.finish(store, again.run_id)


async def test_a_copy_brings_its_files_and_its_usage(store: Store, rows: Rows) -> None:
    note = await store.add_attachment(ANN, "note.txt", "text/plain", b"Rain")
    new = make.exchange(make.conversation())
    await make.begin(store, replace(new, question=replace(new.question, parts=(note, TextPart("Read it.")))))
    await make.finish(store, new.run_id)
    rows.execute(
        f"UPDATE messages SET input = 5, cached_input = 0, output = 7, reasoning = 0 WHERE id = '{new.answer.id}'"
    )
    await store.pick(ANN, new.conversation.id, new.question.id)
    await store.pick(ANN, new.conversation.id, new.answer.id)
    asked, answered = (await store.path(ANN, new.conversation.id))[-2:]
    assert asked.attachments == (note,)
    assert answered.usage == Usage(input=5, output=7)


# Whatever happens to a tree

WHICH = st.integers(0, 30)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "edit", "again", "write", "pick", "pick", "prune", "prune", "undo", "show"]), WHICH
    ),
    min_size=3,
    max_size=25,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_is_done_to_a_tree_it_stays_one(
    where: Path | str, tmp_path: Path, steps: list[tuple[str, int]]
) -> None:
    Rows(where).clear()

    async def live() -> None:
        store = await Store.open(where, attachments=tmp_path / "attachments")
        try:
            await _lived(store, steps)
        finally:
            await store.close()

    asyncio.run(live())


async def _lived(store: Store, steps: list[tuple[str, int]]) -> None:
    here = await _said(store, "0", "null")
    id = here.conversation.id
    alive, gone = {here.question.id, here.answer.id}, dict[Pruned, set[str]]()
    for number, (step, which) in enumerate(steps, start=1):
        nodes = (await store.outline(ANN, id)).nodes
        one = nodes[which % len(nodes)]
        parents = {node.id: node.parent_id for node in nodes}
        try:
            match step:
                case "ask" | "edit":
                    end = (await store.conversation(ANN, id)).head_id if step == "ask" else one.parent_id
                    if step == "ask" or one.role == "user":
                        new = make.exchange(here.conversation, str(number), end)
                        await make.begin(store, new)
                        await make.finish(store, new.run_id, str(number))
                        alive |= {new.question.id, new.answer.id}
                case "again" if one.role == "user":
                    question = await store.message(ANN, id, one.id)
                    again = await make.again(store, make.Exchange(here.conversation, question, question))
                    await make.finish(store, again.run_id, str(number))
                    alive.add(again.answer.id)
                case "write" if one.role == "assistant":
                    old = await store.message(ANN, id, one.id)
                    alive.add(await store.add_answer(ANN, _by_hand(old, number)))
                case "pick":
                    alive.add(await store.pick(ANN, id, one.id))
                case "prune":
                    pruned = await store.prune(ANN, id, one.id)
                    gone[pruned] = set(below(parents, one.id))
                    assert pruned.count == len(gone[pruned])
                    alive -= gone[pruned]
                case "undo" if gone:
                    pruned = list(gone)[which % len(gone)]
                    await store.unprune(ANN, pruned)
                    alive |= gone.pop(pruned)
                case "show":
                    leaf = await store.newest_leaf(ANN, id, one.id)
                    assert leaf == newest_leaf(parents, one.id)
                    await store.set_head(ANN, id, leaf)
        except InputError:
            pass  # refused: nothing may have happened
        await _check(store, id, alive)


def _by_hand(old: Message, number: int) -> Message:
    return replace(old, id=f"hand{number}", parts=(TextPart(str(number)),), run_id=None, endpoint=None, model=None)


async def _check(store: Store, id: str, alive: set[str]) -> None:
    outline = await store.outline(ANN, id)
    nodes: dict[str, Node] = {node.id: node for node in outline.nodes}
    parents = {node.id: node.parent_id for node in outline.nodes}
    assert nodes.keys() == alive, "every message that was stored and not pruned, and no other"
    assert outline.conversation.head_id in alive
    seen = set[str]()
    for node in outline.nodes:
        assert node.parent_id is None or node.parent_id in seen, "a parent is there, and older: so there is no circle"
        seen.add(node.id)
        root = path_to(parents, node.id)[0]
        assert (nodes[root].role, parents[root]) == ("user", None), "every message is reached from the beginning"
    whole = await store.whole(ANN, id)
    shown = await store.path(ANN, id)
    assert [message.id for message in shown] == list(path_to(parents, outline.conversation.head_id))
    assert [message.id for message in whole.path] == [message.id for message in shown]
    assert await store.versions(ANN, id, alive) == {one: siblings(parents, one) for one in alive}
