"""Files between the page and this server, past the socket: what is attached, exported, imported; to the owner alone."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from datetime import date
from typing import cast
from urllib.parse import quote, urlencode

import panel as pn
from bokeh.server.tornado import BokehTornado
from bokeh.server.util import check_allowlist
from bokeh.settings import settings
from tornado.http1connection import HTTP1Connection
from tornado.iostream import StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler, stream_request_body

from components import session
from services.attachments import IMAGE_TYPES, clean_name
from services.chat import ChatService
from services.conversation import is_temporary
from services.errors import InputError, NotFoundError, PanelistError
from services.exchange import Export
from services.exporting import SUFFIXES, Kind
from services.importing import MAX_FILE
from services.messages import AttachmentPart
from services.runtime import Runtime, opened_runtime
from services.sharing import Choice
from services.sheets import MEDIA_TYPES, SheetKind
from services.snippets import LANGUAGES, Language, snippet
from services.statistics import Selection
from services.temporary import Temporary

log = logging.getLogger(__name__)

FOLDER = "attachments"
EXPORTS = "exports"
IMPORTS = "imports"
SHARES = "shares"
USAGE = "usage"
REQUESTS = "requests"
METRICS = "metrics"

Opening = Callable[[], Awaitable[Runtime]]
"""Opens the runtime for whoever needs it first."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
_SITES = frozenset({"same-origin", "none"})
"""Where a request may come from, as the browser says: a page of ours, or the person."""


def address_of(attachment: AttachmentPart) -> str:
    """Return where the page gets an attachment, relative to itself."""
    return f"{FOLDER}/{attachment.sha256}?{urlencode({'name': attachment.name})}"


def address_of_export(kind: Kind, *conversation_ids: str) -> str:
    """Return where the page gets conversations, or if none are named all of them, as a file."""
    return f"{EXPORTS}/{kind}" + (f"?{urlencode([('c', id) for id in conversation_ids])}" if conversation_ids else "")


def address_of_request(language: Language, conversation_id: str, message_id: str, run_id: str) -> str:
    """Return where the page gets what a run asked, whole, as a file."""
    return f"{REQUESTS}/{language}?{urlencode({'c': conversation_id, 'm': message_id, 'r': run_id})}"


def address_of_usage(kind: SheetKind, selection: Selection) -> str:
    """Return where the page gets the table of the requests of a selection as a file."""
    asked = {name: value for name, value in asdict(selection).items() if value is not None}
    return f"{USAGE}/{kind}" + (f"?{urlencode(asked)}" if asked else "")


class OwnHandler(RequestHandler):
    """Answers pages of this server on this machine, and nobody else."""

    def initialize(self, runtime: Callable[[], Runtime | None]) -> None:
        self._runtime = runtime

    def set_default_headers(self) -> None:
        """Allow nothing that a file could do, whatever is in it."""
        for name, value in _HEADERS.items():
            self.set_header(name, value)

    def compute_etag(self) -> str | None:
        """Files are too large for the stock one."""
        return None

    def chat(self) -> ChatService:
        """Return the door, for a page of this server, on this machine, under a name that pages are given out for."""
        self.check()
        runtime = self._runtime()
        if runtime is None:
            raise HTTPError(403)
        return runtime.chat

    def check(self) -> None:
        """Refuse all but these."""
        if self.request.headers.get("Sec-Fetch-Site", "same-origin") not in _SITES:
            raise HTTPError(403)
        allowed: list[str] = settings.allowed_ws_origin() or list(getattr(self.application, "websocket_origins", []))
        forwarded = any(name in self.request.headers for name in session.FORWARDING)
        if not session.is_local(self.request.remote_ip or "") or forwarded:
            raise HTTPError(403)
        if not check_allowlist(self.request.host.lower(), allowed):
            raise HTTPError(403)

    async def refuse(self, error: PanelistError) -> None:
        """Answer with a sentence, which the page shows."""
        self.set_status(404 if isinstance(error, NotFoundError) else 400 if isinstance(error, InputError) else 500)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        await self.finish(str(error))

    async def give(self, export: Export) -> None:
        """Answer with a file, piece by piece."""
        self.name_it(export.name)
        self.set_header("Content-Type", export.media_type)
        self.set_header("Cache-Control", "no-store")
        try:
            async for piece in export.pieces:
                self.write(piece)
                await self.flush()
        except PanelistError as error:
            log.error("an export broke off: %s", error)
            self.wire.stream.close()  # the browser sees that this is not all of it
        except StreamClosedError:
            log.info("an export was not wanted any more")

    @property
    def runtime(self) -> Runtime:
        """What there is, once `chat` has looked who asks."""
        runtime = self._runtime()
        assert runtime is not None
        return runtime

    @property
    def temporary(self) -> Temporary:
        """The temporary chats, likewise."""
        return self.runtime.temporary

    @property
    def wire(self) -> HTTP1Connection:
        """What the request came by."""
        return cast(HTTP1Connection, self.request.connection)

    def name_it(self, name: str, *, keep: bool = True) -> None:
        """Say what the file is called, and whether it is to be kept or to be looked at."""
        disposition = "attachment" if keep else "inline"
        self.set_header("Content-Disposition", f"{disposition}; filename*=UTF-8''{quote(name, safe='')}")


