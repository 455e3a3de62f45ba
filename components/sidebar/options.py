"""The dialog in which the options of a conversation, or of one more answer, are set."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from components.dialogs import dialog
from components.sentence import SentencePane
from components.state import ConversationState
from services.errors import InputError
from services.folders import MAX_PROMPT
from services.options import Options
from services.parameters import Parameter, typed, value_of, with_value
from services.render import escape

Input = pmui.TextInput | pmui.TextAreaInput | pmui.Select

DEFAULT = "The model's own"
"""What a list offers beside the values; an empty field means the same."""

_HERE = "For this conversation, from the next question on. What is empty is not sent: the model's own default applies."
_ONCE = "For one more answer beside the one that is there. The conversation keeps its own options."
_NONE = "The chosen model's endpoint takes none of the options that Panelist knows."
_TOLD = '<p style="margin:0 0 4px;font:15px/1.5 var(--panelist-font);color:var(--panelist-text)">{}</p>'


class OptionsView(Viewer):
    """A field for each option that the chosen model's endpoint takes; nothing is changed before a button says so."""

    def __init__(self, state: ConversationState, **params: Any) -> None:
        super().__init__(**params)
        self._state = state
        self._fields: tuple[tuple[Parameter, Input], ...] = ()
        self._answer: str | None = None  # the one beside which another is wanted
        self._before = Options()
        self._about = pn.pane.HTML(sizing_mode="stretch_width", margin=0)
        self._inputs = pmui.Column(sizing_mode="stretch_width", margin=0)
        self._result = SentencePane(visible=False, margin=(8, 0))
        self._save = pmui.Button(variant="contained", on_click=self._on_save, margin=(8, 0))
        self._reset = pmui.Button(
            label="Empty all", variant="outlined", on_click=lambda _: self._fill(Options()), margin=(8, 8, 8, 0)
        )
        self.dialog = dialog(
            "Options",
            self._about,
            self._inputs,
            self._result,
            pmui.Row(self._reset, self._save, margin=0),
            width_option="sm",
            sizing_mode="stretch_width",
        )

    def __panel__(self) -> pmui.Dialog:
        return self.dialog

    async def open(self, message_id: str | None = None) -> None:
        """Open the dialog on the conversation's options, or for one more answer beside that of a message."""
        self._answer = message_id
        parameters = self._state.offered
        if tuple(parameter for parameter, _ in self._fields) != parameters:
            self._fields = tuple((parameter, _input_for(parameter)) for parameter in parameters)
            self._inputs[:] = [field for _, field in self._fields]
        said = (_HERE if message_id is None else _ONCE) if parameters else _NONE
        self._about.object = _TOLD.format(escape(said))
        self._result.visible = False
        self._save.label = "Save" if message_id is None else "Answer with these"
        self._save.disabled = self._reset.disabled = not parameters
        self._before = self._state.options
        self._fill(self._before)
        self.dialog.open = True

    def _fill(self, options: Options) -> None:
        for parameter, field in self._fields:
            field.param.update(error_state=False, helper_text=parameter.hint)
            if isinstance(field, pmui.Select):
                value = value_of(options, parameter)
                known = parameter.levels if value in parameter.levels or value is None else (*parameter.levels, value)
                field.param.update(options=[DEFAULT, *known], value=value or DEFAULT)
            else:
                text = typed(options, parameter)
                field.param.update(value=text, value_input=text)

    async def _on_save(self, _: object) -> None:
        options, wrong = self._state.options, 0  # another tab may have changed some meanwhile
        for parameter, field in self._fields:
            try:
                filled = with_value(Options(), parameter, _typed_in(field))
                if value_of(filled, parameter) != value_of(self._before, parameter):
                    options = with_value(options, parameter, _typed_in(field))
            except InputError as error:
                wrong += 1
                field.param.update(error_state=True, helper_text=str(error))
            else:
                field.param.update(error_state=False, helper_text=parameter.hint)
        if wrong:
            self._result.say("Nothing was changed yet: put right what is marked, or empty it.")
            return
        self.dialog.open = False
        if self._answer is not None:
            await self._state.retry(self._answer, options=options)
        else:
            await self._state.set_options(options)


def _input_for(parameter: Parameter) -> Input:
    common: dict[str, Any] = {
        "label": parameter.label,
        "sizing_mode": "stretch_width",
        "margin": (8, 0),
        "size": "small",
    }
    match parameter.kind:
        case "level":
            return pmui.Select(options=[DEFAULT, *parameter.levels], value=DEFAULT, **common)
        case "lines":
            return pmui.TextAreaInput(rows=2, max_length=2_000, resizable=False, **common)
        case "prompt":
            return pmui.TextAreaInput(rows=3, max_length=MAX_PROMPT, **common)
        case "number" | "count":
            return pmui.TextInput(max_length=40, **common)


def _typed_in(field: Input) -> object:
    if isinstance(field, pmui.Select):
        return None if field.value == DEFAULT else field.value
    return field.value_input if field.value_input is not None else field.value
