"""Failures in words: one classification, one sentence and one next step for each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

FailureKind = Literal[
    "auth",
    "quota",
    "rate_limit",
    "too_long",
    "filtered",
    "not_found",
    "forbidden",
    "bad_request",
    "server",
    "timeout",
    "unreachable",
    "garbled",
    "storage",
    "budget",
    "unexpected",
]

NextStep = Literal["add_key", "retry", "choose_model", "shorten", "drop_parameter", "check_endpoint", "spend", "none"]
"""What the button beside a failure does. Views map each to one action; `none` shows no button."""

NO_IMAGES = "images"
"""What stands in `Failure.parameter` when a model takes no pictures."""

_KEY_SHAPES = re.compile(
    r"""(?xi)
    \b(?:sk|rk|pk|gsk|xai|hf|pplx|fw|key|api)[-_][A-Za-z0-9_*\-.]{6,}   # provider prefixes; '*' because some mask half
    | \bAIza[A-Za-z0-9_\-]{10,}
    | (?<=bearer\s)[^\s"',;]{6,}
    """
)
_ONLY_KEYS = re.compile(r"(?i)\b(?:(?:sk|rk|pk|gsk|xai|hf|pplx|fw)[-_][A-Za-z0-9_*\-.]{6,}|AIza[A-Za-z0-9_\-]{10,})")
_LONG_WORD = re.compile(r"[A-Za-z0-9_-]{32,}")


def mask_keys(text: str, *known: str, ids: bool = False) -> str:
    """Return `text` with anything that looks like an API key, and every key in `known`, replaced by `…`.

    With `ids` a long word of letters and digits stays, as a server's own id of something is one. Servers echo keys in
    their 401 texts ("Incorrect API key provided: sk-abc…"); nothing that came from a server is shown, logged or stored
    without passing through here.
    """
    for key in known:
        if len(key) >= 4:
            text = text.replace(key, "…")
    if ids:
        return _KEY_SHAPES.sub("…", text)
    return _LONG_WORD.sub(_mask_mixed, _KEY_SHAPES.sub("…", text))


def mask_place(text: str) -> str:
    """Return the place of a key, with what can only be a key itself replaced by `…`; `api_key.txt` stays."""
    return _LONG_WORD.sub(_mask_mixed, _ONLY_KEYS.sub("…", text))


def _mask_mixed(word: re.Match[str]) -> str:
    """Mask a long word of letters and digits mixed: no such word is prose."""
    text = word.group()
    return "…" if re.search("[0-9]", text) and re.search("[A-Za-z]", text) else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why something failed, as a person reads it."""

    kind: FailureKind
    message: str
    """One plain sentence."""
    next_step: NextStep = "retry"
    retry_after_s: float | None = None
    """Seconds after which a retry makes sense, where the server said so."""
    parameter: str | None = None
    """The request field that the endpoint refused, with the step `drop_parameter`; `NO_IMAGES` for pictures."""
    status_code: int | None = None
    request_id: str | None = None
    """The server's own id of the request: what its support asks for."""
    detail: str | None = None
    """What the server said, keys masked, at most 2,000 characters."""
    tokens: int | None = None
    """How many the refused request had, where it was too long and the server said so."""
    window: int | None = None
    """How many the model takes, likewise."""


class PanelistError(Exception):
    """Base of every error that Panelist raises on purpose; `str()` is a sentence for a person."""


class SettingsError(PanelistError):
    """A setting that cannot be read. Stops the start."""


class InputError(PanelistError):
    """Something a person entered that cannot be accepted as it is. Nothing was changed."""


class NotFoundError(PanelistError):
    """The conversation, message or run does not exist, or belongs to somebody else."""


class StorageError(PanelistError):
    """The database cannot be opened, read or written. Nothing was changed."""


class NoDatabaseError(StorageError):
    """There is no database yet where one is to be read."""


class InUseError(StorageError):
    """Another Panelist has the database, and only one can write."""


class ModelError(PanelistError):
    """A model call failed; `failure` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
