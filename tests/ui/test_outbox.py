"""What was sent and is not stored yet, drafts, and who has the keyboard."""

from __future__ import annotations

import signal

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.ui.acts import (
    answers,
    ask,
    box,
    conversation,
    from_menu,
    live,
    locked,
    lost,
    new_chat,
    open_new,
    outgoing,
    questions,
    queue,
    settled,
    shown,
    until,
)
from tests.ui.conftest import LONG_FORM, Server
from tests.ui.line import Line
from tests.ui.model import Model

pytestmark = pytest.mark.browser


def test_three_messages_on_a_slow_line_stay_three(page: Page, far: Server, line: Line, model: Model) -> None:
    open_new(page, far)
    line.slow(0.6)
    for text in ("the first", "the second", "the third"):
        ask(page, text)
        expect(box(page)).to_have_value("")
    expect(outgoing(page).get_by_role("listitem")).to_have_text(["the first", "the second", "the third"])
    outgoing(page).get_by_role("button", name="Edit unsent message").last.click()
    expect(box(page)).to_have_value("the third")
    box(page).press("End")
    page.keyboard.type(", changed")
    page.keyboard.press("Enter")
    expect(outgoing(page)).to_be_hidden()
    expect(queue(page).get_by_role("listitem")).to_have_text(["the second", "the third, changed"])
    line.mend()
    model.write()
    expect(page.get_by_role("article", name="You")).to_have_text(["the first", "the second", "the third, changed"])
    settled(answers(page).nth(2))


def test_a_refusal_holds_what_was_sent_behind_it(page: Page, far: Server, model: Model) -> None:
    model.write()
    open_new(page, far)
    ask(page, "Before the trouble")
    settled(answers(page))
    with locked(far):
        ask(page, "Refused")
        ask(page, "Behind it")
        expect(box(page)).to_have_value("Refused", timeout=30_000)
        expect(outgoing(page)).to_contain_text("Not sent yet, because the message before was refused")
        page.reload()
        expect(box(page)).to_have_value("Refused")
        expect(outgoing(page).get_by_role("listitem")).to_have_text("Behind it")
    expect(page.get_by_role("alert").filter(has_text="Reading goes on")).to_be_hidden()
    box(page).press("Enter")
    expect(page.get_by_role("article", name="You")).to_have_text(["Before the trouble", "Refused", "Behind it"])
    settled(answers(page).nth(2))
    assert questions(far, "Refused") == questions(far, "Behind it") == 1


def test_what_was_sent_survives_a_reload_and_is_sent_once(page: Page, far: Server, line: Line, model: Model) -> None:
    model.write()
    open_new(page, far)
    ask(page, "Stored in time")
    settled(answers(page))
    line.hold()
    for text in ("swallowed by the line", "and this one"):
        ask(page, text)
    line.mend()
    page.reload()
    expect(page.get_by_role("article", name="You")).to_have_text(
        ["Stored in time", "swallowed by the line", "and this one"]
    )
    settled(answers(page).nth(2))
    expect(box(page)).to_have_value("")
    expect(outgoing(page)).to_be_hidden()
    assert questions(far, "swallowed by the line") == questions(far, "and this one") == 1


def test_letters_behind_a_new_chat_belong_to_it(page: Page, far: Server, line: Line, model: Model) -> None:
    model.write()
    open_new(page, far)
    ask(page, "The old chat")
    settled(answers(page))
    line.slow(0.3)
    page.keyboard.type("left behind")
    page.keyboard.press("Control+Shift+O")
    page.keyboard.type("typed at once")
    expect(page.get_by_role("article")).to_have_count(0)
    page.keyboard.type(", and after")
    expect(box(page)).to_have_value("typed at once, and after")
    line.mend()
    conversation(page, "The old chat")
    expect(box(page)).to_have_value("left behind")
    new_chat(page)
    expect(box(page)).to_have_value("typed at once, and after")
    box(page).fill("")


