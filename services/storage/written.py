"""SQL on how an answer was written: the runs that did it, and what they told beside its text."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from sqlalchemy import Connection, select

from services.conversation import Written, Wrote
from services.errors import StorageError
from services.events import Numbered
from services.storage import codec, rows, tree
from services.storage.schema import conversations, run_events, runs

log = logging.getLogger(__name__)


def written(connection: Connection, owner: str, conversation_id: str, message_id: str) -> Written:
    """Return an answer with the runs that wrote it, in the order in which they began.

    A copy has none of its own: those of its original count, as far as they had begun by then.
    """
    message = tree.one(connection, owner, conversation_id, message_id)
    mine = (
        select(runs)
        .join(conversations, conversations.c.id == runs.c.conversation_id)
        .where(conversations.c.owner == owner, conversations.c.deleted_at.is_(None))
    )
    last = connection.execute(mine.where(runs.c.id == message.run_id)).one_or_none()
    if last is None:
        return Written(message, ())
    found = connection.execute(
        mine.where(runs.c.message_id == last.message_id, runs.c.started_at <= last.started_at).order_by(
            runs.c.started_at, runs.c.id
        )
    ).all()
    return Written(message, tuple(Wrote(rows.to_run(row), tuple(_told(connection, row.id))) for row in found))


def _told(connection: Connection, run_id: str) -> Iterator[Numbered]:
    query = select(run_events).where(run_events.c.run_id == run_id, run_events.c.kind.not_in(codec.DELTA_KINDS))
    for row in connection.execute(query.order_by(run_events.c.seq)):
        try:
            yield rows.to_numbered(row)
        except StorageError as error:  # one damaged line must not keep everything else from being seen
            log.error("an event of run %s cannot be read: %s", run_id, error)
