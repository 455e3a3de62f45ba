"""Conversations that leave one Panelist and come into another."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.test_others import chat
from tests.ui.acts import answers, ask, body, box, open_new, settled
from tests.ui.conftest import Server

pytestmark = pytest.mark.browser


def downloaded(page: Page, command: str, folder: Path) -> Path:
    with page.expect_download() as download:
        ask(page, command)
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def listed(page: Page, title: str) -> Locator:
    return page.get_by_role("navigation", name="Conversations").get_by_role("link", name=title, exact=True)


def rename(page: Page, title: str) -> None:
    ask(page, f"/rename {title}")
    expect(listed(page, title)).to_be_visible()


def test_a_conversation_as_markdown_and_as_a_page(page: Page, server: Server, tmp_path: Path) -> None:
    open_new(page, server)
    ask(page, "Show me every kind of Markdown")
    settled(answers(page))
    rename(page, "Every kind")
    text = downloaded(page, "/export", tmp_path)
    assert text.name == "Every-kind.md"
    assert text.read_text("utf-8").startswith("# Every kind\n\n## You, ")
    assert "\n```" in text.read_text("utf-8")
    expect(box(page)).to_have_value("")
    html = downloaded(page, "/export html", tmp_path)
    refused: list[str] = []
    snapshot = page.context.new_page()
    snapshot.on("console", lambda message: refused.append(message.text))
    snapshot.emulate_media(color_scheme="dark")
    snapshot.goto(f"data:text/html;base64,{base64.b64encode(html.read_bytes()).decode()}")
    expect(snapshot.get_by_role("heading", level=1).first).to_have_text("Every kind")
    expect(snapshot.locator("body")).to_have_css("background-color", "rgb(18, 21, 20)")
    expect(snapshot.locator(".markdown").first).to_have_css("color", "rgb(230, 233, 237)")
    expect(snapshot.get_by_role("button").filter(visible=True)).to_have_count(
        snapshot.locator(".sort").filter(visible=True).count()
    )
    for pre in snapshot.locator(".code-block > pre").all():
        expect(pre).to_have_css("max-height", "none")
    assert refused == []
    assert snapshot.pdf()[:4] == b"%PDF"
    snapshot.emulate_media(media="print", color_scheme="dark")
    expect(snapshot.locator(".markdown").first).to_have_css("color", "rgb(31, 35, 40)")


def test_all_of_it_comes_over_to_an_empty_panelist(
    page: Page, server: Server, own_server: Server, tmp_path: Path
) -> None:
    open_new(page, server)
    ask(page, "Where is my data stored?")
    settled(answers(page))
    shown = body(page)
    rename(page, "Where it is")
    file = downloaded(page, "/export all", tmp_path)
    own_server.start()
    open_new(page, own_server)
    dialog = page.get_by_role("dialog")
    ask(page, "/export all html")
    expect(page.get_by_role("status", name="Notices")).to_contain_text("no conversation to export yet")
    ask(page, "/import")
    spoilt = tmp_path / "spoilt.json"
    spoilt.write_bytes(file.read_bytes()[:-20])
    page.get_by_label("File to import").set_input_files(spoilt)
    expect(dialog.get_by_role("alert")).to_contain_text("Nothing was changed.")
    expect(dialog.get_by_role("button", name="Import", exact=True)).to_be_disabled()
    page.get_by_label("File to import").set_input_files(file)
    expect(dialog.get_by_role("status", name="Preview")).to_contain_text("Where it is (2 messages)")
    dialog.get_by_role("button", name="Import", exact=True).click()
    notices = page.get_by_role("status", name="Notices")
    expect(notices).to_contain_text("Imported")
    listed(page, "Where it is").click()
    settled(answers(page))
    assert body(page) == shown
    ask(page, "/import")
    page.get_by_label("File to import").set_input_files(file)
    expect(dialog.get_by_role("status", name="Preview")).to_contain_text("here already")
    expect(dialog.get_by_role("button", name="Import", exact=True)).to_be_disabled()


def test_open_webuis_chats_come_in_by_the_dialog(page: Page, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "chat-export-1700000000.json"
    file.write_text(json.dumps([chat()]))
    open_new(page, server)
    ask(page, "/import")
    dialog = page.get_by_role("dialog")
    page.get_by_label("File to import").set_input_files(file)
    preview = dialog.get_by_role("status", name="Preview")
    expect(preview).to_contain_text("Sums (7 messages)")
    expect(preview).to_contain_text("Cannot come along: ")
    expect(preview).to_contain_text("2 tool messages")
    dialog.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("status", name="Notices")).to_contain_text("Imported 1 conversation.")
    listed(page, "Sums").click()
    settled(answers(page).last, "interrupted")
    thought = answers(page).first.locator("details.reasoning")
    expect(thought.locator("summary")).to_have_text("Thought for 7 s")
    answers(page).first.get_by_role("button", name="Next version").click()
    expect(answers(page).first).to_contain_text("255")
    expect(answers(page).first).to_contain_text("deepseek-r1")


def test_a_page_is_shared_without_one_message(page: Page, server: Server, tmp_path: Path) -> None:
    open_new(page, server)
    ask(page, "Where is my data stored?")
    settled(answers(page))
    ask(page, "A secret that stays here")
    settled(answers(page).last)
    page.get_by_role("button", name="Share…").click()
    dialog = page.get_by_role("dialog")
    rows = dialog.get_by_role("list", name="Messages to share").get_by_role("checkbox")
    expect(rows).to_have_count(4)
    dialog.get_by_role("button", name="None").click()
    download = dialog.get_by_role("button", name="Download page")
    expect(download).to_be_disabled()
    dialog.get_by_role("button", name="All").click()
    dialog.get_by_role("checkbox", name="A secret that stays here").uncheck()
    expect(dialog.get_by_role("status", name="Chosen")).to_have_text("3 of 4 messages")
    dialog.get_by_role("textbox", name="Title").fill("For Ben")
    with page.expect_download() as coming:
        download.click()
    expect(dialog).to_have_count(0)
    assert coming.value.suggested_filename == "For-Ben.html"
    file = tmp_path / "For-Ben.html"
    coming.value.save_as(file)
    assert "A secret that stays here" not in file.read_text("utf-8")
    refused: list[str] = []
    snapshot = page.context.new_page()
    snapshot.on("console", lambda message: refused.append(message.text))
    snapshot.goto(f"data:text/html;base64,{base64.b64encode(file.read_bytes()).decode()}")
    expect(snapshot.get_by_role("heading", level=1).first).to_have_text("For Ben")
    expect(snapshot.get_by_role("article")).to_have_count(3)
    expect(snapshot.get_by_text("A message was left out here.")).to_be_visible()
    assert refused == []
