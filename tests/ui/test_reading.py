"""For everybody: what a screen reader hears, calm, zoom, and axe-core's checks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.ui.acts import answers, ask, box, open_new, settled, until
from tests.ui.conftest import Server

pytestmark = pytest.mark.browser

HEAR = """() => {
    window.heard = []
    const find = (root) => root.querySelector('[aria-label="Announcements"]')
        || [...root.querySelectorAll("*")].map(node => node.shadowRoot && find(node.shadowRoot)).find(Boolean)
    const status = find(document)
    new MutationObserver(() => { window.heard.push([performance.now(), status.textContent]) })
        .observe(status, {childList: true, characterData: true, subtree: true})
}"""


def test_an_answer_is_heard_by_whole_sentences(page: Page, server: Server) -> None:
    open_new(page, server)
    page.wait_for_timeout(1000)  # what comes with a page is not read out
    page.evaluate(HEAR)
    ask(page, "Show me every kind of Markdown")
    settled(answers(page))
    until(lambda: page.evaluate("window.heard.at(-1)?.[1]") == "The answer is complete.", "its end is said")
    heard = page.evaluate("window.heard")
    texts = [text for _, text in heard]
    assert len(texts) == len(set(texts)) > 2
    assert min(later - before for (before, _), (later, _) in pairwise(heard)) > 900
    whole = " ".join(texts)
    assert "Code block, " in whole
    assert "Table, " in whole
    for kind in ("**", "def "):
        assert kind not in whole
    first = answers(page).locator(".body > p").first.text_content() or ""
    assert whole.count(" ".join(first.split())) == 1


def test_every_message_has_a_heading(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "What can you do?")
    settled(answers(page))
    for name in ("You", "Assistant"):
        heading = page.get_by_role("article", name=name).get_by_role("heading", name=name, level=2)
        expect(heading).to_have_count(1)
    expect(page.get_by_role("article", name="You")).to_have_text("What can you do?")


def test_reduced_motion_moves_nothing(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    page.emulate_media(reduced_motion="reduce")
    open_new(page, server)
    ask(page, "/long 300")
    expect(answers(page).locator(".body p").first).to_be_visible()
    page.get_by_role("button", name="Connect a model").first.click()
    page.wait_for_timeout(300)
    moving = page.evaluate(
        """() => document.getAnimations().map(animation => animation.effect.target?.outerHTML.slice(0, 200))"""
    )
    assert moving == []


def fits(part: Locator, width: int) -> None:
    place = part.bounding_box()
    assert place is not None
    assert place["x"] >= 0
    assert place["x"] + place["width"] <= width


@pytest.mark.parametrize("width", [320, 640])
def test_a_narrow_window_needs_no_scrolling_sideways(context: BrowserContext, server: Server, width: int) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": 512})  # 1280 × 1024 at 400 and 200 %
    open_new(page, server)
    ask(page, "Show me every kind of Markdown")
    settled(answers(page))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.get_by_role("log").evaluate("node => node.scrollWidth <= node.clientWidth")
    for part in (box(page), page.get_by_role("button", name="Send"), page.get_by_role("combobox", name="Model")):
        fits(part, width)
    page.get_by_role("button", name="Connect a model").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Use it")).to_be_attached()
    for part in (dialog, dialog.get_by_label("Base URL"), dialog.get_by_role("button", name="Use it")):
        fits(part, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
