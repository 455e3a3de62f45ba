"""What is made of complete answers: kept beside them, shown, sent on, and taken back."""

from __future__ import annotations

import asyncio
import importlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from services.errors import InputError, NotFoundError, SettingsError
from services.events import Completing, Numbered
from services.messages import Processed, as_shown, text_of
from services.options import Options
from services.post.own import own_steps
from services.runtime import check_settings
from tests.conftest import OWNER, OpenRuntime, until, whole_run
from tests.post.texts import offer
from tests.scripted import ScriptedProvider, answer

RAW = 'He said "yes".  \n\n\n\n```\n"x"  \n```\n\nIt\'s so.\n'
SHOWN = 'He said “yes”.\n\n```\n"x"  \n```\n\nIt’s so.'
BOTH = {"PANELIST_POST": "trim, typography"}


async def test_the_processed_answer_is_shown_and_sent_on_and_the_raw_one_kept(
    open_app: OpenRuntime, tmp_path: Path
) -> None:
    provider = ScriptedProvider(answer(RAW), answer("Plain."))
    app = await open_app(provider, **BOTH)
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Go"))
    reply = done.path[1]
    assert reply.text == SHOWN
    assert text_of(reply.parts) == RAW
    assert reply.processed == Processed((SHOWN,), ("trim", "typography"))
    again = await whole_run(app.chat, await app.chat.send(OWNER, "On", conversation_id=done.conversation.id))
    assert [m.text for m in provider.requests[1].messages] == ["Go", SHOWN, "On"]
    assert [text_of(m.parts) for m in provider.requests[1].messages] == ["Go", SHOWN, "On"]
    assert again.path[3].processed is None, "nothing changed it"
    await app.close()
    reopened = await open_app(ScriptedProvider(), **BOTH)
    assert (await reopened.chat.open(OWNER, done.conversation.id)).path == again.path
    with closing(sqlite3.connect(tmp_path / "data" / "panelist.db")) as database:
        assert "“yes”" not in str(database.execute("select data from parts").fetchall())


async def test_the_raw_answer_can_be_used_and_again_the_other(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(answer(RAW), answer("One"), answer("Two"))
    app = await open_app(provider, **BOTH)
    chat = app.chat
    done = await whole_run(chat, await chat.send(OWNER, "Go"))
    here, reply = done.conversation.id, done.path[1]
    await whole_run(chat, await chat.send(OWNER, "First", conversation_id=here))
    for raw, text in ((True, RAW), (True, RAW), (False, SHOWN), (True, RAW)):
        before = await chat.conversation(OWNER, here)
        await chat.processing.show(OWNER, here, reply.id, raw=raw)
        opened = await chat.open(OWNER, here)
        assert opened.path[1].text == text
        assert (opened.path[1] == done.path[1]) is not raw
        assert (opened.conversation.updated_at - before.updated_at).total_seconds() < 0.01, "its place stays"
    await whole_run(chat, await chat.send(OWNER, "Second", conversation_id=here))
    assert provider.requests[2].messages[1].text == RAW
    with pytest.raises(InputError, match="shown as it came"):
        await chat.processing.show(OWNER, here, opened.path[3].id, raw=True)
    with pytest.raises(InputError, match="Only a complete answer"):
        await chat.processing.show(OWNER, here, opened.path[0].id, raw=True)
    with pytest.raises(NotFoundError):
        await chat.processing.show("eve", here, reply.id, raw=True)


async def test_what_is_shown_is_found_forked_picked_edited_and_exported(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("One - wörd...\n\n\n\nEnd"), answer("B")), **BOTH)
    chat = app.chat
    done = await whole_run(chat, await chat.send(OWNER, "Go"))
    here, reply = done.conversation.id, done.path[1]
    [hit] = await chat.catalogue.search(OWNER, "wörd")
    assert "wörd…" in "".join(piece.text for piece in hit.snippet)
    fork = await chat.fork(OWNER, here, reply.id)
    assert fork.path[1].processed == reply.processed
    copied = await chat.branching.pick(OWNER, here, done.path[0].id)
    await chat.branching.pick(OWNER, here, reply.id)
    assert copied
    assert (await chat.open(OWNER, here)).path[-1].processed == reply.processed
    same = await chat.edit(OWNER, here, reply.id, reply.text)
    assert same.path[-1].text == reply.text, "what changes nothing stores nothing"
    edited = await chat.edit(OWNER, here, reply.id, "By hand")
    assert (edited.path[-1].text, edited.path[-1].processed) == ("By hand", None)


