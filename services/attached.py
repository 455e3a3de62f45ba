"""Reads attached files for whoever counts what a model is told, and remembers how large pictures are."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from services import pictures
from services.errors import NotFoundError, StorageError
from services.messages import AttachmentPart, Message
from services.storage.store import Store

log = logging.getLogger(__name__)

MOST_PICTURES = 10_000
"""Pictures of which is remembered how large they are."""


class AttachedFiles:
    """The files of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pictures: dict[str, tuple[int, int] | None] = {}
        """Width and height, by hash."""

    async def read(self, owner: str, part: AttachmentPart) -> bytes | None:
        """Return what an attached file holds; None where it cannot be read."""
        try:
            return await self._store.attachment_bytes(owner, part.sha256)
        except (NotFoundError, StorageError) as error:
            log.warning("an attached file cannot be read: %s", error)
            return None

    async def measure_pictures(self, owner: str, path: Iterable[Message]) -> None:
        """Find out how large the pictures of a path are that were not looked at yet."""
        for part in (part for message in path for part in message.attachments):
            if part.is_image and part.sha256 not in self._pictures:
                data = await self.read(owner, part)
                if len(self._pictures) >= MOST_PICTURES:
                    self._pictures.clear()
                self._pictures[part.sha256] = None if data is None else pictures.size_of(data)

    def picture_tokens(self, part: AttachmentPart, model: str | None) -> int:
        """Return how many tokens a picture is to a model, by its size where that was found out."""
        return pictures.tokens_of(model, self._pictures.get(part.sha256))
