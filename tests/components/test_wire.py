"""The short way writes what the long one would."""

from __future__ import annotations

import json
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
from tornado.websocket import WebSocketClosedError

from components import wire

DATA = ["live", "01M7Z0AHD9Z0CFEBGQX79QMKAQ", 3, "<p>An “emoji” 🥊 & <b>\u2028</p>", "<hr>", 12]


class Component:
    def __init__(self, model: Model) -> None:
        self._models = {"ref": (model, None)}
        self.long: list[list[Any]] = []

    def _send_msg(self, data: list[Any]) -> None:
        self.long.append(data)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> tuple[Component, list[Any], Document]:
    """Return a component on a page, and what is written to that page the short way."""
    written: list[Any] = []
    model, doc = Div(), Document()
    doc.add_root(model)
    socket = SimpleNamespace(write_lock=SimpleNamespace(_block=SimpleNamespace(_value=1)))
    session = SimpleNamespace(_subscribed_connections=[SimpleNamespace(_socket=socket)])
    monkeypatch.setattr(Document, "session_context", SimpleNamespace(session=session))
    unblocked = SimpleNamespace(_views={"ref": (None, None, doc, None)}, _unblocked=lambda _: True)
    monkeypatch.setattr(wire, "state", unblocked)
    monkeypatch.setattr(wire.document, "dispatch_tornado", lambda connection, msg: written.append(msg) or [])
    return Component(model), written, doc


def test_it_is_what_bokeh_would_write(told: tuple[Component, list[Any], Document]) -> None:
    component, written, _ = told
    wire.say(component, DATA)  # type: ignore[arg-type]
    [message] = written
    model = component._models["ref"][0]
    model.document.models.flush_synced()  # the page knows it, as any page does
    event = MessageSentEvent(model.document, "bokeh_event", ESMEvent(model=model, data=DATA))  # type: ignore[arg-type]
    bokehs = Protocol().create("PATCH-DOC", [event])
    assert json.loads(message.content_json) == json.loads(bokehs.content_json)
    assert json.loads(message.metadata_json) == json.loads(bokehs.metadata_json)
    ours, theirs = json.loads(message.header_json), json.loads(bokehs.header_json)
    assert {**ours, "msgid": ""} == {**theirs, "msgid": ""}
    assert component.long == []


def test_what_would_overtake_or_has_a_map_goes_the_long_way(
    told: tuple[Component, list[Any], Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    component, written, doc = told
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
    assert (component.long, written) == ([with_map, DATA, DATA, DATA], [])


def test_a_page_that_has_just_gone_is_no_failure(
    told: tuple[Component, list[Any], Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    component, _, _ = told

    def closed(connection: object, msg: object) -> list[object]:
        raise WebSocketClosedError

    monkeypatch.setattr(wire.document, "dispatch_tornado", closed)
    wire.say(component, DATA)  # type: ignore[arg-type]
    assert component.long == []


def test_what_is_written_to_a_page_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    monkeypatch.setattr(wire, "_open", lambda *_: done.append("opened"))
    monkeypatch.setattr(WSHandler, "set_nodelay", lambda _, value: done.append(value))
    monkeypatch.setattr(WSHandler, "open", WSHandler.open)
    wire.install()
    WSHandler.open(object.__new__(WSHandler))
    assert done == [True, "opened"]
