"""The model picker."""

from __future__ import annotations

from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param
from panel.viewable import Viewer

from components.state import ConversationState


class ModelPicker(Viewer):
    """Offers the models of every endpoint, and takes any name that is typed in."""

    def __init__(self, state: ConversationState, **params: Any) -> None:
        super().__init__(**params)
        self._state = state
        self._quiet = False
        self._input = pmui.AutocompleteInput(
            label="Model",
            options=[],
            restrict=False,
            min_characters=0,
            search_strategy="includes",
            case_sensitive=False,
            size="small",
            sizing_mode="stretch_width",
            max_width=400,
            align="center",
            placeholder="Type a model's name",
            margin=(0, 0, 0, 16),
            sx={"& .MuiInputBase-input": {"color": "var(--panelist-text) !important"}},
        )
        self._input.param.watch(self._on_value, "value")
        state.param.watch(self._update, ["choices", "choice"])
        self._update()

    def __panel__(self) -> pmui.AutocompleteInput:
        return self._input

    def focus(self) -> None:
        """Put the keyboard into the picker."""
        self._input._send_msg({"action": "focus"})

    def _update(self, *_: object) -> None:
        label = self._label
        self._quiet = True
        try:
            self._input.param.update(
                options=[choice.label for choice in self._state.choices], value=label, value_input=label
            )
        finally:
            self._quiet = False

    async def commit(self) -> None:
        """Choose what stands in the picker, also where it was typed and left without Enter: what is seen answers."""
        typed = str(self._input.value_input or "").strip()
        if typed and typed != self._label:
            await self._choose(typed)
        else:
            self._update()

    @property
    def _label(self) -> str:
        return self._state.choice.label if self._state.choice else ""

    def _on_value(self, event: param.parameterized.Event) -> None:
        # Not a coroutine: it would run after the next update, and undo it.
        label = event.new
        if not self._quiet and label and label != self._label:
            pn.state.execute(partial(self._choose, label))

    async def _choose(self, label: str) -> None:
        await self._state.choose(label)
        self._update()
