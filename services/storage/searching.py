"""SQL on what is searched: one row for each message that has ended and for each title, kept in step with them.

A row's place is its moment, so both kinds of database find the newest first, and a span of time, without a sort. What
is found is the same in both, because what a text is found by is decided in `services.search`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, insert, select, true, update

from services.errors import StorageError
from services.folders import around
from services.messages import Message, Part, as_shown
from services.search import Hit, Query, Term, Where, indexed_text, normal, snippet, words_of
from services.storage import codec, folders, search_postgres, search_sqlite
from services.storage.listing import tagged
from services.storage.schema import conversations, messages, owner_of, parts, searched

TITLES = 2**60
"""Titles have their places from here on, so that they come before all messages."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_SECOND = 1_000_000

# Letters of the private use area, which no text's own tokens have: these tokens say whose a text is and who wrote it.
_OWNER, _MODEL = "\ue000", "\ue001"


class _Dialect(Protocol):
    """How one kind of database finds words."""

    @property
    def MAKE(self) -> Sequence[str]:
        """The statements that make the index."""

    def stored(self, tokens: Sequence[str]) -> str:
        """Return what the column `words` holds."""

    def matches(self, terms: Sequence[Term]) -> Select[Any]:
        """Return a query for `place`, `conversation_id` and `message_id` of what meets all terms.

        At least one of the terms is not negated.
        """


_DIALECTS: dict[str, _Dialect] = {"sqlite": search_sqlite, "postgresql": search_postgres}


def make(connection: Connection) -> Sequence[str]:
    """Return the statements that make the index beside the table."""
    return _dialect(connection).MAKE


def find(connection: Connection, owner: str, query: Query, limit: int, before: int | None) -> list[Hit]:
    """Return hits below the place `before`, titles first, then the newest first."""
    found: list[Row[Any]] = []
    for base, terms in ((TITLES, _title_terms(query)), (0, _message_terms(query))):
        if terms is not None and len(found) < limit:
            more = _find(connection, owner, query, terms, base, before, limit - len(found))
            found += connection.execute(more).all()
    ids = [row.message_id for row in found if row.message_id is not None]
    said = {row.id: row for row in connection.execute(_SAID.where(messages.c.id.in_(ids)))}
    held = _shown(connection, ids)
    return [_hit(row, said.get(row.message_id), held.get(row.message_id, ()), query) for row in found]


def _title_terms(query: Query) -> Sequence[Term] | None:
    """Return what must be true of a title's own words; None when no title can be a hit."""
    if query.of("model") or not (query.of("text", "title") or query.places):
        return None
    return [term for term in query.terms if term.field != "model"]


def _message_terms(query: Query) -> Sequence[Term] | None:
    """Return what must be true of a message's own words; None when it is titles that are looked for."""
    if (query.of("title") or query.places) and not query.of("text", "model"):
        return None
    return [term for term in query.terms if term.field != "title"]


