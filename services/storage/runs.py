"""SQL on runs and their events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.conversation import Conversation
from services.errors import Failure, NotFoundError
from services.events import Numbered, Reply, RunFinished
from services.messages import Message
from services.storage import codec, conversations, rows, tree
from services.storage.engine import insert_new
from services.storage.schema import conversations as conversations_table
from services.storage.schema import messages, parts, run_events, runs

STOPPED = Failure(
    kind="unexpected",
    message="Panelist was stopped while this answer was being written.",
    next_step="retry",
)


async def begin(
    connection: AsyncConnection,
    owner: str,
    conversation: Conversation,
    new: Sequence[Message],
    *,
    run_id: str,
    now: datetime,
) -> Conversation:
    """Store the conversation if it is new, the new messages (the last is the answer) and the run."""
    answer = new[-1]
    await conversations.add(connection, owner, conversation)
    await tree.add(connection, new)
    await connection.execute(
        insert(runs).values(
            id=run_id,
            conversation_id=conversation.id,
            message_id=answer.id,
            status=answer.status,
            endpoint=answer.endpoint,
            model=answer.model,
            started_at=now,
        )
    )
    await conversations.set_head(connection, conversation.id, answer.id)
    await conversations.touch(connection, conversation.id, now)
    return await conversations.one(connection, owner, conversation.id)


async def append(connection: AsyncConnection, events: Mapping[str, Sequence[Numbered]]) -> None:
    """Store events of any number of runs.

    One that is there already is left alone, so that a batch may be tried again. So is a run that has ended: its message
    holds everything, and a late batch must not bring back what was dropped.
    """
    ended = await connection.scalars(select(runs.c.id).where(runs.c.id.in_(events), runs.c.status != "streaming"))
    live = events.keys() - set(ended)
    values = [rows.from_numbered(run_id, numbered) for run_id in live for numbered in events[run_id]]
    if values:
        await connection.execute(insert_new(run_events), values)


async def finish(
    connection: AsyncConnection,
    run_id: str,
    reply: Reply,
    *,
    first_token_s: float | None,
    total_s: float | None,
    now: datetime,
) -> None:
    """Write what a run came to into its message and its row. A run that has ended stays as it is."""
    run = (await connection.execute(select(runs).where(runs.c.id == run_id))).one_or_none()
    if run is None:
        raise _not_found()
    if run.status != "streaming":
        return
    model = reply.model or run.model
    usage = rows.from_usage(reply.usage)
    await connection.execute(
        update(messages).where(messages.c.id == run.message_id).values(status=reply.status, model=model, **usage)
    )
    await connection.execute(delete(parts).where(parts.c.message_id == run.message_id))
    await tree.add_parts(connection, run.message_id, reply.parts)
    await connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(
            status=reply.status,
            model=model,
            finished_at=now,
            first_token_s=first_token_s,
            total_s=total_s,
            finish_reason=reply.finish_reason,
            response_id=reply.response_id,
            request_id=reply.request_id,
            failure=None if reply.failure is None else codec.failure_to_json(reply.failure),
            **usage,
        )
    )
    await connection.execute(
        delete(run_events).where(run_events.c.run_id == run_id, run_events.c.kind.in_(codec.DELTA_KINDS))
    )
    await conversations.touch(connection, run.conversation_id, now)


async def interrupt_orphans(connection: AsyncConnection, now: datetime) -> int:
    """End every run that is still streaming with what its events hold; return how many there were."""
    # In the order they began, so that the conversations keep their order in the list.
    query = select(runs.c.id).where(runs.c.status == "streaming").order_by(runs.c.started_at, runs.c.id)
    orphans = (await connection.scalars(query)).all()
    for run_id in orphans:
        reply = Reply()
        for numbered in await _events(connection, run_id, after=0):
            reply.apply(numbered.event)
        if reply.status == "streaming":  # else it had ended and only the last write was missing
            reply.apply(RunFinished("interrupted", STOPPED))
        await finish(connection, run_id, reply, first_token_s=None, total_s=None, now=now)
    return len(orphans)


async def events(connection: AsyncConnection, owner: str, run_id: str, after: int) -> list[Numbered]:
    await one(connection, owner, run_id)
    return await _events(connection, run_id, after)


async def one(connection: AsyncConnection, owner: str, run_id: str) -> rows.RunRecord:
    row = (
        await connection.execute(
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


async def _events(connection: AsyncConnection, run_id: str, after: int) -> list[Numbered]:
    query = select(run_events).where(run_events.c.run_id == run_id, run_events.c.seq > after).order_by(run_events.c.seq)
    return [rows.to_numbered(row) for row in await connection.execute(query)]


def _not_found() -> NotFoundError:
    return NotFoundError("This answer does not exist or was deleted. Reload the conversation.")
