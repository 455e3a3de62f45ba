"""Makes requests: for runs that are about to begin, and once more of runs that were."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from services.context import build_request, told, within_limit
from services.conversation import told_from
from services.endpoints import Endpoint
from services.errors import NotFoundError, StorageError
from services.messages import Memory, Message
from services.options import Options
from services.providers.base import ModelRequest
from services.recipes import Recipe, Told, as_it_was, kept_of
from services.storage.store import Store

log = logging.getLogger(__name__)


def recipe_of(
    path: Sequence[Message],
    endpoint: Endpoint,
    model: str,
    options: Options,
    system_prompt: str | None,
    *,
    blind: bool = False,
) -> Recipe:
    """Return what a run asks with that is about to write the last message of a path, or to go on with it."""
    first = told_from(path)
    memory = path[first - 1].memory if first else None
    return Recipe(
        endpoint=endpoint,
        model=model,
        options=options,
        system_prompt=system_prompt,
        blind=blind,
        kept=kept_of(path[-1]),
        memory=None if memory is None else Told(path[first].id, memory.summary),
    )


async def request_of(store: Store, owner: str, path: Sequence[Message], recipe: Recipe) -> ModelRequest:
    """Return the request that a recipe makes of a path, the answer last, as that was when it was asked for.

    Raises:
        ModelError: the endpoint takes no pictures, or a file is gone, and it is the last question that has it.
    """
    shown = within_limit(told(_as_then([*path[:-1], as_it_was(path[-1], recipe.kept)], recipe.memory)))
    files = await _files_of(store, owner, shown)
    build = partial(
        build_request,
        shown,
        endpoint=recipe.endpoint,
        model=recipe.model,
        system_prompt=recipe.system_prompt,
        options=recipe.options,
        files=files,
        blind=recipe.blind,
    )
    return await asyncio.to_thread(build) if files else build()


def _as_then(path: Sequence[Message], memory: Told | None) -> list[Message]:
    """Return a path with the memory that a model had when it was asked, whatever became of that since."""
    first = next((place for place, message in enumerate(path) if memory and message.id == memory.begins), 0)
    held = Memory(summary=memory.summary, at=path[0].created_at) if memory is not None else None
    return [replace(message, memory=held if place == first - 1 else None) for place, message in enumerate(path)]


async def _files_of(store: Store, owner: str, path: Sequence[Message]) -> dict[str, bytes]:
    """Return what the attachments of a path hold, by hash, as far as it can be read."""
    files: dict[str, bytes] = {}
    for sha256 in {part.sha256 for message in path for part in message.attachments}:
        try:
            files[sha256] = await store.attachment_bytes(owner, sha256)
        except (NotFoundError, StorageError) as error:
            log.error("an attached file cannot be read: %s", error)
    return files
