"""The search for keys hears what is sent to pages and sees what is on them: here a word that is meant to be there."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.canary import Watch
from tests.ui.acts import answers, ask, open_new, settled
from tests.ui.conftest import Server

pytestmark = pytest.mark.browser

PLANTED = "plantedkeyneverseen"


def test_a_word_in_frames_and_pages_is_found(context: BrowserContext, server: Server) -> None:
    watch = Watch(PLANTED)
    page = context.new_page()
    watch.listen(page)
    open_new(page, server)
    assert watch.looked["frame"] > 0
    assert watch.found == [], "the page knows nothing of it yet"
    ask(page, PLANTED)
    settled(answers(page))
    assert any(found.startswith("frame ") for found in watch.found)
    watch.found.clear()
    expect(page.get_by_role("article", name="You")).to_have_text(PLANTED)
    watch.look_at(context)
    assert [found.split()[0] for found in watch.found] == ["page"]
