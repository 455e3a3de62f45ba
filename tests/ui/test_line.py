"""Nothing is lost on a line that is cut, silent or slow, nor while a machine sleeps; the page comes back by itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.canary import WATCH
from tests.ui.acts import (
    answers,
    ask,
    box,
    live_sessions,
    loses,
    lost,
    open_new,
    outgoing,
    questions,
    settled,
    shown,
    stored,
    until,
)
from tests.ui.conftest import COUNTED_SESSIONS, LONG_FORM, SHORT_SESSIONS, Server
from tests.ui.line import Line
from tests.ui.model import WORDS, Model

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("how", "seconds"),
    [
        ("cut", 5),
        ("silent", 0),
        ("offline", 0),
        pytest.param("cut", 40, marks=LONG_FORM),
        pytest.param("silent", 40, marks=LONG_FORM),
        pytest.param("offline", 40, marks=LONG_FORM),
    ],
)
def test_a_line_that_is_gone_for_a_while(
    context: BrowserContext, far: Server, line: Line, model: Model, how: str, seconds: int
) -> None:
    page = context.new_page()
    open_new(page, far)
    ask(page, "The line goes")
    model.write(10)
    shown(answers(page), 10)
    written = answers(page).get_attribute("data-message-id") or ""
    box(page).press_sequentially("a draft")
    page.evaluate("window.notReloaded = true")
    end = time.monotonic() + seconds
    match how:
        case "cut":
            line.cut()
        case "silent":
            line.hold()
        case "offline":
            context.set_offline(True)
    loses(page)
    model.write()
    until(lambda: stored(far, "select status from messages where id = ?", written) == [("complete",)], "the end")
    page.wait_for_timeout(max(0.0, end - time.monotonic()) * 1000)
    expect(lost(page)).to_be_visible()
    expect(box(page)).to_have_value("a draft")
    line.mend()
    context.set_offline(False)
    back = time.perf_counter()
    expect(lost(page)).to_be_hidden(timeout=30_000)
    settled(answers(page))
    print(f"all there again {time.perf_counter() - back:.1f} s after the line")  # noqa: T201 - the report
    expect(answers(page)).to_have_attribute("data-message-id", written)
    shown(answers(page), WORDS)
    expect(box(page)).to_have_value("a draft")
    if how != "cut":  # the connection is still the same one
        assert page.evaluate("window.notReloaded")


def test_a_line_that_breaks_while_the_page_comes(chromium: Browser, far: Server, line: Line, model: Model) -> None:
    context = chromium.new_context()  # not the fixture's: scripts that are missing are errors in the page
    context.on("page", WATCH.listen)
    page = context.new_page()
    model.write()
    open_new(page, far)
    ask(page, "Are you there?")
    settled(answers(page))
    box(page).press_sequentially("a draft")

    line.refuse_sockets()
    page.reload()
    expect(page.get_by_text("Connection with the server could not be established")).to_be_visible()
    line.mend()
    settled(answers(page))
    expect(box(page)).to_have_value("a draft")

    page.route("**/bokeh.min.js*", lambda route: route.abort())
    page.reload()
    page.wait_for_function("() => history.state.tries")
    page.unroute("**/bokeh.min.js*")
    settled(answers(page))
    expect(box(page)).to_have_value("a draft")
    WATCH.look_at(context)
    context.close()


def test_a_slow_line_loses_no_letter_and_sends_once(page: Page, far: Server, line: Line, model: Model) -> None:
    open_new(page, far)
    line.slow(0.3)
    ask(page, "Write while I type")
    expect(box(page)).to_have_value("")
    typed = "".join(chr(ord("a") + number % 26) if number % 7 else " " for number in range(1, 201))
    for number in range(20):
        page.keyboard.type(typed[number * 10 :][:10])
        model.write((number + 1) * 4)
    expect(box(page)).to_have_value(typed)
    shown(answers(page), 80)
    expect(box(page)).to_have_value(typed)
    model.write()
    settled(answers(page))
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_hidden()

    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    settled(answers(page).nth(1))
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_hidden()
    box(page).fill("Sent with two clicks")
    page.get_by_role("button", name="Send").dblclick()
    settled(answers(page).nth(2))
    expect(page.get_by_role("article", name="You")).to_have_text(["Write while I type", typed, "Sent with two clicks"])
    expect(box(page)).to_have_value("")
    assert questions(far, typed) == 1
    assert questions(far, "Sent with two clicks") == 1

    ask(page, "On its way for a while")
    page.keyboard.type("typed before it was stored")
    expect(page.get_by_role("article", name="You").last).to_have_text("On its way for a while")
    expect(box(page)).to_have_value("typed before it was stored")


def test_a_word_of_storage_that_never_came(page: Page, far: Server, line: Line, model: Model) -> None:
    open_new(page, far)
    for text in ("Stored in a new conversation?", "And in an open one?"):
        model.write(0)
        line.hold(up=False)
        ask(page, text)
        until(lambda: questions(far, text) == 1, "the question is stored")  # noqa: B023 - waits for it in this round
        line.cut()
        loses(page)
        expect(outgoing(page)).to_contain_text("Sent when the connection is back")
        expect(outgoing(page).get_by_role("listitem")).to_have_text(text)
        model.write()
        line.mend()
        expect(lost(page)).to_be_hidden(timeout=30_000)
        expect(outgoing(page)).to_be_hidden()
        expect(box(page)).to_have_value("")
        expect(page.get_by_role("article", name="You").last).to_have_text(text)
        settled(answers(page).last)
        assert questions(far, text) == 1
        assert model.asked.count(text) == 1


@contextmanager
def asleep(browser: Browser) -> Iterator[None]:
    """Let the pages of a browser sleep, as a machine does whose lid is closed: they run no timer and hear nothing."""
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    pages = [process["id"] for process in processes if process["type"] == "renderer"]
    for page in pages:
        os.kill(page, signal.SIGSTOP)
    try:
        yield
    finally:
        for page in pages:
            os.kill(page, signal.SIGCONT)


def test_hours_asleep(page: Page, chromium: Browser, own_server: Server, model: Model) -> None:
    model.write()
    line = Line(own_server.port)
    own_server.front = line.port
    own_server.environ |= model.environ
    life_s = 5
    own_server.options = (*SHORT_SESSIONS, *COUNTED_SESSIONS, "--session-token-expiration", str(life_s))
    own_server.start()
    try:
        open_new(page, own_server)
        born = time.time()
        ask(page, "Good night")
        settled(answers(page))
        box(page).press_sequentially("a draft")
        with asleep(chromium):
            line.hold()
            line.forget()
            until(lambda: live_sessions(own_server) == 0, "the server has forgotten the page")
            until(lambda: time.time() > born + life_s, "the page's token has ended")
        woken = time.perf_counter()
        until(lambda: live_sessions(own_server) > 0, "the page is back")
        print(f"back {time.perf_counter() - woken:.1f} s after it woke")  # noqa: T201 - the report
        expect(lost(page)).to_be_hidden(timeout=30_000)
        expect(page.get_by_role("article", name="You")).to_have_text("Good night")
        settled(answers(page))
        expect(box(page)).to_have_value("a draft")
        ask(page, "Good morning")
        settled(answers(page).nth(1))
    finally:
        line.close()
