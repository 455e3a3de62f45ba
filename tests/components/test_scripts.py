"""Scripts: what all of them need stands once."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.chat.composer import Composer
from components.scripts import ICONS
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
