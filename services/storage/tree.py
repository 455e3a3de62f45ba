"""SQL on a conversation's tree of messages. Siblings and children are ordered by `seq`, never by clock or id."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import zip_longest
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, ScalarSelect, Select, func, insert, select, update

from services.conversation import Branches, Conversation, Outline, Versions, check_follows, fork_point
from services.errors import InputError, NotFoundError
from services.messages import TRANSITIONS, Memory, Message, Part, Processed, new_id
from services.storage import codec, conversations, rows, searching
from services.storage.paths import Paths
from services.storage.schema import messages, parts

KEPT = messages.c.pruned_at.is_(None)
"""True of the messages that are in the tree; with one that left it, everything below it did."""

CUT = 400
"""Characters of a stored part that an outline reads: with its escapes more than it shows."""


def path(
    connection: Connection, owner: str, conversation_id: str, head_id: str | None, paths: Paths
) -> tuple[Message, ...]:
    """Return the messages from the root to `head_id`, by default the conversation's own head."""
    conversation = conversations.one(connection, owner, conversation_id)
    return path_to(connection, conversation_id, head_id or conversation.head_id, paths)


def path_to(connection: Connection, conversation_id: str, head_id: str | None, paths: Paths) -> tuple[Message, ...]:
    """Return the messages from the root to `head_id` in a conversation that was looked up; none for None."""
    if head_id is None:
        return ()
    turn = paths.turn
    known = paths.known(conversation_id)
    found, seqs = _read_path(connection, conversation_id, head_id, known.seq if known else 0)
    if known is not None and found and found[0].parent_id == known.messages[-1].id:
        found = (*known.messages, *found)
    elif known is not None:  # another branch, or a place further up
        found, seqs = _read_path(connection, conversation_id, head_id, 0)
    if not found:
        raise not_found()
    paths.keep(found, seqs, turn)
    return found


def _read_path(
    connection: Connection, conversation_id: str, head_id: str, above: int
) -> tuple[tuple[Message, ...], list[int]]:
    """Return the messages to `head_id` whose place in the conversation is above a place, and their places."""
    steps = _upwards(conversation_id, head_id, above)
    found = connection.execute(select(messages).join(steps, messages.c.id == steps.c.id).order_by(messages.c.seq)).all()
    held: dict[str, list[Part]] = {}
    # By the same walk and not by a list of ids: a statement takes only so many parameters.
    for row in connection.execute(
        select(parts).join(steps, parts.c.message_id == steps.c.id).order_by(parts.c.message_id, parts.c.position)
    ):
        held.setdefault(row.message_id, []).append(rows.to_part(row))
    return tuple(rows.to_message(row, tuple(held.get(row.id, ()))) for row in found), [row.seq for row in found]


def versions(
    connection: Connection, owner: str, conversation_id: str, message_ids: Collection[str]
) -> dict[str, Versions]:
    """Return each message's place among its siblings. Ids that are not in the conversation are left out."""
    conversations.one(connection, owner, conversation_id)
    sibling = messages.alias("sibling")
    found = connection.execute(
        select(messages.c.id, sibling.c.id.label("sibling_id"))
        .join(
            sibling,
            (sibling.c.conversation_id == messages.c.conversation_id)
            & sibling.c.parent_id.is_not_distinct_from(messages.c.parent_id),
        )
        .where(messages.c.conversation_id == conversation_id, messages.c.id.in_(message_ids))
        .where(KEPT, sibling.c.pruned_at.is_(None))
        .order_by(messages.c.seq, sibling.c.seq)
    )
    siblings: dict[str, list[str]] = {}
    for row in found:
        siblings.setdefault(row.id, []).append(row.sibling_id)
    return {id: Versions(ids.index(id), tuple(ids)) for id, ids in siblings.items()}


def one(connection: Connection, owner: str, conversation_id: str, message_id: str) -> Message:
    """Return one message of a conversation, on whichever branch."""
    conversations.one(connection, owner, conversation_id)
    require(connection, conversation_id, message_id)
    row = connection.execute(select(messages).where(messages.c.id == message_id)).one()
    return rows.to_message(row, parts_of(connection, message_id))