def _find(
    connection: Connection, owner: str, query: Query, terms: Sequence[Term], base: int, before: int | None, limit: int
) -> Select[Any]:
    matching = _dialect(connection).matches([_owner_term(owner), *map(_marked, terms)])
    found = matching.selected_columns
    low = base + (_ticks(query.after) if query.after else -TITLES // 2)
    high = base + (_ticks(query.before) if query.before else TITLES // 2)
    # Asked of each that matches, and no join: else a plan may begin with all of a person's conversations or messages.
    placed = (_placed(connection, owner, where) for where in query.places)
    theirs = and_(conversations.c.owner == owner, conversations.c.deleted_at.is_(None), *placed)
    is_theirs = select(theirs).where(conversations.c.id == found.conversation_id).scalar_subquery()
    matching = matching.where(found.place >= low, found.place < (high if before is None else min(high, before)))
    if base == 0:
        is_there = select(messages.c.pruned_at.is_(None)).where(messages.c.id == found.message_id)
        matching = matching.where(is_there.scalar_subquery())
        for term in query.of("title") + query.of("title", negated=True):
            titled = _titled(connection, owner, replace(term, negated=False))
            matching = matching.where(
                found.conversation_id.not_in(titled) if term.negated else found.conversation_id.in_(titled)
            )
    page = matching.where(is_theirs).order_by(found.place.desc()).limit(limit).subquery()
    return (
        select(page.c.place, page.c.message_id, conversations.c.id, conversations.c.title)
        .join(conversations, conversations.c.id == page.c.conversation_id)
        .order_by(page.c.place.desc())
    )


def _placed(connection: Connection, owner: str, where: Where) -> ColumnElement[bool]:
    """Say that the conversation is where it is to be, or is not."""
    there: ColumnElement[bool]
    if where.kind == "tag":
        there = tagged(where.value, open=where.open)
    elif where.kind == "folder":
        known = {folder.id: folder for folder in folders.every(connection, owner)}
        named = {folder.id for folder in known.values() if _is_named(folder.name.casefold(), where)}
        within = [id for id in known if any(outer.id in named for outer in around(known, id))]
        there = func.coalesce(conversations.c.folder_id, "").in_(within)
    else:
        column = conversations.c.archived_at if where.value == "archived" else conversations.c.pinned_at
        there = column.is_not(None)
    return ~there if where.negated else there


def _is_named(name: str, where: Where) -> bool:
    return name.startswith(where.value) if where.open else name == where.value


def _titled(connection: Connection, owner: str, term: Term) -> Select[Any]:
    """Return a query for the conversations whose title has a term."""
    matching = _dialect(connection).matches([_owner_term(owner), term])
    found = matching.selected_columns
    return matching.where(found.place >= TITLES // 2).with_only_columns(found.conversation_id)


def _hit(row: Row[Any], said: Row[Any] | None, held: Sequence[Part], query: Query) -> Hit:
    """Return a hit; `said` and `held` are the row of its message and what that holds, unless it is a title."""
    text = row.title if said is None else indexed_text(held)
    return Hit(
        conversation_id=row.id,
        title=row.title,
        message_id=row.message_id,
        role=None if said is None else said.role,
        at=_EPOCH + (row.place - TITLES) * _TICK if said is None else said.created_at,
        snippet=snippet(normal(text), query.of("text", "title") if said is None else query.of("text")),
        place=row.place,
    )


def put_title(connection: Connection, conversation_id: str) -> None:
    """Let a conversation be found by the title it has now."""
    row = connection.execute(_TITLED.where(conversations.c.id == conversation_id)).one()
    _put(connection, conversation_id, None, *_of_title(row))


def put_message(connection: Connection, message_id: str) -> None:
    """Let a message be found by what it holds now; one that is still being written is not found yet."""
    row = connection.execute(_SAID.where(messages.c.id == message_id)).one()
    if row.status != "streaming":
        held = _shown(connection, [message_id])
        _put(connection, row.conversation_id, message_id, *_of_message(row, row.owner, held.get(message_id, ())))


def put_new(connection: Connection, owner: str, message: Message) -> None:
    """Do what `put_message` does for a message that was stored just now: nothing has to be read for it."""
    if message.status != "streaming":
        place, tokens = _of_message(message, owner, as_shown(message.parts, message.processed))
        _insert(connection, message.conversation_id, message.id, place, _dialect(connection).stored(tokens))


def put_all(connection: Connection) -> None:
    """Let everything be found that was stored before there was a search.

    A migration calls this, on a schema that may be older than the present one: no column may be named here that came
    later than the search did.
    """
    after: dict[int, int] = {}
    for titled in connection.execute(_TITLED).all():
        of_it = messages.c.conversation_id == titled.id
        of_parts = _PARTS.join(messages, messages.c.id == parts.c.message_id).where(of_it)
        held = _held(connection.execute(of_parts))
        said = connection.execute(_SAID.where(of_it, messages.c.status != "streaming")).all()
        values = []
        for message_id, wanted, tokens in (
            (None, *_of_title(titled)),
            *((row.id, *_of_message(row, row.owner, held.get(row.id, ()))) for row in said),
        ):
            place = _take_place(after, wanted)
            words = _dialect(connection).stored(tokens)
            values.append({"place": place, "conversation_id": titled.id, "message_id": message_id, "words": words})
        connection.execute(insert(searched), values)


def _take_place(after: dict[int, int], wanted: int) -> int:
    """Return a place at or soon after the wanted one; `after` says of each that is taken where to look on."""
    free = wanted
    while free in after:
        free = after[free]
    after[wanted] = after[free] = free + 1  # so that what comes next at the same moment has not to go all the way
    return free


_TITLED: Select[Any] = select(
    conversations.c.id, conversations.c.owner, conversations.c.title, conversations.c.created_at
)
_SAID: Select[Any] = select(
    *(messages.c.id, messages.c.conversation_id, messages.c.role, messages.c.model, messages.c.created_at),
    *(messages.c.status, conversations.c.owner),
).join(conversations, conversations.c.id == messages.c.conversation_id)
_PARTS: Select[Any] = select(parts.c.message_id, parts.c.kind, parts.c.data).order_by(
    parts.c.message_id, parts.c.position
)


def _of_title(row: Row[Any]) -> tuple[int, list[str]]:
    """Return the place of a title, and what it is found by."""
    return TITLES + _ticks(row.created_at), [_owner_token(row.owner), *_words(row.title)]


def _of_message(said: Row[Any] | Message, owner: str, held: Sequence[Part]) -> tuple[int, list[str]]:
    """Return the place of a message, and what it is found by."""
    model = [_MODEL + token for token in _words(said.model or "")]
    return _ticks(said.created_at), [_owner_token(owner), *model, *_words(indexed_text(held))]


def _put(connection: Connection, conversation_id: str, message_id: str | None, wanted: int, tokens: list[str]) -> None:
    words = _dialect(connection).stored(tokens)
    which = (searched.c.conversation_id == conversation_id) & searched.c.message_id.is_not_distinct_from(message_id)
    if connection.execute(update(searched).where(which).values(words=words)).rowcount == 0:
        _insert(connection, conversation_id, message_id, wanted, words)


def _insert(connection: Connection, conversation_id: str, message_id: str | None, wanted: int, words: str) -> None:
    keys = {"conversation_id": conversation_id, "message_id": message_id}
    connection.execute(insert(searched).values(place=_free_place(connection, wanted), words=words, **keys))


def _free_place(connection: Connection, wanted: int) -> int:
    """Return a place at or soon after the wanted one: several things may have happened in a moment."""
    while connection.scalar(select(true()).where(searched.c.place == wanted)) is not None:
        last = select(func.max(searched.c.place)).where(searched.c.place >= wanted, searched.c.place < wanted + _SECOND)
        wanted = (connection.scalar(last) or wanted) + 1
    return wanted


def _held(found: Iterable[Row[Any]]) -> dict[str, list[Part]]:
    """Return the parts of each message. One that cannot be read is left out: whoever opens it is told."""
    held: dict[str, list[Part]] = {}
    for row in found:
        with suppress(StorageError):
            held.setdefault(row.message_id, []).append(codec.part_from_json(row.kind, row.data))
    return held


def _shown(connection: Connection, message_ids: Sequence[str]) -> dict[str, Sequence[Part]]:
    """Return the parts of messages, their texts as they are shown; on the present schema only."""
    held = _held(connection.execute(_PARTS.where(parts.c.message_id.in_(message_ids))))
    made = select(messages.c.id, messages.c.processed).where(messages.c.processed.is_not(None))
    for row in connection.execute(made.where(messages.c.id.in_(message_ids))):
        with suppress(StorageError):
            held[row.id] = list(as_shown(held.get(row.id, ()), codec.processed_from_json(row.processed)))
    return dict(held)


def _words(text: str) -> list[str]:
    return words_of(normal(text))


def _owner_token(owner: str) -> str:
    return _OWNER + sha256(owner_of(owner).encode()).hexdigest()[:40]


def _owner_term(owner: str) -> Term:
    return Term((_owner_token(owner),))


def _marked(term: Term) -> Term:
    return replace(term, tokens=tuple(_MODEL + token for token in term.tokens)) if term.field == "model" else term


def _ticks(moment: datetime) -> int:
    return (moment - _EPOCH) // _TICK


def _dialect(connection: Connection) -> _Dialect:
    return _DIALECTS[connection.dialect.name]
