"""The store: everything Panelist keeps, behind methods that take the owner first."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.conversation import Conversation, Options, TitleSource, Versions
from services.errors import StorageError
from services.events import Numbered, Reply
from services.messages import Message
from services.storage import conversations, runs, tree
from services.storage.engine import Database, check_file, insert_new
from services.storage.lock import DatabaseLock
from services.storage.migrate import migrate
from services.storage.rows import RunRecord
from services.storage.schema import dropped_parameters

__all__ = ["RunRecord", "Store"]

Page = tuple[datetime, str]
"""Where a page of conversations ended: `updated_at` and `id` of its last one."""


class Store:
    """The database of one server process. Make it with `open`, end it with `close`.

    Every method raises `StorageError` when the database cannot be read or written, and then nothing was changed.
    A method that takes an owner raises `NotFoundError` for what does not exist, was deleted or is somebody else's.
    A call that is cancelled is still carried out.
    """

    def __init__(self, database: Database, lock: DatabaseLock, now: Callable[[], datetime]) -> None:
        self._database = database
        self._lock = lock
        self._now = now

    @classmethod
    async def open(cls, path: Path, *, now: Callable[[], datetime] | None = None) -> Store:
        """Open the database at `path`, making it and its folder where missing, and bring its schema up to date.

        Args:
            path: The SQLite file.
            now: The clock, aware; the system's unless given.

        Raises:
            StorageError: it cannot be used; whatever is at `path` was left as it is.
        """
        lock = await asyncio.to_thread(_prepare, path)
        try:
            await asyncio.to_thread(migrate, lock.database)
            database = await Database.open(lock.database)
        except BaseException:
            lock.release()
            raise
        return cls(database, lock, now or _utc_now)

    async def close(self) -> None:
        """Finish what was begun, close the database, let another server have it."""
        await self._database.close()
        self._lock.release()

    # Conversations

    async def conversations(self, owner: str, *, limit: int = 100, before: Page | None = None) -> list[Conversation]:
        """Return the owner's conversations, the one that changed last first; `before` continues an earlier page."""
        return await self._database.read(conversations.newest, owner, limit, before)

    async def conversation(self, owner: str, conversation_id: str) -> Conversation:
        """Return one conversation."""
        return await self._database.read(conversations.one, owner, conversation_id)

    async def rename(self, owner: str, conversation_id: str, title: str, source: TitleSource) -> Conversation:
        """Set the title, cut to `MAX_TITLE`, unless a person chose the present one and `source` is not a person.

        Returns:
            The conversation as it is then.
        """
        return await self._database.write(conversations.rename, owner, conversation_id, title, source)

    async def set_options(self, owner: str, conversation_id: str, options: Options) -> None:
        """Replace the conversation's options."""
        await self._database.write(conversations.set_options, owner, conversation_id, options)

    async def delete(self, owner: str, conversation_id: str) -> None:
        """Hide the conversation from every other method until it is restored. Nothing is erased."""
        await self._database.write(conversations.delete, owner, conversation_id, self._now())

    async def restore(self, owner: str, conversation_id: str) -> None:
        """Bring a deleted conversation back; one that is not deleted stays as it is."""
        await self._database.write(conversations.restore, owner, conversation_id)

    # The tree of messages

    async def path(self, owner: str, conversation_id: str, head_id: str | None = None) -> list[Message]:
        """Return the messages from the root to `head_id`, by default to the conversation's head."""
        return await self._database.read(tree.path, owner, conversation_id, head_id)

    async def versions(self, owner: str, conversation_id: str, message_ids: Collection[str]) -> dict[str, Versions]:
        """Return each message's place among its siblings. Ids that are not in the conversation are left out."""
        return await self._database.read(tree.versions, owner, conversation_id, message_ids)

    async def newest_leaf(self, owner: str, conversation_id: str, message_id: str) -> str:
        """Return the leaf that is reached from a message by always following the newest child."""
        return await self._database.read(tree.newest_leaf, owner, conversation_id, message_id)

    async def set_head(self, owner: str, conversation_id: str, message_id: str) -> None:
        """Make a message of the conversation its head."""
        await self._database.write(tree.set_head, owner, conversation_id, message_id)

    # Runs

    async def begin_run(
        self, owner: str, *, conversation: Conversation, question: Message | None, answer: Message, run_id: str
    ) -> Conversation:
        """Store a question and the empty answer that a run will fill, and make the answer the head: all or nothing.

        Args:
            owner: Whose conversation it is.
            conversation: Stored as given if it is new; of one that exists only the head and `updated_at` change.
            question: None when an existing question is answered again.
            answer: Has the status `streaming`, and the question as its parent.
            run_id: The new run.

        Returns:
            The conversation as it is then.

        Raises:
            NotFoundError: the conversation is deleted or somebody else's, or a parent is not in it.
            ValueError: the messages do not belong together.
        """
        new = [answer] if question is None else [question, answer]
        if any(message.conversation_id != conversation.id for message in new) or answer.run_id != run_id:
            raise ValueError("question, answer and run are not of the same conversation")
        if answer.parent_id is None or (question is not None and answer.parent_id != question.id):
            raise ValueError(f"answer {answer.id!r} does not follow its question")
        if answer.status != "streaming":
            raise ValueError(f"answer {answer.id!r} is {answer.status}, not streaming")
        return await self._database.write(runs.begin, owner, conversation, new, run_id=run_id, now=self._now())

    async def append_events(self, run_id: str, events: Sequence[Numbered]) -> None:
        """Store a run's next events."""
        await self.append_many({run_id: events})

    async def append_many(self, events: Mapping[str, Sequence[Numbered]]) -> None:
        """Store the next events of several runs in one transaction; skips what is stored already and ended runs."""
        await self._database.write(runs.append, events)

    async def finish_run(self, run_id: str, *, reply: Reply, first_token_s: float | None, total_s: float) -> None:
        """Write the finished answer into its message, and the run's result; drop the stored events that it repeats.

        A run that has ended already stays as it is, so the call may be tried again.

        Raises:
            NotFoundError: there is no such run.
            ValueError: `reply` has not ended.
        """
        if reply.status == "streaming":
            raise ValueError(f"run {run_id!r} has not ended")
        await self._database.write(
            runs.finish, run_id, reply, first_token_s=first_token_s, total_s=total_s, now=self._now()
        )

    async def interrupt_orphans(self) -> int:
        """End the runs that a stop of Panelist cut short, keeping their text; for the start, before any run begins.

        Returns:
            How many there were.
        """
        return await self._database.write(runs.interrupt_orphans, self._now())

    async def events(self, owner: str, run_id: str, after: int = 0) -> list[Numbered]:
        """Return a run's stored events numbered above `after`. Once it has ended, its text is only in its message."""
        return await self._database.read(runs.events, owner, run_id, after)

    async def run(self, owner: str, run_id: str) -> RunRecord:
        """Return what is kept of a run."""
        return await self._database.read(runs.one, owner, run_id)

    # What endpoints refused: the operator's, not anybody's own

    async def drop_parameter(self, endpoint: str, parameter: str) -> None:
        """Remember not to send `parameter` to `endpoint` again."""
        await self._database.write(_drop_parameter, endpoint, parameter)

    async def dropped_parameters(self) -> dict[str, frozenset[str]]:
        """Return the parameters to leave out, by endpoint."""
        return await self._database.read(_dropped_parameters)


async def _drop_parameter(connection: AsyncConnection, endpoint: str, parameter: str) -> None:
    await connection.execute(insert_new(dropped_parameters).values(endpoint=endpoint, parameter=parameter))


async def _dropped_parameters(connection: AsyncConnection) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for row in await connection.execute(select(dropped_parameters)):
        found.setdefault(row.endpoint, set()).add(row.parameter)
    return {endpoint: frozenset(parameters) for endpoint, parameters in found.items()}


def _prepare(path: Path) -> DatabaseLock:
    """Make the folder and an empty file that only this user can read, and lock it. Blocking."""
    try:
        path = path.resolve()  # two names of one file share its lock
        if path.is_dir():
            raise StorageError(f"{path} is a folder. Name a file in it for the database.")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = DatabaseLock.take(path)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files the same mode
            check_file(path)
        except BaseException:
            lock.release()
            raise
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written ({error.strerror}). "
            "Give the user that runs Panelist the right to write there, or name another place."
        ) from error
    return lock


def _utc_now() -> datetime:
    return datetime.now(UTC)