class AttachmentHandler(OwnHandler):
    """`GET attachments/<hash>?name=<shown name>`, with `&download` not to look at but to keep."""

    async def get(self, sha256: str) -> None:
        chat = self.chat()
        try:
            temporary = await self.temporary.attachment(session.owner(), sha256)
            media_type, data = temporary or await chat.attachment(session.owner(), sha256)
        except NotFoundError as error:
            raise HTTPError(404) from error
        except PanelistError as error:
            raise HTTPError(500) from error
        image = media_type in IMAGE_TYPES
        self.name_it(
            clean_name(self.get_query_argument("name", "file")),
            keep=not image or "download" in self.request.query_arguments,
        )
        self.set_header("Content-Type", media_type if image else "text/plain; charset=utf-8")
        # What is temporary is in no browser's cache either, which is on a disk.
        self.set_header("Cache-Control", "no-store" if temporary else "private, max-age=31536000, immutable")
        self.set_header("Etag", f'"{sha256}"')
        await self.finish(data)


class ExportHandler(OwnHandler):
    """`GET exports/<kind>?c=<conversation>`, without which it is all of them."""

    async def get(self, kind: str) -> None:
        chat = self.chat()
        ids = self.get_query_arguments("c") or None
        try:
            if ids and is_temporary(ids[0]):
                chat = await self.temporary.holding(session.owner(), ids[0])
            export = await chat.catalogue.export(session.owner(), ids, cast(Kind, kind))
        except PanelistError as error:
            await self.refuse(error)
            return
        await self.give(export)


class AskedHandler(OwnHandler):
    """`GET requests/<language>?c=<conversation>&m=<message>&r=<run>`: what a run asked, with all files in it."""

    async def get(self, language: str) -> None:
        chat, owner = self.chat(), session.owner()
        conversation_id, message_id, run_id = (self.get_query_argument(name, "") for name in "cmr")
        kind = cast(Language, language)
        try:
            if is_temporary(conversation_id):
                chat = await self.temporary.holding(owner, conversation_id)
            rebuilt = await chat.details.request(owner, conversation_id, message_id, run_id)
        except PanelistError as error:
            await self.refuse(error)
            return
        self.name_it(f"request{LANGUAGES[kind]}")
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        await self.finish(await asyncio.to_thread(lambda: snippet(rebuilt.asked, kind).encode()))


class UsageHandler(OwnHandler):
    """`GET usage/<kind>?first=&last=&endpoint=&model=`: the table of measured requests, or those of a selection."""

    async def get(self, kind: str) -> None:
        self.chat()
        try:
            export = await self.runtime.measuring.export(session.owner(), cast(SheetKind, kind), self._selection())
        except PanelistError as error:
            await self.refuse(error)
            return
        await self.give(export)

    def _selection(self) -> Selection:
        said = {name: self.get_query_argument(name, None) for name in ("first", "last", "endpoint", "model")}
        try:
            first, last = (date.fromisoformat(day) if (day := said[end]) else None for end in ("first", "last"))
        except ValueError as error:
            raise InputError("A day of that address is none. Write it as 2026-01-31.") from error
        return Selection(first=first, last=last, endpoint=said["endpoint"], model=said["model"])


class MetricsHandler(OwnHandler):
    """`GET metrics`: what Prometheus reads, where that is switched on; it need not wait for the first page."""

    def initialize(self, runtime: Callable[[], Runtime | None], opening: Opening | None = None) -> None:
        super().initialize(runtime)
        self._opening = opening

    async def get(self) -> None:
        self.check()
        try:
            runtime = self._runtime() or (await self._opening() if self._opening is not None else None)
            if runtime is None:
                raise HTTPError(404)
            text, form = await runtime.read_metrics(self._pages(), self.request.headers.get("Accept", ""))
        except PanelistError as error:
            await self.refuse(error)
            return
        self.set_header("Content-Type", form)
        self.set_header("Cache-Control", "no-store")
        await self.finish(text)

    def _pages(self) -> int:
        server = self.application
        if not isinstance(server, BokehTornado):
            return 0
        sessions = (session for path in server.app_paths for session in server.get_sessions(path))
        return sum(session.connection_count > 0 for session in sessions)


