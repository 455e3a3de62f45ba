"""Post-processing in a real browser: what changed, the raw answer again, and the steps in an order of one's own."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.acts import answers, ask, open_new, settled
from tests.ui.conftest import Server

pytestmark = pytest.mark.browser

QUESTION = "How do I connect a model?"


@pytest.fixture
def tidy(own_server: Server) -> Server:
    own_server.environ |= {"PANELIST_POST": "trim,typography", "PANELIST_TITLES": "off"}
    own_server.start()
    return own_server


def steps(dialog: Locator) -> list[str]:
    return dialog.get_by_role("listitem").locator("label").all_inner_texts()


def test_what_changed_is_shown_and_the_raw_answer_is_a_click_away(page: Page, tidy: Server) -> None:
    open_new(page, tidy)
    ask(page, QUESTION)
    settled(answers(page))
    expect(answers(page)).to_contain_text("the server’s list")
    expect(answers(page)).to_contain_text("Changed by typography")
    page.get_by_role("button", name="Show what changed").click()
    dialog = page.get_by_role("dialog", name="What changed")
    expect(dialog.get_by_role("group", name="Before: text").locator("del")).to_have_text("'")
    expect(dialog.get_by_role("group", name="After: text").locator("ins")).to_have_text("’")
    expect(dialog.locator("ins")).to_be_in_viewport()
    expect(dialog.get_by_role("combobox")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    raw = page.get_by_role("button", name="Use the raw answer")
    raw.focus()
    page.keyboard.press("Enter")
    expect(raw).to_have_attribute("aria-pressed", "true")
    expect(raw).to_be_focused()
    expect(answers(page)).to_contain_text("the server's list")
    page.reload()
    expect(answers(page)).to_contain_text("the server's list")
    raw.click()
    expect(raw).to_have_attribute("aria-pressed", "false")
    expect(answers(page)).to_contain_text("the server’s list")


def test_steps_are_switched_and_moved_by_keys_and_by_dragging(page: Page, tidy: Server) -> None:
    open_new(page, tidy)
    page.get_by_role("button", name="Options").click()
    dialog = page.get_by_role("dialog", name="Options")
    group = dialog.get_by_role("group", name="Post-processing")
    same = group.get_by_role("checkbox", name="As everywhere: trim, typography")
    expect(same).to_be_checked()
    assert steps(dialog) == ["Trim white space", "Typography", "Grammar and style"]
    group.get_by_role("button", name="Move Typography up").focus()
    page.keyboard.press("Enter")
    expect(group.get_by_role("status")).to_have_text("Typography is number 1 of 3 now.")
    expect(same).not_to_be_checked()
    expect(group.get_by_role("button", name="Move Typography down")).to_be_focused()
    group.get_by_role("checkbox", name="Trim white space").focus()
    page.keyboard.press("Alt+ArrowDown")
    assert steps(dialog) == ["Typography", "Grammar and style", "Trim white space"]
    expect(group.get_by_role("checkbox", name="Trim white space")).to_be_focused()
    page.keyboard.press("Space")
    rows = group.get_by_role("listitem")
    rows.nth(1).locator(".grip").drag_to(rows.nth(0), target_position={"x": 40, "y": 4})
    expect(group.get_by_role("status")).to_have_text("Grammar and style is number 1 of 3 now.")
    group.get_by_role("checkbox", name="Grammar and style").check()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Options").click()
    expect(group.get_by_role("checkbox", name="Trim white space")).not_to_be_checked()
    assert steps(dialog) == ["Grammar and style", "Typography", "Trim white space"]
    same.check()
    assert steps(dialog) == ["Trim white space", "Typography", "Grammar and style"]
    same.uncheck()
    group.get_by_role("checkbox", name="Typography", exact=True).uncheck()
    dialog.get_by_role("button", name="Save").click()
    ask(page, QUESTION)
    settled(answers(page))
    expect(answers(page)).to_contain_text("the server's list")
    expect(page.get_by_role("button", name="Show what changed")).to_have_count(0)
