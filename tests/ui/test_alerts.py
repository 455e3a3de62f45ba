"""Alerts in the browser: set, told in the page and to a webhook, and seen."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.ui.acts import answers, ask, box, open_new, settled, until
from tests.ui.conftest import Server
from tests.ui.model import NAME, Model
from tests.ui.test_axe import axe, violations
from tests.ui.test_budgets import PRICED

pytestmark = pytest.mark.browser

__all__ = ["axe"]

SECRET = "T0secret"


class Hook(HTTPServer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.told: list[dict[str, str]] = []
        threading.Thread(target=self.serve_forever).start()


class _Answer(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        self.server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204 if SECRET in self.path else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return None


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.shutdown()
    hook.server_close()


def alerts(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Alerts")


def priced(server: Server, model: Model) -> Server:
    (server.folder / "endpoints.toml").write_text(PRICED.format(url=model.environ["OPENAI_BASE_URL"]), "utf-8")
    server.environ |= {
        "PANELIST_ENDPOINTS": str(server.folder / "endpoints.toml"),
        "PANELIST_MODEL": NAME,
        "PANELIST_TITLES": "off",
    }
    server.start()
    model.write()
    return server


def test_an_alert_is_set_told_and_dismissed(page: Page, own_server: Server, model: Model, hook: Hook) -> None:
    priced(own_server, model)
    open_new(page, own_server)
    page.get_by_role("button", name="Usage", exact=True).click()
    page.get_by_role("dialog", name="Usage").get_by_role("button", name="Alerts…").click()
    expect(page.get_by_role("dialog", name="Usage")).to_have_count(0)
    dialog = alerts(page)
    expect(dialog.get_by_text("None so far.")).to_be_visible()
    dialog.get_by_label("Amount").fill("nothing")
    dialog.get_by_role("button", name="Set", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("An alert is at a number of dollars")
    dialog.get_by_label("Amount").fill("0.000001")
    dialog.get_by_label("Amount").press("Enter")
    mine = "Spent in an hour: more than $0.000001"
    expect(dialog.get_by_role("switch", name=mine)).to_be_checked()

    dialog.get_by_label("Webhook address").fill(f"http://127.0.0.1:{hook.server_port}/wrong")
    dialog.get_by_role("button", name="Test the webhook").click()
    expect(dialog.get_by_role("alert")).to_contain_text("answered 404. Check the address.")
    dialog.get_by_label("Webhook address").fill(f"http://127.0.0.1:{hook.server_port}/{SECRET}")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text(f"It goes to 127.0.0.1:{hook.server_port}.")).to_be_visible()
    dialog.get_by_role("button", name="Test the webhook").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The webhook took the test.")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(box(page)).to_be_focused()

    ask(page, "What does it cost?")
    settled(answers(page))
    sentence = "was spent in an hour: more than $0.000001."
    expect(page.get_by_text(f"{sentence}")).to_be_visible()
    until(lambda: [told["event"] for told in hook.told] == ["test", "test", "alert"], "the webhook is told")
    assert sentence in hook.told[-1]["text"]
    ask(page, "/alerts")
    dismiss = dialog.get_by_role("button", name="Dismiss: ")
    expect(dialog.get_by_text("still so · webhook told")).to_be_visible()
    dismiss.click()
    expect(dismiss).to_have_count(0)
    dialog.get_by_role("switch", name=mine).click()
    expect(dialog.get_by_text("over since")).to_be_visible()
    assert SECRET not in own_server.log
    assert SECRET not in page.content()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_axe_finds_nothing(
    context: BrowserContext, own_server: Server, model: Model, axe: Path, width: int, scheme: str
) -> None:
    page = context.new_page()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 900})
    priced(own_server, model)
    open_new(page, own_server)
    ask(page, "What does it cost?")
    settled(answers(page))
    ask(page, "/alerts")
    alerts(page).get_by_label("Amount").fill("0.000001")
    alerts(page).get_by_label("Amount").press("Enter")
    expect(alerts(page).get_by_text("still so")).to_be_visible()
    alerts(page).get_by_role("switch").nth(1).focus()
    page.keyboard.press("Space")
    expect(alerts(page).get_by_role("switch").nth(1)).to_be_checked()
    assert violations(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = alerts(page).evaluate(
        "dialog => [...dialog.querySelectorAll('*')].filter(one => one.scrollWidth > one.clientWidth + 1 && "
        "getComputedStyle(one).overflowX === 'auto').length"
    )
    assert outside == 0, "nothing has to be scrolled sideways"
