"""Conversations on their way out of Panelist and into it: files are made and read a conversation at a time."""

from __future__ import annotations

import asyncio
import logging
import zipfile
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never
from weakref import WeakValueDictionary

from services import exporting
from services.conversation import Whole
from services.errors import InputError, NotFoundError, PanelistError, StorageError
from services.exporting import SUFFIXES, Kind, entry_of, file_name
from services.importing import MAX_FILE, Contents, Listed, opened, too_large
from services.messages import AttachmentPart, new_id
from services.notebook import notebook_of
from services.sharing import MAX_HELD, Choice, chosen, snapshot_of
from services.storage.store import Imported, Store
from services.system_prompts import SystemPrompts

log = logging.getLogger(__name__)

MAX_RECEIVED = 5
"""Files of one owner that wait for a decision; the oldest gives way."""

KEPT_S = 3_600
"""Seconds that they wait: nobody comes back to a tab that was closed."""

_TYPES: dict[Kind, str] = {
    "json": "application/json",
    "markdown": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "notebook": "application/x-ipynb+json",
}


@dataclass(frozen=True, slots=True)
class Export:
    """A file that is made while it is read."""

    name: str
    media_type: str
    pieces: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of the conversations of a file."""

    source: str
    new: tuple[Listed, ...]
    deleted: tuple[Listed, ...]
    """They were deleted here, and would be back as they were."""
    here: tuple[Listed, ...]
    """They are here already and stay as they are."""
    left_out: dict[str, int]
    """What cannot come along, and how much of it."""
    grown: int = 0
    """How many of those that are here went on where the file comes from: what is new in them stays out."""


class Exchange:
    """What the doors do with files of conversations. Received ones wait on the disk until they are imported."""

    def __init__(self, store: Store, prompts: SystemPrompts) -> None:
        self._store = store
        self._prompts = prompts
        self._received: dict[str, dict[str, Path]] = {}
        self._expiring: set[asyncio.Task[None]] = set()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def export(self, owner: str, conversation_ids: Sequence[str] | None, kind: Kind) -> Export:
        """Return conversations as a file; see `ChatService.export`."""
        title = f"Panelist {datetime.now(UTC):%Y-%m-%d}"
        if conversation_ids is None:
            ids = await self._store.every_id(owner)
        else:
            ids = list(dict.fromkeys(conversation_ids))
            for id in ids:
                one = await self._store.conversation(owner, id)
            title = one.title if len(ids) == 1 else title
        if not ids:
            raise InputError("There is no conversation to export yet.")
        if kind == "json":
            if await self._store.has_attachments(owner, ids):
                return Export(file_name(title, ".zip"), "application/zip", self._json_archive(owner, ids))
            return Export(file_name(title, ".json"), _TYPES["json"], self._json(owner, ids, {}))
        if len(ids) == 1:
            whole = await self._store.whole(owner, ids[0])
            return Export(
                file_name(title, SUFFIXES[kind]), _TYPES[kind], _once(await self._document(owner, whole, kind))
            )
        return Export(file_name(title, ".zip"), "application/zip", self._documents(owner, ids, kind))

    async def share(self, owner: str, conversation_id: str, choice: Choice) -> Export:
        """Return a page of the chosen messages."""
        whole = await self._store.whole(owner, conversation_id)
        files: dict[str, bytes] = {}
        room = MAX_HELD
        for part in (part for message in chosen(whole, choice) for part in message.attachments):
            if choice.attachments and part.sha256 not in files and part.size <= room:
                try:
                    files[part.sha256] = await self._store.attachment_bytes(owner, part.sha256)
                except PanelistError as error:  # it is named all the same
                    log.warning("a shared page goes without %s: %s", part.sha256, error)
                else:
                    room -= part.size
        page = await asyncio.to_thread(snapshot_of, whole, choice, files)
        return Export(file_name(choice.title, SUFFIXES["html"]), _TYPES["html"], _once(page.encode()))

    async def receive(self, owner: str, pieces: AsyncIterable[bytes]) -> str:
        """Keep a file that comes in pieces, and return a word for it."""
        path = await self._store.begin_upload()
        size = 0
        try:
            async for piece in pieces:
                if size + len(piece) > MAX_FILE:
                    raise too_large()
                await self._store.write_upload(path, size, piece)
                size += len(piece)
        except BaseException:
            await self._store.end_upload(path)
            raise
        word = new_id()
        mine = self._received.setdefault(owner, {})
        mine[word] = path
        asyncio.get_running_loop().call_later(KEPT_S, self._expire, owner, word)
        while len(mine) > MAX_RECEIVED:
            await self.drop(owner, next(iter(mine)))
        return word

    async def drop(self, owner: str, word: str) -> None:
        """Remove a file that was received; once more does nothing."""
        path = self._received.get(owner, {}).pop(word, None)
        if path is not None:
            await self._store.end_upload(path)

    def _expire(self, owner: str, word: str) -> None:
        dropping = asyncio.create_task(self.drop(owner, word))
        self._expiring.add(dropping)
        dropping.add_done_callback(self._expiring.discard)

    async def preview(self, owner: str, word: str) -> Preview:
        """Return what would come in with a file."""
        with _gone_told():
            contents = await asyncio.to_thread(_contents, self._path(owner, word))
        known = await self._store.known(owner, [one.id for one in contents.listed])
        here = tuple(one for one in contents.listed if known.get(one.id) == "here")
        grown = [await self._store.grown(owner, one.id, one.messages) for one in here]
        return Preview(
            contents.source,
            tuple(one for one in contents.listed if one.id not in known),
            tuple(one for one in contents.listed if known.get(one.id) == "deleted"),
            here,
            dict(contents.left_out),
            sum(grown),
        )

    async def import_(self, owner: str, word: str) -> Imported:
        """Store what a file holds."""
        path = self._path(owner, word)
        del self._received[owner][word]  # nobody else imports it, and no newer file takes its place
        try:
            # One at a time: two of one file would not see each other's conversations before they are there.
            async with self._turns.setdefault(owner, asyncio.Lock()):
                imported = await self._import(owner, path)
        except BaseException:
            self._received.setdefault(owner, {})[word] = path
            raise
        await self._store.end_upload(path)
        return imported

    async def _import(self, owner: str, path: Path) -> Imported:
        with _gone_told():
            contents = await asyncio.to_thread(_checked, path)
        kept: list[AttachmentPart] = []
        # Their bytes first, as with every attachment; those that no message comes to name are removed after a week.
        reader = _attachments(path, contents)
        while (one := await asyncio.to_thread(next, reader, None)) is not None:
            part, data = one
            kept.append(await self._store.add_attachment(owner, part.name, part.media_type, data))
        return await self._store.add_wholes(owner, lambda: _wholes(path), kept)

    def _path(self, owner: str, word: str) -> Path:
        path = self._received.get(owner, {}).get(word)
        if path is None:
            raise _gone()
        return path

    async def _json(
        self, owner: str, ids: Sequence[str], attachments: dict[str, AttachmentPart]
    ) -> AsyncIterator[bytes]:
        """Yield the conversations as JSON, and note their attachments."""
        yield exporting.beginning().encode()
        first = True
        damaged: list[str] = []
        async for whole in self._wholes(owner, ids, damaged):
            attachments.update({part.sha256: part for part in whole.attachments})
            yield await asyncio.to_thread(_json_of, whole, first)
            first = False
        yield exporting.ending(damaged).encode()

    async def _json_archive(self, owner: str, ids: Sequence[str]) -> AsyncIterator[bytes]:
        out = _Pieces()
        attachments: dict[str, AttachmentPart] = {}
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open("conversations.json", "w", force_zip64=True) as entry:
                async for piece in self._json(owner, ids, attachments):
                    await asyncio.to_thread(entry.write, piece)
                    yield out.taken()
            for part in attachments.values():
                try:
                    data = await self._store.attachment_bytes(owner, part.sha256)
                except PanelistError as error:  # one damaged file must not keep everything else here
                    log.warning("an export goes without %s: %s", part.sha256, error)
                    continue
                packed = zipfile.ZIP_STORED if part.is_image else zipfile.ZIP_DEFLATED
                await asyncio.to_thread(archive.writestr, entry_of(part.sha256), data, packed)
                yield out.taken()
        yield out.taken()

    async def _documents(self, owner: str, ids: Sequence[str], kind: Kind) -> AsyncIterator[bytes]:
        out = _Pieces()
        number = 0
        damaged: list[str] = []
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            async for whole in self._wholes(owner, ids, damaged):
                number += 1
                name = file_name(f"{number:03} {whole.conversation.title}", SUFFIXES[kind])
                await asyncio.to_thread(archive.writestr, name, await self._document(owner, whole, kind))
                yield out.taken()
            if damaged:
                said = "\n".join(["These conversations are damaged and could not be exported:", *damaged, ""])
                archive.writestr("damaged.txt", said)
        yield out.taken()

    async def _document(self, owner: str, whole: Whole, kind: Kind) -> bytes:
        folder_id = whole.conversation.folder_id
        prompt = await self._prompts.of(owner, whole.conversation.options, folder_id)

        def made() -> str:
            match kind:
                case "markdown":
                    return exporting.markdown_of(whole.conversation, whole.path)
                case "html":
                    return exporting.html_of(whole.conversation, whole.path)
                case "notebook":
                    return notebook_of(whole.conversation, whole.path, prompt)
                case "json":
                    raise ValueError("JSON is not made of one branch")
                case _:
                    assert_never(kind)

        return await asyncio.to_thread(lambda: made().encode())

    async def _wholes(self, owner: str, ids: Sequence[str], damaged: list[str]) -> AsyncIterator[Whole]:
        """Yield conversations, and note the ids of those that cannot be read."""
        for id in ids:
            try:
                yield await self._store.whole(owner, id)
            except NotFoundError:  # deleted meanwhile
                continue
            except StorageError as error:  # one damaged conversation must not keep all the others here
                if len(ids) == 1:
                    raise
                damaged.append(id)
                log.error("an export goes without the conversation %s: %s", id, error)


class _Pieces:
    """What an archive is written into: it goes on at once, so it cannot be gone back in."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: bytes) -> int:
        self._written += data
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""

    def taken(self) -> bytes:
        data, self._written = bytes(self._written), bytearray()
        return data


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _json_of(whole: Whole, first: bool) -> bytes:
    return exporting.json_of(whole, first=first).encode()


def _contents(path: Path) -> Contents:
    with opened(path) as file:
        return file.contents()


def _checked(path: Path) -> Contents:
    """Return what is in a file, once nothing in it can be refused any more: nothing is stored before that."""
    contents = _contents(path)
    for _ in _attachments(path, contents):
        pass
    return contents


@contextmanager
def _gone_told() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise _gone() from error


def _gone() -> InputError:
    return InputError("That file is not here any more. Choose it again.")


def _wholes(path: Path) -> Iterator[Whole]:
    with opened(path) as file:
        for found in file.conversations():
            if found.whole is not None:
                yield found.whole


def _attachments(path: Path, contents: Contents) -> Iterator[tuple[AttachmentPart, bytes]]:
    with opened(path) as file:
        for part in contents.attachments.values():
            yield part, file.attachment(part)
