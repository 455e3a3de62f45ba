"""Keeps what changes between the moment a page's socket has opened and the moment its scripts say that they are ready.

Panel drops every change of a property in that time, because "the document is serialized in full once the session
connects" (https://github.com/holoviz/panel/pull/8698). It was serialized already, when the socket opened; our page
takes a message before its scripts are ready, and answers and other tabs go on meanwhile.
"""

from __future__ import annotations

import threading
from functools import partial

from bokeh.document import Document
from bokeh.document.events import DocumentChangedEvent, DocumentPatchedEvent
from panel.io import document

_drain = document._drain_unconnected_events


def _drain_early(doc: Document, lock: threading.Lock) -> list[DocumentChangedEvent]:
    session = getattr(doc.session_context, "session", None)
    if session is None or not session._subscribed_connections:
        return _drain(doc, lock)
    with lock:
        events = list(doc.callbacks._held_events or [])
        doc.callbacks._held_events = []
        doc.callbacks._hold = None
    if session._pending_writes is not None:  # the document is locked, as it is in nearly every case
        return events
    patches: list[DocumentChangedEvent] = [event for event in events if isinstance(event, DocumentPatchedEvent)]
    doc.add_next_tick_callback(partial(document.retrigger_events, doc, patches))
    return [event for event in events if not isinstance(event, DocumentPatchedEvent)]


def install() -> None:
    """Have Panel use it from now on."""
    setattr(document, "_drain_unconnected_events", _drain_early)  # noqa: B010 - Panel looks it up under this name