async def test_only_complete_answers_go_through_the_steps(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    provider = ScriptedProvider(answer('"cut"', reason="length"), ['"stop"', gate], answer(' "and" on'))
    app = await open_app(provider, **BOTH)
    cut = await whole_run(app.chat, await app.chat.send(OWNER, "Go"))
    assert (cut.path[1].status, cut.path[1].text, cut.path[1].processed) == ("truncated", '"cut"', None)
    stopped = await app.chat.send(OWNER, "Go", conversation_id=cut.conversation.id)
    await until(lambda: len(provider.requests) == 2)
    app.chat.stop(OWNER, stopped.run_id or "")
    stopped = await whole_run(app.chat, stopped)
    assert stopped.path[3].processed is None
    on = await whole_run(app.chat, await app.chat.go_on(OWNER, cut.conversation.id, stopped.path[3].id))
    assert provider.requests[2].messages[-2].text == stopped.path[3].text, "it goes on from what came"
    assert on.path[3].text == typographic(stopped.path[3].text + ' "and" on')


def typographic(text: str) -> str:
    from services import post

    return post.run(text, ["trim", "typography"]).text


async def test_a_conversation_has_steps_of_its_own(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer(RAW), answer(RAW), answer(RAW)), **BOTH)
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Go", options=Options(post=())))
    assert done.path[1].text == RAW
    here = done.conversation.id
    await app.chat.set_options(OWNER, here, Options(post=("typography",)))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Go", conversation_id=here))
    assert done.path[3].processed is not None
    assert done.path[3].processed.steps == ("typography",)
    await app.chat.set_options(OWNER, here, Options())
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Go", conversation_id=here))
    assert done.path[5].text == SHOWN


async def test_what_is_left_out_is_said_and_the_answer_stays(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("Fine."), answer('"So"')))
    options = Options(post=("gone", "typography"))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Go", options=options))
    said = ("The step 'gone' was left out: there is none of that name here.",)
    assert done.path[1].processed == Processed(("Fine.",), (), said)
    assert done.path[1].text == "Fine."


async def test_a_slow_step_is_told_and_stopped(
    open_app: OpenRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_step.py").write_text(
        "import threading\ngo_on = threading.Event()\ndef slow(text):\n    go_on.wait(20)\n    return text.upper()\n"
    )
    offer(tmp_path, "slow = slow_step:slow")
    monkeypatch.syspath_prepend(str(tmp_path))
    own_steps.cache_clear()
    app = await open_app(ScriptedProvider(answer("Loud"), answer("Next")))
    opened = await app.chat.send(OWNER, "Go", options=Options(post=("slow",)))
    assert opened.run_id is not None
    queued = await app.chat.send(OWNER, "And?", conversation_id=opened.conversation.id)
    assert queued.waiting.messages, "the next question waits for the steps too"
    seen: list[Numbered] = []
    async for batch in app.chat.follow(OWNER, opened.run_id):
        seen += batch
        if isinstance(batch[-1].event, Completing):
            stored = await app.chat.open(OWNER, opened.conversation.id)
            assert (stored.path[1].status, stored.path[1].text) == ("complete", "Loud"), "nothing is lost meanwhile"
            app.chat.stop(OWNER, opened.run_id)
    assert isinstance(seen[-2].event, Completing)
    await until(lambda: not app.chat.busy)
    done = await app.chat.open(OWNER, opened.conversation.id)
    assert done.path[1].text == "Loud"
    assert done.path[1].processed is None
    importlib.import_module("slow_step").go_on.set()
    own_steps.cache_clear()


async def test_parts_that_are_not_of_it_are_shown_as_they_came(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer(RAW)), **BOTH)
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Go"))
    assert text_of(as_shown(done.path[1].parts, Processed(("a", "b"), ("trim",)))) == RAW


async def test_a_temporary_chat_goes_through_the_steps_too(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer(RAW)), **BOTH)
    tab = await app.temporary.open(OWNER)
    done = await whole_run(tab.chat, await tab.chat.send(OWNER, "Go"))
    assert done.path[1].text == SHOWN


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("trim,nothing", "PANELIST_POST: There is no step 'nothing'. Steps are trim, typography, grammar"),
        ("trim;grammar", "PANELIST_POST must be names with commas"),
    ],
)
def test_a_setting_that_names_no_step_stops_the_start(
    value: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANELIST_POST", value)
    with pytest.raises(SettingsError, match=sentence):
        check_settings(tmp_path)
