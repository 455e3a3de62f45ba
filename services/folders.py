"""Folders of conversations and tags on them: values and pure functions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.errors import InputError, NotFoundError
from services.messages import clean_text
from services.options import Options

NOTHING_SET = Options()

MAX_DEPTH = 5
"""Folders in one another."""

MAX_FOLDERS = 500
"""Folders of one owner."""

MAX_NAME = 80
"""Characters of a folder's name."""

MAX_PROMPT = 20_000
"""Characters of a system prompt."""

MAX_TAGS = 20
"""Tags of one conversation."""

MAX_TAG = 40
"""Characters of a tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A place for conversations and other folders. What it leaves unset, the folder around it says."""

    id: str
    name: str
    parent_id: str | None = None
    options: Options = NOTHING_SET
    """What conversations begin with that are begun in it."""
    system_prompt: str | None = None
    """What the model is told in the conversations that are in it."""
    unfolded: bool = True
    """Whether the list shows what is in it."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a folder and those around it say together."""

    options: Options = NOTHING_SET
    system_prompt: str | None = None


@dataclass(frozen=True, slots=True)
class RemovedFolder:
    """A folder that was removed, and the ids of what was in it: enough to bring it back."""

    folder: Folder
    folders: tuple[str, ...]
    conversations: tuple[str, ...]


def no_folder() -> NotFoundError:
    return NotFoundError("That folder is not there any more. Choose another one.")


def folder_name(typed: str) -> str:
    """Return a name as it is stored; InputError where there is none in it, or too much."""
    name = " ".join(clean_text(typed).split())
    if not name:
        raise InputError("A folder's name needs at least one character.")
    if len(name) > MAX_NAME:
        raise InputError(f"A folder's name has at most {MAX_NAME} characters. Choose a shorter one.")
    return name


def clean_prompt(typed: str) -> str | None:
    """Return a system prompt as it is stored, None where it is blank; InputError where it is too long."""
    prompt = clean_text(typed).strip()
    if len(prompt) > MAX_PROMPT:
        raise InputError(f"A system prompt has at most {MAX_PROMPT:,} characters. Shorten it.")
    return prompt or None


def in_order(folders: Iterable[Folder]) -> Iterator[tuple[Folder, int]]:
    """Yield folders as a list shows them, by name and each before what is in it, with how deep it lies, from 0."""
    inside: dict[str | None, list[Folder]] = {}
    for folder in sorted(folders, key=lambda one: (one.name.casefold(), one.id), reverse=True):
        inside.setdefault(folder.parent_id, []).append(folder)
    waiting = [(folder, 0) for folder in inside.get(None, ())]
    while waiting:
        folder, depth = waiting.pop()
        yield folder, depth
        waiting += [(child, depth + 1) for child in inside.get(folder.id, ())]


def around(folders: Mapping[str, Folder], folder_id: str | None) -> Iterator[Folder]:
    """Yield a folder and those it lies in, itself first."""
    while folder_id is not None and folder_id in folders:
        yield folders[folder_id]
        folder_id = folders[folder_id].parent_id


def path_of(folders: Mapping[str, Folder], folder_id: str | None) -> tuple[str, ...]:
    """Return the names of a folder and those around it, the outermost first."""
    return tuple(folder.name for folder in around(folders, folder_id))[::-1]


def defaults_of(folders: Mapping[str, Folder], folder_id: str | None) -> Defaults:
    """Return what holds in a folder: of each setting, what the nearest one says that says anything."""
    lying = list(around(folders, folder_id))
    options = next((folder.options for folder in lying if folder.options != NOTHING_SET), NOTHING_SET)
    prompt = next((folder.system_prompt for folder in lying if folder.system_prompt is not None), None)
    return Defaults(options, prompt)


def check_place(folders: Sequence[Folder], folder: Folder) -> None:
    """Raise unless a folder may be where its `parent_id` says, with all that is in it.

    Raises:
        InputError: it would lie in itself, or too deep.
        NotFoundError: there is no such folder around it.
    """
    known = {one.id: one for one in folders}
    if folder.parent_id is not None and folder.parent_id not in known:
        raise no_folder()
    outside = list(around(known, folder.parent_id))
    if any(one.id == folder.id for one in outside):
        raise InputError(f"“{folder.name}” cannot be moved into itself or what is in it. Choose another folder.")
    inside = next((d for one, d in _below(folders, folder.id)), 0)
    if len(outside) + 1 + inside > MAX_DEPTH:
        raise InputError(f"Folders go {MAX_DEPTH} deep at most. Choose one that is further up.")


def _below(folders: Sequence[Folder], folder_id: str) -> Iterator[tuple[str, int]]:
    """Yield the folders in a folder, with how far below it they are, the furthest first."""
    found: list[tuple[str, int]] = [(folder_id, 0)]
    for id, depth in found:
        found += [(one.id, depth + 1) for one in folders if one.parent_id == id]
    yield from reversed(found)


_NO_TAG = re.compile(r"[^\w./+&-]+")


def clean_tag(typed: str) -> str:
    """Return a tag as it is stored: small letters, no spaces; empty where there is nothing of a tag in it."""
    text = unicodedata.normalize("NFKC", clean_text(typed)).lower()
    return _NO_TAG.sub("-", text).strip("-./")[:MAX_TAG].strip("-./")


def clean_tags(typed: Iterable[str]) -> tuple[str, ...]:
    """Return tags as they are stored, in order and each once; InputError where they are too many."""
    tags = tuple(sorted({tag for one in typed if (tag := clean_tag(one))}))
    if len(tags) > MAX_TAGS:
        raise InputError(f"A conversation has at most {MAX_TAGS} tags. Remove some.")
    return tags