def test_a_queued_message_is_edited_in_one_tab(context: BrowserContext, page: Page, far: Server, line: Line) -> None:
    open_new(page, far)
    ask(page, "An answer that takes its time")
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    ask(page, "Taken by one")
    other = context.new_page()
    other.goto(page.url)
    for tab in (page, other):
        expect(queue(tab).get_by_role("listitem")).to_have_text("Taken by one")
    line.slow(0.5)
    for tab in (page, other):
        queue(tab).get_by_role("button", name="Edit queued message").click()
    for tab in (page, other):
        expect(queue(tab)).to_be_hidden()
    page.wait_for_timeout(2_000)  # a second text would come by now
    assert sorted([box(page).input_value(), box(other).input_value()]) == ["", "Taken by one"]


@LONG_FORM
def test_two_tabs_keep_their_own_drafts(context: BrowserContext, page: Page, far: Server, model: Model) -> None:
    model.write()
    open_new(page, far)
    ask(page, "Shared")
    settled(answers(page))
    other = context.new_page()
    other.goto(page.url)
    settled(answers(other))
    box(page).press_sequentially("one thought")
    box(other).press_sequentially("another thought")
    for tab in (page, other):
        tab.reload()
    expect(box(page)).to_have_value("one thought")
    expect(box(other)).to_have_value("another thought")
    box(other).press("Enter")
    settled(answers(other).nth(1))
    page.reload()
    expect(box(page)).to_have_value("one thought")


@LONG_FORM
def test_back_twice_in_a_hurry(page: Page, far: Server, line: Line, model: Model) -> None:
    model.write()
    open_new(page, far)
    for name in ("One", "Two", "Three"):
        ask(page, name)
        settled(answers(page))
        if name != "Three":
            new_chat(page)
    line.slow(0.3)
    count = page.evaluate("history.length")
    page.evaluate("history.go(-2)")
    page.wait_for_timeout(100)
    page.evaluate("history.go(-2)")
    expect(page.get_by_role("article", name="You")).to_have_text("One")
    assert page.evaluate("history.length") == count
    page.evaluate("history.go(4)")
    expect(page.get_by_role("article", name="You")).to_have_text("Three")


def test_a_conversation_that_is_deleted_elsewhere(
    context: BrowserContext, page: Page, far: Server, model: Model
) -> None:
    model.write()
    open_new(page, far)
    ask(page, "Deleted elsewhere")
    settled(answers(page))
    other = context.new_page()
    other.goto(far.url)
    from_menu(other, "Deleted elsewhere", "Delete")
    expect(page.get_by_text("That conversation was deleted.")).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("article", name="You")).to_have_text("Deleted elsewhere")


@LONG_FORM
def test_a_rename_keeps_the_keyboard(page: Page, far: Server, model: Model) -> None:
    open_new(page, far)
    ask(page, "Call it something")
    ask(page, "and wait")
    from_menu(page, "Call it something", "Rename")
    title = page.get_by_role("textbox", name="Title")
    expect(title).to_be_focused()
    model.write(20)
    shown(answers(page), 20)
    model.write()
    settled(answers(page).nth(1))
    expect(title).to_be_focused()
    page.keyboard.type("Named")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Named", exact=True)).to_be_visible()


def test_a_server_that_ends_says_so(page: Page, own_server: Server, model: Model) -> None:
    own_server.environ |= model.environ
    model.write(10)
    own_server.start()
    open_new(page, own_server)
    ask(page, "Until the end")
    shown(answers(page), 10)
    page.evaluate("""() => {
        window.said = []
        const look = () => { for (const alert of document.querySelectorAll("*")) { walk(alert) } }
        const walk = (node) => {
            if (node.shadowRoot) { for (const inner of node.shadowRoot.querySelectorAll("*")) { walk(inner) } }
            if (node.getAttribute?.("role") === "alert" && node.textContent) { window.said.push(node.textContent) }
        }
        setInterval(look, 20)
    }""")
    process = own_server.process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    own_server.process = None
    assert any("shutting down" in said for said in page.evaluate("window.said"))
    settled(answers(page), "interrupted")
    own_server.start()
    expect(lost(page)).to_be_hidden(timeout=30_000)
    until(lambda: questions(own_server, "Until the end") == 1, "the question is still there")
    settled(answers(page), "interrupted")


