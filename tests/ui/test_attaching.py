"""Files that go with a message: dropped, pasted, chosen, lost on the way."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.pictures import png
from tests.ui.acts import answers, ask, box, live, loses, lost, open_new, outgoing, questions, queue, settled
from tests.ui.conftest import LONG_FORM, Server
from tests.ui.line import Line
from tests.ui.model import Model

pytestmark = pytest.mark.browser


_BRING = """([kind, files, text]) => {
    const transfer = new DataTransfer()
    for (const [name, type, data] of files) {
        transfer.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name, {type}))
    }
    if (text) { transfer.setData("text/plain", text) }
    const dive = (node) => node.shadowRoot?.activeElement ? dive(node.shadowRoot.activeElement) : node
    const target = dive(document.activeElement)
    const given = {bubbles: true, cancelable: true, composed: true}
    const events = kind === "paste" ? [new ClipboardEvent("paste", {...given, clipboardData: transfer})]
        : ["dragenter", "dragover", "drop"].map((name) => new DragEvent(name, {...given, dataTransfer: transfer}))
    return events.map((event) => target.dispatchEvent(event))
}"""


def bring(page: Page, kind: str, *files: tuple[str, str, bytes], text: str = "") -> list[bool]:
    """Drop or paste, as a browser would; return for each event whether the browser would act on it."""
    packed = [[name, type, base64.b64encode(data).decode()] for name, type, data in files]
    found: list[bool] = page.evaluate(_BRING, [kind, packed, text])
    return found


def chips(page: Page) -> Locator:
    return page.get_by_role("region", name="Attachments").get_by_role("listitem")


def arrived(page: Page) -> None:
    expect(page.get_by_role("progressbar")).to_have_count(0)


def sent_files(page: Page) -> Locator:
    return page.get_by_role("article", name="You").last.get_by_role("list", name="Attachments").get_by_role("listitem")


def test_dropped_files_are_sent_seen_and_there_after_a_reload(page: Page, server: Server) -> None:
    open_new(page, server)
    done = bring(
        page, "drop", ("rain <b>.md", "text/markdown", b"# Rain\n\n```\ndrops\n```\n"), ("map.png", "image/png", png())
    )
    assert done[1:] == [False, False], "the browser does not leave the page for the file"
    expect(chips(page)).to_have_count(2)
    expect(chips(page).first).to_contain_text("rain <b>.md")
    arrived(page)
    page.reload()
    live(page)
    expect(chips(page)).to_have_count(2)
    page.get_by_role("button", name="Remove map.png").click()
    expect(box(page)).to_be_focused()
    bring(page, "paste", ("image.png", "image/png", png()))
    arrived(page)
    ask(page, "Hello")
    settled(answers(page).last)
    expect(answers(page).last).to_contain_text("a text file of 22 bytes")
    expect(answers(page).last).to_contain_text("image.png, a picture (image/png)")
    expect(chips(page)).to_have_count(0)
    for _ in range(2):
        expect(sent_files(page)).to_have_count(2)
        sent_files(page).first.get_by_text("rain <b>.md").click()
        expect(sent_files(page).first.locator("pre")).to_have_text("# Rain\n\n```\ndrops\n```\n")
        shown = sent_files(page).last.locator("img")
        expect(shown).to_have_js_property("naturalWidth", 64)
        page.reload()
        live(page)
    with page.expect_download() as download:
        sent_files(page).last.get_by_role("link", name="Download").click()
    assert download.value.path().read_bytes() == png()
    assert download.value.suggested_filename == "image.png"


def test_a_file_under_the_mouse_and_a_picture_from_the_clipboard(page: Page, server: Server, tmp_path: Path) -> None:
    """By the browser's own drag and its own paste, not by events made here; over the conversation as over the box."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_new(page, server)
    ask(page, "What can you do?")
    settled(answers(page))
    file = tmp_path / "rain.txt"
    file.write_text("drops")
    tab = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    place = answers(page).bounding_box()
    assert place is not None

    def drag(*kinds: str) -> None:
        for kind in kinds:
            at = {"type": kind, "x": place["x"] + 20, "y": place["y"] + 20, "data": data}
            tab.send("Input.dispatchDragEvent", at)

    target = page.get_by_text("Drop files to attach them")
    drag("dragEnter", "dragOver")
    expect(target).to_be_visible()
    drag("drop")
    expect(target).to_be_hidden()
    expect(chips(page)).to_contain_text(["rain.txt"])
    expect(box(page)).to_be_focused()
    page.evaluate(
        """data => {
            const blob = new Blob([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], {type: "image/png"})
            return navigator.clipboard.write([new ClipboardItem({"image/png": blob})])
        }""",
        base64.b64encode(png()).decode(),
    )
    page.keyboard.press("Control+v")
    expect(chips(page)).to_have_count(2)
    arrived(page)
    page.keyboard.type("Both of them")
    page.keyboard.press("Enter")
    settled(answers(page).last)
    expect(sent_files(page)).to_have_count(2)
    expect(sent_files(page).last.locator("img")).to_have_js_property("naturalWidth", 64)


