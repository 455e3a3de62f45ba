"""A chat of which nothing is written, as a person has it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.acts import answers, ask, box, new_chat, open_new, settled
from tests.ui.conftest import Server, tracebacks_of_ours

pytestmark = pytest.mark.browser

CANARY = "xylophonic-canary-7715"

EVERYTHING_KEPT = """async () => {
    const result = (request) => new Promise((done) => { request.onsuccess = () => done(request.result) })
    const found = [document.cookie, location.href, document.title]
    for (const storage of [localStorage, sessionStorage]) { found.push(JSON.stringify({...storage})) }
    for (const {name} of await indexedDB.databases()) {
        const base = await result(indexedDB.open(name))
        for (const store of base.objectStoreNames) {
            const all = await result(base.transaction(store).objectStore(store).getAll())
            for (const one of all) { found.push(one instanceof Blob ? await one.text() : JSON.stringify(one)) }
        }
        base.close()
    }
    return found.join("\\n")
}"""
"""All that a page has the browser keep."""


def mark(page: Page) -> Locator:
    return page.get_by_role("note", name="Temporary chat")


def test_a_temporary_chat_leaves_no_byte(page: Page, own_server: Server) -> None:
    own_server.start()
    open_new(page, own_server)
    page.keyboard.press("Control+Shift+L")
    expect(mark(page)).to_be_visible()
    chooser = page.locator("input[type=file]").first
    chooser.set_input_files({"name": f"{CANARY}.txt", "mimeType": "text/plain", "buffer": f"File: {CANARY}".encode()})
    expect(page.get_by_role("region", name="Attachments")).to_contain_text(CANARY)
    expect(page.get_by_role("progressbar", name="Uploading")).to_have_count(0)
    ask(page, f"What do you make of {CANARY}?")
    settled(answers(page))
    page.get_by_role("article", name="You").get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Edit the question").fill(f"An edit of {CANARY} that is left open")
    box(page).press_sequentially(f"A draft with {CANARY}")
    page.wait_for_function(
        "new Promise((done) => setTimeout(done, 1200, true))"
    )  # drafts are written down a little later
    assert CANARY not in page.evaluate(EVERYTHING_KEPT)
    folder = own_server.folder
    files = [path for path in (folder / "data").rglob("*") if path.is_file()]
    assert any(path.name == "panelist.db-wal" for path in files)
    assert [path for path in [*files, folder / "log"] if CANARY.encode() in path.read_bytes()] == []
    assert tracebacks_of_ours(own_server.log) == []
    expect(page.get_by_role("navigation", name="Conversations").get_by_role("link")).to_have_count(0)


def test_it_is_left_come_back_to_and_kept(page: Page, server: Server) -> None:
    open_new(page, server)
    page.get_by_role("button", name="Temporary chat").click()
    expect(mark(page)).to_be_visible()
    expect(page.get_by_role("heading", name="Temporary chat")).to_be_visible()
    ask(page, "Where is my data stored?")
    settled(answers(page))
    address = page.url
    box(page).fill("and a draft")
    new_chat(page)
    expect(mark(page)).to_be_hidden()
    expect(box(page)).to_have_value("")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("article")).to_have_count(2)
    expect(mark(page)).to_be_visible()
    expect(box(page)).to_have_value("and a draft")
    assert page.url == address
    page.get_by_role("button", name="Keep this chat").click()
    expect(mark(page)).to_be_hidden()
    page.wait_for_url("**/app?c=*")
    expect(box(page)).to_have_value("and a draft")
    page.reload()
    expect(page.get_by_role("article")).to_have_count(2)
    expect(box(page)).to_have_value("and a draft")


def test_a_reload_ends_it(page: Page, server: Server) -> None:
    open_new(page, server)
    page.get_by_role("button", name="Temporary chat").click()
    ask(page, "Where is my data stored?")
    settled(answers(page))
    asked: list[str] = []

    def accept(dialog) -> None:  # type: ignore[no-untyped-def]
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", accept)
    page.reload()
    expect(box(page)).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(0)
    assert asked == ["beforeunload"]
