"""The short way for what is said most: the paints of a reply, hundreds a second, and the list, to every tab.

Bokeh looks for models in every value that it sends, and makes a serializer for each; in ours there are none. What is
written here is what it would write (https://docs.bokeh.org/en/latest/docs/dev_guide/server.html: header, metadata and
content, each a frame of RFC 6455), in one piece.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Collection
from typing import Any

from bokeh.document import Document
from bokeh.server.connection import ServerConnection
from bokeh.server.views.ws import WSHandler
from panel.custom import ReactiveESM
from panel.io import document
from panel.io.state import state
from tornado.iostream import StreamClosedError

_open = WSHandler.open
_numbers = itertools.count(1)
_HEAD = '{"events":[{"kind":"MessageSent","msg_type":"bokeh_event","msg_data":{"type":"event","name":"esm_event",'
_TAIL = "]]}}}]}"


def say(component: ReactiveESM, data: list[Any]) -> None:
    """Send what `component._send_msg(data)` would, the short way where that is free. Maps have a form of their own."""
    documents = {ref: state._views[ref][2] for ref in component._models if ref in state._views}
    if isinstance(data[-1], dict) or not documents or not all(map(_is_free, documents.values())):
        component._send_msg(data)
        return
    for ref, doc in documents.items():
        model = component._models[ref][0]
        values = f'"values":{{"type":"map","entries":[["model",{{"id":"{model.id}"}}],["data",{json.dumps(data)}'
        header = f'{{"msgid":"said{next(_numbers)}","msgtype":"PATCH-DOC","num_buffers":0}}'
        message = b"".join(map(_frame, (header, "{}", f"{_HEAD}{values}{_TAIL}")))
        for connection in _connections(doc):
            _write(connection._socket, message)


def _frame(text: str) -> bytes:
    """Return a text as one frame of a server's (https://www.rfc-editor.org/rfc/rfc6455#section-5.2)."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return bytes([0x81, size]) + payload
    return (b"\x81\x7e" + size.to_bytes(2) if size <= 0xFFFF else b"\x81\x7f" + size.to_bytes(8)) + payload


def _write(socket: WSHandler, message: bytes) -> None:
    line = socket.ws_connection
    if line is None or line.is_closing() or line.stream is None:
        return
    # A page that has just gone is told everything when it comes back.
    with contextlib.suppress(StreamClosedError):
        line.stream.write(message).add_done_callback(lambda future: future.cancelled() or future.exception())


def _opened(self: WSHandler, *args: Any, **kwargs: Any) -> None:
    # A message of Bokeh's is three small writes. Together with a browser that acknowledges late, Nagle's algorithm
    # (RFC 896) would hold the second back for up to 40 ms, each time.
    self.set_nodelay(True)
    _open(self, *args, **kwargs)


def install() -> None:
    """Have what is written to pages leave at once from now on."""
    setattr(WSHandler, "open", _opened)  # noqa: B010 - the server has the class already


def _is_free(doc: Document) -> bool:
    """Whether nothing waits to be written that this would overtake, and the page can be written to from here."""
    return (
        state._unblocked(doc)
        and not doc.callbacks.hold_value
        and doc not in document._WRITE_MSGS
        and doc not in document._WRITE_BLOCK
        and all(_writable(connection._socket) for connection in _connections(doc))
    )


def _connections(doc: Document) -> Collection[ServerConnection]:
    session = getattr(doc.session_context, "session", None)
    return session._subscribed_connections if session is not None else ()


def _writable(socket: Any) -> bool:
    line = getattr(socket, "ws_connection", None)
    compressed = getattr(line, "_compressor", None) is not None
    return not compressed and hasattr(socket, "write_lock") and socket.write_lock._block._value != 0
