"""What every journey does, by role and accessible name."""

from __future__ import annotations

import json
import sqlite3
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from playwright.sync_api import Locator, Page, Route, expect

from services.storage.engine_sqlite import read_only
from tests.ui.conftest import Server
from tests.ui.model import word


def box(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Message")


def queue(page: Page) -> Locator:
    return page.get_by_role("region", name="Queued messages")


def outgoing(page: Page) -> Locator:
    return page.get_by_role("region", name="Messages on their way")


def answers(page: Page) -> Locator:
    return page.get_by_role("article", name="Assistant")


def ask(page: Page, text: str) -> None:
    box(page).fill(text)
    box(page).press("Enter")


def settled(answer: Locator, status: str = "complete") -> None:
    expect(answer).to_have_attribute("data-status", status, timeout=60_000)


def open_new(page: Page, server: Server) -> None:
    page.goto(server.url)
    expect(box(page)).to_be_focused()
    live(page)


def conversation(page: Page, title: str) -> None:
    """Open a conversation from the list."""
    page.get_by_role("navigation", name="Conversations").get_by_role("link", name=title).click()
    expect(page.get_by_role("article", name="You").first).to_have_text(title)


def listed(page: Page) -> Locator:
    """Return the rows of the list of conversations."""
    return page.get_by_role("navigation", name="Conversations").get_by_role("link")


def from_menu(page: Page, name: str, item: str) -> None:
    """Choose from the menu of a row in the list."""
    page.get_by_role("button", name=f"More for {name}", exact=True).click()
    page.get_by_role("menuitem", name=item, exact=True).click()


def new_chat(page: Page) -> None:
    page.get_by_role("button", name="New chat").click()
    expect(page.get_by_role("article")).to_have_count(0)


def shown(answer: Locator, number: int) -> None:
    """Wait for the word of that number."""
    expect(answer).to_contain_text(word(number).strip("* \n"))


def rendered(answer: Locator) -> str:
    """Return an answer's HTML without what the page adds to what the server made: diagrams' pictures, code in view."""
    html: str = answer.locator(".body").evaluate(
        """body => {
            const copy = body.cloneNode(true)
            copy.querySelectorAll("[data-added]").forEach(node => node.remove())
            copy.querySelectorAll("[data-drawn]").forEach(node => delete node.dataset.drawn)
            copy.querySelectorAll("[data-streamed]").forEach(node => delete node.dataset.streamed)
            return copy.innerHTML
        }"""
    )
    return html


def body(page: Page) -> str:
    return rendered(answers(page).last)


def lost(page: Page) -> Locator:
    return page.get_by_role("alert").filter(has_text="Connection lost")


def loses(page: Page) -> None:
    began = time.perf_counter()
    expect(lost(page)).to_be_visible(timeout=5_000)  # 3 s are promised; the rest is for a busy machine
    print(f"“Connection lost” after {time.perf_counter() - began:.1f} s")  # noqa: T201 - the report


def until(fact: Callable[[], bool], what: str) -> None:
    """Wait for a fact in another process."""
    end = time.monotonic() + 20
    while not fact():
        assert time.monotonic() < end, f"not within 20 s: {what}"
        time.sleep(0.02)


def stored(server: Server, query: str, *values: object) -> list[tuple[object, ...]]:
    with closing(read_only(server.folder / "data" / "panelist.db")) as database:
        return database.execute(query, values).fetchall()


def questions(server: Server, text: str) -> int:
    """Return how many questions of this text are stored."""
    [(count,)] = stored(server, "select count(*) from parts where kind = 'text' and data like ?", f'%"{text}"%')
    return int(str(count))


def live_sessions(server: Server) -> int:
    """Return how many sessions a server has that was started with `COUNTED_SESSIONS`."""
    with urllib.request.urlopen(f"http://localhost:{server.port}/rest/session_info", timeout=30) as answer:
        sessions = json.load(answer)["session_info"]["sessions"].values()
    return sum(session["ended"] is None for session in sessions)


@contextmanager
def locked(server: Server) -> Iterator[None]:
    """Keep the server from writing, whoever it runs as."""
    with closing(sqlite3.connect(server.folder / "data" / "panelist.db", isolation_level=None)) as other:
        other.execute("begin exclusive")
        yield
        other.execute("rollback")


def live(page: Page) -> None:
    """Wait until the page's scripts have taken over from its first view."""
    expect(page.locator("#first")).to_have_count(0, timeout=30_000)
    expect(box(page)).to_be_visible()


@contextmanager
def without_scripts(page: Page, which: str = "**/bokeh.min.js*") -> Iterator[None]:
    """Hold the page's scripts back inside the block: all, for they wait for the first, or one."""
    held: list[Route] = []
    free = False

    def hold(route: Route) -> None:
        if free:
            route.continue_()
        else:
            held.append(route)

    page.route(which, hold)
    yield
    free = True
    for route in held:
        route.continue_()
