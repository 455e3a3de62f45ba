"""Nothing is ever lost: pages that are reloaded, closed or doubled, servers that die, storage that refuses."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.ui.acts import (
    answers,
    ask,
    body,
    box,
    conversation,
    live_sessions,
    locked,
    loses,
    lost,
    new_chat,
    open_new,
    questions,
    settled,
    shown,
    stored,
    until,
)
from tests.ui.conftest import Server, free_port
from tests.ui.model import WORDS, Model

pytestmark = pytest.mark.browser


def test_a_reload_in_the_middle_of_an_answer(context: BrowserContext, far: Server, model: Model) -> None:
    page, calm = context.new_page(), context.new_page()
    open_new(page, far)
    ask(page, "Reload me")
    model.write(10)
    shown(answers(page), 10)
    written = answers(page).get_attribute("data-message-id") or ""
    calm.goto(page.url)
    shown(answers(calm), 10)

    page.reload()
    loaded = time.perf_counter()
    answers(page).get_by_text("w010").wait_for(timeout=5_000)
    waited = time.perf_counter() - loaded
    print(f"the answer so far was shown {waited:.2f} s after the load")  # noqa: T201 - the report
    expect(answers(page)).to_have_attribute("data-message-id", written)
    expect(answers(page)).to_have_attribute("data-status", "streaming")
    model.write(30)
    shown(answers(page), 30)
    expect(answers(page)).to_have_attribute("data-status", "streaming")
    model.write()
    settled(answers(page))
    settled(answers(calm))
    expect(answers(page)).to_have_attribute("data-message-id", written)
    shown(answers(page), WORDS)
    assert body(page) == body(calm)


def test_a_server_that_is_killed_while_it_writes(page: Page, own_server: Server, model: Model) -> None:
    model.write(20)
    own_server.environ |= model.environ
    own_server.start()
    open_new(page, own_server)
    ask(page, "Who ends you?")
    shown(answers(page), 20)
    until(lambda: bool(stored(own_server, "select 1 from run_events where data like '%w020%'")), "word 20 is stored")
    model.write(40)
    shown(answers(page), 40)
    box(page).press_sequentially("a draft")
    own_server.end()
    loses(page)
    expect(box(page)).to_have_value("a draft")
    own_server.start()
    expect(lost(page)).to_be_hidden(timeout=30_000)
    settled(answers(page), "interrupted")
    expect(page.get_by_role("article", name="You")).to_have_text("Who ends you?")
    expect(box(page)).to_have_value("a draft")
    kept = re.findall(r"w\d+", answers(page).locator(".body").text_content() or "")
    assert 20 <= len(kept) <= 40
    assert kept == [f"w{number:03}" for number in range(1, len(kept) + 1)]
    expect(answers(page).get_by_role("button", name="Retry")).to_be_visible()
    answers(page).get_by_role("button", name="Continue").click()
    model.write()
    settled(answers(page))
    shown(answers(page), WORDS)


def test_a_tab_that_is_closed_for_longer_than_its_session(context: BrowserContext, far: Server, model: Model) -> None:
    page = context.new_page()
    open_new(page, far)
    ask(page, "Go on without me")
    model.write(10)
    shown(answers(page), 10)
    url, written = page.url, answers(page).get_attribute("data-message-id") or ""
    assert live_sessions(far) > 0
    page.close()
    until(lambda: live_sessions(far) == 0, "the session has ended")
    model.write()
    until(lambda: stored(far, "select status from messages where id = ?", written) == [("complete",)], "the end")
    page = context.new_page()
    page.goto(url)
    settled(answers(page))
    expect(answers(page)).to_have_attribute("data-message-id", written)
    expect(page.get_by_role("article", name="You")).to_have_text("Go on without me")
    shown(answers(page), WORDS)


def test_two_pages_in_one_conversation(context: BrowserContext, far: Server, model: Model) -> None:
    one, two = context.new_page(), context.new_page()
    model.write()
    open_new(one, far)
    ask(one, "Before")
    settled(answers(one))
    two.goto(one.url)
    settled(answers(two))
    for sender, question in ((one, "From one"), (two, "From two")):
        model.write(0)
        ask(sender, question)
        for page in (one, two):
            expect(page.get_by_role("article", name="You").last).to_have_text(question)
            expect(answers(page).last).to_have_attribute("data-status", "streaming")
        for upto in (1, 50):
            model.write(upto)
            for page in (one, two):
                shown(answers(page).last, upto)
        model.write()
        for page in (one, two):
            settled(answers(page).last)
        assert body(one) == body(two)
        ids = [[a.get_attribute("data-message-id") for a in answers(page).all()] for page in (one, two)]
        assert ids[0] == ids[1]

    model.write(10)
    ask(one, "Stopped by two, continued by one")
    for page in (one, two):
        shown(answers(page).last, 10)
    two.get_by_role("button", name="Stop", exact=True).click()
    for page in (one, two):
        settled(answers(page).last, "stopped")
    answers(one).last.get_by_role("button", name="Continue").click()
    for page in (one, two):
        expect(answers(page).last).to_have_attribute("data-status", "streaming")
    model.write()
    for page in (one, two):
        settled(answers(page).last)
    assert body(one) == body(two)


def test_a_draft_stays_with_its_conversation(page: Page, far: Server, model: Model) -> None:
    model.write()
    open_new(page, far)
    for name in ("Apples", "Pears"):
        ask(page, name)
        settled(answers(page))
        box(page).press_sequentially(f"about {name}")
        new_chat(page)
        expect(box(page)).to_have_value("")
    box(page).press_sequentially("about nothing")
    for _ in range(2):
        for name in ("Apples", "Pears"):
            conversation(page, name)
            expect(box(page)).to_have_value(f"about {name}")
        new_chat(page)
        expect(box(page)).to_have_value("about nothing")
    page.keyboard.type(" yet")
    page.reload()
    expect(box(page)).to_have_value("about nothing yet")
    conversation(page, "Apples")
    expect(box(page)).to_have_value("about Apples")


def test_a_draft_outlives_the_page_it_was_typed_in(context: BrowserContext, far: Server) -> None:
    empty, typed_in = context.new_page(), context.new_page()
    open_new(empty, far)
    open_new(typed_in, far)
    box(typed_in).press_sequentially("half a thought")
    typed_in.wait_for_function("() => Object.values(localStorage).includes('half a thought')")
    typed_in.close()
    empty.reload()
    expect(box(empty)).to_have_value("half a thought")


def test_storage_in_trouble_takes_nothing_from_the_box(page: Page, far: Server, model: Model) -> None:
    model.write()
    open_new(page, far)
    ask(page, "Readable all the while")
    settled(answers(page))
    new_chat(page)
    model.write(10)
    ask(page, "Written in trouble")
    shown(answers(page), 10)
    banner = page.get_by_role("alert").filter(has_text="Reading goes on")
    with locked(far):
        model.write(40)
        shown(answers(page), 40)
        expect(banner).to_contain_text("Another program keeps", timeout=20_000)
        conversation(page, "Readable all the while")
        settled(answers(page))
        shown(answers(page), WORDS)
        ask(page, "Refused for now")
        refusal = page.get_by_role("alert").filter(has_not_text="Reading goes on")
        expect(refusal).to_contain_text("Another program keeps", timeout=30_000)
        expect(box(page)).to_have_value("Refused for now")
        expect(box(page)).to_be_editable()
    expect(banner).to_be_hidden(timeout=20_000)
    model.write()
    box(page).press("Enter")
    expect(box(page)).to_have_value("")
    settled(answers(page).nth(1))
    conversation(page, "Written in trouble")
    settled(answers(page))
    shown(answers(page), WORDS)
    assert questions(far, "Refused for now") == 1


def test_a_refusal_leaves_the_drafts_of_other_conversations_alone(page: Page, far: Server, model: Model) -> None:
    model.write()
    open_new(page, far)
    ask(page, "Quinces")
    settled(answers(page))
    box(page).press_sequentially("about quinces")
    new_chat(page)
    expect(box(page)).to_have_value("")
    with locked(far):
        ask(page, "Refused elsewhere")
        conversation(page, "Quinces")
        expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=30_000)
        expect(box(page)).to_have_value("about quinces")
        new_chat(page)
        expect(box(page)).to_have_value("Refused elsewhere")


def test_an_endpoint_that_is_left_alone_is_said_to_be(page: Page, own_server: Server) -> None:
    own_server.environ |= {
        "OPENAI_BASE_URL": f"http://127.0.0.1:{free_port()}/v1",
        "PANELIST_MODEL": "nobody",
        "PANELIST_TRIES": "1",
    }
    own_server.start()
    open_new(page, own_server)
    for number in range(6):
        ask(page, f"Is anybody there? {number}")
        settled(answers(page).nth(number), "failed")
    alert = answers(page).last.get_by_role("alert")
    expect(alert).to_contain_text("failed 5 times in a row, so it is left alone for")
    expect(alert.get_by_role("button", name="Retry in")).to_be_disabled()
