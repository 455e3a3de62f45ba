"""Nothing that others write becomes more than what may be in a page, whole or while it is being written."""

from __future__ import annotations

import html

import pytest

from components.chat.streaming import StreamingMarkdown
from components.deltas import Delta
from services.render import MarkdownStream, escape, render_markdown
from tests.injections import CANARY, INJECTIONS, batches, injections
from tests.render.audit import Audit, audit

TEXTS = injections("127.0.0.1:9")


def test_there_are_many_and_no_two_are_one() -> None:
    assert len(set(INJECTIONS)) == len(INJECTIONS) > 400


@pytest.mark.parametrize("together", [1, 40])
def test_a_whole_text(together: int) -> None:
    for text in batches(TEXTS, together):
        page = audit(render_markdown(text))
        assert not [attrs for _, attrs in page.elements if CANARY in (attrs.get("id"), attrs.get("name"))]


@pytest.mark.parametrize("size", [1, 3, 7])
def test_every_paint_of_a_text_that_is_being_written(size: int) -> None:
    for text in TEXTS:
        writer = MarkdownStream()
        for start in range(0, len(text), size):
            writer.feed(text[start : start + size])
            paint = writer.paint()
            audit(paint.frozen)
            audit(paint.tail)
        last = writer.finish()
        audit(last.frozen)
        assert last.html == render_markdown(text)


def test_what_the_page_puts_together_from_changes_of_the_tail() -> None:
    """The page cuts its tail's HTML at any character and adds to it, so that is what has to be safe."""
    for text in batches(TEXTS, 40):
        reply, tail = StreamingMarkdown("m"), ""
        for start in range(0, len(text), 9):
            *_, (_, _, kept, new, *more) = reply.paint(Delta("m", "", text[start : start + 9]))
            blocks, held = more[:2] if more else ("", 0)
            before = tail.encode("utf-16-le")
            audit(before[: 2 * held].decode("utf-16-le") + blocks)
            tail = before[: 2 * kept].decode("utf-16-le") + new
            audit(tail)


def test_escaped_text_is_text_in_an_element_and_in_an_attribute() -> None:
    for text in TEXTS:
        page = Audit(f'<p title="{escape(text)}">{escape(text)}</p>')
        [(tag, attrs)] = page.elements
        assert (tag, list(attrs)) == ("p", ["title"])
        assert page.text == attrs["title"] == html.unescape(escape(text))
