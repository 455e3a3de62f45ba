"""What a reader does with finished text while the rest is written: nothing of it is undone, and nothing moves."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.acts import answers, ask, live, open_new, settled, shown
from tests.ui.conftest import Server
from tests.ui.model import WORDS, Model, word
from tests.ui.test_answers import Writer, writer, writing  # noqa: F401 - two are fixtures

pytestmark = pytest.mark.browser

FIND = "text => find(text, false, false, true)"
"""What the browser's own search does: from where the keyboard is, and on from the top."""

SELECTION = """log => {
    const selection = log.getRootNode().getSelection ? log.getRootNode().getSelection() : getSelection()
    return selection.rangeCount ? selection : getSelection()
}"""

HOLD = f"""log => {{
    const selection = ({SELECTION})(log)
    window.held = [selection.anchorNode, selection.anchorOffset, selection.focusNode, selection.focusOffset]
    return selection.toString()
}}"""

STILL = f"""log => {{
    const selection = ({SELECTION})(log)
    const now = [selection.anchorNode, selection.anchorOffset, selection.focusNode, selection.focusOffset]
    const same = now.every((value, at) => value === held[at])
    return {{text: selection.toString(), same, there: held[0].isConnected}}
}}"""


def begun(page: Page, server: Server, model: Model, upto: int, what: str) -> Locator:
    """Let an answer get as far as a word, and return the log."""
    open_new(page, server)
    ask(page, what)
    model.write(upto)
    shown(answers(page), upto)
    return page.get_by_role("log")


def to_the_end(page: Page, model: Model, *, by: int) -> None:
    """Let the rest be written in several paints."""
    for upto in (*range(by, WORDS, 9), WORDS):
        model.write(upto)
        shown(answers(page), upto)
    settled(answers(page))


def test_what_was_found_in_the_page_stays_found(page: Page, far: Server, model: Model) -> None:
    log = begun(page, far, model, 45, "find in it")
    found = word(16).strip()
    assert page.evaluate(FIND, found), "the browser finds what is finished"
    assert log.evaluate(HOLD) == found
    marked = log.evaluate(
        """log => {
            const range = document.createRange()
            range.setStart(held[0], held[1])
            range.setEnd(held[2], held[3])
            window.mark = range
            CSS.highlights.set("found", new Highlight(range))
            return range.toString()
        }"""
    )
    assert marked == found
    to_the_end(page, model, by=50)
    assert log.evaluate(STILL) == {"text": found, "same": True, "there": True}
    assert page.evaluate("[...CSS.highlights.get('found')].map(range => [range.toString(), range.collapsed])") == [
        [found, False]
    ]
    assert page.evaluate(FIND, word(83).strip()), "and then what came since"
    assert log.evaluate(HOLD) == word(83).strip()


def test_text_is_selected_with_the_mouse_while_more_comes(page: Page, far: Server, model: Model) -> None:
    log = begun(page, far, model, 45, "select in it")
    paragraphs = answers(page).locator(".body > p")
    first, last = (paragraphs.nth(number).bounding_box() for number in (0, 2))
    assert first is not None
    assert last is not None
    page.mouse.move(first["x"] + 2, first["y"] + 8)
    page.mouse.down()
    page.mouse.move(first["x"] + 60, first["y"] + 10, steps=4)
    model.write(60)
    shown(answers(page), 60)
    page.mouse.move(last["x"] + 40, last["y"] + 8, steps=4)
    page.mouse.up()
    selected = log.evaluate(HOLD)
    assert selected.startswith("w001 w002")
    assert "w011" in selected
    to_the_end(page, model, by=65)
    assert log.evaluate(STILL) == {"text": selected, "same": True, "there": True}
    with page.expect_event("console") as said:
        page.evaluate("addEventListener('copy', () => setTimeout(() => console.log('copied')))")
        page.keyboard.press("Control+c")
    assert said.value.text == "copied"


