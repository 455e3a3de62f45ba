"""The terminal as a person uses it: a process of its own, and a model server that answers what a test wrote down."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.messages import Message
from services.runtime import open_runtime
from services.settings import LOCAL_OWNER, SETTING_NAMES, read_settings
from services.terminal.asking import Asking, ask
from services.terminal.session import Interrupts, Session
from tests.canary import WATCH
from tests.faults.upstream import Call, Play, perform, serving
from tests.faults.wires import CHAT, DONE, event
from tests.keyed import KEYED
from tests.providers.sockets import chunk
from tests.scripted import ScriptedProvider

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0

Step = str | bytes | asyncio.Event
"""A piece of an answer, an event of the wire, or a gate to wait at."""

LENGTH = CHAT.ended("length")
FILTERED = CHAT.ended("content_filter")
REFUSED = event({"choices": [{"delta": {"refusal": "No."}}]}) + CHAT.ended("stop")


@dataclass
class Model:
    """Answers each question with what is written down for it."""

    url: str = ""
    answers: dict[str, str | list[Step] | Play] = field(default_factory=dict)
    """By question."""
    default: str | list[Step] = "It is bright."
    """What every other question is answered with."""
    once: Play | None = None
    """What the next one gets."""
    calls: list[Call] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        return {**KEYED, "OPENAI_BASE_URL": f"{self.url}/v1", "PANELIST_MODEL": "tiny", "PANELIST_TRIES": "1"}

    async def answer(self, call: Call) -> None:
        if call.path.endswith("/models"):
            body = json.dumps({"object": "list", "data": [{"id": "tiny"}, {"id": "large"}]}).encode()
            await perform(call, Play(body, head="200 OK\r\nContent-Type: application/json", end="length"), None)
            return
        self.calls.append(call)
        said = self.once or self.answers.get(call.question, self.default)
        self.once = None
        if isinstance(said, Play):
            await perform(call, said, None)
            return
        await perform(call, Play(end="open"), None)
        steps: list[Step] = [said] if isinstance(said, str) else said
        rest = CHAT.end()
        for step in steps:
            match step:
                case asyncio.Event():
                    await step.wait()
                case str():
                    await call.write(chunk(CHAT.delta(step)))
                case bytes():
                    rest = DONE if b'"usage"' in step else CHAT.after
                    await call.write(chunk(step))
        await call.write(chunk(rest) + b"0\r\n\r\n")


@dataclass
class Running:
    """A command that runs."""

    process: asyncio.subprocess.Process
    out: bytes = b""
    err: bytes = b""

    async def until(self, text: str) -> None:
        """Read until this has come."""
        assert self.process.stdout is not None
        self.out += await _read_until(self.process.stdout, self.out, text)

    async def until_told(self, text: str) -> None:
        """Read until this has come on stderr."""
        assert self.process.stderr is not None
        self.err += await _read_until(self.process.stderr, self.err, text)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    async def ended(self) -> Ended:
        async with asyncio.timeout(PATIENCE_S):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return ended(self.process.returncode, (self.out + out).decode(), (self.err + err).decode())


async def _read_until(stream: asyncio.StreamReader, before: bytes, text: str) -> bytes:
    more = b""
    async with asyncio.timeout(PATIENCE_S):
        while text.encode() not in before + more:
            some = await stream.read(65_536)
            assert some, f"it ended with {before + more!r}"
            more += some
    return more


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


def ended(code: int, out: str, err: str) -> Ended:
    """Return how a command ended, once nothing that it wrote is a key."""
    for said in (out, err):
        WATCH.look("output of a terminal", code, said)
    return Ended(code, out, err)


@dataclass
class Terminal:
    """A terminal with a folder and an environment of its own."""

    folder: Path
    environ: dict[str, str]

    @property
    def data(self) -> Path:
        return self.folder / "data"

    async def begin(self, *arguments: str, piped: bool = False, **environ: str) -> Running:
        """Start a command; with `piped` its input is written by the test."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "cli.py", *arguments),
            cwd=ROOT,
            env={**self.base, **self.environ, **environ},
            stdin=asyncio.subprocess.PIPE if piped else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return Running(process)

    @property
    def base(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PANELIST_DATA_DIR": str(self.data)}

    async def __call__(self, *arguments: str, stdin: bytes | None = None, **environ: str) -> Ended:
        """Run a command to its end."""
        running = await self.begin(*arguments, piped=stdin is not None, **environ)
        if stdin is not None:
            assert running.process.stdin is not None
            running.process.stdin.write(stdin)
            running.process.stdin.close()
        return await running.ended()

    async def stored(self) -> list[list[Message]]:
        """Return the messages of all conversations, the newest conversation first."""
        settings = read_settings({"PANELIST_DATA_DIR": str(self.data)}, self.folder)
        app = await open_runtime(settings, provider=ScriptedProvider())
        try:
            found = await app.chat.catalogue.conversations(LOCAL_OWNER)
            return [list((await app.chat.open(LOCAL_OWNER, one.id)).path) for one in found]
        finally:
            await app.close()


@pytest.fixture
async def model() -> AsyncGenerator[Model, None]:
    model = Model()
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(serving(model.answer))
        model.url = upstream.url
        yield model


@pytest.fixture
def terminal(tmp_path: Path, model: Model) -> Terminal:
    """A terminal with a model."""
    return Terminal(tmp_path, model.environ)


@pytest.fixture
def bare(tmp_path: Path) -> Terminal:
    """A terminal with nothing set up."""
    return Terminal(tmp_path, {"PANELIST_TRIES": "1"})


Here = Callable[[Asking], Awaitable[Ended]]
InProcess = Callable[[Terminal], Here]


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> InProcess:
    """Ask without a process of its own, which is quicker."""

    def of(terminal: Terminal) -> Here:
        async def ask_here(asking: Asking) -> Ended:
            with monkeypatch.context() as patch:
                for name in SETTING_NAMES:
                    patch.delenv(name, raising=False)
                for name, value in {**terminal.base, **terminal.environ}.items():
                    patch.setenv(name, value)
                capfd.readouterr()
                code = await ask(Session(terminal.folder), asking, Interrupts())
                return ended(code, *capfd.readouterr())

        return ask_here

    return of


@pytest.fixture
def here(terminal: Terminal, in_process: InProcess) -> Here:
    return in_process(terminal)
