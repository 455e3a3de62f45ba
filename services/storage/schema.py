"""The tables. Every change to them is a migration too (`migrations/versions/`); a test compares the two."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import get_args

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import UserDefinedType

from services.alerts import AGAINST, SPANS, WATCHED
from services.conversation import TitleSource
from services.measures import RequestKind
from services.messages import MESSAGE_STATUSES, Role, clean_text
from services.spending import SCOPES
from services.statistics import Sums


class UtcTime(TypeDecorator[datetime]):
    """A moment: stored as UTC, returned aware. SQLite keeps no time zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class SearchVector(UserDefinedType[str]):
    """PostgreSQL's `tsvector`. SQLAlchemy's own comes with all else it knows of PostgreSQL, which takes its time."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "TSVECTOR"


class CleanText(TypeDecorator[str]):
    """Words from outside (titles, model names). What no database takes is removed instead of failing the write.

    Not for owners and ids: there, two different texts must never become the same one.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else clean_text(value)


def _one_of(column: str, words: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(map(repr, words))})", name=column)


def _usage() -> list[Column[int]]:
    """Columns of a `Usage`; all NULL where the endpoint did not say."""
    # An endpoint may report any number; SQLite's INTEGER has 64 bits, PostgreSQL's 32.
    count = BigInteger().with_variant(Integer, "sqlite")
    return [Column(name, count) for name in ("input", "cached_input", "output", "reasoning")]


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger().with_variant(Integer, "sqlite"), nullable=False)


STAGED = "\x1fimport/"
"""How the owner of a conversation begins that is still coming in; nobody is called so. Word and owner follow."""


def owner_of(owner: str) -> str:
    """Return whose a conversation is, or will be once it has come in."""
    return owner.removeprefix(STAGED).partition("/")[2] if owner.startswith(STAGED) else owner


