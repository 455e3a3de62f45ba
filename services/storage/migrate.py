"""Brings a database to the schema of this version. Blocking: run it in a thread."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, inspect

from services.errors import StorageError
from services.storage.engine import Dialect, told_plainly

MIGRATIONS = Path(__file__).with_name("migrations")

_ONE_AT_A_TIME = threading.Lock()  # Alembic keeps the migration that runs in a module


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
    if set(MigrationContext.configure(connection).get_current_heads()) != set(_history().get_heads()):
        raise StorageError(f"{name} is not of this version of Panelist. Start the app once, then try again.")


def known_revisions() -> set[str]:
    """Return the revisions of the schema that this version can read, the newest included."""
    return {revision.revision for revision in _history().walk_revisions()}


@cache
def _history() -> ScriptDirectory:
    return ScriptDirectory(str(MIGRATIONS))


def _upgrade(connection: Connection, dialect: Dialect, revision: str) -> None:
    name = dialect.name
    present = set(MigrationContext.configure(connection).get_current_heads())
    if not present <= known_revisions():
        raise StorageError(
            f"{name} was written by a newer Panelist. Update Panelist, or restore a backup made with this version."
        )
    if not present and inspect(connection).get_table_names():
        raise StorageError(f"{name} belongs to another program. It was left as it is; name another one.")
    if present == set(_history().get_heads()):
        return
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
