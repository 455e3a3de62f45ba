"""Options in a real browser: set, refused, sent, and shown with the answer."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.ui.acts import answers, ask, open_new, settled
from tests.ui.conftest import Server

pytestmark = pytest.mark.browser


def test_options_are_set_sent_and_shown(page: Page, server: Server) -> None:
    open_new(page, server)
    page.get_by_role("button", name="Options").click()
    dialog = page.get_by_role("dialog", name="Options")
    most = dialog.get_by_role("textbox", name="Max output tokens")
    most.fill("many")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("Max output tokens is a whole number from 1 to 10,000,000.")).to_be_visible()
    most.fill("20")
    dialog.get_by_role("textbox", name="System prompt").fill("Be brief.\nBe kind.")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    told = "Options: System prompt “Be brief. Be kind.”, Max output tokens 20"
    expect(page.get_by_role("button", name=told)).to_be_visible()
    ask(page, "Show me every kind of Markdown")
    settled(answers(page), "truncated")
    expect(answers(page)).to_contain_text("Max output tokens 20")
    answers(page).get_by_role("button", name="Answer with…").click()
    page.get_by_role("menuitem", name="Other options…").click()
    expect(dialog.get_by_text("For one more answer")).to_be_visible()
    most.fill("")
    dialog.get_by_role("button", name="Answer with these").click()
    settled(answers(page))
    expect(answers(page).get_by_text("2 / 2")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name=told)).to_be_visible()
