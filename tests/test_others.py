"""Open WebUI's and LibreChat's exports, by files that are built after the published structures."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services import librechat, openwebui
from services.conversation import Whole
from services.errors import InputError
from services.foreign import NO_PICTURE, time_of
from services.importing import opened
from services.messages import ErrorPart, ReasoningPart, clean_text
from services.usage import Usage
from tests.conftest import OWNER, OpenRuntime
from tests.scripted import ScriptedProvider
from tests.test_exchange import received
from tests.trees import read

WHEN = 1_700_000_000


def said(id: str, parent: str | None, role: str, content: object, *children: str, **more: Any) -> dict[str, Any]:
    base = {"id": id, "parentId": parent, "childrenIds": list(children), "role": role, "content": content}
    return {**base, "timestamp": WHEN, **more}


def chat() -> dict[str, Any]:
    """Return a chat of Open WebUI's: two answers side by side, thoughts in both ways, a tool, a picture, an error."""
    output = [
        {"type": "reasoning", "content": [{"type": "output_text", "text": "15 * 17 …"}], "duration": 3},
        {"type": "function_call", "name": "get_weather", "arguments": "{}"},
        {"type": "message", "content": [{"type": "output_text", "text": "255"}]},
    ]
    folded = (
        '<details type="reasoning" done="true" duration="7">\n<summary>Thought for 7 seconds</summary>\n'
        "&gt; It is &lt;easy&gt;\n&gt; enough\n</details>\n"
        '<details type="tool_calls" name="add"><summary>Tool Executed</summary></details>\n'
        "Two hundred <details><summary>and</summary>fifty-five</details>"
    )
    messages = [
        said("q1", None, "user", "What is 15 * 17?", "a2", "a1"),
        said("a1", "q1", "assistant", "", model="deepseek-r1", done=True, output=output),
        said(
            "a2",
            "q1",
            "assistant",
            folded,
            "q2",
            model="llama3.1:latest",
            usage={"prompt_tokens": 9, "completion_tokens": 4},
        ),
        said("q2", "a2", "user", "", "a3", "a4", files=[{"type": "image", "url": "data:…"}, {"type": "file"}]),
        said("a3", "q2", "assistant", "Half an", done=False),
        said("a4", "q2", "assistant", "", error={"content": "Server\n busy"}),
        said("s", None, "system", "Be nice."),
        said("lost", "nowhere", "user", "Where is my parent?"),
    ]
    history = {"currentId": "a3", "messages": {one["id"]: one for one in messages}}
    inner = {"title": "Sums", "models": ["deepseek-r1"], "history": history, "messages": [], "timestamp": WHEN * 1000}
    return {"id": "c-1", "user_id": "u", "title": "Sums", "chat": inner, "created_at": WHEN, "updated_at": WHEN + 60}


NO_PARENT = "00000000-0000-0000-0000-000000000000"


def wrote(id: str, parent: str, text: object, *, mine: bool = False, **more: Any) -> dict[str, Any]:
    base = {"messageId": id, "parentMessageId": parent, "text": text, "isCreatedByUser": mine}
    return {**base, "createdAt": "2024-05-28T18:08:55.014Z", "sender": "User" if mine else "GPT-4", **more}


def talk() -> dict[str, Any]:
    """Return a conversation of LibreChat's, with two beginnings, thoughts in both ways, a tool and a cut answer."""
    parts = [
        {"type": "think", "think": "Hm."},
        {"type": "tool_call", "tool_call": {"name": "search"}},
        {"type": "text", "text": {"value": "Eldoria"}},
        {"type": "image_file", "image_file": {}},
        None,
    ]
    messages = [
        wrote("1", NO_PARENT, "A long story", mine=True),
        wrote("2", "1", ":::thinking\nLet me see.\n:::\n\nOnce", model="gpt-4o", finish_reason="length"),
        wrote("3", "1", "", content=parts, model="claude"),
        wrote("4", "3", "Sure", unfinished=True, model=None),
        wrote("5", NO_PARENT, "A longer story", mine=True, files=[{"type": "image/png"}]),
        wrote("6", "5", "Of course", finish_reason="incomplete", endpoint="azureOpenAI"),
    ]
    more = {"endpoint": "azureOpenAI", "options": {"model": "gpt-4o"}, "branches": True, "recursive": False}
    return {"conversationId": "27b593be", "title": "Stories", **more, "messages": messages}


