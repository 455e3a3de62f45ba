"""What a reply grows by, read from the events of its run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.events import Numbered, ReasoningDelta, ReasoningEnded, ReasoningStarted, TextDelta

PORTION = 4_000
"""Characters that are painted at once: some milliseconds of Markdown."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What a reply grew by since the last one."""

    message_id: str
    reasoning: str
    text: str
    thinking_s: float | None = None
    """Seconds since the model began to think, where it began with this delta."""
    thought_s: float | None = None
    """Seconds it thought, where that ended with this delta."""


def delta_of(message_id: str, batch: Sequence[Numbered]) -> Delta:
    """Gather what a message grew by; the message in storage shows the rest, which only changes the activity."""
    text: list[str] = []
    reasoning: list[str] = []
    thinking_s = thought_s = None
    for numbered in batch:
        match numbered.event:
            case ReasoningStarted(at=at):
                thinking_s = max(0.0, time.time() - at)
            case ReasoningEnded(seconds=seconds):
                thinking_s, thought_s = None, (thought_s or 0.0) + seconds
            case TextDelta(text=piece):
                text.append(piece)
            case ReasoningDelta(text=piece):
                reasoning.append(piece)
            case _:
                pass
    return Delta(message_id, "".join(reasoning), "".join(text), thinking_s, thought_s)


def portions(whole: Delta) -> Iterator[Delta]:
    """Cut a delta into pieces that are painted in a moment each."""
    size = max(len(whole.reasoning), len(whole.text), 1)
    for start in range(0, size, PORTION):
        end = start + PORTION
        yield Delta(
            whole.message_id,
            whole.reasoning[start:end],
            whole.text[start:end],
            whole.thinking_s if start == 0 else None,
            whole.thought_s if end >= size else None,
        )
