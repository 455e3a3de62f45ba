"""Tokens that a model call used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the endpoint counted them. Adds up with `+`. Unknown is no `Usage` at all, never zeros."""

    input: int = 0
    """Tokens of the request, cached ones included."""
    cached_input: int = 0
    """How many of `input` were read from the endpoint's cache."""
    output: int = 0
    """Tokens of the answer, reasoning included."""
    reasoning: int = 0
    """How many of `output` were spent on reasoning."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input=self.input + other.input,
            cached_input=self.cached_input + other.cached_input,
            output=self.output + other.output,
            reasoning=self.reasoning + other.reasoning,
        )
