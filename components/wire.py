"""The short way for what is said most: the paints of a reply, hundreds a second, and the list, to every tab.

Bokeh looks for models in every value that it sends, and makes a serializer for each; in ours there are none. What is
written here is what it would write (https://docs.bokeh.org/en/latest/docs/dev_guide/server.html: header, metadata and
content, each a frame).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

from bokeh.core.serialization import Buffer
from bokeh.document import Document
from bokeh.protocol.message import Message
from bokeh.server.connection import ServerConnection
from bokeh.server.views.ws import WSHandler
from bokeh.util.serialization import make_id
from panel.custom import ReactiveESM
from panel.io import document
from panel.io.state import state
from tornado.websocket import WebSocketClosedError

_open = WSHandler.open
_HEAD = '{"events":[{"kind":"MessageSent","msg_type":"bokeh_event","msg_data":{"type":"event","name":"esm_event",'
_TAIL = "]]}}}]}"


@dataclass(frozen=True, slots=True)
class _Message:
    """What Panel's dispatch reads of a message of Bokeh's."""

    header_json: str
    metadata_json: str
    content_json: str
    _buffers: tuple[Buffer, ...] = ()


def say(component: ReactiveESM, data: list[Any]) -> None:
    """Send what `component._send_msg(data)` would, the short way where that is free. Maps have a form of their own."""
    documents = {ref: state._views[ref][2] for ref in component._models if ref in state._views}
    if isinstance(data[-1], dict) or not documents or not all(map(_is_free, documents.values())):
        component._send_msg(data)
        return
    for ref, doc in documents.items():
        model = component._models[ref][0]
        values = f'"values":{{"type":"map","entries":[["model",{{"id":"{model.id}"}}],["data",{json.dumps(data)}'
        header = f'{{"msgid":"{make_id()}","msgtype":"PATCH-DOC","num_buffers":0}}'
        message = _Message(header, "{}", f"{_HEAD}{values}{_TAIL}")
        for connection in _connections(doc):
            # A page that has just gone is told everything when it comes back.
            with contextlib.suppress(WebSocketClosedError):
                for written in document.dispatch_tornado(connection, msg=cast("Message[Any]", message)):
                    written.add_done_callback(lambda future: future.cancelled() or future.exception())


def _opened(self: WSHandler, *args: Any, **kwargs: Any) -> None:
    # A message is three small writes. Together with a browser that acknowledges late, Nagle's algorithm (RFC 896)
    # would hold the second back for up to 40 ms, each time.
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
    return hasattr(socket, "write_lock") and socket.write_lock._block._value != 0
