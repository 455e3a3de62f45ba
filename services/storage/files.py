"""The bytes of attachments: one file for each, named by its hash, in a folder beside the database. Blocking.

A file is whole and on the disk before its name is there, and is never changed afterwards.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from services.errors import NotFoundError, StorageError
from services.messages import new_id
from services.storage.dialects import dialect_of
from services.storage.engine_sqlite import SQLite, rights_told

UPLOADS = "uploading"
_HASH = re.compile("[0-9a-f]{64}")
_SET_ASIDE = "*.before-restore-*"


class Files:
    """The folder `attachments`; it is made with the first file."""

    def __init__(self, folder: Path | None, database: Path | None = None) -> None:
        self._folder = folder
        self._database = database

    @property
    def folder(self) -> Path:
        if self._folder is None:
            raise StorageError("There is no folder for attached files. Set PANELIST_DATA_DIR.")
        return self._folder

    @classmethod
    def of(cls, where: Path | str, folder: Path | None) -> Files:
        """Return the files that belong to a database: in `folder`, else beside its own file."""
        dialect = dialect_of(where)
        database = dialect.path if isinstance(dialect, SQLite) else None
        if folder is None and database is not None:
            folder = database.parent / "attachments"
        return cls(folder, database)

    def place(self, sha256: str) -> Path:
        """Return where the bytes of that hash are, or would be."""
        if not _HASH.fullmatch(sha256):  # nothing that anybody sends becomes a path
            raise _missing()
        return self.folder / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        return self.place(sha256).is_file()

    def read(self, sha256: str) -> bytes:
        """Return the bytes of that hash.

        Raises:
            NotFoundError: they are gone.
            StorageError: they cannot be read, or are not what they were.
        """
        place = self.place(sha256)
        try:
            data = place.read_bytes()
        except FileNotFoundError as error:
            raise _missing() from error
        except OSError as error:
            raise StorageError(f"{place} cannot be read ({error.strerror}). Check the disk, then try again.") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StorageError(f"{place} is damaged. Bring it back from a backup, or attach the file again.")
        return data

    def add(self, data: bytes) -> str:
        """Keep bytes and return their hash; those that are there already stay as they are."""
        sha256 = hashlib.sha256(data).hexdigest()
        place = self.place(sha256)
        with rights_told(place):
            if place.is_file() and place.read_bytes() == data:  # else it is damaged, and mended now
                return sha256
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=place.parent)  # only we can read it
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(name, place)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            for folder in (place.parent, self.folder, self.folder.parent):
                sync(folder)
        return sha256

    def remove(self, hashes: Collection[str]) -> None:
        """Remove the bytes of these hashes, where they are and as far as that is allowed."""
        for sha256 in hashes:
            with suppress(OSError):
                self.place(sha256).unlink(missing_ok=True)

    @property
    def shared(self) -> bool:
        """Whether a restore has set a database aside, which may need what this one does not."""
        return self._database is not None and any(self._database.parent.glob(_SET_ASIDE))

    def begin_upload(self) -> Path:
        """Make an empty file for what comes in pieces."""
        uploads = self.folder / UPLOADS
        with rights_told(uploads):
            uploads.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=uploads)
            os.close(descriptor)
        return Path(name)

    def write_upload(self, upload: Path, offset: int, data: bytes) -> None:
        with rights_told(upload), upload.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def read_upload(self, upload: Path) -> bytes:
        with rights_told(upload):
            return upload.read_bytes()

    def end_upload(self, upload: Path) -> None:
        with suppress(OSError):
            upload.unlink(missing_ok=True)

    def remove_uploads(self, before: float) -> None:
        """Remove what was left behind in the middle of coming before a moment (seconds since 1970)."""
        uploads = self.folder / UPLOADS
        for file in uploads.iterdir() if uploads.is_dir() else ():
            with suppress(OSError):  # gone meanwhile, or not ours to remove
                if file.stat().st_mtime < before:
                    file.unlink()


class MemoryFiles(Files):
    """The same, nowhere but in this process's memory. What looks like a path is only a word."""

    def __init__(self, most: int) -> None:
        """Take the bytes that they may come to together."""
        super().__init__(None)
        self._most = most
        self._kept: dict[str, bytes] = {}
        self._uploads: dict[Path, bytearray] = {}
        self._turn = threading.Lock()

    def has(self, sha256: str) -> bool:
        return sha256 in self._kept

    def read(self, sha256: str) -> bytes:
        try:
            return self._kept[sha256]
        except KeyError as error:
            raise _missing() from error

    def add(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        with self._turn:
            self._check(0 if sha256 in self._kept else len(data))
            self._kept[sha256] = data
        return sha256

    def remove(self, hashes: Collection[str]) -> None:
        for sha256 in hashes:
            self._kept.pop(sha256, None)

    def begin_upload(self) -> Path:
        upload = Path(new_id())
        self._uploads[upload] = bytearray()
        return upload

    def write_upload(self, upload: Path, offset: int, data: bytes) -> None:
        with self._turn:
            self._check(len(data))
            self._uploads[upload][offset : offset + len(data)] = data

    def read_upload(self, upload: Path) -> bytes:
        return bytes(self._uploads[upload])

    def end_upload(self, upload: Path) -> None:
        self._uploads.pop(upload, None)

    def remove_uploads(self, before: float) -> None:
        """Do nothing: what is left behind ends with the process."""

    def _check(self, more: int) -> None:
        if more + sum(map(len, (*self._kept.values(), *self._uploads.values()))) > self._most:
            raise StorageError(
                f"A temporary chat takes {self._most // 1_000_000} MB of files at most. Keep it, or begin a new chat."
            )


def sync(folder: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _missing() -> NotFoundError:
    return NotFoundError("The attached file is not on this server any more. Attach it again.")
