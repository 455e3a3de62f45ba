"""The first view goes out before its page is built; together they are the page."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import Template
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.web import Application

from components import ahead
from components.files import AttachmentHandler

TEMPLATE = Template(
    "<title>{{ title }}</title><p>{{ first }}</p>{{ common | default('') }}" + ahead.MARK + "<div>{{ rest }}</div>"
)


APPLICATION = Application()


class Handler:
    """Stands for Panel's request handler: keeps what it writes."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.headers: dict[str, str] = {}
        self.application = APPLICATION

    def set_header(self, name: str, value: str) -> None:
        self.headers[name] = value

    def write(self, text: str) -> None:
        self.written.append(text)

    async def flush(self) -> None:
        self.written.append("(flushed)")


class Silent(Handler):
    """Whose browser has stopped reading."""

    async def flush(self) -> None:
        await asyncio.Event().wait()


def session(first: str) -> Any:
    document = SimpleNamespace(
        title="Panelist",
        template=TEMPLATE,
        template_variables={"first": first, "meta": SimpleNamespace(param=SimpleNamespace(values=dict))},
        roots=[SimpleNamespace(esm="kit.js")],
    )
    return SimpleNamespace(document=document)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return how a page is answered: `await answering(first, fails)` gives what was written."""
    monkeypatch.setattr(ahead, "_common", [])
    monkeypatch.setattr(
        ahead,
        "_whole_page",
        lambda session: session.document.template.render(
            title=session.document.title, first=session.document.template_variables["first"], rest="live"
        ),
    )

    async def answered(first: str, *, fails: bool = False, handler: Handler | None = None) -> list[str]:
        handler = handler or Handler()

        async def get(self: Handler) -> None:
            await ahead.send({"first": first})
            if fails:
                raise RuntimeError("it cannot be built")
            self.write(ahead._page(session(first)))

        monkeypatch.setattr(ahead, "_get", get)
        await asyncio.create_task(ahead._answer(handler))  # type: ignore[arg-type]
        return handler.written

    return answered


async def test_the_first_page_of_a_process_comes_in_one_piece(answering: Any) -> None:
    assert await answering("one") == [f"<title>Panelist</title><p>one</p>{ahead.MARK}<div>live</div>"]


async def test_later_pages_begin_with_their_first_view_and_go_on_behind_it(answering: Any) -> None:
    await answering("one")
    beginning, flushed, rest = await answering("two")
    assert beginning.startswith("<title>Panelist</title><p>two</p>")
    assert "kit.js" in beginning
    assert flushed == "(flushed)"
    assert rest == "<div>live</div>"


async def test_nothing_in_a_conversation_can_be_where_a_page_is_cut(answering: Any) -> None:
    await answering("one")
    hostile = "<!-- 0123456789abcdef0123456789abcdef -->"
    beginning, _, rest = await answering(hostile)
    assert hostile in beginning
    assert rest == "<div>live</div>"


async def test_a_page_that_cannot_be_built_says_so_behind_its_first_view(answering: Any) -> None:
    await answering("one")
    assert "panelistBroken" in (await answering("two", fails=True))[-1]


async def test_a_page_that_fails_before_anything_was_sent_fails_as_ever(answering: Any) -> None:
    with pytest.raises(RuntimeError):
        await answering("one", fails=True)


async def test_whoever_does_not_read_holds_nothing_up(answering: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "PATIENCE_S", 0.01)
    await answering("one")
    beginning, rest = await answering("two", handler=Silent())
    assert beginning.startswith("<title>Panelist</title><p>two</p>")
    assert rest == "<div>live</div>"


async def test_the_server_of_a_page_gives_out_files_from_the_beginning(
    answering: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = Application()
    monkeypatch.setattr("tests.components.test_ahead.APPLICATION", application)
    await answering("one")
    line = RequestStartLine("GET", f"/attachments/{'0' * 64}", "HTTP/1.1")
    headers = HTTPHeaders({"Host": "localhost"})
    request = HTTPServerRequest(start_line=line, headers=headers, connection=SimpleNamespace())  # type: ignore[arg-type]
    assert application.find_handler(request).handler_class is AttachmentHandler
