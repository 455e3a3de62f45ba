"""The keys that the suite runs with, and the search for them in whatever it leaves behind.

A key is never in the page, a log, an export, the database or an error. So the endpoints of the suite have keys with one
unmistakable word in them, and this plugin looks for the word in what the tests see (frames, pages, log records, output
of terminals, databases that are dropped) and, at the end, in every file that they left. To find it is an error.

Where a key may be is named: files called `.env`, and files called `*.key`, from which keys are read.
"""

from __future__ import annotations

import gzip
import logging
import sqlite3
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pytest
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.pool import NullPool

from services.errors import mask_keys
from tests.keyed import WORD

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, WebSocket

_ALL_OF_A_PAGE = """() => {
    const told = []
    const look = (root) => {
        // What a person is typing into a field for keys is her own.
        told.push((root.innerHTML ?? "").replace(/<input[^>]*type="password"[^>]*>/g, ""))
        for (const node of root.querySelectorAll("*")) {
            if (node.shadowRoot) { look(node.shadowRoot) }
        }
    }
    look(document.documentElement)
    return told.join("\\n") + JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage})
}"""
_DAMAGED = (
    *(OSError, EOFError, ValueError, RuntimeError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error, sqlite3.Error),
)
_PIECE = 1 << 20
_MOST_UNPACKED = 1 << 28
"""Bytes: some archives here are made to do harm."""


def may_hold_a_key(path: Path) -> bool:
    """Whether a file is one of those that keys are written to, or read from."""
    return path.name == ".env" or path.suffix == ".key"


class Watch:
    """Looks for a word, and remembers where it looked and where it was."""

    def __init__(self, word: str = WORD) -> None:
        self.found: list[str] = []
        self.looked: Counter[str] = Counter()
        self._word = word.encode()
        half = len(self._word) // 2
        self._halves = (self._word[:half], self._word[half:])

    def look(self, kind: str, where: object, said: str | bytes) -> None:
        """Look into a text."""
        self.looked[kind] += 1
        data = said.encode("utf-8", "replace") if isinstance(said, str) else said
        at = data.find(self._word)
        if at >= 0:
            around = data[max(0, at - 60) : at + len(self._word) + 60]
            self.found.append(f"{kind} {where}: {around!r}")

    def look_into(self, folder: Path) -> None:
        """Look into every file below a folder, packed ones and databases too."""
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or not path.is_file() or may_hold_a_key(path):
                continue
            try:
                with path.open("rb") as file:
                    self._file(path, file)
            except PermissionError:  # of a test about it
                continue

    def look_into_postgresql(self, url: str) -> None:
        """Look into every row of a database on a server."""
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
        try:
            with engine.connect() as connection:
                for table in inspect(connection).get_table_names():
                    for (row,) in connection.execute(text(f'SELECT t::text FROM "{table}" t')):
                        # Bytes are told as hexadecimal digits.
                        self.look("row of PostgreSQL", table, f"{row} {_unhexed(row)}")
        finally:
            engine.dispose()

    def listen(self, page: Page) -> None:
        """Look into whatever a server sends to a page from now on."""

        def hear(socket: WebSocket) -> None:
            socket.on("framereceived", lambda payload: self.look("frame", page.url, payload))

        page.on("websocket", hear)

    def look_at(self, context: BrowserContext) -> None:
        """Look into the pages of a browser as they are now, and into what they keep."""
        from playwright.sync_api import Error

        for page in context.pages:
            with suppress(Error):  # one that is on its way elsewhere, or was brought down
                self.look("page", page.url, page.evaluate(_ALL_OF_A_PAGE))

    def _file(self, path: Path, file: BinaryIO) -> None:
        self.looked["file"] += 1
        head = file.read(16)
        file.seek(0)
        halves = self._stream(path, file)
        if head.startswith(b"PK\x03\x04"):
            self._unpack(path)
        elif head.startswith(b"\x1f\x8b"):
            with gzip.open(path) as unpacked:
                self._try(lambda: self._stream(path, unpacked))
        elif head == b"SQLite format 3\0" and halves:
            self._try(lambda: self._rows(path))

    def _stream(self, where: object, file: BinaryIO | gzip.GzipFile) -> bool:
        """Look into a stream; return whether there is only a half of the word in it."""
        before, halves, size = b"", False, 0
        while (piece := file.read(_PIECE)) and size < _MOST_UNPACKED:
            size += len(piece)
            data = before + piece
            if self._word in data:
                self.look("file", where, data)
                return False
            halves = halves or any(half in data for half in self._halves)
            before = data[-len(self._word) :]
        return halves

    def _unpack(self, path: Path) -> None:
        def look() -> None:
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    with archive.open(member) as unpacked:
                        self._stream(f"{path} {member.filename}", unpacked)  # type: ignore[arg-type]

        self._try(look)

    def _rows(self, path: Path) -> None:
        """Look into the values of a database: a long one lies in pieces on several of its pages."""
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE TABLE%'"
            for (table,) in database.execute(tables).fetchall():
                for row in database.execute(f'SELECT * FROM "{table}"'):
                    for value in row:
                        if isinstance(value, str | bytes):
                            self.look("value in a database", f"{path} {table}", value)

    @staticmethod
    def _try(work: Callable[[], object]) -> None:
        """Look where that is possible: some files are damaged on purpose."""
        with suppress(*_DAMAGED):
            work()


def _unhexed(row: str) -> str:
    return " ".join(
        bytes.fromhex(word).decode("latin-1")
        for part in row.split("\\x")[1:]
        if len(word := part[: len(part) - len(part.lstrip("0123456789abcdef"))]) % 2 == 0
    )


WATCH = Watch()


def pytest_configure() -> None:
    """Look into every log record that is made."""
    make = logging.getLogRecordFactory()

    def watched(*args: object, **kwargs: object) -> logging.LogRecord:
        record = make(*args, **kwargs)  # type: ignore[arg-type]
        said = "" if record.exc_info is None else repr(record.exc_info[1])
        # What Panelist logs goes through the mask of services/logs.py; other loggers write what they are given.
        line = f"{record.getMessage()} {said}"
        ours = record.name.startswith(("services", "components"))
        WATCH.look("log record", record.name, mask_keys(line) if ours else line)
        return record

    logging.setLogRecordFactory(watched)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for title, said in report.sections:
        if "log" not in title:  # which is told as it was before it was masked, and was looked into
            WATCH.look("output of a test", f"{report.nodeid} {title}", said)


@pytest.fixture(scope="session", autouse=True)
def _no_key_is_seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Look for the suite's keys in everything that the tests left, once all of them and their servers have ended."""
    yield
    WATCH.look_into(tmp_path_factory.getbasetemp())
    found = "\n".join(WATCH.found[:50])
    assert not WATCH.found, f"a key of the suite was found {len(WATCH.found)} times:\n{found}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    looked = ", ".join(f"{count:,} × {kind}" for kind, count in sorted(WATCH.looked.items()))
    terminalreporter.write_line(f"looked for the suite's keys in {looked or 'nothing'}; found: {len(WATCH.found)}")
