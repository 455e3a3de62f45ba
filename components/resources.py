"""The scripts and styles that a page loads: only what its first view needs, and found out once.

Panel looks through every component class for its files each time a page is asked for, which costs more than all the
rest of the page; and it loads the libraries of widgets that no page of ours shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

from bokeh.resources import Resources
from panel.io import server, state
from panel.io.resources import COMPONENT_PATH, Bundle, bundle_resources
from tornado.web import StaticFileHandler

_UNUSED = ("tabulator", "luxon", "bokeh-gl", "es-module-shims")
"""Parts of the names of files for tables, their dates, WebGL, and import maps (see first.html)."""

_TABLES = "bokeh-tables"
"""Likewise of Bokeh's own tables, without which Panel's scripts do not run."""


class InPlace:
    """Panel's server gives out what a class lists like this, and nothing beside it, under an address made of its name.

    It is `panel.io.server.ComponentResourceHandler` that does; so no flag is needed to serve a file of ours.
    """

    _resources = {"tables": ("assets/no_tables.js",)}  # noqa: RUF012


def address_of(owner: type, kind: str) -> str:
    """Return where this server has the file that a class of this folder lists, relative to the page."""
    resources: dict[str, tuple[str]] = owner._resources  # type: ignore[attr-defined]
    [path] = resources[kind]
    version = hashlib.sha256((Path(__file__).parent / path).read_bytes()).hexdigest()[:16]
    return f"{COMPONENT_PATH}{owner.__module__}/{owner.__name__}/_resources/{kind}/{path}?v={version}"  # kept for ever


_bundles: dict[tuple[object, ...], Bundle] = {}


def _bundle_once(roots: object, resources: Resources, *args: Any, **more: Any) -> Bundle:
    key = (resources.mode, resources.root_url, state.rel_path, state.base_url)
    if key not in _bundles:
        bundle = bundle_resources(roots, resources, *args, **more)
        for files in (bundle.js_files, bundle.css_files):
            files[:] = [file for file in files if not any(name in str(file) for name in _UNUSED)]
        bundle.js_files[:] = [
            address_of(InPlace, "tables") if _TABLES in str(file) else file for file in bundle.js_files
        ]
        _bundles[key] = bundle
    return _bundles[key]


def scripts() -> list[str]:
    """Return the addresses of the scripts that pages load, in their order; none before the first page."""
    return [str(file) for bundle in list(_bundles.values())[:1] for file in bundle.js_files]


MOST_IN_ONE = 8_000_000
"""Bytes of a file that is given out in one piece."""
_in_pieces = StaticFileHandler.__dict__["get_content"].__func__


def _content(
    cls: type[StaticFileHandler], abspath: str, start: int | None = None, end: int | None = None
) -> bytes | Generator[bytes, None, None]:
    """Return a file in one piece: in the server's pieces of 64 KB, each waits for a turn while pages are built."""
    pieces: Generator[bytes, None, None] = _in_pieces(cls, abspath, start, end)
    return b"".join(pieces) if Path(abspath).stat().st_size <= MOST_IN_ONE else pieces


def install() -> None:
    """Have the server use it from now on."""
    setattr(server, "bundle_resources", _bundle_once)  # noqa: B010 - the server imported it under this name
    setattr(StaticFileHandler, "get_content", classmethod(_content))  # noqa: B010 - all handlers of files inherit it
