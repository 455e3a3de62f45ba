"""Brings a database to the schema of this version. Blocking: run it in a thread."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, inspect

from services.errors import StorageError
from services.storage.engine import broken_links, migration_engine, told_plainly

MIGRATIONS = Path(__file__).with_name("migrations")

_ONE_AT_A_TIME = threading.Lock()  # Alembic keeps the migration that runs in a module


def migrate(path: Path) -> None:
    """Run the migrations that `path` lacks, all or none.

    Raises:
        StorageError: a newer Panelist or another program wrote the database, or it cannot be read or written.
    """
    engine = migration_engine(path)
    try:
        with told_plainly(path), engine.begin() as connection, _ONE_AT_A_TIME:
            _upgrade(connection, path)
    finally:
        engine.dispose()


def _upgrade(connection: Connection, path: Path) -> None:
    script = ScriptDirectory(str(MIGRATIONS))
    present = set(MigrationContext.configure(connection).get_current_heads())
    if not present <= {revision.revision for revision in script.walk_revisions()}:
        raise StorageError(
            f"{path} was written by a newer Panelist. Update Panelist, or restore a backup made with this version."
        )
    if not present and inspect(connection).get_table_names():
        raise StorageError(f"{path} belongs to another program. It was left as it is; name another file.")
    if present == set(script.get_heads()):
        return
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StorageError(
            f"{path} could not be brought up to date ({error}). Restore a backup and report it."
        ) from error
    if broken := broken_links(connection):
        raise StorageError(f"{path} could not be brought up to date: {broken} rows point nowhere. Report it.")
