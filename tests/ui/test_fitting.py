"""How long a message is, what is offered when that is too long, and where the model's memory begins."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from services import tokens
from tests.faults.upstream import Call, Play, perform, serving
from tests.faults.wires import CHAT, event
from tests.providers.sockets import chunk
from tests.ui.acts import answers, ask, box, new_chat, open_new, settled
from tests.ui.aside import Aside
from tests.ui.conftest import Server
from tests.ui.test_axe import CHECK, axe  # noqa: F401 - a fixture

pytestmark = pytest.mark.browser

WINDOWS = {"small": 600, "large": 9_000}
SUMMARY = "The person said **word** often."
WORDS = "word " * 130


class Lab:
    """Models that count words, and refuse too many of them; all but one say in their list what they take."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        """What each request said."""
        self.gate = asyncio.Event()
        self._held = False
        self._aside = Aside()
        self._stack = AsyncExitStack()
        self.url = self._aside.run(self._begin())

    async def _begin(self) -> str:
        return f"{(await self._stack.enter_async_context(serving(self._answer))).url}/v1"

    async def _answer(self, call: Call) -> None:
        plain, bad = (f"{status}\r\nContent-Type: application/json" for status in ("200 OK", "400 Bad Request"))
        if call.path.endswith("/models"):
            listed = [{"id": name, "context_length": window} for name, window in WINDOWS.items()]
            body = json.dumps({"data": [*listed, {"id": "silent"}]}).encode()
            await perform(call, Play(body, head=plain, end="length"), None)
            return
        said = [message["content"] for message in call.body["messages"]]
        self.asked.append(said)
        count, window = sum(len(text.split()) for text in said) + 10, WINDOWS.get(call.body["model"], 800)
        if count >= window:
            error = f"maximum context length is {window} tokens. However, your messages resulted in {count} tokens."
            body = json.dumps({"error": {"message": error, "code": "context_length_exceeded"}}).encode()
            await perform(call, Play(body, head=bad, end="length"), None)
            return
        await perform(call, Play(end="open"), None)
        summary = said[0].startswith("You shorten")
        await call.write(chunk(CHAT.delta("The person " if summary else "Well.")))
        if summary or self._held:
            self._held = False
            await self.gate.wait()
        if summary:
            await call.write(chunk(CHAT.delta(SUMMARY.removeprefix("The person "))))
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        usage = {"choices": [], "usage": {"prompt_tokens": count, "completion_tokens": 2}}
        await call.write(chunk(event(end)) + chunk(event(usage)) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    def go_on(self, on: bool = True) -> None:
        self._aside.call(self.gate.set if on else self.gate.clear)

    def hold(self) -> None:
        """Have the next answer wait in its middle until it goes on."""
        self.go_on(False)
        self._held = True

    def close(self) -> None:
        self.go_on()
        self._aside.run(self._stack.aclose())
        self._aside.close()


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    one = Lab()
    yield one
    one.close()


@pytest.fixture(scope="module")
def here(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "endpoints.toml").write_text(
        f'[[endpoint]]\nname = "lab"\nbase_url = "{lab.url}"\napi = "chat"\nprice = {{ input = 3, output = 15 }}\n'
    )
    environ = {"PANELIST_ENDPOINTS": str(folder / "endpoints.toml"), "PANELIST_TITLES": "off", "PANELIST_TRIES": "1"}
    one = Server(folder, {**environ, "PANELIST_MODEL": "small"})
    one.start()
    yield one
    one.end()
    assert one.foreign == ""


def weight(page: Page) -> Locator:
    return page.locator(".weight")


def too_long(page: Page) -> Locator:
    return page.get_by_role("region", name="Too long for the model")


def memory(page: Page) -> Locator:
    return page.get_by_role("note", name="Where the model's memory begins")


def violations(page: Page) -> list[str]:
    """Return what axe-core finds, but for the heading that only some answers have."""
    found: list[str] = page.evaluate(CHECK)
    return [one for one in found if not one.startswith("page-has-heading-one")]


def choose(page: Page, name: str) -> None:
    """Choose a model, and wait until the server measures by what it takes."""
    model = page.get_by_role("combobox", name="Model")
    model.fill(f"{name} · lab")
    model.press("Enter")
    expect(page.get_by_role("meter", name="Context")).to_have_attribute("aria-valuemax", str(WINDOWS[name]))


def say(page: Page, text: str) -> None:
    count = answers(page).count()
    ask(page, text)
    settled(answers(page).nth(count))


def talk(page: Page) -> None:
    for n in range(3):
        say(page, f"{WORDS}{n}")
    expect(weight(page)).to_contain_text(re.compile("about 4[0-9]{2} tokens"))


def test_tokens_and_price_follow_what_is_typed(page: Page, here: Server) -> None:
    open_new(page, here)
    expect(weight(page)).to_be_hidden()
    box(page).press_sequentially("How far is it? 🌧🌧 ")
    box(page).press("ArrowLeft")
    box(page).press("Backspace")
    box(page).press_sequentially("👩‍👩‍👧 漢字")
    text = box(page).input_value()
    count = tokens.count(text) + 7
    expect(weight(page)).to_have_text(f"about {count} tokens, about ${count * 3 / 1e6:.6f}".rstrip("0"))
    meter = page.get_by_role("meter", name="Context")
    expect(meter).to_have_attribute("aria-valuemax", "600")
    expect(meter).to_have_attribute("aria-valuenow", str(count))
    weight(page).click()
    panel = page.get_by_role("region", name="What fills the context")
    expect(panel).to_contain_text(f"This message{count - 3}")
    expect(panel).to_contain_text("small takes 600 tokens, its answer included.")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(weight(page)).to_be_focused()
    box(page).fill("")
    expect(weight(page)).to_be_hidden()


def test_what_is_too_long_is_caught_and_the_oldest_left_out(page: Page, here: Server, lab: Lab) -> None:
    open_new(page, here)
    talk(page)
    asked = len(lab.asked)
    long = f"{'word ' * 200}4"
    ask(page, long)  # at once: the page asks how long it is before it lets it go
    region = too_long(page)
    expect(region).to_contain_text("and small takes 600.")
    expect(region.get_by_role("button").first).to_be_focused()
    expect(region.get_by_role("button", name="Switch to large · lab (9,000 tokens)")).to_be_visible()
    page.keyboard.press("Escape")
    expect(region).to_be_hidden()
    expect(box(page)).to_have_value(long)
    expect(box(page)).to_be_focused()
    box(page).press("Enter")
    region.get_by_role("button", name="Leave out the oldest 4 messages").click()
    settled(answers(page).nth(3))
    expect(box(page)).to_have_value("")
    assert [said[:9] for said in lab.asked[asked]] == ["word word", "Well.", "word word"]
    expect(memory(page)).to_contain_text("Messages above are not sent any more.")
    expect(page.get_by_role("article")).to_have_count(8)
    page.reload()
    expect(memory(page)).to_contain_text("Messages above are not sent any more.")
    memory(page).get_by_role("button", name="Send all again").click()
    expect(memory(page)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(memory(page)).to_have_count(1)


def test_the_beginning_is_summarised_seen_stopped_and_read(
    page: Page,
    here: Server,
    lab: Lab,
    axe: Path,  # noqa: F811
) -> None:
    lab.go_on(False)
    open_new(page, here)
    talk(page)
    asked = len(lab.asked)
    ask(page, f"{'word ' * 200}5")
    region = too_long(page)
    region.get_by_role("button", name="Summarise the oldest").click()
    expect(region).to_contain_text("Summarising the oldest 6 messages… 2 words")
    region.get_by_role("button", name="Stop").click()
    expect(region).to_contain_text("The summary was stopped, and nothing was changed.")
    expect(memory(page)).to_have_count(0)
    page.evaluate(axe.read_text("utf-8") + "; undefined")
    assert violations(page) == []
    lab.go_on()
    region.get_by_role("button", name="Summarise the oldest").click()
    settled(answers(page).nth(3))
    assert len(lab.asked) == asked + 3
    assert SUMMARY in lab.asked[-1][0]
    line = memory(page)
    line.get_by_role("button", name="The model is told a summary of what is above.").click()
    expect(line).to_contain_text("The person said word often.")
    expect(line).to_contain_text("Written by small")
    assert violations(page) == []


def test_where_nobody_knew_the_failure_explains_and_helps(page: Page, here: Server, lab: Lab) -> None:
    open_new(page, here)
    talk(page)
    model = page.get_by_role("combobox", name="Model")
    model.fill("silent · lab")
    model.press("Enter")
    expect(page.get_by_role("meter", name="Context")).to_be_hidden()
    ask(page, f"{'word ' * 500}6")
    failed = answers(page).nth(3)
    settled(failed, "failed")
    alert = failed.get_by_role("alert")
    expect(alert).to_contain_text(re.compile(r"has 9\d\d tokens, and the model 'silent' at lab takes 800"))
    alert.get_by_role("button", name="Leave out the oldest messages").click()
    settled(answers(page).nth(3))
    assert [said[:9] for said in lab.asked[-1]] == ["word word", "Well.", "word word"]
    expect(memory(page)).to_have_count(1)
    box(page).fill("word " * 700)
    expect(weight(page)).to_contain_text(re.compile(r"about 1,[34]\d\d tokens"))
    box(page).press("Enter")
    expect(too_long(page)).to_contain_text("and silent takes 800.")
    too_long(page).get_by_role("button", name="Not now").click()
    new_chat(page)
    expect(too_long(page)).to_be_hidden()


def test_an_edit_another_answer_and_a_waiting_message_are_caught_alike(
    page: Page,
    here: Server,
    lab: Lab,
    axe: Path,  # noqa: F811
) -> None:
    open_new(page, here)
    talk(page)
    asked = len(lab.asked)
    region = too_long(page)
    question = page.get_by_role("article", name="You").nth(2)
    question.hover()
    question.get_by_role("button", name="Edit").click()
    editor = page.get_by_role("textbox", name="Edit the question")
    editor.fill(f"{'word ' * 400}7")
    editor.press("Enter")
    expect(region).to_contain_text("and small takes 600.")
    expect(region.get_by_role("button").first).to_be_focused()
    page.evaluate(axe.read_text("utf-8") + "; undefined")
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(region).to_be_hidden()
    expect(editor).to_be_editable()
    expect(editor).to_have_value(f"{'word ' * 400}7")
    assert len(lab.asked) == asked
    editor.press("Enter")
    region.get_by_role("button", name=re.compile("Leave out the oldest [24] messages")).click()
    settled(answers(page).nth(2))
    expect(editor).to_have_count(0)
    assert lab.asked[-1][-1].endswith("7")

    choose(page, "large")
    say(page, f"{'word ' * 500}8")
    choose(page, "small")
    answers(page).nth(3).get_by_role("button", name="Regenerate").press("Enter")
    region.get_by_role("button", name="Switch to large · lab (9,000 tokens)").click()
    expect(region).to_be_hidden()
    expect(page.get_by_role("combobox", name="Model")).to_have_value("large · lab")
    expect(answers(page).nth(3).get_by_role("button", name="Previous version")).to_be_visible()
    settled(answers(page).nth(3))
    assert lab.asked[-1] == lab.asked[-2]


def test_a_waiting_message_that_is_too_long_is_held(page: Page, here: Server, lab: Lab) -> None:
    open_new(page, here)
    say(page, f"{WORDS}0")
    lab.hold()
    ask(page, f"{WORDS}1")
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    for n in (2, 3):  # each of them fits, but not both
        ask(page, f"{'word ' * 180}{n}")
        expect(box(page)).to_have_value("")
    queue = page.get_by_role("region", name="Queued messages")
    expect(queue.get_by_role("listitem")).to_have_count(2)
    lab.go_on()
    region = too_long(page)
    expect(region).to_contain_text("and small takes 600.")
    expect(box(page)).to_be_focused()  # nobody asked for it just now
    expect(queue).to_contain_text("Not sent, because it would be too long for the model:")
    region.get_by_role("button", name="Not now").click()
    expect(region).to_be_hidden()
    queue.get_by_role("button", name="Send now").click()
    expect(region.get_by_role("button").first).to_be_focused()
    region.get_by_role("button", name=re.compile("Leave out the oldest")).click()
    settled(answers(page).nth(3))
    expect(queue).to_be_hidden()
    assert lab.asked[-1][-1].endswith("3")
