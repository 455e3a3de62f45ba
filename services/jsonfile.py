"""Reading a JSON file that anybody may have made: a piece at a time, with limits, in sentences."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NoReturn

from services.errors import InputError
from services.messages import clean_text

MAX_JSON = 500_000_000
"""Characters of a file, unpacked."""

MAX_VALUE = 50_000_000
"""Characters of one value in it that is read at once, such as a conversation."""

MAX_VALUES = 1_000_000
"""Lists, objects and what is in them, of one value in it: two characters of an empty list become 64 bytes and more."""

_PIECE = 100_000
"""Characters that are read, and at most about twice as many decoded, at once: nobody else runs meanwhile."""

_MOST_NUMBER = 2**63
_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')


def refused(why: str) -> InputError:
    """Return the error that says why a file was not imported."""
    return InputError(f"This file was not imported: {why}. Nothing was changed.")


@contextmanager
def damage_told() -> Iterator[None]:
    """Turn what reading an archive or a text raises into a sentence."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError) as error:
        raise refused("it is damaged, or packed in a way that cannot be read") from error
    except UnicodeDecodeError as error:
        raise refused("it is not text in UTF-8") from error


class JsonFile:
    """A JSON text of which one value at a time is in memory."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._buffer = ""
        self._at = 0
        self._read = 0
        self._began = 0
        self._values = 0
        self._decoder = json.JSONDecoder(parse_constant=_no_constant)

    @property
    def read(self) -> int:
        """Characters that were read so far."""
        return self._read

    def peek(self) -> str:
        """Return the next character that counts; empty at the end."""
        while True:
            space = _SPACE.match(self._buffer, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                return ""

    def take(self, character: str) -> None:
        """Go on behind a character that has to come next."""
        if self.peek() != character:
            raise _no_json()
        self._at += 1

    def value(self) -> object:
        """Return the next value."""
        try:
            return self._value()
        except RecursionError as error:
            raise refused("it is nested too deeply") from error

    def items(self) -> Iterator[object]:
        """Yield the items of the list that comes next."""
        for _ in self._each():
            self._began, self._values = self._read - len(self._buffer) + self._at, 0
            yield self.value()

    def names(self) -> Iterator[str]:
        """Yield the names in the object that comes next; the value of each has to be taken before the next one.

        The limits of one value hold for all of them together, as long as there is no list whose items are taken.
        """
        self.take("{")
        following = self.peek() != "}"
        while following:
            name = self.value()
            if not isinstance(name, str):
                raise _no_json()
            self.take(":")
            yield name
            following = self.peek() == ","
            if following:
                self.take(",")
        self.take("}")

    def end(self) -> None:
        """Refuse what comes behind the end."""
        if self.peek():
            raise _no_json()

    def _value(self) -> object:
        """Return the next value: at once where it is short, else as what is in it."""
        begins = self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except ValueError as error:
                if self._read - self._began > MAX_VALUE:
                    raise refused(f"one conversation in it has more than {MAX_VALUE // 1_000_000} MB") from error
                if begins in ("[", "{") and len(self._buffer) - self._at >= _PIECE:
                    return self._inside(begins)
                if not self._more():
                    raise _no_json() from error
            else:
                if end < len(self._buffer) or not self._more():  # else a number might go on
                    if begins in ("[", "{"):
                        bare = _STRING.sub("", self._buffer[self._at : end])
                        self._count(sum(bare.count(mark) for mark in "[{,"))
                    self._at = end
                    return value

    def _inside(self, begins: str) -> object:
        if begins == "[":
            return [self._value() for _ in self._each()]
        found: dict[str, object] = {}
        for name in self.names():
            self._count(1)
            found[name] = self._value()
        return found

    def _each(self) -> Iterator[None]:
        """Go through the list that comes next; each item has to be taken before the next one."""
        self.take("[")
        following = self.peek() != "]"
        while following:
            self._count(1)
            yield
            following = self.peek() == ","
            if following:
                self.take(",")
        self.take("]")

    def _count(self, values: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise refused(f"one conversation in it is made of more than {MAX_VALUES:,} pieces")

    def _more(self) -> bool:
        """Read on, twice as much as there is: a long text is not tried more often than it has to be."""
        rest = len(self._buffer) - self._at
        with damage_told():
            piece = self._file.read(max(_PIECE, rest))
        self._read += len(piece)
        if self._read > MAX_JSON:
            raise refused(f"it holds more than {MAX_JSON // 1_000_000} MB of text")
        self._buffer, self._at = self._buffer[self._at :] + piece, 0
        return bool(piece)


def check_values(value: object) -> None:
    """Raise InputError where a value, however deep in it, holds what no database takes."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text if not (text.isascii() and text.isprintable()) and clean_text(text) != text:
                raise refused("there are characters in it that no text has, such as NUL or half of an emoji")
            case dict() as inner:
                waiting += [*inner.keys(), *inner.values()]
            case list() as inner:
                waiting += inner
            case int() | float() as number if not -_MOST_NUMBER <= number < _MOST_NUMBER:
                raise refused("there is a number in it that is out of all bounds")
            case _:
                pass


def _no_json() -> InputError:
    return refused("it is not JSON, or it was cut off")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
