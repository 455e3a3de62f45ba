"""What is said to the model before a conversation: its own system prompt, its folder's, or the one for all."""

from __future__ import annotations

from services.options import Options
from services.storage.store import Store


class SystemPrompts:
    """Finds the one that holds."""

    def __init__(self, store: Store, default: str | None) -> None:
        self._store = store
        self._default = default

    async def of(self, owner: str, options: Options, folder_id: str | None) -> str | None:
        """Return that of a conversation with these options in this folder; an empty one in the options says: none."""
        if options.system_prompt is not None:
            return options.system_prompt or None
        of_folder = None if folder_id is None else (await self._store.defaults(owner, folder_id)).system_prompt
        return of_folder or self._default
