"""Copies of the database: made while a server writes, checked, and put back. Blocking; no server has to run."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from services.errors import StorageError
from services.storage import packing
from services.storage.dialects import dialect_of
from services.storage.engine_sqlite import SQLite, check_damage, check_file, code_of, read_only, rights_told, told
from services.storage.files import Files, sync
from services.storage.lock import DatabaseLock
from services.storage.migrate import known_revisions

_OF_THE_SOURCE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BESIDE = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite keeps beside a database and takes for a part of it."""


def backup(where: Path | str, target: Path, attachments: Path | None = None) -> None:
    """Write what is in the database at this moment, and its attached files, into a new file only this user can read.

    A server may go on writing. The file is there only once it is whole and was opened and read through.

    Raises:
        StorageError: there is something at `target`, were it a link that leads nowhere; the database cannot be read
            or the file not be written; or it is not SQLite.
    """
    database = _file_of(where)
    if not database.is_file():
        raise StorageError(f"{database} does not exist, so there is nothing to back up. Check PANELIST_DATA_DIR.")
    target = target.absolute()
    if os.path.lexists(target):
        raise _taken(target)
    with rights_told(target), _copy_of(database, target.parent) as copy:
        packing.pack(copy, Files.of(where, attachments))
        try:
            _publish(copy, target)
        except FileExistsError as error:
            raise _taken(target) from error


def restore(source: Path, where: Path | str, attachments: Path | None = None) -> Path | None:
    """Put a backup in the place of the database, which no server may be using, and its attached files beside it.

    Returns:
        The file that was there until now, kept under another name beside it; None if there was none.

    Raises:
        StorageError: a server is using the database; `source` is damaged, of a newer Panelist or another program; a
            file cannot be read or written; or it is not SQLite. The database is then as it was.
    """
    target, source = _file_of(where), source.resolve()
    if not source.is_file():
        raise StorageError(f"{source} does not exist. Name a file that was made by `python cli.py backup FILE`.")
    if source == target or (target.exists() and source.samefile(target)):
        raise StorageError(
            f"{source} is the database itself. Name a file that was made by `python cli.py backup FILE`."
        )
    with rights_told(target):
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = DatabaseLock.take(target)
        try:
            with _copy_of(source, target.parent) as copy:
                packing.unpack(copy, Files.of(where, attachments), beside=Files.of(source, None))
                kept = _set_aside(target)
                copy.replace(target)
                sync(target.parent)
        finally:
            lock.release()
    return kept


def _file_of(where: Path | str) -> Path:
    dialect = dialect_of(where)
    if isinstance(dialect, SQLite):
        return dialect.path
    raise StorageError(
        f"{dialect.name} is copied by PostgreSQL's own tools: "
        '`pg_dump --format=custom --file=FILE "$DATABASE_URL"`, with the folder `attachments` beside it, and back by '
        '`pg_restore --clean --if-exists --single-transaction --dbname="$DATABASE_URL" FILE`.'
    )


@contextmanager
def _copy_of(database: Path, folder: Path) -> Iterator[Path]:
    """Make a checked copy in `folder`, for the caller to move where it belongs."""
    check_file(database)
    descriptor, name = tempfile.mkstemp(prefix=".panelist-", suffix=".tmp", dir=folder)  # only we can read it
    copy = Path(name)
    try:
        try:
            with closing(read_only(database)) as connection:
                connection.execute("VACUUM INTO ?", (name,))
        except sqlite3.DatabaseError as error:
            raise told(database if code_of(error) in _OF_THE_SOURCE else folder, error) from error
        _check(copy, database)
        os.fsync(descriptor)
        yield copy
    finally:
        os.close(descriptor)
        for ending in ("", *_BESIDE):
            Path(name + ending).unlink(missing_ok=True)


def _check(copy: Path, database: Path) -> None:
    """Raise StorageError unless the copy is whole and this version can read it; `database` is where it is from."""
    check_damage(copy)
    try:
        with closing(read_only(copy)) as connection:
            found = {revision for (revision,) in connection.execute("SELECT version_num FROM alembic_version")}
    except sqlite3.OperationalError:
        found = set()
    if not found:
        raise StorageError(f"{database} is not a database of Panelist's. Name another file.")
    if not found <= known_revisions():
        raise StorageError(f"{database} was written by a newer Panelist, or by another program. Update Panelist.")


def _publish(copy: Path, target: Path) -> None:
    """Give the copy its name unless something has it. Never goes through a link."""
    if not _linked(copy, target):
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        copy.replace(target)
    sync(target.parent)


def _set_aside(target: Path) -> Path | None:
    """Give the database a second name, together with what belongs to it, then make way for another."""
    if not target.exists():
        return None
    kept = target.with_name(f"{target.name}.before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    for ending in ("", "-wal", "-journal"):  # -shm is only an index, made anew when it is missing
        part, name = Path(f"{target}{ending}"), Path(f"{kept}{ending}")
        if part.exists() and not _linked(part, name):
            shutil.copy2(part, name)
    sync(target.parent)
    for ending in _BESIDE:  # the new database would take them for its own
        Path(f"{target}{ending}").unlink(missing_ok=True)
    return kept


def _linked(file: Path, name: Path) -> bool:
    """Give a file a second name; False on a file system that has no such thing, such as a memory stick's."""
    try:
        os.link(file, name)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _taken(target: Path) -> StorageError:
    return StorageError(f"{target} is there already, and a backup replaces nothing. Name a new file.")
