"""What can be done with an answer: code, tables, copies, diagrams."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.faults.upstream import Call, Play, perform, serving
from tests.faults.wires import CHAT
from tests.keyed import KEYED
from tests.providers.sockets import chunk
from tests.ui.acts import answers, ask, live, open_new, rendered, settled
from tests.ui.aside import Aside
from tests.ui.conftest import LONG_FORM, ROOT, Server

pytestmark = pytest.mark.browser


class Writer:
    """A model server that answers every question with `text`, in small pieces."""

    def __init__(self) -> None:
        self.text = ""
        self.piece = 50
        """Characters of one."""
        self.asked: list[str] = []
        """The models that were asked for."""
        self._aside = Aside()
        self._stack = AsyncExitStack()
        self.url = self._aside.run(self._begin())

    async def _begin(self) -> str:
        return (await self._stack.enter_async_context(serving(self._answer))).url

    async def _answer(self, call: Call) -> None:
        if call.path.endswith("/models"):
            models = [{"id": id, "object": "model"} for id in ("writer", "another")]
            body = json.dumps({"object": "list", "data": models}).encode()
            await perform(call, Play(body, head="200 OK\r\nContent-Type: application/json", end="length"), None)
            return
        self.asked.append(call.body["model"])
        await perform(call, Play(end="open"), None)
        for start in range(0, len(self.text), self.piece):
            await call.write(chunk(CHAT.delta(self.text[start : start + self.piece])))
            await asyncio.sleep(0.002)
        await call.write(chunk(CHAT.end()) + b"0\r\n\r\n")

    def close(self) -> None:
        self._aside.run(self._stack.aclose())
        self._aside.close()


@pytest.fixture(scope="module")
def writer() -> Iterator[Writer]:
    one = Writer()
    yield one
    one.close()


@pytest.fixture(scope="module")
def writing(writer: Writer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environ = {**KEYED, "OPENAI_BASE_URL": f"{writer.url}/v1", "PANELIST_MODEL": "writer", "PANELIST_TITLES": "off"}
    server = Server(tmp_path_factory.mktemp("writing"), environ)
    server.start()
    yield server
    server.end()
    assert server.foreign == ""


@pytest.fixture
def context(context: BrowserContext) -> BrowserContext:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    return context


def answer_with(page: Page, server: Server, writer: Writer, text: str) -> Locator:
    """Let the model write `text`, and return the answer."""
    writer.text = text
    open_new(page, server)
    ask(page, "Go")
    settled(answers(page))
    return answers(page)


def reopen(page: Page) -> None:
    page.reload()
    live(page)
    settled(answers(page))


def copied(page: Page, kind: str = "text/plain") -> str:
    """Wait until something is in the clipboard, empty it and return it."""
    text: str = page.evaluate(
        """async (kind) => {
            for (let tries = 0; tries < 200; tries++) {
                const [item] = await navigator.clipboard.read()
                const text = item.types.includes(kind) ? await (await item.getType(kind)).text() : ""
                if (text) {
                    await navigator.clipboard.writeText("")
                    return text
                }
                await new Promise(done => setTimeout(done, 50))
            }
            return "nothing"
        }""",
        kind,
    )
    return text


def copies(answer: Locator, name: str, kind: str = "text/plain") -> str:
    """Press a button, see it say so, and return what it copied."""
    answer.get_by_role("button", name=name, exact=True).click()
    expect(answer.get_by_role("button", name="Copied")).to_be_visible()
    text = copied(answer.page, kind)
    expect(answer.get_by_role("button", name=name, exact=True)).to_be_visible()
    return text


LONG = "\n".join(
    f'def f{n}():\n    """A text\n    of two lines"""\n    return {n}  # {"and more " * 20}' for n in range(20)
)


def test_long_code(page: Page, writing: Server, writer: Writer) -> None:
    answer = answer_with(page, writing, writer, f"```python\n{LONG}\n```\n\nEnd.")
    code = answer.locator("pre")
    streamed = rendered(answer)
    whole = code.evaluate("node => node.scrollHeight")
    assert code.evaluate("node => node.clientHeight") == whole, "what was written here stays open"
    expect(answer.get_by_role("button", name="Show all")).to_be_hidden()
    reopen(page)
    assert rendered(answer) == streamed
    assert 300 < code.evaluate("node => node.clientHeight") < 400
    assert code.evaluate("node => node.scrollWidth > node.clientWidth")

    fold = answer.get_by_role("button", name="Show all 80 lines")
    expect(fold).to_have_attribute("aria-expanded", "false")
    top = answer.locator(".code-head").bounding_box()
    fold.focus()
    page.keyboard.press("Enter")
    expect(answer.get_by_role("button", name="Show fewer lines")).to_have_attribute("aria-expanded", "true")
    assert code.evaluate("node => node.scrollHeight") == code.evaluate("node => node.clientHeight") == whole
    assert answer.locator(".code-head").bounding_box() == top, "it opens downwards"

    answer.get_by_role("button", name="Show fewer lines").click()
    code.evaluate("node => { node.scrollTop = 700 }")  # as the browser's search does with what it finds in there
    expect(answer.get_by_role("button", name="Show fewer lines")).to_be_visible()
    assert code.evaluate("node => node.scrollTop") == 0
    assert page.get_by_role("log").evaluate("node => node.scrollTop") > 500

    numbers = answer.get_by_role("button", name="Line numbers")
    numbers.click()
    expect(numbers).to_have_attribute("aria-pressed", "true")
    assert (code.get_attribute("data-numbers") or "").split("\n")[-1] == "80"
    answer.get_by_role("button", name="Wrap").click()
    assert not code.evaluate("node => node.scrollWidth > node.clientWidth")
    shown = (code.get_attribute("data-numbers") or "").split("\n")
    height = code.locator("code").evaluate("node => node.offsetHeight / parseFloat(getComputedStyle(node).lineHeight)")
    assert shown[3] == "4"
    assert shown[4] == "", "the fourth line takes more than one"
    assert len(shown) == pytest.approx(height, abs=1)
    assert copies(answer, "Copy code") == LONG + "\n"


def test_long_code_that_was_written_here_folds_once_it_is_out_of_view(
    page: Page, writing: Server, writer: Writer
) -> None:
    after = "\n\n".join(f"Paragraph {n} of what follows." for n in range(60))
    answer = answer_with(page, writing, writer, f"```python\n{LONG}\n```\n\n{after}")
    expect(answer.get_by_role("button", name="Show all 80 lines")).to_have_count(1)
    height = answer.locator("pre").evaluate("node => node.clientHeight")
    assert 300 < height < 400
    last = answer.locator("p").last
    assert last.evaluate("node => node.getBoundingClientRect().bottom < innerHeight"), "the end stays in view"
    reopen(page)
    assert answer.locator("pre").evaluate("node => node.clientHeight") == height


def test_long_code_that_is_in_view_folds_when_its_reader_has_left(page: Page, writing: Server, writer: Writer) -> None:
    before = "\n\n".join(f"Paragraph {n} of what comes before." for n in range(60))
    answer = answer_with(page, writing, writer, f"{before}\n\n```python\n{LONG}\n```\n\nEnd.")
    code = answer.locator("pre")
    whole = code.evaluate("node => node.scrollHeight")
    assert code.evaluate("node => node.clientHeight") == whole, "it is in view"
    log = page.get_by_role("log")
    log.evaluate("node => { node.scrollTop = 300 }")
    top = log.evaluate("node => node.scrollTop")
    expect(answer.get_by_role("button", name="Show all 80 lines")).to_have_count(1)
    assert code.evaluate("node => node.clientHeight") < 400
    assert log.evaluate("node => node.scrollTop") == top


def test_what_comes_all_at_once_is_laid_out_over_several_frames(page: Page, writing: Server, writer: Writer) -> None:
    """The most that one frame adds is bounded, and the end comes after all of it."""
    page.add_init_script(
        """const insert = Element.prototype.before
        window.inserted = []
        window.requestAnimationFrame = (act) => setTimeout(act, 700) // a page that is late
        Element.prototype.before = function (finished) {
            window.inserted.push(finished.querySelectorAll("*").length)
            return insert.call(this, finished)
        }"""
    )
    text = "".join(f"- [ ] item {n} of **many**\n" for n in range(2_000))
    answer = answer_with(page, writing, writer, text)
    inserted = page.evaluate("window.inserted")
    assert sum(inserted) > 6_000
    assert max(inserted) < 3_000
    streamed = rendered(answer)
    reopen(page)
    assert rendered(answer) == streamed


TABLE = """| Name | Price | Share | Change | [Where](https://example.com) | `a|b` |
|:--|--:|--:|:-:|---|---|
| Tea, green | $3 | 12 % | −3.5 | **b** \\| c | $x^2$ |
| Zucchini | $1,234.50 | 4 % | 10 | "c" | =1+1 |
| Äpfel | $20 | 100 % | n/a | a | `x\\|y` |
""".replace("`a|b`", "Note")


def column(answer: Locator, number: int = 1) -> list[str]:
    return [text.split(",")[0] for text in answer.locator(f"tbody td:nth-child({number})").all_text_contents()]


def test_tables_sort_and_go_away_in_the_order_shown(page: Page, writing: Server, writer: Writer) -> None:
    answer = answer_with(page, writing, writer, f"{TABLE}\nEnd.")
    streamed = rendered(answer)
    heads = answer.get_by_role("columnheader")
    for name, up in (
        ("Name", ["Äpfel", "Tea", "Zucchini"]),
        ("Price", ["Tea", "Äpfel", "Zucchini"]),
        ("Share", ["Zucchini", "Tea", "Äpfel"]),
    ):
        sort = answer.get_by_role("button", name=name)
        sort.focus()
        page.keyboard.press("Enter")
        expect(heads.filter(has_text=name)).to_have_attribute("aria-sort", "ascending")
        assert column(answer) == up
        page.keyboard.press("Enter")
        assert column(answer) == up[::-1]
        assert answer.locator("[aria-sort]").count() == 1
        page.keyboard.press("Enter")
        expect(heads.filter(has_text=name)).not_to_have_attribute("aria-sort", "descending")
        assert column(answer) == ["Tea", "Zucchini", "Äpfel"]
    assert rendered(answer) == streamed
    where = answer.get_by_role("button", name="Sort", exact=True)
    where.click()
    assert column(answer) == ["Zucchini", "Äpfel", "Tea"]
    change = answer.get_by_role("button", name="Change")
    change.click()
    change.click()
    assert column(answer) == ["Zucchini", "Tea", "Äpfel"], "what says nothing comes last"
    expect(page.get_by_role("status", name="Announcements")).to_have_text("Sorted by Change, descending.")

    assert copies(answer, "Copy as CSV") == (
        "Name,Price,Share,Change,Where,Note\r\n"
        'Zucchini,"$1,234.50",4 %,10,"""c""",\'=1+1\r\n'
        '"Tea, green",$3,12 %,−3.5,b | c,$x^2$\r\n'
        "Äpfel,$20,100 %,n/a,a,x|y\r\n"
    )
    assert copies(answer, "Copy as Markdown") == (
        "| Name | Price | Share | Change | [Where](<https://example.com>) | Note |\n"
        "| :--- | ---: | ---: | :---: | --- | --- |\n"
        '| Zucchini | $1,234.50 | 4 % | 10 | "c" | =1+1 |\n'
        "| Tea, green | $3 | 12 % | −3.5 | **b** \\| c | $x^2$ |\n"
        "| Äpfel | $20 | 100 % | n/a | a | `x\\|y` |\n"
    )


def test_no_cell_of_a_csv_is_a_formula(page: Page) -> None:
    script = (ROOT / "components" / "chat" / "tables.js").read_text("utf-8")
    formulas = ["=1+1", "+SUM(A1)", "-2+3", "@A1", "\t=1", "\r=1", " =1", "＝1+1", "＠A1", "-1+cmd|' /C calc'!A0", "=5"]
    plain = ["", "-", "-5", "+3.5", "-1,234.50", "-12 %", "1=1", "a", "− 5", "a@b.c", "x\n=1"]
    told = page.evaluate(f"(texts) => {{ {script}; return texts.map(defused) }}", [*formulas, *plain])
    assert told == [*(f"'{text}" for text in formulas), *plain]


@LONG_FORM
def test_a_long_table_is_one_for_its_reader(page: Page, writing: Server, writer: Writer) -> None:
    numbers = random.Random(1).sample(range(1000), 500)
    lines = [f"| {number} | row {number} |" for number in numbers]
    table = "\n".join(["| Number | Words |", "| ---: | --- |", *lines])
    answer = answer_with(page, writing, writer, f"{table}\n\nEnd.")
    assert answer.get_by_role("table").count() > 2
    expect(answer.get_by_role("button", name="Number")).to_have_count(1)
    assert copies(answer, "Copy as Markdown") == table + "\n"
    sort = answer.get_by_role("button", name="Number")
    for order in (sorted(numbers), sorted(numbers, reverse=True)):
        sort.click()
        assert column(answer) == [str(number) for number in order]
    assert answer.locator("[aria-sort=descending]").count() == answer.locator("table").count()
    assert copies(answer, "Copy as CSV").splitlines()[1] == f"{max(numbers)},row {max(numbers)}"
    sort.click()
    assert column(answer) == [str(number) for number in numbers]
    edges = "tables => tables.map(table => table.rows[1].cells[1].getBoundingClientRect().left)"
    assert len(set(answer.locator("table").evaluate_all(edges))) == 1, "columns go on"
    gap = "tables => tables[1].getBoundingClientRect().top - tables[0].getBoundingClientRect().bottom"
    assert abs(answer.locator("table").evaluate_all(gap)) < 1


@LONG_FORM
def test_a_table_is_sorted_while_the_rest_is_written(page: Page, writing: Server, writer: Writer) -> None:
    writer.text = f"{TABLE}\n" + "words and more words\n\n" * 400
    open_new(page, writing)
    ask(page, "Go")
    price = answers(page).get_by_role("button", name="Price")
    expect(answers(page)).to_contain_text("words and more words")
    price.click()
    price.click()
    expect(answers(page)).to_have_attribute("data-status", "streaming")
    settled(answers(page))
    assert column(answers(page)) == ["Zucchini", "Äpfel", "Tea"]


@LONG_FORM
def test_a_table_wider_than_a_phone_scrolls_in_itself(context: BrowserContext, writing: Server, writer: Writer) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": 390, "height": 780})
    wide = "|".join(f" Column {n} " for n in range(12))
    answer = answer_with(page, writing, writer, f"|{wide}|\n|{'-|' * 12}\n|{wide}|\n")
    assert answer.get_by_role("region", name="Table").evaluate("node => node.scrollWidth > node.clientWidth")
    assert page.get_by_role("log").evaluate("node => node.scrollWidth <= node.clientWidth")


NUMBERS = {
    "units": (["70 °C", "100 °C", "9 °C"], ["9 °C", "70 °C", "100 °C"]),
    "commas": (["3,5", "1.234,5", "12,25"], ["3,5", "12,25", "1.234,5"]),
    "versions": (["1.10.0", "1.9.0", "1.2.0"], ["1.2.0", "1.9.0", "1.10.0"]),
    "dates": (["2025-01-10", "2024-12-31", "2025-01-09"], ["2024-12-31", "2025-01-09", "2025-01-10"]),
    "powers": (["1e6", "−2e3", "5"], ["−2e3", "5", "1e6"]),
    "words": (["item 10", "Item 9", "äpfel"], ["äpfel", "Item 9", "item 10"]),
    "bills": (["(3.50)", "€ 2", ""], ["(3.50)", "€ 2", ""]),
    "ranges": (["10–20", "9–12", "100–200"], ["9–12", "10–20", "100–200"]),
}


@LONG_FORM
def test_what_a_number_is(page: Page, writing: Server, writer: Writer) -> None:
    rows = zip(*(given for given, _ in NUMBERS.values()), strict=True)
    table = "\n".join(f"| {' | '.join(row)} |" for row in [NUMBERS, ["-"] * len(NUMBERS), *rows])
    answer = answer_with(page, writing, writer, table + "\n\nEnd.")
    found = {}
    for number, name in enumerate(NUMBERS, 1):
        answer.get_by_role("button", name=name).click()
        found[name] = answer.locator(f"tbody td:nth-child({number})").all_text_contents()
    assert found == {name: expected for name, (_, expected) in NUMBERS.items()}


RICH = f"""# A *title*

Words with $a^2$, **bold**, [a link](https://example.com) and `code`.

- [x] one
- two
  - three

{TABLE}

```python
x = 1

y = "<b>"
```

$$
\\frac{{1}}{{2}}
$$
"""


@pytest.mark.parametrize("secure", [True, False], ids=["https", "http"])
def test_copy_gives_markdown_and_rich_text_at_once(page: Page, writing: Server, writer: Writer, secure: bool) -> None:
    if not secure:
        page.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false})")
    answer = answer_with(page, writing, writer, RICH)
    html = copies(answer, "Copy", "text/html")
    for piece in (
        "<h1>A <em>title</em></h1>",
        'href="https://example.com/"',
        "☑ one",
        "x = 1\n\ny",
        'y = "&lt;b&gt;"',
    ):
        assert piece in html
    for ours in ("<button", "class=", "Copy code", "Sort", "data-", "tabindex", "aria-"):
        assert ours not in html
    assert copies(answer, "Copy") == RICH


def test_copy_as(page: Page, writing: Server, writer: Writer) -> None:
    answer = answer_with(page, writing, writer, RICH)
    more = answer.get_by_role("button", name="Copy as…")
    menu = page.get_by_role("menu", name="Copy as…")

    def choose(*keys: str) -> str:
        more.focus()
        for key in ("Enter", *keys, "Enter"):
            page.keyboard.press(key)
        expect(menu).to_have_count(0)
        done = answer.get_by_role("button", name="Copied")
        expect(done).to_be_focused()
        text = copied(page)
        expect(more).to_be_visible()
        return text

    plain = choose()
    assert plain.startswith(
        "A title\n\nWords with $a^2$, bold, a link and code.\n\n- ☑ one\n- two\n  - three\n\nName\tPrice"
    )
    assert 'x = 1\n\ny = "<b>"\n\n$$\\frac{1}{2}$$\n' in plain
    assert choose("ArrowDown").startswith("<h1>A <em>title</em></h1>")
    assert choose("ArrowDown", "ArrowDown") == RICH
    assert choose("ArrowUp") == "$a^2$\n\n$x^2$\n\n$$\\frac{1}{2}$$\n"
    more.focus()
    page.keyboard.press("ArrowDown")
    expect(menu.get_by_role("menuitem").first).to_be_focused()
    expect(more).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    expect(more).to_be_focused()
    more.click()
    page.get_by_role("textbox", name="Message").click()
    expect(menu).to_have_count(0)


@LONG_FORM
def test_without_math_there_is_no_latex(page: Page, writing: Server, writer: Writer) -> None:
    answer = answer_with(page, writing, writer, "Just words.")
    answer.get_by_role("button", name="Copy as…").click()
    assert page.get_by_role("menuitem").all_text_contents() == ["Plain text", "HTML", "Markdown"]
    page.keyboard.press("Escape")
    you = page.get_by_role("article", name="You")
    assert copies(you, "Copy") == "Go"
    expect(you.get_by_role("button", name="Copy as…")).to_have_count(0)


def fenced(*diagrams: str) -> str:
    return "\n\n".join(f"```mermaid\n{source}\n```" for source in diagrams) + "\n\nEnd."


FLOW = "flowchart LR\n    A[Boil] --> B{Which?}\n    B --> C"


def test_a_diagram_is_a_picture_and_its_source_one_click_away(page: Page, writing: Server, writer: Writer) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = answer_with(page, writing, writer, "Just words.")
    assert not [url for url in asked if "mermaid" in url], "it is loaded with the first diagram"
    answer = answer_with(page, writing, writer, fenced(FLOW))
    picture = answer.get_by_role("img", name="Diagram: flowchart")
    expect(picture).to_be_visible()
    assert picture.evaluate("node => node.complete && node.naturalWidth") > 200
    assert (picture.get_attribute("src") or "").startswith("data:image/svg+xml")
    frame = page.locator("iframe.workshop")
    expect(frame).to_have_attribute("sandbox", "allow-scripts")
    expect(frame).to_be_hidden()
    [script] = [url for url in asked if "mermaid.min.js" in url]
    assert "max-age=" in page.request.get(script).headers["cache-control"]
    streamed = rendered(answer)

    source = answer.get_by_text("flowchart LR")
    expect(source).to_be_hidden()
    answer.get_by_role("button", name="Source").click()
    expect(answer.get_by_role("button", name="Source")).to_have_attribute("aria-pressed", "true")
    expect(source).to_be_visible()
    expect(picture).to_be_hidden()
    assert copies(answer, "Copy code") == FLOW + "\n"
    answer.get_by_role("button", name="Diagram").press("Enter")
    expect(picture).to_be_visible()
    light = picture.get_attribute("src") or ""
    page.get_by_role("button", name="Toggle theme").click()
    expect(picture).not_to_have_attribute("src", light)
    page.get_by_role("button", name="Toggle theme").click()
    expect(picture).to_have_attribute("src", light)
    html = copies(answer, "Copy", "text/html")
    assert "flowchart LR" in html
    assert "<img" not in html
    reopen(page)
    expect(picture).to_be_visible()
    assert rendered(answer) == streamed


@LONG_FORM
def test_a_diagram_that_cannot_be_drawn_says_why(page: Page, writing: Server, writer: Writer) -> None:
    huge = "flowchart TD\n" + "\n".join(f"    A{n} --> A{n + 1}" for n in range(1_500))
    wrong = "flowchart TD\n    A[Start --> B"
    answer = answer_with(page, writing, writer, fenced(wrong, "no diagram", huge))
    for number, (words, source) in enumerate(
        [
            ("This diagram cannot be drawn: there is a mistake near line", "A[Start --> B"),
            ("This diagram cannot be drawn: its first line names no kind of diagram.", "no diagram"),
            ("This diagram is not drawn: it has more than 20,000 characters.", "A3 --> A4"),
        ]
    ):
        block = answer.locator(".mermaid").nth(number)
        block.scroll_into_view_if_needed()
        expect(block.get_by_text(words)).to_be_visible()
        expect(block.locator("pre")).to_contain_text(source)
        expect(block.get_by_role("button", name="Diagram")).to_be_hidden()


HOSTILE = (
    """flowchart TD
    A[<img src=x onerror="top.canary=1;parent.canary=1">] --> B["<script>top.canary=1</script>"]
    B --> C["<iframe src='http://evil.invalid/a'></iframe><a href='javascript:top.canary=1'>x</a>"]
    click A href "javascript:top.canary=1" "tip"
    click B call alert() "tip"
    click C "http://evil.invalid/click" _self""",
    """%%{init: {"securityLevel": "loose", "htmlLabels": true, "flowchart": {"htmlLabels": true}, "theme": "forest",
    "themeCSS": "@import url(http://evil.invalid/x.css); * {background: url(http://evil.invalid/y.png)}",
    "fontFamily": "x;} @import url(http://evil.invalid/f.css)"}}%%
    flowchart TD
    A["<img src='http://evil.invalid/z.png' onerror='top.canary=1'>"] --> B""",
    """flowchart TD
    A@{ img: "http://evil.invalid/x.png", label: "I", w: 60, h: 60 }""",
    """sequenceDiagram
    participant A
    links A: {"x": "javascript:top.canary=1", "y": "http://evil.invalid/"}
    A->>A: <img src=x onerror=top.canary=1>""",
    """flowchart TD
    A["$$\\href{javascript:top.canary=1}{x}$$"]""",
)


def test_nothing_of_a_diagram_runs_or_is_fetched(page: Page, writing: Server, writer: Writer) -> None:
    page.add_init_script("window.canary = 0")
    # Nobody but the frame is heard, whatever they say.
    page.add_init_script(
        "setInterval(() => { for (let id = 0; id < 40; id++) {"
        " postMessage({id, ready: true, svg: '<svg>forged</svg>', width: 1, height: 1}, '*') } }, 5)"
    )
    answer = answer_with(page, writing, writer, fenced(*HOSTILE, FLOW))
    for number in range(len(HOSTILE) + 1):
        block = answer.locator(".mermaid").nth(number)
        block.scroll_into_view_if_needed()
        expect(block).to_have_attribute("data-drawn", "failed" if number == 2 else "diagram")
    expect(answer.locator(".mermaid").nth(2)).to_contain_text("it shows a picture from elsewhere, and none is fetched.")
    for picture in answer.get_by_role("img").all():
        assert "forged" not in (picture.get_attribute("src") or "")
        picture.click()
    assert page.evaluate("window.canary") == 0
    assert page.url.startswith(writing.url)
    assert page.locator("article svg:not(.icon-button svg), article iframe").count() == 0


def test_a_diagram_without_end_is_given_up_and_the_page_goes_on(page: Page, writing: Server, writer: Writer) -> None:
    chance = random.Random(1)
    tangle = "classDiagram\n" + "\n".join(f"A{chance.randrange(99)}--A{chance.randrange(99)}" for _ in range(1_800))
    assert len(tangle) < 20_000
    answer = answer_with(page, writing, writer, fenced(tangle, FLOW))
    page.evaluate(
        "() => { let last = performance.now(); window.gap = 0; setInterval(() => {"
        " const now = performance.now(); gap = Math.max(gap, now - last); last = now }, 20) }"
    )
    answer.locator(".mermaid").first.scroll_into_view_if_needed()
    expect(answer.get_by_text("This diagram is not drawn: it took longer than 5 seconds.")).to_be_visible()
    answer.locator(".mermaid").last.scroll_into_view_if_needed()
    expect(answer.get_by_role("img", name="Diagram: flowchart")).to_be_visible()
    assert page.evaluate("gap") < 2_000
