"""The details of an answer, as they are looked at and copied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.ui.acts import answers, ask, open_new, settled
from tests.ui.conftest import Server

pytestmark = pytest.mark.browser


def test_an_answer_tells_how_it_was_written(page: Page, server: Server) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_new(page, server)
    ask(page, "What can you do?")
    settled(answers(page))
    answers(page).get_by_role("button", name="Details").click()
    dialog = page.get_by_role("dialog", name="Details of the answer")
    for label in ("Model", "Finish reason", "First token after", "Output tokens", "Price"):
        expect(dialog.get_by_text(label, exact=True)).to_be_visible()
    expect(dialog.get_by_text("panelist-demo", exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Copy the request id").click()
    expect(dialog.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith("req_demo")
    dialog.get_by_role("button", name="Copy the details as JSON").click()
    expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["runs"][0]["asked_model"] == copied["model"] == "panelist-demo"
    dialog.get_by_role("button", name="Show the request").click()
    expect(dialog.get_by_text("This is exactly what was sent.")).to_be_visible()
    sent = json.loads(dialog.locator("pre").inner_text())
    assert sent["messages"] == [{"role": "user", "content": "What can you do?"}]
    dialog.get_by_role("tab", name="JSON").press("ArrowRight")
    expect(dialog.get_by_role("tab", name="Python")).to_be_focused()
    expect(dialog.locator("pre")).to_contain_text("client.chat.completions.create(")
    dialog.get_by_role("button", name="Copy", exact=True).click()
    expect(dialog.get_by_text("Copied").last).to_be_visible()
    page.wait_for_function("navigator.clipboard.readText().then((text) => text.includes('import OpenAI'))")
    assert "What can you do?" in page.evaluate("navigator.clipboard.readText()")
    dialog.get_by_role("tab", name="curl").click()
    with page.expect_download() as download:
        dialog.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "request.sh"
    assert "<<'REQUEST'" in Path(download.value.path()).read_text("utf-8")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    ask(page, "/fail 500")
    settled(answers(page).last, "failed")
    ask(page, "/details")
    expect(dialog.get_by_text("Failed", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+m")
    page.get_by_role("treeitem", name="What can you do?").first.click(modifiers=["Shift"])
    expect(page.get_by_role("dialog").get_by_role("button", name="Details", exact=True)).to_be_disabled()


def test_an_answer_is_asked_for_again_with_a_change_and_compared(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "Where is my data stored?")
    settled(answers(page))
    answers(page).get_by_role("button", name="Details").click()
    page.get_by_role("dialog", name="Details of the answer").get_by_role(
        "button", name="Ask again with a change"
    ).click()
    options = page.get_by_role("dialog", name="Options")
    expect(options.get_by_role("combobox", name="Model")).to_have_value("panelist-demo · demo")
    options.get_by_role("textbox", name="System prompt").fill("Answer in verse.")
    options.get_by_role("textbox", name="Max output tokens").fill("12")
    options.get_by_role("button", name="Ask again").click()
    compared = page.get_by_role("dialog", name="Compare versions")
    differ = compared.get_by_role("list", name="What differed in the request")
    expect(differ.get_by_role("listitem")).to_have_text(
        ["System prompt unset → “Answer in verse.”", "Max output tokens unset → 12"]
    )
    expect(compared.get_by_role("combobox", name="Before")).to_have_value("0")
    page.keyboard.press("Escape")
    expect(answers(page).get_by_text("2 / 2")).to_be_visible()
    settled(answers(page), "truncated")
