"""The page before its scripts have run: readable and typable, and handed over without a loss or a jump."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import BrowserContext, Page, WebSocketRoute, expect

from tests.ui.acts import answers, ask, box, live, settled, without_scripts
from tests.ui.conftest import Server

pytestmark = pytest.mark.browser


@pytest.fixture
def visited(page: Page, server: Server) -> Server:
    """A server that has shown a page before: only from then on does it read ahead."""
    page.goto(server.url)
    expect(page.get_by_role("navigation", name="Conversations")).to_be_visible()
    return server


def test_what_is_typed_early_is_there_with_the_caret_in_its_place(page: Page, visited: Server) -> None:
    with without_scripts(page):
        page.goto(visited.url, wait_until="commit")
        expect(box(page)).to_be_focused()
        page.keyboard.type("typed early")
        for _ in range(5):
            page.keyboard.press("ArrowLeft")
        expect(page.get_by_role("button", name="Send")).to_be_enabled()
    live(page)
    expect(box(page)).to_be_focused()
    page.keyboard.type("very ")
    expect(box(page)).to_have_value("typed very early")


WATCHED = """
window.sockets = []; window.sent = []; window.told = []
window.WebSocket = class extends WebSocket {
  constructor(...args) {
    super(...args)
    sockets.push(this)
    this.addEventListener("message", ({data}) => told.push(String(data)))
  }
  send(part) {
    sent.push(String(part))
    super.send(part)
  }
}
"""
"""What a page's sockets are and carry, for the page's own script to see."""


def test_the_document_comes_before_the_scripts_and_once(page: Page, visited: Server) -> None:
    page.add_init_script(WATCHED)
    with without_scripts(page):
        page.goto(visited.url, wait_until="commit")
        page.wait_for_function("told.some((part) => part.includes('PULL-DOC-REPLY'))")
        assert page.evaluate("typeof Bokeh") == "undefined"
    live(page)
    ask(page, "What can you do?")
    settled(answers(page))
    assert page.evaluate("[sockets.length, sent.filter((part) => part.includes('PULL-DOC-REQ')).length]") == [1, 1]


def test_a_page_whose_early_socket_was_lost_opens_another(page: Page, visited: Server) -> None:
    page.add_init_script(WATCHED)
    with without_scripts(page):
        page.goto(visited.url, wait_until="commit")
        page.wait_for_function("told.length > 3")
        box(page).fill("kept")
        page.evaluate("new Promise((resolve) => { sockets[0].onclose = resolve; sockets[0].close(1000) })")
    live(page)
    expect(box(page)).to_have_value("kept")
    assert page.evaluate("sockets.length") == 2


UNUSED = ("bokeh-tables", "tabulator", "bokeh-gl", "material-icons-")


def test_nothing_comes_that_no_page_of_ours_needs(page: Page, visited: Server) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(visited.url)
    live(page)
    names = page.evaluate("performance.getEntriesByType('resource').map(({name}) => name)")
    assert any("/panel.min.js" in name for name in names)
    assert not [name for name in names if any(unused in name for unused in UNUSED)]
    assert not errors


def test_what_is_sent_early_is_sent_once(page: Page, visited: Server) -> None:
    with without_scripts(page):
        page.goto(visited.url, wait_until="commit")
        box(page).fill("What can you do?")
        box(page).press("Enter")
        box(page).press("Enter")
        expect(page.get_by_role("status", name="Activity")).to_have_text("Connecting…")
        expect(page.get_by_role("button", name="Send")).to_be_disabled()
        page.keyboard.type("and a second thought")
    live(page)
    expect(page.get_by_role("article", name="You")).to_have_text("What can you do?")
    settled(answers(page))
    expect(page.get_by_role("article", name="You")).to_have_count(1)
    expect(box(page)).to_have_value("and a second thought")


def test_a_chip_clicked_early_is_asked(page: Page, visited: Server) -> None:
    box(page).fill("half a precious thought")
    with without_scripts(page):
        page.goto(visited.url, wait_until="commit")
        page.get_by_role("button", name="Where is my data stored?").click()
    live(page)
    expect(page.get_by_role("article", name="You")).to_have_text("Where is my data stored?")
    settled(answers(page))
    expect(box(page)).to_have_value("half a precious thought")


def test_a_conversation_opens_at_its_end(page: Page, visited: Server) -> None:
    for number in range(3):
        ask(page, "What can you do?")
        settled(answers(page).nth(number))
    for _ in range(2):
        page.reload()
        live(page)
        settled(answers(page).last)
        page.wait_for_timeout(500)  # heights settle; nothing tells when
        log = page.get_by_role("log")
        assert log.evaluate("node => node.scrollHeight - node.scrollTop - node.clientHeight") < 24
        expect(page.get_by_role("button", name="Jump to latest")).to_be_hidden()


def test_the_conversation_is_readable_at_once_and_nothing_moves(page: Page, visited: Server) -> None:
    ask(page, "Show me every kind of Markdown")
    settled(answers(page))
    places = {}
    with without_scripts(page):
        page.goto(page.url, wait_until="commit")
        expect(answers(page).get_by_role("heading").first).to_be_attached()
        page.wait_for_function("window.panelistFirst")
        text = answers(page).locator(".body").inner_text()
        for name, part in (("box", box(page)), ("answer", answers(page)), ("log", page.get_by_role("log"))):
            places[name] = part.bounding_box()
    live(page)
    settled(answers(page))
    assert answers(page).locator(".body").inner_text() == text
    for name, part in (("box", box(page)), ("answer", answers(page)), ("log", page.get_by_role("log"))):
        now, before = part.bounding_box(), places[name]
        assert now is not None
        assert before is not None
        assert now == pytest.approx(before, abs=1), name


def test_a_draft_is_there_at_once(page: Page, visited: Server) -> None:
    box(page).fill("half a thought")
    with without_scripts(page):
        page.goto(visited.url, wait_until="commit")
        expect(box(page)).to_have_value("half a thought")
    live(page)
    expect(box(page)).to_have_value("half a thought")


@pytest.mark.parametrize(("width", "height"), [(390, 780), (1280, 800)])
def test_the_first_view_fits_the_live_page(context: BrowserContext, visited: Server, width: int, height: int) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": height})
    with without_scripts(page):
        page.goto(visited.url, wait_until="commit")
        expect(box(page)).to_be_visible()
        before = box(page).bounding_box()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    live(page)
    assert before is not None
    assert box(page).bounding_box() == pytest.approx(before, abs=1)


KIT = "**/panel-material-ui.bundle.js*"


def test_one_can_talk_before_the_shell_has_come(page: Page, visited: Server) -> None:
    with without_scripts(page, KIT):
        page.goto(visited.url, wait_until="commit")
        live(page)
        ask(page, "Is anybody there?")
        settled(answers(page))
        page.keyboard.type("half a thought")
        before = box(page).bounding_box()
        expect(page.get_by_role("navigation", name="Conversations")).to_have_count(0)
    expect(page.get_by_role("link", name="About anybody")).to_be_visible()
    expect(box(page)).to_be_focused()
    expect(box(page)).to_have_value("half a thought")
    assert before is not None
    assert box(page).bounding_box() == pytest.approx(before, abs=1)
    # From then on it goes along with the shell.
    page.get_by_role("button", name="Close drawer").click()
    page.wait_for_function("document.getElementById('talk').getBoundingClientRect().left === 0")
    page.set_viewport_size({"width": 390, "height": 780})
    expect(box(page)).to_be_in_viewport(ratio=1)
    page.get_by_role("button", name="Open drawer").click()
    page.get_by_role("button", name="New chat").click()
    expect(answers(page)).to_have_count(0)


def test_hostile_names_stay_text_in_the_first_view(page: Page, visited: Server) -> None:
    ask(page, '<img src=x onerror="canary=1"></article></template><script>canary=1</script> {{ 7*7 }}')
    settled(answers(page))
    with without_scripts(page):
        page.goto(page.url, wait_until="commit")
        expect(page.get_by_role("article", name="You")).to_contain_text("<script>canary=1</script> {{ 7*7 }}")
        assert page.evaluate("window.canary") is None
    live(page)


@contextmanager
def without_ready(page: Page) -> Iterator[None]:
    """Hold back the page's word that it is ready, inside the block; the document it shows has come long before."""
    held: list[tuple[WebSocketRoute, list[str | bytes]]] = []
    free = False

    def between(route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        parts: list[str | bytes] = []

        def forward(part: str | bytes) -> None:
            parts.append(part)
            if len(parts) < 3:  # header, metadata, content: https://docs.bokeh.org/en/latest/docs/dev_guide/server.html
                return
            message = parts[:]
            parts.clear()
            if not free and "document_ready" in str(message[2]):
                held.append((server, message))
            else:
                for piece in message:
                    server.send(piece)

        route.on_message(forward)

    page.route_web_socket("**/app/ws*", between)
    yield
    free = True
    for server, message in held:
        for piece in message:
            server.send(piece)


def test_what_happens_before_the_page_is_ready_is_shown(context: BrowserContext, page: Page, visited: Server) -> None:
    page.goto(visited.url)
    live(page)
    ask(page, "/long 3000")
    expect(answers(page).last.locator(".body p").first).to_be_visible()
    other = context.new_page()
    with without_ready(other):
        other.goto(page.url)
        live(other)
        ask(other, "sent before it was ready")
        queue = other.get_by_role("region", name="Queued messages")
        expect(queue.get_by_role("listitem")).to_have_text("sent before it was ready")
        queue.get_by_role("button", name="Remove queued message").click()
        expect(queue).to_be_hidden()
        page.get_by_role("button", name="Stop").click()
        expect(other.get_by_role("button", name="Stop")).to_be_hidden()
    expect(other.get_by_role("button", name="Undo")).to_be_visible()
    ask(other, "and after it")
    settled(answers(other).last)
