"""Budgets in a real browser: set, in the way of an answer, and passed by who wants to."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.ui.acts import answers, ask, open_new, settled
from tests.ui.conftest import Server
from tests.ui.model import NAME, Model

pytestmark = pytest.mark.browser

PRICED = """
[[endpoint]]
name = "dear"
base_url = "{url}"
price = {{ input = 1, output = 10 }}
"""


def test_a_budget_stops_an_answer_and_is_passed(page: Page, own_server: Server, model: Model) -> None:
    (own_server.folder / "endpoints.toml").write_text(PRICED.format(url=model.environ["OPENAI_BASE_URL"]), "utf-8")
    own_server.environ |= {
        "PANELIST_ENDPOINTS": str(own_server.folder / "endpoints.toml"),
        "PANELIST_MODEL": NAME,
        "PANELIST_TITLES": "off",
    }
    own_server.start()
    model.write()
    open_new(page, own_server)
    box = page.get_by_role("textbox", name="Message")
    box.fill("/budget")
    box.press("Enter")
    dialog = page.get_by_role("dialog", name="Budgets")
    expect(dialog.get_by_text("No budget is set")).to_be_visible()
    dialog.get_by_label("Dollars").fill("nothing")
    dialog.get_by_role("button", name="Set", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("A budget is an amount in dollars")
    dialog.get_by_label("Dollars").fill("0.05")
    dialog.get_by_label("Dollars").press("Enter")
    expect(dialog.get_by_role("meter", name="Today")).to_have_attribute("aria-valuetext", "$0.00 of $0.05")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    asked = len(model.asked)
    ask(page, "What does it cost?")
    settled(answers(page), "failed")
    expect(answers(page).get_by_role("alert")).to_contain_text("could cost up to $0.16")
    assert len(model.asked) == asked, "nothing was sent"
    answers(page).get_by_role("button", name="Answer anyway").click()
    settled(answers(page))
    assert model.asked[asked:] == ["What does it cost?"]
