"""Keys in a real browser: a refused one gives way, a file is exchanged, one is typed in; none of them is ever shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.keyed import WORD
from tests.ui.acts import answers, ask, open_new, settled
from tests.ui.conftest import Server
from tests.ui.model import NAME, Model
from tests.ui.test_axe import axe, violations  # noqa: F401

pytestmark = pytest.mark.browser

TOML = """
[[endpoint]]
name = "team"
base_url = "{url}"
key_file = "{folder}/main.key"
[[endpoint.key]]
name = "standby"
env = "STANDBY_KEY"
"""
MAIN, STANDBY, NEXT, TYPED = (f"sk-{WORD}-{name}-0123456789" for name in ("main", "standby", "next", "typed"))


@pytest.fixture
def kept(own_server: Server, model: Model) -> Iterator[Server]:
    """A server whose endpoint has two keys, and takes what a journey says."""
    folder = own_server.folder
    (folder / "main.key").write_text(MAIN, "utf-8")
    (folder / "endpoints.toml").write_text(TOML.format(url=model.environ["OPENAI_BASE_URL"], folder=folder), "utf-8")
    own_server.environ |= {
        "PANELIST_ENDPOINTS": str(folder / "endpoints.toml"),
        "PANELIST_MODEL": NAME,
        "PANELIST_TITLES": "off",
        "STANDBY_KEY": STANDBY,
    }
    model.takes = {STANDBY}
    own_server.start()
    model.write()
    yield own_server
    model.takes = None
    for secret in (MAIN, STANDBY, NEXT, TYPED):
        assert secret not in own_server.log


def keys(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Keys")


def button(page: Page, name: str) -> Locator:
    return keys(page).get_by_role("button", name=name, exact=True)


def test_keys_are_seen_checked_and_exchanged(page: Page, kept: Server, model: Model) -> None:
    open_new(page, kept)
    ask(page, "Hello?")
    settled(answers(page))
    assert MAIN in model.keys
    assert model.keys[-1] == STANDBY, "what was asked with the other one is asked again"
    ask(page, "/keys")
    expect(keys(page)).to_contain_text(f"from the file {kept.folder}/main.key")
    expect(keys(page).get_by_text("never taken yet, last refused just now")).to_be_visible()
    expect(keys(page).get_by_text("in use")).to_have_count(1)
    expect(button(page, "Use this key: standby of team")).to_be_disabled()

    button(page, "Check now: main.key of team").click()
    expect(keys(page).get_by_role("alert")).to_contain_text("did not accept the API key")
    (kept.folder / "main.key").write_text(NEXT, "utf-8")
    model.takes = {NEXT}
    button(page, "Rotate now: read the keys of team again").click()
    expect(keys(page).get_by_text("New now: main.key.")).to_be_visible()
    expect(button(page, "Use this key: main.key of team")).to_be_disabled()
    button(page, "Use this key: standby of team").press("Enter")
    expect(keys(page).get_by_text("Requests go with this key from now on.")).to_be_visible()

    model.takes = {TYPED}
    keys(page).get_by_label("New key").fill(TYPED)
    keys(page).get_by_label("New key").press("Enter")
    expect(keys(page).get_by_text("is asked with the new key from now on")).to_be_visible()
    expect(keys(page).get_by_label("New key")).to_have_value("")
    for secret in (MAIN, STANDBY, NEXT, TYPED):
        assert secret not in page.content()
    page.keyboard.press("Escape")
    expect(keys(page)).to_be_hidden()
    ask(page, "And now?")
    settled(answers(page).last)
    assert model.keys[-1] == TYPED


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, kept: Server, axe: Path, scheme: str) -> None:  # noqa: F811
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    open_new(page, kept)
    ask(page, "/keys")
    button(page, "Check now: main.key of team").click()
    expect(keys(page).get_by_text("did not accept the API key")).to_be_visible()
    assert violations(page, axe) == []


def test_all_refused_leads_to_them(page: Page, kept: Server, model: Model) -> None:
    model.takes = set()
    page.set_viewport_size({"width": 390, "height": 800})
    open_new(page, kept)
    ask(page, "Hello?")
    settled(answers(page), "failed")
    answers(page).get_by_role("button", name="Add a key").click()
    page.get_by_role("button", name="Keys…").click()
    expect(keys(page).get_by_text("refused", exact=True)).to_have_count(2)
    expect(keys(page).get_by_text("Incorrect API key")).to_have_count(0)
    overflow = keys(page).evaluate("dialog => dialog.scrollWidth - dialog.clientWidth")
    assert overflow <= 0
