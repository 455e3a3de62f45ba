"""The dialog of budgets: how much of each is used, and what may be spent."""

from __future__ import annotations

from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from components.dialogs import dialog, paragraph
from components.notices import Notice
from components.sentence import SentencePane
from components.state import ConversationState
from services.budgets import Budgets
from services.connect import Connections
from services.errors import PanelistError
from services.prices import in_dollars
from services.render import escape
from services.spending import Budget, Standing, budget_of

_ABOUT = (
    "Before a question goes out, what its answer could cost at most is reserved. What does not fit is not asked, and "
    "you are told why. Models without a known price do not count."
)
_NONE = "No budget is set, so nothing is held back."
_ROW = """<div style="font:15px/1.5 var(--panelist-font);color:var(--panelist-text)">
<div style="display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 12px"><strong>{label}</strong>
<span>{used}</span></div>
<div role="meter" aria-label="{label}" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent}"
aria-valuetext="{used}" style="height:6px;margin:6px 0 2px;border-radius:3px;overflow:hidden;
background:var(--mui-palette-divider)"><div style="height:100%;width:{percent}%;border-radius:3px;
background:{color}"></div></div></div>"""

EACH_DAY, EACH_MONTH, EACH, HERE = "Each day", "Each month", "Each conversation", "This conversation"


class BudgetsView(Viewer):
    """All budgets with what is left of them; one is set, or set anew, below."""

    def __init__(
        self, state: ConversationState, budgets: Budgets, connections: Connections, owner: str, **params: Any
    ) -> None:
        super().__init__(**params)
        self._state = state
        self._budgets = budgets
        self._connections = connections
        self._owner = owner
        self._scopes: dict[str, tuple[str, str]] = {}
        self._rows = pmui.Column(sizing_mode="stretch_width", margin=0)
        self._scope = pmui.Select(
            label="For", sizing_mode="stretch_width", size="small", min_width=190, margin=(8, 8, 8, 0)
        )
        self._amount = pmui.TextInput(
            label="Dollars",
            sizing_mode="stretch_width",
            size="small",
            max_length=20,
            min_width=120,
            margin=(8, 8, 8, 0),
        )
        self._set = pmui.Button(label="Set", variant="contained", on_click=self._on_set, margin=(8, 0))
        self._amount.param.watch(self._on_set, "enter_pressed")
        self._result = SentencePane(visible=False, margin=(8, 0))
        self.dialog = dialog(
            "Budgets",
            paragraph(_ABOUT),
            self._rows,
            pmui.Row(
                self._scope,
                self._amount,
                self._set,
                sizing_mode="stretch_width",
                margin=0,
                styles={"flex-wrap": "wrap"},
            ),
            self._result,
            width_option="sm",
            sizing_mode="stretch_width",
        )

    def __panel__(self) -> pmui.Dialog:
        return self.dialog

    async def open(self) -> None:
        """Open the dialog on what is used now."""
        self._result.visible = False
        here = self._state.conversation
        self._scopes = {EACH_DAY: ("day", ""), EACH_MONTH: ("month", ""), EACH: ("conversation", "")}
        if here is not None and not self._state.temporary:
            self._scopes[HERE] = ("conversation", here.id)
        for endpoint in self._connections.endpoints():
            if not endpoint.is_demo:
                self._scopes[f"{endpoint.name}, each month"] = ("endpoint", endpoint.name)
        self._scope.param.update(options=list(self._scopes), value=EACH_DAY)
        self._amount.param.update(value="", value_input="")
        self.dialog.open = True
        await self._show()

    async def _show(self) -> None:
        here = self._state.conversation
        try:
            found = await self._budgets.standings(self._owner, here.id if here is not None else None)
            told = {standing.budget for standing in found}
            rest = [budget for budget in await self._budgets.of(self._owner) if budget not in told]
        except PanelistError as error:
            self._result.say(str(error))
            return
        # That of each conversation has no standing where none is open; those of other conversations are not for here.
        idle = [Standing(budget=budget, spent=0, reserved=0) for budget in rest if not budget.name]
        rows: list[Any] = [self._row(standing, known=standing in found) for standing in (*found, *idle)]
        self._rows[:] = rows or [paragraph(_NONE)]

    def _row(self, standing: Standing, *, known: bool) -> pmui.Row:
        budget = standing.budget
        used = f"{in_dollars(standing.spent)} of {in_dollars(budget.amount)}"
        if standing.reserved:
            used += f", {in_dollars(standing.reserved)} reserved"
        percent = min(standing.percent, 100)
        color = "var(--mui-palette-error-main)" if percent >= 80 else "var(--mui-palette-primary-main)"
        html = _ROW.format(
            label=escape(budget.label),
            used=escape(used if known else f"up to {in_dollars(budget.amount)}"),
            percent=percent,
            color=color,
        )
        return pmui.Row(
            pn.pane.HTML(html, sizing_mode="stretch_width", margin=(8, 8, 8, 0)),
            pmui.Button(
                label="Remove",
                variant="text",
                description=f"Remove the budget: {budget.label}",
                on_click=partial(self._on_remove, budget),
                margin=(8, 0),
            ),
            sizing_mode="stretch_width",
            margin=0,
        )

    async def _on_set(self, _: object) -> None:
        scope, name = self._scopes[str(self._scope.value)]
        try:
            budget = budget_of(scope, name, str(self._amount.value_input or self._amount.value or ""))
            await self._budgets.put(self._owner, budget)
        except PanelistError as error:
            self._result.say(str(error))
            return
        self._result.visible = False
        self._amount.param.update(value="", value_input="")
        await self._show()

    async def _on_remove(self, budget: Budget, _: object) -> None:
        async def bring_back() -> None:
            await self._budgets.put(self._owner, budget)
            await self._show()

        try:
            await self._budgets.remove(self._owner, budget)
        except PanelistError as error:
            self._result.say(str(error))
            return
        self._state.notice = Notice(f"Removed the budget: {budget.label}.", undo=bring_back)
        await self._show()
