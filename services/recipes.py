"""What a run asked with beside the messages: enough to make the same request again. Values and pure functions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.endpoints import Endpoint
from services.messages import ErrorPart, Message, ReasoningPart, TextPart
from services.options import Options


@dataclass(frozen=True, slots=True)
class Kept:
    """How much there was of an answer when a run went on with it."""

    parts: int
    chars: int
    """Of the text of the last of them."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a model was told of a conversation whose beginning it was not told in full."""

    begins: str
    """The message from which on it was told all."""
    summary: str | None
    """What it was told of those before; None for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a run asked with."""

    endpoint: Endpoint
    model: str
    options: Options
    system_prompt: str | None = None
    blind: bool = False
    """Whether the model had refused pictures before, and got only those of the last question."""
    kept: Kept | None = None
    """None unless the run went on with an answer."""
    memory: Told | None = None
    """None where the model was told all."""


def kept_of(answer: Message) -> Kept | None:
    """Return how much there is of an answer that a run is about to write or to go on with."""
    parts = [part for part in answer.parts if not isinstance(part, ErrorPart)]
    return Kept(len(parts), len(getattr(parts[-1], "text", ""))) if parts else None


def as_it_was(answer: Message, kept: Kept | None) -> Message:
    """Return an answer as it was when a run began to write it, or to go on with it."""
    if kept is None:
        return replace(answer, parts=())
    parts = answer.parts[: kept.parts]
    last = parts[-1] if parts else None
    if isinstance(last, TextPart | ReasoningPart):
        parts = (*parts[:-1], replace(last, text=last.text[: kept.chars]))
    return replace(answer, parts=parts)
