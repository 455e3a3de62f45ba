"""The order of the list in a real browser: pin, folders, tags, archive, many at once, and back again."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import Connection

from services.conversation import Conversation
from services.messages import new_id
from services.options import Options
from services.storage import conversations
from services.storage.store import Store
from tests.ui.acts import answers, ask, box, from_menu, listed, open_new, settled, stored
from tests.ui.aside import Aside
from tests.ui.conftest import Server
from tests.ui.test_axe import axe, violations  # noqa: F401 - a fixture

pytestmark = pytest.mark.browser


def fill(folder: Path, count: int) -> None:
    """Store conversations called "Talk 0" (the last used) and so on, before a server starts."""

    async def put() -> None:
        store = await Store.open(folder / "data" / "panelist.db")
        now = datetime.now(UTC)

        def write(connection: Connection) -> None:
            for number in range(count):
                at = now - timedelta(minutes=number)
                one = Conversation(
                    id=new_id(),
                    title=f"Talk {number}",
                    title_source="user",
                    head_id=None,
                    options=Options(),
                    created_at=at,
                    updated_at=at,
                )
                conversations.add(connection, "local", one)

        await store._database.write(write)
        await store.close()

    aside = Aside()  # Playwright's own event loop runs here
    aside.run(put())
    aside.close()


@pytest.fixture
def filled(own_server: Server) -> Server:
    (own_server.folder / "data").mkdir()
    fill(own_server.folder, 400)
    own_server.start()
    return own_server


def nav(page: Page) -> Locator:
    return page.get_by_role("navigation", name="Conversations")


def link(page: Page, title: str) -> Locator:
    return nav(page).get_by_role("link", name=title, exact=True)


def folder(page: Page, name: str) -> Locator:
    return nav(page).get_by_role("button", name=name, exact=True)


def make_folder(page: Page, name: str) -> None:
    page.get_by_role("button", name="New folder", exact=True).click()
    page.get_by_role("textbox", name="Name of the folder").fill(name)
    page.keyboard.press("Enter")
    expect(folder(page, name)).to_be_visible()


def undo(page: Page) -> None:
    page.get_by_role("status", name="Notices").get_by_role("button", name="Undo").click()


def counted(server: Server, where: str) -> int:
    [(count,)] = stored(server, f"select count(*) from conversations where {where}")
    return int(str(count))


def test_many_are_archived_and_back_at_once(page: Page, filled: Server) -> None:
    open_new(page, filled)
    expect(link(page, "Talk 0")).to_be_visible()
    assert listed(page).count() < 60, "the page has only what is in view"
    from_menu(page, "Talk 1", "Select")
    page.get_by_role("checkbox", name="Select Talk 9", exact=True).click(modifiers=["Shift"])
    bar = page.get_by_role("toolbar", name="Selected conversations")
    expect(bar.get_by_role("status")).to_have_text("9 selected")
    link(page, "Talk 5").click()
    expect(bar.get_by_role("status")).to_have_text("8 selected")
    bar.get_by_role("button", name="Archive").click()
    expect(link(page, "Talk 1")).to_have_count(0)
    expect(link(page, "Talk 5")).to_be_visible()
    expect(bar).to_be_hidden()
    assert counted(filled, "archived_at is not null") == 8
    page.get_by_role("button", name="Archive", exact=True).click()
    expect(listed(page)).to_have_count(8)
    page.get_by_role("button", name="Back to all conversations").click()
    undo(page)
    expect(link(page, "Talk 1")).to_be_visible()
    assert counted(filled, "archived_at is not null") == 0

    link(page, "Talk 0").focus()
    page.keyboard.press("Control+a")
    expect(bar.get_by_role("status")).to_have_text("400 selected")
    bar.get_by_role("button", name="Delete").click()
    expect(nav(page)).to_contain_text("Your conversations appear here.")
    undo(page)
    expect(link(page, "Talk 0")).to_be_visible()
    assert counted(filled, "deleted_at is not null") == 0


def test_the_keyboard_goes_to_the_end_and_back(page: Page, filled: Server) -> None:
    open_new(page, filled)
    link(page, "Talk 0").focus()
    page.keyboard.press("End")
    expect(link(page, "Talk 399")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(link(page, "Talk 398")).to_be_focused()
    expect(link(page, "Talk 398")).to_be_in_viewport()
    assert listed(page).count() < 60
    page.keyboard.press("F2")
    nav(page).get_by_role("textbox", name="Title").fill("Last but one")
    page.keyboard.press("Enter")
    expect(link(page, "Last but one")).to_be_focused()
    page.keyboard.press("Delete")
    expect(link(page, "Last but one")).to_have_count(0)
    undo(page)
    expect(link(page, "Last but one")).to_be_visible()
    link(page, "Talk 399").focus()
    page.keyboard.press("Home")
    expect(link(page, "Talk 0")).to_be_focused()


def test_pin_and_folders_by_drag_and_by_keyboard(page: Page, filled: Server) -> None:
    open_new(page, filled)
    from_menu(page, "Talk 3", "Pin")
    expect(listed(page).first).to_have_text("Talk 3")
    expect(nav(page).get_by_role("heading").first).to_have_text("Pinned")
    undo(page)
    expect(listed(page).first).to_have_text("Talk 0")

    make_folder(page, "Work")
    make_folder(page, "Trips")
    link(page, "Talk 2").drag_to(folder(page, "Work"))
    expect(listed(page).first).to_have_text("Talk 2")
    folder(page, "Trips").drag_to(folder(page, "Work"))
    expect(page.get_by_role("status", name="Notices")).to_contain_text("Moved the folder “Trips”.")
    folder(page, "Work").drag_to(folder(page, "Trips"))
    expect(page.get_by_role("status", name="Notices")).to_contain_text("cannot be moved into itself")

    link(page, "Talk 4").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="More for Talk 4")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("menuitem", name="Pin", exact=True).press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Move to…")).to_be_focused()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Move “Talk 4” to")
    dialog.get_by_role("button", name="Trips").press("Enter")
    expect(dialog).to_have_count(0)
    folder(page, "Work").focus()
    page.keyboard.press("ArrowLeft")
    expect(folder(page, "Work")).to_have_attribute("aria-expanded", "false")
    expect(link(page, "Talk 4")).to_have_count(0)
    page.reload()
    expect(folder(page, "Work")).to_have_attribute("aria-expanded", "false")
    folder(page, "Work").click()
    expect(link(page, "Talk 4")).to_be_visible()

    from_menu(page, "Trips", "Remove the folder")
    expect(folder(page, "Trips")).to_have_count(0)
    expect(link(page, "Talk 4")).to_be_visible()
    undo(page)
    expect(folder(page, "Trips")).to_be_visible()
    folder(page, "Trips").press("F2")
    nav(page).get_by_role("textbox", name="Name of the folder").fill("Journeys <b>")
    page.keyboard.press("Enter")
    expect(folder(page, "Journeys <b>")).to_be_focused()


def test_a_folder_says_what_a_new_chat_begins_with(page: Page, own_server: Server) -> None:
    own_server.start()
    open_new(page, own_server)
    make_folder(page, "Work")
    from_menu(page, "Work", "Settings")
    dialog = page.get_by_role("dialog", name="Settings of Work")
    dialog.get_by_role("combobox", name="Model").fill("tiny")
    dialog.get_by_role("textbox", name="System prompt").fill("Be brief.")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status", name="Notices")).to_contain_text("Changed the settings of “Work”.")
    from_menu(page, "Work", "New chat here")
    expect(box(page)).to_have_attribute("placeholder", "Message tiny in Work")
    expect(page.get_by_role("combobox", name="Model").first).to_have_value("tiny · demo")
    ask(page, "Where is my data stored?")
    settled(answers(page))
    expect(folder(page, "Work")).to_be_visible()
    [(model, prompt)] = stored(
        own_server,
        "select c.model, f.system_prompt from conversations c join folders f on f.id = c.folder_id",
    )
    assert (model, prompt) == ("tiny", "Be brief.")
    from_menu(page, "Work", "Settings")
    expect(dialog.get_by_role("textbox", name="System prompt")).to_have_value("Be brief.")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_tags_filter_the_list_and_the_search(page: Page, filled: Server) -> None:
    open_new(page, filled)
    from_menu(page, "Talk 7", "Tags…")
    page.get_by_role("combobox", name="Add a tag").fill("Two Words, rain")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    bar = page.get_by_role("group", name="Tags")
    bar.get_by_role("button", name="#rain").click()
    expect(listed(page)).to_have_text(["Talk 7"])
    bar.get_by_role("button", name="#rain").click()
    expect(link(page, "Talk 0")).to_be_visible()
    page.get_by_role("searchbox", name="Search conversations").fill("tag:two-w")
    expect(page.get_by_role("region", name="Search results").get_by_role("link")).to_have_count(1)
    page.keyboard.press("Escape")
    from_menu(page, "Talk 7", "Tags…")
    page.get_by_role("button", name="Remove the tag rain").click()
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(bar.get_by_role("button")).to_have_text(["#two-words"])
    undo(page)
    expect(bar.get_by_role("button")).to_have_text(["#rain", "#two-words"])


def test_on_a_phone_the_list_that_opens_again_still_answers(page: Page, filled: Server) -> None:
    page.set_viewport_size({"width": 390, "height": 780})
    page.goto(filled.url)
    expect(box(page)).to_be_visible()
    for name in ("Work", "Trips"):
        ask(page, "Where is my data stored?")
        settled(answers(page).last)
        page.keyboard.press("Control+k")  # on a phone the list comes with it
        expect(page.get_by_role("searchbox", name="Search conversations")).to_be_focused()
        make_folder(page, name)
        from_menu(page, name, "Settings")
        expect(page.get_by_role("dialog", name=f"Settings of {name}")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog", name=f"Settings of {name}")).to_have_count(0)
        from_menu(page, name, "New chat here")
        expect(folder(page, name)).not_to_be_in_viewport()
        expect(box(page)).to_have_attribute("placeholder", re.compile(f" in {name}$"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, filled: Server, axe: Path, scheme: str) -> None:  # noqa: F811
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    open_new(page, filled)
    make_folder(page, "Work")
    from_menu(page, "Talk 2", "Tags…")
    page.get_by_role("combobox", name="Add a tag").fill("rain")
    found = {"tags": violations(page, axe)}
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_role("group", name="Tags").get_by_role("button")).to_have_count(1)
    found["list"] = violations(page, axe)
    page.get_by_role("button", name="More for Talk 2", exact=True).click()
    expect(page.get_by_role("menu")).to_be_visible()
    found["menu"] = violations(page, axe)
    page.get_by_role("menuitem", name="Move to…").click()
    found["move"] = violations(page, axe)
    page.keyboard.press("Escape")
    from_menu(page, "Work", "Settings")
    expect(page.get_by_role("dialog", name="Settings of Work")).to_be_visible()
    found["settings"] = violations(page, axe)
    page.keyboard.press("Escape")
    from_menu(page, "Talk 2", "Select")
    found["selection"] = violations(page, axe)
    page.get_by_role("toolbar").get_by_role("button", name="End the selection").click()
    page.get_by_role("button", name="Archive", exact=True).click()
    expect(nav(page)).to_contain_text("The archive is empty.")
    found["archive"] = violations(page, axe)
    wrong = sorted({violation for each in found.values() for violation in each})
    assert not wrong, "\n".join(wrong)
