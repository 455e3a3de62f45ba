"""What the page needs for diagrams, and where this server has it: nothing of it is loaded before there is one."""

from __future__ import annotations

import hashlib
from pathlib import Path

from panel.io.resources import COMPONENT_PATH

_HERE = Path(__file__).parent


class Diagrams:
    """Panel's server gives out what a class lists like this, and nothing beside it, under an address made of its name.

    It is `panel.io.server.ComponentResourceHandler` that does; so no flag is needed to serve a file of ours.
    """

    _resources = {"frame": ("assets/mermaid/workshop.html",), "script": ("assets/mermaid/mermaid.min.js",)}  # noqa: RUF012


def _address(kind: str) -> str:
    [path] = Diagrams._resources[kind]
    version = hashlib.sha256((_HERE / path).read_bytes()).hexdigest()[:16]  # what has a `v` may be kept for ever
    return f"{COMPONENT_PATH}{__name__}/{Diagrams.__name__}/_resources/{kind}/{path}?v={version}"


ADDRESSES = (_address("frame"), _address("script"))
"""Of the frame in which they are drawn and of what draws them, relative to the page."""
