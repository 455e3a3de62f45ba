"""What a person does, in real Chromium, by role and name."""

from __future__ import annotations

import http.server
import re
import signal
import sqlite3
import threading

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.keyed import SHAPED
from tests.ui.acts import answers, ask, box, from_menu, open_new, rendered, settled
from tests.ui.conftest import Server

pytestmark = pytest.mark.browser


def test_first_run_on_the_demo(page: Page, server: Server) -> None:
    open_new(page, server)
    expect(page.get_by_text("You are on the demo endpoint: prepared text, not an AI.")).to_be_visible()
    expect(page.get_by_role("combobox", name="Model")).to_have_value("panelist-demo · demo")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    page.get_by_role("button", name="What can you do?").click()
    expect(page.get_by_role("article", name="You")).to_have_text("What can you do?")
    settled(answers(page))
    expect(answers(page)).to_contain_text("not an AI")
    expect(box(page)).to_have_value("")
    expect(page.get_by_role("status", name="Activity")).to_have_text("")


def test_send_and_stream_every_kind_of_markdown(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "Show me every kind of Markdown")
    activity = page.get_by_role("status", name="Activity")
    expect(page.get_by_role("article", name="You")).to_be_visible()
    expect(box(page)).to_have_value("")
    expect(activity).to_have_text("Assistant is typing…")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    answer = answers(page)
    expect(answer).to_have_attribute("data-status", "streaming")
    settled(answer)
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    for role in ("heading", "list", "table", "checkbox", "blockquote", "link"):
        expect(answer.get_by_role(role).first).to_be_attached()
    expect(answer.locator("pre code span[class]").first).to_be_attached()
    expect(answer.get_by_role("button", name="Copy code").first).to_be_attached()
    link = answer.get_by_role("link").first
    assert link.get_attribute("rel") == "noopener noreferrer nofollow"


def test_what_was_streamed_is_what_a_reload_shows(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "Show me every kind of Markdown")
    answer = answers(page)
    settled(answer)
    streamed = rendered(answer)
    page.reload()
    settled(answer)
    assert rendered(answer) == streamed


def test_stop_keeps_what_came(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "/long 2000")
    answer = answers(page)
    expect(answer.locator(".body p").first).to_contain_text(re.compile(r"\w+ \w+ \w+"))
    page.get_by_role("button", name="Stop").click()
    settled(answer, "stopped")
    # Not `inner_text`, which is empty for what the browser has not laid out yet.
    kept = answer.locator(".body").text_content() or ""
    assert len(kept) > 5
    expect(answer).to_contain_text("You stopped this answer.")
    page.reload()
    settled(answer, "stopped")
    assert answer.locator(".body").text_content() == kept


def test_escape_stops_too(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "/long 2000")
    expect(answers(page).locator(".body p").first).to_be_visible()
    page.keyboard.press("Escape")
    settled(answers(page), "stopped")


def test_a_failure_is_a_sentence_and_a_retry_keeps_the_first_try(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "/fail 500")
    first = answers(page)
    settled(first, "failed")
    alert = first.get_by_role("alert")
    expect(alert).to_contain_text("demo")
    failed_id = first.get_attribute("data-message-id")
    alert.get_by_role("button", name="Retry").click()
    expect(answers(page)).not_to_have_attribute("data-message-id", failed_id or "")
    settled(answers(page), "failed")
    expect(page.get_by_role("article", name="You")).to_have_text("/fail 500")
    answers(page).get_by_role("button", name="Previous version").click()
    expect(answers(page)).to_have_attribute("data-message-id", failed_id or "")


@pytest.mark.parametrize(
    ("command", "status", "says", "step"),
    [
        ("/fail 429", "failed", "Try again in 12 s|wait|limit", "Retry in"),
        ("/fail 401", "failed", "key", "Add a key"),
        ("/fail 404", "failed", "model", "Choose another model"),
        ("/fail long", "failed", "takes 4,096", "Edit the question"),
        ("/fail param", "failed", "stream_options", "Send without stream_options"),
        ("/fail cut", "interrupted", "closed the stream", "Retry"),
        ("/fail filter", "filtered", "filter", "Edit the question"),
    ],
)
def test_failures_in_words(page: Page, server: Server, command: str, status: str, says: str, step: str) -> None:
    open_new(page, server)
    ask(page, command)
    settled(answers(page), status)
    alert = answers(page).get_by_role("alert")
    expect(alert).to_contain_text(re.compile(says, re.IGNORECASE))
    expect(alert.get_by_role("button", name=re.compile(step))).to_be_visible()
    expect(page.get_by_text("Traceback")).to_have_count(0)


