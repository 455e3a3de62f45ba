"""Nothing that others write runs, loads, leads away or becomes something in the page, wherever the page shows it."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from components.session import LOCAL_OWNER as OWNER
from services.errors import Failure, ModelError
from services.events import ModelNamed
from services.messages import clean_text
from services.runtime import open_runtime
from services.settings import read_settings
from tests.conftest import whole_run
from tests.faults.upstream import Call, Play, perform, serving
from tests.faults.wires import CHAT, event
from tests.injections import CANARY, batches, injections
from tests.providers.sockets import chunk
from tests.scripted import ScriptedProvider, Step, thoughtful
from tests.ui.acts import answers, ask, box, live, outgoing, queue, settled, without_scripts
from tests.ui.aside import Aside
from tests.ui.conftest import LONG_FORM, Server

pytestmark = pytest.mark.browser

TOGETHER = 45
"""Texts in one answer: more of them would be too dear to be rendered."""
WATCH = """
    window.__refused = []
    addEventListener("securitypolicyviolation", ({violatedDirective, blockedURI}) => __refused.push(`${violatedDirective} ${blockedURI}`))
"""  # noqa: E501
LOOK = """(roots) => {
    const found = []
    const look = (root) => {
        for (const node of root.querySelectorAll("*")) {
            const name = node.localName
            for (const {name: key, value} of node.attributes) {
                if (key.startsWith("on")) { found.push(`${name} ${key}=${value}`) }
                if (/^(?:\\w+:)?(?:href|src|action|formaction|data|ping|srcset|srcdoc|poster|background)$/.test(key)
                    && /^\\W*(?:j\\W*a\\W*v\\W*a|vb)script/i.test(value)) { found.push(`${name} ${key}=${value}`) }
            }
            if (node.id === "CANARY" || node.getAttribute("name") === "CANARY") { found.push(`${name} is the canary`) }
            if (node.shadowRoot) { look(node.shadowRoot) }
        }
        for (const node of root.querySelectorAll(".messages *, .outline *, .notices *, .queue *, .rows *, [role=alert] *, PASTED *")) {
            if (/^(?:script|style|link|meta|base|form|iframe|object|embed|template|img|video|audio|frame|plaintext)$/.test(node.localName)
                && !node.closest("[data-added]")) { found.push(`<${node.localName}> in ${node.parentNode.className}`) }
        }
    }
    look(document)
    return found
}""".replace("CANARY", CANARY).replace("PASTED", ".pasted")  # noqa: E501


class Evil:
    """A model server that says what it is told to say, in names, answers, thoughts and errors alike."""

    def __init__(self) -> None:
        self.models: list[str] = []
        self.answers: dict[str, str] = {}
        """By the question."""
        self.errors: dict[str, str] = {}
        """Bodies of refusals, by the question."""
        self.heard: list[str] = []
        """Paths that the listener was asked for."""
        self.hold = asyncio.Event()
        self._aside = Aside()
        self._stack = AsyncExitStack()
        self.url, self.listener = self._aside.run(self._begin())

    async def _begin(self) -> tuple[str, str]:
        server = await self._stack.enter_async_context(serving(self._answer))
        listener = await self._stack.enter_async_context(serving(self._hear))
        return f"{server.url}/v1", listener.url.removeprefix("http://")

    async def _hear(self, call: Call) -> None:
        self.heard.append(call.path)
        await perform(call, Play(b"top.__canary=1", head="200 OK\r\nContent-Type: text/javascript", end="length"), None)

    async def _answer(self, call: Call) -> None:
        plain, bad = (f"{status}\r\nContent-Type: application/json" for status in ("200 OK", "400 Bad Request"))
        if call.path.endswith("/models"):
            models = [{"id": name, "object": "model"} for name in ("writer", *self.models)]
            await perform(call, Play(json.dumps({"data": models}).encode(), head=plain, end="length"), None)
            return
        if body := self.errors.get(call.question):
            await perform(call, Play(body.encode("utf-8", "replace"), head=bad, end="length"), None)
            return
        text = clean_text(self.answers.get(call.question, "Well."))
        await perform(call, Play(end="open"), None)
        for say in (CHAT.thought, CHAT.delta):
            for start in range(0, len(text), 60):
                await call.write(chunk(say(text[start : start + 60])))
                await asyncio.sleep(0.001)
        if call.question == "wait":
            await self.hold.wait()
        await call.write(chunk(event({"model": text[:150], "choices": []})) + chunk(CHAT.end()) + b"0\r\n\r\n")

    def go_on(self) -> None:
        self._aside.call(self.hold.set)

    def close(self) -> None:
        self.go_on()
        self._aside.run(self._stack.aclose())
        self._aside.close()


@dataclass
class Stage:
    """One page that everything is shown on, and what was noticed of it."""

    page: Page
    server: Server
    evil: Evil
    texts: list[str]
    noticed: list[str] = field(default_factory=list)

    @property
    def batches(self) -> list[str]:
        return batches(self.texts, TOGETHER)

    def watch(self, page: Page) -> None:
        note = self.noticed.append
        ours = (
            f"http://localhost:{self.server.port}/",
            f"ws://localhost:{self.server.port}/",
            "data:",
            "blob:",
            "about:",
        )
        page.add_init_script(WATCH)
        page.on("dialog", lambda dialog: (note(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: note(f"error {error}"))
        page.on("popup", lambda popup: note(f"popup {popup.url}"))
        page.on("console", lambda said: note(said.text) if _is_refusal(said.text) else None)
        page.on("request", lambda asked: None if asked.url.startswith(ours) else note(f"request {asked.url}"))
        page.on(
            "framenavigated",
            lambda frame: None if frame.parent_frame or frame.url.startswith(ours) else note(f"went to {frame.url}"),
        )

    def is_calm(self) -> None:
        """Fail if anything ran, was asked for, or is in the page that should not be."""
        canary = f"[window.{CANARY}, ({{}}).{CANARY}].filter((value) => value !== undefined)"
        assert self.page.evaluate(canary) == []
        assert self.page.evaluate("window.__refused") == []
        assert self.page.evaluate(LOOK) == []
        noticed, self.noticed[:] = self.noticed[:], []
        assert noticed == []
        assert self.evil.heard == []


def _is_refusal(said: str) -> bool:
    """Whether the page's policy had to stop something; the frame that draws diagrams has a stricter one of its own."""
    return "Content Security Policy" in said and "'nonce-" not in said


