"""The JavaScript of components: several files joined to the one module that a component takes."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from bokeh.document import Document
from panel.custom import JSComponent

_DOM = Path(__file__).parent / "assets" / "dom.js"


def joined(folder: Path, *parts: str) -> str:
    """Return the module made of `dom.js` and the named files of a component's folder, the component's own last."""
    return "\n".join(file.read_text("utf-8") for file in (_DOM, *(folder / f"{part}.js" for part in parts)))


class ScriptComponent(JSComponent):
    """A component whose script the browser takes as it is.

    Panel compiles what has no `bundle` in the page, from TypeScript, which takes longer than all else that ours do.
    """

    __abstract = True

    def _get_properties(self, doc: Document | None) -> dict[str, Any]:
        properties: dict[str, Any] = super()._get_properties(doc)
        return {**properties, "bundle": _name_of(str(self._esm))}


@cache
def _name_of(script: str) -> str:
    """Return what tells a script from others; found out once, not for each page."""
    return hashlib.sha256(script.encode()).hexdigest()
