"""The text box: earlier questions, commands, the preview, and what keyboards and phones do to it."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.ui.acts import answers, ask, box, new_chat, open_new, queue, settled, shown
from tests.ui.conftest import LONG_FORM, Server
from tests.ui.line import Line
from tests.ui.model import Model

pytestmark = pytest.mark.browser


def commands(page: Page) -> Locator:
    return page.get_by_role("listbox", name="Commands")


def preview(page: Page) -> Locator:
    return page.get_by_role("region", name="Preview")


def compose(page: Page, text: str) -> None:
    """Let an input method have this text under way."""
    page.context.new_cdp_session(page).send(
        "Input.imeSetComposition", {"text": text, "selectionStart": len(text), "selectionEnd": len(text)}
    )


def test_earlier_questions_by_the_arrow_keys(page: Page, far: Server, model: Model) -> None:
    model.write()
    open_new(page, far)
    page.keyboard.press("ArrowUp")  # there are none
    expect(box(page)).to_have_value("")
    long = "A long question. " * 500
    for number, text in enumerate(("First", "Two\nlines", long)):
        ask(page, text)
        settled(answers(page).nth(number))
    model.write(3)
    ask(page, "Being answered")
    shown(answers(page).nth(3), 3)
    ask(page, "Waiting")
    expect(queue(page)).to_contain_text("Waiting")

    for text in ("Waiting", "Being answered", long):
        page.keyboard.press("ArrowUp")
        expect(box(page)).to_have_value(text)
    expect(page.get_by_role("status").filter(has_text="Question 3 of 5")).to_be_attached()
    page.keyboard.press("ArrowUp")
    expect(box(page)).to_have_value("Two\nlines")
    page.keyboard.press("ArrowUp")  # to the first line
    expect(box(page)).to_have_value("Two\nlines")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")  # there is no earlier one
    expect(box(page)).to_have_value("First")
    page.keyboard.press("Escape")
    expect(box(page)).to_have_value("")
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()

    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(box(page)).to_have_value("")
    page.keyboard.press("ArrowUp")
    page.keyboard.type(" and a word")
    page.keyboard.press("ArrowUp")  # a draft now
    expect(box(page)).to_have_value("Waiting and a word")
    new_chat(page)
    expect(box(page)).to_have_value("")
    page.go_back()
    expect(box(page)).to_have_value("Waiting and a word")
    page.keyboard.press("Escape")
    settled(answers(page).nth(3), "stopped")


def test_commands_from_the_list(page: Page, server: Server) -> None:
    open_new(page, server)
    page.keyboard.type("/")
    options = commands(page).get_by_role("option")
    expect(options.filter(has_text="/stop")).to_have_attribute("aria-disabled", "true")
    expect(options.filter(has_text="/stop")).to_contain_text("No answer is being written.")
    page.keyboard.type("x")
    expect(commands(page)).to_be_hidden()
    page.keyboard.press("Backspace")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    chosen = options.filter(has_text="/model")
    expect(chosen).to_have_attribute("aria-selected", "true")
    expect(box(page)).to_have_attribute("aria-activedescendant", chosen.get_attribute("id") or "")
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox", name="Model")).to_be_focused()
    expect(box(page)).to_have_value("")

    box(page).press_sequentially("/sto")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="/stop: No answer is being written.")).to_be_visible()
    box(page).fill("")


def test_commands_typed_whole_and_what_is_none(page: Page, server: Server) -> None:
    open_new(page, server)
    box(page).press_sequentially("/long 20")
    page.keyboard.press("Enter")
    settled(answers(page))
    for number, text in enumerate(("/etc/hosts", " /new", "//new", "/newer"), start=1):
        ask(page, text)
        settled(answers(page).nth(number))
    expect(page.get_by_role("article", name="You")).to_have_text(["/long 20", "/etc/hosts", " /new", "//new", "/newer"])

    for _ in range(5):
        page.keyboard.press("ArrowUp")
    expect(box(page)).to_have_value("/long 20")
    page.keyboard.press("ArrowDown")  # the list does not take the key
    expect(box(page)).to_have_value("/etc/hosts")
    page.keyboard.press("Escape")
    page.keyboard.type("/ren")
    page.keyboard.press("Tab")
    expect(box(page)).to_have_value("/rename ")
    page.keyboard.type("By a command")
    page.keyboard.press("Enter")
    row = page.get_by_role("navigation", name="Conversations").get_by_role("link", name="By a command")
    expect(row).to_be_visible()
    page.keyboard.type("/outl")
    commands(page).get_by_role("option", name="/outline").click()
    expect(page.get_by_role("navigation", name="Outline")).to_be_visible()
    page.keyboard.press("Escape")
    ask(page, "/copy")
    expect(page.get_by_role("status", name="Notices")).to_contain_text("Copied the last answer.")
    ask(page, "/theme dark")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    page.wait_for_function("() => document.cookie.includes('panelist_theme=dark')")
    ask(page, "/new")
    expect(page.get_by_role("article")).to_have_count(0)
    box(page).fill("of the new chat")
    row.click()
    expect(page.get_by_role("article", name="You")).to_have_count(5)
    ask(page, "/new")
    expect(box(page)).to_have_value("of the new chat")
    row.click()
    expect(box(page)).to_have_value("")
    expect(page.get_by_role("article", name="You")).to_have_count(5)
    page.keyboard.type("/del")
    page.keyboard.press("Enter")
    expect(box(page)).to_have_value("/delete")
    expect(row).to_be_visible()
    page.keyboard.press("Enter")
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row).to_be_visible()


def test_composing_neither_sends_nor_chooses(page: Page, server: Server) -> None:
    open_new(page, server)
    compose(page, "/n")
    expect(box(page)).to_have_value("/n")
    expect(commands(page)).to_be_hidden()
    for key in ("Enter", "ArrowUp", "Escape"):
        box(page).evaluate(
            "(node, key) => node.dispatchEvent(new KeyboardEvent('keydown', {key, isComposing: true, bubbles: true}))",
            key,
        )
    expect(box(page)).to_have_value("/n")
    page.context.new_cdp_session(page).send("Input.insertText", {"text": "/ne"})
    expect(commands(page)).to_be_visible()
    box(page).evaluate("node => node.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', keyCode: 229}))")
    expect(box(page)).to_have_value("/ne")
    page.keyboard.press("Escape")
    expect(commands(page)).to_be_hidden()
    expect(box(page)).to_have_value("/ne")


def test_a_preview_on_a_slow_and_on_a_lost_line(page: Page, far: Server, line: Line) -> None:
    open_new(page, far)
    toggle = page.get_by_role("button", name="Preview")
    expect(toggle).to_be_hidden()
    box(page).fill("Some *words*")
    toggle.click()
    expect(toggle).to_have_attribute("aria-pressed", "true")
    expect(preview(page).locator("em")).to_have_text("words")
    expect(box(page)).to_be_focused()
    line.slow(0.3)
    page.keyboard.press("End")
    for word in range(30):
        page.keyboard.type(f" w{word}")
    typed = "Some *words*" + "".join(f" w{word}" for word in range(30))
    expect(box(page)).to_have_value(typed)
    expect(preview(page)).to_contain_text(typed.replace("*", ""))
    line.mend()
    line.hold()
    expect(page.get_by_role("alert").filter(has_text="Connection lost")).to_be_visible()
    page.keyboard.type(" and **bold**")
    expect(preview(page)).to_contain_text("The connection is lost.")
    line.mend()
    expect(preview(page).locator("strong")).to_have_text("bold")
    expect(preview(page)).not_to_contain_text("The connection is lost.")
    page.keyboard.press("Alt+p")
    expect(preview(page)).to_be_hidden()
    page.keyboard.press("Alt+p")
    expect(preview(page)).to_contain_text("bold")
    page.keyboard.press("Enter")
    expect(preview(page)).to_be_hidden()
    expect(box(page)).to_have_value("")


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
    box(page).fill("/")
    place = commands(page).bounding_box()
    assert place is not None
    assert place["y"] >= 61  # the page's head
    assert place["x"] >= 0
    assert place["x"] + place["width"] <= 390
    assert bottom(commands(page)) < 420
    box(page).fill("\n".join(f"line {number}" for number in range(100)))
    page.get_by_role("button", name="Preview").click()
    expect(preview(page)).to_contain_text("line 99")
    assert bottom(send) <= 420
    assert preview(page).evaluate("node => node.getBoundingClientRect().top") >= 61  # the page's head
    box(page).fill("")
    expect(page.get_by_role("button", name="Preview")).to_be_hidden()
    assert box(page).evaluate("node => node.clientHeight < 40"), "one line again"
    page.evaluate("keyboard(0)")
    page.wait_for_function("() => !document.documentElement.style.getPropertyValue('--panelist-height')")


@LONG_FORM
def test_recalled_from_far_above_and_typed_over(page: Page, far: Server, line: Line, model: Model) -> None:
    """What the page has not whole comes from the server, and comes too late for who types on."""
    model.write()
    open_new(page, far)
    ask(page, "Long. " * 2000)
    settled(answers(page))
    line.slow(0.3)
    page.keyboard.press("ArrowUp")
    page.keyboard.type("typed meanwhile")
    page.wait_for_timeout(1000)  # the question has come
    expect(box(page)).to_have_value("typed meanwhile")
    box(page).fill("")
    page.keyboard.press("ArrowUp")
    expect(box(page)).to_have_value("Long. " * 2000)
    page.reload()
    expect(box(page)).to_have_value("")
