"""The dialog of usage: what requests came to in a period, and what it would have been on another model."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import panel as pn
import param
from panel.models.esm import DataEvent
from panel.viewable import Children

from components.dashboard.figures import SERIES, TOKENS, Figures
from components.dashboard.looking import PERIODS, Looked, Looking
from components.dashboard.shown import shown
from components.dialogs import dialog
from components.files import address_of_usage
from components.scripts import ScriptComponent, joined
from services.changes import Changes
from services.errors import InputError, PanelistError
from services.sheets import NO_PARQUET, can_write_parquet

log = logging.getLogger(__name__)

AFTER_S = 2.0
"""Between two looks at what changed while the dialog is open."""

_HERE = Path(__file__).parent


class UsageView(ScriptComponent):
    """The content of the dialog; it follows what is asked for as long as that is open."""

    dark: bool = param.Boolean(default=False)  # type: ignore[assignment]
    plots = Children(default=[], doc="In the order of the page's places for them.")

    _render_policy = "manual"
    _esm = joined(_HERE, "usage")
    _stylesheets = [(_HERE / "usage.css").read_text("utf-8")]  # noqa: RUF012 - Panel's own class attribute

    def __init__(
        self,
        looking: Looking,
        changes: Changes,
        owner: str,
        *,
        on_alerts: Callable[[], None],
        drags: bool,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.on_msg(self._on_message)
        self._looking = looking
        self._changes = changes
        self._owner = owner
        self._on_alerts = on_alerts
        self._drags = drags
        self._figures: Figures | None = None
        self._following: asyncio.Task[None] | None = None
        self._ready = self._showing = self._outdated = False
        self.dialog = dialog("Usage", self, width_option="xl", sizing_mode="stretch_width")
        self.dialog.param.watch(self._on_dialog, "open")
        pn.state.on_session_destroyed(lambda _: self._unfollow())

    async def open(self) -> None:
        """Open the dialog on what there is now."""
        self.dialog.open = True
        if self._ready:  # it was open already
            await self._show()

    @param.depends("dark", watch=True)
    def _update_theme(self) -> None:
        if self._figures is not None:
            self._figures.dress(self.dark)

    def _on_dialog(self, event: param.parameterized.Event) -> None:
        self._unfollow()
        self._ready = False  # the page makes its part anew each time the dialog opens
        if event.new:
            self._following = asyncio.create_task(self._follow(), name="follow usage")

    def _unfollow(self) -> None:
        if self._following is not None:
            self._following.cancel()
            self._following = None

    async def _follow(self) -> None:
        """Show what changes while the dialog is open."""
        async for _ in self._changes.listen(self._owner, lambda: AFTER_S):
            try:
                if self._ready:
                    await self._show()
            except Exception:  # the last wall: a dialog that hears nothing any more would be dead
                log.exception("usage could not be shown")

    async def _show(self) -> None:
        """Read and show what is looked at; what changes meanwhile is read once more."""
        self._outdated = True
        if self._showing:
            return
        self._showing = True
        try:
            while self._outdated:
                self._outdated = False
                await self._read_and_tell()
        finally:
            self._showing = False

    async def _read_and_tell(self) -> None:
        try:
            looked = await self._looking.read()
        except PanelistError as error:
            self.tell({"type": "failed", "why": str(error)})
            return
        files = [address_of_usage(kind, looked.selection) for kind in ("csv", "parquet")]
        self.tell({**shown(looked), "files": files})
        await self._draw(looked)

    async def _draw(self, looked: Looked) -> None:
        """Show it in the plots; the first time they are made, in a thread, and come with what they show."""
        figures = self._figures
        if figures is None:
            figures = await asyncio.to_thread(self._made, looked)
            self._figures = figures
            figures.dress(self.dark)  # which may have changed meanwhile
            self.plots = list(figures.panes.values())
        else:
            with pn.io.hold():
                figures.show(looked)

    def _made(self, looked: Looked) -> Figures:
        figures = Figures(self._on_brush, drags=self._drags)
        figures.show(looked)
        return figures

    def _on_brush(self, first: date | None, last: date | None) -> None:
        self._looking.brush(first, last)
        pn.state.execute(self._show)

    async def _on_message(self, event: DataEvent) -> None:
        looking = self._looking
        try:
            match event.data:
                case {"type": "ready"}:
                    self._ready = True
                    self.tell(_about(drags=self._drags))
                case {"type": "period", "name": str(name)}:
                    looking.choose_period(name)
                case {"type": "days", "first": str(first), "last": str(last)}:
                    looking.choose_days(first, last)
                case {"type": "model", "endpoint": str() | None as endpoint, "model": str() | None as model}:
                    looking.choose_model(endpoint, model)
                case {"type": "unbrush"}:
                    looking.brush(None, None)
                case {"type": "compare", "place": None}:
                    looking.compare(None)
                case {"type": "compare", "place": [str(endpoint), str(model)]}:
                    looking.compare((endpoint, model))
                case {"type": "alerts"}:
                    self.dialog.open = False
                    self._on_alerts()
                    return
                case {"type": "close"}:
                    self.dialog.open = False
                    return
        except InputError as error:
            self.tell({"type": "failed", "why": str(error)})
            return
        await self._show()


def _about(*, drags: bool) -> dict[str, Any]:
    """Return what the page has to know once."""
    return {
        "type": "about",
        "periods": list(PERIODS),
        "colours": SERIES,
        "tokens": TOKENS,
        "drags": drags,
        "no_parquet": "" if can_write_parquet() else NO_PARQUET,
    }
