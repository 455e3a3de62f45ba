"""What is written to the terminal while an answer comes, a few times a second however fast it is."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from typing import TextIO

GATHER_S = 0.01
"""Seconds between two writes at least: what comes meanwhile goes with the next."""

# The page never runs what a model says, and neither does a terminal: it takes these, ESC among them, for commands.
_COMMANDS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class ClosedError(Exception):
    """Nobody reads what is written any more."""


def visible(text: str) -> str:
    """Return a text without anything that a terminal would do instead of showing it."""
    return _COMMANDS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def tell(sentence: str) -> None:
    """Write a line to stdout."""
    print(visible(sentence), flush=True)  # noqa: T201 - it is the terminal


class Output:
    """Standard output. It is written in a thread: who reads it may be slow, and answers of others come meanwhile."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self.is_terminal = self._stream.isatty()
        self._pending: list[str] = []
        self._written: list[str] = []
        self._last = "\n"

    @property
    def begun(self) -> bool:
        """Whether anything was written."""
        return bool(self._written)

    @property
    def is_waiting(self) -> bool:
        """Whether there is anything to be written."""
        return bool(self._pending)

    @property
    def written(self) -> str:
        """What was written so far."""
        return "".join(self._written)

    def write(self, text: str) -> None:
        """Have a text written with the next `flush`."""
        if text:
            self._pending.append(text)

    async def flush(self) -> None:
        """Write what there is.

        Raises:
            ClosedError: nobody reads it any more.
        """
        text = "".join(self._pending)
        if not text:
            return
        self._pending.clear()
        self._written.append(text)
        self._last = text[-1]
        await asyncio.to_thread(self._put, visible(text) if self.is_terminal else text)

    async def end(self) -> None:
        """Write what there is, and end its line."""
        if (self._pending[-1][-1] if self._pending else self._last) != "\n":
            self.write("\n")
        await self.flush()

    def _put(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        try:
            while data:
                data = data[os.write(self._stream.fileno(), data) :]
        except BrokenPipeError as error:
            # Python would complain on its way out that it could not write what is left.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            raise ClosedError from error


class Activity:
    """One line on stderr that says what goes on, and is gone before anything else is written. For people alone."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self.is_on = self._stream.isatty()
        self._shown = False

    def show(self, text: str) -> None:
        if self.is_on:
            width = shutil.get_terminal_size().columns
            self._stream.write(f"\r\x1b[K\x1b[2m{visible(text)[: max(width - 1, 0)]}\x1b[0m")
            self._stream.flush()
            self._shown = True

    def clear(self) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = False
