"""Files on their way: they come in pieces, each of which says where it belongs, so that any may come again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from services.attachments import (
    BEGINNING,
    MAX_PIECE,
    TEXT,
    Piece,
    Progress,
    check_size,
    clean_name,
    media_type_of,
    text_of,
)
from services.errors import InputError, PanelistError
from services.messages import AttachmentPart
from services.storage.store import Store

MAX_UPLOADS = 40
"""Files of one owner that can be on their way at once, in all tabs."""

IDLE_S = 3600.0
"""After which a file of which no more comes makes room for another."""


@dataclass(slots=True)
class _Upload:
    path: Path
    name: str
    size: int
    media_type: str
    received: int = 0
    touched: float = field(default_factory=time.monotonic)


class Uploads:
    """What is on its way, by owner and the page's word for it. When the process ends it has to start again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._uploads: dict[tuple[str, str], _Upload] = {}
        self._beginning: set[tuple[str, str]] = set()
        """They count already, though they have no file yet."""
        self._done: dict[tuple[str, str], Progress] = {}
        """Of late: the word that a file is kept may be lost, and asked for again."""
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def take(self, owner: str, piece: Piece) -> Progress:
        """Take a piece and say how much is here. A piece that does not come next changes nothing.

        Raises:
            InputError: the file is refused: its kind, its size, or that it is not what was announced.
            StorageError: it cannot be written.
        """
        key = (owner, piece.id)
        lock = self._turns.setdefault(key, asyncio.Lock())
        async with lock:
            if key in self._done:
                return self._done[key]
            try:
                return await self._take(owner, key, piece)
            except PanelistError:
                await self._drop(key)  # whatever it was, the file may come again from its beginning
                raise

    async def _take(self, owner: str, key: tuple[str, str], piece: Piece) -> Progress:
        upload = self._uploads.get(key)
        if upload is None:
            if piece.offset != 0:  # the server has begun anew meanwhile
                return Progress(0)
            upload = self._uploads[key] = await self._begin(key, piece)
        if (piece.size, clean_name(piece.name)) != (upload.size, upload.name) or len(piece.data) > MAX_PIECE:
            raise _garbled(upload.name)
        upload.touched = time.monotonic()
        if piece.offset != upload.received:
            return Progress(upload.received)
        if not piece.data or upload.received + len(piece.data) > upload.size:
            raise _garbled(upload.name)
        await self._store.write_upload(upload.path, upload.received, piece.data)
        upload.received += len(piece.data)
        if upload.received < upload.size:
            return Progress(upload.received)
        done = self._done[key] = Progress(upload.received, await self._keep(owner, upload))
        await self._drop(key)
        while len(self._done) > MAX_UPLOADS:
            del self._done[next(iter(self._done))]
        return done

    async def _begin(self, key: tuple[str, str], piece: Piece) -> _Upload:
        name = clean_name(piece.name)
        if piece.size and len(piece.data) < min(BEGINNING, piece.size):
            raise _garbled(name)
        media_type = media_type_of(name, piece.data)
        check_size(name, media_type, piece.size)
        await self._drop_idle()
        if sum(owner == key[0] for owner, _ in (*self._uploads, *self._beginning)) >= MAX_UPLOADS:
            raise InputError(
                f"{MAX_UPLOADS} files are on their way already. Wait for them, then attach “{name}” again."
            )
        self._beginning.add(key)
        try:
            return _Upload(await self._store.begin_upload(), name, piece.size, media_type)
        finally:
            self._beginning.discard(key)

    async def _keep(self, owner: str, upload: _Upload) -> AttachmentPart:
        data = await self._store.read_upload(upload.path)
        if len(data) != upload.size:
            raise _garbled(upload.name)
        if upload.media_type == TEXT:  # kept in UTF-8, whatever it came in
            data = await asyncio.to_thread(lambda: text_of(upload.name, data).encode())
        return await self._store.add_attachment(owner, upload.name, upload.media_type, data)

    async def _drop_idle(self) -> None:
        before = time.monotonic() - IDLE_S
        for key, upload in list(self._uploads.items()):
            turn = self._turns.get(key)
            busy = turn is not None and turn.locked()
            # It may have gone on, or begun anew, while the one before it was removed.
            if upload.touched < before and not busy and self._uploads.get(key) is upload:
                await self._drop(key)

    async def _drop(self, key: tuple[str, str]) -> None:
        upload = self._uploads.pop(key, None)
        if upload is not None:
            await self._store.end_upload(upload.path)


def _garbled(name: str) -> InputError:
    return InputError(f"“{name}” did not arrive as it was announced. Attach it again.")
