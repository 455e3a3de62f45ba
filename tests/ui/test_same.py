"""What was written before one's eyes is, node for node, what a fresh page shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from components.chat.streaming import StreamingMarkdown
from components.chat.views import message_view
from components.deltas import Delta
from services.messages import Message, MessageStatus, TextPart, clean_text, new_id
from tests.corpus import ANSWERS, DOCUMENTS, commonmark
from tests.ui.acts import answers, ask, live, open_new, settled
from tests.ui.conftest import Server
from tests.ui.test_answers import Writer, writer, writing  # noqa: F401 - two are fixtures

pytestmark = pytest.mark.browser

SIZES = (3, 7, 64, 1_000_000)
"""Of the pieces that answers come in."""

NODES = """body => {
    const told = []
    const own = ["data-drawn", "data-streamed"] // what the page still has to do, or did: draw, fold once out of view
    const look = (node, depth) => {
        for (const child of node.childNodes) {
            if (child.nodeType !== Node.ELEMENT_NODE) {
                told.push([depth, child.nodeName, child.data])
            } else if (!child.hasAttribute("data-added")) { // pictures of diagrams, which the page draws
                const attributes = [...child.attributes].map(({name, value}) => [name, value])
                const kept = attributes.filter(([name]) => !own.includes(name)).sort()
                told.push([depth, child.namespaceURI, child.localName, ...kept])
                look(child, depth + 1)
            }
        }
    }
    look(body, 0)
    return told
}"""

PLAY = """([messages, pairs]) => {
    const model = [...Bokeh.documents.at(-1)._all_models.values()].find(({class_name}) => class_name === "Transcript")
    const say = (data) => model._process_event({event_name: "esm_event", origin: model, data})
    Object.defineProperty(document, "hidden", {value: true, configurable: true}) // then it paints at once
    for (const message of messages) { say(message) }
    delete document.hidden
    const bodies = {}
    const look = (root) => {
        for (const node of root.querySelectorAll("[data-message-id]")) {
            bodies[node.dataset.messageId] = node.querySelector(":scope > .body")
        }
        for (const node of root.querySelectorAll("*")) { if (node.shadowRoot) { look(node.shadowRoot) } }
    }
    look(document)
    return pairs.map(([written, fresh]) => {
        const [was, now] = [written, fresh].map((id) => (NODES)(bodies[id]).map((node) => JSON.stringify(node)))
        const at = now.findIndex((node, at) => node !== was[at])
        return {count: now.length, different: at < 0 && was.length === now.length ? null : [was[at], now[at]]}
    })
}""".replace("NODES", NODES)


def nodes(answer: Locator) -> list[Any]:
    """Return every node of an answer, in order: its depth, its name with all attributes, or its text."""
    found: list[Any] = answer.locator(".body").evaluate(NODES)
    return found


def test_a_streamed_answer_is_a_fresh_one(page: Page, writing: Server, writer: Writer) -> None:  # noqa: F811
    open_new(page, writing)
    for number, text in enumerate(ANSWERS):
        writer.text, writer.piece = text, SIZES[number % len(SIZES)]
        ask(page, f"Document {number}")
        settled(answers(page).nth(number))
    streamed = [nodes(answer) for answer in answers(page).all()]
    page.reload()
    live(page)
    settled(answers(page).last)
    expect(answers(page)).to_have_count(len(ANSWERS))
    for text, was, answer in zip(ANSWERS, streamed, answers(page).all(), strict=True):
        assert was
        assert was == nodes(answer), text


def message(text: str, status: MessageStatus) -> Message:
    parts = (TextPart(text),) if text else ()
    new = {"conversation_id": "c", "parent_id": None, "created_at": datetime.now(UTC)}
    return Message(id=new_id(), role="assistant", parts=parts, status=status, **new)


def played(texts: list[str], size: int) -> tuple[list[Any], list[list[str]]]:
    """Return what the server says when texts are written in pieces, and the ids of these answers and of fresh ones."""
    written = [message("", "streaming") for _ in texts]
    fresh = [message(text, "complete") for text in texts]
    told = {"conversation": None, "order": [one.id for one in (*written, *fresh)], "more": False, "empty": None}
    empty = [{**message_view(one, None, painted=True), "html": ""} for one in written]
    said: list[Any] = [{"type": "show", "set": [*empty, *(message_view(one, None) for one in fresh)], **told}]
    for text, one, done in zip(texts, written, fresh, strict=True):
        reply = StreamingMarkdown(one.id)
        paints = [
            step for at in range(0, len(text), size) for step in reply.paint(Delta(one.id, "", text[at : at + size]))
        ]
        paints += reply.finish()
        view = message_view(replace(done, id=one.id), None, painted=reply.shows(text))
        said += [step for step in paints if step]
        said += [{"type": "settle", "id": one.id}, {"type": "patch", "set": [view], **told}]
    return said, [[one.id, other.id] for one, other in zip(written, fresh, strict=True)]


@pytest.mark.parametrize("size", SIZES)
def test_it_is_however_it_is_cut(page: Page, writing: Server, size: int) -> None:  # noqa: F811
    """Each piece is painted on its own, by the page's own script."""
    open_new(page, writing)
    texts = [clean_text(text) for text in DOCUMENTS if len(text) < 1_000 * size]
    texts += ["\n".join(section) for section in commonmark().values()]
    found = page.evaluate(PLAY, played(texts, size))
    assert [(text, nodes["different"]) for text, nodes in zip(texts, found, strict=True) if nodes["different"]] == []
    assert all(nodes["count"] for nodes in found)
    assert len(found) > 70
