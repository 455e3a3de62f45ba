"""Files over HTTP: from and to their owner's page alone, and as nothing but what they are."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from functools import partial

import httpx2
import pytest
from pyarrow import parquet
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, ErrorHandler

from components import files
from components.chat.views import message_view
from components.files import address_of, address_of_export, address_of_request, address_of_usage, serve_on
from components.first_view import _article
from components.session import LOCAL_OWNER
from services.measures import Measured
from services.messages import AttachmentPart, new_id
from services.runtime import Runtime
from services.statistics import Selection
from services.usage import Usage
from tests.conftest import OpenRuntime, whole_run
from tests.providers.test_chat import message
from tests.scripted import ScriptedProvider, answer
from tests.test_uploads import PNG, attached

NAME = 'a "b";\'<i>é.png'


class Panels(Application):
    """As much of `panel serve` as counts here."""

    prefix = "/x"
    websocket_origins = frozenset({"localhost:5006"})


@pytest.fixture
async def app(open_app: OpenRuntime) -> Runtime:
    return await open_app(ScriptedProvider(answer("Because."), answer("Hi")))


@pytest.fixture
async def browser(app: Runtime) -> AsyncIterator[httpx2.AsyncClient]:
    application = Panels([(r"/.*", ErrorHandler, {"status_code": 418})])
    for _ in range(2):
        serve_on(application, lambda: app)
    [socket] = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(application)
    server.add_socket(socket)
    url = f"http://127.0.0.1:{socket.getsockname()[1]}/x/"
    async with httpx2.AsyncClient(base_url=url, headers={"Host": "localhost:5006"}, trust_env=False) as client:
        yield client
    server.stop()
    await server.close_all_connections()


async def test_a_picture_is_shown_and_kept_in_the_browser(app: Runtime, browser: httpx2.AsyncClient) -> None:
    one = await attached(app.chat, PNG, NAME, LOCAL_OWNER)
    answer = await browser.get(address_of(one), headers={"Sec-Fetch-Site": "same-origin"})
    assert (answer.status_code, answer.content) == (200, PNG)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"].startswith("inline; filename*=UTF-8''a%20%22b%22%3B")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "private" in answer.headers["cache-control"]
    kept = await browser.get(f"{address_of(one)}&download")
    assert kept.headers["content-disposition"].startswith("attachment; ")


@pytest.mark.parametrize(
    "data", [b"<script>alert(1)</script>", b"<svg xmlns='http://www.w3.org/2000/svg' onload='a()'/>"]
)
async def test_everything_else_is_text_to_download(app: Runtime, browser: httpx2.AsyncClient, data: bytes) -> None:
    one = await attached(app.chat, data, "x.html", LOCAL_OWNER)
    answer = await browser.get(address_of(one))
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''x.html"
    assert answer.content == data


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
        {"X-Forwarded-For": "127.0.0.1"},
    ],
)
async def test_nobody_else_gets_it(app: Runtime, browser: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    one = await attached(app.chat, PNG, "a.png", LOCAL_OWNER)
    assert (await browser.get(address_of(one))).status_code == 200
    assert (await browser.get(address_of(one), headers=headers)).status_code == 403


async def test_what_is_not_ones_own_or_not_there_is_not_found(app: Runtime, browser: httpx2.AsyncClient) -> None:
    bens = await attached(app.chat, PNG, "a.png", "ben")
    assert (await browser.get(address_of(bens))).status_code == 404
    assert (await browser.get(f"attachments/{'0' * 64}")).status_code == 404
    for path in ("attachments/../panelist.db", f"attachments/{'0' * 63}", "attachments/..%2fpanelist.db"):
        assert (await browser.get(path)).status_code == 418


async def test_whose_it_is_is_looked_up_once(
    app: Runtime, browser: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await attached(app.chat, PNG, "a.png", LOCAL_OWNER)
    store, asked = app.chat._store, list[object]()
    look_up = store.attachments
    monkeypatch.setattr(store, "attachments", lambda *given: asked.append(given) or look_up(*given))
    assert (await browser.get(address_of(one))).content == PNG
    assert len(asked) == 1


OURS = {"Sec-Fetch-Site": "same-origin"}


async def test_conversations_go_out_and_come_in(app: Runtime, browser: httpx2.AsyncClient) -> None:
    done = await whole_run(app.chat, await app.chat.send(LOCAL_OWNER, "Why?"), LOCAL_OWNER)
    answer = await browser.get(address_of_export("markdown", done.conversation.id), headers=OURS)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/markdown; charset=utf-8")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''Why.md"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text.startswith("# Why?\n\n## You, ")
    page = await browser.get(address_of_export("html", done.conversation.id))
    assert page.headers["content-disposition"].startswith("attachment; ")
    every = await browser.get(address_of_export("json"))
    assert every.json()["conversations"][0]["id"] == done.conversation.id
    sent = await browser.post("imports", content=every.content, headers=OURS)
    assert sent.status_code == 200
    [here] = (await app.chat.catalogue.preview_import(LOCAL_OWNER, sent.text)).here
    assert here.title == "Why?"


async def test_what_is_large_comes_in_pieces(app: Runtime, browser: httpx2.AsyncClient) -> None:
    large = b" " * 3_000_000
    sent = await browser.post("imports", content=large, headers=OURS)
    [path] = app.chat.catalogue._exchange._received[LOCAL_OWNER].values()
    assert sent.status_code == 200
    assert path.read_bytes() == large


async def test_what_is_too_large_is_refused(
    app: Runtime, browser: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.exchange.MAX_FILE", 1_000)
    sent = await browser.post("imports", content=b" " * 300_000, headers=OURS)
    assert (sent.status_code, "more than" in sent.text) == (400, True)
    monkeypatch.setattr(files, "MAX_FILE", 1_000)
    with pytest.raises(httpx2.TransportError):  # the server does not even listen to the end
        await browser.post("imports", content=b" " * 3_000_000, headers=OURS)
    assert not app.chat.catalogue._exchange._received


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {**OURS, "Host": "evil.example"},
        {**OURS, "X-Forwarded-For": "127.0.0.1"},
    ],
)
async def test_nobody_else_sends_files_or_gets_conversations(
    app: Runtime, browser: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await browser.post("imports", content=b"{}", headers=headers)).status_code == 403
    assert not app.chat.catalogue._exchange._received
    assert (await browser.get("exports/json", headers=headers)).status_code == 403
    missing = await browser.get(address_of_export("json", "unknown"))
    assert (missing.status_code, missing.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert missing.text.startswith("This conversation does not exist")
    assert (await browser.get("exports/pdf")).status_code == 418


def test_a_message_shows_its_files_and_their_names_are_text() -> None:
    hostile = AttachmentPart("a" * 64, "<img src=x onerror=alert(1)>.png", "image/png", 1_048_576)
    view = message_view(message("user", hostile), None)
    address = f"attachments/{'a' * 64}?name=%3Cimg+src%3Dx+onerror%3Dalert%281%29%3E.png"
    shown = {"name": hostile.name, "kind": "Picture", "size": "1.0 MB", "image": True, "address": address}
    assert view["files"] == [shown]
    assert view["can"] == ["edit", "answer"]
    assert "<img" not in _article(view)
    assert "&lt;img src=x" in _article(view)
    assert "files" not in message_view(message("user", "Hi"), None)


async def test_a_request_is_given_out_whole_as_text(app: Runtime, browser: httpx2.AsyncClient) -> None:
    picture = await attached(app.chat, PNG, "a.png", LOCAL_OWNER)
    sent = await app.chat.send(LOCAL_OWNER, "Look", attachments=[(picture.sha256, "a.png")])
    done = await whole_run(app.chat, sent, LOCAL_OWNER)
    reply = done.path[-1]
    address = partial(address_of_request, conversation_id=done.conversation.id, message_id=reply.id)
    for language, name in (("json", "request.json"), ("python", "request.py"), ("curl", "request.sh")):
        answer = await browser.get(address(language, run_id=reply.run_id or ""))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{name}"
        assert answer.headers["cache-control"] == "no-store"
        assert base64.b64encode(PNG).decode() in answer.text
    assert (await browser.get(address("json", run_id="another"))).status_code == 404
    assert (await browser.get("requests/json")).status_code == 404
    assert (await browser.get("requests/exe")).status_code == 418
    evil = {"Sec-Fetch-Site": "cross-site"}
    assert (await browser.get(address("json", run_id=reply.run_id or ""), headers=evil)).status_code == 403


async def test_a_request_of_a_temporary_chat_is_given_out_too(app: Runtime, browser: httpx2.AsyncClient) -> None:
    room = await app.temporary.open(LOCAL_OWNER)
    done = await whole_run(room.chat, await room.chat.send(LOCAL_OWNER, "Boo"), LOCAL_OWNER)
    reply = done.path[-1]
    answer = await browser.get(address_of_request("json", done.conversation.id, reply.id, reply.run_id or ""))
    assert answer.json()["messages"] == [{"role": "user", "content": "Boo"}]


async def test_measured_requests_are_given_as_tables(app: Runtime, browser: httpx2.AsyncClient) -> None:
    for number in range(3):
        measured = one_request(at=datetime(2026, 5, 1 + number, 12, tzinfo=UTC), model=f"model-{number}")
        await app.store.ledger.append(LOCAL_OWNER, measured)
    await app.store.ledger.append("ben", one_request())
    everything = await browser.get(address_of_usage("csv", Selection()))
    assert everything.headers["content-type"] == "text/csv; charset=utf-8"
    assert everything.headers["content-disposition"].startswith("attachment; filename*=UTF-8''panelist-requests-")
    assert everything.headers["cache-control"] == "no-store"
    assert [row["model"] for row in csv.DictReader(io.StringIO(everything.text))] == ["model-0", "model-1", "model-2"]
    chosen = Selection(first=date(2026, 5, 2), last=date(2026, 5, 2), endpoint="local")
    some = await browser.get(address_of_usage("parquet", chosen))
    assert [row["model"] for row in parquet.read_table(io.BytesIO(some.content)).to_pylist()] == ["model-1"]
    for wrong in ("usage/csv?first=x", "usage/csv?first=2026-05-02&last=2026-05-01"):
        refused = await browser.get(wrong)
        assert (refused.status_code, refused.headers["content-type"]) == (400, "text/plain; charset=utf-8")
        assert refused.text.endswith(".")
    assert (await browser.get("usage/html")).status_code == 418
    for header in ({"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}, {"X-Forwarded-For": "10.0.0.1"}):
        assert (await browser.get("usage/csv", headers=header)).status_code == 403


def one_request(at: datetime = datetime(2026, 5, 1, tzinfo=UTC), model: str = "tiny") -> Measured:
    return Measured(
        id=new_id(),
        at=at,
        endpoint="local",
        model=model,
        kind="chat",
        status="complete",
        error=None,
        usage=Usage(input=3, output=2),
        price=None,
        queue_s=0.1,
        first_token_s=0.2,
        total_s=1.2,
    )
