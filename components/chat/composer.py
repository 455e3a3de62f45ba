"""The text box with Send and Stop."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent
from panel.models.esm import DataEvent

from components.state import ConversationState
from services.chat import MAX_TEXT
from services.errors import PanelistError

log = logging.getLogger(__name__)

_HERE = Path(__file__).parent


class Composer(JSComponent):
    """Owns its text in the browser; the server hears of it when it is sent, and answers when it is stored."""

    conversation: str | None = param.String(default=None, allow_None=True, doc="Whose draft is shown.")  # type: ignore[assignment]
    writing: bool = param.Boolean(default=False, doc="Whether a reply is being written.")  # type: ignore[assignment]
    placeholder: str = param.String(default="Ask anything")  # type: ignore[assignment]
    limit: int = param.Integer(default=MAX_TEXT, doc="Characters of one message, at most.")  # type: ignore[assignment]
    dark: bool = param.Boolean(default=False)  # type: ignore[assignment]

    _esm = _HERE / "composer.js"
    _stylesheets = [(_HERE / "composer.css").read_text("utf-8")]  # noqa: RUF012 - Panel's own class attribute

    def __init__(
        self,
        state: ConversationState,
        on_help: Callable[[], None],
        on_send: Callable[[], Awaitable[None]],
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.on_msg(self._on_message)
        self._state = state
        self._on_help = on_help
        self._before_send = on_send
        state.param.watch(self._update, ["conversation", "run_id", "choice"])
        self._update()

    def fill(self, text: str) -> None:
        """Put a text into the box, for a person to change and send."""
        self._send_msg({"type": "fill", "text": text})

    def focus(self) -> None:
        """Put the keyboard into the text box."""
        self._send_msg({"type": "focus"})

    def _update(self, *_: object) -> None:
        state = self._state
        model = state.choice.model if state.choice else None
        self.param.update(
            conversation=state.conversation.id if state.conversation else None,
            writing=state.run_id is not None,
            placeholder=f"Message {model}" if model else "Ask anything",
        )

    async def _on_message(self, event: DataEvent) -> None:
        match event.data:
            case {"type": "send", "key": str(key), "text": str(text)}:
                await self._on_send(key, text)
            case {"type": "stop"}:
                self._state.stop()
            case {"type": "new"}:
                await self._state.open(None)
            case {"type": "help"}:
                self._on_help()

    async def _on_send(self, key: str, text: str) -> None:
        draft = self.conversation
        try:
            await self._before_send()
            await self._state.send(text, key)
        except PanelistError as error:
            self._send_msg({"type": "refused", "key": key, "text": str(error)})
        except Exception:  # the last wall: the text box waits for a word
            log.exception("a message could not be sent")
            said = "Something unforeseen went wrong in Panelist; its log says more. Your text is still here."
            self._send_msg({"type": "refused", "key": key, "text": said})
        else:
            self._send_msg({"type": "stored", "key": key, "draft": draft})