@LONG_FORM
def test_a_click_in_the_list_survives_a_change_of_the_list(
    context: BrowserContext, page: Page, far: Server, model: Model
) -> None:
    model.write()
    open_new(page, far)
    for name in ("Changed elsewhere", "Clicked"):
        ask(page, name)
        settled(answers(page))
        new_chat(page)
    other = context.new_page()
    open_new(other, far)

    def rename(title: str, to: str) -> None:
        from_menu(other, title, "Rename")
        expect(other.get_by_role("textbox", name="Title")).to_be_focused()
        other.keyboard.type(to)
        other.keyboard.press("Enter")
        expect(page.get_by_role("link", name=to)).to_be_visible()

    page.get_by_role("button", name="More for Clicked").hover()
    page.mouse.down()
    rename("Changed elsewhere", "Changed once")
    page.mouse.up()
    page.get_by_role("menuitem", name="Rename").click()
    expect(page.get_by_role("textbox", name="Title")).to_be_focused()
    rename("Changed once", "Changed twice")
    page.keyboard.type("Renamed in peace")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Renamed in peace")).to_be_focused()


def test_a_new_chat_is_another_one_than_the_one_before(page: Page, far: Server, line: Line, model: Model) -> None:
    model.write()
    open_new(page, far)
    line.slow(0.6)
    ask(page, "one chat")
    page.keyboard.press("Control+Shift+O")
    ask(page, "another chat")
    page.get_by_role("button", name="New chat").click()
    box(page).press_sequentially("for the third")
    expect(page.get_by_role("link", name="another chat")).to_be_visible()
    line.mend()
    expect(page.get_by_role("link", name="one chat")).to_be_visible()
    expect(box(page)).to_have_value("for the third")
    expect(page.get_by_role("article")).to_have_count(0)
    conversation(page, "one chat")
    expect(page.get_by_role("article", name="You")).to_have_text("one chat")
    expect(box(page)).to_have_value("")


@LONG_FORM
def test_the_draft_of_another_new_chat_stays_there(
    context: BrowserContext, page: Page, far: Server, model: Model
) -> None:
    model.write()
    other = context.new_page()
    open_new(page, far)
    open_new(other, far)
    box(other).press_sequentially("another thought")
    other.wait_for_function("() => localStorage.getItem('panelist.draft.new') === 'another thought'")
    ask(page, "Begins a conversation")
    settled(answers(page))
    expect(box(page)).to_have_value("")
    other.close()
    new_chat(page)
    expect(box(page)).to_have_value("another thought")


@LONG_FORM
def test_a_refused_text_that_was_given_up_may_be_sent_anew(page: Page, far: Server, model: Model) -> None:
    model.write()
    open_new(page, far)
    ask(page, "The beginning")
    settled(answers(page))
    with locked(far):
        ask(page, "yes")
        expect(box(page)).to_have_value("yes", timeout=30_000)
        new_chat(page)
        expect(page.get_by_role("alert").filter(has_not_text="Reading goes on")).to_be_hidden()
        conversation(page, "The beginning")
        expect(page.get_by_role("alert").filter(has_not_text="Reading goes on")).to_contain_text("Another program")
    box(page).fill("")
    for count in (1, 2):
        ask(page, "yes")
        settled(answers(page).nth(count))
        expect(box(page)).to_have_value("")
    assert questions(far, "yes") == 2