@pytest.fixture(scope="module")
def evil() -> Iterator[Evil]:
    one = Evil()
    yield one
    one.close()


@pytest.fixture(scope="module")
def server(evil: Evil, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    texts = injections(evil.listener)
    evil.models = [clean_text(text)[:150] for text in texts]
    environ = {"OPENAI_BASE_URL": evil.url, "PANELIST_MODEL": "writer", "PANELIST_TITLES": "off", "PANELIST_TRIES": "1"}
    server = Server(tmp_path_factory.mktemp("evil"), environ)
    aside = Aside()
    aside.run(_fill(server, texts))
    aside.close()
    server.start()
    yield server
    server.end()
    assert server.foreign == ""


async def _fill(server: Server, texts: list[str]) -> None:
    """Store a conversation of all texts, and an empty one for each, whose title it is."""
    whole = batches(texts, TOGETHER)
    everywhere = [_failed(text) for text in whole]
    provider = ScriptedProvider(*everywhere, models=["writer"])
    app = await open_runtime(read_settings(server.environment(), server.folder), provider=provider)
    here: str | None = None
    try:
        for text in whole:
            asked = await app.chat.send(OWNER, text, conversation_id=here)
            await whole_run(app.chat, asked, OWNER)
            here = asked.conversation.id
        await app.chat.rename(OWNER, asked.conversation.id, "All at once")
    finally:
        await app.close()
    with closing(sqlite3.connect(server.folder / "data" / "panelist.db")) as database, database:
        columns = ", ".join(name for _, name, *_ in database.execute("pragma table_info(conversations)"))
        copied = columns.replace("head_id", "null").replace("title", "?", 1)
        copied = re.sub(r"\bid\b", "?", copied, count=1)
        rows = [(f"{number:026}", clean_text(text)[:120]) for number, text in enumerate(texts)]
        database.executemany(f"insert into conversations ({columns}) select {copied} from conversations limit 1", rows)


def _failed(text: str) -> list[Step]:
    """Return a script that says a text as thought, answer, model and error."""
    failure = Failure(kind="bad_request", message=text, next_step="drop_parameter", parameter=text, detail=text)
    return [ModelNamed(text[:150], text[:60], text[:60]), *thoughtful(text, text)[:-1], ModelError(failure)]


@pytest.fixture(scope="module")
def stage(chromium: Browser, server: Server, evil: Evil) -> Iterator[Stage]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.set_default_timeout(20_000)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    one = Stage(context.new_page(), server, evil, injections(evil.listener))
    one.watch(one.page)
    one.page.goto(server.url)
    live(one.page)
    yield one
    context.close()


def go(stage: Stage, title: str) -> None:
    stage.page.get_by_role("navigation", name="Conversations").get_by_role("link", name=title, exact=True).click()
    expect(stage.page).to_have_title(f"{title} – Panelist")


def begin(stage: Stage) -> Page:
    """Begin a conversation, the text box empty."""
    page = stage.page
    page.get_by_role("button", name="New chat").click()
    expect(page.get_by_role("article")).to_have_count(0)
    box(page).fill("")
    return page


def settled_messages(stage: Stage) -> None:
    """Questions, answers, thoughts, errors, what the server said, names of models, and the page's title."""
    go(stage, "All at once")
    page = stage.page
    for name, count in (("You", len(stage.batches)), ("Assistant", len(stage.batches))):
        expect(page.get_by_role("article", name=name)).to_have_count(count)
    page.evaluate(
        """() => { const unfold = (root) => root.querySelectorAll("*").forEach((node) => {
            if (node.localName === "details") { node.open = true }
            if (node.shadowRoot) { unfold(node.shadowRoot) }
        }); unfold(document) }"""
    )
    assert page.locator("article .markdown pre.plain").count() == 0
    expect(page.locator("article .alert pre").first).to_be_visible()
    expect(page.locator("article .thought").first).to_be_visible()
    page.get_by_role("button", name="Outline").click()
    expect(page.get_by_role("navigation", name="Outline").locator(".outline-item")).not_to_have_count(0)


def copies(stage: Stage) -> None:
    """What goes to the clipboard, as rich text and as HTML, pasted into a page without any care."""
    go(stage, "All at once")
    page = stage.page
    for article in page.get_by_role("article").all():
        article.scroll_into_view_if_needed()
        article.get_by_role("button", name="Copy", exact=True).click()
        expect(article.get_by_role("button", name="Copied")).to_be_visible()
        page.evaluate(
            """async () => {
                const pasted = document.createElement("div")
                pasted.className = "pasted"
                const [item] = await navigator.clipboard.read()
                pasted.innerHTML = await (await item.getType("text/html")).text()
                document.body.append(pasted)
            }"""
        )
        stage.is_calm()
        page.evaluate("document.querySelectorAll('.pasted').forEach(node => node.remove())")


def first_view(stage: Stage) -> None:
    """What the server sends before any script has run."""
    go(stage, "All at once")
    page = stage.page
    with without_scripts(page):
        page.reload(wait_until="commit")
        expect(page.locator("#first").get_by_role("article").last).to_be_visible()
        stage.is_calm()
    live(page)


def streamed(stage: Stage) -> None:
    """Answers and thoughts while they are written, and their announcements."""
    page = begin(stage)
    for number, text in enumerate(stage.batches):
        stage.evil.answers[f"write {number}"] = text
        ask(page, f"write {number}")
        settled(answers(page).nth(number))
    expect(page.get_by_role("status", name="Announcements")).not_to_be_empty()
    assert page.locator("article .markdown pre.plain").count() == 0


def questions(stage: Stage) -> None:
    page = begin(stage)
    for number, text in enumerate(stage.batches[:3]):
        ask(page, text)
        settled(answers(page).nth(number))


def refusals(stage: Stage) -> None:
    """Bodies of errors, and what is shown of them."""
    page = begin(stage)
    for number, text in enumerate(batches(stage.texts, 20)[:6]):
        said = text if number % 2 else json.dumps({"error": {"message": text, "param": text[:60], "code": text[:60]}})
        stage.evil.errors[f"fail {number}"] = said
        ask(page, f"fail {number}")
        settled(answers(page).nth(number), "failed")
        answers(page).nth(number).get_by_text("What the server said").click()


def titles(stage: Stage) -> None:
    """The list, a title that is edited, and the notice of one that is deleted."""
    page = stage.page
    rows = page.get_by_role("navigation", name="Conversations").locator("a")
    for count in (200, 400, len(stage.texts)):
        expect(rows.nth(count - 1)).to_be_attached()
        rows.nth(count - 1).scroll_into_view_if_needed()
    for number in range(1, len(stage.texts), 60):
        rows.nth(number).focus()
        page.keyboard.press("F2")
        field = page.get_by_role("textbox", name="Title")
        field.press("End")
        field.press_sequentially("!")
        field.press("Enter")
        expect(field).to_have_count(0)
        rows.nth(number).press("Delete")
        expect(page.get_by_role("status", name="Notices")).to_contain_text("Deleted “")
        page.get_by_role("button", name="Undo").click()


def models(stage: Stage) -> None:
    """The list of models, one that is chosen and one that is typed in."""
    page = begin(stage)
    picker = page.get_by_role("combobox", name="Model")
    picker.fill("<")
    expect(page.get_by_role("option").first).to_be_visible()
    picker.fill("<img src=x onerror")
    page.get_by_role("option").first.click()
    ask(page, "who?")
    settled(answers(page))
    expect(answers(page).locator(".model")).not_to_be_empty()
    picker.fill(f"<svg onload=top.{CANARY}=1>")
    picker.press("Enter")
    picker.fill("writer")
    picker.press("Enter")


def waiting(stage: Stage) -> None:
    """Messages that wait for an answer, and the notice of one that is removed."""
    page = begin(stage)
    ask(page, "wait")
    expect(answers(page)).to_have_attribute("data-status", "streaming")
    for number, text in enumerate(stage.batches[:4], 1):
        ask(page, text)
        expect(queue(page).get_by_role("listitem")).to_have_count(number)
    stage.is_calm()
    for left in (3, 2, 1, 0):
        queue(page).get_by_role("button", name="Remove queued message").last.click()
        expect(queue(page).get_by_role("listitem")).to_have_count(left)
    expect(queue(page)).to_be_hidden()
    stage.evil.go_on()
    settled(answers(page))


def kept_in_the_browser(stage: Stage) -> None:
    """Drafts and unsent messages that somebody has put into the browser's storage."""
    page = begin(stage)
    page.evaluate(
        """(texts) => {
            sessionStorage.removeItem("panelist.begun")
            for (const storage of [localStorage, sessionStorage]) {
                storage.setItem("panelist.draft.new", texts.join("\\n"))
                storage.setItem("panelist.draft.__proto__", texts[0])
                texts.forEach((text, at) => {
                    storage.setItem(`panelist.out.${text}`, text)
                    storage.setItem(`panelist.out.k${at}`, JSON.stringify(
                        {key: `k${at}`, text, chat: "new", at: at + 1, tab: text, state: "held", why: text}))
                })
            }
        }""",
        stage.batches,
    )
    page.reload()
    live(page)
    expect(box(page)).not_to_have_value("")
    expect(outgoing(page).get_by_role("listitem")).to_have_count(len(stage.batches))
    stage.is_calm()
    page.evaluate("localStorage.clear(), sessionStorage.clear()")
    page.goto(stage.server.url)
    live(page)


def connecting(stage: Stage) -> None:
    """The dialog: addresses that cannot be right, and the models of one that is."""
    page = stage.page
    page.get_by_role("button", name="Connect a model").first.click()
    dialog = page.get_by_role("dialog")
    result = dialog.get_by_role("alert")
    for text in stage.texts[::40]:
        dialog.get_by_label("Base URL").fill(f"http://127.0.0.1:1/{text}")
        dialog.get_by_role("button", name="Test").click()
        expect(result).not_to_have_text("")
        stage.is_calm()
    dialog.get_by_label("Base URL").fill(stage.evil.url)
    dialog.get_by_role("button", name="Test").click()
    expect(result).to_contain_text("It works")
    expect(result).to_contain_text("<script>")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def address(stage: Stage) -> None:
    """The page's own address."""
    for text in (stage.batches[0], *stage.texts[::90]):
        stage.page.goto(f"{stage.server.url}?c={quote(clean_text(text))}")
        expect(box(stage.page)).to_be_visible()
        stage.is_calm()


def demo(stage: Stage) -> None:
    page = begin(stage)
    page.get_by_role("combobox", name="Model").fill("demo")
    page.get_by_role("option").first.click()
    ask(page, f"/fail {stage.batches[0]}")
    settled(answers(page))


PLACES: dict[str, Callable[[Stage], None]] = {
    "settled messages": settled_messages,
    "copies": copies,
    "first view": first_view,
    "answers that are written": streamed,
    "questions": questions,
    "refusals": refusals,
    "titles": titles,
    "models": models,
    "queue": waiting,
    "browser's storage": kept_in_the_browser,
    "connect": connecting,
    "address": address,
    "demo": demo,
}
"""Every place that shows what others wrote. A new one is added here."""


@pytest.mark.parametrize("place", PLACES)
def test_nothing_of_it_comes_alive(stage: Stage, place: str) -> None:
    PLACES[place](stage)
    stage.is_calm()


@LONG_FORM
def test_nothing_of_any_one_alone_comes_alive(stage: Stage) -> None:
    """As a question, an answer and a thought, live and after a reload."""
    page = begin(stage)
    for number, text in enumerate(stage.texts):
        if number % 30 == 0:
            begin(stage)
        stage.evil.answers[f"write {number}"] = text
        ask(page, f"{text}\n\nwrite {number}")
        settled(answers(page).nth(number % 30))
        stage.is_calm()
        if number % 30 == 29:
            page.reload()
            live(page)
            stage.is_calm()
