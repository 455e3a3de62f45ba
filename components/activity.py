"""What the assistant is doing, in the words of the activity line."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import assert_never

from services.events import (
    Completing,
    KeyRefused,
    ModelNamed,
    ReasoningDelta,
    ReasoningEnded,
    ReasoningStarted,
    RequestSent,
    RetryScheduled,
    RunEvent,
    RunFinished,
    StepFinished,
    StepStarted,
    TextDelta,
    TokensScored,
    ToolCallRequested,
    UsageReported,
)

NEXT_KEY = "Trying the next key…"
WAITING = "Waiting for the model…"
THINKING = "Thinking…"
FINISHING = "Finishing the answer…"
TYPING = "Assistant is typing…"


def retry_activity(event: RetryScheduled) -> str:
    """Return what is said while a call waits for its next try."""
    left = max(0, math.ceil(event.at - time.time()))
    return f"Retrying in {left} s ({event.attempt} of {event.of})"


def activity_of_all(doing: Sequence[str], of: int) -> str:
    """Return what is done for all answers that are being written, of so many side by side."""
    busy = [one for one in doing if one]
    if of < 2 or not busy:
        return busy[0] if busy else ""
    return f"Writing {of} answers…" if len(busy) == of else f"Writing {len(busy)} of {of} answers…"


def activity_of(event: RunEvent, before: str) -> str:
    """Return what the assistant is doing after an event, in the words of the activity line."""
    match event:
        case StepStarted():
            return WAITING
        case KeyRefused():
            return NEXT_KEY
        case ReasoningStarted() | ReasoningDelta():
            return THINKING
        case TextDelta():
            return TYPING
        case Completing():
            return FINISHING
        case RunFinished():
            return ""
        case RetryScheduled():
            return retry_activity(event)
        case (
            RequestSent()
            | ModelNamed()
            | ReasoningEnded()
            | ToolCallRequested()
            | TokensScored()
            | UsageReported()
            | StepFinished()
        ):
            return before
        case _:
            assert_never(event)
