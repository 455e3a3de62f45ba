"""Several answers side by side in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.acts import answers, ask, live, open_new, settled, shown, without_scripts
from tests.ui.conftest import Server
from tests.ui.model import WORDS, Model
from tests.ui.test_axe import faults_in

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def held(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose model writes as far as it is told."""
    one = Server(tmp_path_factory.mktemp("held"), model.environ)
    one.start()
    yield one
    one.end()


def three_each(page: Page) -> None:
    page.get_by_role("button", name="Options").click()
    dialog = page.get_by_role("dialog", name="Options")
    dialog.get_by_role("textbox", name="Answers").fill("3")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()


def lefts(found: Locator) -> list[int]:
    """Return where each of some elements begins, from the left."""
    return [round(box["x"]) for one in found.all() if (box := one.bounding_box())]


def test_they_are_written_side_by_side_and_one_is_used(page: Page, held: Server, model: Model) -> None:
    model.write(0)
    open_new(page, held)
    three_each(page)
    ask(page, "Go on and on")
    expect(answers(page)).to_have_count(3)
    assert len(set(lefts(answers(page)))) == 3, "side by side"
    model.write(30)
    for one in answers(page).all():
        shown(one, 30)
    expect(page.get_by_role("status", name="Activity")).to_have_text("Writing 3 answers…")
    answers(page).nth(1).get_by_role("button", name="End this answer").click()
    settled(answers(page).nth(1), "stopped")
    expect(page.get_by_role("status", name="Activity")).to_have_text("Writing 2 of 3 answers…")
    page.reload()
    live(page)
    expect(answers(page)).to_have_count(3)
    shown(answers(page).nth(2), 30)
    model.write(WORDS)
    settled(answers(page).nth(0))
    settled(answers(page).nth(2))
    answers(page).nth(2).get_by_role("button", name="Use this answer").click()
    expect(answers(page)).to_have_count(1)
    expect(answers(page).get_by_text("3 / 3")).to_be_visible()
    answers(page).get_by_role("button", name="Previous version").click()
    expect(answers(page)).to_have_attribute("data-status", "stopped")


def test_stop_ends_them_all_and_a_phone_has_them_below_one_another(page: Page, held: Server, model: Model) -> None:
    page.set_viewport_size({"width": 390, "height": 760})
    model.write(0)
    open_new(page, held)
    three_each(page)
    ask(page, "Go on and on")
    model.write(20)
    expect(answers(page)).to_have_count(3)
    for one in answers(page).all():
        shown(one, 20)
    assert len(set(lefts(answers(page)))) == 1, "below one another"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Stop", exact=True).click()
    for one in answers(page).all():
        settled(one, "stopped")
    model.write(WORDS)
    answers(page).nth(1).get_by_role("button", name="Continue").click()
    settled(answers(page).nth(1))
    expect(answers(page)).to_have_count(3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_them(page: Page, held: Server, model: Model, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    model.write(0)
    open_new(page, held)
    three_each(page)
    ask(page, "Go on and on")
    model.write(20)
    expect(answers(page)).to_have_count(3)
    shown(answers(page).nth(2), 20)
    found = {"live": faults_in(page)}
    model.write(WORDS)
    for one in answers(page).all():
        settled(one)
    found["settled"] = faults_in(page)
    assert found == {name: [] for name in found}


@pytest.mark.parametrize("width", [1280, 390])
def test_the_first_view_has_them_where_the_live_page_does(page: Page, held: Server, model: Model, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    model.write(WORDS)
    open_new(page, held)
    three_each(page)
    ask(page, "Go on and on")
    expect(answers(page)).to_have_count(3)
    for one in answers(page).all():
        settled(one)
    page.get_by_role("log").evaluate("log => { log.scrollTop = 0 }")
    words = page.locator("article.beside .body > :first-child")
    with without_scripts(page):
        page.reload(wait_until="commit")
        expect(answers(page)).to_have_count(3)
        page.locator(".log").evaluate("log => { log.scrollTop = 0 }")
        before = [one.bounding_box() for one in words.all()]
    page.reload()
    live(page)
    expect(answers(page)).to_have_count(3)
    page.get_by_role("log").evaluate("log => { log.scrollTop = 0 }")
    for one, was in zip(words.all(), before, strict=True):
        assert was is not None
        assert one.bounding_box() == pytest.approx(was, abs=2)
