"""Where the terminal finds a server that runs, and what both say: lines of JSON over a socket of this machine.

A connection is one call: a line that asks, and lines that answer. Both ends are of this machine and this person.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from stat import S_ISDIR
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from services.door import Door
from services.errors import Failure, InputError, ModelError, NotFoundError, PanelistError, StorageError
from services.settings import Settings

T = TypeVar("T")

VERSION = 2
"""Of what is said. It grows with every change to it."""

MAX_LINE = 32_000_000
"""Bytes of a line: a question, or a piece of a file, with what JSON makes of it."""

MAX_PATH = 100
"""Bytes of a socket's path: the system takes 108, or 104 on macOS."""

CALLS: dict[str, dict[str, Any]] = {
    name: get_type_hints(getattr(Door, name))
    for name in (
        *("ask", "retry", "stop", "answer", "trouble", "attach"),
        *("conversations", "conversation", "said", "set_options", "endpoints", "models"),
    )
}
"""What can be called, with the types of what it takes and of what it returns. `follow` is beside them."""

_ERRORS: dict[str, type[PanelistError]] = {"input": InputError, "not_found": NotFoundError, "storage": StorageError}


class OtherVersionError(PanelistError):
    """Whoever has the database says what this version does not understand."""

    def __init__(self) -> None:
        super().__init__("A server of another version of Panelist has the database. Restart it, then try again.")


def places(settings: Settings) -> tuple[Path, ...]:
    """Return where the socket may be, the best place first.

    Its name is that of the database, of which a data directory may have seen several. Where the path is too long, or
    the file system knows no sockets, it is in the system's temporary directory.
    """
    if not hasattr(socket, "AF_UNIX"):
        return ()
    database = str(settings.database).removeprefix("sqlite:///")
    own = database == str(settings.data_dir / "panelist.db")
    name = "panelist.sock" if own else f"panelist-{_digest(database)[:8]}.sock"
    here = settings.data_dir / "door" / name
    elsewhere = Path(tempfile.gettempdir()) / f"panelist-{_digest(str(settings.data_dir))}" / name
    return tuple(place for place in (here, elsewhere) if len(os.fsencode(place)) <= MAX_PATH)


def is_private(folder: Path) -> bool:
    """Whether a folder is this person's, and nobody else can enter it. Else a socket in it may be anybody's."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def line_of(value: object) -> bytes:
    """Return a value as a line."""
    return json.dumps(plain(value), separators=(",", ":")).encode() + b"\n"


def error_line(error: PanelistError) -> bytes:
    """Return a line that says what went wrong."""
    if isinstance(error, ModelError):
        return line_of({"error": "model", "failure": error.failure})
    name = next((name for name, kind in _ERRORS.items() if isinstance(error, kind)), "storage")
    return line_of({"error": name, "message": str(error)})


def error_of(said: Mapping[str, object]) -> PanelistError | None:
    """Return the error that a line says; None where it says none."""
    match said:
        case {"error": "model", "failure": failure}:
            return ModelError(value_of(Failure, failure))
        case {"error": "version"}:
            return OtherVersionError()
        case {"error": str(name), "message": str(message)}:
            return _ERRORS.get(name, StorageError)(message)
    return None


def read_line(line: bytes) -> dict[str, object]:
    """Return what a line says; OtherVersionError where it is none."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise OtherVersionError from error
    if not isinstance(said, dict):
        raise OtherVersionError
    return said


def plain(value: object) -> object:
    """Return a value as JSON has it."""
    match value:
        case datetime():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case Mapping():
            return {name: plain(inner) for name, inner in value.items()}
        case Sequence() if not isinstance(value, str):
            return [plain(inner) for inner in value]
        case _ if is_dataclass(value):
            return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        case _:
            return value


def value_of(kind: type[T] | Any, data: object) -> T:
    """Return the value of a type that `plain` made JSON of; OtherVersionError where it is none."""
    try:
        return cast(T, _value(kind, data))
    except (TypeError, ValueError, LookupError) as error:
        raise OtherVersionError from error


def _value(kind: Any, data: Any) -> object:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is None or kind is NoneType:
        return None
    if origin in {Union, UnionType}:
        if data is None and NoneType in inner:
            return None
        return _value(_one_of([one for one in inner if one is not NoneType], data), data)
    if origin is tuple:
        return _tuple(inner, data)
    if is_dataclass(kind):
        return _object(kind, data)
    return _single(kind, data)


def _tuple(kinds: tuple[Any, ...], data: Any) -> tuple[object, ...]:
    if not isinstance(data, list):
        raise TypeError(data)
    if kinds[-1] is ...:
        return tuple(_value(kinds[0], one) for one in data)
    return tuple(_value(kind, one) for kind, one in zip(kinds, data, strict=True))


def _object(make: Any, data: Any) -> object:
    if not isinstance(data, dict):
        raise TypeError(data)
    hints = _hints(make)
    return make(**{name: _value(hints[name], given) for name, given in data.items()})


def _single(kind: Any, data: Any) -> object:
    if kind is datetime:
        return datetime.fromisoformat(data)
    if kind is bytes:
        return base64.b64decode(data, validate=True)
    if get_origin(kind) is Literal:
        fits = data in get_args(kind)
    else:
        fits = isinstance(data, kind) and not (kind is int and isinstance(data, bool))
    if not fits and not (kind is float and isinstance(data, int)):
        raise TypeError(data)
    return data


def _one_of(kinds: list[Any], data: Any) -> Any:
    """Return the type that data are of: the only one, or the one whose field `kind` says so."""
    for kind in kinds[:-1]:
        if is_dataclass(kind) and isinstance(data, dict) and data["kind"] in get_args(_hints(cast(type, kind))["kind"]):
            return kind
    return kinds[-1]


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
