"""The dialog in which the options of a conversation, or of one more answer, are set."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from components.dialogs import dialog
from components.sentence import SentencePane
from components.sidebar.steps import StepsList
from components.state import Choice, ConversationState
from services.errors import InputError
from services.folders import MAX_PROMPT
from services.options import Options
from services.parameters import Parameter, typed, value_of, with_value
from services.render import escape

Input = pmui.TextInput | pmui.TextAreaInput | pmui.Select

Again = Callable[[str, Options], Awaitable[None]]
"""Asks for one more answer beside one, with options."""

_HERE = "For this conversation, from the next question on. What is empty is not sent: the model's own default applies."
_ONCE = "For one more answer beside the one that is there. The conversation keeps its own options."
_AGAIN = (
    "Asks once more as this answer was asked for, with what you change here. The two are compared when it is there."
)
_NO_PROMPT = "Said to the model before the conversation. When it is empty, nothing is."
_NONE = "The chosen model's endpoint takes none of the options that Panelist knows."
_TOLD = '<p style="margin:0 0 4px;font:15px/1.5 var(--panelist-font);color:var(--panelist-text)">{}</p>'


class OptionsView(Viewer):
    """A field for each option that the chosen model's endpoint takes; nothing is changed before a button says so."""

    def __init__(self, state: ConversationState, **params: Any) -> None:
        super().__init__(**params)
        self._state = state
        self._fields: tuple[tuple[Parameter, Input], ...] = ()
        self._answer: str | None = None  # the one beside which another is wanted
        self._again: Again | None = None  # what does that, where a change is to be compared
        self._made: dict[str, Input] = {}
        self._before = Options()
        self._about = pn.pane.HTML(sizing_mode="stretch_width", margin=0)
        self._model = pmui.AutocompleteInput(
            label="Model",
            options=[],
            restrict=False,
            min_characters=0,
            search_strategy="includes",
            case_sensitive=False,
            size="small",
            sizing_mode="stretch_width",
            margin=(8, 0),
            visible=False,
        )
        self._model.param.watch(lambda _: self._lay_out(), "value")
        self._inputs = pmui.Column(sizing_mode="stretch_width", margin=0)
        self._steps = StepsList(state.processing.steps, sizing_mode="stretch_width", margin=0)
        self._result = SentencePane(visible=False, margin=(8, 0))
        self._save = pmui.Button(variant="contained", on_click=self._on_save, margin=(8, 0))
        self._reset = pmui.Button(
            label="Empty all", variant="outlined", on_click=lambda _: self._fill(Options()), margin=(8, 8, 8, 0)
        )
        self._lay_out()  # a browser may miss what changes of a dialog that it is just drawing
        self.dialog = dialog(
            "Options",
            self._about,
            self._model,
            self._inputs,
            self._steps,
            self._result,
            pmui.Row(self._reset, self._save, margin=0),
            width_option="sm",
            sizing_mode="stretch_width",
        )

    def __panel__(self) -> pmui.Dialog:
        return self.dialog

    async def open(self, message_id: str | None = None) -> None:
        """Open the dialog on the conversation's options, or for one more answer beside that of a message."""
        self._open(message_id, self._state.options, _HERE if message_id is None else _ONCE)

    async def open_again(self, message_id: str, options: Options, again: Again) -> None:
        """Open the dialog on what an answer was asked for with; `again` does it once more, with what was changed."""
        self._again = again
        self._open(message_id, options, _AGAIN)

    def _open(self, message_id: str | None, options: Options, about: str) -> None:
        again, self._again = self._again, None
        model = Choice(options.endpoint, options.model).label if options.endpoint and options.model else ""
        self._answer, self._again = message_id, again
        self._model.param.update(
            visible=again is not None,
            options=[choice.label for choice in self._state.choices],
            value=model,
            value_input=model,
        )
        self._lay_out()
        offered = bool(self._fields)
        self._about.object = _TOLD.format(escape(about if offered or again else _NONE))
        self._result.visible = False
        self._save.label = "Save" if message_id is None else "Ask again" if again else "Answer with these"
        self._before = options
        self._fill(options)
        self.dialog.open = True

    def _lay_out(self) -> None:
        """Show a field for each parameter that the model's endpoint takes; what was typed in it stays."""
        parameters = self._state.offered_by(self._chosen)
        if tuple(parameter for parameter, _ in self._fields) == parameters:
            return
        self._made |= {one.name: _input_for(one) for one in parameters if one.name not in self._made}
        self._fields = tuple((parameter, self._made[parameter.name]) for parameter in parameters)
        self._inputs[:] = [field for _, field in self._fields]

    def _hint(self, parameter: Parameter) -> str:
        return _NO_PROMPT if self._again is not None and parameter.kind == "prompt" else parameter.hint

    @property
    def _chosen(self) -> Choice | None:
        """The model that answers."""
        typed = str(self._model.value_input or self._model.value or "")
        return self._state.choice_of(typed) if self._again is not None else self._state.choice

    def _fill(self, options: Options) -> None:
        self._steps.fill(self._state.processing.names, options.post)
        for parameter, field in self._fields:
            field.param.update(error_state=False, helper_text=self._hint(parameter))
            if isinstance(field, pmui.Select):
                value = value_of(options, parameter)
                known = parameter.levels if value in parameter.levels or value is None else (*parameter.levels, value)
                field.param.update(options=[parameter.unset, *known], value=value or parameter.unset)
            else:
                text = typed(options, parameter)
                field.param.update(value=text, value_input=text)

    async def _on_save(self, _: object) -> None:
        again, chosen = self._again, self._chosen
        # Another tab may have changed some of the conversation's meanwhile.
        options, wrong = self._state.options if again is None else self._before, 0
        if self._steps.names != self._before.post:
            options = replace(options, post=self._steps.names)
        for parameter, field in self._fields:
            try:
                filled = with_value(Options(), parameter, _typed_in(parameter, field))
                if value_of(filled, parameter) != value_of(self._before, parameter):
                    options = with_value(options, parameter, _typed_in(parameter, field))
            except InputError as error:
                wrong += 1
                field.param.update(error_state=True, helper_text=str(error))
            else:
                field.param.update(error_state=False, helper_text=self._hint(parameter))
        if wrong:
            self._result.say("Nothing was changed yet: put right what is marked, or empty it.")
            return
        if again is not None and chosen is None:
            self._result.say("Choose the model that is to answer.")
            return
        self.dialog.open = False
        if again is not None and chosen is not None and self._answer is not None:
            prompt = options.system_prompt or ""  # what was emptied is to be empty, whatever the folder says
            options = replace(options, endpoint=chosen.endpoint, model=chosen.model, system_prompt=prompt)
            await again(self._answer, options)
        elif self._answer is not None:
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
            return pmui.Select(options=[parameter.unset, *parameter.levels], value=parameter.unset, **common)
        case "lines":
            return pmui.TextAreaInput(rows=2, max_length=2_000, resizable=False, **common)
        case "prompt":
            return pmui.TextAreaInput(rows=3, max_length=MAX_PROMPT, **common)
        case "number" | "count":
            return pmui.TextInput(max_length=40, **common)


def _typed_in(parameter: Parameter, field: Input) -> object:
    if isinstance(field, pmui.Select):
        return None if field.value == parameter.unset else field.value
    return field.value_input if field.value_input is not None else field.value