def test_a_question_that_was_too_long_is_edited_in_its_place(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "/fail long")
    settled(answers(page), "failed")
    answers(page).get_by_role("button", name="Edit the question").click()
    editor = page.get_by_role("textbox", name="Edit the question")
    expect(editor).to_have_value("/fail long")
    editor.fill("Shorter")
    page.get_by_role("button", name="Ask again").click()
    settled(answers(page))


def test_conversations_open_rename_delete_undo(page: Page, own_server: Server) -> None:
    own_server.start()
    open_new(page, own_server)
    ask(page, "First question about apples")
    settled(answers(page))
    first_url = page.url
    page.get_by_role("button", name="New chat").click()
    expect(page.get_by_role("article")).to_have_count(0)
    assert "c=" not in page.url
    ask(page, "Second question about pears")
    settled(answers(page))
    rows = page.get_by_role("navigation", name="Conversations").get_by_role("link")
    expect(rows).to_have_count(2)
    expect(rows.first).to_have_attribute("aria-current", "page")
    rows.nth(1).click()
    expect(page.get_by_role("article", name="You")).to_have_text("First question about apples")
    assert page.url == first_url
    page.go_back()
    expect(page.get_by_role("article", name="You")).to_have_text("Second question about pears")

    nav = page.get_by_role("navigation", name="Conversations")
    nav.get_by_role("button", name=re.compile("^More for")).first.click()
    page.get_by_role("menuitem", name="Rename").click()
    nav.get_by_role("textbox", name="Title").fill("All about pears")
    nav.get_by_role("textbox", name="Title").press("Enter")
    expect(nav.get_by_role("link", name="All about pears")).to_be_visible()
    expect(page).to_have_title("All about pears – Panelist")

    from_menu(page, "All about pears", "Delete")
    expect(rows).to_have_count(1)
    expect(page.get_by_role("article")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(nav.get_by_role("link", name="All about pears")).to_be_visible()
    page.reload()
    expect(rows).to_have_count(2)


def test_it_is_there_tomorrow(page: Page, own_server: Server) -> None:
    own_server.start()
    open_new(page, own_server)
    ask(page, "Remember me")
    settled(answers(page))
    text = answers(page).locator(".body").text_content()
    box(page).fill("and a draft")
    own_server.end(signal.SIGTERM)
    expect(page.get_by_role("alert").filter(has_text="Connection lost")).to_be_visible(timeout=3_000)
    own_server.start()
    expect(page.get_by_text("Connection lost")).to_be_hidden(timeout=30_000)  # it comes back by itself
    expect(page.get_by_role("article", name="You")).to_have_text("Remember me")
    expect(box(page)).to_have_value("and a draft")
    assert answers(page).locator(".body").text_content() == text
    expect(page.get_by_role("navigation", name="Conversations").get_by_role("link")).to_have_count(1)


def test_a_retry_is_seen_and_can_be_stopped(page: Page, own_server: Server) -> None:
    own_server.start()
    open_new(page, own_server)
    ask(page, "/fail 429")
    activity = page.get_by_role("status", name="Activity")
    expect(activity).to_have_text(re.compile(r"Retrying in 1\d s \(2 of 3\)"))
    expect(activity).to_have_text(re.compile(r"Retrying in [1-9] s \(2 of 3\)"))
    page.get_by_role("button", name="Stop").click()
    settled(answers(page), "failed")
    expect(answers(page).get_by_role("alert")).to_contain_text("wait")


def test_a_name_that_is_typed_answers_with_and_without_enter(page: Page, server: Server) -> None:
    open_new(page, server)
    picker = page.get_by_role("combobox", name="Model")
    picker.fill("my-own-model")
    picker.press("Enter")
    expect(box(page)).to_have_attribute("placeholder", "Message my-own-model")
    ask(page, "hello")
    settled(answers(page))
    expect(picker).to_have_value("my-own-model · demo")
    picker.fill("panelist-demo-thinking")
    ask(page, "hello again")
    settled(answers(page).nth(1))
    expect(answers(page).nth(1)).to_contain_text("panelist-demo-thinking")
    expect(answers(page).nth(1).get_by_text(re.compile("^Thought"))).to_be_visible()


def test_dark_mode_is_remembered(page: Page, server: Server) -> None:
    open_new(page, server)
    light = page.get_by_role("log").evaluate("node => getComputedStyle(node).color")
    page.get_by_role("button", name="Toggle theme").click()
    expect(page.get_by_role("log")).not_to_have_css("color", light)
    page.wait_for_function("document.cookie.includes('panelist_theme=dark')")
    page.reload()
    expect(page.get_by_role("log")).not_to_have_css("color", light)


def test_the_systems_dark_mode_is_followed_at_first(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    page.emulate_media(color_scheme="dark")
    open_new(page, server)
    expect(page.locator(".mui-dark").first).to_be_attached()


def test_a_phone(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": 390, "height": 780})
    page.goto(server.url)
    expect(box(page)).to_be_visible()
    expect(page.get_by_role("navigation", name="Conversations")).to_be_hidden()
    ask(page, "Show me every kind of Markdown")
    settled(answers(page))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    log = page.get_by_role("log")
    assert log.evaluate("node => node.scrollWidth <= node.clientWidth")
    page.get_by_role("button", name="Open drawer").click()
    expect(page.get_by_role("navigation", name="Conversations")).to_be_visible()
    page.get_by_role("button", name="New chat").click()
    expect(page.get_by_role("navigation", name="Conversations")).to_be_hidden()
    expect(page.get_by_role("article")).to_have_count(0)


def test_by_keyboard_alone(page: Page, server: Server) -> None:
    open_new(page, server)
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    expect(box(page)).to_have_value("one\ntwo")
    expect(page.get_by_role("article")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.get_by_role("article", name="You")).to_have_text("one\ntwo")
    settled(answers(page))
    page.keyboard.press("Shift+Tab")
    names = []
    for _ in range(25):
        focused = page.evaluate(
            "() => { let e = document.activeElement;"
            " while (e?.shadowRoot?.activeElement) e = e.shadowRoot.activeElement;"
            " return e?.getAttribute('aria-label') || e?.textContent?.trim() || e?.tagName }"
        )
        names.append(focused)
        page.keyboard.press("Shift+Tab")
    assert "Conversation" in names
    assert any("New chat" in str(name) for name in names)
    page.keyboard.press("Control+Shift+O")
    expect(page.get_by_role("article")).to_have_count(0)
    page.get_by_role("log").focus()
    page.keyboard.press("?")
    expect(page.get_by_text("Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")


def test_enter_that_ends_a_composition_does_not_send(page: Page, server: Server) -> None:
    open_new(page, server)
    box(page).fill("にほん")
    box(page).evaluate(
        "node => node.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true}))"
    )
    expect(box(page)).to_have_value("にほん")
    expect(page.get_by_role("article")).to_have_count(0)


def test_a_draft_survives_a_reload(page: Page, server: Server) -> None:
    open_new(page, server)
    box(page).fill("half a thought")
    page.reload()
    expect(box(page)).to_have_value("half a thought")
    box(page).fill("")


def test_text_of_others_never_runs(page: Page, server: Server) -> None:
    open_new(page, server)
    page.evaluate("window.canary = 0")
    hostile = '<img src=x onerror="canary=1"><script>canary=1</script>[x](javascript:canary=1)<svg onload=canary=1>'
    ask(page, hostile)
    settled(answers(page))
    expect(page.get_by_role("article", name="You")).to_contain_text("<script>canary=1</script>")
    nav = page.get_by_role("navigation", name="Conversations")
    nav.get_by_role("button", name=re.compile("^More for")).first.click()
    page.get_by_role("menuitem", name="Rename").click()
    nav.get_by_role("textbox", name="Title").fill(hostile[:100])
    nav.get_by_role("textbox", name="Title").press("Enter")
    expect(nav.get_by_role("link").first).to_contain_text("<img src=x")
    nav.get_by_role("button", name=re.compile("^More for")).first.click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.get_by_role("status", name="Notices")).to_contain_text("<img src=x")
    assert page.evaluate("window.canary") == 0
    assert page.locator("article img, article script, article svg[onload]").count() == 0


def test_a_long_question_is_shown_short_until_asked(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "x" * 9_000)
    settled(answers(page))
    you = page.get_by_role("article", name="You")
    you.get_by_role("button", name="Show all 9,000 characters").click()
    expect(you.locator(".body")).to_have_text("x" * 9_000)


def test_blank_text_is_not_sent(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "   ")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    expect(page.get_by_role("article")).to_have_count(0)


def grows_beyond(log: Locator, height: str) -> None:
    """Wait until the log's content is higher than an expression over `node` says."""
    look = f"() => node.scrollHeight > {height} ? done() : setTimeout(look, 50)"
    log.evaluate(f"node => new Promise(done => {{ const look = {look}; look() }})")


def test_scrolling_up_sets_the_reader_free(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "/long 1500")
    log = page.get_by_role("log")
    expect(page.get_by_role("button", name="Jump to latest")).to_be_hidden()
    grows_beyond(log, "node.clientHeight + 300")
    log.hover()
    page.mouse.wheel(0, -200)
    expect(page.get_by_role("button", name="Jump to latest")).to_be_visible()
    top = log.evaluate("node => node.scrollTop")
    height = log.evaluate("node => node.scrollHeight")
    grows_beyond(log, f"{height} + 100")
    assert log.evaluate("node => node.scrollTop") == top
    page.get_by_role("button", name="Jump to latest").click()
    expect(page.get_by_role("button", name="Jump to latest")).to_be_hidden()
    page.get_by_role("button", name="Stop").click()
    settled(answers(page), "stopped")


def test_a_key_is_tried_and_never_kept_where_it_should_not_be(page: Page, own_server: Server, aimock: str) -> None:
    own_server.start()
    open_new(page, own_server)
    page.get_by_role("button", name="Connect a model").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("No model server was found on this machine")).to_be_visible()
    dialog.get_by_label("Base URL").fill("ftp://nowhere")
    dialog.get_by_role("button", name="Test").click()
    expect(dialog.get_by_text("The base URL must start with http:// or https://.")).to_be_visible()
    dialog.get_by_label("Base URL").fill(aimock)
    dialog.get_by_role("textbox", name="API key").fill(SHAPED)
    dialog.get_by_role("button", name="Test").click()
    expect(dialog.get_by_text("It works:")).to_be_visible()
    dialog.get_by_role("button", name="Use it").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("combobox", name="Model")).not_to_have_value(re.compile("demo"))
    assert "canary" not in page.content()
    assert "canary" not in own_server.log
    page.get_by_role("button", name="Connect a model").first.click()
    dialog.get_by_role("button", name="Use the demo").click()
    expect(page.get_by_role("combobox", name="Model")).to_have_value("panelist-demo · demo")
    own_server.end(signal.SIGTERM)
    with sqlite3.connect(own_server.folder / "data" / "panelist.db") as database:
        assert not [line for line in database.iterdump() if "canary" in line]


class WebPage(http.server.BaseHTTPRequestHandler):
    """A web server that is no API, and whose pages hold what must not be shown."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html><h1>![x](http://evil.invalid/x.png) <img src=x onerror=canary=1></h1></html>")

    def log_message(self, *_: object) -> None:
        return None


def test_an_address_that_is_no_api_is_told_and_shown_as_text(page: Page, server: Server) -> None:
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), WebPage)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        open_new(page, server)
        page.evaluate("window.canary = 0")
        page.get_by_role("button", name="Connect a model").first.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Base URL").fill(f"http://127.0.0.1:{web.server_port}/v1")
        dialog.get_by_role("button", name="Test").click()
        expect(dialog.get_by_role("alert")).to_contain_text("web page")
        assert page.evaluate("window.canary") == 0
        assert dialog.locator("img").count() == 0
    finally:
        web.shutdown()
        web.server_close()


def test_a_megabyte_is_sent_and_kept(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "0123456789abcde " * 65_536)
    settled(answers(page))
    expect(page.get_by_role("article", name="You").get_by_role("button", name="Show all")).to_be_visible()
    page.reload()
    expect(page.get_by_role("article", name="You")).to_contain_text("0123456789abcde")


def test_more_than_the_limit_is_refused_and_kept(page: Page, server: Server) -> None:
    open_new(page, server)
    box(page).evaluate(
        "node => { node.value = 'x'.repeat(2000001); node.dispatchEvent(new InputEvent('input', {bubbles: true})) }"
    )
    box(page).press("Enter")
    expect(page.get_by_role("alert").filter(has_text="2,000,001 characters")).to_be_visible()
    assert box(page).evaluate("node => node.value.length") == 2_000_001
    page.reload()
    expect(box(page)).to_be_visible()  # a draft of megabytes does not stop the next visit
