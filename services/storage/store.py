"""The store: everything Panelist keeps, behind methods that take the owner first."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, delete, insert, select

from services.arranging import Arrangement, Before
from services.conversation import (
    TRASH,
    Branches,
    Conversation,
    Deleted,
    Outline,
    Pruned,
    Queued,
    Removed,
    RunRecord,
    TitleSource,
    Versions,
    Whole,
    Written,
)
from services.errors import InputError, StorageError
from services.events import Numbered, Reply
from services.fingerprints import Sighting
from services.folders import Defaults, Folder, RemovedFolder
from services.listing import Listing, View
from services.measures import Measured
from services.messages import AttachmentPart, Memory, Message, Processed, new_id
from services.options import Options
from services.recipes import Recipe
from services.search import Hit, Query
from services.spending import Hold
from services.storage import (
    arranging,
    attached,
    conversations,
    endpoint_keys,
    folders,
    listing,
    pruning,
    queue,
    runs,
    searching,
    trash,
    tree,
    whole,
    written,
)
from services.storage.attached import Named
from services.storage.backup import backup
from services.storage.dialects import dialect_of
from services.storage.engine import Database, Dialect, insert_new
from services.storage.engine_memory import Memory as InMemory
from services.storage.files import Files, MemoryFiles
from services.storage.ledger import Ledger
from services.storage.migrate import check_current, migrate
from services.storage.paths import Paths
from services.storage.rows import Begun, Snapshot
from services.storage.schema import conversations as conversations_table
from services.storage.schema import dropped_parameters
from services.storage.whole import Imported, Known

log = logging.getLogger(__name__)

__all__ = ["Begun", "Imported", "Known", "Named", "RunRecord", "Snapshot", "Store"]

P = ParamSpec("P")
T = TypeVar("T")

Page = tuple[datetime, str]
"""Where a page of conversations ended: `updated_at` and `id` of its last one."""


MAX_KEY = 200
"""Characters of a request key."""

UNSENT = timedelta(days=7)
"""For which a file is kept that belongs to a draft, as far as the server knows."""

ABANDONED = timedelta(days=1)
"""After which a file that never came to its end is removed."""


_ERASED_AT_ONCE = 20
"""Conversations of one transaction: others write meanwhile."""

_MESSAGES_AT_ONCE = 500

_MOST_SNAPSHOTS = 16
"""That are kept until something is written."""


class Store:
    """The database of one server process. Make it with `open`, end it with `close`.

    Every method raises `StorageError` when the database cannot be read or written, and then nothing was changed.
    A method that takes an owner raises `NotFoundError` for what does not exist, was deleted or is somebody else's.
    A call that is cancelled is still carried out.
    """

    def __init__(
        self,
        where: Path | str,
        database: Database,
        dialect: Dialect,
        now: Callable[[], datetime],
        attachments: Path | None = None,
        files: Files | None = None,
        check_room: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        self._where = where
        self._attachments = attachments
        self._files = files or Files.of(where, attachments)
        self._keeping = asyncio.Lock()
        self._database = database
        self._dialect = dialect
        self._now = now
        self._paths = Paths()
        self._snapshots: dict[tuple[str, str], Snapshot] = {}
        self._snapshots_of: int | None = None
        self._check_room = check_room
        self.ledger = Ledger(database, now)
        """What requests measured, and budgets."""

    @classmethod
    async def open(
        cls, where: Path | str, *, attachments: Path | None = None, now: Callable[[], datetime] | None = None
    ) -> Store:
        """Open a database, making a file and its folder where missing, and bring its schema up to date.

        Args:
            where: The SQLite file, or a URL that begins with `postgresql://` or `sqlite:///`.
            attachments: The folder of attached files; beside the database's own file unless given.
            now: The clock, aware; the system's unless given.

        Raises:
            StorageError: it cannot be used; whatever is there was left as it is.
        """
        dialect = dialect_of(where)
        return cls(where, await _opened(dialect), dialect, now or _utc_now, attachments)

    @classmethod
    async def beside(cls, where: Path | str, *, attachments: Path | None = None) -> Store:
        """Open a database only to read it, also while a server uses it.

        Raises:
            StorageError: there is none, or it cannot be read.
        """
        dialect = dialect_of(where)
        database = Database(dialect, beside=True)
        try:
            await database.read(check_current, dialect.name)
        except BaseException:
            await database.close()
            raise
        return cls(where, database, dialect, _utc_now, attachments)

    @classmethod
    async def in_memory(cls, *, most: int, most_files: int) -> Store:
        """Open an empty database that nothing of is ever written to a disk, and that `close` ends.

        Args:
            most: The bytes from which on the database takes no more messages, while answers still come to their ends:
                then whatever adds a message or a file raises InputError.
            most_files: The bytes that the attached files may come to.
        """
        dialect = InMemory(most)
        files = MemoryFiles(most_files)
        return cls(dialect.name, await _opened(dialect), dialect, _utc_now, None, files, dialect.check_room)

    async def close(self) -> None:
        """Finish what was begun, close the database, let another server have it."""
        await self._database.close()
        self._dialect.release()

    def on_failure(self, call: Callable[[], None]) -> None:
        """Have `call` called whenever a transaction fails with a StorageError."""
        self._database.on_failure = call

    async def check(self) -> None:
        """Read and write something that nobody sees.

        Raises:
            StorageError: it failed; its text is the sentence for a banner, which may go when this raises no more.
        """
        await self._database.read(_dropped_parameters)
        await self._database.write(_write_something, self._now())

    async def backup(self, target: Path) -> None:
        """Write a copy of this moment into a new file, while everything goes on; see `services.storage.backup`."""
        await asyncio.to_thread(backup, self._where, target, self._attachments)

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
        """Hide the conversation from every other method but `trash` until it is restored or erased."""
        await self._database.write(conversations.delete, owner, conversation_id, self._now())

    async def restore(self, owner: str, conversation_id: str) -> None:
        """Bring a deleted conversation back; one that is not deleted stays as it is."""
        await self._database.write(conversations.restore, owner, conversation_id)

    async def trash(self, owner: str, *, limit: int = 100) -> list[Deleted]:
        """Return the conversations that the owner deleted, the last first."""
        return await self._database.read(trash.deleted, owner, limit)

    async def erase(self, owner: str, conversation_id: str) -> None:
        """Remove a deleted conversation for good.

        Raises:
            NotFoundError: the owner's trash does not hold it.
        """
        try:
            await self._database.write(trash.erase_deleted, owner, conversation_id)
        finally:  # also where only the word of its success was lost
            self._paths.forget([conversation_id])
        await self._remove_files()

    async def empty_trash(self) -> int:
        """Remove for good what was deleted or pruned longer than `TRASH` ago, whoever's it is.

        Returns:
            How many conversations there were.
        """
        gone, before = 0, self._now() - TRASH
        while some := await self._database.write(trash.erase_overdue, before, _ERASED_AT_ONCE):
            self._paths.forget(some)
            gone += len(some)
        pruned = 0
        while some := await self._database.write(pruning.erase_overdue, before, _MESSAGES_AT_ONCE):
            self._paths.forget(some)
            pruned += len(some)
        if gone or pruned:
            await self._remove_files()
        return gone

    # The list, and the order in it

    async def listing(self, owner: str, seen: View) -> Listing:
        """Return what of the list somebody sees; the last rows where `seen.first` is beyond its end."""
        return await self._database.read(listing.view, owner, seen)

    async def listed_ids(self, owner: str, seen: View, first: int, count: int) -> list[str]:
        """Return the ids of some rows of a list, in its order, whether or not they are in view."""
        return await self._database.read(listing.ids, owner, seen, first, count)

    async def arrange(self, owner: str, conversation_ids: Sequence[str], arrangement: Arrangement) -> Before:
        """Pin, archive, move, tag or delete conversations, all or none; those that are so already stay as they are.

        Ids that the owner has not, or deleted, do nothing.

        Returns:
            What was changed, with what it was: enough to take exactly this back.

        Raises:
            InputError: one of them would have too many tags.
            NotFoundError: the owner has no such folder.
        """
        return await self._database.write(arranging.arrange, owner, conversation_ids, arrangement, self._now())

    async def put_back(self, owner: str, before: Before) -> None:
        """Undo `arrange`; once more changes nothing."""
        await self._database.write(arranging.put_back, owner, before)

    async def folders(self, owner: str) -> list[Folder]:
        """Return the owner's folders, in no order."""
        return await self._database.read(folders.every, owner)

    async def add_folder(self, owner: str, folder: Folder) -> None:
        """Store a folder; one of the same id that the owner has stays as it is.

        Raises:
            InputError: there are too many, or it would lie too deep.
            NotFoundError: the owner has no such folder around it.
        """
        await self._database.write(folders.add, owner, folder)

    async def change_folder(self, owner: str, folder_id: str, by: Callable[[Folder], Folder]) -> Folder:
        """Replace a folder by what `by` makes of it, in one transaction; return it as it was before.

        Raises:
            InputError: it would lie in itself, or too deep.
            NotFoundError: the owner has no such folder, or none around it.
        """
        return await self._database.write(folders.change, owner, folder_id, by)

    async def remove_folder(self, owner: str, folder_id: str) -> RemovedFolder:
        """Remove a folder; what was in it is then in the folder around it."""
        return await self._database.write(folders.remove, owner, folder_id)

    async def bring_folder_back(self, owner: str, removed: RemovedFolder) -> None:
        """Undo `remove_folder`, but for what was moved elsewhere since then; once more changes nothing."""
        await self._database.write(folders.bring_back, owner, removed)

    async def defaults(self, owner: str, folder_id: str) -> Defaults:
        """Return what holds in a folder of the owner's; nothing where it is gone."""
        return await self._database.read(folders.defaults, owner, folder_id)

    # The tree of messages

    async def path(self, owner: str, conversation_id: str, head_id: str | None = None) -> list[Message]:
        """Return the messages from the root to `head_id`, by default to the conversation's head."""
        return list(await self._database.read(tree.path, owner, conversation_id, head_id, self._paths))

    async def message(self, owner: str, conversation_id: str, message_id: str) -> Message:
        """Return one message, on whichever branch it is."""
        return await self._database.read(tree.one, owner, conversation_id, message_id)

    async def snapshot(self, owner: str, conversation_id: str) -> Snapshot:
        """Return a conversation with its path, their versions and what waits, all of the same moment.

        It is read once, as long as nothing is written: a page shows what a question is then asked after.
        """
        moment = self._database.moment
        if moment != self._snapshots_of:
            self._snapshots.clear()
            self._snapshots_of = moment
        known = self._snapshots.get((owner, conversation_id))
        if known is not None and moment is not None:
            return known
        found = await self._database.read(_snapshot, owner, conversation_id, self._paths)
        if moment is not None and moment == self._database.moment == self._snapshots_of:
            if len(self._snapshots) == _MOST_SNAPSHOTS:
                self._snapshots.clear()
            self._snapshots[owner, conversation_id] = found
        return found

    async def versions(self, owner: str, conversation_id: str, message_ids: Collection[str]) -> dict[str, Versions]:
        """Return each message's place among its siblings. Ids that are not in the conversation are left out."""
        return await self._database.read(tree.versions, owner, conversation_id, message_ids)

    async def newest_leaf(self, owner: str, conversation_id: str, message_id: str) -> str:
        """Return the leaf that is reached from a message by always following the newest child."""
        return await self._database.read(tree.newest_leaf, owner, conversation_id, message_id)

    async def set_head(self, owner: str, conversation_id: str, message_id: str) -> None:
        """Make a message of the conversation its head."""
        await self._database.write(tree.set_head, owner, conversation_id, message_id)

    async def choose(self, owner: str, conversation_id: str, message_id: str) -> None:
        """Make one of the answers that stand side by side the head, and the others versions of it.

        One that stands beside none stays as it is.
        """
        await self._database.write(tree.choose, owner, conversation_id, message_id)

    async def add_answer(self, owner: str, answer: Message) -> str:
        """Store an answer that a person wrote, beside those of its question, and put it on show.

        Returns:
            Its id, or that of the same answer which was there: it may come twice, and then with what followed it.

        Raises:
            NotFoundError: its question is not in the conversation.
            ValueError: it is not finished, or no answer.
        """
        if answer.role != "assistant" or answer.status != "complete":
            raise ValueError(f"message {answer.id!r} is no finished answer")
        return await self._add(tree.add_answer, owner, answer, self._now())

    async def outline(self, owner: str, conversation_id: str) -> Outline:
        """Return all messages of a conversation without what they say."""
        return await self._database.read(tree.outline, owner, conversation_id)

    async def branches(self, owner: str, conversation_id: str, one: str, other: str, *, most: int = 50) -> Branches:
        """Return the messages from where two branches part to one message each, at most so many (up to 400) of both."""
        return await self._database.read(tree.branches, owner, conversation_id, one, other, most)

    async def prune(self, owner: str, conversation_id: str, message_id: str) -> Pruned:
        """Take a message and all below it out of the conversation, until `unprune` or, after `TRASH`, for good.

        No other method finds them meanwhile. A head among them moves to the nearest leaf that stays.

        Raises:
            InputError: an answer among them is not finished, or nothing would be left.
        """
        return await self._database.write(pruning.prune, owner, conversation_id, message_id, self._now())

    async def unprune(self, owner: str, pruned: Pruned) -> None:
        """Undo `prune`; a head that was among them is the head again.

        Raises:
            InputError: what they followed was pruned later.
            NotFoundError: they were erased.
        """
        await self._database.write(pruning.restore, owner, pruned, self._now())

    async def removed(self, owner: str, conversation_id: str, *, limit: int = 100) -> list[Removed]:
        """Return what was pruned in a conversation and can be brought back, the last first."""
        return await self._database.read(pruning.removed, owner, conversation_id, limit)

    async def set_processed(
        self, owner: str, conversation_id: str, message_id: str, by: Callable[[Message], Processed | None]
    ) -> None:
        """Replace what was made of a complete answer by what `by` makes of it; its parts stay as they came.

        Raises:
            InputError: it is no answer, or not complete.
        """
        try:
            await self._database.write(tree.set_processed, owner, conversation_id, message_id, by)
        finally:  # also where only the word of its success was lost
            self._paths.forget([conversation_id])

    async def remember(self, owner: str, conversation_id: str, message_id: str, memory: Memory | None) -> Memory | None:
        """Set what a model is told instead of a message and all before it, or with None that it is told those.

        Returns:
            What that was until now.

        Raises:
            InputError: the message is an answer that is still being written.
        """
        try:
            return await self._database.write(tree.remember, owner, conversation_id, message_id, memory, self._now())
        finally:  # also where only the word of its success was lost
            self._paths.forget([conversation_id])

    async def pick(self, owner: str, conversation_id: str, message_id: str) -> str:
        """Put a copy of a message behind the end of the path on show, and make it the head; once more does nothing.

        Returns:
            The id of the copy.

        Raises:
            InputError: it is a question and the path ends with one, or both are answers, or one is not finished.
        """
        return await self._add(tree.pick, owner, conversation_id, message_id, self._now())

    async def fork(self, owner: str, new: Conversation, conversation_id: str, message_id: str) -> Conversation:
        """Store a new conversation that begins like another one up to a message, which is its head.

        Returns:
            The new conversation as it is then.
        """
        return await self._database.write(tree.fork, owner, new, conversation_id, message_id, self._now())

    # Whole conversations, to go out and to come in

    async def whole(self, owner: str, conversation_id: str) -> Whole:
        """Return a conversation with all its branches; an answer that is being written ends where it is now."""
        return await self._database.read(whole.read, owner, conversation_id)

    async def every_id(self, owner: str) -> list[str]:
        """Return the ids of the owner's conversations, the one that changed last first."""
        return await self._database.read(whole.every_id, owner)

    async def has_attachments(self, owner: str, conversation_ids: Sequence[str]) -> bool:
        """Return whether any message of these conversations came with a file."""
        return await self._database.read(whole.has_attachments, owner, conversation_ids)

    async def known(self, owner: str, conversation_ids: Sequence[str]) -> dict[str, Known]:
        """Return what the owner has of these conversations, if they were imported: "here", "deleted" or absent."""
        return await self._database.read(whole.known, owner, conversation_ids)

    async def grown(self, owner: str, conversation_id: str, message_ids: Sequence[str]) -> bool:
        """Return whether a conversation that the owner has lacks some of these messages, as a file names them."""
        return await self._database.read(whole.grown, owner, conversation_id, message_ids)

    async def add_wholes(
        self, owner: str, wholes: Callable[[], Iterable[Whole]], attachments: Sequence[AttachmentPart] = ()
    ) -> Imported:
        """Store conversations, all or none; those that the owner has stay as they are, deleted ones are brought back.

        They come in by small transactions, between which others write, and nobody sees any of them before the last.

        Args:
            owner: Whose they are then.
            wholes: Yields them, in a thread. What it raises ends it all.
            attachments: Those of them whose bytes the owner has, to be kept for good.
        """
        word = new_id()
        coming = iter(wholes())
        added: list[str] = []
        deleted: list[str] = []
        skipped = 0
        some: list[whole.Piece] = []
        try:
            while (one := await asyncio.to_thread(next, coming, None)) is not None:
                match await self._database.read(whole.found, owner, one):
                    case "here":
                        skipped += 1
                    case "deleted":
                        deleted.append(one.conversation.id)
                    case Whole() as free:
                        added.append(free.conversation.id)
                        for piece in whole.pieces(free):
                            if some and sum(other.weight for other in some) + piece.weight > whole.AT_ONCE:
                                await self._database.write(whole.stage, owner, word, some)
                                some = []
                            some.append(piece)
            await self._database.write(whole.stage, owner, word, some)
            restored, made = await self._database.write(whole.publish, owner, word, deleted, attachments, self._now())
        except BaseException:
            await asyncio.shield(self._erase_staged(word))
            raise
        return Imported(tuple(added), restored, skipped, made)

    async def _erase_staged(self, word: str = "") -> None:
        while await self._database.write(whole.erase_staged, word, _ERASED_AT_ONCE):
            pass

    async def remove_staged(self) -> None:
        """Remove what an import left behind that was cut short; for the start, before any can begin."""
        await self._erase_staged()

    async def delete_all(self, owner: str, conversation_ids: Sequence[str], *, folder_ids: Sequence[str] = ()) -> None:
        """Hide conversations like `delete`, all at once; ids of others do nothing.

        Of the folders, inner ones first, those are removed in which nothing is then.
        """
        await self._database.write(whole.delete, owner, conversation_ids, folder_ids, self._now())

    # Search

    async def search(self, owner: str, query: Query, *, limit: int = 20, before: int | None = None) -> list[Hit]:
        """Return messages and titles of the owner's, titles first, then the newest; `before` continues below a place.

        What a deleted conversation holds is not found, nor an answer that is still being written.
        """
        return await self._database.read(searching.find, owner, query, limit, before) if query else []

    # Messages that wait for the answer before them

    async def queue(self, owner: str, conversation_id: str) -> list[Queued]:
        """Return the messages that wait in a conversation, the next one first."""
        return await self._database.read(queue.waiting, owner, conversation_id)

    async def count_queued(self) -> int:
        """Return how many messages wait in this database: a number for whoever looks after the server."""
        return await self._database.read(queue.count)

    async def enqueue(
        self, owner: str, conversation_id: str, message: Queued, *, request_key: str | None = None
    ) -> bool:
        """Let a message wait behind the others, unless its request has come before; see `begin_run`.

        Returns:
            Whether it was stored now.

        Raises:
            InputError: `queue.MAX_QUEUED` are waiting already, or `request_key` is no plain word.
        """
        _check_key(request_key)
        return await self._add(runs.wait, owner, conversation_id, message, request_key, self._now())

    async def unqueue(self, owner: str, conversation_id: str, queued_id: str) -> None:
        """Take a waiting message back; NotFoundError when it was sent or removed already."""
        await self._database.write(queue.remove, owner, conversation_id, queued_id, self._now())

    # Attached files

    async def begin_upload(self) -> Path:
        """Make an empty file for what a browser sends in pieces; nobody has it until `add_attachment`."""
        return await asyncio.to_thread(self._files.begin_upload)

    async def write_upload(self, upload: Path, offset: int, data: bytes) -> None:
        """Write a piece of it."""
        await asyncio.to_thread(self._files.write_upload, upload, offset, data)

    async def read_upload(self, upload: Path) -> bytes:
        """Return what has come of it."""
        return await asyncio.to_thread(self._files.read_upload, upload)

    async def end_upload(self, upload: Path) -> None:
        """Remove it; what is kept of it is kept elsewhere."""
        await asyncio.to_thread(self._files.end_upload, upload)

    async def add_attachment(self, owner: str, name: str, media_type: str, data: bytes) -> AttachmentPart:
        """Keep bytes for an owner. They are on the disk, under their hash, before anything names them."""
        async with self._keeping:
            sha256 = await asyncio.to_thread(self._files.add, data)
            attachment = AttachmentPart(sha256, name, media_type, len(data))
            await self._add(attached.add, owner, attachment, self._now())
        return attachment

    async def attachments(self, owner: str, wanted: Sequence[Named]) -> list[AttachmentPart]:
        """Return the owner's attachments of these hashes, under these names."""
        return await self._database.read(attached.named, owner, wanted)

    async def attachment_bytes(self, owner: str, sha256: str) -> bytes:
        """Return what an attachment of the owner's holds; StorageError when it is damaged."""
        _, data = await self.attachment(owner, sha256)
        return data

    async def attachment(self, owner: str, sha256: str) -> tuple[AttachmentPart, bytes]:
        """Return an attachment of the owner's, without its name, and what it holds; StorageError when it is damaged."""
        [found] = await self.attachments(owner, [(sha256, "The attached file")])
        return found, await asyncio.to_thread(self._files.read, sha256)

    async def every_attachment(self, owner: str) -> list[AttachmentPart]:
        """Return all attachments of the owner's, sent or not, without their names."""
        return await self._database.read(attached.every, owner)

    async def remove_orphans(self) -> int:
        """Remove files that were never sent, once they are a week old, and those of which all messages were erased.

        While a database that was set aside lies beside this one nothing is removed: it may name them.

        Returns:
            How many there were.
        """
        now = self._now()
        await asyncio.to_thread(self._files.remove_uploads, (now - ABANDONED).timestamp())
        if await asyncio.to_thread(lambda: self._files.shared):
            return 0
        async with self._keeping:  # one that comes meanwhile would find its bytes here, and lose them
            gone = await self._database.write(attached.forget_orphans, now - UNSENT)
            await asyncio.to_thread(self._files.remove, gone)
        return len(gone)

    async def _add(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Write what somebody adds, unless there is no room for it; what ends an answer goes past this."""

        def checked(connection: Connection) -> T:
            done = work(connection, *args, **kwargs)
            self._check_room(connection)
            return done

        return await self._database.write(checked)

    async def _remove_files(self) -> None:
        """Remove the files of what was erased just now, or else with the next that is."""
        try:
            await self.remove_orphans()
        except StorageError as error:
            log.warning("attached files were not removed yet: %s", error)

    # Runs

    async def begin_run(
        self,
        owner: str,
        *,
        conversation: Conversation,
        question: Message | None,
        answers: Sequence[Message],
        instead_of: str | None = None,
        request_key: str | None = None,
        waited: bool = False,
        hold: Hold | None = None,
    ) -> Begun:
        """Store a question and the empty answers to it that a run each will fill: all or nothing.

        The first answer is the head then. Answers that stood side by side at this place are versions from then on.

        Args:
            owner: Whose conversation it is.
            conversation: Stored as given if it is new; of one that exists only the head and `updated_at` change.
            question: None when an existing question is answered again.
            answers: Each has the status `streaming`, a run of its own, and the question as its parent.
            instead_of: One of several that stand side by side, in whose place the one answer comes; the others stay,
                and the head, if it is another one.
            request_key: A word of the browser's for this request. When the owner has used it before, nothing is
                stored, and the conversation and run of that first time are returned.
            waited: The question is one of those that wait, under the same id; it stops waiting, and its own key counts.
            hold: What each run could cost, where there are budgets: reserved, or `refused` in what is returned.

        Raises:
            InputError: `request_key` is empty or no plain word, or `instead_of` stands beside nothing any more.
            NotFoundError: the conversation is deleted or somebody else's, a parent is not in it, or the question does
                not wait any more.
            ValueError: the messages do not belong together.
        """
        new = [*answers] if question is None else [question, *answers]
        if not answers or any(message.conversation_id != conversation.id for message in new):
            raise ValueError("question and answers are not of the same conversation")
        asked = answers[0].parent_id if question is None else question.id
        for answer in answers:
            if answer.parent_id is None or answer.parent_id != asked:
                raise ValueError(f"answer {answer.id!r} does not follow its question")
            if answer.status != "streaming" or answer.run_id is None:
                raise ValueError(f"answer {answer.id!r} is {answer.status}, not streaming, or has no run")
        _check_key(request_key)
        return await self._add(
            runs.begin,
            owner,
            conversation,
            question,
            answers,
            instead_of=instead_of,
            request_key=request_key,
            waited=waited,
            hold=hold,
            now=self._now(),
        )

    async def begun(self, owner: str, request_key: str) -> Begun | None:
        """Return what a request came to that the owner has sent before; None where it is new."""
        return await self._database.read(runs.begun_before, owner, request_key)

    async def resume_run(
        self,
        owner: str,
        conversation_id: str,
        message_id: str,
        run_id: str,
        *,
        options: Options | None = None,
        request_key: str | None = None,
        hold: Hold | None = None,
    ) -> Begun:
        """Open an answer that was cut off again, so that a new run writes on in it; its text stays.

        `finish_run` and `interrupt_orphans` put the reply of the new run behind what is there, text to text without a
        seam, and the usage of both adds up.

        Args:
            owner: Whose conversation it is.
            conversation_id: The answer's conversation.
            message_id: The answer.
            run_id: The new run.
            options: Who writes on, where that is not who wrote before.
            request_key: As for `begin_run`.
            hold: As for `begin_run`.

        Raises:
            InputError: the answer was not cut off, or there are messages after it.
            NotFoundError: there is no such message.
        """
        _check_key(request_key)
        return await self._add(
            runs.resume,
            owner,
            conversation_id,
            message_id,
            run_id=run_id,
            options=options,
            request_key=request_key,
            hold=hold,
            now=self._now(),
        )

    async def append_events(self, run_id: str, events: Sequence[Numbered]) -> None:
        """Store a run's next events."""
        await self.append_many({run_id: events})

    async def append_many(
        self, events: Mapping[str, Sequence[Numbered]], asked_with: Mapping[str, Recipe] = MappingProxyType({})
    ) -> None:
        """Store the next events of several runs in one transaction, and what some of them asked with.

        Skips what is stored already, and ended runs.
        """
        await self._database.write(runs.append, events, asked_with)

    async def finish_run(
        self,
        run_id: str,
        *,
        reply: Reply,
        first_token_s: float | None,
        total_s: float,
        events: Sequence[Numbered] = (),
        recipe: Recipe | None = None,
        measured: Measured | None = None,
    ) -> None:
        """Write the finished answer into its message, and the run's result; drop the stored events that it repeats.

        `reply` is the fold of this run's own events, also when it went on with an earlier answer. `events` are those of
        them that add no text, and stay; `recipe` is what it asked with; both may be stored already. What the run
        `measured` is kept, and comes in the place of what was reserved for it.

        A run that has ended already stays as it is, so the call may be tried again.

        Raises:
            NotFoundError: there is no such run.
            ValueError: `reply` has not ended.
        """
        if reply.status == "streaming":
            raise ValueError(f"run {run_id!r} has not ended")
        await self._database.write(
            runs.finish,
            run_id,
            reply,
            first_token_s=first_token_s,
            total_s=total_s,
            events=events,
            recipe=recipe,
            measured=measured,
            now=self._now(),
        )

    async def interrupt_orphans(self, measure: runs.Measure = lambda *_: None) -> runs.Orphans:
        """End the runs that a stop of Panelist cut short, keeping their text; for the start, before any run begins.

        Args:
            measure: Says what each of them measured. What is reserved for runs of other stores counts as spent.
        """
        return await self._database.write(runs.interrupt_orphans, measure, self._now())

    async def events(self, owner: str, run_id: str, after: int = 0) -> list[Numbered]:
        """Return a run's stored events numbered above `after`. Once it has ended, its text is only in its message."""
        return await self._database.read(runs.events, owner, run_id, after)

    async def run(self, owner: str, run_id: str) -> RunRecord:
        """Return what is kept of a run."""
        return await self._database.read(runs.one, owner, run_id)

    async def written(self, owner: str, conversation_id: str, message_id: str) -> Written:
        """Return a message with the runs that wrote it, and what these told beside its text."""
        return await self._database.read(written.written, owner, conversation_id, message_id)

    # What endpoints refused, and their keys: the operator's, not anybody's own

    async def drop_parameter(self, endpoint: str, parameter: str) -> None:
        """Remember not to send `parameter` to `endpoint` again."""
        await self._database.write(_drop_parameter, endpoint, parameter)

    async def dropped_parameters(self) -> dict[str, frozenset[str]]:
        """Return the parameters to leave out, by endpoint."""
        return await self._database.read(_dropped_parameters)

    async def put_sightings(self, sightings: Sequence[Sighting]) -> None:
        """Keep when keys were seen; what was known before stays where it is older, or newer."""
        await self._database.write(endpoint_keys.put, sightings)

    async def sightings(self) -> list[Sighting]:
        """Return when keys were seen."""
        return await self._database.read(endpoint_keys.every)


async def _opened(dialect: Dialect) -> Database:
    await asyncio.to_thread(dialect.prepare)
    try:
        await asyncio.to_thread(migrate, dialect)
        return await Database.open(dialect)
    except BaseException:
        dialect.release()
        raise


def _snapshot(connection: Connection, owner: str, conversation_id: str, paths: Paths) -> Snapshot:
    conversation = conversations.one(connection, owner, conversation_id)
    path = tree.path_to(connection, conversation_id, conversation.head_id, paths)
    return Snapshot(
        conversation,
        path,
        tree.forks(connection, conversation_id),
        tuple(queue.waiting_in(connection, conversation_id)),
        tree.together(connection, path[-1] if path else None),
    )


def _write_something(connection: Connection, now: datetime) -> None:
    """Take some room and give it back, so that a full disk is noticed as well as a locked or read-only one."""
    when = {"created_at": now, "updated_at": now}
    row = {"id": "", "owner": "", "title": "x" * 10_000, "title_source": "question", **when}
    connection.execute(insert(conversations_table).values(row))
    connection.execute(delete(conversations_table).where(conversations_table.c.id == ""))


def _drop_parameter(connection: Connection, endpoint: str, parameter: str) -> None:
    connection.execute(insert_new(connection, dropped_parameters).values(endpoint=endpoint, parameter=parameter))


def _dropped_parameters(connection: Connection) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for row in connection.execute(select(dropped_parameters)):
        found.setdefault(row.endpoint, set()).add(row.parameter)
    return {endpoint: frozenset(parameters) for endpoint, parameters in found.items()}


def _check_key(request_key: str | None) -> None:
    if request_key is not None and not (request_key.isprintable() and 0 < len(request_key) <= MAX_KEY):
        raise InputError("The page sent a request that cannot be told from others. Reload the page and send it again.")


def _utc_now() -> datetime:
    return datetime.now(UTC)
