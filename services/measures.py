"""What is kept of every request to a model: its measures, never a word of its content."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.conversation import RunRecord
from services.endpoints import Endpoint
from services.errors import FailureKind
from services.events import Reply
from services.messages import MessageStatus, Part, ReasoningPart, TextPart, new_id
from services.prices import price_of
from services.usage import Usage

RequestKind = Literal["chat", "title", "summary"]
"""What a model was asked for: an answer, the title of a conversation, a summary of its beginning."""

_BYTES_A_TOKEN = 3
"""Of UTF-8, for counts that nobody told: fewer than in any tokenizer's prose, so that money is not guessed too low."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One request, with all tries of it. Times are seconds."""

    id: str
    at: datetime
    """When it was asked for."""
    endpoint: str
    model: str
    """As the endpoint named it, else as it was asked for; empty where none could be found out."""
    kind: RequestKind
    status: MessageStatus
    error: FailureKind | None
    usage: Usage | None
    """As the endpoint told; None where it did not."""
    price: int | None
    """Nanodollars, of about as many tokens as came where `usage` is None; None where nobody knows a price."""
    queue_s: float | None
    """Until the first try began: files were read, and the model found out."""
    first_token_s: float | None
    """Until the first word."""
    total_s: float | None
    """None where Panelist did not see its end."""
    retries: int = 0
    conversation_id: str | None = None
    """None of a temporary chat."""

    @property
    def tokens_per_s(self) -> float | None:
        """Of output, from the first word to the end."""
        if self.usage is None or self.first_token_s is None or self.total_s is None:
            return None
        took = self.total_s - self.first_token_s
        return self.usage.output / took if took > 0 else None

    @property
    def cache_hit(self) -> bool:
        """Whether the endpoint read some of the input from its cache."""
        return self.usage is not None and self.usage.cached_input > 0


def orphaned(run: RunRecord, reply: Reply, endpoint: Endpoint | None, input_tokens: int | None) -> Measured | None:
    """Return what is kept of a run that a stop of Panelist cut short; None where it had sent nothing yet.

    Args:
        run: The run.
        reply: What came of it.
        endpoint: Where it went; None where that is not set up any more.
        input_tokens: About how many tokens it sent; None where nobody counted them.
    """
    if reply.model is None:
        return None
    counted = input_tokens is not None
    used = reply.usage or Usage(input=input_tokens or 0, output=about(size_of(reply.parts)))
    known = endpoint is not None and (counted or reply.usage is not None)
    return Measured(
        id=new_id(),
        at=run.started_at,
        endpoint=run.endpoint or "",
        model=reply.model,
        kind="chat",
        status=reply.status,
        error=reply.failure.kind if reply.failure is not None else None,
        usage=reply.usage,
        price=price_of(used, endpoint, reply.model, run.model, at=run.started_at) if endpoint and known else None,
        queue_s=None,
        first_token_s=None,
        total_s=None,
        conversation_id=run.conversation_id,
    )


def size_of(parts: Iterable[Part]) -> int:
    """Return how large the text is that a model wrote or was told, in bytes of UTF-8."""
    texts = (part.text for part in parts if isinstance(part, TextPart | ReasoningPart))
    return sum(len(text.encode("utf-8", "replace")) for text in texts)


def about(size: int) -> int:
    """Return about how many tokens a text of so many bytes is, rather too many than too few."""
    return math.ceil(size / _BYTES_A_TOKEN)
