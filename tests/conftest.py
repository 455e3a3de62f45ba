"""What all tests share. Everything a test needs is passed in; nothing of ours is patched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest

from services.chat import ChatService, Opened
from services.runtime import Runtime, open_runtime
from services.settings import Settings, read_settings
from tests.keyed import KEYED
from tests.scripted import ScriptedProvider

pytest_plugins = ["tests.servers.fixtures", "tests.canary"]

OWNER = "ada"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the browser journeys last: Playwright keeps an event loop running, beside which no other can be."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


OpenRuntime = Callable[..., Awaitable[Runtime]]


@pytest.fixture
async def open_app(tmp_path: Path) -> AsyncGenerator[OpenRuntime, None]:
    """Open runtimes with a scripted provider on a real database; all are closed at the end."""
    opened: list[Runtime] = []

    async def open_one(provider: ScriptedProvider, **environ: str) -> Runtime:
        environ = {
            "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
            "PANELIST_TITLES": "off",
            "PANELIST_TRIES": "1",
            **environ,
        }
        if environ["OPENAI_BASE_URL"]:
            environ = {**KEYED, **environ}
        settings: Settings = read_settings(environ, tmp_path)
        runtime = await open_runtime(settings, provider=provider)
        opened.append(runtime)
        return runtime

    yield open_one
    for runtime in opened:
        await runtime.close()


async def whole_run(chat: ChatService, opened: Opened, owner: str = OWNER) -> Opened:
    """Wait for the end of the run that `opened` began and return the conversation as it then is."""
    if opened.run_id is not None:  # else it was over before it could be read back
        async for _ in chat.follow(owner, opened.run_id):
            pass
    return await chat.open(owner, opened.conversation.id)


async def until(condition: Callable[[], bool | Awaitable[bool]], within_s: float = 20.0) -> None:
    """Wait for something that nobody tells."""
    give_up = asyncio.get_running_loop().time() + within_s
    while True:
        met = condition()
        if met if isinstance(met, bool) else await met:
            return
        if asyncio.get_running_loop().time() > give_up:
            pytest.fail("it never came true")
        await asyncio.sleep(0.01)
