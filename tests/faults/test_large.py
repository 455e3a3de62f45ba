"""What is large holds nobody up: here the event loop is what is tested, by the watch that every test of faults has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from components.chat.transcript import WINDOW
from components.state import ConversationState
from services.events import TextDelta
from services.render import render_markdown
from services.runtime import Runtime, open_runtime
from services.settings import read_settings
from tests.components.test_composer import Box
from tests.components.test_state import becomes
from tests.components.test_transcript import Page
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.faults.upstream import Call, perform, serving
from tests.faults.wires import CHAT, TEXT
from tests.keyed import KEYED
from tests.scripted import ScriptedProvider, answer
from tests.storage.make import Rows, asked, numbered
from tests.test_uploads import attached

PART = """## Part {0}

Some **words** and `code {0}`, a [link](http://127.0.0.1/{0}) and more prose to read here.

- one
- two

```py
for i in range({0}):
    print(i)
```

"""


def markdown(size: int, name: str) -> str:
    """Return about so many characters of an answer that nobody has rendered yet."""
    return f"# {name}\n\n" + "".join(PART.format(number) for number in range(size // len(PART)))


@asynccontextmanager
async def showing(app: Runtime, conversation_id: str | None = None) -> AsyncIterator[Page]:
    """Open a tab, not the first of its process: that one finds the lexers loaded."""
    await asyncio.to_thread(render_markdown, PART.format(1))
    state = ConversationState(app.chat, app.connections, OWNER)
    page = Page(state)
    try:
        await state.start(conversation_id)
        await page.ready()
        yield page
    finally:
        state.close()


# aiohttp's advice about a request of over 1 MB.
@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
async def test_a_question_of_two_megabytes(tmp_path: Path) -> None:
    async def reply(call: Call) -> None:
        await perform(call, CHAT.healthy, None)

    question = "é " * 999_999 + "!"
    async with serving(reply) as upstream:
        environ = {**KEYED, "OPENAI_BASE_URL": upstream.lane(0), "PANELIST_MODEL": "m", "PANELIST_TITLES": "off"}
        app = await open_runtime(read_settings(environ, tmp_path))
        try:
            done = await whole_run(app.chat, await app.chat.send(OWNER, question))
            assert [message.text for message in done.path] == [question, TEXT]
        finally:
            await app.close()


@pytest.mark.parametrize("size", [20, 60_000], ids=["in tokens", "in one piece"])
async def test_a_page_that_comes_late_to_a_long_answer(open_app: OpenRuntime, size: int) -> None:
    text, gate = markdown(60_000, f"In pieces of {size}"), asyncio.Event()
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    app = await open_app(ScriptedProvider([*pieces, gate, *answer("End.")]))
    opened = await app.chat.send(OWNER, "Go")
    async with showing(app, opened.conversation.id) as page:
        await becomes(page._state, lambda: "Part 300" in page.browser.html[opened.path[1].id])
        gate.set()
        await becomes(page._state, lambda: page._state.run_id is None)
        assert page._state.path[1].text == text + "End."
        assert page.browser.html[opened.path[1].id] == await asyncio.to_thread(render_markdown, text + "End.")


async def test_the_preview_of_a_long_draft(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider())
    state = ConversationState(app.chat, app.connections, OWNER)
    try:
        await state.start()
        box = Box(state)
        await asyncio.to_thread(render_markdown, PART.format(1))
        await box.says(type="preview", number=1, text=markdown(200_000, "A draft"), style=False)
        assert "Part 100" in box.told[-1]["html"]
    finally:
        state.close()


async def test_all_that_waited_while_storage_was_in_trouble(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await open_app(ScriptedProvider())
    run = await asked(app.store)
    events = numbered(*(TextDelta(f"word {n} ") for n in range(30_000)))
    await app.store.append_events(run.run_id, events)
    assert Rows(tmp_path / "data" / "panelist.db").count()["run_events"] == len(events)


async def test_a_long_conversation_is_opened_scrolled_and_changed(open_app: OpenRuntime) -> None:
    count = 2 * WINDOW
    app = await open_app(ScriptedProvider(*(answer(markdown(6_000, f"Answer {n}")) for n in range(count)), answer("B")))
    first = done = await whole_run(app.chat, await app.chat.send(OWNER, "Go"))
    here = done.conversation.id
    for _ in range(count - 1):
        done = await whole_run(app.chat, await app.chat.send(OWNER, "On", conversation_id=here))
    async with showing(app, here) as page:
        assert len(page.browser.order) == WINDOW
        await page.says(type="older")
        assert len(page.browser.order) == 2 * WINDOW
        assert "Part 20" in page.browser.html[page.browser.order[1]]
        await page._state.retry(first.path[1].id)
        await becomes(page._state, lambda: page._state.run_id is None)
    async with showing(app, here) as page:
        await page._state.show_version(first.path[1].id)
        assert [message.id for message in page._state.path] == [message.id for message in done.path]
        assert "Part 20" in page.browser.html[first.path[1].id]


async def test_a_draft_and_a_file_of_a_megabyte_are_measured(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider())
    text = "The quick brown fox, 3,141.59 metres long.\n" * 24_000
    file = await attached(app.chat, text.encode())
    state = ConversationState(app.chat, app.connections, OWNER)
    try:
        await state.start()
        box = Box(state)
        files = [{"id": file.sha256, "name": file.name}]
        change = {"of": 0, "at": 0, "cut": 0, "text": text}
        await box.says(type="weigh", number=1, conversation=None, files=files, **change)
        parts = dict(box.told[-1]["view"]["parts"])
        assert parts["This message"] > 250_000
        assert parts["Attachments"] > 250_000
    finally:
        state.close()
