"""The map: going to a branch, removing, copying and comparing, and where the nodes stand."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.acts import answers, ask, box, live, settled
from tests.ui.conftest import ROOT, Server
from tests.ui.test_answers import Writer, writer, writing  # noqa: F401 - two are fixtures
from tests.ui.test_editing import asked, said

pytestmark = pytest.mark.browser


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Map of the conversation")


def node(page: Page, name: str) -> Locator:
    return dialog(page).get_by_role("treeitem", name=re.compile(f"^{re.escape(name)}"))


def act(page: Page, name: str) -> Locator:
    return dialog(page).get_by_role("button", name=name)


def open_map(page: Page) -> None:
    page.get_by_role("button", name="Map", exact=True).click()
    expect(dialog(page).get_by_role("treeitem").first).to_be_visible()


@pytest.fixture
def branched(page: Page, writing: Server, writer: Writer) -> Page:  # noqa: F811
    """First and second question; then another answer to the first, which is on show."""
    asked(page, writing, writer, "First", "Second")
    writer.text = "Another answer to First"
    answers(page).first.get_by_role("button", name="Regenerate").click()
    expect(answers(page)).to_have_count(1)
    settled(answers(page))
    return page


def test_a_click_on_the_map_shows_that_branch_also_after_a_reload(branched: Page) -> None:
    page = branched
    open_map(page)
    expect(dialog(page).get_by_role("treeitem")).to_have_count(5)
    expect(dialog(page).get_by_text("5 messages on 2 branches.")).to_be_visible()
    expect(node(page, "writer: Another answer to First, on the shown branch, its end")).to_be_visible()
    node(page, "You: Second").click()
    expect(dialog(page)).to_have_count(0)
    expect(said(page)).to_have_text(["First", "Second"])
    page.reload()
    live(page)
    expect(said(page)).to_have_text(["First", "Second"])
    expect(answers(page).last.locator(".body")).to_have_text("Answer to Second")
    page.keyboard.press("Alt+BracketRight")
    expect(said(page)).to_have_text(["First"])
    page.keyboard.press("Alt+BracketLeft")
    expect(said(page)).to_have_text(["First", "Second"])


def test_the_keyboard_goes_along_the_branches_and_there(branched: Page) -> None:
    page = branched
    page.keyboard.press("Alt+m")
    tree = dialog(page).get_by_role("tree")
    expect(tree).to_be_focused()
    selected = dialog(page).get_by_role("treeitem", selected=True)
    expect(selected).to_have_accessible_name(re.compile("^writer: Another answer"))
    for key, name in (
        ("ArrowLeft", "writer: Answer to First"),
        ("ArrowDown", "You: Second"),
        ("ArrowUp", "writer: Answer to First"),
        ("Home", "You: First"),
        ("ArrowDown", "writer: Another answer"),
        ("ArrowLeft", "writer: Answer to First"),
    ):
        page.keyboard.press(key)
        expect(selected).to_have_accessible_name(re.compile(f"^{name}"))
    for key in ("-", "-", "-", "-", "0", "+"):
        page.keyboard.press(key)
    expect(selected).to_have_accessible_name(re.compile("^writer: Answer to First"))
    page.keyboard.press("Enter")
    expect(dialog(page)).to_have_count(0)
    expect(said(page)).to_have_text(["First", "Second"])


def test_what_is_removed_comes_back_with_undo(branched: Page) -> None:
    page = branched
    open_map(page)
    node(page, "You: Second").click(modifiers=["Shift"])
    page.keyboard.press("Delete")
    expect(dialog(page).get_by_role("treeitem")).to_have_count(3)
    expect(dialog(page).get_by_text("Removed 2 messages.")).to_be_visible()
    expect(said(page)).to_have_text(["First"])
    act(page, "Undo").click()
    expect(dialog(page).get_by_role("treeitem")).to_have_count(5)
    node(page, "writer: Another answer").click(modifiers=["Shift"])
    act(page, "Remove").dblclick()
    expect(dialog(page).get_by_role("treeitem")).to_have_count(4)
    page.keyboard.press("Escape")
    expect(dialog(page)).to_have_count(0)
    expect(said(page)).to_have_text(["First", "Second"])
    page.get_by_role("button", name="Undo").click()
    expect(said(page)).to_have_text(["First"])
    expect(answers(page).locator(".body")).to_have_text("Another answer to First")
    open_map(page)
    node(page, "You: Second").click(modifiers=["Shift"])
    page.keyboard.press("Delete")
    dialog(page).get_by_text("Removed messages (1)").click()
    expect(dialog(page).get_by_text("2 messages, kept for another 30 days")).to_be_visible()
    act(page, "Restore Second").click()
    expect(dialog(page).get_by_role("treeitem")).to_have_count(5)
    expect(dialog(page).get_by_text("Removed messages")).to_be_hidden()


def test_a_question_is_copied_to_the_shown_branch_and_answered_there(
    branched: Page,
    writer: Writer,  # noqa: F811
) -> None:
    page = branched
    open_map(page)
    node(page, "writer: Answer to Second").click(modifiers=["Shift"])
    expect(act(page, "Copy to the shown branch")).to_be_disabled()
    node(page, "You: Second").click(modifiers=["Shift"])
    act(page, "Copy to the shown branch").click()
    expect(node(page, "You: Second, copy, on the shown branch, its end")).to_be_visible()
    expect(dialog(page).get_by_role("tree")).to_be_focused()  # the button can do no more
    page.keyboard.press("Escape")
    expect(dialog(page)).to_have_count(0)
    expect(said(page)).to_have_text(["First", "Second"])
    writer.text = "Now from here"
    page.get_by_role("button", name="Answer this question").click()
    settled(answers(page).nth(1))
    expect(answers(page).nth(1).locator(".body")).to_have_text("Now from here")
    expect(page.get_by_role("button", name="Answer this question")).to_have_count(0)
    page.reload()
    live(page)
    expect(said(page)).to_have_text(["First", "Second"])
    expect(answers(page).first.locator(".body")).to_have_text("Another answer to First")


def test_any_two_branches_are_compared(branched: Page) -> None:
    page = branched
    open_map(page)
    node(page, "writer: Another answer").click(modifiers=["Shift"])
    act(page, "Compare with…").click()
    expect(dialog(page).get_by_text("Choose the other message")).to_be_visible()
    node(page, "You: Second").click()
    expect(dialog(page).get_by_text("After “First”.")).to_be_visible()
    first, second = (dialog(page).get_by_role("article", name=f"Step {number}") for number in (1, 2))
    expect(first.get_by_role("deletion")).to_have_text("Another answer")
    expect(first.get_by_role("insertion")).to_have_text("Answer")
    expect(second.get_by_text("This branch has ended.")).to_be_visible()
    expect(second.get_by_role("group")).to_have_text("Second")
    page.keyboard.press("Escape")
    expect(dialog(page).get_by_role("tree")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog(page)).to_have_count(0)


def test_texts_of_others_are_only_text(page: Page, writing: Server, writer: Writer) -> None:  # noqa: F811
    asked(page, writing, writer, "<img src=x onerror=alert(1)>")
    box(page).fill("/map")
    box(page).press("Enter")
    expect(node(page, "You: <img src=x onerror=alert(1)>")).to_be_visible()
    expect(dialog(page).locator("img")).to_have_count(0)
    expect(dialog(page).get_by_text("2 messages, no other branches yet.")).to_be_visible()


def test_on_a_phone_everything_is_in_reach(page: Page, writing: Server, writer: Writer) -> None:  # noqa: F811
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(writing.url)
    live(page)
    writer.text = "Yes."
    ask(page, "On a phone?")
    settled(answers(page))
    open_map(page)
    for name in ("Go there", "Compare with…", "Remove", "Zoom in", "See all of it"):
        expect(act(page, name)).to_be_in_viewport(ratio=1)
    assert dialog(page).evaluate("node => node.scrollWidth <= node.clientWidth")


LAYOUT = """(seed) => {
    SOURCE
    let state = seed
    const random = (below) => { state = (state * 1103515245 + 12345) % 2147483648; return state % below }
    const count = 1 + random(300)
    const parents = [-1]
    while (parents.length < count) {
        const many = parents.length
        parents.push(random(40) === 0 ? -1 : random(3) === 0 ? random(many) : many - 1)
    }
    return {parents, ...layOut(parents)}
}"""


def test_nodes_stand_in_cells_of_their_own_and_subtrees_beside_one_another(page: Page) -> None:
    source = (ROOT / "components" / "chat" / "layout.js").read_text("utf-8")
    for seed in range(1, 200):
        found = page.evaluate(LAYOUT.replace("SOURCE", source), seed)
        parents, columns, rows = found["parents"], _list(found["columns"]), _list(found["rows"])
        cells = list(zip(columns, rows, strict=True))
        assert len(set(cells)) == len(cells)
        assert (found["width"], found["depth"]) == (max(columns) + 1, max(rows) + 1)
        for place, parent in enumerate(parents):
            assert rows[place] == (0 if parent < 0 else rows[parent] + 1)
        for family, above in [
            *((family, place) for place, family in enumerate(found["children"])),
            (found["roots"], -1),
        ]:
            assert family == sorted(family)
            assert [columns[child] for child in family] == sorted({columns[child] for child in family})
            if family and above >= 0:
                assert columns[family[0]] == columns[above], "the eldest stands below its parent"
        # From left to right, the parents of a row's nodes stand in order, too: no lines cross.
        for row in range(1, found["depth"]):
            places = sorted(
                (columns[place], columns[parents[place]]) for place in range(len(parents)) if rows[place] == row
            )
            assert [above for _, above in places] == sorted(above for _, above in places)
    straight = page.evaluate(
        LAYOUT.replace("SOURCE", source)
        .replace("const count = 1 + random(300)", "const count = 20000")
        .replace("random(40) === 0 ? -1 : random(3) === 0 ? random(many) : many - 1", "many - 1"),
        1,
    )
    assert (straight["width"], straight["depth"]) == (1, 20000)


def _list(numbers: dict[str, int]) -> list[int]:
    """Return what the browser gives of a typed array."""
    return list(numbers.values()) if isinstance(numbers, dict) else list(numbers)
