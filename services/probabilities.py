"""How likely a model held each piece of its answer, and what else it might have said: values and pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

MOST = 4_000
"""Pieces of one run that are kept: with what else might have stood there some hundred kilobytes."""

MOST_OTHERS = 5
"""Others that an endpoint is asked for, and that are kept, of each."""

MOST_CHARS = 100
"""Of a piece."""

_LEAST = -1_000.0
"""Of a logarithm: zero itself has none that JSON could hold."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an answer, as the model's vocabulary has it: a word, part of one, or a sign."""

    text: str
    logprob: float
    """The natural logarithm of its probability, 0 at most."""
    others: tuple[tuple[str, float], ...] = ()
    """What else might have stood there, each with its logarithm, the likeliest first."""

    @property
    def percent(self) -> float:
        return percent_of(self.logprob)


def percent_of(logprob: float) -> float:
    """Return a probability in percent."""
    return 100 * math.exp(logprob)


def logprob_of(value: object) -> float | None:
    """Return a logarithm of a probability as it is kept; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return round(min(0.0, max(_LEAST, float(value))), 4)


def plain_of(tokens: Iterable[Token]) -> list[list[str | float | list[str | float]]]:
    """Return tokens as JSON has them: a list of each, of its text, its logarithm, and a list of each of the others."""
    return [[one.text, one.logprob, *_pairs(one.others)] for one in tokens]


def _pairs(others: Iterable[tuple[str, float]]) -> list[list[str | float]]:
    return [[text, logprob] for text, logprob in others]


def from_plain(value: object) -> tuple[Token, ...]:
    """Return the tokens that `plain_of` wrote.

    Raises:
        ValueError: they are none, or too many.
    """
    if not isinstance(value, list) or len(value) > MOST:
        raise ValueError("no list of pieces")
    return tuple(map(_token, value))


def _token(value: object) -> Token:
    if not isinstance(value, list) or not 2 <= len(value) <= 2 + MOST_OTHERS:
        raise ValueError("no piece")
    text, logprob = _pair(value[:2])
    return Token(text, logprob, tuple(map(_pair, value[2:])))


def _pair(value: object) -> tuple[str, float]:
    text, logprob = value if isinstance(value, list) and len(value) == 2 else (None, None)
    found = logprob_of(logprob)
    if not isinstance(text, str) or len(text) > MOST_CHARS or found is None:
        raise ValueError("no text with its logarithm")
    return text, found
