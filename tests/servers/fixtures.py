"""Fixtures that start real model servers and yield their base URL. For `pytest_plugins`."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.servers.need import unavailable

HERE = Path(__file__).parent
AIMOCK = HERE / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
INSTALL = "npm ci --prefix tests/servers --no-audit --no-fund --ignore-scripts"

_LISTENING = re.compile(r"listening on (http://127\.0\.0\.1:\d+)")


@contextmanager
def served(command: list[str], log: Path) -> Generator[str]:
    """Run a server that picks a free port and logs "listening on http://127.0.0.1:PORT"; yield that address.

    Raises:
        RuntimeError: it ended, or was not ready within 20 s. The message ends with its log.
    """
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield _ready(child, log)
    finally:
        child.terminate()
        try:
            child.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate(timeout=5)


def _ready(child: subprocess.Popen[bytes], log: Path) -> str:
    with httpx2.Client(trust_env=False, timeout=1) as client:
        for _ in range(200):
            said = log.read_text("utf-8", "replace")
            found = _LISTENING.search(said)
            if child.poll() is not None:
                break
            try:
                if found and client.get(found[1] + "/health").is_success:
                    return found[1]
            except httpx2.TransportError:
                pass  # not yet
            time.sleep(0.1)
    raise RuntimeError(f"{child.args!r} did not start (exit code {child.poll()}):\n{said[-2000:]}")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama model of 1.5 MB with random weights, as a GGUF file."""
    for package in ("xllamacpp", "gguf"):
        if importlib.util.find_spec(package) is None:
            unavailable(f"llama.cpp's server needs the Python package {package} (tests/requirements.txt)")
    from tests.servers import tiny_gguf

    return tiny_gguf.write(tmp_path_factory.mktemp("model") / "tiny.gguf")


def _llamacpp(model: Path, kind: str) -> Generator[str]:
    command = [sys.executable, str(HERE / "llamacpp_server.py"), str(model), kind]
    with served(command, model.with_name(f"{kind}.log")) as address:
        yield f"{address}/v1"


@pytest.fixture(scope="session")
def llamacpp(tiny_model: Path) -> Iterator[str]:
    """llama.cpp's server, whose answers run on until they are stopped, hit `max_tokens` or fill 4,096 tokens."""
    yield from _llamacpp(tiny_model, "endless")


@pytest.fixture(scope="session")
def llamacpp_brief(tiny_model: Path) -> Iterator[str]:
    """llama.cpp's server, whose answers end by themselves after some words, with finish reason `stop`."""
    yield from _llamacpp(tiny_model, "brief")


@pytest.fixture(scope="session")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """aimock, which answers as `aimock.json` says, by a phrase in the last user message; anything else is a 503."""
    node = shutil.which("node")
    if node is None:
        unavailable("aimock needs Node.js 20 or newer on the PATH")
    if not AIMOCK.exists():
        unavailable(f"aimock is not installed; run: {INSTALL}")
    command = [node, str(AIMOCK), "--port", "0", "--host", "127.0.0.1", "--fixtures", str(HERE / "aimock.json")]
    command += ["--strict", "--validate-on-load"]
    with served(command, tmp_path_factory.mktemp("aimock") / "aimock.log") as address:
        yield f"{address}/v1"
