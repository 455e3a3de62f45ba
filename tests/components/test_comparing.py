"""What the dialog that compares is told, without a browser."""

from __future__ import annotations

from typing import Any

from components.chat.comparing import Comparison
from components.state import ConversationState
from services.conversation import Versions
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.scripted import ScriptedProvider, answer


class Dialog(Comparison):
    """Keeps what the page would be told."""

    def __init__(self, state: ConversationState) -> None:
        self.told: list[dict[str, Any]] = []
        super().__init__(state)

    def tell(self, message: dict[str, Any]) -> None:
        self.told.append(message)


async def test_no_earlier_comparison_stays_on_show_while_another_is_made_or_where_none_can_be(
    open_app: OpenRuntime,
) -> None:
    app = await open_app(ScriptedProvider(answer("One"), answer("Two")))
    first = await whole_run(app.chat, await app.chat.send(OWNER, "Which?"))
    here = first.conversation.id
    second = await whole_run(app.chat, await app.chat.retry(OWNER, here, first.path[1].id))
    state = ConversationState(app.chat, app.connections, OWNER)
    await state.open(here)
    dialog = Dialog(state)
    await dialog.open(second.versions[second.path[1].id])
    assert [message["type"] for message in dialog.told] == ["wait", "compared"]
    await dialog.open(Versions(1, (first.path[1].id, "nothing of ours")))
    assert [message["type"] for message in dialog.told[2:]] == ["wait", "unread"]
    state.close()


async def test_an_answer_is_compared_with_what_its_steps_made_of_it(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer('"So"'), answer("Plain")), PANELIST_POST="typography")
    opened = await whole_run(app.chat, await app.chat.send(OWNER, "Go"))
    state = ConversationState(app.chat, app.connections, OWNER)
    await state.open(opened.conversation.id)
    dialog = Dialog(state)
    await dialog.open(opened.path[1].id)
    assert dialog.told[-1]["by"] == ["As it came", "After typography"]
    shown = [["removed", '"'], ["added", "“"], ["same", "So"], ["removed", '"'], ["added", "”"]]
    assert (dialog.dialog.title, dialog.told[-1]["changes"]) == ("What changed", shown)
    await state.processing.show(opened.path[1].id, raw=True)
    assert state.path[1].text == '"So"'
    await dialog.open(opened.path[1].id)
    assert dialog.told[-1]["changes"] == shown, "also while the raw one is on show"
    await dialog.open(opened.path[0].id)
    assert dialog.told[-1]["type"] == "unread"
    state.close()
