"""Messages and their parts: pure values."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, get_args

from services.errors import Failure
from services.options import Options
from services.usage import Usage

Role = Literal["user", "assistant"]

MessageStatus = Literal[
    "streaming",
    "complete",
    "stopped",
    "truncated",
    "refused",
    "filtered",
    "interrupted",
    "failed",
    "awaiting_approval",
]
"""How far a message has come; every one but `streaming` and `awaiting_approval` is final."""

MESSAGE_STATUSES: tuple[MessageStatus, ...] = get_args(MessageStatus)

_ENDS: frozenset[MessageStatus] = frozenset(
    {"complete", "stopped", "truncated", "refused", "filtered", "interrupted", "failed"}
)
TRANSITIONS: Mapping[MessageStatus, frozenset[MessageStatus]] = {
    "streaming": _ENDS | {"awaiting_approval"},
    "awaiting_approval": frozenset({"streaming", "stopped", "interrupted"}),
    **dict.fromkeys(_ENDS, frozenset()),
}
"""What a run's status can become. An end is final; whoever goes on with an answer does so in a new run."""

RESUMABLE: frozenset[MessageStatus] = frozenset({"stopped", "truncated", "interrupted"})
"""Statuses of the answers that a new run can go on with in place."""

ANSWERED: frozenset[MessageStatus] = frozenset({"complete", "truncated", "refused"})
"""Statuses of the answers that are regenerated, while of others it is tried again to get one at all."""

ENDED_BY_MODEL: frozenset[MessageStatus] = frozenset({"complete", "truncated", "refused", "filtered"})
"""Statuses of the answers that nothing cut short: whatever waits for the answer can go on."""


def moved(before: MessageStatus, after: MessageStatus) -> MessageStatus:
    """Return the status a run has next.

    Raises:
        ValueError: `before` never becomes `after`.
    """
    if after not in TRANSITIONS[before]:
        raise ValueError(f"a run that is {before} cannot become {after}")
    return after


_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id() -> str:
    """Return a new id of 26 characters that sorts by time of creation (ULID, https://github.com/ulid/spec)."""
    return _as_id((time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10), "big"))


def derived_id(*words: str) -> str:
    """Return an id that is always the same for these words, and another one for others."""
    digest = hashlib.sha256("\0".join(words).encode()).digest()
    return _as_id(int.from_bytes(digest[:16], "big"))


def _as_id(number: int) -> str:
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """What a provider gave along with a part and wants back unchanged. It means nothing to anybody else."""

    origin: str
    """Who gave it, as the adapter names it; nobody else may get it."""
    data: str
    """JSON."""


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """What a reasoning model showed of its thinking, which may be nothing: then only the metadata is there."""

    text: str
    provider_metadata: ProviderMetadata | None = None
    seconds: float | None = None
    """How long the thinking took that this part ends; None where it was cut short, or is not over with this part."""
    kind: Literal["reasoning"] = "reasoning"


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A tool the model asked for. `arguments` is the raw text it sent, which may be broken JSON: parse late."""

    id: str
    name: str
    arguments: str
    kind: Literal["tool_call"] = "tool_call"


@dataclass(frozen=True, slots=True)
class ErrorPart:
    failure: Failure
    kind: Literal["error"] = "error"


@dataclass(frozen=True, slots=True)
class AttachmentPart:
    """A file that a person sent along. Its bytes are kept once, under their hash."""

    sha256: str
    """Hexadecimal; the one name under which the bytes are looked up."""
    name: str
    """As it is shown; never a path."""
    media_type: str
    size: int
    """Bytes."""
    kind: Literal["attachment"] = "attachment"

    @property
    def is_image(self) -> bool:
        return self.media_type.startswith("image/")


Part = TextPart | ReasoningPart | ToolCallPart | ErrorPart | AttachmentPart


@dataclass(frozen=True, slots=True)
class Processed:
    """What was made of an answer once it was complete. Its parts stay as they came."""

    texts: tuple[str, ...]
    """What is shown in the place of each text part, in order."""
    steps: tuple[str, ...]
    """The names of the steps that changed something, in order."""
    problems: tuple[str, ...] = ()
    """A sentence for each step that was left out."""
    shown: bool = True
    """False when a person wants to see the answer as it came."""


def as_shown(parts: Iterable[Part], processed: Processed | None) -> tuple[Part, ...]:
    """Return the parts of a message with their texts as they are shown."""
    held = tuple(parts)
    if processed is None or not processed.shown:
        return held
    if sum(isinstance(part, TextPart) for part in held) != len(processed.texts):
        return held  # they are not of this message
    texts = iter(processed.texts)
    return tuple(TextPart(next(texts)) if isinstance(part, TextPart) else part for part in held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a model is told instead of a message and all before it."""

    summary: str | None = None
    """None: nothing at all."""
    model: str | None = None
    """The one that wrote the summary."""
    at: datetime
    """When that was decided; aware, UTC. Answers from before were told more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation's tree. Immutable once finished; an edit makes a sibling."""

    id: str
    conversation_id: str
    parent_id: str | None
    role: Role
    parts: tuple[Part, ...]
    status: MessageStatus
    created_at: datetime
    """Aware, UTC."""
    run_id: str | None = None
    """The run that wrote it; None for a question."""
    endpoint: str | None = None
    model: str | None = None
    """The one that answered, as the endpoint named it; the one that was asked, where any was named, until then."""
    options: Options | None = None
    """What an answer was asked with, by a model."""
    usage: Usage | None = None
    picked_from: str | None = None
    """The message that it is a copy of, from another branch; that one may be gone."""
    memory: Memory | None = None
    """Where the model's memory begins behind this message, what it is told instead; questions that follow go by it."""
    processed: Processed | None = None
    """What was made of its text once it was complete, where anything was."""
    together: str | None = None
    """What it has in common with the answers that it stands side by side with, until one of them is chosen."""

    @property
    def by_hand(self) -> bool:
        """Whether a person wrote an answer: every model's has a run, an endpoint or at least a name."""
        return self.role == "assistant" and self.run_id == self.endpoint == self.model is None

    @property
    def shown(self) -> Message:
        """The message with what is shown of it for its parts."""
        return replace(self, parts=as_shown(self.parts, self.processed), processed=None) if self.processed else self

    @property
    def text(self) -> str:
        """The text parts, joined, as they are shown; what is copied and what the model receives."""
        return text_of(as_shown(self.parts, self.processed))

    @property
    def attachments(self) -> tuple[AttachmentPart, ...]:
        """The files that came with it."""
        return tuple(part for part in self.parts if isinstance(part, AttachmentPart))


def text_of(parts: Iterable[Part]) -> str:
    """Return the text parts, joined."""
    return "".join(part.text for part in parts if isinstance(part, TextPart))


_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def clean_text(text: str) -> str:
    """Return `text` fit for storage, the wire and the page.

    Pairs of lone surrogates become the character they stand for (an emoji may be cut in two on its way), single ones
    become U+FFFD; NUL and other control characters except tab and line breaks are removed.
    """
    try:
        text.encode()  # nearly always nothing is wrong, and then no copy is made: a text may have megabytes
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _NOT_TEXT.sub("", text)
