"""The dialog of keys."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from panel.pane import HTML

from components.keys import KeysView, about, since
from components.state import ConversationState
from services.endpoint_keys import KeyStanding
from services.runtime import Runtime
from tests.conftest import OWNER, OpenRuntime
from tests.keyed import PLAIN
from tests.scripted import ScriptedProvider, refusal

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TOML = """
[[endpoint]]
name = "team"
base_url = "http://127.0.0.1:9/v2"
key_file = "main.key"
[[endpoint.key]]
name = "<b>standby</b>"
env = "STANDBY"
"""


@pytest.fixture
def provider() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture
async def app(open_app: OpenRuntime, provider: ScriptedProvider, tmp_path: Path) -> Runtime:
    (tmp_path / "endpoints.toml").write_text(TOML, "utf-8")
    (tmp_path / "main.key").write_text(f"{PLAIN}-main-key-1", "utf-8")
    return await open_app(
        provider, PANELIST_ENDPOINTS="endpoints.toml", OPENAI_API_KEY="", STANDBY=f"{PLAIN}-standby-key-1"
    )


@pytest.fixture
async def view(app: Runtime) -> AsyncGenerator[KeysView, None]:
    state = ConversationState(app.chat, app.connections, OWNER, app.temporary)
    await state.start()
    yield KeysView(state, app.keys)
    state.close()


def shown(view: KeysView) -> str:
    """Return all that the dialog says."""
    rows = [pane for row in view._rows.values() for pane in (row._told, row.result)]
    panes = [*rows, *(part for part in view._list if isinstance(part, HTML)), view._result]
    return "\n".join(pane.object for pane in panes if pane.visible)


@pytest.mark.parametrize(
    ("ago", "says"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=-5), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=5, minutes=59), "5 hours ago"),
        (timedelta(days=40, hours=3), "40 days ago"),
    ],
)
def test_how_long_ago(ago: timedelta, says: str) -> None:
    assert since(NOW - ago, NOW) == says


def test_what_is_known_of_a_key_in_words() -> None:
    key = KeyStanding(name="a", source="", state="", held=True, first=True, refused=False)
    assert about(key, NOW) == ""
    seen = KeyStanding(name="a", source="", state="", held=True, first=True, refused=False, seen_at=NOW)
    assert about(seen, NOW) == "First seen just now, never taken yet, never refused."


async def test_keys_are_listed_and_never_shown(view: KeysView) -> None:
    await view.open()
    assert view.dialog.open
    said = shown(view)
    assert "from the file main.key" in said
    assert "First seen just now, never taken yet, never refused." in said
    assert "&lt;b&gt;standby" in said
    assert "<b>standby" not in said
    assert PLAIN not in said
    assert [row._use.disabled for row in view._rows.values()] == [True, False]
    assert view._for.options == ["127.0.0.1:9", "team"]


async def test_another_one_is_used(view: KeysView, app: Runtime) -> None:
    await view.open()
    row = view._rows["team", "<b>standby</b>"]
    await view.use(app.connections.get("team"), "<b>standby</b>")
    assert "Requests go with this key from now on." in row.result.object
    assert view._rows["team", "<b>standby</b>"] is row, "the keyboard stays where it is"
    assert "in use" in row._told.object
    await view.use(app.connections.get("team"), "main.key")
    assert not row.result.visible, "which holds no more"


async def test_one_is_checked(view: KeysView, app: Runtime, provider: ScriptedProvider) -> None:
    await view.open()
    provider.models = refusal("auth", "team refused the key.")
    await view.check(app.connections.get("team"), "main.key")
    assert "team refused the key." in view._rows["team", "main.key"].result.object
    assert "refused</span>" in view._rows["team", "main.key"]._told.object
    provider.models = ("a",)
    await view.check(app.connections.get("team"), "main.key")
    assert "It works: 127.0.0.1:9 offers 1 model." in shown(view)


async def test_all_are_read_again(view: KeysView, app: Runtime, tmp_path: Path) -> None:
    await view.open()
    (tmp_path / "main.key").write_text(f"{PLAIN}-main-key-2", "utf-8")
    await view.rotate(app.connections.get("team"))
    assert "New now: main.key." in shown(view)


async def test_one_is_typed_in_and_forgotten_by_the_page(view: KeysView, app: Runtime) -> None:
    await view.open()
    view._for.value = "team"
    await view._on_replace(None)
    assert "Paste the new key first." in shown(view)
    view._key.value_input = f"{PLAIN}-typed-key-1"
    await view._on_replace(None)
    assert (view._key.value, view._key.value_input) == ("", "")
    assert "typed in" in shown(view)
    assert view._rows["team", "typed in"]._use.disabled, "it is in use"
    assert [one.name for one in await app.keys.of(app.connections.get("team")) if one.first] == ["typed in"]
    assert f"{PLAIN}-typed-key-1" not in json.dumps(shown(view))


async def test_nothing_to_show_is_said(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(), OPENAI_BASE_URL="")
    state = ConversationState(app.chat, app.connections, OWNER, app.temporary)
    await state.start()
    view = KeysView(state, app.keys)
    await view.open()
    assert "Connect a model first." in shown(view)
    assert not view._typing.visible
    state.close()


async def test_an_endpoint_without_a_key_says_that_this_is_fine(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(), OPENAI_API_KEY="")
    state = ConversationState(app.chat, app.connections, OWNER, app.temporary)
    await state.start()
    view = KeysView(state, app.keys)
    await view.open()
    assert "It has no key, which is fine" in shown(view)
    assert not view._for.visible
    state.close()