def outline(connection: Connection, owner: str, conversation_id: str) -> Outline:
    """Return all messages of a conversation without what they say, but for how that begins."""
    conversation = conversations.one(connection, owner, conversation_id)
    query = noded().where(messages.c.conversation_id == conversation_id, KEPT).order_by(messages.c.seq)
    return Outline(conversation, tuple(rows.to_node(row) for row in connection.execute(query)))


def noded() -> Select[Any]:
    """Return a query for rows that `rows.to_node` takes."""
    of_it = (parts.c.message_id == messages.c.id) & parts.c.kind.in_(("text", "attachment"))
    begins = select(func.substr(parts.c.data, 1, CUT)).where(of_it).order_by(parts.c.kind.desc(), parts.c.position)
    return select(*messages.c, begins.limit(1).correlate(messages).scalar_subquery().label("cut"))


def branches(connection: Connection, owner: str, conversation_id: str, one: str, other: str, most: int) -> Branches:
    """Return two branches from where they part, at most so many messages of each."""
    conversations.one(connection, owner, conversation_id)
    paths = [_ids_to(connection, conversation_id, id) for id in (one, other)]
    shared = fork_point(*paths)
    apart = [path[shared:] for path in paths]
    shown = [ids[:most] for ids in apart]
    found = _read(connection, [id for ids in shown for id in ids])
    pairs = tuple(zip_longest([found[id] for id in shown[0]], [found[id] for id in shown[1]]))
    left_out = max(map(len, apart)) - len(pairs)
    return Branches(paths[0][shared - 1] if shared else None, pairs, left_out)


def _ids_to(connection: Connection, conversation_id: str, message_id: str) -> list[str]:
    steps = _upwards(conversation_id, message_id, 0)
    found = connection.scalars(select(steps.c.id).order_by(steps.c.seq)).all()
    if not found:
        raise not_found()
    return list(found)


def _read(connection: Connection, ids: Sequence[str]) -> dict[str, Message]:
    """Return messages that are there, not more than a statement takes."""
    held: dict[str, list[Part]] = {}
    query = select(parts).where(parts.c.message_id.in_(ids)).order_by(parts.c.message_id, parts.c.position)
    for row in connection.execute(query):
        held.setdefault(row.message_id, []).append(rows.to_part(row))
    found = connection.execute(select(messages).where(messages.c.id.in_(ids)))
    return {row.id: rows.to_message(row, tuple(held.get(row.id, ()))) for row in found}


def forks(connection: Connection, conversation_id: str) -> dict[str, Versions]:
    """Return the place among its siblings of each message that has any, in a conversation that was looked up."""
    several = (
        select(messages.c.parent_id)
        .where(messages.c.conversation_id == conversation_id, KEPT)
        .group_by(messages.c.parent_id)
        .having(func.count() > 1)
        .subquery()
    )
    found = connection.execute(
        select(messages.c.id, messages.c.parent_id)
        .join(several, several.c.parent_id.is_not_distinct_from(messages.c.parent_id))
        .where(messages.c.conversation_id == conversation_id, KEPT)
        .order_by(messages.c.seq)
    )
    siblings: dict[str | None, list[str]] = {}
    for row in found:
        siblings.setdefault(row.parent_id, []).append(row.id)
    return {id: Versions(place, tuple(ids)) for ids in siblings.values() for place, id in enumerate(ids)}


def set_head(connection: Connection, owner: str, conversation_id: str, message_id: str) -> None:
    conversations.one(connection, owner, conversation_id)
    require(connection, conversation_id, message_id)
    conversations.set_head(connection, conversation_id, message_id)


def newest_leaf(connection: Connection, owner: str, conversation_id: str, message_id: str) -> str:
    """Return the leaf that is reached from `message_id` by always following the newest child."""
    conversations.one(connection, owner, conversation_id)
    return newest_leaf_in(connection, conversation_id, message_id)


def newest_leaf_in(connection: Connection, conversation_id: str, message_id: str) -> str:
    """Return what `newest_leaf` does, in a conversation that was looked up."""
    here = (
        select(messages.c.id, messages.c.seq)
        .where(messages.c.id == message_id, messages.c.conversation_id == conversation_id, KEPT)
        .cte("here", recursive=True)
    )
    walk = here.union_all(
        select(messages.c.id, messages.c.seq).where(
            messages.c.id == _newest_child(conversation_id, here), messages.c.seq > here.c.seq
        )
    )
    leaf: str | None = connection.scalar(select(walk.c.id).order_by(walk.c.seq.desc()).limit(1))
    if leaf is None:
        raise not_found()
    return leaf


