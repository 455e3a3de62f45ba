"""The JavaScript of components: several files joined to the one module that a component takes."""

from __future__ import annotations

from pathlib import Path

_DOM = Path(__file__).parent / "assets" / "dom.js"


def joined(folder: Path, *parts: str) -> str:
    """Return the module made of `dom.js` and the named files of a component's folder, the component's own last."""
    return "\n".join(file.read_text("utf-8") for file in (_DOM, *(folder / f"{part}.js" for part in parts)))
