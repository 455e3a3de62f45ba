"""Scripts: what all of them need stands once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from components import wire
from components.chat.composer import Composer
from components.scripts import ICONS, ScriptComponent
from components.sidebar.conversations import ConversationList

COMPONENTS = Path(__file__).parents[2] / "components"
SCRIPTS = {
    file.name: file.read_text("utf-8")
    for kind in ("js", "html")
    for file in COMPONENTS.rglob(f"*.{kind}")
    if file.parent.name != "mermaid"
}


@pytest.mark.parametrize("word", ["localStorage", "sessionStorage"])
def test_only_one_script_touches_the_browsers_storage(word: str) -> None:
    assert [name for name, text in SCRIPTS.items() if word in text] == ["storage.js"]


def test_the_path_of_an_icon_stands_once() -> None:
    assert len(set(ICONS.values())) == len(ICONS) > 10
    assert [name for name, text in SCRIPTS.items() if any(path in text for path in ICONS.values())] == []
    for component in (Composer, ConversationList):
        assert str(component._esm).count(ICONS["send"]) == 1


async def test_what_is_told_in_one_turn_goes_as_one_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[list[Any]] = []
    monkeypatch.setattr(wire, "say", lambda _, data: written.append(data))
    component = ScriptComponent()
    component._models = {"ref": (None, None)}  # on a page
    component.tell({"type": "a"})
    component.tell({"type": "b", "text": "\u2028 🥊"})
    assert written == []
    component.say(["live", 1])
    component.tell({"type": "c"})
    await asyncio.sleep(0)
    component.tell({"type": "d"})
    await asyncio.sleep(0)
    read = [json.loads(one[1]) if one[0] == "all" else one for one in written]
    assert read == [[{"type": "a"}, {"type": "b", "text": "\u2028 🥊"}], ["live", 1], [{"type": "c"}], [{"type": "d"}]]
