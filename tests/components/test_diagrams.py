"""What draws diagrams: which file it is, and that the server gives out this one alone."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from panel.io.resources import COMPONENT_PATH
from panel.io.server import ComponentResourceHandler
from tornado.web import HTTPError

from components import diagrams

HOME = Path(diagrams.__file__).parent / "assets" / "mermaid"


def served(address: str) -> Path:
    """Return the file that Panel's handler finds for an address."""
    path = address.removeprefix(COMPONENT_PATH).split("?")[0]
    attributes = ComponentResourceHandler._resource_attrs
    handler = cast(Any, SimpleNamespace(_resource_attrs=attributes))
    return Path(ComponentResourceHandler.parse_url_path(handler, path))


def test_the_server_gives_out_what_the_page_asks_for() -> None:
    assert [served(address).name for address in diagrams.ADDRESSES] == ["workshop.html", "mermaid.min.js"]
    assert all(re.search(r"\?v=[0-9a-f]{16}$", address) for address in diagrams.ADDRESSES)


@pytest.mark.parametrize("file", ["assets/dom.js", "assets/mermaid/../../state.py", "../app.py", "diagrams.py"])
def test_it_gives_out_nothing_else(file: str) -> None:
    address = diagrams.ADDRESSES[1].split("?")[0].replace("assets/mermaid/mermaid.min.js", file)
    with pytest.raises(HTTPError):
        served(address)


def test_the_file_is_the_one_that_the_readme_names() -> None:
    readme = (HOME / "README.md").read_text("utf-8")
    code = (HOME / "mermaid.min.js").read_bytes()
    assert hashlib.sha256(code).hexdigest() in readme
    [version] = set(re.findall(r"\b11\.\d+\.\d+\b", readme))
    assert f'"{version}"'.encode() in code
    assert "MIT" in (HOME / "LICENSE").read_text("utf-8")


def test_the_frame_fetches_nothing_and_runs_only_what_carries_its_number() -> None:
    frame = (HOME / "workshop.html").read_text("utf-8")
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', frame)
    assert policy == "default-src 'none'; script-src 'nonce-NONCE'; style-src 'unsafe-inline'"
    assert re.findall(r"<script[^>]*>", frame) == ['<script nonce="NONCE">']
