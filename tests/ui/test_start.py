"""Starting under bad conditions: one sentence each, and nothing is lost."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.ui.conftest import ROOT, Server

pytestmark = pytest.mark.browser


def sentence(page: Page, server: Server) -> str:
    page.goto(server.url)
    alert = page.get_by_role("alert")
    expect(alert).to_be_visible()
    return alert.inner_text()


def test_a_bad_setting_ends_a_warm_start_with_one_sentence(own_server: Server) -> None:
    environ = own_server.environment() | {"PANELIST_STALL_S": "soon"}
    ended = subprocess.run(
        [sys.executable, "-m", "panel", "serve", "app.py", "--port", str(own_server.port), "--warm"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1] == (
        "Panelist cannot start: PANELIST_STALL_S must be a number of seconds above 0, not 'soon'."
    )
    assert "Traceback" not in ended.stderr


def test_a_bad_setting_is_named_in_the_page(page: Page, own_server: Server) -> None:
    own_server.environ["OPENAI_BASE_URL"] = "localhost:8000"
    own_server.start()
    assert sentence(page, own_server) == "OPENAI_BASE_URL must start with http:// or https://: 'localhost:8000'."


def test_a_data_folder_that_cannot_be_is_named(page: Page, own_server: Server) -> None:
    (own_server.folder / "data").write_text("a file where the folder should be", "utf-8")
    own_server.start()
    assert str(own_server.folder / "data") in sentence(page, own_server)
    (own_server.folder / "data").unlink()
    page.reload()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()  # it recovers without a restart


def test_a_database_from_the_future_is_left_alone(context: BrowserContext, own_server: Server) -> None:
    own_server.start()
    page = context.new_page()
    page.goto(own_server.url)
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    page.close()
    own_server.end(signal.SIGTERM)
    file = own_server.folder / "data" / "panelist.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("update alembic_version set version_num = 'from-2031'")
        database.commit()
    before = file.read_bytes()
    own_server.start()
    assert "newer" in sentence(context.new_page(), own_server)
    assert file.read_bytes() == before


def test_a_second_server_on_the_same_data_is_refused(page: Page, own_server: Server) -> None:
    own_server.start()
    page.goto(own_server.url)
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    second = Server(own_server.folder)
    second.start()
    try:
        assert "PostgreSQL" in sentence(page, second)
    finally:
        second.end()


def test_asked_to_end_it_stores_what_came_and_exits_in_order(page: Page, own_server: Server) -> None:
    own_server.start()
    page.goto(own_server.url)
    page.get_by_role("textbox", name="Message").fill("/long 3000")
    page.keyboard.press("Enter")
    answer = page.get_by_role("article", name="Assistant")
    expect(answer.locator(".body p").first).to_contain_text(" ")
    process = own_server.process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    own_server.process = None
    page.close()
    with closing(sqlite3.connect(own_server.folder / "data" / "panelist.db")) as database:
        rows = database.execute("select status from messages where role = 'assistant'").fetchall()
        [(text,)] = database.execute("select data from parts where kind = 'text' order by rowid desc limit 1")
    assert rows == [("interrupted",)]
    assert len(text) > 20


def test_a_page_whose_session_ended_before_it_had_come(page: Page, own_server: Server) -> None:
    """Its scripts may take longer than a session waits for it. The fixture sees to it that it asks no other host."""
    own_server.options = ("--unused-session-lifetime", "1", "--check-unused-sessions", "1")
    own_server.start()
    page.goto(own_server.url)
    page.get_by_role("textbox", name="Message").fill("hello")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article", name="Assistant")).to_have_attribute("data-status", "complete", timeout=60_000)