metadata = MetaData(
    naming_convention={  # names, so that a later migration can take hold of each constraint
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("title", CleanText, nullable=False),
    Column("title_source", Text, nullable=False),
    # No foreign key: it would point in a circle with messages.conversation_id. The store checks membership.
    Column("head_id", Text),
    Column("endpoint", CleanText),
    Column("model", CleanText),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("deleted_at", UtcTime),
    Column("options", Text),
    # No foreign key, which SQLite cannot add to a table: what removes a folder sees to it.
    Column("folder_id", Text),
    Column("pinned_at", UtcTime),
    Column("archived_at", UtcTime),
    # Words with a space between them: they hold none. NULL where there are none.
    Column("tags", Text),
    _one_of("title_source", get_args(TitleSource)),
    # All of one owner, read backwards.
    Index(None, "owner", "deleted_at", "updated_at", "id"),
    # The list, a folder at a time, likewise; and how many are where.
    Index(
        "ix_conversations_list",
        *("owner", "deleted_at", "archived_at", "folder_id", "pinned_at", "updated_at", "id"),
    ),
    Index(None, "owner", "tags"),
)

folders = Table(
    "folders",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False, index=True),
    Column("parent_id", Text, ForeignKey("folders.id")),
    Column("name", CleanText, nullable=False),
    Column("endpoint", CleanText),
    Column("model", CleanText),
    Column("system_prompt", CleanText),
    Column("unfolded", Boolean, nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("id", Text, primary_key=True),
    Column("conversation_id", Text, ForeignKey("conversations.id"), nullable=False),
    Column("parent_id", Text, ForeignKey("messages.id")),
    Column("seq", Integer, nullable=False),
    Column("role", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("run_id", Text),
    Column("endpoint", CleanText),
    Column("model", CleanText),
    *_usage(),
    Column("created_at", UtcTime, nullable=False),
    Column("options", Text),
    # Of a message that left the tree with all that followed it, until it is brought back or erased.
    Column("pruned_at", UtcTime),
    # No foreign key: a copy outlives what it was made from.
    Column("picked_from", Text),
    # What a model is told instead of this message and all before it.
    Column("memory", Text),
    # What the steps of post-processing made of an answer, whose parts stay as they came.
    Column("processed", Text),
    # A word that answers have in common which stand side by side; NULL once one of them was chosen.
    Column("together", Text),
    _one_of("role", get_args(Role)),
    _one_of("status", MESSAGE_STATUSES),
    UniqueConstraint("conversation_id", "seq"),
    # Siblings and children, the newest last; roots are the siblings whose parent is NULL.
    Index(None, "conversation_id", "parent_id", "seq"),
    Index("ix_messages_pruned_at", "pruned_at", sqlite_where=text("pruned_at IS NOT NULL")),
)

parts = Table(
    "parts",
    metadata,
    Column("message_id", Text, ForeignKey("messages.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("data", Text, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("conversation_id", Text, ForeignKey("conversations.id"), nullable=False, index=True),
    Column("message_id", Text, ForeignKey("messages.id"), nullable=False, index=True),
    Column("status", Text, nullable=False, index=True),
    Column("endpoint", CleanText),
    Column("model", CleanText),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("first_token_s", Float),
    Column("total_s", Float),
    Column("finish_reason", Text),
    Column("response_id", CleanText),
    Column("request_id", CleanText),
    *_usage(),
    Column("failure", Text),
    # What it asked with beside the messages.
    Column("recipe", Text),
    # How likely the model held the pieces of what it wrote, where that was asked for.
    Column("probabilities", Text),
    _one_of("status", MESSAGE_STATUSES),
)

# What recipes name by its hash: system prompts. Each is there once in a conversation, and goes with it.
texts = Table(
    "texts",
    metadata,
    Column("conversation_id", Text, ForeignKey("conversations.id"), primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("text", Text, nullable=False),
)

run_events = Table(
    "run_events",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("data", Text, nullable=False),
)

# By them a request that arrives twice is known. A table of its own: a run needs none.
request_keys = Table(
    "request_keys",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("run_id", Text, ForeignKey("runs.id"), nullable=False),
)

# What waits for the answer before it. A message only becomes one of the tree, with its parent, when it is sent.
queued = Table(
    "queued",
    metadata,
    Column("id", Text, primary_key=True),
    Column("conversation_id", Text, ForeignKey("conversations.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("text", CleanText, nullable=False),
    Column("request_key", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("removed_at", UtcTime),
    Column("attachments", Text),
    UniqueConstraint("conversation_id", "seq"),
)

# Whose bytes are whose; the bytes are files beside the database. Those that no message names go after a while.
attachments = Table(
    "attachments",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("media_type", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
)

# What is searched: a row for each message that has ended and, without a message, for each title. The index that finds
# it is each database's own, and kept beside this.
searched = Table(
    "searched",
    metadata,
    Column("place", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("conversation_id", Text, ForeignKey("conversations.id"), nullable=False),
    Column("message_id", Text, ForeignKey("messages.id")),
    Column("words", Text().with_variant(SearchVector(), "postgresql"), nullable=False),
    Index(None, "conversation_id", "message_id"),
)

# What every request to a model measured, never a word of its content. No foreign keys: it outlives what it was for.
requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),
    # Milliseconds since 1970, UTC: both databases count days with them.
    Column("at", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
    Column("owner", Text, nullable=False),
    Column("conversation_id", Text),
    Column("endpoint", CleanText, nullable=False),
    Column("model", CleanText, nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("error", Text),
    *_usage(),
    # Nanodollars; NULL where nobody knows.
    Column("price", BigInteger().with_variant(Integer, "sqlite")),
    Column("queue_s", Float),
    Column("first_token_s", Float),
    Column("total_s", Float),
    Column("retries", Integer, nullable=False),
    _one_of("kind", get_args(RequestKind)),
    _one_of("status", MESSAGE_STATUSES),
    # Enough to add up a day or a month, of one endpoint or of all, without reading a row.
    Index(None, "owner", "at", "endpoint", "price"),
    Index(None, "conversation_id", "price"),
)

# What `requests` adds up to, by day, so that a million of them need not be. Without row ids: the keys are the rows.
tallies = Table(
    "tallies",
    metadata,
    Column("owner", Text, primary_key=True),
    # Days since 1970-01-01, by the time zone that the server had then.
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("endpoint", CleanText, primary_key=True),
    Column("model", CleanText, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("status", Text, primary_key=True),
    # Empty where there was none: a key has no NULL.
    Column("error", Text, primary_key=True),
    *(_count(field.name) for field in fields(Sums)),
    sqlite_with_rowid=False,
)

# How answers were timed, in classes; see `services.statistics.class_of`. The day comes last: all days of a class lie
# together, and are added up without sorting.
timings = Table(
    "timings",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("endpoint", CleanText, primary_key=True),
    Column("model", CleanText, primary_key=True),
    Column("measure", Text, primary_key=True),
    Column("class", Integer, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    _count("count"),
    sqlite_with_rowid=False,
)

# What conversations cost, likewise. No foreign key: it outlives them.
costs = Table(
    "costs",
    metadata,
    Column("owner", Text, primary_key=True),
    # Empty of all temporary chats together.
    Column("conversation_id", Text, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("endpoint", CleanText, primary_key=True),
    Column("model", CleanText, primary_key=True),
    *(_count(name) for name in ("requests", "tokens", "price", "unpriced")),
    sqlite_with_rowid=False,
)

# What `requests` adds up to by the hour, for alerts; hours that nothing is compared with any more go.
hours = Table(
    "hours",
    metadata,
    Column("owner", Text, primary_key=True),
    # Hours since 1970, UTC.
    Column("hour", Integer, primary_key=True, autoincrement=False),
    *(_count(name) for name in ("requests", "failed", "price")),
    sqlite_with_rowid=False,
)

hour_timings = Table(
    "hour_timings",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("measure", Text, primary_key=True),
    Column("class", Integer, primary_key=True, autoincrement=False),
    _count("count"),
    sqlite_with_rowid=False,
)


def _rule(*, key: bool) -> list[Column[str] | Column[float] | CheckConstraint]:
    return [
        *(Column(name, Text, primary_key=key, nullable=False) for name in ("watched", "span", "against")),
        Column("amount", Float, nullable=False),
        _one_of("watched", WATCHED),
        _one_of("span", SPANS),
        _one_of("against", AGAINST),
    ]


alert_rules = Table(
    "alert_rules",
    metadata,
    Column("owner", Text, primary_key=True),
    *_rule(key=True),
    Column("enabled", Boolean, nullable=False),
)

# What was too much, with the rule as it was then.
alerts = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    *_rule(key=False),
    # Milliseconds since 1970, UTC.
    Column("at", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
    Column("value", Float, nullable=False),
    Column("level", Float, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("recovered_at", BigInteger().with_variant(Integer, "sqlite")),
    Column("dismissed_at", BigInteger().with_variant(Integer, "sqlite")),
    # Empty where the webhook was told, else why not; NULL where there was none.
    Column("delivery", Text),
    Index(None, "owner", "at"),
)

# Where alerts are told beside the page. Whoever has the address can write there, so no page is given it back.
alert_hooks = Table(
    "alert_hooks",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("url", Text, nullable=False),
)

# What runs that are at work could cost at most. A row goes in the transaction that ends its run.
reservations = Table(
    "reservations",
    metadata,
    # No foreign key: the runs of temporary chats are not in this database.
    Column("run_id", Text, primary_key=True),
    Column("owner", Text, nullable=False, index=True),
    Column("conversation_id", Text),
    Column("endpoint", CleanText, nullable=False),
    Column("at", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
    Column("amount", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
    Column("input_tokens", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
)

budgets = Table(
    "budgets",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("name", CleanText, primary_key=True),
    Column("amount", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
    _one_of("scope", SCOPES),
)

# When keys were seen, by fingerprints that say nothing without a secret, which is not in here.
endpoint_keys = Table(
    "endpoint_keys",
    metadata,
    Column("endpoint", CleanText, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("seen_at", UtcTime, nullable=False),
    Column("used_at", UtcTime),
    Column("refused_at", UtcTime),
)

dropped_parameters = Table(
    "dropped_parameters",
    metadata,
    Column("endpoint", CleanText, primary_key=True),
    Column("parameter", CleanText, primary_key=True),
)


def add_for_postgresql() -> None:
    """Say what PostgreSQL alone understands: to name it above would import all that SQLAlchemy knows of it."""
    index = next(index for index in messages.indexes if index.name == "ix_messages_pruned_at")
    index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]
