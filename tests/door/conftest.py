"""Both doors over the same runtime: that of its own process, and the one over its socket."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.door import Begun, Door, Happened
from services.door.own import OwnDoor
from services.door.remote import RemoteDoor
from services.door.wire import places
from services.runtime import Runtime, open_runtime
from services.settings import LOCAL_OWNER, read_settings
from tests.keyed import KEYED
from tests.scripted import ScriptedProvider

ENVIRON = {
    **KEYED,
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    "PANELIST_TITLES": "off",
    "PANELIST_TRIES": "1",
}


@dataclass(frozen=True)
class House:
    """A Panelist with terminals before its door."""

    app: Runtime
    door: Door


OpenHouse = Callable[..., Awaitable[House]]


@pytest.fixture(params=["own", "remote"])
async def open_house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[OpenHouse, None]:
    opened: list[Runtime] = []

    async def open_one(*scripts: Any, environ: dict[str, str] | None = None) -> House:
        settings = read_settings(ENVIRON if environ is None else environ, tmp_path)
        app = await open_runtime(settings, provider=ScriptedProvider(*scripts), listen=True)
        opened.append(app)
        if request.param == "own":
            return House(app, OwnDoor(LOCAL_OWNER, app.chat, app.connections))
        door = await RemoteDoor.find(places(settings))
        assert door is not None
        return House(app, door)

    yield open_one
    for app in opened:
        await app.close()


async def followed(door: Door, begun: Begun) -> list[Happened]:
    """Return all that happens in a run."""
    return [happened async for happened in door.follow(begun.run_id or "")]
