"""Keys through the door: what is told of them, and how they are changed while answers are being written."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from services.endpoint_keys import OLD, EndpointKeys, KeyStanding
from services.endpoints import Endpoint
from services.errors import InputError
from services.events import KeyRefused
from services.fingerprints import Fingerprints
from services.keys import KeyRing
from services.providers.client import OpenAIProvider
from services.runtime import Runtime, open_runtime
from services.settings import read_settings
from tests.conftest import OWNER, whole_run
from tests.keyed import PLAIN, WORD
from tests.providers.asking import ANSWER, SSE

TOML = """
[[endpoint]]
name = "team"
base_url = "https://llm.example.test/v1"
key_file = "main.key"
[[endpoint.key]]
name = "standby"
env = "STANDBY"
[[endpoint.key]]
name = "vault"
command = "cat vault.key"
"""


TYPED = f"{PLAIN}-typed"


def key(name: str, number: int) -> str:
    return f"{PLAIN}-{name}-{number}"


@dataclass
class House:
    """A runtime, whose endpoint takes some keys."""

    app: Runtime
    folder: Path
    good: set[str]
    asked_with: list[str] = field(default_factory=list)

    @property
    def team(self) -> Endpoint:
        return self.app.connections.get("team")

    async def keys(self) -> dict[str, KeyStanding]:
        return {one.name: one for one in await self.app.keys.of(self.team)}

    async def ask(self) -> list[str]:
        """Ask something and return which keys were refused before the answer."""
        begun = await self.app.chat.send(OWNER, "Hello?")
        done = await whole_run(self.app.chat, begun)
        events = await self.app.store.events(OWNER, str(begun.path[-1].run_id))
        assert done.path[-1].status == "complete"
        return [one.event.key for one in events if isinstance(one.event, KeyRefused)]

    def stored(self) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(self.folder / "data" / "panelist.db")) as database:
            return database.execute("SELECT * FROM endpoint_keys").fetchall()


Make = Callable[..., Awaitable[House]]


@pytest.fixture
async def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Make, None]:
    monkeypatch.chdir(tmp_path)  # where a command finds its file
    opened: list[Runtime] = []

    async def make_one(*good: str) -> House:
        (tmp_path / "endpoints.toml").write_text(TOML, "utf-8")
        environ = {"PANELIST_ENDPOINTS": "endpoints.toml", "PANELIST_TITLES": "off", "PANELIST_MODEL": "m"}
        settings = read_settings(environ, tmp_path)
        ring = KeyRing(settings.environ, settings.app_dir, settings.env_file)
        house: House

        def answer(sent: httpx2.Request) -> httpx2.Response:
            key = sent.headers["authorization"].removeprefix("Bearer ")
            house.asked_with.append(key)
            if key not in house.good:
                return httpx2.Response(401, json={"error": {"message": f"Incorrect API key provided: {key}"}})
            if sent.method == "GET":
                return httpx2.Response(200, json={"data": [{"id": "m"}]})
            return httpx2.Response(200, headers=SSE, text=ANSWER)

        provider = OpenAIProvider(ring, transport_for=lambda _: httpx2.MockTransport(answer))
        opened.append(await open_runtime(settings, provider=provider, keys=ring))
        house = House(opened[-1], tmp_path, set(good))
        return house

    (tmp_path / "main.key").write_text(key("main", 1), "utf-8")
    (tmp_path / ".env").write_text(f"STANDBY={key('standby', 1)}", "utf-8")
    (tmp_path / "vault.key").write_text(key("vault", 1), "utf-8")
    yield make_one
    for app in opened:
        await app.close()


async def test_what_is_told_of_keys(make: Make) -> None:
    house = await make(key("standby", 1))
    before = await house.keys()
    assert [one.source for one in before.values()] == [
        "from the file main.key",
        "from the environment or .env: STANDBY",
        "from the command cat",
    ]
    assert [one.first for one in before.values()] == [True, False, False]
    assert [one.state for one in before.values()] == ["", "", "Its command was not run yet."]
    assert before["main.key"].seen_at is not None
    assert (before["main.key"].used_at, before["main.key"].refused_at) == (None, None)
    assert await house.ask() == ["main.key"]
    after = await house.keys()
    assert after["main.key"].refused_at is not None
    assert (after["main.key"].refused, after["main.key"].first) == (True, False)
    assert after["standby"].used_at is not None
    assert after["standby"].first
    assert after["main.key"].seen_at == before["main.key"].seen_at
    assert WORD not in repr((before, after))


async def test_what_is_known_outlives_a_restart_and_says_nothing_of_the_key(make: Make, tmp_path: Path) -> None:
    house = await make(key("main", 1))
    await house.ask()
    assert house.stored() == [], "no request waits for it"
    await house.app.close()
    [row] = house.stored()
    assert row[0] == "team"
    for path in (tmp_path / "data").rglob("*"):
        assert not path.is_file() or key("main", 1).encode() not in path.read_bytes()
    again = await make(key("main", 1))
    seen = (await again.keys())["main.key"]
    assert seen.used_at is not None
    assert str(seen.used_at)[:19] == str(row[3])[:19]


async def test_keys_are_exchanged_while_the_app_runs(make: Make) -> None:
    house = await make(key("main", 1), key("main", 2), TYPED)
    assert await house.ask() == []
    house.good.discard(key("main", 1))
    (house.folder / "main.key").write_text(key("main", 2), "utf-8")
    assert await house.ask() == [], "the file was read again"
    first_seen = (await house.keys())["main.key"].seen_at
    house.app.keys.replace(house.team, f" {TYPED}\n")
    assert await house.ask() == []
    assert house.asked_with[-1] == TYPED
    keys = await house.keys()
    assert (keys["typed in"].first, keys["main.key"].first) == (True, False)
    house.app.keys.use(house.team, "main.key")
    assert await house.ask() == []
    assert house.asked_with[-1] == key("main", 2)
    assert (await house.keys())["main.key"].seen_at == first_seen


@pytest.mark.parametrize(
    ("typed", "says"), [("", "Paste the new key first."), (" \n", "Paste the new key first."), ("a b", "The key has a")]
)
async def test_what_is_no_key_changes_nothing(make: Make, typed: str, says: str) -> None:
    house = await make(key("main", 1))
    with pytest.raises(InputError, match=says):
        house.app.keys.replace(house.team, typed)
    assert "typed in" not in await house.keys()


async def test_a_key_is_checked_alone(make: Make) -> None:
    house = await make(key("standby", 1), key("vault", 1))
    tried = await house.app.keys.check(house.team, "main.key")
    assert (tried.ok, tried.refused) == (False, True)
    assert "trial" not in tried.sentence
    assert house.asked_with == [key("main", 1)], "no other is tried for it"
    assert (await house.keys())["main.key"].refused
    assert (await house.app.keys.check(house.team, "vault")).ok
    assert (await house.keys())["vault"].used_at is not None
    house.good.add(key("main", 1))
    assert (await house.app.keys.check(house.team, "main.key")).sentence == (
        "It works: llm.example.test offers 1 model."
    )
    assert (await house.keys())["main.key"].first, "it is as good as before"
    assert len(house.stored()) == 3, "what is only tried out has no place of its own"
    (house.folder / "main.key").unlink()
    gone = await house.app.keys.check(house.team, "main.key")
    assert (gone.ok, gone.sentence) == (
        False,
        "The key of endpoint 'team' cannot be used: 'main.key' No such file or directory.",
    )
    assert (await house.app.keys.check(house.team, "other")).sentence == "There is no key at 'other' now."


async def test_rotate_reads_everything_and_says_what_is_new(make: Make) -> None:
    house = await make(key("vault", 2))
    await house.keys()
    assert await house.app.keys.rotate(house.team) == "New now: vault."
    assert await house.app.keys.rotate(house.team) == "All keys are as they were."
    (house.folder / "vault.key").write_text(key("vault", 2), "utf-8")
    assert [one.held for one in (await house.keys()).values()] == [True, True, True]
    (house.folder / "main.key").unlink()
    assert await house.app.keys.rotate(house.team) == (
        "New now: vault. The key of endpoint 'team' cannot be used: 'main.key' No such file or directory."
    )
    assert (await house.keys())["main.key"].state.endswith("No such file or directory.")
    (house.folder / ".env").unlink()
    assert (await house.keys())["standby"].state == "Nothing is there now."


async def test_an_old_key_is_called_old(make: Make, tmp_path: Path) -> None:
    house = await make(key("main", 1))
    long_ago = datetime.now(UTC) - OLD - timedelta(days=1)
    old = EndpointKeys(
        KeyRing({}, tmp_path),
        house.app.connections,
        house.app.store,
        Fingerprints(house.app.settings.key_secret),
        house.app.runs.background,
        now=lambda: long_ago,
    )
    await old.of(house.team)
    keys = await house.keys()
    now = datetime.now(UTC)
    assert keys["main.key"].seen_at == long_ago
    assert (keys["main.key"].is_old(now), keys["vault"].is_old(now)) == (True, False)
    assert not keys["main.key"].is_old(long_ago + timedelta(days=89))
