"""SQL on how an answer was written: the runs that did it, and what they told beside its text."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Row, select

from services.conversation import Written, Wrote
from services.errors import StorageError
from services.events import Numbered
from services.recipes import Recipe
from services.storage import codec, recipes, rows, tree
from services.storage.schema import conversations, run_events, runs
from services.storage.schema import texts as texts_table

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
    texts = _texts(connection, last.conversation_id)
    return Written(
        message,
        tuple(Wrote(rows.to_run(row), tuple(_told(connection, row.id)), _recipe(row, texts)) for row in found),
    )


def _texts(connection: Connection, conversation_id: str) -> dict[str, str]:
    found = select(texts_table.c.sha256, texts_table.c.text).where(texts_table.c.conversation_id == conversation_id)
    return {row.sha256: row.text for row in connection.execute(found)}


def _recipe(row: Row[Any], texts: Mapping[str, str]) -> Recipe | None:
    try:
        return None if row.recipe is None else recipes.from_json(row.recipe, texts)
    except StorageError as error:  # as below
        log.error("what run %s asked with cannot be read: %s", row.id, error)
        return None


def _told(connection: Connection, run_id: str) -> Iterator[Numbered]:
    query = select(run_events).where(run_events.c.run_id == run_id, run_events.c.kind.not_in(codec.DELTA_KINDS))
    for row in connection.execute(query.order_by(run_events.c.seq)):
        try:
            yield rows.to_numbered(row)
        except StorageError as error:  # one damaged line must not keep everything else from being seen
            log.error("an event of run %s cannot be read: %s", run_id, error)
