"""The JavaScript of components: several files joined to the one module that a component takes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from bokeh.document import Document
from bokeh.events import Event
from panel.custom import JSComponent
from panel.io.state import set_curdoc

from components import wire

_ASSETS = Path(__file__).parent / "assets"

ICONS: dict[str, str] = json.loads((_ASSETS / "icons.json").read_text("utf-8"))
"""What is drawn in a square of 24, by the icon's name."""

STORAGE = (_ASSETS / "storage.js").read_text("utf-8")

_SHARED = (f"const ICONS = {json.dumps(ICONS)}", (_ASSETS / "dom.js").read_text("utf-8"), STORAGE)


def joined(folder: Path, *parts: str) -> str:
    """Return the module of what all share and the named files of a component's folder, the component's own last."""
    return "\n".join((*_SHARED, *((folder / f"{part}.js").read_text("utf-8") for part in parts)))


class ScriptComponent(JSComponent):
    """A component whose script the browser takes as it is.

    Panel compiles what has no `bundle` in the page, from TypeScript, which takes longer than all else that ours do.
    """

    __abstract = True

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self._untold: list[dict[str, Any]] = []

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message to the page.

        What is told in one turn of the event loop goes as one: each on its own would cost both sides a millisecond.
        """
        if not self._models:  # there is no page yet that several could go to as one
            self._send_msg(message)
            return
        if not self._untold:
            asyncio.get_running_loop().call_soon(self._tell_all)
        self._untold.append(message)

    def say(self, data: list[Any]) -> None:
        """Send what is said often, after what was told before it; `data` as `wire.say` takes it."""
        self._tell_all()
        wire.say(self, data)

    def _tell_all(self) -> None:
        untold, self._untold = self._untold, []
        if untold:
            wire.say(self, ["all", json.dumps(untold)])

    def _get_properties(self, doc: Document | None) -> dict[str, Any]:
        properties: dict[str, Any] = super()._get_properties(doc)
        return {**properties, "bundle": _name_of(str(self._esm))}

    def _process_bokeh_event(self, doc: Document, event: Event) -> None:
        """Do without Panel's count of the events under way: no page here shows it, and it takes a millisecond each."""
        with set_curdoc(doc):
            self._process_event(event)


@cache
def _name_of(script: str) -> str:
    """Return what tells a script from others; found out once, not for each page."""
    return hashlib.sha256(script.encode()).hexdigest()
