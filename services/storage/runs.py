"""SQL on runs and their events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, CursorResult, Row, delete, insert, select, update

from services.conversation import Conversation, Queued, RunRecord
from services.errors import Failure, InputError, NotFoundError, StorageError
from services.events import Numbered, Reply, RunFinished
from services.measures import Measured
from services.messages import RESUMABLE, Message, Part, ReasoningPart, TextPart, moved
from services.options import Options
from services.recipes import Recipe
from services.spending import Hold
from services.storage import attached, codec, conversations, queue, recipes, requests, rows, searching, tree
from services.storage.engine import insert_new
from services.storage.rows import Begun
from services.storage.schema import conversations as conversations_table
from services.storage.schema import messages, parts, request_keys, run_events, runs, texts
from services.usage import Usage

log = logging.getLogger(__name__)

STOPPED = Failure(
    kind="unexpected",
    message="Panelist was stopped while this answer was being written.",
    next_step="retry",
)

_ROWS = 2_000
"""Events of one statement: to write down all that waited while storage was in trouble takes long, but not in one go."""


def joined(kept: Sequence[Part], new: Sequence[Part]) -> tuple[Part, ...]:
    """Return the parts that one run would have left which had the events of both: text goes on without a seam."""
    if kept and new:
        match kept[-1], new[0]:
            case (TextPart() as before, TextPart() as after) | (ReasoningPart() as before, ReasoningPart() as after):
                if replace(before, text="") == replace(after, text=""):  # alike in all but their text
                    return (*kept[:-1], replace(before, text=before.text + after.text), *new[1:])
    return (*kept, *new)


def begin(
    connection: Connection,
    owner: str,
    conversation: Conversation,
    question: Message | None,
    answers: Sequence[Message],
    *,
    instead_of: str | None,
    request_key: str | None,
    waited: bool,
    hold: Hold | None,
    now: datetime,
) -> Begun:
    """Store the conversation if it is new, the new messages and the runs that write the answers.

    A run that a budget has no room for is stored as well: the question is kept, and the answer says why there is none.
    """
    if waited and question is not None:
        request_key = queue.take(connection, owner, conversation.id, question.id)
    earlier = begun_before(connection, owner, request_key)
    if earlier is not None:
        return earlier
    conversations.add(connection, owner, conversation)
    head_id: str | None = answers[0].id
    if instead_of is not None:
        head_id = _take_place(connection, owner, instead_of, answers[0])
    else:
        tree.settle(connection, conversation.id, question.parent_id if question else answers[0].parent_id)
    if question is not None:
        tree.add(connection, owner, [question, *answers])
        attached.mark_sent(connection, owner, question.attachments, now)
    else:
        tree.add(connection, owner, answers)
    return _add_runs(connection, owner, answers, head_id=head_id, request_key=request_key, hold=hold, now=now)


def _take_place(connection: Connection, owner: str, message_id: str, answer: Message) -> str | None:
    """Let an answer stand where another one stood beside others; return the head then, None where that stays."""
    before = tree.one(connection, owner, answer.conversation_id, message_id)
    if before.together is None or before.together != answer.together:
        raise InputError("These answers do not stand side by side any more. Retry the one that is on show.")
    connection.execute(update(messages).where(messages.c.id == message_id).values(together=None))
    is_head = conversations.one(connection, owner, answer.conversation_id).head_id == message_id
    return answer.id if is_head else None


def resume(
    connection: Connection,
    owner: str,
    conversation_id: str,
    message_id: str,
    *,
    run_id: str,
    options: Options | None,
    request_key: str | None,
    hold: Hold | None,
    now: datetime,
) -> Begun:
    """Open an answer that was cut off again, for a new run that writes on.

    While it does, the stored parts of the message are what it writes on from; `finish` puts its own behind them. So
    nothing has to be copied or remembered, and a crash at any moment loses nothing.
    """
    earlier = begun_before(connection, owner, request_key)
    if earlier is not None:
        return earlier
    here = conversations.one(connection, owner, conversation_id)
    tree.require(connection, conversation_id, message_id)
    row = connection.execute(select(messages).where(messages.c.id == message_id)).one()
    if row.role != "assistant" or row.status not in RESUMABLE:
        raise InputError("Only an answer that was cut off can be continued.")
    if (
        connection.scalar(select(messages.c.id).where(messages.c.parent_id == message_id, tree.KEPT).limit(1))
        is not None
    ):
        raise InputError("The conversation has gone on after this answer, so it cannot be continued. Retry it instead.")
    before = rows.to_message(row, ())
    options = options or before.options
    answer = replace(
        before,
        status="streaming",
        run_id=run_id,
        endpoint=(options.endpoint if options else None) or row.endpoint,
        model=(options.model if options else None) or row.model,
        options=options,
    )
    connection.execute(
        update(messages)
        .where(messages.c.id == message_id)
        .values(
            status=answer.status,
            run_id=run_id,
            endpoint=answer.endpoint,
            model=answer.model,
            options=codec.options_to_json(answer.options),
            memory=None,  # what it goes on with would be told nowhere
            processed=None,
        )
    )
    connection.execute(delete(parts).where(parts.c.message_id == message_id, parts.c.kind == "error"))
    head = tree.one(connection, owner, conversation_id, here.head_id) if here.head_id is not None else None
    beside = head is not None and head.together is not None and head.together == answer.together
    return _add_runs(
        connection,
        owner,
        [answer],
        head_id=None if beside else answer.id,
        request_key=request_key,
        hold=hold,
        now=now,
    )


def append(
    connection: Connection,
    events: Mapping[str, Sequence[Numbered]],
    asked_with: Mapping[str, Recipe] = MappingProxyType({}),
) -> None:
    """Store events of any number of runs, and what some of them asked with.

    One that is there already is left alone, so that a batch may be tried again. So is a run that has ended: its message
    holds everything, and a late batch must not bring back what was dropped.
    """
    ended = connection.scalars(select(runs.c.id).where(runs.c.id.in_(events), runs.c.status != "streaming"))
    live = events.keys() - set(ended)
    new = [(run_id, numbered) for run_id in live for numbered in events[run_id]]
    for start in range(0, len(new), _ROWS):
        values = [rows.from_numbered(*one) for one in new[start : start + _ROWS]]
        connection.execute(insert_new(connection, run_events), values)
    for run_id in live & asked_with.keys():
        _put_recipe(connection, run_id, asked_with[run_id])


def finish(
    connection: Connection,
    run_id: str,
    reply: Reply,
    *,
    first_token_s: float | None,
    total_s: float | None,
    events: Sequence[Numbered] = (),
    recipe: Recipe | None = None,
    measured: Measured | None,
    now: datetime,
) -> None:
    """Write what a run came to into its message and its row, and what it measured. What has ended stays as it is.

    `events` are those that add no text, `recipe` is what it asked with; both may be stored already.
    """
    run = connection.execute(select(runs).where(runs.c.id == run_id)).one_or_none()
    if run is None:
        raise _not_found()
    if run.status != "streaming":
        return
    status = moved(run.status, reply.status)
    model = reply.model or run.model
    kept = tree.parts_of(connection, run.message_id)  # none, unless the run went on with an earlier answer
    connection.execute(delete(parts).where(parts.c.message_id == run.message_id))
    tree.add_parts(connection, run.message_id, joined(kept, reply.parts))
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(
            status=status,
            model=model,
            finished_at=now,
            first_token_s=first_token_s,
            total_s=total_s,
            finish_reason=reply.finish_reason,
            response_id=reply.response_id,
            request_id=reply.request_id,
            failure=None if reply.failure is None else codec.failure_to_json(reply.failure),
            probabilities=codec.tokens_to_json(reply.tokens),
            **rows.from_usage(reply.usage),
        )
    )
    if recipe is not None:
        _put_recipe(connection, run_id, recipe)
    if events:
        connection.execute(insert_new(connection, run_events), [rows.from_numbered(run_id, one) for one in events])
    usage = _usage_with(connection, run, bool(kept), reply.usage)
    # Going on failed, not the answer: there is text, and it can be gone on with again.
    shown = "interrupted" if status == "failed" and any(isinstance(part, TextPart) for part in kept) else status
    connection.execute(
        update(messages)
        .where(messages.c.id == run.message_id)
        .values(status=shown, model=model, **rows.from_usage(usage))
    )
    searching.put_message(connection, run.message_id)
    connection.execute(
        delete(run_events).where(run_events.c.run_id == run_id, run_events.c.kind.in_(codec.DELTA_KINDS))
    )
    requests.settle(connection, conversations.owner_of(connection, run.conversation_id), run_id, measured)
    conversations.touch(connection, run.conversation_id, now)


Measure = Callable[[RunRecord, Reply, int | None], Measured | None]
"""Says what a run measured that nobody saw end; the number is of the tokens it sent, as far as that is known."""


@dataclass(frozen=True, slots=True)
class Orphans:
    """What a stop of Panelist had cut short."""

    runs: int
    """How many of this database's were ended."""
    lost: Sequence[Measured] = ()
    """What is kept of those whose messages are not here: of temporary chats, titles and summaries."""


