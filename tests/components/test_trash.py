"""What the dialog of the trash is told, without a browser."""

from __future__ import annotations

from typing import Any

from components.sidebar.trash import Trash
from components.state import ConversationState
from services.catalogue import IN_TRASH
from services.conversation import Whole
from tests.conftest import OWNER, OpenRuntime
from tests.scripted import ScriptedProvider
from tests.storage import make


class Dialog(Trash):
    """Keeps what the page would be told."""

    def __init__(self, state: ConversationState) -> None:
        self.told: list[dict[str, Any]] = []
        super().__init__(state)

    def tell(self, message: dict[str, Any]) -> None:
        self.told.append(message)


async def test_it_is_said_that_there_is_more_in_the_trash_than_is_shown(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider())
    state = ConversationState(app.chat, app.connections, OWNER)
    dialog = Dialog(state)
    gone = [Whole(make.conversation(f"Rain {number}"), ()) for number in range(IN_TRASH + 1)]
    await app.store.add_wholes(OWNER, lambda: gone)
    few = [one.conversation.id for one in gone[:2]]
    await app.store.delete_all(OWNER, few)
    await dialog.open()
    assert (len(dialog.told[-1]["rows"]), dialog.told[-1]["full"]) == (2, False)
    await app.store.delete_all(OWNER, [one.conversation.id for one in gone])
    await dialog.open()
    assert (len(dialog.told[-1]["rows"]), dialog.told[-1]["full"]) == (IN_TRASH, True)
    state.close()
