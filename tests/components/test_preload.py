"""What is opened for a page before it is built, and what becomes of it when that fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import panel as pn
import pytest
from bokeh.document import Document
from bokeh.server.contexts import BokehSessionContext

from components import preload, session
from components.preload import Preload
from components.state import ConversationState
from tests.conftest import OpenRuntime
from tests.scripted import ScriptedProvider


@pytest.fixture
async def context(open_app: OpenRuntime, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the context of a session that this machine has asked for."""
    runtime = await open_app(ScriptedProvider())
    monkeypatch.setattr(preload, "opened_runtime", lambda: runtime)
    monkeypatch.setattr(session, "visitor", lambda: "127.0.0.1")
    monkeypatch.setattr(type(pn.state), "on_session_destroyed", lambda *_: None)
    document = Document()
    return BokehSessionContext("one", SimpleNamespace(), document)  # type: ignore[arg-type]


@pytest.mark.parametrize("broken", ["start", "first_view"])
async def test_what_fails_half_way_no_longer_listens(
    context: Any, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    closed: list[ConversationState] = []
    close = ConversationState.close

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("it broke")

    def closes(state: ConversationState) -> None:
        closed.append(state)
        close(state)

    monkeypatch.setattr(ConversationState, "close", closes)
    monkeypatch.setattr(*((ConversationState, "start") if broken == "start" else (preload, "first_view")), fails)
    handler = Preload()
    with pytest.raises(RuntimeError, match="it broke"):
        await handler.on_session_created(context)
    assert len(closed) == 1
    assert handler.take("one") is None


async def test_what_was_opened_is_taken_once(context: Any) -> None:
    handler = Preload()
    await handler.on_session_created(context)
    prepared = handler.take("one")
    assert prepared is not None
    prepared.state.close()
    assert handler.take("one") is None
