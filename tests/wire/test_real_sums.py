"""What is added up is what servers said that nobody here wrote: read beside Panelist, on the wire."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from components.dashboard.looking import Looking
from components.dashboard.shown import shown
from services.options import Options
from services.prices import in_dollars
from services.runtime import Runtime, open_runtime
from services.settings import read_settings
from tests.conftest import OWNER, until, whole_run
from tests.test_metrics import samples_of, value

pytestmark = pytest.mark.server

ENDPOINTS = """
[[endpoint]]
name = "llama"
base_url = "{llama}"
profile = "llamacpp"

[[endpoint]]
name = "mock"
base_url = "{mock}"
price = {{ input = 1, output = 10 }}
"""


@dataclass
class Wire:
    """Passes all on to a server, and keeps what that said in answer to requests for an answer."""

    upstream: str
    url: str = ""
    bodies: list[bytes] = field(default_factory=list)

    @property
    def told(self) -> list[dict[str, Any]]:
        """The usage of each answer, as it stands in the stream, if it does."""
        return [found[-1] for body in self.bodies if (found := [one for one in _chunks(body) if one.get("usage")])]

    def total(self, *path: str) -> int:
        return sum(_at(chunk["usage"], *path) for chunk in self.told)


def _chunks(body: bytes) -> list[dict[str, Any]]:
    lines = [line.removeprefix(b"data: ") for line in body.splitlines() if line.startswith(b"data: {")]
    return [json.loads(line) for line in lines]


def _at(found: Any, *path: str) -> int:
    for name in path:
        found = (found or {}).get(name)
    return int(found or 0)


class Passing(RequestHandler):
    def initialize(self, wire: Wire) -> None:
        self.wire = wire

    async def get(self, path: str) -> None:
        await self._pass("GET", path)

    async def post(self, path: str) -> None:
        await self._pass("POST", path)

    async def _pass(self, method: str, path: str) -> None:
        said = b""
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
            headers = {"Content-Type": "application/json"}
            upstream = client.stream(method, f"{self.wire.upstream}/{path}", content=self.request.body, headers=headers)
            async with upstream as answer:
                self.set_status(answer.status_code)
                for name in ("Content-Type", "Retry-After"):
                    if name in answer.headers:
                        self.set_header(name, answer.headers[name])
                async for piece in answer.aiter_bytes():
                    said += piece
                    self.write(piece)
                    await self.flush()
        if path == "chat/completions":
            self.wire.bodies.append(said)


Between = Callable[[str], Awaitable[Wire]]


@pytest.fixture
async def between() -> AsyncGenerator[Between, None]:
    """Stand between Panelist and a server."""
    servers: list[HTTPServer] = []

    async def stand(upstream: str) -> Wire:
        wire = Wire(upstream)
        server = HTTPServer(Application([(r"/v1/(.*)", Passing, {"wire": wire})]))
        [socket] = bind_sockets(0, "127.0.0.1")
        server.add_socket(socket)
        wire.url = f"http://127.0.0.1:{socket.getsockname()[1]}/v1"
        servers.append(server)
        return wire

    yield stand
    for server in servers:
        server.stop()
        await server.close_all_connections()


async def asked(app: Runtime, endpoint: str, *questions: str) -> None:
    """Ask questions of one conversation after another."""
    here: str | None = None
    for question in questions:
        options = Options(endpoint=endpoint, model="panelist-tiny")
        begun = await app.chat.send(OWNER, question, conversation_id=here, options=options if here is None else None)
        here = (await whole_run(app.chat, begun)).conversation.id


@pytest.fixture
async def wires(between: Between, llamacpp_brief: str, aimock: str) -> dict[str, Wire]:
    return {"llama": await between(llamacpp_brief), "mock": await between(aimock)}


OpenOne = Callable[[str], Awaitable[Runtime]]


@pytest.fixture
async def open_one(tmp_path: Path, wires: dict[str, Wire]) -> AsyncGenerator[OpenOne, None]:
    """Open Panelist, on what it kept before, with or without titles."""
    urls = {name: wire.url for name, wire in wires.items()}
    (tmp_path / "endpoints.toml").write_text(ENDPOINTS.format(**urls), "utf-8")
    environ = {"PANELIST_ENDPOINTS": "endpoints.toml", "PANELIST_TRIES": "1", "PANELIST_METRICS": "on"}
    last: list[Runtime] = []

    async def open_it(titles: str) -> Runtime:
        while last:
            await last.pop().close()
        last.append(await open_runtime(read_settings({**environ, "PANELIST_TITLES": titles}, tmp_path)))
        return last[0]

    yield open_it
    for app in last:
        await app.close()


async def test_all_sums_are_what_the_servers_said(open_one: OpenOne, wires: dict[str, Wire]) -> None:
    llama, mock = wires["llama"], wires["mock"]
    app = await open_one("off")  # what this model calls a title goes on and on
    await asked(app, "llama", "Hello", "And then?", "Go on.")
    await asked(app, "llama", "What is the time?")
    read = [samples_of((await app.read_metrics(0, ""))[0])]
    app = await open_one("on")
    for question in ("Please say hello", "be long", "think first", "limit me", "break down"):
        await asked(app, "mock", question)
    await until(lambda: all_kept(app, wires))
    requests = len(llama.bodies) + len(mock.bodies)
    rows = await table(app)
    paths = {
        "input": ("prompt_tokens",),
        "cached_input": ("prompt_tokens_details", "cached_tokens"),
        "output": ("completion_tokens",),
    }
    for name, wire in wires.items():
        assert wire.total("completion_tokens") > 0
        for column, path in paths.items():
            mine = sum(int(row[column] or 0) for row in rows if row["endpoint"] == name)
            assert mine == wire.total(*path), f"{column} of {name}"
        assert sum(bool(row["input"]) for row in rows if row["endpoint"] == name) == len(wire.told)
    assert llama.total("prompt_tokens_details", "cached_tokens") > 0, "the second question begins like the first"
    assert [row["error"] for row in rows if row["error"]] == ["rate_limit", "server"]

    spent = sum(
        1_000 * _at(one["usage"], "prompt_tokens") + 10_000 * _at(one["usage"], "completion_tokens")
        for one in mock.told
    )
    sums = {column: sum(wire.total(*path) for wire in wires.values()) for column, path in paths.items()}
    stats = await app.measuring.stats(OWNER)
    assert {name: getattr(stats.sums, name) for name in sums} == sums
    assert stats.sums.price - stats.sums.guessed == spent

    view = shown(await Looking(app.measuring, app.connections, OWNER, list).read())
    assert view["cards"][1][1] == str(requests)
    assert view["cards"][0][1] == in_dollars(stats.sums.price)
    assert sum(day["input"] + day["cached"] for day in view["days"]) == sums["input"]
    assert sum(day["cached"] for day in view["days"]) == sums["cached_input"]
    assert sum(day["output"] for day in view["days"]) == sums["output"]
    assert sum(row["tokens"] for row in view["of_models"]) == sums["input"] + sums["output"]
    assert sum(row["requests"] for row in view["of_models"]) == requests

    read.append(samples_of((await app.read_metrics(0, ""))[0]))
    assert sum(value(one, "panelist_requests_total") for one in read) == requests
    for kind, total in sums.items():
        assert sum(value(one, "panelist_tokens_total", type=kind) for one in read) == total


async def all_kept(app: Runtime, wires: dict[str, Wire]) -> bool:
    """Whether also the titles are there, for which nobody waits: of the three answers that `mock` brought to an end."""
    rows = await table(app)
    return len(rows) == sum(len(wire.bodies) for wire in wires.values()) == 4 + 5 + 3


async def table(app: Runtime) -> list[dict[str, str]]:
    """Return the table of requests, as it is given out."""
    export = await app.measuring.export(OWNER, "csv")
    return list(csv.DictReader(io.StringIO(b"".join([piece async for piece in export.pieces]).decode())))
