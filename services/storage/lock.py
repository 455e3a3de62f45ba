"""The data directory's lock: one server per SQLite database."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from services.errors import InUseError, StorageError


class DatabaseLock:
    """Held from `take` to `release`; the system lets go of it when the process dies, however it dies."""

    def __init__(self, database: Path, descriptor: int) -> None:
        self.database = database
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, database: Path) -> DatabaseLock:
        """Lock `<database>.lock`, which stays behind when the lock is released.

        Raises:
            InUseError: another process holds it.
        StorageError: the file system has no locks.
            OSError: the lock file cannot be made.
        """
        descriptor = os.open(database.with_name(database.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
        except (BlockingIOError, PermissionError) as error:
            os.close(descriptor)
            raise InUseError(
                f"Another Panelist server is already using {database}. "
                "Stop it first; to run several servers on the same data, use PostgreSQL."
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise StorageError(
                f"The file system of {database} has no locks ({error.strerror}). "
                "Move the data directory to a local disk, or use PostgreSQL."
            ) from error
        return cls(database, descriptor)

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        # flock, not lockf: it belongs to this opening of the file, so that a second server in the same process is
        # refused too and closing some other descriptor of the file does not release it.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
