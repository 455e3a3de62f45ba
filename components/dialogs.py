"""The one way that dialogs look and close."""

from __future__ import annotations

from typing import Any

import panel_material_ui as pmui

from components import theme


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
