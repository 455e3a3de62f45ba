"""The text box, and what keyboards and phones do to it."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Locator, expect

from tests.ui.acts import box, open_new
from tests.ui.conftest import Server

pytestmark = pytest.mark.browser


def test_a_phone_whose_keyboard_covers_the_page(context: BrowserContext, server: Server) -> None:
    """As Safari has it: the page keeps its height, and only the part that is seen gets smaller."""
    context.add_init_script("""
        const seen = Object.assign(new EventTarget(), {height: innerHeight, scale: 1, offsetTop: 0})
        Object.defineProperty(window, "visualViewport", {value: seen})
        window.keyboard = (height) => { seen.height = innerHeight - height; seen.dispatchEvent(new Event("resize")) }
    """)
    page = context.new_page()
    page.set_viewport_size({"width": 390, "height": 800})
    open_new(page, server)
    assert "interactive-widget=resizes-content" in (page.locator("meta[name=viewport]").get_attribute("content") or "")
    box(page).fill("\n".join(f"line {number}" for number in range(100)))
    send = page.get_by_role("button", name="Send")

    def bottom(thing: Locator) -> float:
        place = thing.bounding_box()
        assert place is not None
        return place["y"] + place["height"]

    assert box(page).evaluate("node => [node.clientHeight <= 320, node.scrollHeight > 2000]") == [True, True]
    assert bottom(send) <= 800
    page.evaluate("keyboard(380)")
    page.wait_for_function("() => document.documentElement.style.getPropertyValue('--panelist-height') === '420px'")
    expect(send).to_be_in_viewport()
    assert bottom(send) <= 420
    assert box(page).evaluate("node => node.clientHeight <= 168")
    page.evaluate("keyboard(0)")
    page.wait_for_function("() => !document.documentElement.style.getPropertyValue('--panelist-height')")
