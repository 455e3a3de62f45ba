"""axe-core's checks, on every kind of page."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.servers.need import unavailable
from tests.test_exporting import told
from tests.trees import exported
from tests.ui.acts import answers, ask, box, open_new, settled
from tests.ui.conftest import ROOT, Server
from tests.ui.test_attaching import arrived, bring, sent_files

pytestmark = pytest.mark.browser

AXE = ROOT / "tests" / "servers" / "node_modules" / "axe-core" / "axe.min.js"

CHECK = """async () => {
    const {violations} = await axe.run(document)
    return violations.flatMap(({id, nodes}) => nodes.map(({target, html, any}) =>
        `${id}: ${target.flat().join(" ")}: ${html.slice(0, 160)} ${any.map(each => each.message).join("; ")}`))
}"""


@pytest.fixture(scope="module")
def axe() -> Path:
    if not AXE.exists():
        unavailable("no axe-core (npm ci in tests/servers)")
    return AXE


def violations(page: Page, axe: Path) -> list[str]:
    page.wait_for_timeout(400)  # colours in the middle of a transition are none
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(axe.read_text("utf-8") + "; undefined")
    found: list[str] = page.evaluate(CHECK)
    return found


def faults_in(page: Page) -> list[str]:
    """Return what axe finds in a page, but for its headings: those are the answers' own."""
    if not AXE.exists():
        unavailable("no axe-core (npm ci in tests/servers)")
    return [one for one in violations(page, AXE) if not one.startswith("page-has-heading-one")]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_axe_finds_nothing(context: BrowserContext, server: Server, axe: Path, width: int, scheme: str) -> None:
    page = context.new_page()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 800})
    open_new(page, server)
    found = {"empty page": violations(page, axe)}

    ask(page, "Show me every kind of Markdown")
    settled(answers(page))
    ask(page, "/fail 500")
    settled(answers(page).nth(1), "failed")
    found["conversation"] = violations(page, axe)
    page.get_by_role("log").evaluate("log => { log.scrollTop = 0 }")
    found["its beginning"] = violations(page, axe)
    page.get_by_role("button", name="Outline", exact=True).click()
    expect(page.get_by_role("navigation", name="Outline").locator("[aria-current]")).to_be_visible()
    found["outline"] = violations(page, axe)
    page.keyboard.press("Escape")

    box(page).press_sequentially("/r")
    expect(page.get_by_role("listbox", name="Commands")).to_be_visible()
    found["commands"] = violations(page, axe)
    box(page).fill("/")
    found["all commands"] = violations(page, axe)
    box(page).fill("# A draft\n\n| a |\n|---|\n| b |\n\n```py\nx = 1\n```")
    page.keyboard.press("Alt+p")
    expect(page.get_by_role("region", name="Preview").get_by_role("heading", name="A draft")).to_be_visible()
    found["preview"] = violations(page, axe)
    box(page).fill("")
    bring(page, "drop", ("a.txt", "text/plain", b"text"), ("a.pdf", "", b"%PDF-1.7, which is none"))
    bring(page, "paste", text="x" * 100_001)
    expect(page.get_by_role("alert").filter(has_text="is a PDF")).to_be_visible()
    arrived(page)
    found["attachments"] = violations(page, axe)
    page.get_by_role("button", name="Remove a.pdf").click()
    ask(page, "Hello")
    sent_files(page).first.get_by_text("a.txt").click()
    settled(answers(page).last, "failed")  # the demo gets it together with the question that failed before it
    found["sent attachments"] = violations(page, axe)

    page.get_by_role("button", name="Connect a model").first.click()
    expect(page.get_by_role("textbox", name="Base URL")).to_be_visible()
    found["connect"] = violations(page, axe)
    page.keyboard.press("Escape")
    expect(page.get_by_role("textbox", name="Base URL")).to_be_hidden()
    page.get_by_role("log").focus()
    page.keyboard.press("?")
    expect(page.get_by_text("Keyboard shortcuts")).to_be_visible()
    found["shortcuts"] = violations(page, axe)
    wrong = sorted({violation for each in found.values() for violation in each})
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nor_in_the_import(page: Page, server: Server, axe: Path, scheme: str, tmp_path: Path) -> None:
    file = tmp_path / "export.json"
    file.write_text(exported([told("Why?", "Because.")]), "utf-8")
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    open_new(page, server)
    ask(page, "/import")
    page.get_by_label("File to import").set_input_files(file)
    expect(page.get_by_role("status", name="Preview")).to_contain_text("1 conversation to import")
    assert violations(page, axe) == []
    page.keyboard.press("Escape")
    expect(page.get_by_label("File to import")).to_be_hidden()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_nor_in_the_map(page: Page, server: Server, axe: Path, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 800})
    open_new(page, server)
    for number, text in enumerate(("Where is my data stored?", "/fail 500")):
        ask(page, text)
        settled(answers(page).nth(number), "failed" if number else "complete")
    page.get_by_role("button", name="Map", exact=True).click()
    dialog = page.get_by_role("dialog", name="Map of the conversation")
    expect(dialog.get_by_role("treeitem").first).to_be_visible()
    assert violations(page, axe) == []
    dialog.get_by_role("button", name="Compare with…").click()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("article", name="Step 1")).to_be_visible()
    assert violations(page, axe) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nor_in_a_temporary_chat_and_when_it_is_shared(page: Page, server: Server, axe: Path, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    open_new(page, server)
    page.get_by_role("button", name="Temporary chat").click()
    ask(page, "Show me every kind of Markdown")
    settled(answers(page))
    expect(page.get_by_role("note", name="Temporary chat")).to_be_visible()
    assert violations(page, axe) == []
    page.get_by_role("button", name="Share…").click()
    page.get_by_role("dialog").get_by_role("checkbox", name="Show me every kind of Markdown").uncheck()
    assert violations(page, axe) == []
