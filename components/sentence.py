"""A sentence in a frame. The kits' alerts render Markdown, and these sentences quote servers, files and settings."""

from __future__ import annotations

from typing import Any

import panel as pn

from services.render import escape

_MOST = 600
"""Characters that are shown."""


class SentencePane(pn.pane.HTML):
    """Says one sentence as plain text, as an alert."""

    def __init__(self, **params: Any) -> None:
        super().__init__("", sizing_mode="stretch_width", **params)

    def say(self, text: str, *, good: bool = False) -> None:
        """Show a sentence; screen readers say it at once."""
        shown = text if len(text) <= _MOST else f"{text[:_MOST]}…"
        frame = "--panelist-good" if good else "--panelist-alert"
        style = (
            "padding:12px 16px;border-radius:12px;font:15px/1.5 var(--panelist-font);overflow-wrap:anywhere;"
            f"color:var(--panelist-text);background:var({frame});border:1px solid var({frame}-line)"
        )
        self.param.update(object=f'<div role="alert" style="{style}">{escape(shown)}</div>', visible=True)
