"""Gives attached files to the page that shows them: under an address of this server, to their owner alone."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlencode

import panel as pn
from bokeh.server.util import check_allowlist
from bokeh.settings import settings
from tornado.web import Application, HTTPError, RequestHandler

from components import session
from services.attachments import IMAGE_TYPES, clean_name
from services.errors import NotFoundError, PanelistError
from services.messages import AttachmentPart
from services.runtime import Runtime, opened_runtime

FOLDER = "attachments"

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


def address_of(attachment: AttachmentPart) -> str:
    """Return where the page gets an attachment, relative to itself."""
    return f"{FOLDER}/{attachment.sha256}?{urlencode({'name': attachment.name})}"


class AttachmentHandler(RequestHandler):
    """`GET attachments/<hash>?name=<shown name>`, with `&download` not to look at but to keep."""

    def initialize(self, runtime: Callable[[], Runtime | None]) -> None:
        self._runtime = runtime

    def set_default_headers(self) -> None:
        """Allow nothing that a file could do, whatever is in it."""
        for name, value in _HEADERS.items():
            self.set_header(name, value)

    async def get(self, sha256: str) -> None:
        runtime = self._runtime()
        if runtime is None or not self._is_ours():
            raise HTTPError(403)
        try:
            media_type, data = await runtime.chat.attachment(session.owner(), sha256)
        except NotFoundError as error:
            raise HTTPError(404) from error
        except PanelistError as error:
            raise HTTPError(500) from error
        image = media_type in IMAGE_TYPES
        keep = not image or "download" in self.request.query_arguments
        name = quote(clean_name(self.get_query_argument("name", "file")), safe="")
        self.set_header("Content-Type", media_type if image else "text/plain; charset=utf-8")
        self.set_header("Content-Disposition", f"{'attachment' if keep else 'inline'}; filename*=UTF-8''{name}")
        self.set_header("Cache-Control", "private, max-age=31536000, immutable")
        self.set_header("Etag", f'"{sha256}"')
        await self.finish(data)

    def compute_etag(self) -> str | None:
        """The hash is one already."""
        return None

    def _is_ours(self) -> bool:
        """Whether a page of this server asks, on this machine, under a name that pages are given out for."""
        allowed: list[str] = settings.allowed_ws_origin() or list(getattr(self.application, "websocket_origins", []))
        return (
            session.is_local(self.request.remote_ip or "")
            and not any(name in self.request.headers for name in session.FORWARDING)
            and self.request.headers.get("Sec-Fetch-Site", "same-origin") in {"same-origin", "none"}
            and check_allowlist(self.request.host.lower(), allowed)
        )


def serve_here() -> None:
    """Let the server of the current session give out attachments.

    `panel serve` takes no handlers of an app's own; a session's open socket is the way to the server that has it, for
    one whose page this server has not given out.
    """
    context = pn.state.curdoc.session_context if pn.state.curdoc else None
    for connection in getattr(getattr(context, "session", None), "_subscribed_connections", ()):
        serve_on(connection._socket.application)


def serve_on(application: Application, runtime: Callable[[], Runtime | None] = opened_runtime) -> None:
    """Let a server give out attachments; once more does nothing."""
    if not application.settings.get("panelist_attachments"):
        application.settings["panelist_attachments"] = True
        place = rf"{getattr(application, 'prefix', '')}/{FOLDER}/([0-9a-f]{{64}})"
        application.add_handlers(r".*", [(place, AttachmentHandler, {"runtime": runtime})])
