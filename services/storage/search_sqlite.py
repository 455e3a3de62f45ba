"""Full-text search as only SQLite does it: FTS5, beside the table that holds what is found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, column, select, table

from services.search import Term
from services.storage.schema import searched

# Our tokens come apart at spaces, so the simplest tokenizer does; prefixes of up to three characters have an index of
# their own, because a longer one fits few words. How often a word is in a text is not counted: hits come by time.
MAKE = (
    """
CREATE VIRTUAL TABLE searched_fts USING fts5(
    words, content='searched', content_rowid='place', tokenize='ascii', prefix='1 2 3', columnsize=0)
""",
    "INSERT INTO searched_fts(searched_fts) VALUES ('rebuild')",
    """
CREATE TRIGGER searched_added AFTER INSERT ON searched BEGIN
    INSERT INTO searched_fts(rowid, words) VALUES (new.place, new.words);
END
""",
    """
CREATE TRIGGER searched_removed AFTER DELETE ON searched BEGIN
    INSERT INTO searched_fts(searched_fts, rowid, words) VALUES ('delete', old.place, old.words);
END
""",
    """
CREATE TRIGGER searched_changed AFTER UPDATE OF words ON searched BEGIN
    INSERT INTO searched_fts(searched_fts, rowid, words) VALUES ('delete', old.place, old.words);
    INSERT INTO searched_fts(rowid, words) VALUES (new.place, new.words);
END
""",
)


def stored(tokens: Sequence[str]) -> str:
    return " ".join(tokens)


def matches(terms: Sequence[Term]) -> Select[Any]:
    index = table("searched_fts", column("rowid"), column("searched_fts")).alias()
    found = searched.alias()
    wanted = " AND ".join(_phrase(term) for term in terms if not term.negated)
    query = " NOT ".join([f"({wanted})", *(_phrase(term) for term in terms if term.negated)])
    return (
        select(index.c.rowid.label("place"), found.c.conversation_id, found.c.message_id)
        .join(found, found.c.place == index.c.rowid)
        .where(index.c.searched_fts.op("MATCH", is_comparison=True)(query))
    )


def _phrase(term: Term) -> str:
    return f'"{" ".join(term.tokens)}"{" *" if term.open else ""}'
