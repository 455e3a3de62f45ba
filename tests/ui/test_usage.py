"""Usage in the browser: plots that choose, tables beside them, nothing fetched before it is opened."""

from __future__ import annotations

import asyncio
import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from services.measures import Measured
from services.messages import new_id
from services.settings import LOCAL_OWNER
from services.storage.store import Store
from services.usage import Usage
from tests.ui.acts import answers, ask, box, open_new, settled, until
from tests.ui.conftest import Server
from tests.ui.test_axe import axe, violations

pytestmark = pytest.mark.browser

__all__ = ["axe"]

DAYS = 10
ENDPOINTS = """
[[endpoint]]
name = "dear"
base_url = "http://127.0.0.1:9/v1"
price = { input = 1, output = 10 }

[[endpoint]]
name = "cheap"
base_url = "http://127.0.0.1:9/v1"
price = { input = 0.1, output = 1 }
"""
PLOTS = ("Spent by day", "Tokens by day", "Requests by day", "Errors by day", "How long answers take, by model")
HOSTILE = "<img src=x onerror=alert(1)>"


def filled(server: Server) -> Server:
    """Put some requests into a server's database, and start it."""

    async def fill() -> None:
        store = await Store.open(server.folder / "data" / "panelist.db")
        for ago in range(DAYS):
            for number in range(3):
                failed = number == 2 and ago % 2 == 0
                await store.ledger.append(
                    LOCAL_OWNER,
                    Measured(
                        id=new_id(),
                        at=datetime.now(UTC) - timedelta(days=ago),
                        endpoint="cheap" if number else "dear",
                        model=HOSTILE if number == 2 else "model-a",
                        kind="chat",
                        status="failed" if failed else "complete",
                        error="rate_limit" if failed else None,
                        usage=None if failed else Usage(input=1_000, cached_input=100, output=500),
                        price=0 if failed else 6_000_000,
                        queue_s=0.1,
                        first_token_s=None if failed else 0.5,
                        total_s=2.0,
                        conversation_id="gone",
                    ),
                )
        await store.close()

    thread = threading.Thread(target=lambda: asyncio.run(fill()))  # Playwright's loop runs in this one
    thread.start()
    thread.join()
    (server.folder / "endpoints.toml").write_text(ENDPOINTS, "utf-8")
    server.environ |= {"PANELIST_ENDPOINTS": str(server.folder / "endpoints.toml")}
    server.start()
    return server


