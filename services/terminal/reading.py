"""What a person gives to a command: words, what is piped in, files, and which conversation."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from services.attachments import MAX_IMAGE, MAX_PIECE, Piece, text_of
from services.door import Door
from services.errors import InputError
from services.messages import new_id

LATEST = "latest"
"""Instead of a conversation's id."""

_MOST_PIPED = 10_000_000
"""Bytes: more than any question has."""


def question_of(words: Sequence[str]) -> str:
    """Return a question: the words, and behind them what is piped in where a `-` is among them, or there are none.

    Raises:
        InputError: there is none.
    """
    text = " ".join(word for word in words if word != "-")
    if "-" in words or (not words and not is_typed()):
        piped = _piped()
        if not piped.strip():
            raise InputError("Nothing came in by the pipe. Look at what is before it.")
        text = f"{text}\n\n{piped}" if text else piped
    if not text.strip():
        raise InputError("There is no question: write it behind `ask`, or pipe it in.")
    return text


async def conversation_of(door: Door, wanted: str | None) -> str | None:
    """Return the id of the conversation to go on with; None where a new one begins.

    Raises:
        InputError: there is none yet.
    """
    if wanted != LATEST:
        return wanted
    found = await door.conversations(1)
    if not found:
        raise InputError("There is no conversation yet to go on with. Ask without --continue.")
    return found[0].id


async def attach(door: Door, path: Path) -> tuple[str, str]:
    """Give a file to the door; return what names it in a question.

    Raises:
        InputError: it cannot be read, or is refused.
    """
    data = await asyncio.to_thread(_read, path)
    id, offset = new_id(), 0
    while True:
        some = data[offset : offset + MAX_PIECE]
        progress = await door.attach(Piece(id=id, name=path.name, size=len(data), offset=offset, data=some))
        if progress.attachment is not None:
            return progress.attachment.sha256, progress.attachment.name
        offset = progress.received


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_IMAGE + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}). Name another file.") from error


def is_typed() -> bool:
    """Whether a person types what comes in."""
    return sys.stdin is None or sys.stdin.isatty()


def _piped() -> str:
    data = sys.stdin.buffer.read(_MOST_PIPED + 1) if sys.stdin is not None else b""
    if len(data) > _MOST_PIPED:
        raise InputError(f"More than {_MOST_PIPED // 1_000_000} MB came in by the pipe. Attach it as a file with -f.")
    return text_of("standard input", data)
