"""The door, with a scripted provider and a real database."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.conversation import TRASH, Whole
from services.errors import InputError, NotFoundError, StorageError
from services.events import RunEvent, RunFinished, TextDelta
from services.listing import View
from services.messages import ErrorPart, TextPart
from services.options import Options
from services.providers.base import ModelRequest
from services.runtime import open_runtime
from services.settings import read_settings
from tests.conftest import OWNER, OpenRuntime, until, whole_run
from tests.scripted import ScriptedProvider, answer, refusal
from tests.storage import make


async def test_a_question_is_stored_before_anything_leaves(open_app: OpenRuntime, tmp_path: Path) -> None:
    stored: list[tuple[str, str]] = []

    class Witness(ScriptedProvider):
        def stream(self, request: ModelRequest) -> AsyncGenerator[RunEvent, None]:
            with closing(sqlite3.connect(tmp_path / "data" / "panelist.db")) as database:
                stored.extend(database.execute("select role, status from messages order by seq"))
            return super().stream(request)

    gate = asyncio.Event()
    app = await open_app(Witness([gate, *answer("Hi")]))
    opened = await app.chat.send(OWNER, "Hello?")
    question, reply = opened.path
    assert (question.role, question.text, question.status) == ("user", "Hello?", "complete")
    assert (reply.role, reply.parts, reply.status) == ("assistant", (), "streaming")
    assert opened.conversation.title == "Hello?"
    gate.set()
    done = await whole_run(app.chat, opened)
    assert stored == [("user", "complete"), ("assistant", "streaming")]
    assert (done.path[1].text, done.path[1].status, done.run_id) == ("Hi", "complete", None)
    assert done.path[1].id == reply.id


async def test_the_whole_path_and_the_system_prompt_go_to_the_model(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(answer("One"), answer("Two"))
    app = await open_app(provider, PANELIST_SYSTEM_PROMPT="Be brief.")
    first = await whole_run(app.chat, await app.chat.send(OWNER, "First"))
    await whole_run(app.chat, await app.chat.send(OWNER, "Second", conversation_id=first.conversation.id))
    request = provider.requests[1]
    assert [(m.role, m.text) for m in request.messages] == [("user", "First"), ("assistant", "One"), ("user", "Second")]
    assert request.system_prompt == "Be brief."
    assert request.model == "model-a", "the first of the endpoint's list"


async def test_everything_is_there_after_a_restart(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("Kept")))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Keep this"))
    await app.close()
    again = await open_app(ScriptedProvider())
    assert (await again.chat.open(OWNER, done.conversation.id)).path == done.path
    assert [c.title for c in await again.chat.catalogue.conversations(OWNER)] == ["Keep this"]


async def test_live_replayed_and_reloaded_text_are_the_same(open_app: OpenRuntime) -> None:
    pieces = ["Zwölf ", "Boxkämpfer 🥊", "\n\n```py\n", "x = 1\n", "```\n"]
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider([*pieces, gate, *answer("end")]))
    opened = await app.chat.send(OWNER, "Go")
    assert opened.run_id
    live: list[str] = []
    late: list[str] = []

    async def read(into: list[str], after: int = 0) -> None:
        async for batch in app.chat.follow(OWNER, opened.run_id or "", after):
            into.extend(n.event.text for n in batch if isinstance(n.event, TextDelta))
            if len("".join(into)) >= len("".join(pieces)):
                gate.set()

    await asyncio.gather(read(live), read(late))
    stored = (await app.chat.open(OWNER, opened.conversation.id)).path[1].text
    assert "".join(live) == "".join(late) == stored == "".join(pieces) + "end"


async def test_a_reader_with_a_cursor_gets_what_it_missed_and_no_more(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider(["a", "b", gate, *answer("c")]))
    opened = await app.chat.send(OWNER, "Go")
    assert opened.run_id
    seen = []
    async for batch in app.chat.follow(OWNER, opened.run_id):
        seen += batch
        if any(n.event == TextDelta("b") for n in seen):
            break
    gate.set()
    rest = [n async for batch in app.chat.follow(OWNER, opened.run_id, seen[-1].seq) for n in batch]
    assert [n.seq for n in seen + rest] == list(range(1, len(seen + rest) + 1))
    assert isinstance(rest[-1].event, RunFinished)


async def test_stop_closes_the_stream_and_keeps_what_came(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(["Half an ans", asyncio.Event()])
    app = await open_app(provider)
    opened = await app.chat.send(OWNER, "Go")
    assert opened.run_id
    async for batch in app.chat.follow(OWNER, opened.run_id):
        if any(isinstance(n.event, TextDelta) for n in batch):
            app.chat.stop(OWNER, opened.run_id)
            app.chat.stop(OWNER, opened.run_id)  # twice does no harm
    reply = (await app.chat.open(OWNER, opened.conversation.id)).path[1]
    assert (reply.text, reply.status) == ("Half an ans", "stopped")
    assert provider.closed_streams == 1


async def test_stop_before_the_first_word(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider([asyncio.Event()]))
    opened = await app.chat.send(OWNER, "Go")
    assert opened.run_id
    app.chat.stop(OWNER, opened.run_id)
    done = await whole_run(app.chat, opened)
    assert (done.path[1].parts, done.path[1].status) == ((), "stopped")


async def test_a_failure_is_a_part_of_the_message_and_a_retry_its_sibling(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider([refusal("rate_limit", "Too fast.", retry_after_s=12.0)], answer("Now it works"))
    app = await open_app(provider)
    failed = await whole_run(app.chat, await app.chat.send(OWNER, "Go"))
    [part] = failed.path[1].parts
    assert isinstance(part, ErrorPart)
    assert (part.failure.message, part.failure.retry_after_s) == ("Too fast.", 12.0)
    done = await whole_run(app.chat, await app.chat.retry(OWNER, failed.conversation.id, failed.path[1].id))
    assert [m.text for m in done.path] == ["Go", "Now it works"]
    versions = done.versions[done.path[1].id]
    assert versions.ids == (failed.path[1].id, done.path[1].id)
    assert [m.text for m in provider.requests[1].messages] == ["Go"], "the failed answer says nothing to the model"
    back = await app.chat.show_version(OWNER, done.conversation.id, failed.path[1].id)
    assert back.path == failed.path, "what was shown is still there"


async def test_a_fork_begins_alike_and_goes_its_own_way(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(*(answer(text) for text in ("One", "Two", "Elsewhere", "Here")))
    app = await open_app(provider)
    first = await whole_run(app.chat, await app.chat.send(OWNER, "First", options=Options(model="model-b")))
    here = first.conversation.id
    old = await whole_run(app.chat, await app.chat.send(OWNER, "Second", conversation_id=here))
    forked = await app.chat.fork(OWNER, here, first.path[1].id)
    there = forked.conversation.id
    assert there != here
    assert forked.conversation.options == old.conversation.options
    assert (forked.conversation.title, old.conversation.title) == ("First (fork)", "First")
    assert [(m.role, m.text, m.model) for m in forked.path] == [(m.role, m.text, m.model) for m in first.path]
    assert not {m.id for m in forked.path} & {m.id for m in old.path}
    assert [c.id for c in await app.chat.catalogue.conversations(OWNER)] == [there, here]
    await whole_run(app.chat, await app.chat.send(OWNER, "Third", conversation_id=there))
    assert [m.text for m in provider.requests[2].messages] == ["First", "One", "Third"]
    assert (await app.chat.open(OWNER, here)).path == old.path
    with pytest.raises(InputError, match="behind an answer"):
        await app.chat.fork(OWNER, here, old.path[0].id)
    for owner, id in (("eve", first.path[1].id), (OWNER, forked.path[1].id)):
        with pytest.raises(NotFoundError):
            await app.chat.fork(owner, here, id)
    assert len(await app.chat.catalogue.conversations(OWNER)) == 2


async def test_what_was_deleted_is_in_the_trash_until_its_time_is_over(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await open_app(ScriptedProvider(answer("One"), answer("Two")))
    old, new = [(await whole_run(app.chat, await app.chat.send(OWNER, t))).conversation.id for t in ("Old", "New")]
    for id in (old, new):
        await app.chat.catalogue.delete(OWNER, id)
    assert [one.conversation.id for one in await app.chat.catalogue.trash(OWNER)] == [new, old]
    database = tmp_path / "data" / "panelist.db"
    with closing(sqlite3.connect(database)) as file, file:
        file.execute("update conversations set deleted_at = '2020-01-01 00:00:00' where id = ?", [old])
    assert [one.conversation.id for one in await app.chat.catalogue.trash(OWNER)] == [new]
    with closing(sqlite3.connect(database)) as file, file:
        file.execute("update conversations set deleted_at = '2020-01-01 00:00:00'")
    await app.close()
    await open_app(ScriptedProvider())
    with closing(sqlite3.connect(database)) as file:
        assert file.execute("select count(*) from messages").fetchone() == (0,), "the start empties it, too"


async def test_another_model_answers_for_once(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(answer("One"), answer("Two"), answer("Three"))
    app = await open_app(provider)
    first = await whole_run(app.chat, await app.chat.send(OWNER, "Go"))
    here = first.conversation
    options = Options(endpoint=first.path[1].endpoint, model="model-z")
    other = await whole_run(app.chat, await app.chat.retry(OWNER, here.id, first.path[1].id, options=options))
    await whole_run(app.chat, await app.chat.retry(OWNER, here.id, other.path[1].id))
    assert [request.model for request in provider.requests] == ["model-a", "model-z", "model-a"]
    assert (await app.chat.open(OWNER, here.id)).conversation.options == here.options


async def test_options_are_sent_kept_with_the_answer_and_changed_for_once(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(*(answer(text) for text in ("One", "Two", "Three")))
    app = await open_app(provider)
    calm = Options(temperature=0.2, stop=("END",))
    first = await whole_run(app.chat, await app.chat.send(OWNER, "Go", options=calm))
    here = first.conversation
    wild = replace(calm, temperature=1.5)
    other = await whole_run(app.chat, await app.chat.retry(OWNER, here.id, first.path[1].id, options=wild))
    await app.chat.set_options(OWNER, here.id, Options(seed=7))
    last = await whole_run(app.chat, await app.chat.send(OWNER, "On", conversation_id=here.id))
    sent = [replace(request.options, endpoint=None) for request in provider.requests]
    assert sent == [calm, wild, Options(seed=7)]
    kept = [message.options for message in (first.path[1], other.path[1], last.path[3])]
    assert [replace(options, endpoint=None) for options in kept if options] == sent
    assert last.path[0].options is None
    assert last.conversation.options == Options(seed=7)


async def test_an_answer_goes_on_as_it_was_asked_for(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(answer("One"), answer("Half", reason="length"), answer(" and half"))
    app = await open_app(provider)
    first = await whole_run(app.chat, await app.chat.send(OWNER, "Go"))
    here, by_z = first.conversation.id, Options(endpoint=first.path[1].endpoint, model="model-z", temperature=1.0)
    half = await whole_run(app.chat, await app.chat.retry(OWNER, here, first.path[1].id, options=by_z))
    await app.chat.set_options(OWNER, here, Options(max_output_tokens=50))
    whole = await whole_run(app.chat, await app.chat.go_on(OWNER, here, half.path[1].id))
    assert (whole.path[1].text, whole.path[1].model) == ("Half and half", "model-z")
    request = provider.requests[-1]
    assert (request.model, request.options) == ("model-z", by_z)
    assert whole.path[1].options == by_z


async def test_the_trash_empties_while_the_server_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    environ = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "PANELIST_TITLES": "off"}
    settings = read_settings(environ, tmp_path)
    app = await open_runtime(settings, provider=ScriptedProvider(answer("One")), trash_every_s=0.01)
    here = (await whole_run(app.chat, await app.chat.send(OWNER, "First"))).conversation.id
    await app.chat.catalogue.delete(OWNER, here)
    assert await app.store.trash(OWNER)
    app.store._now = lambda: datetime.now(UTC) + TRASH

    async def is_empty() -> bool:
        return await app.store.trash(OWNER) == []

    with closing(sqlite3.connect(tmp_path / "data" / "panelist.db", isolation_level=None)) as other:
        other.execute("create trigger kept before delete on conversations begin select raise(abort, 'not now'); end")
        await until(lambda: "could not be emptied" in "".join(caplog.messages))
        other.execute("drop trigger kept")
    await until(is_empty)
    await app.close()


async def test_an_edited_question_is_a_sibling_and_the_old_branch_stays(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(answer("One"), answer("Two"), answer("Other"), answer("Once more"))
    app = await open_app(provider)
    here = (await whole_run(app.chat, await app.chat.send(OWNER, "First"))).conversation.id
    old = await whole_run(app.chat, await app.chat.send(OWNER, "Second", conversation_id=here))
    second = old.path[2].id
    opened = await app.chat.edit(OWNER, here, second, "  Second, put better\r\n", request_key="k1")
    new = await whole_run(app.chat, opened)
    assert [m.text for m in new.path] == ["First", "One", "  Second, put better", "Other"]
    assert new.versions[new.path[2].id].ids == (second, new.path[2].id)
    assert [m.text for m in provider.requests[2].messages] == ["First", "One", "  Second, put better"]
    again = await app.chat.edit(OWNER, here, second, "Second, put better", request_key="k1")
    assert again.path == new.path, "a request that comes again stores nothing"
    assert (await app.chat.show_version(OWNER, here, second)).path == old.path
    first = await whole_run(app.chat, await app.chat.edit(OWNER, here, old.path[0].id, "From the start"))
    assert [m.text for m in first.path] == ["From the start", "Once more"]
    assert first.versions[first.path[0].id].ids == (old.path[0].id, first.path[0].id)


async def test_an_answer_written_by_hand_is_a_sibling_that_the_model_takes_for_its_own(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(answer("Wrong"), answer("Indeed"))
    app = await open_app(provider)
    wrong = await whole_run(app.chat, await app.chat.send(OWNER, "What is it?"))
    here = wrong.conversation.id
    right = await app.chat.edit(OWNER, here, wrong.path[1].id, "Right \ud800")
    mine = right.path[1]
    assert (mine.text, mine.status, right.run_id) == ("Right \ufffd", "complete", None)
    assert (mine.run_id, mine.endpoint, mine.model, mine.usage) == (None, None, None, None)
    assert right.versions[mine.id].ids == (wrong.path[1].id, mine.id)
    twice = await app.chat.edit(OWNER, here, wrong.path[1].id, "Right \ufffd")
    assert twice.path == right.path, "a request that comes again stores nothing"
    on = await whole_run(app.chat, await app.chat.send(OWNER, "Sure?", conversation_id=here))
    assert [m.text for m in provider.requests[1].messages] == ["What is it?", "Right \ufffd", "Sure?"]
    assert on.path[1] == mine


async def test_an_answer_that_is_written_once_more_by_hand_comes_with_what_followed_it(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("One"), answer("Two")))
    first = await whole_run(app.chat, await app.chat.send(OWNER, "First"))
    here, one = first.conversation.id, first.path[1].id
    await app.chat.edit(OWNER, here, one, "By hand")
    on = await whole_run(app.chat, await app.chat.send(OWNER, "Second", conversation_id=here))
    assert [m.text for m in (await app.chat.show_version(OWNER, here, one)).path] == ["First", "One"]
    again = await app.chat.edit(OWNER, here, one, "By hand")
    assert again.path == on.path, "nothing of it is out of sight"


async def test_an_answer_to_nothing_is_put_right_but_not_asked_for_again(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("Sure")))
    hello = replace(make.answer_to(make.exchange(make.conversation()).question), parent_id=None, status="complete")
    hello = replace(hello, parts=(TextPart("Hello, I am a modle."),))
    whole = Whole(replace(make.conversation(), id=hello.conversation_id, head_id=hello.id), (hello,))
    await app.store.add_wholes(OWNER, lambda: [whole])
    here = hello.conversation_id
    right = await app.chat.edit(OWNER, here, hello.id, "Hello, I am a model.")
    assert [m.text for m in right.path] == ["Hello, I am a model."]
    assert right.versions[right.path[0].id].ids == (hello.id, right.path[0].id)
    assert (await app.chat.edit(OWNER, here, hello.id, "Hello, I am a model.")).path == right.path
    with pytest.raises(InputError, match="follows no question"):
        await app.chat.retry(OWNER, here, hello.id)


async def test_an_edit_that_comes_again_while_it_is_answered_is_no_second_one(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider(answer("One"), [gate, *answer("Two")]))
    first = await whole_run(app.chat, await app.chat.send(OWNER, "First"))
    here, question = first.conversation.id, first.path[0].id
    opened = await app.chat.edit(OWNER, here, question, "Better", request_key="k")
    again = await app.chat.edit(OWNER, here, question, "Better", request_key="k")
    assert (again.path, again.run_id) == (opened.path, opened.run_id)
    gate.set()
    await whole_run(app.chat, opened)


async def test_what_cannot_be_edited_is_refused_and_changes_nothing(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider([gate, *answer("One")]))
    opened = await app.chat.send(OWNER, "First")
    here, question, reply = opened.conversation.id, opened.path[0].id, opened.path[1].id
    with pytest.raises(InputError, match="still being written"):
        await app.chat.edit(OWNER, here, question, "Better")
    gate.set()
    done = await whole_run(app.chat, opened)
    for id, text in ((question, "First"), (reply, "One")):
        assert await app.chat.edit(OWNER, here, id, text) == done, "nothing was changed"
    for text in ("", " \n", "\x00"):
        for id in (question, reply):
            with pytest.raises(InputError, match="empty"):
                await app.chat.edit(OWNER, here, id, text)
    with pytest.raises(NotFoundError):
        await app.chat.edit(OWNER, here, "nothing of ours", "Better")
    with pytest.raises(NotFoundError):
        await app.chat.edit("eve", here, question, "Better")
    assert await app.chat.open(OWNER, here) == done


@pytest.mark.parametrize("text", ["", "   ", "\n\t\n", "\x00\x01", "\u200b\u2060 \ufeff"])
async def test_nothing_is_sent_for_nothing(open_app: OpenRuntime, text: str) -> None:
    app = await open_app(ScriptedProvider())
    with pytest.raises(InputError, match="empty"):
        await app.chat.send(OWNER, text)
    assert await app.chat.catalogue.conversations(OWNER) == ()


async def test_a_megabyte_goes_through_and_more_is_refused_in_words(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(answer("Long!"))
    app = await open_app(provider)
    text = "0123456789abcde\n" * 65_536
    done = await whole_run(app.chat, await app.chat.send(OWNER, text))
    assert done.path[0].text == text.rstrip("\n") == provider.requests[0].messages[0].text
    with pytest.raises(InputError, match=r"2,000,001 characters, and 2,000,000 is the most"):
        await app.chat.send(OWNER, "x" * 2_000_001)


async def test_odd_characters_are_mended_on_the_way_in(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("ok")))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "a\x00b \ud83d\ude00 \ud83d c\r\nd"))
    assert done.path[0].text == "ab 😀 � c\nd"


async def test_a_model_that_was_chosen_is_asked_for(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(answer("ok"))
    app = await open_app(provider)
    opened = await app.chat.send(OWNER, "Go", options=Options(endpoint="127.0.0.1:9", model="my-model"))
    await whole_run(app.chat, opened)
    assert provider.requests[0].model == "my-model"


async def test_without_a_list_and_a_name_the_answer_says_so(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(models=()))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Go"))
    [part] = done.path[1].parts
    assert isinstance(part, ErrorPart)
    assert part.failure.next_step == "choose_model"
    assert done.path[0].text == "Go", "the question is kept"


async def test_an_endpoint_that_is_gone_is_named(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider())
    opened = await app.chat.send(OWNER, "Go", options=Options(endpoint="gone", model="m"))
    done = await whole_run(app.chat, opened)
    [part] = done.path[1].parts
    assert isinstance(part, ErrorPart)
    assert "'gone', which is not set up any more" in part.failure.message


async def test_an_unforeseen_error_is_a_sentence_and_loses_nothing(
    open_app: OpenRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    app = await open_app(ScriptedProvider(["Half", ZeroDivisionError("secret detail")]))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Go"))
    assert done.path[1].status == "interrupted"
    text, error = done.path[1].parts
    assert text == TextPart("Half")
    assert isinstance(error, ErrorPart)
    assert "ZeroDivisionError" in error.failure.message
    assert "secret detail" not in error.failure.message


async def test_shutting_down_keeps_what_came(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(["Half", asyncio.Event()]))
    opened = await app.chat.send(OWNER, "Go")
    assert opened.run_id
    async for batch in app.chat.follow(OWNER, opened.run_id):
        if any(isinstance(n.event, TextDelta) for n in batch):
            break
    await app.close()
    again = await open_app(ScriptedProvider())
    reply = (await again.chat.open(OWNER, opened.conversation.id)).path[1]
    assert (reply.text, reply.status) == ("Half", "interrupted")


async def test_nobody_sees_or_changes_what_is_anothers(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider(["secret", gate, *answer("!")]))
    opened = await app.chat.send(OWNER, "Mine")
    here, run_id = opened.conversation.id, opened.run_id
    assert run_id
    for intrusion in (
        app.chat.open("eve", here),
        app.chat.send("eve", "hello", conversation_id=here),
        app.chat.retry("eve", here, opened.path[1].id),
        app.chat.show_version("eve", here, opened.path[0].id),
        app.chat.catalogue.rename("eve", here, "Taken"),
        app.chat.catalogue.delete("eve", here),
        app.chat.set_options("eve", here, Options(model="x")),
    ):
        with pytest.raises((NotFoundError, InputError)):
            await intrusion
    assert [batch async for batch in app.chat.follow("eve", run_id)] == []
    app.chat.stop("eve", run_id)
    assert await app.chat.catalogue.conversations("eve") == ()
    gate.set()
    done = await whole_run(app.chat, opened)
    assert (done.path[1].text, done.conversation.title) == ("secret!", "Mine")


async def test_rename_delete_restore(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("ok")))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Go"))
    here = done.conversation.id
    await app.chat.catalogue.rename(OWNER, here, "  A better\n name ")
    assert (await app.chat.open(OWNER, here)).conversation.title == "A better name"
    with pytest.raises(InputError):
        await app.chat.catalogue.rename(OWNER, here, " \n ")
    await app.chat.catalogue.delete(OWNER, here)
    assert await app.chat.catalogue.conversations(OWNER) == ()
    with pytest.raises(NotFoundError):
        await app.chat.open(OWNER, here)
    await app.chat.catalogue.restore(OWNER, here)
    assert (await app.chat.open(OWNER, here)).path == done.path


async def test_deleting_stops_the_answer_being_written(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(["Half", asyncio.Event()])
    app = await open_app(provider)
    opened = await app.chat.send(OWNER, "Go")
    await app.chat.catalogue.delete(OWNER, opened.conversation.id)
    assert opened.run_id
    async for _ in app.chat.follow(OWNER, opened.run_id):
        pass
    await app.chat.catalogue.restore(OWNER, opened.conversation.id)
    assert (await app.chat.open(OWNER, opened.conversation.id)).path[1].status == "stopped"


async def test_the_title_comes_from_the_model_after_the_answer(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    provider = ScriptedProvider(answer("Bonn."), [gate, *answer('"Capital of old ', 'Germany."')], answer("ok"))
    app = await open_app(provider, PANELIST_TITLES="on")
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Which city was it?"))
    assert done.path[1].status == "complete", "the answer does not wait for the title"
    assert done.conversation.title == "Which city was it?"
    gate.set()

    async def titled() -> bool:
        return (await app.chat.open(OWNER, done.conversation.id)).conversation.title == "Capital of old Germany"

    await until(titled)
    await whole_run(app.chat, await app.chat.send(OWNER, "More", conversation_id=done.conversation.id))
    assert len(provider.requests) == 3, "only the first answer asks for a title"


@pytest.mark.parametrize("script", [[refusal("server")], answer("x" * 300), answer("\n"), ["never ends", "x" * 300]])
async def test_a_title_that_fails_changes_nothing(open_app: OpenRuntime, script: list) -> None:
    provider = ScriptedProvider(answer("ok"), script)
    app = await open_app(provider, PANELIST_TITLES="on")
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Question"))

    async def asked() -> bool:
        return provider.closed_streams == 2

    await until(asked)
    assert (await app.chat.open(OWNER, done.conversation.id)).conversation.title == "Question"


async def test_a_title_of_ones_own_is_never_replaced(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider(answer("ok"), [gate, *answer("From the model")]), PANELIST_TITLES="on")
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Question"))
    await app.chat.catalogue.rename(OWNER, done.conversation.id, "My own")
    gate.set()
    await asyncio.sleep(0.05)
    assert (await app.chat.open(OWNER, done.conversation.id)).conversation.title == "My own"


async def test_a_run_does_not_hold_on_to_the_page_that_began_it(open_app: OpenRuntime) -> None:
    page: contextvars.ContextVar[str] = contextvars.ContextVar("page", default="none")
    seen: list[str] = []

    class Spy(ScriptedProvider):
        def stream(self, request):
            seen.append(page.get())
            return super().stream(request)

    app = await open_app(Spy(answer("ok")))
    page.set("a page")
    await whole_run(app.chat, await app.chat.send(OWNER, "Go"))
    assert seen == ["none"]


async def test_events_reach_the_disk_while_they_come(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await open_app(ScriptedProvider(["x" * 3000, asyncio.Event()]))
    opened = await app.chat.send(OWNER, "Go")
    assert opened.run_id

    async def stored() -> bool:
        events = await app.store.events(OWNER, opened.run_id or "")
        return any(n.event == TextDelta("x" * 3000) for n in events)

    await until(stored)


async def test_a_request_that_comes_twice_is_one_message(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    provider = ScriptedProvider([gate, *answer("Once")])
    app = await open_app(provider)
    first = await app.chat.send(OWNER, "Go", request_key="0123abcd")
    while_written = await app.chat.send(OWNER, "Go", request_key="0123abcd")
    gate.set()
    done = await whole_run(app.chat, first)
    afterwards = await app.chat.send(OWNER, "Go", request_key="0123abcd")
    assert while_written.conversation.id == afterwards.conversation.id == done.conversation.id
    assert afterwards.path == done.path
    assert len(await app.chat.catalogue.conversations(OWNER)) == 1
    here = done.conversation.id
    again = await app.chat.send(OWNER, "Go", conversation_id=here, request_key="0123abcd")
    assert again.path == done.path


@pytest.mark.parametrize("script", [["Half an ", asyncio.Event()], answer("Half an ", reason="length"), ["Half an "]])
async def test_an_answer_that_was_cut_off_goes_on_in_place(open_app: OpenRuntime, script: list) -> None:
    provider = ScriptedProvider(script, answer("answer."))
    app = await open_app(provider)
    opened = await app.chat.send(OWNER, "Go")
    assert opened.run_id
    async for batch in app.chat.follow(OWNER, opened.run_id):
        if any(isinstance(n.event, TextDelta) for n in batch):
            app.chat.stop(OWNER, opened.run_id)
    cut = (await app.chat.open(OWNER, opened.conversation.id)).path[-1]
    assert (cut.text, cut.status in {"stopped", "truncated", "interrupted"}) == ("Half an ", True)
    done = await whole_run(app.chat, await app.chat.go_on(OWNER, opened.conversation.id, cut.id))
    whole = done.path[-1]
    assert (whole.id, whole.text, whole.status) == (cut.id, "Half an answer.", "complete")
    sent = provider.requests[1].messages
    assert [(m.role, m.text) for m in sent[:2]] == [("user", "Go"), ("assistant", "Half an ")]
    assert "exactly where it stops" in sent[2].text
    with pytest.raises(InputError):
        await app.chat.go_on(OWNER, opened.conversation.id, cut.id)


async def test_an_answer_that_was_deleted_before_it_was_asked_for_is_stopped(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("Half", reason="length")))
    first = await whole_run(app.chat, await app.chat.send(OWNER, "First"))
    path, shown = app.store.path, asyncio.Event()

    async def too_late(owner, conversation_id, *args):
        await shown.wait()
        await app.store.delete(owner, conversation_id)
        return await path(owner, conversation_id, *args)

    app.store.path = too_late
    opened = await app.chat.go_on(OWNER, first.conversation.id, first.path[1].id)
    shown.set()
    async for _ in app.chat.follow(OWNER, opened.run_id or ""):
        pass
    app.store.path = path
    await app.chat.catalogue.restore(OWNER, opened.conversation.id)
    assert (await app.chat.open(OWNER, opened.conversation.id)).path[1].status == "stopped"


@pytest.mark.parametrize("what", ["unqueue", "delete", "restore"])
async def test_others_hear_of_it_although_whoever_asked_has_left(open_app: OpenRuntime, what: str) -> None:
    app = await open_app(ScriptedProvider(["Half", asyncio.Event()]))
    opened = await app.chat.send(OWNER, "First")
    here = opened.conversation.id
    [queued] = (await app.chat.send(OWNER, "Second", conversation_id=here)).waiting.messages
    if what == "restore":
        await app.chat.catalogue.delete(OWNER, here)
        await until(lambda: not app.chat.writing(OWNER, here))
    changes = app.chat.changes.listen(OWNER)
    work = {
        "unqueue": lambda: app.chat.unqueue(OWNER, here, queued.id),
        "delete": lambda: app.chat.catalogue.delete(OWNER, here),
        "restore": lambda: app.chat.catalogue.restore(OWNER, here),
    }
    asking = asyncio.create_task(work[what]())
    await asyncio.sleep(0)
    asking.cancel()
    async with asyncio.timeout(5):
        await anext(changes)
        if what == "delete":
            await until(lambda: not app.chat.writing(OWNER, here))


async def test_a_refusal_that_nobody_waits_for_is_no_error(open_app: OpenRuntime) -> None:
    unforeseen: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unforeseen.append(context))
    app = await open_app(ScriptedProvider(["Half", asyncio.Event()]))
    opened = await app.chat.send(OWNER, "First")
    asking = asyncio.create_task(app.chat.go_on(OWNER, opened.conversation.id, opened.path[1].id))
    await asyncio.sleep(0)
    asking.cancel()
    await app.chat.open(OWNER, opened.conversation.id)
    await until(lambda: not app.chat._intents)
    del asking
    gc.collect()
    assert unforeseen == []


async def test_a_damaged_line_of_a_run_does_not_stop_the_start(tmp_path: Path) -> None:
    settings = read_settings({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "PANELIST_TITLES": "off"}, tmp_path)
    app = await open_runtime(settings, provider=ScriptedProvider(["Half", asyncio.Event()]))
    opened = await app.chat.send(OWNER, "First")

    async def written() -> bool:
        return bool(await app.store.events(OWNER, opened.run_id or ""))

    await until(written)
    await app.close()
    with closing(sqlite3.connect(tmp_path / "data" / "panelist.db")) as database:
        database.execute("update runs set status = 'streaming'")
        database.execute("update messages set status = 'streaming' where role = 'assistant'")
        database.execute("insert into run_events values (?, 98, 'text_delta', '{\"text\":\"Kept\"}')", (opened.run_id,))
        database.execute("insert into run_events values (?, 99, 'text_delta', '{\"te')", (opened.run_id,))
        database.commit()
    app = await open_runtime(settings, provider=ScriptedProvider())
    try:
        answer = (await app.chat.open(OWNER, opened.conversation.id)).path[-1]
    finally:
        await app.close()
    assert answer.status == "interrupted"
    assert "Kept" in answer.text


async def test_who_asks_for_the_list_together_is_given_one_read_of_it(
    open_app: OpenRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_app(ScriptedProvider(answer("One"), answer("Two")))
    first = await whole_run(app.chat, await app.chat.send(OWNER, "First"))
    seen = View(midnight=datetime(2026, 1, 1, tzinfo=UTC))
    read, reads = app.store.listing, 0

    async def counted(*args: object, **more: object) -> object:
        nonlocal reads
        reads += 1
        return await read(*args, **more)

    monkeypatch.setattr(app.store, "listing", counted)
    lists = await asyncio.gather(*(app.chat.catalogue.listing(OWNER, seen) for _ in range(20)))
    assert reads == 1
    assert all(one is lists[0] for one in lists)
    await asyncio.gather(
        *(app.chat.catalogue.listing(owner, replace(seen, count=n)) for owner in (OWNER, "ben") for n in (1, 2))
    )
    assert reads == 5, "another owner's, or one of another length, is another list"

    early = asyncio.create_task(app.chat.catalogue.listing(OWNER, seen))
    await asyncio.sleep(0)
    await app.chat.catalogue.rename(OWNER, first.conversation.id, "Renamed")
    late = await app.chat.catalogue.listing(OWNER, seen)
    assert late.conversations[0].title == "Renamed", "a read that began before a change is not for who asks after it"
    await early

    async def fails(*args: object, **more: object) -> object:
        await asyncio.sleep(0)
        raise StorageError("The disk is full.")

    monkeypatch.setattr(app.store, "listing", fails)
    told = await asyncio.gather(*(app.chat.catalogue.listing(OWNER, seen) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in told] == [StorageError] * 3
    monkeypatch.setattr(app.store, "listing", read)
    assert await app.chat.catalogue.listing(OWNER, seen) == late, "and the next one who asks is given an answer"


async def test_a_question_and_its_request_need_one_read_and_one_write(
    open_app: OpenRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = ScriptedProvider(answer("One"), answer("Two"), answer("Three"))
    app = await open_app(provider)
    first = await whole_run(app.chat, await app.chat.send(OWNER, "First"))
    here = first.conversation.id
    await whole_run(app.chat, await app.chat.retry(OWNER, here, first.path[1].id))
    database, done = app.store._database, []
    for kind in ("read", "write"):
        work = getattr(database, kind)
        monkeypatch.setattr(
            database, kind, lambda *args, kind=kind, work=work, **more: done.append(kind) or work(*args, **more)
        )
    opened = await app.chat.send(OWNER, "Second", conversation_id=here)
    assert done[:2] == ["read", "write"]
    assert done.count("read") == 1, "the rest is known; what is written after that is the answer"
    assert [message.text for message in opened.path] == ["First", "Two", "Second", ""]
    monkeypatch.undo()
    shown = await app.chat.open(OWNER, here)
    assert (opened.path[:3], opened.versions, opened.conversation.id) == (shown.path[:3], shown.versions, here)
    await whole_run(app.chat, opened)
    assert [message.text for message in provider.requests[-1].messages] == ["First", "Two", "Second"]


async def test_search_finds_ones_own(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("It rains."), answer("It snows.")))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "How is it?"))
    await whole_run(app.chat, await app.chat.send("ben", "It rains?"), "ben")
    [hit] = await app.chat.catalogue.search(OWNER, "rain")
    assert (hit.conversation_id, hit.message_id) == (done.conversation.id, done.path[1].id)
    for typed, count in (("rain", 1), ("rains before:2000", 0), ("rains after:2000", 1), ("after:2000", 2)):
        assert len(await app.chat.catalogue.search(OWNER, typed)) == count
    assert await app.chat.catalogue.search(OWNER, " ") == ()