def test_nothing_moves_for_who_has_scrolled_up(page: Page, far: Server, model: Model) -> None:
    page.set_viewport_size({"width": 700, "height": 420})
    log = begun(page, far, model, 70, "scroll in it")
    log.hover()
    page.mouse.wheel(0, -150)
    expect(page.get_by_role("button", name="Jump to latest")).to_be_visible()
    log.evaluate(
        """log => {
            const top = log.getBoundingClientRect().top
            const block = [...log.querySelectorAll(".body > p")].find(node => node.getBoundingClientRect().bottom > top)
            window.tops = []
            const look = () => {
                tops.push(block.getBoundingClientRect().top)
                window.looking = requestAnimationFrame(look)
            }
            look()
        }"""
    )
    height = log.evaluate("log => log.scrollHeight")
    to_the_end(page, model, by=75)
    tops = page.evaluate("cancelAnimationFrame(looking), tops")
    assert log.evaluate("log => log.scrollHeight") > height
    assert len(tops) > 5
    assert set(tops) == {tops[0]}


def test_thoughts_that_were_opened_stay_open(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "/think")
    thoughts = answers(page).locator("details")
    thoughts.locator("summary").click()
    expect(answers(page)).to_have_attribute("data-status", "streaming")
    thoughts.evaluate("node => { window.opened = node }")
    expect(answers(page).locator(".body > *")).not_to_have_count(0)
    assert thoughts.evaluate("node => node.open")
    settled(answers(page))
    assert thoughts.evaluate("node => node === opened && node.open")
    expect(thoughts.locator(".thought")).to_be_visible()


MIXED = (
    "# שלום\n\nפסקה בעברית עם `code` ו-English.\n\nAn English paragraph with עברית in it.\n\n"
    "- פריט ראשון\n- second item\n\n```python\nx = 'שלום'\n```\n\n| שם | value |\n|---|---|\n| אחת | one. |\n\n"
    "> ציטוט\n\nסוף\n"
)


LETTERS = """cell => [0, 3].map((at) => {
    const range = document.createRange()
    range.setStart(cell.firstChild, at)
    range.setEnd(cell.firstChild, at + 1)
    return range.getBoundingClientRect().left
})"""


def test_each_block_reads_in_its_own_direction(page: Page, writing: Server, writer: Writer) -> None:  # noqa: F811
    open_new(page, writing)
    box = page.get_by_role("textbox", name="Message")
    box.fill("שאלה")
    expect(box).to_have_css("direction", "rtl")
    writer.text, writer.piece = MIXED, 5
    box.press("Enter")
    direction = "node => getComputedStyle(node).direction"
    for _ in range(2):
        settled(answers(page))
        assert page.get_by_role("article", name="You").locator(".body").evaluate(direction) == "rtl"
        body = answers(page).locator(".body")
        found = body.locator("h1, p, li, pre, table").evaluate_all(
            f"nodes => nodes.map(node => [node.localName, node.textContent.trim().slice(0, 2), ({direction})(node)])"
        )
        assert found == [
            ["h1", "של", "rtl"],
            ["p", "פס", "rtl"],
            ["p", "An", "ltr"],
            ["li", "פר", "rtl"],
            ["li", "se", "ltr"],
            ["pre", "x ", "ltr"],
            ["table", "שם", "rtl"],
            ["p", "צי", "rtl"],
            ["p", "סו", "rtl"],
        ]
        word, stop = body.locator("td").last.evaluate(LETTERS)
        assert word < stop, "the words of a cell have a direction of their own"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.reload()
        live(page)


def test_the_dot_at_the_end_moves_only_while_no_words_come(page: Page, far: Server, model: Model) -> None:
    """What moves has frames of its own, and each of them costs as much as a paint."""
    begun(page, far, model, 20, "wait for me")
    tail = answers(page).locator(".tail")
    moving = "tail => tail.getAnimations({subtree: true}).map(one => one.effect.pseudoElement)"
    expect(tail).to_have_class("tail still")
    assert tail.evaluate(moving) == ["::after"]
    tail.evaluate(
        f"""tail => {{
            const seen = () => {{ window.painted ??= ({moving})(tail) }}
            new MutationObserver(seen).observe(tail, {{childList: true}})
        }}"""
    )
    to_the_end(page, model, by=30)
    assert page.evaluate("painted") == []
