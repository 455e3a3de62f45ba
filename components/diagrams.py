"""What the page needs for diagrams, and where this server has it: nothing of it is loaded before there is one."""

from __future__ import annotations

from components.resources import address_of


class Diagrams:
    """Given out as `components.resources` says."""

    _resources = {"frame": ("assets/mermaid/workshop.html",), "script": ("assets/mermaid/mermaid.min.js",)}  # noqa: RUF012


ADDRESSES = (address_of(Diagrams, "frame"), address_of(Diagrams, "script"))
"""Of the frame in which they are drawn and of what draws them, relative to the page."""
