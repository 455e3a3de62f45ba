"""How likely each piece of an answer was, in a real browser."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from playwright.sync_api import Page, expect

from tests.faults.upstream import Call, Play, perform, serving
from tests.faults.wires import CHAT, event
from tests.providers.sockets import chunk
from tests.ui.acts import answers, ask, open_new, settled
from tests.ui.aside import Aside
from tests.ui.conftest import Server
from tests.ui.test_axe import faults_in

pytestmark = pytest.mark.browser

PIECES = (
    ("The", 97.0, {"A": 2.0}),
    (" sky", 81.0, {" sea": 9.0, " <b>sun</b>": 4.0}),
    (" is", 99.99, {}),
    (" **blue**", 55.0, {" grey": 30.0, " clear": 10.0}),
    (",\n", 30.0, {".": 60.0}),
    ("mostly", 4.0, {"often": 40.0, "usually": 30.0, "sometimes": 10.0}),
    (".", 95.0, {"!": 3.0}),
)


def scored(token: str, percent: float) -> dict[str, object]:
    return {"token": token, "logprob": math.log(percent / 100), "bytes": list(token.encode())}


class Sure:
    """A model server that says how likely its words were, when it is asked to."""

    def __init__(self) -> None:
        self._aside = Aside()
        self._stack = AsyncExitStack()
        self.url = self._aside.run(self._begin())

    async def _begin(self) -> str:
        return (await self._stack.enter_async_context(serving(self._answer))).url

    async def _answer(self, call: Call) -> None:
        if call.path.endswith("/models"):
            body = json.dumps({"object": "list", "data": [{"id": "sure", "object": "model"}]}).encode()
            await perform(call, Play(body, head="200 OK\r\nContent-Type: application/json", end="length"), None)
            return
        wanted = call.body.get("logprobs") is True and call.body.get("top_logprobs") == 5
        await perform(call, Play(end="open"), None)
        for token, percent, others in PIECES:
            top = [scored(token, percent), *(scored(*other) for other in others.items())]
            content = [{**scored(token, percent), "top_logprobs": top}]
            choice = {"index": 0, "delta": {"content": token}, "logprobs": {"content": content} if wanted else None}
            await call.write(chunk(event({"model": "sure", "choices": [choice]})))
        await call.write(chunk(CHAT.end()) + b"0\r\n\r\n")

    def close(self) -> None:
        self._aside.run(self._stack.aclose())
        self._aside.close()


@pytest.fixture(scope="module")
def sure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    model = Sure()
    environ = {"OPENAI_BASE_URL": f"{model.url}/v1", "PANELIST_MODEL": "sure", "PANELIST_TITLES": "off"}
    server = Server(tmp_path_factory.mktemp("sure"), environ)
    server.start()
    yield server
    server.end()
    model.close()


def switch_on(page: Page) -> None:
    page.get_by_role("button", name="Options").click()
    dialog = page.get_by_role("dialog", name="Options")
    dialog.get_by_role("combobox", name="Word probabilities").click()
    page.get_by_role("menuitem", name="on", exact=True).click()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()


def test_each_piece_tells_what_else_there_might_have_been(page: Page, sure: Server) -> None:
    open_new(page, sure)
    switch_on(page)
    ask(page, "What is the sky like?")
    settled(answers(page))
    button = answers(page).get_by_role("button", name="Word probabilities")
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    view = answers(page).get_by_role("region", name="Word probabilities")
    expect(view.get_by_role("option")).to_have_count(len(PIECES))
    assert [one.get_attribute("class") for one in view.get_by_role("option").all()] == [
        f"token p{level}" for level in (0, 1, 0, 2, 3, 4, 0)
    ]
    expect(answers(page).locator(".body strong")).to_have_text("blue")
    view.get_by_role("option", name="sky").hover()
    others = view.get_by_role("status")
    expect(others).to_contain_text("“ sky” 81.0 %")
    expect(others).to_contain_text("“ <b>sun</b>”")
    expect(others).to_contain_text("4.0 %")
    view.get_by_role("option").first.focus()
    expect(others).to_contain_text("“The” 97.0 %")
    page.keyboard.press("End")
    expect(others).to_contain_text("“.” 95.0 %")
    page.keyboard.press("ArrowLeft")
    expect(others).to_contain_text("“mostly” 4.0 %")
    page.keyboard.press("Escape")
    expect(others).to_be_hidden()
    button.click()
    expect(view).to_have_count(0)
    expect(button).to_have_attribute("aria-pressed", "false")


def test_what_was_not_asked_for_has_no_button(page: Page, sure: Server) -> None:
    open_new(page, sure)
    ask(page, "What is the sky like?")
    settled(answers(page))
    expect(answers(page).get_by_role("button", name="Details")).to_be_visible()
    expect(answers(page).get_by_role("button", name="Word probabilities")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_them(page: Page, sure: Server, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    open_new(page, sure)
    switch_on(page)
    ask(page, "What is the sky like?")
    settled(answers(page))
    answers(page).get_by_role("button", name="Word probabilities").click()
    answers(page).get_by_role("option", name="mostly").hover()
    assert faults_in(page) == []