def usage(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Usage")


def said(page: Page) -> Locator:
    return usage(page).get_by_role("status").first


def drawn(page: Page, name: str) -> None:
    """Wait until a plot is there with something on it."""
    canvas = usage(page).get_by_role("img", name=name).locator("canvas").first
    expect(canvas).to_be_visible()
    until(
        lambda: canvas.evaluate(
            """canvas => canvas.width > 0 && canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
                .data.some(byte => byte)"""
        ),
        f"{name} is drawn",
    )


def drag(page: Page, start: float, end: float) -> None:
    """Drag across a part of the plot of what was spent."""
    usage(page).get_by_role("img", name="Spent by day").scroll_into_view_if_needed()
    frame = usage(page).get_by_role("img", name="Spent by day").bounding_box()
    assert frame is not None
    left, width, middle = frame["x"] + 70, frame["width"] - 80, frame["y"] + 80
    page.mouse.move(left + start * width, middle)
    page.mouse.down()
    page.mouse.move(left + end * width, middle + 5, steps=5)
    page.mouse.up()


def test_days_are_chosen_in_a_plot_and_all_others_follow(page: Page, own_server: Server) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_viewport_size({"width": 1280, "height": 1000})
    filled(own_server)
    open_new(page, own_server)
    page.get_by_role("button", name="Usage", exact=True).click()
    expect(said(page)).to_have_text(f"{3 * DAYS} requests on {DAYS} days.")
    for name in (
        "Spent by day",
        "Tokens by day",
        "Requests by day",
        "Errors by day",
        "How long answers take, by model",
    ):
        drawn(page, name)
    drag(page, 0.05, 0.45)
    expect(said(page)).to_have_text(re.compile(r"^\d+ requests on [3-5] days, as chosen in the plot\.$"))
    usage(page).get_by_role("button", name="Whole period again").click()
    expect(said(page)).to_have_text(f"{3 * DAYS} requests on {DAYS} days.")

    usage(page).get_by_label("Compare with").select_option(label="model-a · cheap")
    expect(usage(page).get_by_text("The same tokens on model-a would have cost $0.0")).to_be_visible()
    usage(page).get_by_label("Model", exact=True).select_option(label=HOSTILE)
    expect(said(page)).to_have_text(f"{DAYS} requests on {DAYS} days.")
    expect(usage(page).get_by_role("rowheader", name=HOSTILE)).to_be_visible()
    usage(page).get_by_role("button", name="7 days").click()
    expect(said(page)).to_have_text("7 requests on 7 days.")
    today = f"{datetime.now(UTC).astimezone():%Y-%m-%d}"
    usage(page).get_by_label("From", exact=True).fill(today)
    expect(said(page)).to_have_text("1 request on 1 day.")
    usage(page).get_by_label("To", exact=True).fill("2020-01-01")
    expect(usage(page).get_by_role("alert")).to_have_text(
        f"The days from {today} to 2020-01-01 are none. Choose a last day after the first."
    )
    expect(usage(page).get_by_label("To", exact=True)).to_have_value("")
    with page.expect_download() as download:
        usage(page).get_by_role("link", name="CSV").click()
    lines = Path(download.value.path()).read_text("utf-8").splitlines()
    assert len(lines) == 2
    assert errors == []


def test_usage_follows_what_is_asked_and_leads_to_it(page: Page, own_server: Server) -> None:
    own_server.environ |= {"PANELIST_TITLES": "off"}
    own_server.start()
    open_new(page, own_server)
    ask(page, "/usage")
    expect(said(page)).to_have_text("Nothing was asked in this time. Choose a longer one above, or ask something.")
    page.keyboard.press("Escape")
    expect(usage(page)).to_have_count(0)
    expect(box(page)).to_be_focused()
    ask(page, "Hello")
    settled(answers(page))
    page.get_by_role("button", name="Usage", exact=True).click()
    expect(said(page)).to_have_text("1 request on 1 day.")
    usage(page).get_by_role("button", name="close", exact=True).click()
    page.get_by_role("button", name="New chat", exact=True).click()
    page.get_by_role("button", name="Usage", exact=True).click()
    usage(page).get_by_role("link", name="Hello").click()
    expect(usage(page)).to_have_count(0)
    expect(page.get_by_role("article", name="You")).to_have_text("Hello")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_axe_finds_nothing(context: BrowserContext, own_server: Server, axe: Path, width: int, scheme: str) -> None:
    page = context.new_page()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 900})
    filled(own_server)
    open_new(page, own_server)
    ask(page, "/usage")
    expect(said(page)).to_have_text(f"{3 * DAYS} requests on {DAYS} days.")
    drawn(page, "How long answers take, by model")
    usage(page).get_by_text("As a table").first.click()
    expect(usage(page).get_by_role("table", name="Spent by day").get_by_role("row")).to_have_count(DAYS + 1)
    assert violations(page, axe) == []
    wide = usage(page).evaluate("dialog => dialog.ownerDocument.documentElement.scrollWidth")
    assert wide <= width


def test_nothing_of_it_is_there_before_it_is_opened(page: Page, own_server: Server) -> None:
    own_server.start()
    open_new(page, own_server)
    assert page.evaluate(
        "Bokeh.documents.every(page => [...page._all_models.values()].every(({type}) => type !== 'Figure'))"
    )
