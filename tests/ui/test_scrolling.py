"""Where the reader is: kept when the page comes and goes, and never moved by what happens elsewhere on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from services.runtime import open_runtime
from services.settings import read_settings
from tests.conftest import whole_run
from tests.scripted import ScriptedProvider, answer
from tests.ui.acts import answers, ask, conversation, live, open_new, settled, until
from tests.ui.aside import Aside
from tests.ui.conftest import LONG_FORM, Server
from tests.ui.test_first_view import without_scripts

pytestmark = pytest.mark.browser

OWNER = "local"
QUESTIONS = 45  # twice as many messages, of which 40 are sent at first

TOP = """log => {
    const top = log.getBoundingClientRect().top
    const blocks = [...log.querySelectorAll(".body > *, .user > .body")]
    const block = blocks.find(node => node.getBoundingClientRect().bottom > top + 1)
    return [block.textContent.slice(0, 60), block.getBoundingClientRect().top - top]
}"""


def told(number: int) -> str:
    """Return an answer; they differ in height, so that a guess at it would be wrong."""
    paragraphs = [f"Paragraph {n} of answer {number}. " + "Some words. " * 40 for n in range(1 + number % 5)]
    return f"# Answer {number}\n\n" + "\n\n".join(paragraphs) + "\n\n## Its end\n\n```python\nx = 1\n```\n"


async def tell(folder: Path) -> str:
    """Have a long conversation and a short one, and return the id of the long one."""
    settings = read_settings(
        {
            "PANELIST_DATA_DIR": str(folder / "data"),
            "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
            "PANELIST_TITLES": "off",
        },
        folder,
    )
    texts = [told(number) for number in range(QUESTIONS)]
    runtime = await open_runtime(settings, provider=ScriptedProvider(*map(answer, [*texts, told(3)])))
    here = None
    for number in range(QUESTIONS):
        opened = await runtime.chat.send(OWNER, f"Question {number}", conversation_id=here)
        here = opened.conversation.id
        await whole_run(runtime.chat, opened, OWNER)
    await whole_run(runtime.chat, await runtime.chat.send(OWNER, "A short one"), OWNER)
    await runtime.close()
    assert here is not None
    return here


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    folder = tmp_path_factory.mktemp("telling")
    aside = Aside()
    here = aside.run(tell(folder))
    aside.close()
    server = Server(folder, {"PANELIST_TRIES": "1"})
    server.start()
    yield server, f"{server.url}?c={here}"
    server.end()
    assert server.foreign == ""


@pytest.fixture
def long(page: Page, telling: tuple[Server, str]) -> str:
    """The address of a long conversation, which is open, at its end."""
    _, address = telling
    page.goto(address)
    live(page)
    expect(answers(page).last).to_be_visible()
    return address


def log_of(page: Page) -> Locator:
    return page.get_by_role("log", name="Conversation")


def top_of(page: Page) -> tuple[str, float]:
    """Return what is at the top of the view, and how far from it."""
    text, offset = log_of(page).evaluate(TOP)
    return text, offset


def left(page: Page) -> float:
    """Return how far the end is from the end of the view."""
    return float(log_of(page).evaluate("node => node.scrollHeight - node.scrollTop - node.clientHeight"))


def jump(page: Page) -> Locator:
    return page.get_by_role("button", name="Jump to latest")


def scroll_up(page: Page, by: int) -> tuple[str, float]:
    """Scroll up, wait until the place is kept, and return what is at the top."""
    log_of(page).hover()
    before = kept(page)
    page.mouse.wheel(0, -by)
    until(lambda: kept(page) != before, "the place is kept")
    page.wait_for_timeout(700)  # wheels are smooth, and nothing tells when one has stopped
    return top_of(page)


def kept(page: Page) -> str:
    return str(page.evaluate("sessionStorage.getItem('panelist.places')"))


def stays(page: Page, place: tuple[str, float]) -> None:
    text, offset = top_of(page)
    assert text == place[0]
    assert offset == pytest.approx(place[1], abs=1)


def test_a_conversation_opens_where_one_left_off(page: Page, long: str) -> None:
    assert left(page) < 24
    place = scroll_up(page, 2500)
    conversation(page, "A short one")
    assert left(page) < 24
    page.get_by_role("link", name="Question 0").click()
    expect(page.get_by_role("article", name="You").last).to_have_text(f"Question {QUESTIONS - 1}")
    stays(page, place)
    page.reload()
    live(page)
    stays(page, place)
    expect(jump(page)).to_be_visible()
    other = page.context.new_page()  # another tab begins where the last one was
    other.goto(long)
    live(other)
    stays(other, place)
    jump(page).click()
    until(lambda: "null" in kept(page), "the end is kept")
    page.reload()
    live(page)
    assert left(page) < 24


@LONG_FORM
def test_the_first_view_is_where_one_left_off(page: Page, long: str) -> None:
    place = scroll_up(page, 1500)
    with without_scripts(page):
        page.goto(long, wait_until="commit")
        page.wait_for_function("window.panelistFirst")
        stays(page, place)
        log_of(page).hover()
        page.mouse.wheel(0, -300)
        page.wait_for_timeout(700)
        place = top_of(page)
    live(page)
    stays(page, place)


def test_a_place_that_is_not_loaded_yet_is_fetched(page: Page, long: str) -> None:
    place = to_question(page, 5)
    page.reload()
    live(page)
    expect(article(page, "Question 5")).to_be_attached()
    stays(page, place)
    expect(jump(page)).to_be_visible()


def article(page: Page, question: str) -> Locator:
    return page.get_by_role("article", name="You").filter(has=page.get_by_text(question, exact=True))


def to_question(page: Page, number: int) -> tuple[str, float]:
    """Scroll up until an early question is at the top, and return the place."""
    until(lambda: _scrolled_to(page, number), f"question {number} is there")
    page.wait_for_timeout(700)  # the place is kept soon after
    return top_of(page)


def _scrolled_to(page: Page, number: int) -> bool:
    found = article(page, f"Question {number}")
    if found.count():
        found.evaluate(
            "node => { const log = node.closest('.log'); log.scrollTop += node.getBoundingClientRect().top - 150 }"
        )
        return True
    log_of(page).evaluate("log => { log.scrollTop = 200 }")
    page.wait_for_timeout(100)
    return False


def test_older_messages_come_by_themselves_and_nothing_moves(page: Page, long: str) -> None:
    first = page.get_by_role("article").first
    held = first.get_attribute("data-message-id")
    log_of(page).evaluate("log => { log.scrollTop = 1500 }")  # not near yet; what is around gets its height
    page.wait_for_timeout(500)
    expect(first).to_have_attribute("data-message-id", held or "")
    log_of(page).evaluate(
        """log => {
            log.scrollTop = 600
            window.moves = []
            const edge = log.getBoundingClientRect().top
            const topOf = (node) => node.getBoundingClientRect().top
            let [node, was] = [null, 0]
            const look = () => {  // once in each frame, at what was at the top of the view
                if (node) { window.moves.push(topOf(node) - was) }
                else {
                    node = [...log.querySelectorAll(".body")].find(n => n.getBoundingClientRect().bottom > edge + 1)
                    was = topOf(node)
                }
                requestAnimationFrame(look)
            }
            requestAnimationFrame(() => requestAnimationFrame(look))
        }"""
    )
    expect(first).not_to_have_attribute("data-message-id", held or "")
    page.wait_for_timeout(500)
    moves = page.evaluate("window.moves")
    assert len(moves) > 5
    assert max(map(abs, moves)) < 1


@LONG_FORM
def test_show_earlier_messages_by_keyboard(page: Page, long: str) -> None:
    earlier = page.get_by_role("button", name="Show earlier messages")
    earlier.evaluate("node => node.focus({preventScroll: true})")
    held = page.get_by_role("article").first.get_attribute("data-message-id")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article").first).not_to_have_attribute("data-message-id", held or "")


def pin(page: Page) -> Locator:
    return page.get_by_role("button", name="Keep the question at the top")


def test_a_pinned_question_stays_at_the_top(page: Page, server: Server) -> None:
    open_new(page, server)
    expect(pin(page)).to_be_hidden()
    ask(page, "What can you do?")
    settled(answers(page))
    pin(page).focus()
    page.keyboard.press("Enter")
    expect(pin(page)).to_have_attribute("aria-pressed", "true")
    ask(page, "/long 600")
    question = article(page, "/long 600")
    answer = answers(page).nth(1)
    expect(answer.locator(".body p").first).to_be_visible()
    offset = "node => node.getBoundingClientRect().top - node.closest('.log').getBoundingClientRect().top"
    tops = []
    for _ in range(20):
        tops.append(question.evaluate(offset))
        page.wait_for_timeout(100)
    settled(answer)
    tops.append(question.evaluate(offset))
    assert 0 <= min(tops) <= max(tops) < 16
    assert max(tops) - min(tops) < 1
    expect(jump(page)).to_be_visible()
    jump(page).click()
    assert left(page) < 1
    assert log_of(page).locator(".room").evaluate("node => node.offsetHeight") == 0
    ask(page, "/long 5")
    settled(answers(page).nth(2))
    assert 0 <= article(page, "/long 5").evaluate(offset) < 16, "there is room below a short answer"
    expect(jump(page)).to_be_hidden()
    page.reload()
    live(page)
    expect(pin(page)).to_have_attribute("aria-pressed", "true")
    assert log_of(page).locator(".room").evaluate("node => node.offsetHeight") == 0
    pin(page).click()
    expect(pin(page)).to_have_attribute("aria-pressed", "false")


def test_the_outline(page: Page, long: str) -> None:
    button = page.get_by_role("button", name="Outline", exact=True)
    outline = page.get_by_role("navigation", name="Outline")
    expect(outline).to_be_hidden()
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    items = outline.locator(".outline-item")
    expect(items.first).to_have_text("Question 0")
    expect(items.last).to_have_text("Its end")
    expect(outline.get_by_role("button", name="Answer 44")).to_have_class("outline-item level-1")
    expect(outline.locator("[aria-current]")).to_be_focused()
    page.keyboard.press("End")
    expect(items.last).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(outline.get_by_role("button", name="Question 44")).to_be_focused()
    page.keyboard.press("Enter")
    at_top(page, "Question 44")
    expect(outline.get_by_role("button", name="Question 44")).to_be_focused()
    outline.get_by_role("button", name="Answer 42").click()
    at_top(page, "Answer 42")
    expect(outline.locator("[aria-current]")).to_have_text("Answer 42")
    expect(article(page, "Question 3")).to_have_count(0)
    outline.get_by_role("button", name="Question 3", exact=True).click()
    at_top(page, "Question 3")
    page.keyboard.press("Escape")
    expect(outline).to_be_hidden()
    expect(button).to_be_focused()
    conversation(page, "A short one")
    expect(button).to_be_hidden()


def at_top(page: Page, text: str) -> None:
    def there() -> bool:
        top, offset = top_of(page)
        return top == text and 0 <= offset <= 24

    until(there, f"{text} is at the top")


@LONG_FORM
def test_the_outline_on_a_phone(page: Page, telling: tuple[Server, str]) -> None:
    page.set_viewport_size({"width": 390, "height": 780})
    page.goto(telling[1])
    live(page)
    page.get_by_role("button", name="Outline", exact=True).click()
    outline = page.get_by_role("navigation", name="Outline")
    expect(outline).to_be_visible()
    assert outline.evaluate("node => node.offsetWidth") == 390
    outline.get_by_role("button", name="Question 40").click()
    expect(outline).to_be_hidden()
    at_top(page, "Question 40")
