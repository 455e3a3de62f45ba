"""Search in a real browser: as one types, by keyboard, and to the message on its branch."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.acts import answers, ask, box, new_chat, open_new, settled
from tests.ui.conftest import Server

pytestmark = pytest.mark.browser


def field(page: Page) -> Locator:
    return page.get_by_role("searchbox", name="Search conversations")


def results(page: Page) -> Locator:
    return page.get_by_role("region", name="Search results")


def hits(page: Page) -> Locator:
    return results(page).get_by_role("link")


def test_a_hit_opens_at_its_message_on_the_branch_that_holds_it(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "Which umbrella is the zeppelin's?")
    settled(answers(page))
    first = answers(page).get_attribute("data-message-id")
    answers(page).get_by_role("button", name="Regenerate").click()
    expect(answers(page)).not_to_have_attribute("data-message-id", str(first))
    settled(answers(page))
    ask(page, "/long")
    expect(answers(page)).to_have_count(2)
    settled(answers(page).last)
    new_chat(page)

    page.keyboard.press("Control+k")
    expect(field(page)).to_be_focused()
    page.keyboard.type("zeppel")
    expect(hits(page)).to_have_count(4)  # the title, the question, and two answers that repeat it
    expect(results(page).get_by_role("status")).to_have_text("4 results")
    expect(hits(page).last.locator("mark")).to_have_text("zeppelin")
    old = hits(page).filter(has_text="Assistant:").last
    page.keyboard.press("ArrowDown")
    expect(hits(page).first).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    expect(old).to_be_focused()
    page.keyboard.press("Enter")

    shown = page.locator(f"[data-message-id='{first}']")
    expect(shown).to_be_in_viewport()
    expect(shown.get_by_role("button", name="Next version")).to_be_enabled()
    expect(page.get_by_role("article")).to_have_count(2)
    expect(old).to_have_attribute("aria-current", "true")
    page.reload()
    expect(page.locator(f"[data-message-id='{first}']")).to_be_visible()


def test_a_hit_far_up_comes_into_view(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "A quokka at the top")
    settled(answers(page))
    ask(page, "/long")
    expect(answers(page)).to_have_count(2)
    settled(answers(page).last)
    question = page.get_by_role("article", name="You").first
    expect(question).not_to_be_in_viewport()
    field(page).fill("quokka")
    hits(page).filter(has_text="You:").click()
    expect(question).to_be_in_viewport()
    expect(page.get_by_role("button", name="Jump to latest")).to_be_visible()


def test_escape_goes_back_to_the_list(page: Page, server: Server) -> None:
    open_new(page, server)
    ask(page, "Where do penguins sleep?")
    settled(answers(page))
    listed = page.get_by_role("navigation", name="Conversations")
    field(page).fill("nothinghasthisword")
    expect(results(page)).to_contain_text("Nothing found.")
    expect(listed).to_have_count(0)
    field(page).press("Escape")
    expect(field(page)).to_have_value("")
    expect(results(page)).to_have_count(0)
    expect(listed.get_by_role("link").first).to_be_visible()
    field(page).fill("penguins")
    expect(hits(page).first).to_be_visible()
    field(page).press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(field(page)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    expect(field(page)).to_be_focused()
    expect(results(page)).to_have_count(0)


def test_hostile_hits_are_text(page: Page, server: Server) -> None:
    open_new(page, server)
    text = "<img src=x onerror=document.title='pwned'> <mark>walrus</mark> <script>document.title='pwned'</script>"
    ask(page, text)
    settled(answers(page))
    field(page).fill("walrus")
    hit = hits(page).filter(has_text="You:")
    expect(hit.locator(".snippet")).to_have_text(f"You: {text}")
    expect(hit.locator("mark")).to_have_text("walrus")
    expect(results(page).locator("img, script")).to_have_count(0)
    field(page).fill("\"'<img src=x> OR * -")
    expect(results(page).get_by_role("status")).not_to_be_empty()
    expect(page).not_to_have_title("pwned")


def test_hits_stay_when_more_of_them_cannot_be_had(page: Page, own_server: Server) -> None:
    own_server.start()
    open_new(page, own_server)
    ask(page, "Tell me of pangolins")
    settled(answers(page))
    with closing(sqlite3.connect(own_server.folder / "data" / "panelist.db")) as database:
        for number in range(1, 31):
            database.execute(
                "insert into searched select place - ?, conversation_id, message_id, words from searched "
                "where message_id is not null order by place limit 1",
                [number * 10],
            )
        database.commit()
        field(page).fill("pangolins")
        expect(hits(page)).to_have_count(20)
        database.execute("alter table searched rename to elsewhere")
        database.commit()
        more = results(page).get_by_role("button", name="Show more")
        more.click()
        said = results(page).get_by_role("status")
        expect(said).not_to_have_text("20 or more results")
        expect(hits(page)).to_have_count(20)
        database.execute("alter table elsewhere rename to searched")
        database.commit()
    more.click()
    expect(said).to_have_text("33 results")
    expect(hits(page)).to_have_count(33)


def test_on_a_phone_the_sidebar_comes_for_the_search_and_goes_for_the_hit(page: Page, server: Server) -> None:
    page.set_viewport_size({"width": 390, "height": 780})
    page.goto(server.url)
    expect(box(page)).to_be_visible()
    ask(page, "A narwhal on the phone")
    settled(answers(page))
    page.keyboard.press("Control+k")
    expect(field(page)).to_be_focused()
    page.keyboard.type("narwhal")
    hits(page).filter(has_text="You:").click()
    expect(field(page)).not_to_be_in_viewport()
    expect(page.get_by_role("article", name="You")).to_be_in_viewport()