def test_what_a_deleted_conversation_refuses_is_not_buried_with_it(
    context: BrowserContext, page: Page, far: Server, line: Line, model: Model
) -> None:
    model.write()
    open_new(page, far)
    ask(page, "Soon deleted")
    settled(answers(page))
    other = context.new_page()
    open_new(other, far)
    other.get_by_role("button", name="More for Soon deleted").click()
    line.slow(0.5)
    other.get_by_role("menuitem", name="Delete").click()
    ask(page, "a long thought")
    expect(page.get_by_role("alert").filter(has_text="was deleted")).to_be_visible()
    expect(box(page)).to_have_value("a long thought")
    line.mend()
    box(page).press("Enter")
    expect(page.get_by_role("article", name="You")).to_have_text("a long thought")
    settled(answers(page))


def test_the_outbox_of_a_living_tab_is_its_own(context: BrowserContext, page: Page, far: Server, model: Model) -> None:
    model.write()
    open_new(page, far)
    ask(page, "In two tabs")
    settled(answers(page))
    with locked(far):
        ask(page, "refused")
        ask(page, "behind it")
        expect(box(page)).to_have_value("refused", timeout=30_000)
    other = context.new_page()
    other.goto(page.url)
    live(other)
    expect(box(other)).to_have_value("refused")  # the draft that was kept last
    expect(outgoing(other)).to_be_hidden()
    outgoing(page).get_by_role("button", name="Edit unsent message").click()
    expect(box(page)).to_have_value("refused\n\nbehind it")
    page.close()
    other.reload()
    live(other)
    box(other).fill("something else")
    box(other).press("Enter")
    settled(answers(other).nth(1))
    expect(asked(other)).to_have_text(["In two tabs", "something else"])


def asked(page: Page) -> Locator:
    return page.get_by_role("article", name="You")


@LONG_FORM
def test_a_link_is_followed_by_what_is_typed_behind_it(page: Page, far: Server, line: Line, model: Model) -> None:
    model.write()
    open_new(page, far)
    ask(page, "Where it belongs")
    settled(answers(page))
    new_chat(page)
    ask(page, "Where one was")
    settled(answers(page))
    line.slow(0.3)
    page.get_by_role("link", name="Where it belongs").click()
    ask(page, "typed at once")
    line.mend()
    expect(asked(page)).to_have_text(["Where it belongs", "typed at once"])
    settled(answers(page).nth(1))


def test_a_browser_that_keeps_nothing(page: Page, far: Server, model: Model) -> None:
    page.add_init_script(
        """for (const name of ["localStorage", "sessionStorage"]) {
            Object.defineProperty(window, name, {get() { throw new DOMException("denied", "SecurityError") }})
        }"""
    )
    model.write()
    open_new(page, far)
    for number, text in enumerate(("sent without storage", "and again")):
        ask(page, text)
        settled(answers(page).nth(number))
    expect(asked(page)).to_have_text(["sent without storage", "and again"])


@LONG_FORM
def test_a_refused_message_that_is_changed_keeps_its_place(page: Page, far: Server, model: Model) -> None:
    model.write()
    open_new(page, far)
    ask(page, "Before")
    settled(answers(page))
    with locked(far):
        for text in ("one", "two"):
            ask(page, text)
        expect(box(page)).to_have_value("one", timeout=30_000)
        box(page).fill("")
        expect(outgoing(page).get_by_role("button", name="Send unsent messages")).to_be_visible()
    ask(page, "something else")
    expect(asked(page)).to_have_text(["Before", "something else", "two"])
    settled(answers(page).nth(2))


def test_a_reload_right_behind_the_first_message(page: Page, far: Server, line: Line, model: Model) -> None:
    model.write()
    open_new(page, far)
    line.slow(0.1)
    ask(page, "The first of all")
    page.wait_for_timeout(60)
    page.reload()
    line.mend()
    expect(asked(page)).to_have_text("The first of all")
    settled(answers(page))
    assert questions(far, "The first of all") == 1