def test_a_long_paste_becomes_a_file_or_comes_into_the_message(page: Page, server: Server) -> None:
    open_new(page, server)
    text = ("A line of a long text.\n" * 50_000)[:1_048_576]
    assert bring(page, "paste", text="short") == [True], "a short one is the browser's to paste"
    assert bring(page, "paste", text=text) == [False]
    expect(chips(page)).to_contain_text("Pasted text1.0 MB, attached as pasted.txt")
    expect(box(page)).to_have_value("")
    arrived(page)
    page.reload()
    live(page)
    chips(page).get_by_role("button", name="Put it into the message instead").click()
    expect(chips(page)).to_have_count(0)
    expect(box(page)).to_have_js_property("value", text)
    box(page).fill("")
    bring(page, "paste", text=text)
    arrived(page)
    page.get_by_role("button", name="Send").click()
    settled(answers(page).last)
    expect(answers(page).last).to_contain_text("pasted.txt, a text file of 1,048,576 bytes")


@LONG_FORM
def test_what_is_refused_says_why_and_holds_the_message(page: Page, server: Server) -> None:
    open_new(page, server)
    bring(page, "drop", ("report.pdf", "application/pdf", b"%PDF-1.7 and more"), ("empty.txt", "", b""))
    expect(chips(page).first.get_by_role("alert")).to_contain_text("“report.pdf” is a PDF")
    expect(chips(page).last.get_by_role("alert")).to_contain_text("is empty")
    box(page).fill("Hello")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    box(page).press("Enter")
    expect(page.get_by_role("alert").filter(has_text="could not be attached")).to_be_visible()
    page.get_by_role("button", name="Remove report.pdf").click()
    page.get_by_role("button", name="Remove empty.txt").focus()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Attach files").click()
    chooser.value.set_files([{"name": "chosen.txt", "mimeType": "text/plain", "buffer": b"chosen"}])
    expect(box(page)).to_be_focused()
    page.get_by_role("button", name="Remove empty.txt").press("Enter")
    page.get_by_role("button", name="Remove chosen.txt").press("Enter")
    expect(page.get_by_role("alert").filter(has_text="could not be attached")).to_be_hidden()
    bring(page, "drop", *((f"{n}.txt", "", b"x") for n in range(11)))
    expect(chips(page)).to_have_count(10)
    expect(page.get_by_role("alert").filter(has_text="10 files are the most")).to_be_visible()
    arrived(page)
    box(page).press("Enter")
    settled(answers(page).last)
    expect(sent_files(page)).to_have_count(10)


@LONG_FORM
@pytest.mark.parametrize("reload", [False, True])
def test_an_upload_goes_on_after_the_line_was_lost(
    page: Page, far: Server, line: Line, model: Model, reload: bool
) -> None:
    open_new(page, far)
    line.slow(0.3)
    bring(page, "drop", ("long.txt", "text/plain", b"drop " * 600_000))
    expect(page.get_by_role("progressbar", name="Uploading long.txt")).to_be_visible()
    if reload:
        line.mend()
        page.reload()
    else:
        line.cut()
        loses(page)
        line.mend()
        expect(lost(page)).to_be_hidden()
    live(page)
    expect(chips(page)).to_contain_text("long.txt3.0 MB")
    arrived(page)
    model.write()
    ask(page, f"with a file, reload {reload}")
    expect(sent_files(page)).to_have_count(1)
    assert questions(far, f"with a file, reload {reload}") == 1


