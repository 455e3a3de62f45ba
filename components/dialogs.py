"""The one way that dialogs look and close."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui

from components import theme
from services.render import escape

_TEXT = '<p style="margin:0 0 4px;font:15px/1.5 var(--panelist-font);color:var(--mui-palette-text-secondary)">{}</p>'


def paragraph(text: str) -> pn.pane.HTML:
    """Return a few plain sentences."""
    return pn.pane.HTML(_TEXT.format(escape(text)), sizing_mode="stretch_width", margin=0)


def dialog(title: str, *objects: object, **more: Any) -> pmui.Dialog:
    """Return a dialog, closed, with a heading, a button that closes it, and these objects."""
    return pmui.Dialog(
        *objects,
        sx=theme.DIALOG_SX,
        title=title,
        title_variant="h6",
        show_close_button=True,
        close_on_click=True,
        **more,
    )