def add(connection: Connection, owner: str, new: Sequence[Message]) -> None:
    """Store messages of one conversation, which must exist, after all that it has.

    Raises:
        NotFoundError: a parent is not in the conversation.
    """
    conversation_id = new[0].conversation_id
    last = connection.scalar(select(func.max(messages.c.seq)).where(messages.c.conversation_id == conversation_id))
    ids = {message.id for message in new}
    for parent_id in {message.parent_id for message in new} - ids:
        if parent_id is not None:
            require(connection, conversation_id, parent_id)
    numbered = enumerate(new, start=(last or 0) + 1)
    connection.execute(insert(messages), [rows.from_message(message, seq) for seq, message in numbered])
    if held := [row for message in new for row in rows.from_parts(message.id, message.parts)]:
        connection.execute(insert(parts), held)
    for message in new:
        searching.put_new(connection, owner, message)


def add_answer(connection: Connection, owner: str, answer: Message, now: datetime) -> str:
    """Store an answer that no run writes, unless the same is there, and put it on show; return its id."""
    conversations.one(connection, owner, answer.conversation_id)
    by_hand = select(messages.c.id).where(
        messages.c.conversation_id == answer.conversation_id,
        messages.c.parent_id == answer.parent_id,
        messages.c.run_id.is_(None),
        messages.c.model.is_(None),
        KEPT,
    )
    same = (id for id in connection.scalars(by_hand).all() if parts_of(connection, id) == answer.parts)
    id = next(same, answer.id)
    if id == answer.id:
        settle(connection, answer.conversation_id, answer.parent_id)
        add(connection, owner, [answer])
    head_id = newest_leaf(connection, owner, answer.conversation_id, id)  # what followed the same one is on show too
    conversations.touch(connection, answer.conversation_id, now, head_id=head_id)
    return id


def set_processed(
    connection: Connection, owner: str, conversation_id: str, message_id: str, by: Callable[[Message], Processed | None]
) -> None:
    """Replace what was made of a complete answer by what `by` makes of it."""
    before = one(connection, owner, conversation_id, message_id)
    if before.role != "assistant" or before.status != "complete":
        raise InputError("Only a complete answer goes through the steps.")
    processed = by(before)
    if processed != before.processed:
        found = messages.c.id == message_id
        connection.execute(update(messages).where(found).values(processed=codec.processed_to_json(processed)))
        searching.put_message(connection, message_id)
        conversations.mark(connection, conversation_id)


def remember(
    connection: Connection,
    owner: str,
    conversation_id: str,
    message_id: str,
    memory: Memory | None,
    now: datetime,
) -> Memory | None:
    """Set what a model is told instead of a finished message and all before it; return what that was until now."""
    before = one(connection, owner, conversation_id, message_id)
    if TRANSITIONS[before.status]:
        raise InputError("This answer is still being written. Wait for its end, or stop it first.")
    found = messages.c.id == message_id
    connection.execute(update(messages).where(found).values(memory=codec.memory_to_json(memory)))
    conversations.touch(connection, conversation_id, now)
    return before.memory


def together(connection: Connection, head: Message | None) -> tuple[Message, ...]:
    """Return the answers that stand side by side with the one at the end of a path, itself among them, if any do."""
    if head is None or head.together is None:
        return ()
    found = connection.scalars(select(messages.c.id).where(*_beside(head)).order_by(messages.c.seq)).all()
    held = _read(connection, found)
    return tuple(held[id] for id in found) if len(found) > 1 else ()


def settle(connection: Connection, conversation_id: str, parent_id: str | None) -> None:
    """Let answers no longer stand side by side that another message comes after, or beside."""
    if parent_id is None:
        return
    asked = select(messages.c.parent_id).where(messages.c.id == parent_id).scalar_subquery()
    connection.execute(
        update(messages)
        .where(
            messages.c.conversation_id == conversation_id,
            messages.c.parent_id.in_((parent_id, asked)),
            messages.c.together.is_not(None),
        )
        .values(together=None)
    )


