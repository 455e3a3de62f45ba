"""The terminal against the bare SDK: how soon a question leaves, and what an answer costs in processor time.

Each figure is of a process of its own, from its start to its end. A question has left when the first bytes of it have
come to the server, which is a thread of this process; both read the same clock.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from processes import BENCH, ROOT
from subjects import Figures, model_server

TERMINAL = "Panelist's terminal"
SDK = "bare SDK"
SAME = "bare SDK, same imports"
COLUMNS = (TERMINAL, SDK, SAME)

START, LEFT = "import openai, ms", "start → question has left, ms"
CPU, SHORT_CPU = "2,000 tokens at full speed: CPU s", "20 tokens: CPU s"
TOKENS_CPU = "what the other 1,980 tokens took: CPU s"

_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    b'data: {"choices": [{"index": 0, "delta": {"content": "Yes."}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
)


class Door:
    """Answers one question after the other, and notes when each has come."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.came = 0.0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            data = b""
            while b"\r\n\r\n" not in data:
                some = connection.recv(65_536)
                if not some:
                    return
                data += some
            if data.startswith(b"POST "):
                self.came = time.monotonic()
            connection.sendall(_ANSWER)


def measure_terminal(home: Path, runs: int) -> Iterator[tuple[str, Figures]]:
    """Yield the figures of each column once for each run, the columns in turns."""
    home.mkdir(parents=True, exist_ok=True)
    door = Door()
    bare = [sys.executable, str(BENCH / "baselines/sdk_terminal.py")]
    commands = {
        TERMINAL: [sys.executable, "cli.py", "ask", "Hi", "--model"],
        SDK: bare,
        SAME: [*bare, "--same-imports"],
    }
    with model_server(home / "model") as model:
        at_door, at_model = _environ(home, f"http://127.0.0.1:{door.port}"), _environ(home, model)
        for command in commands.values():  # makes the database, and what Python keeps of its files
            _run([*command, "plain-20"], at_model)
        for number in range(runs):
            for name in COLUMNS if number % 2 == 0 else COLUMNS[::-1]:
                command, figures = commands[name], Figures()
                begun = time.monotonic()
                if name == SDK:
                    _run([sys.executable, "-c", "import openai"], at_door)
                    figures[START] = (time.monotonic() - begun) * 1000
                elif name == TERMINAL:
                    _run([*command, "m"], at_door)
                    figures[LEFT] = (door.came - begun) * 1000
                figures[CPU] = _run([*command, "full-2000"], at_model)
                figures[SHORT_CPU] = _run([*command, "plain-20"], at_model)
                figures[TOKENS_CPU] = figures[CPU] - figures[SHORT_CPU]
                yield name, figures


def _environ(home: Path, server: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV") if name in os.environ}
    return kept | {
        "HOME": str(home),
        "OPENAI_BASE_URL": f"{server}/v1",
        "OPENAI_API_KEY": "sk-benchmark",
        "PANELIST_DATA_DIR": str(home / "data"),
    }


def _run(command: Sequence[str], environ: dict[str, str]) -> float:
    """Run a command to its end, its output through a pipe; return its processor time."""
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert process.stdout is not None
    with process.stdout:
        while process.stdout.read(65_536):
            pass
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime
