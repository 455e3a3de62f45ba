"""Nothing that others write runs, loads, leads away or becomes something in the page, wherever the page shows it."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import quote, unquote

import pytest
from playwright.sync_api import Browser, Page, expect

from components.session import LOCAL_OWNER as OWNER
from services.attachments import MAX_ATTACHMENTS, clean_name
from services.errors import Failure, ModelError
from services.events import ModelNamed
from services.messages import clean_text
from services.runtime import open_runtime
from services.settings import read_settings
from services.titles import tidy_title
from tests.canary import WATCH
from tests.conftest import whole_run
from tests.injections import CANARY, batches, injections
from tests.keyed import KEYED
from tests.pictures import png
from tests.scripted import ScriptedProvider, Step, thoughtful
from tests.ui.acts import answers, ask, box, live, outgoing, queue, settled, without_scripts
from tests.ui.aside import Aside
from tests.ui.conftest import LONG_FORM, Server
from tests.ui.stage import TOGETHER, Evil, Stage
from tests.ui.test_attaching import arrived, bring, chips, sent_files

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def evil() -> Iterator[Evil]:
    one = Evil()
    yield one
    one.close()


@pytest.fixture(scope="module")
def server(evil: Evil, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    texts = injections(evil.listener)
    evil.models = [clean_text(text)[:150] for text in texts]
    environ = {**KEYED, "OPENAI_BASE_URL": evil.url, "PANELIST_MODEL": "writer", "PANELIST_TRIES": "1"}
    server = Server(tmp_path_factory.mktemp("evil"), environ)
    file = server.folder / "endpoints.toml"
    server.environ["PANELIST_ENDPOINTS"] = str(file)
    few = evil.url.removesuffix("/v1") + "/few/v1"
    table = '[[endpoint]]\nname = {}\nbase_url = "{}"\n'
    file.write_text("".join(table.format(json.dumps(name), few) for name in endpoint_names(texts)), "utf-8")
    aside = Aside()
    aside.run(_fill(server, texts))
    aside.close()
    server.start()
    yield server
    server.end()
    assert server.foreign == ""


def endpoint_names(texts: list[str]) -> list[str]:
    """Return names for endpoints, as a file may give them."""
    return list(dict.fromkeys(" ".join(clean_text(text).replace("\x7f", "").split()) for text in texts[::40]))


async def _fill(server: Server, texts: list[str]) -> None:
    """Store a conversation of all texts, and an empty one for each, whose title it is."""
    whole = batches(texts, TOGETHER)
    everywhere = [_failed(text) for text in whole]
    provider = ScriptedProvider(*everywhere, models=["writer"])
    settings = read_settings({**server.environment(), "PANELIST_TITLES": "off"}, server.folder)
    app = await open_runtime(settings, provider=provider)
    here: str | None = None
    try:
        for text in whole:
            asked = await app.chat.send(OWNER, text, conversation_id=here)
            await whole_run(app.chat, asked, OWNER)
            here = asked.conversation.id
        await app.chat.catalogue.rename(OWNER, asked.conversation.id, "All at once")
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
    context.on("page", WATCH.listen)
    one = Stage(context.new_page(), server, evil, injections(evil.listener))
    one.watch(one.page)
    one.page.goto(server.url)
    live(one.page)
    yield one
    WATCH.look_at(context)
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


def said(page: Page) -> str:
    return page.get_by_role("log").inner_text()


def settled_messages(stage: Stage) -> str:
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
    return said(page) + page.get_by_role("navigation", name="Outline").inner_text()


def copies(stage: Stage) -> str:
    """What goes to the clipboard, as rich text and as HTML, pasted into a page without any care."""
    go(stage, "All at once")
    page = stage.page
    seen = ""
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
        seen += page.locator(".pasted").inner_text()
        page.evaluate("document.querySelectorAll('.pasted').forEach(node => node.remove())")
    return seen


def first_view(stage: Stage) -> str:
    """What the server sends before any script has run."""
    go(stage, "All at once")
    page = stage.page
    with without_scripts(page):
        page.reload(wait_until="commit")
        expect(page.locator("#first").get_by_role("article").last).to_be_visible()
        stage.is_calm()
        seen = page.locator("#first").get_by_role("log").inner_text()
    live(page)
    return seen


def streamed(stage: Stage) -> str:
    """Answers and thoughts while they are written, and their announcements."""
    page = begin(stage)
    for number, text in enumerate(stage.batches):
        stage.evil.answers[f"write {number}"] = text
        ask(page, f"write {number}")
        settled(answers(page).nth(number))
    expect(page.get_by_role("status", name="Announcements")).not_to_be_empty()
    assert page.locator("article .markdown pre.plain").count() == 0
    return "".join(answers(page).all_inner_texts())


def questions(stage: Stage) -> str:
    page = begin(stage)
    for number, text in enumerate(stage.batches[:3]):
        ask(page, text)
        settled(answers(page).nth(number))
    return "".join(page.get_by_role("article", name="You").all_inner_texts())


def refusals(stage: Stage) -> str:
    """Bodies of errors, and what is shown of them."""
    page = begin(stage)
    for number, text in enumerate(batches(stage.texts, 20)[:6]):
        said = text if number % 2 else json.dumps({"error": {"message": text, "param": text[:60], "code": text[:60]}})
        stage.evil.errors[f"fail {number}"] = said
        ask(page, f"fail {number}")
        settled(answers(page).nth(number), "failed")
        answers(page).nth(number).get_by_text("What the server said").click()
    return "".join(answers(page).locator("pre").all_inner_texts())


IN_VIEW = """(nav) => {
  const links = [...nav.querySelectorAll("a")]
  const below = Math.min(nav.getBoundingClientRect().bottom, nav.querySelector(".rows").getBoundingClientRect().bottom)
  const whole = links.length && Math.max(...links.map((link) => link.getBoundingClientRect().bottom)) > below - 8
  if (whole) { nav.scrollTop += nav.clientHeight / 2 } // else what is there has yet to come
  return whole ? links.map((link) => [link.getAttribute("href"), link.textContent]) : []
}"""


def titles(stage: Stage) -> str:
    """The list, of which the page has what is in view, and titles that are edited."""
    page = stage.page
    nav = page.get_by_role("navigation", name="Conversations")
    seen: dict[str, str] = {}
    for look in range(1_000):
        seen |= dict(nav.evaluate(IN_VIEW))
        if len(seen) >= len(stage.texts):
            break
        if look in {10, 60, 110}:
            nav.locator("a").first.focus()
            page.keyboard.press("F2")
            field = page.get_by_role("textbox", name="Title")
            field.press("End")
            field.press_sequentially("!")
            field.press("Enter")
            expect(field).to_have_count(0)
        page.wait_for_timeout(20)
    assert len(seen) >= len(stage.texts)
    return "".join(seen.values())


def titles_of_models(stage: Stage) -> str:
    """What a model calls a conversation: in the list, in the window, and in the page that the server sends."""
    page, seen = stage.page, ""
    page.get_by_role("navigation", name="Conversations").evaluate("(nav) => { nav.scrollTop = 0 }")
    short = [text for text in map(clean_text, stage.texts) if "<" in text and len(text) <= 80 and tidy_title(text)]
    for number, text in enumerate(short[:: len(short) // 4]):
        begin(stage)
        stage.evil.titles[f"name it {number}"] = text
        ask(page, f"name it {number}")
        settled(answers(page))
        title = tidy_title(text)
        expect(page).to_have_title(f"{title} – Panelist")
        open_one = page.get_by_role("navigation", name="Conversations").locator("[aria-current=page]")
        expect(open_one).to_contain_text(str(title))
        seen += open_one.text_content() or ""
        stage.is_calm()
    page.reload()
    live(page)
    expect(page).to_have_title(f"{title} – Panelist")
    return seen


def notices(stage: Stage) -> str:
    """What is told for a while: the title of what was deleted, an answer's model, what went wrong."""
    page, seen = stage.page, ""
    told = page.get_by_role("status", name="Notices")
    rows = page.get_by_role("navigation", name="Conversations").locator("a")
    expect(rows.nth(20)).to_be_attached()
    for number in range(2, 20, 3):
        rows.nth(number).focus()
        rows.nth(number).press("Delete")
        expect(told).to_contain_text("Deleted “")
        seen += told.inner_text()
        stage.is_calm()
        told.get_by_role("button", name="Undo").click()
        expect(told).not_to_contain_text("Deleted “")
    return seen


def endpoints(stage: Stage) -> str:
    """Names of endpoints from the operator's file: in the list of models, and in what an answer's failure says."""
    page = begin(stage)
    picker = page.get_by_role("combobox", name="Model")
    names, seen = endpoint_names(stage.texts), ""
    for number in range(0, len(names), 4):
        name = names[number]
        picker.fill(f"writer · {name}")
        option = page.get_by_role("option", name=f"writer · {name}", exact=True)
        expect(option).to_be_visible()
        seen += option.inner_text()
        option.click()
        stage.evil.errors[f"of {number}"] = "{}"
        ask(page, f"of {number}")
        settled(answers(page).last, "failed")
        expect(answers(page).last.get_by_role("alert")).to_contain_text(name)
        stage.is_calm()
    picker.fill("writer")
    picker.press("Enter")
    return seen


def files(stage: Stage) -> str:
    """Names of files, and what is in them: attached, sent, waiting, in the outline, refused."""
    page, seen = begin(stage), ""
    for start in (0, 300):
        given = [clean_name(clean_text(text)) for text in stage.texts[start : start + 280 : 28]][:MAX_ATTACHMENTS]
        text = stage.batches[0].encode()
        bring(page, "drop", *((name, "text/html", text) for name in given[1:]), (given[0], "image/svg+xml", png()))
        expect(chips(page)).to_have_count(len(given))
        arrived(page)
        stage.is_calm()
        seen += chips(page).first.inner_text()
        ask(page, f"files from {start}")
        expect(sent_files(page)).to_have_count(len(given))
        settled(answers(page).last)
        sent_files(page).first.locator("summary").click()
        expect(sent_files(page).first.locator("pre")).to_contain_text("<script>")
        seen += sent_files(page).last.inner_text()
        stage.is_calm()
    bring(page, "drop", ("<img src=x onerror=alert(1)>.pdf", "application/pdf", b"%PDF-1.7 and more of it"))
    expect(chips(page).get_by_role("alert")).to_contain_text("onerror")
    chips(page).get_by_role("button").click()
    return seen


