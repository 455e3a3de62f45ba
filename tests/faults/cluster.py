"""A PostgreSQL server of our own, to be stopped and started in the middle: the machine's own serves other tests too."""

from __future__ import annotations

import getpass
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from tests.servers.need import unavailable
from tests.storage.postgres import execute
from tests.ui.conftest import free_port

_CONFIGURATION = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
# Nobody pulls this machine's plug; a server that is killed loses nothing that it gave to the system.
fsync = off
shared_buffers = 16MB
max_connections = 20
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One server. Its methods block until it is up, or down."""

    folder: Path
    programs: Path
    port: int

    def start(self) -> None:
        self._control("start")

    def stop(self, mode: str) -> None:
        """Stop it: `fast` ends its sessions in order, `immediate` kills them, so that the next start has to recover."""
        self._control("stop", "-m", mode)

    def restart(self, mode: str) -> None:
        self._control("restart", "-m", mode)

    def new_database(self) -> str:
        """Return the URL of a new, empty database."""
        login = URL.create("postgresql", "postgres", host="127.0.0.1", port=self.port, database="postgres")
        name = f"panelist_test_{secrets.token_hex(6)}"
        execute(login, f"CREATE DATABASE {name}")
        return login.set(database=name).render_as_string(hide_password=False)

    def _control(self, *what: str) -> None:
        self.run("pg_ctl", "-D", "data", "-l", "log", "-w", *what)

    def run(self, program: str, *arguments: str) -> None:
        # Not captured: the server inherits what it is given, and a pipe would stay open as long as it runs.
        done = subprocess.run(
            [self.programs / program, *arguments], cwd=self.folder, stdout=subprocess.DEVNULL, **_as_owner()
        )
        if done.returncode != 0:
            log = self.folder / "log"
            said = log.read_text("utf-8", "replace")[-2000:] if log.exists() else ""
            raise RuntimeError(f"{program} {' '.join(arguments)} ended with {done.returncode}\n{said}")


@contextmanager
def own_cluster() -> Iterator[Cluster]:
    """Yield a running server, which is gone at the end; skip where PostgreSQL is not installed."""
    programs = _programs()
    # Not pytest's own folder: only this user may enter that one, and a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="panelist-pg-") as name:
        folder = Path(name)
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        cluster = Cluster(folder, programs, free_port())
        cluster.run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.write(_CONFIGURATION.format(port=cluster.port, folder=folder))
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop("immediate")


def _programs() -> Path:
    """Return the folder of the newest server's programs: Debian keeps them off the PATH."""
    found = [Path(path).resolve().parent for path in (shutil.which("initdb"),) if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    needed = ("initdb", "pg_ctl", "postgres")
    folder = next((folder for folder in found if all((folder / program).exists() for program in needed)), None)
    if folder is None:
        unavailable("no programs of a PostgreSQL server (Debian: apt-get install postgresql)")
    return folder


def _as_owner() -> dict[str, Any]:
    """Return as whom a server runs: it refuses to as root."""
    if os.getuid() != 0:
        return {}
    try:
        owner = pwd.getpwnam("postgres")
    except KeyError:
        unavailable(f"{getpass.getuser()} cannot run a PostgreSQL server, and there is no user 'postgres'")
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
