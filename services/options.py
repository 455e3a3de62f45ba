"""The parameters of a conversation: a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The parameters of a conversation. Unset ones are not sent. `services.parameters` says what each does."""

    endpoint: str | None = None
    model: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    output: Literal["json"] | None = None
    service_tier: str | None = None
    logprobs: Literal["on"] | None = None
    """Whether it is kept how likely the model held each piece of an answer."""
    answers: int | None = None
    """How many answers a question gets, side by side; each is a request of its own."""
    system_prompt: str | None = None
    """What the model is told before the conversation, instead of what its folder or the settings say; "" is nothing."""
    post: tuple[str, ...] | None = None
    """The names of the steps that complete answers go through, in order: nothing of a model's. Unset: as everywhere."""
