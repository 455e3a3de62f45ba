"""Opens what a page will show, and sends its first view, before the page is built, while awaiting is still possible.

Panel builds a page in one go, from `app.py`, and sends it at once. What takes a database is therefore read in the hook
that the server calls before (https://docs.bokeh.org/en/latest/docs/reference/application/handlers/handler.html).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import panel as pn
from bokeh.application.handlers import Handler
from bokeh.server.contexts import BokehServerContext, BokehSessionContext
from panel.io.state import set_curdoc

from components import ahead, session
from components.chat.transcript import prepare_window
from components.first_view import first_view
from components.state import ConversationState
from services.runtime import Runtime, opened_runtime

if TYPE_CHECKING:
    from bokeh.application.application import SessionContext
    from bokeh.document import Document

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """What a page is filled with."""

    runtime: Runtime
    state: ConversationState
    view: dict[str, Any]
    """The template's variables."""


PATIENCE_S = 1.0
"""After which the page goes out without its conversation, which then follows."""


class Preload(Handler):
    """Starts a visitor's state; what fails is left to the page, which can say so and try again."""

    def __init__(self) -> None:
        super().__init__()
        self._prepared: dict[str, Prepared] = {}

    def modify_document(self, doc: Document) -> None:
        """Leave the document alone: `app.py` fills it."""

    async def on_session_created(self, session_context: SessionContext) -> None:
        assert isinstance(session_context, BokehSessionContext)
        with set_curdoc(session_context._document):  # what is started here belongs to the session from its beginning
            visitor, runtime = session.visitor(), opened_runtime()
            if visitor is None or not session.is_local(visitor) or runtime is None:
                return
            state = ConversationState(runtime.chat, runtime.connections, session.owner(), runtime.temporary)
            state.prepare = prepare_window
            id = str(session_context.id)

            def forget(_: object) -> None:
                self._prepared.pop(id, None)
                state.close()

            pn.state.on_session_destroyed(forget)
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await state.start(session.asked_for())
                view = first_view(
                    state, dark=session.dark(), chosen=session.chosen_dark() is not None, sidebar=not session.on_phone()
                )
            except TimeoutError:
                state.close()
            except BaseException:  # the page starts another state
                state.close()
                raise
            else:
                self._prepared[id] = Prepared(runtime, state, view)
                await ahead.send(view)

    def take(self, session_id: str) -> Prepared | None:
        """Return what was opened for a session, once."""
        return self._prepared.pop(session_id, None)


def prepared() -> Prepared | None:
    """Return what was opened for the current session; from the first one on it is, for all that follow."""
    context = pn.state.curdoc.session_context if pn.state.curdoc else None
    server = context.server_context if context else None
    contexts = server.application_context if isinstance(server, BokehServerContext) else None
    if context is None or contexts is None:
        return None
    application = contexts.application
    preload = next((handler for handler in application.handlers if isinstance(handler, Preload)), None)
    if preload is None:
        application.add(Preload())
        return None
    return preload.take(str(context.id))
