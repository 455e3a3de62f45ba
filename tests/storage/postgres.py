"""A PostgreSQL database of our own, on the server that this machine has."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from tests.canary import WATCH
from tests.servers.need import unavailable

PORT = 5432


@contextmanager
def own_database() -> Iterator[str]:
    """Yield the URL of a new, empty database, which is dropped at the end; skip where there is no server."""
    with _server() as login:
        name = f"panelist_test_{secrets.token_hex(6)}"
        execute(login, f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
        # Nobody pulls this server's plug: what is committed need not be on the disk.
        execute(login, f"ALTER DATABASE {name} SET synchronous_commit = off")
        try:
            yield login.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
        finally:
            WATCH.look_into_postgresql(login.set(database=name).render_as_string(hide_password=False))
            execute(login, f"DROP DATABASE {name} WITH (FORCE)")


def execute(url: URL, *statements: str) -> None:
    """Run statements outside of a transaction."""
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": 3},
    )
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))


@contextmanager
def _server() -> Iterator[URL]:
    """Yield a login that may create databases; a server that was started for it is stopped at the end."""
    if (login := _let_in()) is not None:
        yield login
        return
    asleep = _cluster("down")
    if asleep is None and _cluster("online") is None:
        unavailable(f"no PostgreSQL server answers on 127.0.0.1:{PORT} (Debian: apt-get install postgresql)")
    if asleep is not None:
        _control(asleep, "start")
    try:
        login = _let_in()
        if login is not None:
            yield login
            return
        with _own_role() as login:
            yield login
    finally:
        if asleep is not None:
            _control(asleep, "stop")


def _let_in() -> URL | None:
    """Return a login for which no password is asked, if there is one."""
    for user in ("postgres", getpass.getuser()):
        login = URL.create("postgresql", user, host="127.0.0.1", port=PORT, database="postgres")
        try:
            execute(login, "SELECT 1")
        except OperationalError:
            continue
        return login
    return None


@contextmanager
def _own_role() -> Iterator[URL]:
    """Make a role with a password, as Debian's own set-up lets root do through the socket."""
    role, password = f"panelist_test_{secrets.token_hex(6)}", secrets.token_hex(16)
    psql = ["runuser", "-u", "postgres", "--", "psql", "-qXp", str(PORT), "-v", "ON_ERROR_STOP=1"]
    made = subprocess.run(
        psql, input=f"CREATE ROLE {role} LOGIN CREATEDB PASSWORD '{password}'", text=True, capture_output=True, cwd="/"
    )
    if made.returncode != 0:
        unavailable(f"the PostgreSQL server on 127.0.0.1:{PORT} lets nobody in: {made.stderr.strip()}")
    try:
        yield URL.create("postgresql", role, password, "127.0.0.1", PORT, "postgres")
    finally:
        subprocess.run([*psql, "-c", f"DROP ROLE {role}"], check=True, cwd="/")


def _cluster(state: str) -> tuple[str, str] | None:
    """Return version and name of the system's cluster on our port, if it is in that state and we may control it."""
    if os.getuid() != 0 or shutil.which("pg_lsclusters") is None:
        return None
    listed = subprocess.run(["pg_lsclusters", "-h"], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        version, name, port, status, *_ = line.split()
        if port == str(PORT) and status.startswith(state):
            return version, name
    return None


def _control(cluster: tuple[str, str], what: str) -> None:
    subprocess.run(["pg_ctlcluster", "--skip-systemctl-redirect", *cluster, what], check=True, capture_output=True)
    for _ in range(100):
        if what == "stop" or _cluster("online") is not None:
            return
        time.sleep(0.1)
