"""What was deleted comes back, or goes for good."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.ui.acts import answers, ask, open_new, settled
from tests.ui.conftest import Server

pytestmark = pytest.mark.browser


def test_a_deleted_conversation_is_restored_or_erased(page: Page, own_server: Server) -> None:
    own_server.start()
    open_new(page, own_server)
    links = page.get_by_role("navigation", name="Conversations").get_by_role("link")
    for text in ("Where is my data stored?", "How do I connect a model?"):
        page.get_by_role("button", name="New chat", exact=True).click()
        ask(page, text)
        settled(answers(page))
    expect(links).to_have_count(2)
    page.get_by_role("button", name="Trash").click()
    dialog = page.get_by_role("dialog", name="Trash")
    expect(dialog.get_by_text("The trash is empty.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    for left in (1, 0):
        links.first.focus()
        page.keyboard.press("Delete")
        expect(links).to_have_count(left)
    page.get_by_role("button", name="Trash").click()
    rows = dialog.get_by_role("listitem")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("kept for another 30 days")
    rows.first.get_by_role("button", name="Restore").click()
    expect(rows).to_have_count(1)
    erase = rows.get_by_role("button", name="for good")
    place = erase.bounding_box()
    erase.dblclick()
    expect(erase).to_have_text("Click again: for good")
    expect(erase).to_have_accessible_name(re.compile("^Click again: for good. Delete .+; there is no way back$"))
    said = dialog.get_by_role("status").filter(
        has_text=re.compile("^Click again to delete “.+” for good. There is no way")
    )
    expect(said).to_be_attached()
    assert erase.bounding_box() == place, "it does not move away under the second click"
    expect(rows).to_have_count(1)
    page.wait_for_function("from => performance.now() > from + 600", arg=page.evaluate("performance.now()"))
    erase.click()
    expect(dialog.get_by_text("The trash is empty.")).to_be_focused()
    page.keyboard.press("Escape")
    expect(links).to_have_count(1)