def interrupt_orphans(connection: Connection, measure: Measure, now: datetime) -> Orphans:
    """End every run that is still streaming with what its events hold, and settle what is reserved for any other."""
    # In the order they began, so that the conversations keep their order in the list.
    query = select(runs.c.id).where(runs.c.status == "streaming").order_by(runs.c.started_at, runs.c.id)
    orphans = connection.scalars(query).all()
    for run_id in orphans:
        reply = cut_short(connection, run_id, STOPPED)
        run = rows.to_run(connection.execute(select(runs).where(runs.c.id == run_id)).one())
        measured = measure(run, reply, requests.input_tokens_of(connection, run_id))
        finish(connection, run_id, reply, first_token_s=None, total_s=None, measured=measured, now=now)
    return Orphans(len(orphans), requests.settle_orphans(connection))


def cut_short(connection: Connection, run_id: str, why: Failure) -> Reply:
    """Return what a run's stored events come to, which ends here unless they hold its end. Nothing is written."""
    reply = Reply()
    for row in _rows(connection, run_id, after=0):
        try:
            reply.apply(rows.to_numbered(row).event)
        except StorageError as error:  # one damaged line must not keep everything else from being read
            log.error("run %s is kept as far as it can be read: %s", run_id, error)
            break
    if reply.status == "streaming":  # else it had ended and only the last write was missing
        reply.apply(RunFinished("interrupted", why))
    return reply


