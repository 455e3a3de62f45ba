"""The short way writes what the long one would."""

from __future__ import annotations

import json
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from bokeh.document import Document
from bokeh.document.events import MessageSentEvent
from bokeh.model import Model
from bokeh.models import Div
from bokeh.protocol import Protocol
from bokeh.server.views.ws import WSHandler
from panel.models.esm import ESMEvent
from tornado.iostream import StreamClosedError

from components import wire

DATA = ["live", "01M7Z0AHD9Z0CFEBGQX79QMKAQ", 3, "<p>An “emoji” 🥊 & <b>\u2028</p>", "<hr>", 12]


class Component:
    def __init__(self, model: Model) -> None:
        self._models = {"ref": (model, None)}
        self.long: list[list[Any]] = []

    def _send_msg(self, data: list[Any]) -> None:
        self.long.append(data)


class Line:
    """A page's line, which remembers what is written to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = self.gone = False
        self.stream = self
        self._compressor: object = None

    def is_closing(self) -> bool:
        return self.closed

    def write(self, message: bytes) -> Future[None]:
        if self.gone:
            raise StreamClosedError
        self.written.append(message)
        return Future()


def texts_in(message: bytes) -> list[str]:
    """Return what a browser reads of frames (https://www.rfc-editor.org/rfc/rfc6455#section-5.2)."""
    texts = []
    while message:
        assert message[0] == 0x81, "a whole message of text"
        long = {126: 2, 127: 8}.get(message[1], 0)
        size = int.from_bytes(message[2 : 2 + long]) if long else message[1]
        texts.append(message[2 + long : 2 + long + size].decode())
        message = message[2 + long + size :]
    return texts


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> tuple[Component, Line, Document]:
    """Return a component on a page, and the line to that page."""
    line = Line()
    model, doc = Div(), Document()
    doc.add_root(model)
    socket = SimpleNamespace(write_lock=SimpleNamespace(_block=SimpleNamespace(_value=1)), ws_connection=line)
    session = SimpleNamespace(_subscribed_connections=[SimpleNamespace(_socket=socket)])
    monkeypatch.setattr(Document, "session_context", SimpleNamespace(session=session))
    unblocked = SimpleNamespace(_views={"ref": (None, None, doc, None)}, _unblocked=lambda _: True)
    monkeypatch.setattr(wire, "state", unblocked)
    return Component(model), line, doc


@pytest.mark.parametrize("size", [0, 300, 70_000])
def test_it_is_what_bokeh_would_write(told: tuple[Component, Line, Document], size: int) -> None:
    component, line, _ = told
    data = [*DATA, "a" * size]
    wire.say(component, data)  # type: ignore[arg-type]
    [message] = line.written
    header, metadata, content = texts_in(message)
    model = component._models["ref"][0]
    model.document.models.flush_synced()  # the page knows it, as any page does
    event = MessageSentEvent(model.document, "bokeh_event", ESMEvent(model=model, data=data))  # type: ignore[arg-type]
    bokehs = Protocol().create("PATCH-DOC", [event])
    assert json.loads(content) == json.loads(bokehs.content_json)
    assert json.loads(metadata) == json.loads(bokehs.metadata_json)
    ours, theirs = json.loads(header), json.loads(bokehs.header_json)
    assert {**ours, "msgid": ""} == {**theirs, "msgid": ""}
    assert component.long == []


def test_what_would_overtake_or_has_a_map_goes_the_long_way(
    told: tuple[Component, Line, Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    component, line, doc = told
    with_map = [*DATA, {"r": "thinking"}]
    wire.say(component, with_map)  # type: ignore[arg-type]
    monkeypatch.setitem(wire.document._WRITE_BLOCK, doc, True)
    wire.say(component, DATA)  # type: ignore[arg-type]
    monkeypatch.delitem(wire.document._WRITE_BLOCK, doc)
    doc.hold()
    wire.say(component, DATA)  # type: ignore[arg-type]
    doc.unhold()
    monkeypatch.setattr(wire.state, "_unblocked", lambda _: False)
    wire.say(component, DATA)  # type: ignore[arg-type]
    monkeypatch.setattr(wire.state, "_unblocked", lambda _: True)
    line._compressor = object()
    wire.say(component, DATA)  # type: ignore[arg-type]
    assert (component.long, line.written) == ([with_map, DATA, DATA, DATA, DATA], [])


def test_a_page_that_has_just_gone_is_no_failure(told: tuple[Component, Line, Document]) -> None:
    component, line, _ = told
    line.gone = True
    wire.say(component, DATA)  # type: ignore[arg-type]
    line.gone, line.closed = False, True
    wire.say(component, DATA)  # type: ignore[arg-type]
    assert (component.long, line.written) == ([], [])


def test_what_is_written_to_a_page_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    monkeypatch.setattr(wire, "_open", lambda *_: done.append("opened"))
    monkeypatch.setattr(WSHandler, "set_nodelay", lambda _, value: done.append(value))
    monkeypatch.setattr(WSHandler, "open", WSHandler.open)
    wire.install()
    WSHandler.open(object.__new__(WSHandler))
    assert done == [True, "opened"]