def choose(connection: Connection, owner: str, conversation_id: str, message_id: str) -> None:
    """Make one of the answers that stand side by side the head; the others are versions of it from then on."""
    chosen = one(connection, owner, conversation_id, message_id)
    if chosen.together is None:
        return
    connection.execute(update(messages).where(*_beside(chosen)).values(together=None))
    conversations.set_head(connection, conversation_id, message_id)
    conversations.mark(connection, conversation_id)


def _beside(answer: Message) -> tuple[ColumnElement[bool], ...]:
    return (
        messages.c.conversation_id == answer.conversation_id,
        messages.c.parent_id == answer.parent_id,
        messages.c.together == answer.together,
        KEPT,
    )


def pick(connection: Connection, owner: str, conversation_id: str, message_id: str, now: datetime) -> str:
    """Store a copy of a message behind the end of the path on show, and make it the head; return its id.

    Where a copy of it stands there already, nothing is stored.
    """
    end_id = conversations.one(connection, owner, conversation_id).head_id
    if end_id is None:
        raise not_found()
    end = connection.execute(select(messages).where(messages.c.id == end_id)).one()
    if end.picked_from == message_id:
        return end_id
    require(connection, conversation_id, message_id)
    found = _read(connection, [message_id])[message_id]
    if TRANSITIONS[end.status] or TRANSITIONS[found.status]:
        raise InputError("An answer is still being written. Wait for its end, or stop it first.")
    check_follows(found.role, end.role)
    copy = replace(found, id=new_id(), parent_id=end_id, picked_from=message_id, memory=None, together=None)
    settle(connection, conversation_id, end_id)
    add(connection, owner, [copy])
    conversations.touch(connection, conversation_id, now, head_id=copy.id)
    return copy.id


def fork(
    connection: Connection, owner: str, new: Conversation, conversation_id: str, message_id: str, now: datetime
) -> Conversation:
    """Store a new conversation with copies of the messages from the root to `message_id`, and return it.

    The copies keep the runs that wrote their originals, and their times.
    """
    conversations.one(connection, owner, conversation_id)
    found, _ = _read_path(connection, conversation_id, message_id, 0)
    if not found:
        raise not_found()
    conversations.add(connection, owner, new)
    ids = {message.id: new_id() for message in found}
    copies = [
        replace(
            one, id=ids[one.id], conversation_id=new.id, parent_id=one.parent_id and ids[one.parent_id], together=None
        )
        for one in found
    ]
    add(connection, owner, copies)
    return conversations.touch(connection, new.id, now, head_id=copies[-1].id)


def parts_of(connection: Connection, message_id: str) -> tuple[Part, ...]:
    query = select(parts).where(parts.c.message_id == message_id).order_by(parts.c.position)
    return tuple(rows.to_part(row) for row in connection.execute(query))


def add_parts(connection: Connection, message_id: str, new: Iterable[Part]) -> None:
    values = rows.from_parts(message_id, tuple(new))
    if values:
        connection.execute(insert(parts), values)


def require(connection: Connection, conversation_id: str, message_id: str) -> None:
    """Raise NotFoundError unless the message is in the conversation's tree."""
    here = (messages.c.id == message_id) & (messages.c.conversation_id == conversation_id)
    if connection.scalar(select(messages.c.id).where(here, KEPT)) is None:
        raise not_found()


def _upwards(conversation_id: str, head_id: str, above: int) -> CTE:
    """Return the ids from the head to the root, as far as their place is above a place.

    A parent is older than its child; saying so ends the walk in a damaged file whose links run in a circle.
    """
    columns = (messages.c.id, messages.c.parent_id, messages.c.seq)
    start = (
        select(*columns)
        .where(messages.c.id == head_id, messages.c.conversation_id == conversation_id, messages.c.seq > above, KEPT)
        .cte("steps", recursive=True)
    )
    return start.union_all(
        select(*columns).where(messages.c.id == start.c.parent_id, messages.c.seq < start.c.seq, messages.c.seq > above)
    )


def _newest_child(conversation_id: str, here: CTE) -> ScalarSelect[Any]:
    child = messages.alias("child")
    return (
        select(child.c.id)
        .where(child.c.conversation_id == conversation_id, child.c.parent_id == here.c.id, child.c.pruned_at.is_(None))
        .order_by(child.c.seq.desc())
        .limit(1)
        .correlate(here)
        .scalar_subquery()
    )


def not_found() -> NotFoundError:
    return NotFoundError("This message is not in the conversation. Reload the conversation.")
