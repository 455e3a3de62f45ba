"""Messages that are sent while an answer is being written."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.ui.acts import answers, ask, box, open_new, queue, settled
from tests.ui.conftest import Server

pytestmark = pytest.mark.browser


def writing(page: Page) -> None:
    """Ask for an answer that goes on until it is stopped."""
    ask(page, "/long 3000")
    expect(answers(page).last.locator(".body p").first).to_be_visible()


def test_one_can_write_on_while_an_answer_comes(page: Page, server: Server) -> None:
    open_new(page, server)
    writing(page)
    expect(queue(page)).to_be_hidden()
    for text in ("the second", "the third", "the fourth"):
        ask(page, text)
        expect(queue(page).get_by_role("listitem").last).to_contain_text(text)
        expect(box(page)).to_have_value("")
    expect(queue(page)).to_contain_text("Sent when the answer ends")
    rows = queue(page).get_by_role("listitem")
    rows.nth(2).get_by_role("button", name="Remove queued message").click()
    expect(rows).to_have_count(2)
    expect(box(page)).to_be_focused()
    page.get_by_role("button", name="Undo").click()
    expect(box(page)).to_have_value("the fourth")
    rows.nth(1).get_by_role("button", name="Edit queued message").click()
    expect(rows).to_have_count(1)
    expect(box(page)).to_have_value("the third\n\nthe fourth")  # a draft is never written over
    page.reload()
    expect(rows).to_contain_text(["the second"])
    expect(box(page)).to_have_value("the third\n\nthe fourth")
    rows.get_by_role("button", name="Send now").click()
    expect(queue(page)).to_be_hidden()
    expect(page.get_by_role("article", name="You").nth(1)).to_have_text("the second")
    settled(answers(page).first, "stopped")
    settled(answers(page).nth(1))


def test_stop_holds_what_waits_in_every_tab(context: BrowserContext, page: Page, server: Server) -> None:
    open_new(page, server)
    writing(page)
    other = context.new_page()
    other.goto(page.url)
    expect(box(other)).to_be_visible()
    ask(other, "from the other tab")
    for tab in (page, other):
        expect(queue(tab).get_by_role("listitem")).to_have_text("from the other tab")
    page.get_by_role("button", name="Stop").click()
    for tab in (page, other):
        expect(queue(tab)).to_contain_text("Not sent, because the last answer did not finish")
    queue(page).get_by_role("button", name="Send now").click()
    for tab in (page, other):
        expect(queue(tab)).to_be_hidden()
        expect(tab.get_by_role("article", name="You").last).to_have_text("from the other tab")
        settled(answers(tab).last)


def test_control_enter_stops_and_sends(page: Page, server: Server) -> None:
    open_new(page, server)
    writing(page)
    box(page).fill("rather this")
    box(page).press("Control+Enter")
    expect(page.get_by_role("article", name="You").nth(1)).to_have_text("rather this")
    settled(answers(page).first, "stopped")
    settled(answers(page).nth(1))
    expect(box(page)).to_have_value("")


def test_two_tabs_send_at_once(context: BrowserContext, page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "the beginning")
    settled(answers(page))
    other = context.new_page()
    other.goto(page.url)
    settled(answers(other))
    for tab, text in ((page, "from one"), (other, "from the other")):
        box(tab).fill(text)
    page.keyboard.press("Enter")
    other.keyboard.press("Enter")
    for tab in (page, other):
        expect(tab.get_by_role("article", name="You")).to_have_count(3, timeout=60_000)
        expect(tab.get_by_role("article", name="You")).to_contain_text(["the beginning", "from one", "from the other"])
        expect(answers(tab)).to_have_count(3)
        settled(answers(tab).last)
        expect(tab.get_by_role("button", name="Previous version")).to_have_count(0)
