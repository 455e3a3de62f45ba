"""Full-text search as only PostgreSQL does it: tsvector, made from our own tokens, with a GIN index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, cast, select

from services.search import Term
from services.storage.schema import searched

MAKE = ("CREATE INDEX ix_searched_words ON searched USING gin (words)", "ANALYZE searched")

_MOST_BYTES = 900_000  # a tsvector takes 1 MB, and each place of a word two bytes and perhaps two more
_MOST_PLACES = 16_383  # what comes later is found by its words, not by its phrases


def stored(tokens: Sequence[str]) -> str:
    places: list[str] = []
    room = _MOST_BYTES
    for place, token in enumerate(tokens, start=1):
        room -= len(token.encode()) + 6
        if room < 0:
            break
        places.append(f"{_quoted(token)}:{min(place, _MOST_PLACES)}")
    return " ".join(places)


def matches(terms: Sequence[Term]) -> Select[Any]:
    from sqlalchemy.dialects.postgresql import TSQUERY  # noqa: PLC0415 - who has another database need not import it

    found = searched.alias()
    query = " & ".join(f"{'!' if term.negated else ''}({_phrase(term)})" for term in terms)
    return select(found.c.place, found.c.conversation_id, found.c.message_id).where(
        found.c.words.op("@@", is_comparison=True)(cast(query, TSQUERY))
    )


def _phrase(term: Term) -> str:
    return " <-> ".join(map(_quoted, term.tokens)) + (":*" if term.open else "")


def _quoted(token: str) -> str:
    return f"'{token}'"  # it has no quote in it
