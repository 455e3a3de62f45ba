"""Processes that are measured: started without this machine's settings, read through /proc, ended by their id."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
BENCH = Path(__file__).parent

_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_TICKS = os.sysconf("SC_CLK_TCK")


class DidNotStartError(Exception):
    """A process ended, or did not answer, before it could be measured."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Process:
    """One process with a home folder of its own; its output goes to a file there."""

    arguments: list[str]
    home: Path
    environ: dict[str, str] = field(default_factory=dict)
    piped: bool = False
    """Talk to it over its standard input and output instead of letting it write its log."""
    popen: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        environ = {name: os.environ[name] for name in _KEPT if name in os.environ}
        with (self.home / "log").open("a") as log:
            self.popen = subprocess.Popen(
                [sys.executable, *self.arguments],
                cwd=ROOT,
                env=environ | {"HOME": str(self.home), **self.environ},
                stdin=subprocess.PIPE if self.piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if self.piped else log,
                stderr=log,
                text=True,
            )

    def wait_for(self, url: str, seconds: float = 60) -> None:
        """Wait until the URL is answered. Asking for it also builds the app once, before anything is measured."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.popen is None or self.popen.poll() is not None:
                break
            try:
                with urllib.request.urlopen(url, timeout=30):
                    return
            except OSError:
                time.sleep(0.1)
        raise DidNotStartError(f"{' '.join(self.arguments)} did not start: {self.last_words()}")

    def ask(self, line: str) -> str:
        """Write a line and return the line that comes back."""
        assert self.popen is not None
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()
        if answer := self.popen.stdout.readline():
            return answer
        raise DidNotStartError(f"{' '.join(self.arguments)} ended: {self.last_words()}")

    def cpu_seconds(self) -> float:
        """Return the processor time of all its threads and ended children so far; steps of 10 ms on most Linuxes."""
        assert self.popen is not None
        stat = Path(f"/proc/{self.popen.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return sum(int(value) for value in fields[11:15]) / _TICKS

    def memory_mb(self) -> float:
        """Return the memory that it holds, as `VmRSS` of /proc."""
        assert self.popen is not None
        status = Path(f"/proc/{self.popen.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6

    def last_words(self) -> str:
        lines = (self.home / "log").read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "no output"

    def end(self) -> None:
        if self.popen is None:
            return
        self.popen.terminate()
        try:
            self.popen.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                pipe.close()
        self.popen = None
