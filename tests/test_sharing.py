"""Pages to be given to somebody: what is chosen is in them, and nothing else."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.conversation import Whole
from services.errors import Failure, InputError, NotFoundError
from services.messages import ErrorPart, ReasoningPart
from services.sharing import Choice, snapshot_of
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.scripted import ScriptedProvider, answer, thoughtful
from tests.test_exporting import told
from tests.test_uploads import PNG, attached
from tests.trees import NOTE, NOTE_PART


def choice(whole: Whole, *indexes: int, title: str = "A title", **more: bool) -> Choice:
    return Choice(title=title, messages=frozenset(whole.path[index].id for index in indexes), **more)


def page(whole: Whole, *indexes: int, title: str = "A title", **more: bool) -> str:
    return snapshot_of(whole, choice(whole, *indexes, title=title, **more), {NOTE_PART.sha256: NOTE})


def test_what_is_left_out_is_not_in_it() -> None:
    whole = told("Why does it rain?", "Clouds.", "My name is Ada.", "Hello Ada.", "And snow?", "Cold clouds.")
    html = page(whole, 0, 1, 4, 5)
    assert "Why does it rain?" in html
    assert "Cold clouds." in html
    assert "Ada" not in html
    assert html.index("Clouds.") < html.index("2 messages were left out here.") < html.index("And snow?")
    assert "A message was left out here." in page(whole, 1, 2, 3, 4, 5)
    assert "left out" not in page(whole, 0, 1, 4, 5, gaps=False)
    assert "left out" not in page(whole, *range(6))
    with pytest.raises(InputError, match="None of the chosen messages"):
        page(whole)


def test_thoughts_and_files_come_along_or_not() -> None:
    whole = told("Read it.", "I did.")
    question = replace(whole.messages[0], parts=(NOTE_PART, *whole.messages[0].parts))
    by_model = replace(whole.messages[1], parts=(ReasoningPart("A <b>secret</b> thought"), *whole.messages[1].parts))
    whole = replace(whole, messages=(question, by_model))
    html = page(whole, 0, 1)
    assert "A &lt;b&gt;secret&lt;/b&gt; thought" in html
    assert "<summary>note.txt (12 bytes)</summary><pre>Rain falls.\n</pre>" in html
    bare = page(whole, 0, 1, reasoning=False, attachments=False)
    assert "secret" not in bare
    assert "note.txt" not in bare
    assert '<p class="files">note.txt (12 bytes)</p>' in snapshot_of(whole, choice(whole, 0), {}), "what is too large"


def test_nothing_of_this_server_is_in_it() -> None:
    whole = told("Why?", "Because.", status="failed")
    why = Failure(kind="unreachable", message="http://10.0.0.5:8000/v1 is not reachable.", request_id="req_1")
    failed = replace(whole.messages[1], parts=(*whole.messages[1].parts, ErrorPart(why)), endpoint="http-secret")
    question = replace(whole.messages[0], parts=(NOTE_PART, *whole.messages[0].parts))
    whole = replace(whole, messages=(question, failed))
    html = page(whole, 0, 1)
    for word in (*whole.ids, whole.conversation.id, NOTE_PART.sha256, "10.0.0.5", "req_1", "http-secret"):
        assert word not in html
    assert "This answer failed." in html


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_no_title_and_no_text_is_more_than_text(text: str) -> None:
    hostile = f"{text}<script>alert(1)</script><img src=https://evil.example/x onerror=a()>"
    whole = told(hostile, hostile)
    html = page(whole, 0, 1, title=hostile)
    assert not re.search(r"<(script|link|iframe|object|img)\b", html)
    assert len(re.findall("<h1", html)) == 1
    html.encode()


async def test_through_the_door(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(thoughtful("Hm.", "Clouds."), answer("Drops.")))
    picture = await attached(app.chat, PNG, "rain.png", OWNER)
    sent = await app.chat.send(OWNER, "Why?", attachments=[(picture.sha256, picture.name)])
    first = await whole_run(app.chat, sent)
    id, shown = first.conversation.id, frozenset(message.id for message in first.path)
    await whole_run(app.chat, await app.chat.retry(OWNER, id, first.path[-1].id))
    export = await app.chat.catalogue.share(OWNER, id, Choice(title="Rain / Wind", messages=shown))
    html = b"".join([piece async for piece in export.pieces]).decode()
    assert export.name == "Rain-Wind.html"
    assert f'<img src="data:image/png;base64,{base64.b64encode(PNG).decode()}" alt="rain.png">' in html
    assert "img-src data:" in html
    assert "Clouds." not in html, "another version is on show"
    assert "Drops." not in html, "which was not chosen"
    assert "1 message, shared on" in html
    with pytest.raises(NotFoundError):
        await app.chat.catalogue.share("eve", id, Choice(title="Rain", messages=shown))