def previews(stage: Stage) -> str:
    """Drafts as they will look."""
    page, seen = begin(stage), ""
    preview = page.get_by_role("region", name="Preview")
    for text in stage.batches:
        box(page).fill(text)
        if not preview.is_visible():
            page.keyboard.press("Alt+p")
        expect(preview.locator(".markdown > *")).not_to_have_count(0)
        seen += preview.locator(".markdown").inner_text()
        stage.is_calm()
        box(page).fill("")
        expect(preview).to_be_hidden()
    return seen


def models(stage: Stage) -> str:
    """The list of models, one that is chosen and one that is typed in."""
    page = begin(stage)
    picker = page.get_by_role("combobox", name="Model")
    picker.fill("<")
    expect(page.get_by_role("option").first).to_be_visible()
    seen = "".join(page.get_by_role("option").all_inner_texts())
    picker.fill("<img src=x onerror")
    page.get_by_role("option").first.click()
    ask(page, "who?")
    settled(answers(page))
    expect(answers(page).locator(".model")).not_to_be_empty()
    picker.fill(f"<svg onload=top.{CANARY}=1>")
    picker.press("Enter")
    picker.fill("writer")
    picker.press("Enter")
    return seen


def waiting(stage: Stage) -> str:
    """Messages that wait for an answer, and the notice of one that is removed."""
    page = begin(stage)
    ask(page, "wait")
    expect(answers(page)).to_have_attribute("data-status", "streaming")
    for number, text in enumerate(stage.batches[:4], 1):
        ask(page, text)
        expect(queue(page).get_by_role("listitem")).to_have_count(number)
    stage.is_calm()
    seen = queue(page).inner_text()
    for left in (3, 2, 1, 0):
        queue(page).get_by_role("button", name="Remove queued message").last.click()
        expect(queue(page).get_by_role("listitem")).to_have_count(left)
    expect(queue(page)).to_be_hidden()
    stage.evil.go_on()
    settled(answers(page))
    return seen


def kept_in_the_browser(stage: Stage) -> str:
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
    seen = outgoing(page).inner_text()
    page.evaluate("localStorage.clear(), sessionStorage.clear()")
    page.goto(stage.server.url)
    live(page)
    return seen


def connecting(stage: Stage) -> str:
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
    seen = result.inner_text()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    return seen


def address(stage: Stage) -> str:
    """The page's own address."""
    for text in (*stage.texts[::90], stage.batches[0]):
        answer = stage.page.goto(f"{stage.server.url}?c={quote(clean_text(text))}")
        expect(box(stage.page)).to_be_visible()
        stage.is_calm()
    return unquote(answer.url) if answer else ""


def demo(stage: Stage) -> str:
    page = begin(stage)
    page.get_by_role("combobox", name="Model").fill("demo")
    page.get_by_role("option").first.click()
    ask(page, f"/fail {stage.batches[0]}")
    settled(answers(page))
    return said(page)


PLACES: dict[str, Callable[[Stage], str]] = {
    "settled messages": settled_messages,
    "copies": copies,
    "first view": first_view,
    "answers that are written": streamed,
    "questions": questions,
    "refusals": refusals,
    "titles": titles,
    "titles made by the model": titles_of_models,
    "notices": notices,
    "models": models,
    "names of endpoints": endpoints,
    "names of files": files,
    "previews": previews,
    "queue": waiting,
    "browser's storage": kept_in_the_browser,
    "connect": connecting,
    "address": address,
    "demo": demo,
}
"""Every place that shows what others wrote: each goes there and returns what was seen. A new one is added here."""

HOSTILE = ("<script", "<img", "<svg", "<iframe", "<style", "javascript:", "onerror", f"top.{CANARY}")


@pytest.mark.parametrize("place", PLACES)
def test_nothing_of_it_comes_alive(stage: Stage, place: str) -> None:
    shown = PLACES[place](stage)
    stage.is_calm()
    assert [word for word in HOSTILE if word in shown], f"nothing of it was shown: {shown[:500]!r}"


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
