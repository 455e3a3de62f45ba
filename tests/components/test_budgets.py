"""The dialog of budgets."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from components.budgets import EACH, EACH_DAY, HERE, BudgetsView
from components.state import ConversationState
from services.runtime import Runtime
from services.spending import Budget
from tests.conftest import OWNER, OpenRuntime
from tests.scripted import ScriptedProvider, answer


@pytest.fixture
async def app(open_app: OpenRuntime) -> Runtime:
    return await open_app(ScriptedProvider(answer("Yes")))


@pytest.fixture
async def view(app: Runtime) -> AsyncGenerator[BudgetsView, None]:
    state = ConversationState(app.chat, app.connections, OWNER, app.temporary)
    await state.start()
    yield BudgetsView(state, app.chat.budgets, app.connections, OWNER)
    state.close()


def shown(view: BudgetsView) -> str:
    panes = [row[0] if hasattr(row, "objects") else row for row in view._rows]
    return " | ".join(pane.object for pane in panes)


async def put(view: BudgetsView, scope: str, amount: str) -> None:
    view._scope.value = scope
    view._amount.value_input = amount
    await view._on_set(None)


async def test_a_budget_is_set_and_removed_with_undo(view: BudgetsView, app: Runtime) -> None:
    await view.open()
    assert "No budget is set" in shown(view)
    await put(view, EACH_DAY, "2.50")
    assert await app.chat.budgets.of(OWNER) == [Budget(scope="day", amount=2_500_000_000)]
    assert "Today" in shown(view)
    assert "$0.00 of $2.50" in shown(view)
    await put(view, EACH_DAY, "3")
    assert len(await app.chat.budgets.of(OWNER)) == 1, "set anew"
    [budget] = await app.chat.budgets.of(OWNER)
    await view._on_remove(budget, None)
    assert await app.chat.budgets.of(OWNER) == []
    notice = view._state.notice
    assert notice is not None
    assert notice.undo is not None
    await notice.undo()
    assert await app.chat.budgets.of(OWNER) == [budget]


async def test_what_is_no_amount_is_said_and_changes_nothing(view: BudgetsView, app: Runtime) -> None:
    await view.open()
    await put(view, EACH_DAY, "a lot")
    assert view._result.visible
    assert "amount in dollars" in view._result.object
    assert await app.chat.budgets.of(OWNER) == []
    await put(view, EACH_DAY, "1")
    assert not view._result.visible


async def test_a_conversation_has_one_of_its_own(view: BudgetsView) -> None:
    await view.open()
    assert HERE not in view._scopes
    await put(view, EACH, "1")
    assert "up to $1.00" in shown(view), "no conversation is open that it could be of"
    await view._state.send("Go")
    await view.open()
    await put(view, HERE, "4")
    assert "This conversation" in shown(view)
    assert "$0.00 of $4.00" in shown(view)