def events(connection: Connection, owner: str, run_id: str, after: int) -> list[Numbered]:
    one(connection, owner, run_id)
    return _events(connection, run_id, after)


def one(connection: Connection, owner: str, run_id: str) -> RunRecord:
    row = (
        connection.execute(
            select(runs)
            .join(conversations_table, conversations_table.c.id == runs.c.conversation_id)
            .where(
                runs.c.id == run_id,
                conversations_table.c.owner == owner,
                conversations_table.c.deleted_at.is_(None),
            )
        )
    ).one_or_none()
    if row is None:
        raise _not_found()
    return rows.to_run(row)


def begun_before(connection: Connection, owner: str, request_key: str | None) -> Begun | None:
    if request_key is None:
        return None
    query = (
        select(runs.c.id, runs.c.conversation_id)
        .join(request_keys, request_keys.c.run_id == runs.c.id)
        .where(request_keys.c.owner == owner, request_keys.c.key == request_key)
    )
    row = connection.execute(query).one_or_none()
    if row is not None:
        conversation = conversations.one(connection, owner, row.conversation_id)
        live = (runs.c.conversation_id == row.conversation_id) & (runs.c.status == "streaming")
        beside = connection.scalars(select(runs.c.id).where(live, runs.c.id != row.id).order_by(runs.c.id)).all()
        return Begun(conversation, (row.id, *beside), fresh=False)
    waits_in = queue.conversation_of(connection, owner, request_key)
    if waits_in is not None:
        return Begun(conversations.one(connection, owner, waits_in), (), fresh=False)
    return None


def wait(
    connection: Connection,
    owner: str,
    conversation_id: str,
    message: Queued,
    request_key: str | None,
    now: datetime,
) -> bool:
    """Let a message wait, unless its request has come before; say whether it was stored now."""
    if begun_before(connection, owner, request_key) is not None:
        return False
    queue.add(connection, owner, conversation_id, message, request_key)
    attached.mark_sent(connection, owner, message.attachments, now)
    return True


def _add_runs(
    connection: Connection,
    owner: str,
    answers: Sequence[Message],
    *,
    head_id: str | None,
    request_key: str | None,
    hold: Hold | None,
    now: datetime,
) -> Begun:
    """Store the runs that write `answers`, and reserve what each could cost; `head_id` is the head then, if any."""
    here, ids = answers[0].conversation_id, tuple(answer.run_id for answer in answers if answer.run_id is not None)
    refused = {
        id: why
        for id in ids
        if hold is not None and (why := requests.reserve(connection, owner, id, here, hold, now)) is not None
    }
    values = [
        {
            "id": answer.run_id,
            "conversation_id": here,
            "message_id": answer.id,
            "status": answer.status,
            "endpoint": answer.endpoint,
            "model": answer.model,
            "started_at": now,
        }
        for answer in answers
    ]
    connection.execute(insert(runs), values)
    if request_key is not None:
        connection.execute(insert(request_keys).values(owner=owner, key=request_key, run_id=ids[0]))
    moved = {} if head_id is None else {"head_id": head_id}
    return Begun(conversations.touch(connection, here, now, **moved), ids, fresh=True, refused=refused)


def _put_recipe(connection: Connection, run_id: str, recipe: Recipe) -> None:
    query = update(runs).where(runs.c.id == run_id).values(recipe=recipes.to_json(recipe))
    conversation_id = connection.scalar(query.returning(runs.c.conversation_id))
    values = [
        {"conversation_id": conversation_id, "sha256": name, "text": text}
        for name, text in recipes.texts_of(recipe).items()
    ]
    if values:
        connection.execute(insert_new(connection, texts), values)


def _usage_with(connection: Connection, run: Row[Any], went_on: bool, used: Usage | None) -> Usage | None:
    """Return what writing the message of a run used with what that run used; unknown if it is unknown of one of them.

    What was used before is the message's own: one that was forked or imported came without its earlier runs.
    """
    earlier = select(runs.c.id).where(runs.c.message_id == run.message_id, runs.c.id != run.id).limit(1)
    if not went_on and connection.scalar(earlier) is None:
        return used
    before = rows.to_usage(connection.execute(select(messages).where(messages.c.id == run.message_id)).one())
    return None if before is None or used is None else before + used


def _events(connection: Connection, run_id: str, after: int) -> list[Numbered]:
    return [rows.to_numbered(row) for row in _rows(connection, run_id, after)]


def _rows(connection: Connection, run_id: str, after: int) -> CursorResult[Any]:
    query = select(run_events).where(run_events.c.run_id == run_id, run_events.c.seq > after).order_by(run_events.c.seq)
    return connection.execute(query)


def _not_found() -> NotFoundError:
    return NotFoundError("This answer does not exist or was deleted. Reload the conversation.")
