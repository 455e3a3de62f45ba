"""ChatGPT's export, by a file that is built after the published structure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services import chatgpt
from services.conversation import Whole
from services.errors import InputError
from services.foreign import NO_PICTURE
from services.importing import opened
from services.messages import clean_text
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.scripted import ScriptedProvider, answer
from tests.test_exchange import received
from tests.trees import read

WHEN = 1_700_000_000.5


def node(id: str, parent: str | None, message: dict[str, Any] | None, *children: str) -> dict[str, Any]:
    return {"id": id, "parent": parent, "message": message, "children": list(children)}


def said(role: str, *parts: object, kind: str = "text", **more: Any) -> dict[str, Any]:
    content = {"content_type": kind, "parts": list(parts)}
    base = {"author": {"role": role, "name": None, "metadata": {}}, "create_time": WHEN, "content": content}
    return {"id": "m", "status": "finished_successfully", "recipient": "all", "metadata": {}, **base, **more}


PICTURE = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-abc", "width": 1}
GPT = {"metadata": {"model_slug": "gpt-4o", "finish_details": {"type": "stop"}}}
CUT = {"metadata": {"model_slug": "gpt-4o", "finish_details": {"type": "max_tokens"}}}


def rain() -> dict[str, Any]:
    """Return a conversation with two questions on one place, a picture, a tool, and an answer to each question."""
    nodes = [
        node("root", None, None, "system"),
        node("system", "root", said("system", ""), "context"),
        node("context", "system", said("user", kind="user_editable_context"), "old", "new"),
        node("new", "context", said("user", PICTURE, "Why does it rain?", kind="multimodal_text"), "call"),
        node("old", "context", said("user", "Why rain?"), "short"),
        node("short", "old", said("assistant", "Clouds.", **CUT)),
        node("call", "new", said("assistant", "search('rain')", recipient="web"), "result"),
        node("result", "call", said("tool", "…"), "thought"),
        node("thought", "result", said("assistant", kind="thoughts"), "first", "second"),
        node("first", "thought", said("assistant", "Because\ue200cite\ue202turn0\ue201 of\0 clouds.", **GPT), "thanks"),
        node("second", "thought", said("assistant", "Drops.", **GPT)),
        node("thanks", "first", said("user", PICTURE, kind="multimodal_text", create_time=None)),
        node("lost", "nowhere", said("user", "Where is my parent?")),
    ]
    return {
        "title": " Rain\n now ",
        "create_time": WHEN,
        "update_time": WHEN + 60,
        "mapping": {one["id"]: one for one in nodes},
        "current_node": "thanks",
        "conversation_id": "6f2e-rain",
    }


def texts(whole: Whole) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in whole.messages]


def test_the_tree_comes_over_without_what_was_between() -> None:
    whole, left_out = chatgpt.read(rain(), 1)
    assert whole is not None
    by_text = {message.text: message for message in whole.messages}
    assert texts(whole) == [
        ("user", "Why rain?"),
        ("assistant", "Clouds."),
        ("user", "Why does it rain?"),
        ("assistant", "Because of clouds."),
        ("user", NO_PICTURE),
        ("assistant", "Drops."),
        ("user", "Where is my parent?"),
    ]
    asked = by_text["Why does it rain?"]
    assert [by_text[text].parent_id for text in ("Because of clouds.", "Drops.")] == [asked.id, asked.id]
    assert [by_text[text].parent_id for text in ("Why rain?", "Why does it rain?", "Where is my parent?")] == [None] * 3
    assert [message.text for message in whole.path] == ["Why does it rain?", "Because of clouds.", NO_PICTURE]
    assert left_out == {"picture": 2, "tool message": 2, "thought": 1, "instruction": 1}
    assert (by_text["Clouds."].status, by_text["Drops."].model, asked.model) == ("truncated", "gpt-4o", None)
    assert by_text[NO_PICTURE].created_at == by_text["Drops."].created_at, "as the one before it"
    assert (whole.conversation.title, whole.conversation.updated_at.timestamp()) == ("Rain now", WHEN + 60)
    assert chatgpt.read(rain(), 7)[0] == whole, "the same ids each time"


def test_what_is_missing_is_made_up_for() -> None:
    bare = {"mapping": {"a": {"message": said("user", "Hello there", create_time="x")}}, "create_time": 1e300}
    whole, _ = chatgpt.read(bare, 1)
    assert whole is not None
    assert (whole.conversation.title, whole.conversation.head_id) == ("Hello there", whole.messages[0].id)
    for empty in ({"mapping": {}}, {"mapping": {"a": node("a", None, None)}, "title": "Nothing"}):
        assert chatgpt.read(empty, 1) == (None, {"empty conversation": 1})


@pytest.mark.parametrize("item", [1, None, [], {}, {"mapping": []}, {"chat": {"history": {}}}])
def test_what_is_no_conversation_is_refused(item: object) -> None:
    with pytest.raises(InputError, match="conversation 3 is not as Panelist, ChatGPT, Open WebUI or LibreChat"):
        chatgpt.read(item, 3)


def test_a_circle_is_refused() -> None:
    item = rain()
    item["mapping"]["old"]["parent"] = "short"
    with pytest.raises(InputError, match="run in a circle"):
        chatgpt.read(item, 1)


_junk = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(exclude_categories=()), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.data())
def test_whatever_a_field_holds_is_taken_or_refused(data: st.DataObject) -> None:
    item = rain()
    for _ in range(3):
        place: Any = item
        while isinstance(place, dict) and place:
            name = data.draw(st.sampled_from(sorted(place)))
            if not isinstance(place[name], dict) or data.draw(st.integers(0, 4)) == 0:
                place[name] = data.draw(_junk)
                break
            place = place[name]
    try:
        whole, _ = chatgpt.read(item, 1)
    except InputError:
        return
    if whole is not None:
        assert all(clean_text(message.text) == message.text for message in whole.messages)
        before: set[str | None] = {None}
        for message in whole.messages:
            assert message.parent_id in before
            before.add(message.id)
        assert whole.conversation.head_id in before - {None}


def test_a_file_of_it(tmp_path: Path) -> None:
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps([rain(), {"mapping": {}}]))
    with opened(path) as source:
        contents = source.contents()
    assert (contents.source, len(contents.listed), contents.left_out["empty conversation"]) == ("ChatGPT", 1, 1)
    [whole] = read(path)
    assert whole == chatgpt.read(rain(), 1)[0]
    path.write_text(json.dumps([rain(), rain()]))
    with pytest.raises(InputError, match="repeats the id"):
        read(path)


def looked_up(*behind: dict[str, Any]) -> dict[str, Any]:
    """Return a conversation whose answer is written in three messages, with a tool between."""
    nodes = [
        node("ask", None, said("user", "Does it rain?"), "look"),
        node("look", "ask", said("assistant", "Let me look it up.", **GPT), "call"),
        node("call", "look", said("assistant", "search('rain')", recipient="web"), "result"),
        node("result", "call", said("tool", "…"), "half"),
        node("half", "result", said("assistant", "It ra", **CUT), "rest"),
        node("rest", "half", said("assistant", "ins.", **GPT)),
        *behind,
    ]
    return {"title": "Rain", "mapping": {one["id"]: one for one in nodes}, "current_node": "rest", "id": "looked-up"}


def test_an_answer_in_several_messages_is_one() -> None:
    whole, left_out = chatgpt.read(looked_up(node("thanks", "rest", said("user", "Thanks"))), 1)
    assert whole is not None
    assert texts(whole) == [
        ("user", "Does it rain?"),
        ("assistant", "Let me look it up.\n\nIt rains."),
        ("user", "Thanks"),
    ]
    asked, answered, thanks = whole.messages
    assert (answered.parent_id, thanks.parent_id, answered.status) == (asked.id, answered.id, "complete")
    assert whole.conversation.head_id == answered.id
    assert left_out == {"tool message": 2}
    whole, _ = chatgpt.read(looked_up(node("other", "result", said("assistant", "Snow.", **GPT))), 1)
    assert whole is not None
    said_first, rains, snow = whole.messages[1:]
    assert (said_first.text, rains.text, snow.text) == ("Let me look it up.", "It rains.", "Snow.")
    assert rains.parent_id == snow.parent_id == said_first.id, "where there are several they stay versions"


@pytest.mark.parametrize("behind", [(), (node("other", "look", said("assistant", "Snow.")),)])
async def test_its_answers_are_written_again(open_app: OpenRuntime, behind: tuple[dict[str, Any], ...]) -> None:
    provider = ScriptedProvider(answer("It does."))
    app = await open_app(provider)
    data = json.dumps([looked_up(*behind)]).encode()
    [id] = (await app.chat.catalogue.import_(OWNER, await received(app.chat, data))).added
    shown = await app.chat.open(OWNER, id)
    done = await whole_run(app.chat, await app.chat.retry(OWNER, id, shown.path[-1].id))
    assert [message.text for message in done.path] == ["Does it rain?", "It does."]
    assert [message.text for message in provider.requests[0].messages] == ["Does it rain?"]


async def test_it_goes_on_here(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(answer("And then the sun."))
    app = await open_app(provider)
    data = json.dumps([rain()]).encode()
    imported = await app.chat.catalogue.import_(OWNER, await received(app.chat, data))
    [id] = imported.added
    done = await whole_run(app.chat, await app.chat.send(OWNER, "And then?", conversation_id=id))
    assert done.path[-1].text == "And then the sun."
    assert provider.requests[0].messages[0].text == "Why does it rain?"
    assert (await app.chat.catalogue.import_(OWNER, await received(app.chat, data))).skipped == 1
