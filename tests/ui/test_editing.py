"""Questions put differently and answers put right: nothing that was there is lost, and the way back is one click."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.acts import answers, ask, box, live, open_new, settled
from tests.ui.conftest import Server
from tests.ui.test_answers import Writer, writer, writing  # noqa: F401 - two are fixtures

pytestmark = pytest.mark.browser


def questions(page: Page) -> Locator:
    return page.get_by_role("article", name="You")


def said(page: Page) -> Locator:
    return questions(page).locator(".body")


def editor(page: Page, of: str = "question") -> Locator:
    return page.get_by_role("textbox", name=f"Edit the {of}")


def asked(page: Page, server: Server, writer: Writer, *texts: str) -> None:  # noqa: F811
    open_new(page, server)
    for number, text in enumerate(texts):
        writer.text = f"Answer to {text}"
        ask(page, text)
        settled(answers(page).nth(number))


def test_an_edited_question_begins_a_branch_that_is_still_shown_after_a_reload(
    page: Page,
    writing: Server,  # noqa: F811
    writer: Writer,  # noqa: F811
) -> None:
    asked(page, writing, writer, "First", "Second")
    writer.text = "Another answer"
    questions(page).last.get_by_role("button", name="Edit").click()
    expect(editor(page)).to_be_focused()
    expect(editor(page)).to_have_value("Second")
    editor(page).press("End")
    editor(page).type(", put better")
    editor(page).press("Enter")
    expect(said(page).last).to_have_text("Second, put better")
    settled(answers(page).last)
    expect(answers(page).last.locator(".body")).to_have_text("Another answer")
    expect(questions(page).last.get_by_text("2 / 2")).to_be_visible()
    for _ in range(2):
        page.reload()
        live(page)
        expect(said(page)).to_have_text(["First", "Second, put better"])
    questions(page).last.get_by_role("button", name="Previous version").click()
    expect(said(page)).to_have_text(["First", "Second"])
    expect(answers(page).last.locator(".body")).to_have_text("Answer to Second")
    page.reload()
    live(page)
    expect(said(page)).to_have_text(["First", "Second"])


def test_an_answer_put_right_is_marked_and_the_models_own_stays(
    page: Page,
    writing: Server,  # noqa: F811
    writer: Writer,  # noqa: F811
) -> None:
    asked(page, writing, writer, "First")
    answers(page).get_by_role("button", name="Edit").click()
    expect(editor(page, "answer")).to_have_value("Answer to First")
    editor(page, "answer").fill("**Mine**\n\nand more")
    editor(page, "answer").press("Enter")  # a line break, in an answer
    editor(page, "answer").press("Control+Enter")
    expect(answers(page).get_by_text("You wrote this answer.")).to_be_visible()
    expect(answers(page).get_by_text("Mine", exact=True)).to_be_visible()
    answers(page).get_by_role("button", name="Previous version").click()
    expect(answers(page).locator(".body")).to_have_text("Answer to First")


def test_what_is_typed_in_an_edit_is_not_lost(
    page: Page,
    writing: Server,  # noqa: F811
    writer: Writer,  # noqa: F811
) -> None:
    asked(page, writing, writer, "First")
    box(page).fill("/edit")
    box(page).press("Enter")
    editor(page).fill(" ")
    page.get_by_role("button", name="Ask again").click()
    expect(page.get_by_role("alert").filter(has_text="the message is empty")).to_be_visible()
    editor(page).fill("Half a thought")
    page.reload()
    live(page)
    expect(editor(page)).to_have_value("Half a thought")
    editor(page).press("Escape")
    expect(editor(page)).to_have_count(0)
    expect(questions(page).get_by_role("button", name="Edit")).to_be_focused()
    questions(page).get_by_role("button", name="Edit").click()
    expect(editor(page)).to_have_value("Half a thought")
    page.get_by_role("button", name="Cancel").click()
    questions(page).get_by_role("button", name="Edit").click()
    expect(editor(page)).to_have_value("First")
    editor(page).press("Enter")  # as it was
    expect(editor(page)).to_have_count(0)
    expect(questions(page)).to_have_count(1)
    expect(questions(page).get_by_text("2 / 2")).to_have_count(0)


def test_a_fork_begins_alike_and_its_undo_goes_back(
    page: Page,
    writing: Server,  # noqa: F811
    writer: Writer,  # noqa: F811
) -> None:
    asked(page, writing, writer, "First", "Second")
    answers(page).first.get_by_role("button", name="Fork from here").dblclick()
    expect(said(page)).to_have_text(["First"])
    box(page).fill("Half a question")
    page.get_by_role("button", name="Undo").click()
    expect(said(page)).to_have_text(["First", "Second"])
    expect(box(page)).to_have_value("Half a question")
    links = page.get_by_role("navigation", name="Conversations").get_by_role("link")
    expect(links.filter(has_text="First (fork)")).to_have_count(0)


def test_another_model_answers_once_beside_the_first(
    page: Page,
    writing: Server,  # noqa: F811
    writer: Writer,  # noqa: F811
) -> None:
    asked(page, writing, writer, "First")
    answers(page).get_by_role("button", name="Answer with…").click()
    menu = page.get_by_role("menu", name="Answer with…")
    expect(menu.get_by_role("menuitem").first).to_be_focused()
    page.keyboard.press("a")
    expect(menu.get_by_role("menuitem", name="another")).to_be_focused()
    page.keyboard.press("Enter")
    expect(answers(page).get_by_text("2 / 2")).to_be_visible()
    settled(answers(page))
    ask(page, "Second")
    settled(answers(page).nth(1))
    assert writer.asked[-3:] == ["writer", "another", "writer"], "that was for one answer"
    page.reload()
    live(page)
    answers(page).first.get_by_role("button", name="Previous version").click()
    expect(answers(page).get_by_text("1 / 2")).to_be_visible()


def test_versions_are_compared_word_by_word(
    page: Page,
    writing: Server,  # noqa: F811
    writer: Writer,  # noqa: F811
) -> None:
    asked(page, writing, writer, "It rains a lot <b>today</b>")
    questions(page).get_by_role("button", name="Edit").click()
    editor(page).fill("It rains a little <b>today</b>")
    editor(page).press("Enter")
    settled(answers(page))
    questions(page).get_by_role("button", name="Compare versions").click()
    dialog = page.get_by_role("dialog", name="Compare versions")
    expect(dialog.get_by_text("1 word removed, 1 word added.")).to_be_visible()
    before, after = (dialog.get_by_role("group", name=name) for name in ("Before", "After"))
    expect(before).to_have_text("It rains a lot <b>today</b>")
    expect(before.get_by_role("deletion")).to_have_text("lot")
    expect(after).to_have_text("It rains a little <b>today</b>")
    expect(after.get_by_role("insertion")).to_have_text("little")
    dialog.get_by_role("combobox", name="After").select_option("Version 1")
    expect(dialog.get_by_text("The texts are the same.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
