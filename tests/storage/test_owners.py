"""No user ever sees, or changes, another user's data."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from services.conversation import Pruned, Queued
from services.errors import NotFoundError
from services.messages import Processed, new_id
from services.options import Options
from services.storage.store import Store
from tests.storage import make
from tests.storage.make import ANN, BEN

Call = Callable[[Store, str, make.Exchange], Awaitable[object]]

WAITS = Queued(id=new_id(), text="And then?", created_at=make.WHEN)

DATA = b"What is Ann's"
SHA256 = hashlib.sha256(DATA).hexdigest()

CALLS: dict[str, Call] = {
    "conversation": lambda s, who, x: s.conversation(who, x.conversation.id),
    "rename": lambda s, who, x: s.rename(who, x.conversation.id, "Mine", "user"),
    "set_options": lambda s, who, x: s.set_options(who, x.conversation.id, Options(model="mine")),
    "delete": lambda s, who, x: s.delete(who, x.conversation.id),
    "restore": lambda s, who, x: s.restore(who, x.conversation.id),
    "path": lambda s, who, x: s.path(who, x.conversation.id),
    "message": lambda s, who, x: s.message(who, x.conversation.id, x.answer.id),
    "snapshot": lambda s, who, x: s.snapshot(who, x.conversation.id),
    "versions": lambda s, who, x: s.versions(who, x.conversation.id, [x.answer.id]),
    "add_answer": lambda s, who, x: s.add_answer(
        who, replace(make.answer_to(x.question), status="complete", run_id=None)
    ),
    "fork": lambda s, who, x: s.fork(who, make.conversation("Mine"), x.conversation.id, x.answer.id),
    "set_processed": lambda s, who, x: s.set_processed(
        who, x.conversation.id, x.answer.id, lambda _: Processed(("x",), ("trim",))
    ),
    "remember": lambda s, who, x: s.remember(who, x.conversation.id, x.question.id, None),
    "outline": lambda s, who, x: s.outline(who, x.conversation.id),
    "branches": lambda s, who, x: s.branches(who, x.conversation.id, x.answer.id, x.question.id),
    "prune": lambda s, who, x: s.prune(who, x.conversation.id, x.answer.id),
    "unprune": lambda s, who, x: s.unprune(who, Pruned(x.conversation.id, x.answer.id, 1)),
    "removed": lambda s, who, x: s.removed(who, x.conversation.id),
    "pick": lambda s, who, x: s.pick(who, x.conversation.id, x.question.id),
    "newest_leaf": lambda s, who, x: s.newest_leaf(who, x.conversation.id, x.question.id),
    "set_head": lambda s, who, x: s.set_head(who, x.conversation.id, x.question.id),
    "choose": lambda s, who, x: s.choose(who, x.conversation.id, x.answer.id),
    "begin_run": lambda s, who, x: make.begin(s, make.exchange(x.conversation, after=x.answer.id), who),
    "resume_run": lambda s, who, x: s.resume_run(who, x.conversation.id, x.answer.id, new_id()),
    "whole": lambda s, who, x: s.whole(who, x.conversation.id),
    "queue": lambda s, who, x: s.queue(who, x.conversation.id),
    "enqueue": lambda s, who, x: s.enqueue(who, x.conversation.id, Queued(id=new_id(), text="x", created_at=make.WHEN)),
    "unqueue": lambda s, who, x: s.unqueue(who, x.conversation.id, WAITS.id),
    "attachments": lambda s, who, x: s.attachments(who, [(SHA256, "a.txt")]),
    "attachment": lambda s, who, x: s.attachment(who, SHA256),
    "attachment_bytes": lambda s, who, x: s.attachment_bytes(who, SHA256),
    "events": lambda s, who, x: s.events(who, x.run_id),
    "run": lambda s, who, x: s.run(who, x.run_id),
    "written": lambda s, who, x: s.written(who, x.conversation.id, x.answer.id),
}

ABOUT_MANY = {"every_id", "has_attachments", "known", "grown", "add_wholes", "delete_all", "every_attachment"}
"""They leave out what is somebody else's; `test_whole.py` tries them."""

ORDER = {
    *("listing", "listed_ids", "arrange", "put_back"),
    *("folders", "add_folder", "change_folder", "remove_folder", "bring_folder_back", "defaults"),
}
"""`test_order.py` and `test_folders.py` try them."""


def test_every_method_with_an_owner_is_tried() -> None:
    methods = {
        name
        for name, method in inspect.getmembers(Store, inspect.isfunction)
        if not name.startswith("_") and "owner" in inspect.signature(method).parameters
    }
    others = {"conversations", "search", "add_attachment", "begun", "trash", "erase"}  # see test_trash.py
    assert methods == {*CALLS, *others, *ABOUT_MANY, *ORDER}


@pytest.mark.parametrize("name", CALLS)
async def test_only_the_owner_gets_in(store: Store, rows: make.Rows, name: str) -> None:
    new = await make.asked(store)
    if name in {"resume_run", "prune", "pick"}:
        await make.stop(store, new.run_id, "Beca")
    if name == "set_processed":
        await make.finish(store, new.run_id)
    if name.startswith("attachment"):
        await store.add_attachment(ANN, "a.txt", "text/plain", DATA)
    if name == "unqueue":
        await store.enqueue(ANN, new.conversation.id, WAITS)
    before = (
        rows.count(),
        await store.conversations(ANN),
        await store.path(ANN, new.conversation.id),
    )
    for stranger in (BEN, "", "ANN", "ann ", "ann\x00", "an_", "%", "\ud800"):
        with pytest.raises(NotFoundError):
            await CALLS[name](store, stranger, new)
    after = (
        rows.count(),
        await store.conversations(ANN),
        await store.path(ANN, new.conversation.id),
    )
    assert after == before
    await CALLS[name](store, ANN, new)


@pytest.mark.parametrize("name", sorted(CALLS.keys() - {"begin_run"}))  # which makes what does not exist
async def test_a_strangers_refusal_does_not_tell_that_something_is_there(store: Store, name: str) -> None:
    new, absent = await make.asked(store), make.exchange(make.conversation())
    with pytest.raises(NotFoundError) as theirs:
        await CALLS[name](store, BEN, new)
    with pytest.raises(NotFoundError) as nobodys:
        await CALLS[name](store, BEN, absent)
    assert str(theirs.value) == str(nobodys.value)
