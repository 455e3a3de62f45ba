"""A real server in a process of its own, and a real Chromium."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tests.canary import WATCH
from tests.servers.need import unavailable
from tests.ui.line import Line
from tests.ui.model import Model

ROOT = Path(__file__).parent.parent.parent
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


LONG_FORM = pytest.mark.skipif(os.environ.get("PANELIST_LONG") != "1", reason="PANELIST_LONG=1 runs it")
"""For what takes long, and for journeys whose heart another one tries too."""


def tracebacks_of_ours(log: str) -> list[str]:
    """Return the places in our own code that a log's tracebacks name; an environment inside the tree is not ours."""
    return re.findall(rf'File "{ROOT}/(?:app|cli|services|components)[^"]*", line \d+', log)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """`panel serve app.py` on a port and a data folder of its own, with nothing of this machine's settings."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    """More of what `panel serve` takes."""
    port: int = field(default_factory=free_port)
    front: int | None = None
    """The port that browsers are given, when a line lies between."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.front or self.port}/app"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def environment(self) -> dict[str, str]:
        kept = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
        environ = {name: os.environ[name] for name in kept if name in os.environ}
        environ |= {"HOME": str(self.folder), "PANELIST_DATA_DIR": str(self.folder / "data")}
        guard = {"PYTHONPATH": str(Path(__file__).parent / "guard"), "FOREIGN_HOSTS": str(self.folder / "foreign")}
        return environ | guard | self.environ

    @property
    def foreign(self) -> str:
        """The hosts beyond this machine that the server wanted to reach."""
        noted = self.folder / "foreign"
        return noted.read_text("utf-8") if noted.exists() else ""

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            address = ("--port", str(self.port), "--address", "localhost")
            origin = ("--allow-websocket-origin", f"localhost:{self.front}") if self.front else ()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "panel", "serve", "app.py", *address, *origin, *self.options],
                cwd=ROOT,
                env=self.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        for _ in range(300):
            if self.process.poll() is not None:
                pytest.fail(f"the server ended at once:\n{self.log}")
            try:
                with urllib.request.urlopen(f"http://localhost:{self.port}/app", timeout=30) as page:
                    WATCH.look("first view of a page", self.folder, page.read())
                    return
            except OSError:
                time.sleep(0.1)
        pytest.fail(f"the server did not come up:\n{self.log}")

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=20)
            self.process = None


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that many journeys share; each begins a conversation of its own."""
    one = Server(tmp_path_factory.mktemp("server"), {"PANELIST_TRIES": "1"})
    one.start()
    yield one
    one.end()
    assert one.foreign == ""
    assert tracebacks_of_ours(one.log) == []  # tornado logs a traceback of its own when a page is closed


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server for one journey alone, not started yet."""
    one = Server(tmp_path)
    yield one
    one.end()
    assert one.foreign == ""


@pytest.fixture(scope="session")
def model() -> Iterator[Model]:
    one = Model()
    yield one
    one.close()


SHORT_SESSIONS = ("--unused-session-lifetime", "2000", "--check-unused-sessions", "500")
COUNTED_SESSIONS = ("--rest-session-info", "--session-history", "-1")


@pytest.fixture(scope="session")
def _far(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Line]]:
    server = Server(tmp_path_factory.mktemp("far"), model.environ, (*SHORT_SESSIONS, *COUNTED_SESSIONS))
    line = Line(server.port)
    server.front = line.port
    server.start()
    yield server, line
    server.end()
    line.close()
    assert server.foreign == ""
    assert tracebacks_of_ours(server.log) == []  # tornado logs a traceback of its own when a line is cut


@pytest.fixture
def far(_far: tuple[Server, Line], model: Model) -> Server:
    """A server behind a line, for journeys that leave it alive. Its model writes nothing until it is told to."""
    model.write(0)
    return _far[0]


@pytest.fixture
def line(_far: tuple[Server, Line]) -> Iterator[Line]:
    """The line to `far`, whole at first."""
    yield _far[1]
    _far[1].mend()


@pytest.fixture(scope="session")
def playwright_driver() -> Iterator[Playwright]:
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def chromium(playwright_driver: Playwright) -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        unavailable("no Chromium for the browser journeys")
    expect.set_options(timeout=20_000)  # a crowded machine; what is promised within a time says so itself
    browser = playwright_driver.chromium.launch(executable_path=path, args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser profile of its own, that fails the test when a page asks a foreign host or has an error."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.set_default_timeout(20_000)
    foreign: list[str] = []
    errors: list[str] = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: _note_foreign(request.url, foreign))
        WATCH.listen(page)

    context.on("page", watch)
    yield context
    WATCH.look_at(context)
    context.close()
    assert foreign == [], "the page asked a foreign host"
    assert errors == [], "a script in the page failed"


def _note_foreign(url: str, foreign: list[str]) -> None:
    if not url.startswith(("http://localhost:", "http://127.0.0.1:", "ws://localhost:", "data:", "blob:", "about:")):
        foreign.append(url)


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()