@LONG_FORM
def test_a_message_that_waits_can_be_edited_with_its_files(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "/long 3000")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    bring(page, "drop", ("a.txt", "text/plain", b"a file"))
    arrived(page)
    box(page).press("Enter")
    expect(outgoing(page)).to_be_hidden()
    expect(queue(page).get_by_role("listitem")).to_contain_text("a.txt")
    expect(chips(page)).to_have_count(0)
    box(page).press("ArrowUp")
    expect(box(page)).to_have_value("/long 3000")
    box(page).press("ArrowDown")
    expect(box(page)).to_have_value("")
    page.keyboard.type("a draft")
    queue(page).get_by_role("button", name="Edit queued message").click()
    expect(queue(page)).to_be_hidden()
    expect(chips(page)).to_contain_text("a.txt")
    expect(box(page)).to_have_value("a draft")
    ask(page, "and a word")
    queue(page).get_by_role("button", name="Send now").click()
    expect(sent_files(page)).to_contain_text("a.txt")
    settled(answers(page).last)


HOSTILE = (
    '<img src=x onerror="window.canary=1">.txt',
    '"><script>window.canary=1</script>.md',
    "../../../etc/passwd",
    "javascript:window.canary=1",
    "a\u202etxt.exe",
    "x" * 10_000 + ".txt",
    "`*_[l](javascript:window.canary=1)_*`.md",
    "evil.svg",
)


@LONG_FORM
def test_nothing_in_a_name_or_a_file_runs(page: Page, server: Server) -> None:
    open_new(page, server)
    evil = b'<svg xmlns="http://www.w3.org/2000/svg" onload="parent.canary=1"><script>parent.canary=1</script></svg>'
    bring(page, "drop", *((name, "image/svg+xml", evil) for name in HOSTILE))
    arrived(page)
    page.get_by_role("button", name="Send").click()
    settled(answers(page).last)
    for _ in range(2):
        expect(sent_files(page)).to_have_count(len(HOSTILE))
        for number in range(len(HOSTILE)):
            sent_files(page).nth(number).locator("summary").click()
            expect(sent_files(page).nth(number).locator("pre")).to_have_text(evil.decode())
        page.reload()
        live(page)
    assert page.evaluate("window.canary") is None
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@LONG_FORM
def test_a_pasted_text_comes_into_no_other_chat(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "Hello")
    settled(answers(page).last)
    bring(page, "paste", text="A line of a long text.\n" * 5_000)
    arrived(page)
    page.reload()
    live(page)
    held: list[Route] = []
    page.route("**/attachments/*", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks it
    with page.expect_request("**/attachments/*"):
        chips(page).get_by_role("button", name="Put it into the message instead").click()
    page.keyboard.press("Control+Shift+O")
    expect(chips(page)).to_have_count(0)
    with page.expect_response("**/attachments/*") as response:
        held[0].continue_()
    response.value.finished()
    page.unroute("**/attachments/*")
    page.go_back()
    expect(chips(page)).to_contain_text("Pasted text")
    chips(page).get_by_role("button", name="Put it into the message instead").click()
    expect(box(page)).to_have_js_property("value", "A line of a long text.\n" * 5_000)
    page.keyboard.press("Control+Shift+O")
    expect(box(page)).to_have_value("")


@LONG_FORM
def test_what_another_tab_has_sent_to_its_end_is_not_lost(page: Page, server: Server) -> None:
    open_new(page, server)
    bring(page, "drop", ("a.txt", "text/plain", b"a file"))
    arrived(page)
    page.evaluate("""() => {
        const kept = JSON.parse(localStorage.getItem("panelist.files.new"))
        sessionStorage.setItem("panelist.files.new", JSON.stringify(kept.map(({id, ...entry}) => entry)))
    }""")  # as this tab would have read it while the other was still sending
    page.reload()
    live(page)
    expect(chips(page)).to_have_count(1)
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    expect(chips(page).get_by_role("alert")).to_have_count(0)
    page.get_by_role("button", name="Send").click()
    expect(sent_files(page)).to_contain_text("a.txt")


@LONG_FORM
def test_files_that_are_too_much_together_are_refused_before_they_are_sent(page: Page, server: Server) -> None:
    open_new(page, server)
    page.evaluate("""() => {
        const transfer = new DataTransfer()
        const start = Uint8Array.from([137, 80, 78, 71, 13, 10, 26, 10])
        for (const name of ["1.png", "2.png", "3.png"]) {
            transfer.items.add(new File([start, new Uint8Array(15e6)], name, {type: "image/png"}))
        }
        document.body.dispatchEvent(new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: transfer}))
    }""")
    expect(page.get_by_role("alert").filter(has_text="40.0 MB together are the most")).to_contain_text(
        "“3.png” was not"
    )
    expect(chips(page)).to_have_count(2)
