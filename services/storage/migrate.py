"""Brings a database to the schema of this version. Blocking: run it in a thread."""

from __future__ import annotations

import re
import threading
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from services.errors import StorageError
from services.storage.engine import Dialect, told_plainly

MIGRATIONS = Path(__file__).with_name("migrations")

_ONE_AT_A_TIME = threading.Lock()  # Alembic keeps the migration that runs in a module
_REVISION = re.compile(r'^(down_revision|revision) = (?:"(\w+)"|None)$', re.M)


def migrate(dialect: Dialect, revision: str = "head") -> None:
    """Run the migrations that the database lacks up to `revision`, all or none.

    Raises:
        StorageError: a newer Panelist or another program wrote the database, or it cannot be read or written.
    """
    engine = dialect.migrator()
    try:
        with told_plainly(dialect), engine.begin() as connection, _ONE_AT_A_TIME:
            _upgrade(connection, dialect, revision)
    finally:
        engine.dispose()


def check_current(connection: Connection, name: str) -> None:
    """Raise StorageError unless the schema is the one of this version."""
    if _present(connection) != heads():
        raise StorageError(f"{name} is not of this version of Panelist. Start the app once, then try again.")


def known_revisions() -> set[str]:
    """Return the revisions of the schema that this version can read, the newest included."""
    return set(_history())


def heads() -> set[str]:
    """Return the revision of the schema of this version."""
    return _history().keys() - _history().values()


@cache
def _history() -> dict[str, str | None]:
    """Return each revision with the one before it.

    They are read from their files, and Alembic only comes in when there is something to do: to import it takes a tenth
    of a second.
    """
    history: dict[str, str | None] = {}
    for file in sorted((MIGRATIONS / "versions").glob("m*.py")):
        said = dict(_REVISION.findall(file.read_text("utf-8")))
        history[said["revision"]] = said["down_revision"] or None
    return history


def _present(connection: Connection) -> set[str]:
    """Return the revision that a database is at; nothing where it is new."""
    if not inspect(connection).has_table("alembic_version"):
        return set()
    return set(connection.scalars(text("SELECT version_num FROM alembic_version")))


def _upgrade(connection: Connection, dialect: Dialect, revision: str) -> None:
    name = dialect.name
    present = _present(connection)
    if not present <= known_revisions():
        raise StorageError(
            f"{name} was written by a newer Panelist. Update Panelist, or restore a backup made with this version."
        )
    if not present and inspect(connection).get_table_names():
        raise StorageError(f"{name} belongs to another program. It was left as it is; name another one.")
    if present == heads():
        return
    from alembic import command  # noqa: PLC0415 - see `_history`
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise StorageError(
            f"{name} could not be brought up to date ({error}). Restore a backup and report it."
        ) from error
    if broken := dialect.broken_links(connection):
        raise StorageError(f"{name} could not be brought up to date: {broken} rows point nowhere. Report it.")