class ShareHandler(OwnHandler):
    """`POST shares` with the choice as JSON: answers with the page."""

    async def post(self) -> None:
        chat = self.chat()
        try:
            conversation_id, choice = _choice_of(self.request.body)
            if is_temporary(conversation_id):
                chat = await self.temporary.holding(session.owner(), conversation_id)
            export = await chat.catalogue.share(session.owner(), conversation_id, choice)
        except PanelistError as error:
            await self.refuse(error)
            return
        self.name_it(export.name)
        self.set_header("Content-Type", export.media_type)
        self.set_header("Cache-Control", "no-store")
        async for piece in export.pieces:
            self.write(piece)


def _choice_of(body: bytes) -> tuple[str, Choice]:
    try:
        said: object = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    match said:
        case {
            "conversation": str(conversation_id),
            "title": str(title),
            "messages": list(messages),
            "gaps": bool(gaps),
            "reasoning": bool(reasoning),
            "attachments": bool(attachments),
        }:
            ids = frozenset(id for id in messages if isinstance(id, str))
            more = {"gaps": gaps, "reasoning": reasoning, "attachments": attachments}
            return conversation_id, Choice(title=title, messages=ids, **more)
    raise InputError("The page asked for something that cannot be shared. Reload the page.")


@stream_request_body
class ImportHandler(OwnHandler):
    """`POST imports` with a file as its body: keeps it for a preview, and answers with a word for it."""

    def prepare(self) -> None:
        """Begin to take the file, of which more than a piece is never in memory."""
        chat = self.chat()
        self.wire.set_max_body_size(MAX_FILE)
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._keeping = asyncio.create_task(chat.catalogue.receive_import(session.owner(), self._incoming()))

    async def data_received(self, chunk: bytes) -> None:
        """Pass a piece on, unless the one who takes them has given up."""
        putting = asyncio.ensure_future(self._pieces.put(chunk))
        await asyncio.wait({putting, self._keeping}, return_when=asyncio.FIRST_COMPLETED)
        putting.cancel()

    async def post(self) -> None:
        await self.data_received(b"")
        try:
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            await self.finish(await self._keeping)
        except PanelistError as error:
            await self.refuse(error)

    def on_connection_close(self) -> None:
        """Forget a file that does not come to its end."""
        self._keeping.cancel()

    async def _incoming(self) -> AsyncIterator[bytes]:
        while piece := await self._pieces.get():
            yield piece


def serve_here() -> None:
    """Let the server of the current session give out files.

    `panel serve` takes no handlers of an app's own; a session's open socket is the way to the server that has it, for
    one whose page this server has not given out.
    """
    context = pn.state.curdoc.session_context if pn.state.curdoc else None
    for connection in getattr(getattr(context, "session", None), "_subscribed_connections", ()):
        serve_on(connection._socket.application)


def serve_from_start(opening: Opening) -> None:
    """Let servers that start from now on give out files before their first page, with what opens the runtime."""
    start = BokehTornado.start

    def started(self: BokehTornado) -> None:
        serve_on(self, opening=opening)
        start(self)

    setattr(BokehTornado, "start", started)  # noqa: B010 - Panel makes the server when all is warm


def serve_on(
    application: Application,
    runtime: Callable[[], Runtime | None] = opened_runtime,
    *,
    opening: Opening | None = None,
) -> None:
    """Let a server give out and take files; once more does nothing."""
    if not application.settings.get("panelist_files"):
        application.settings["panelist_files"] = True
        here = getattr(application, "prefix", "")
        places: list[tuple[str, type[OwnHandler]]] = [
            (rf"{here}/{FOLDER}/([0-9a-f]{{64}})", AttachmentHandler),
            (rf"{here}/{EXPORTS}/({'|'.join(SUFFIXES)})", ExportHandler),
            (rf"{here}/{IMPORTS}", ImportHandler),
            (rf"{here}/{SHARES}", ShareHandler),
            (rf"{here}/{USAGE}/({'|'.join(MEDIA_TYPES)})", UsageHandler),
            (rf"{here}/{REQUESTS}/({'|'.join(LANGUAGES)})", AskedHandler),
        ]
        application.add_handlers(
            r".*",
            [
                *((place, handler, {"runtime": runtime}) for place, handler in places),
                (rf"{here}/{METRICS}", MetricsHandler, {"runtime": runtime, "opening": opening}),
            ],
        )