def recursive(item: dict[str, Any]) -> dict[str, Any]:
    """Return a conversation of LibreChat's as it is exported with messages in messages."""
    nested = {one["messageId"]: {**one, "children": []} for one in copy.deepcopy(item["messages"])}
    roots = []
    for one in nested.values():
        above = nested.get(one["parentMessageId"])
        (above["children"] if above else roots).append(one)
    return {**{name: value for name, value in item.items() if name != "messages"}, "recursive": True, "messages": roots}


def by_text(whole: Whole | None) -> dict[str, Any]:
    assert whole is not None
    return {message.text: message for message in whole.messages}


def test_open_webui_comes_over() -> None:
    whole, left_out = openwebui.read(chat(), 1)
    found = by_text(whole)
    assert whole is not None
    assert list(found) == [
        "What is 15 * 17?",
        "Two hundred <details><summary>and</summary>fifty-five</details>",
        NO_PICTURE,
        "Half an",
        "",
        "255",
        "Where is my parent?",
    ]
    assert [message.text for message in whole.path][-2:] == [NO_PICTURE, "Half an"]
    first, second = found["255"], found["Two hundred <details><summary>and</summary>fifty-five</details>"]
    assert first.parts[0] == ReasoningPart("15 * 17 …", seconds=3.0)
    assert second.parts[0] == ReasoningPart("It is <easy>\nenough", seconds=7.0)
    assert (first.model, second.model, second.usage) == ("deepseek-r1", "llama3.1:latest", Usage(input=9, output=4))
    assert (found["Half an"].status, found[""].status) == ("interrupted", "failed")
    assert found["Half an"].model == "Open WebUI", "else it would be one that a person wrote"
    [error] = found[""].parts
    assert isinstance(error, ErrorPart)
    assert error.failure.message == "Server busy"
    assert left_out == {"picture": 1, "file": 1, "tool message": 2, "instruction": 1}
    assert (whole.conversation.title, whole.conversation.created_at.timestamp()) == ("Sums", WHEN)
    assert openwebui.read(chat(), 9)[0] == whole, "the same ids each time"


def test_librechat_comes_over() -> None:
    whole, left_out = librechat.read(talk(), 1)
    found = by_text(whole)
    assert whole is not None
    assert list(found) == ["A long story", "Once", "Eldoria\n\nSure", "A longer story", "Of course"]
    assert [message.text for message in whole.path] == ["A longer story", "Of course"]
    assert found["Once"].parts[0] == ReasoningPart("Let me see.")
    assert found["Eldoria\n\nSure"].parts[0] == ReasoningPart("Hm.")
    statuses = [found[text].status for text in ("Once", "Eldoria\n\nSure", "Of course")]
    assert statuses == ["truncated", "interrupted", "stopped"]
    models = [found[text].model for text in ("Once", "Eldoria\n\nSure", "A long story")]
    assert models == ["gpt-4o", "GPT-4", None]
    assert left_out == {"picture": 2, "tool message": 1}
    assert whole.conversation.created_at.isoformat() == "2024-05-28T18:08:55.014000+00:00"
    nested, _ = librechat.read(recursive(talk()), 1)
    assert nested == whole, "in whichever way it was exported"


@pytest.mark.parametrize("item", [1, None, [], {}, {"chat": {"history": {}}}, {"conversationId": "x"}, {"history": 1}])
def test_what_is_neither_is_refused(item: object) -> None:
    for module in (openwebui, librechat):
        with pytest.raises(InputError, match="conversation 3 is not as Panelist"):
            module.read(item, 3)


