"""Sends the first view ahead of the page that it lies over, which takes ten times as long to build.

Panel answers with a whole page at once. Here its template is rendered twice: up to `MARK` as soon as the conversation
has been read, and the rest when the page has been built.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from bokeh.core.templates import MACROS
from bokeh.server.session import ServerSession
from jinja2 import Template
from panel.io import server
from panel.io.server import DocHandler
from tornado.iostream import StreamClosedError

from components import resources
from components.files import serve_on

log = logging.getLogger(__name__)

MARK = f"<!-- {secrets.token_hex(16)} -->"
"""Where a page is cut in two; nothing that a conversation holds can be it."""

PATIENCE_S = 1.0
"""After which whoever does not read what was sent no longer holds up the page, which waits in the server's buffer."""

_BROKEN = "<script>window.panelistBroken = true</script></body></html>"
"""What follows a first view whose page could not be built: `come_back.js` then asks once more."""


@dataclass
class _Answer:
    """One page on its way to a browser."""

    handler: DocHandler | None
    sent: bool = False


@dataclass(frozen=True)
class _Common:
    """What all pages have in common."""

    template: Template
    variables: dict[str, Any]
    kit: str
    """The address of panel-material-ui's module."""


_answering: ContextVar[_Answer | None] = ContextVar("answering", default=None)
_common: list[_Common] = []
"""Known from the first page on."""
_whole_page: Callable[..., str] = server.server_html_page_for_session
_get = DocHandler.get


async def send(view: dict[str, Any]) -> None:
    """Send the beginning of a page, with the variables of its first view, to the browser that has asked for it.

    Does nothing for a process's first page, from which is known what they have in common.
    """
    answer = _answering.get()
    if answer is None or answer.handler is None or not _common:
        return
    common = _common[0]
    variables = {**common.variables, **view, "common": {"scripts": resources.scripts(), "kit": common.kit}}
    handler = answer.handler
    handler.set_header("Content-Type", "text/html")
    handler.write(common.template.render(variables).partition(MARK)[0])
    answer.sent = True
    with contextlib.suppress(StreamClosedError, TimeoutError):  # whoever asked has left; the page notices as well
        async with asyncio.timeout(PATIENCE_S):
            await handler.flush()


async def _answer(self: DocHandler, *args: Any, **kwargs: Any) -> None:
    answer = _Answer(self)
    _answering.set(answer)
    serve_on(self.application)  # before the page asks for the files of its draft
    try:
        if (working := _get(self, *args, **kwargs)) is not None:
            await working
    except Exception:
        if not answer.sent:
            raise
        log.exception("a page could not be built")
        self.write(_BROKEN)
    finally:
        answer.handler = None  # what was begun for the session has this context, and lives as long as the session


def _page(session: ServerSession, *args: Any, **kwargs: Any) -> str:
    page = _whole_page(session, *args, **kwargs)
    answer = _answering.get()
    if answer is not None and answer.sent:
        _, found, rest = page.partition(MARK)
        if not found:
            raise RuntimeError("the page is not the one whose first view was sent")
        return rest
    _remember(session)
    return page


def _remember(session: ServerSession) -> None:
    document = session.document
    meta = document.template_variables.get("meta")
    if meta is None or _common:  # not a page of ours, or known already
        return
    variables = {name: value for name, value in document.template_variables.items() if name != "first"}
    variables |= {"title": document.title, "macros": MACROS, "meta": SimpleNamespace(**meta.param.values())}
    _common.append(_Common(document.template, variables, getattr(document.roots[0], "esm", "")))


def install() -> None:
    """Have Panel's server answer like this from now on."""
    setattr(DocHandler, "get", _answer)  # noqa: B010 - the server has the class already
    setattr(server, "server_html_page_for_session", _page)  # noqa: B010 - likewise the function
