"""Attached files inside a backup: a backup is one file, so they travel in a table of it. Blocking."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from services.errors import NotFoundError, StorageError
from services.storage.engine_sqlite import told
from services.storage.files import Files

log = logging.getLogger(__name__)

_HAS = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
_NAMED = "SELECT DISTINCT sha256 FROM attachments"
_MAKE = "CREATE TABLE attached_files (sha256 TEXT PRIMARY KEY, data BLOB NOT NULL)"


def pack(copy: Path, files: Files) -> None:
    """Put the files that a copy of the database speaks of into it.

    One that is missing or damaged is left out, with a word in the log: it must not cost the rest of the backup.
    """
    with _opened(copy) as run:
        hashes = [sha256 for (sha256,) in run(_NAMED)] if run(_HAS, "attachments") else []
        if not hashes:
            return
        run(_MAKE)
        for sha256 in hashes:
            try:
                data = files.read(sha256)
            except (NotFoundError, StorageError) as error:
                log.warning("an attached file is not in the backup: %s", error)
            else:
                run("INSERT INTO attached_files VALUES (?, ?)", sha256, data)


def unpack(copy: Path, files: Files, *, beside: Files) -> None:
    """Put the files of a copied backup into their folder, and the copy back into the form of a database.

    What was not made by `pack`, such as a database that was set aside, has its files `beside` it.
    """
    with _opened(copy) as run:
        if run(_HAS, "attached_files"):
            for (sha256,) in run("SELECT sha256 FROM attached_files"):  # one at a time: all may be more than the memory
                [(data,)] = run("SELECT data FROM attached_files WHERE sha256 = ?", sha256)
                if files.add(data) != sha256:
                    raise StorageError("The backup is damaged: a file in it is not what it was. Use another backup.")
            run("DROP TABLE attached_files")
            run("VACUUM")
        elif beside.folder != files.folder and run(_HAS, "attachments"):
            for (sha256,) in run(_NAMED):
                if beside.has(sha256):
                    files.add(beside.read(sha256))


class _Run:
    """Runs one statement at a time on a copy and returns its rows."""

    def __init__(self, copy: Path, database: sqlite3.Connection) -> None:
        self._copy = copy
        self._database = database

    def __call__(self, statement: str, *values: object) -> list[Any]:
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise told(self._copy.parent, error) from error


@contextmanager
def _opened(copy: Path) -> Iterator[_Run]:
    with closing(sqlite3.connect(copy, isolation_level=None)) as database:
        yield _Run(copy, database)
    descriptor = os.open(copy, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