def test_circles_and_ids_that_come_twice_are_refused() -> None:
    item = chat()
    item["chat"]["history"]["messages"]["q1"]["parentId"] = "a3"
    with pytest.raises(InputError, match="run in a circle"):
        openwebui.read(item, 1)
    other = talk()
    other["messages"][0]["parentMessageId"] = "4"
    with pytest.raises(InputError, match="run in a circle"):
        librechat.read(other, 1)
    other["messages"][0]["messageId"] = "2"
    with pytest.raises(InputError, match="repeats the id 2"):
        librechat.read(other, 1)


def test_a_file_of_either(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    for item, module, program in (
        ([chat()], openwebui, "Open WebUI"),
        (chat(), openwebui, "Open WebUI"),
        (chat()["chat"], openwebui, "Open WebUI"),
        (talk(), librechat, "LibreChat"),
        ([recursive(talk())], librechat, "LibreChat"),
    ):
        path.write_text(json.dumps(item))
        with opened(path) as source:
            assert source.contents().source == program
        [whole] = read(path)
        assert whole == module.read(item[0] if isinstance(item, list) else item, 1)[0]


def _deep(depth: int) -> str:
    inner = '{"messageId":"x","text":"y","children":['
    return f'{{"conversationId":"c","messages":[{inner * depth}{"]}" * depth}]}}'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (_deep(5_000), "nested too deeply"),
        ('{"conversationId":"c","messages":[', "cut off"),
        ('{"conversationId":"c","messages":[]}', "no conversation in it"),
        ('{"conversationId":"c","messages":[null,1,"x",{}]}', "no conversation in it"),
        ('[{"chat":{"history":{"messages":{"a":null,"b":[]}}}}]', "no conversation in it"),
        ('{"title":"x","mapping":3}', "does not say"),
        ('{"conversationId":"c","messages":[{"text":"x","createdAt":NaN}]}', "not JSON"),
    ],
)
def test_hostile_files_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "export.json"
    path.write_text(text)
    with pytest.raises(InputError, match=says), opened(path) as source:
        source.contents()


def test_thoughts_without_end_are_read_at_once() -> None:
    item = chat()
    item["chat"]["history"]["messages"]["a2"]["content"] = '<details type="reasoning">' * 200_000
    whole, _ = openwebui.read(item, 1)  # a search for each end would take minutes
    assert whole is not None


@pytest.mark.parametrize("value", [10**400, -(10**400), float("1e308"), True, "2024-13-45", "", None, [], {}, 0])
def test_a_time_that_is_none_is_none(value: object) -> None:
    assert time_of(value) is None


def test_times_come_in_seconds_and_less() -> None:
    assert len({time_of(WHEN), time_of(WHEN * 1_000), time_of(WHEN * 10**9), time_of("2023-11-14T22:13:20Z")}) == 1


_junk = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(exclude_categories=()), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("make", "module"), [(chat, openwebui), (talk, librechat), (lambda: recursive(talk()), librechat)]
)
@settings(deadline=None)
@given(data=st.data())
def test_whatever_a_field_holds_is_taken_or_refused(make: Callable[[], Any], module: Any, data: st.DataObject) -> None:
    item = make()
    for _ in range(3):
        place: Any = item
        while isinstance(place, dict | list) and place:
            name = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if not isinstance(place[name], dict | list) or data.draw(st.integers(0, 4)) == 0:
                place[name] = data.draw(_junk)
                break
            place = place[name]
    try:
        whole, _ = module.read(item, 1)
    except InputError:
        return
    if whole is not None:
        assert all(clean_text(message.text) == message.text for message in whole.messages)
        before: set[str | None] = {None}
        for message in whole.messages:
            assert message.parent_id in before
            before.add(message.id)
        assert whole.conversation.head_id in before - {None}


async def test_both_are_stored_once(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider())
    for item in (chat(), talk()):
        data = json.dumps(item).encode()
        [id] = (await app.chat.catalogue.import_(OWNER, await received(app.chat, data))).added
        assert (await app.chat.open(OWNER, id)).path
        assert (await app.chat.catalogue.import_(OWNER, await received(app.chat, data))).skipped == 1
