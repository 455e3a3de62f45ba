"""`ask`, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from services.errors import FailureKind, InputError, NotFoundError
from services.messages import text_of
from services.options import Options
from services.providers.demo_failures import FAILURES
from services.runtime import open_runtime
from services.settings import LOCAL_OWNER, read_settings
from services.terminal.asking import Asking
from services.terminal.ending import CODES, code_of_error
from tests.cli.conftest import FILTERED, LENGTH, REFUSED, Here, InProcess, Model, Terminal
from tests.conftest import until
from tests.faults.upstream import Play
from tests.faults.wires import CHAT

FUTURE = "What is the future of AI?"
DEMO_CODES = {
    **dict.fromkeys(("401", "key", "403"), 3),
    **dict.fromkeys(("402", "429"), 4),
    **dict.fromkeys(("500", "503", "529", "html"), 5),
    **dict.fromkeys(("400", "404", "long", "param", "filter"), 6),
}
"""All others break off."""


async def test_a_question_is_answered_and_kept(terminal: Terminal, model: Model) -> None:
    ended = await terminal("ask", *FUTURE.split(), "--max-tokens", "100", "--temperature", "0,5", "--stop", "END")
    assert (ended.code, ended.out, ended.err) == (0, "It is bright.\n", "")
    [call] = model.calls
    assert (call.question, call.body["max_tokens"], call.body["temperature"]) == (FUTURE, 100, 0.5)
    assert (call.body["model"], call.body["stop"]) == ("tiny", ["END"])
    [[question, answer]] = await terminal.stored()
    assert (question.text, answer.text, answer.status) == (FUTURE, "It is bright.", "complete")


async def test_of_several_answers_the_first_is_printed_and_all_are_kept(terminal: Terminal, model: Model) -> None:
    ended = await terminal("ask", FUTURE, "--answers", "3")
    assert (ended.code, ended.out) == (0, "It is bright.\n")
    assert len(model.calls) == 3
    with closing(sqlite3.connect(terminal.data / "panelist.db")) as database:
        stored = database.execute("select status, count(*) from messages where role = 'assistant' group by status")
        assert stored.fetchall() == [("complete", 3)], "it waited for the others"


async def test_the_key_comes_from_the_environment(terminal: Terminal, model: Model) -> None:
    assert (await terminal("ask", "Hello", OPENAI_API_KEY="sk-of-this-test")).code == 0
    assert model.calls[0].headers["authorization"] == "Bearer sk-of-this-test"


async def test_without_a_key_nothing_is_asked_or_made(bare: Terminal) -> None:
    ended = await bare("ask", FUTURE)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (3, "", 1)
    assert "OPENAI_API_KEY" in ended.err
    assert "--endpoint demo" in ended.err
    assert not bare.data.exists()
    as_json = await bare("ask", FUTURE, "--json")
    assert (as_json.code, as_json.out) == (3, "")
    assert json.loads(as_json.err)["error"]["kind"] == "auth"
    demo = await bare("ask", "Hello", "--endpoint", "demo")
    assert (demo.code, "not an AI" in demo.out) == (0, True)
    again = await bare("ask", "--continue", "And", "again")
    assert (again.code, "not an AI" in again.out) == (0, True), "that conversation is with the demo"


async def test_everything_about_an_answer_is_one_object(terminal: Terminal, model: Model) -> None:
    model.answers["Why?"] = [CHAT.thought("Hm."), "Because ", "🙂.", CHAT.finish()]
    ended = await terminal("ask", "--json", "Why?")
    assert (ended.code, ended.err) == (0, "")
    said = json.loads(ended.out)
    assert list(said) == [
        *("conversation_id", "message_id", "status", "text", "reasoning", "refusal", "model", "finish_reason"),
        *("usage", "cost_usd", "timing", "tool_calls", "error", "request_id"),
    ]
    assert (said["status"], said["text"], said["reasoning"], said["refusal"]) == (
        "complete",
        "Because 🙂.",
        "Hm.",
        None,
    )
    assert (said["model"], said["finish_reason"], said["tool_calls"], said["error"]) == ("tiny", "stop", [], None)
    assert said["usage"] == {"input": 3, "cached_input": 0, "output": 5, "reasoning": 0}
    assert said["cost_usd"] is said["request_id"] is None, "nobody knows"
    assert 0 <= said["timing"]["first_token_s"] <= said["timing"]["total_s"]
    [[_, answer]] = await terminal.stored()
    assert (answer.id, answer.conversation_id) == (said["message_id"], said["conversation_id"])


async def test_what_a_model_costs_is_told_where_it_is_known(terminal: Terminal, model: Model, tmp_path: Path) -> None:
    file = tmp_path / "endpoints.toml"
    file.write_text(
        f'[[endpoint]]\nname = "team"\nbase_url = "{model.url}/v1"\nprice = {{ input = 100_000, output = 200_000 }}\n'
    )
    ended = await terminal("ask", "Hello", "--json", "--endpoint", "team", PANELIST_ENDPOINTS=str(file))
    assert json.loads(ended.out)["cost_usd"] == pytest.approx(1.3)
    meta = await terminal("ask", "Hello", "--meta", "--endpoint", "team", PANELIST_ENDPOINTS=str(file))
    assert "cost $1.30" in meta.err


async def test_model_tokens_and_finish_reason_are_told(terminal: Terminal) -> None:
    ended = await terminal("ask", "--meta", "Hello")
    assert ended.out == "It is bright.\n"
    assert ended.err.startswith("model tiny · tokens 3 in, 5 out · finish reason stop · first word ")
    assert ended.err.count("\n") == 1


async def test_nothing_is_printed_before_the_end_with_no_stream(terminal: Terminal, model: Model) -> None:
    gate = asyncio.Event()
    model.answers["Slowly"] = ["One ", gate, "two."]
    running = await terminal.begin("ask", "Slowly", "--no-stream")
    await until(lambda: bool(model.calls))
    gate.set()
    assert (await running.ended()).out == "One two.\n"


async def test_an_answer_is_put_right_and_kept_as_it_came(terminal: Terminal, here: Here, model: Model) -> None:
    model.answers["Untidy"] = "It  rains.  \n\n\n\nIt don't matter. "
    ended = await terminal("ask", "Untidy", "--post", "trim,grammar")
    assert ended.code == 0
    assert ended.out.startswith("It  rains.\n\nIt ")
    [[_, answer]] = await terminal.stored()
    assert (answer.text + "\n", text_of(answer.parts)) == (ended.out, model.answers["Untidy"])
    as_json = await here(Asking(words=["Untidy"], options=Options(), as_json=True, post="trim"))
    assert json.loads(as_json.out)["text"] == "It  rains.\n\nIt don't matter."
    model.answers["Half"] = ["Cut  \n", LENGTH]
    cut = await here(Asking(words=["Half"], options=Options(), post="trim"))
    assert (cut.code, cut.out) == (7, "Cut  \n"), "steps are for whole answers"
    calls = len(model.calls)
    with pytest.raises(InputError, match="There is no step 'shout'"):
        await here(Asking(words=["Untidy"], options=Options(), post="shout"))
    assert len(model.calls) == calls


async def test_words_are_printed_as_they_come(terminal: Terminal, model: Model) -> None:
    gates = [asyncio.Event() for _ in range(3)]
    model.answers["Slowly"] = ["One ", gates[0], "two ", gates[1], "three.", gates[2]]
    running = await terminal.begin("ask", "Slowly")
    for word, gate in zip(("One ", "two ", "three."), gates, strict=True):
        await running.until(word)
        gate.set()
    assert (await running.ended()).out == "One two three.\n"


async def test_pipes(terminal: Terminal, model: Model) -> None:
    both = await terminal("ask", "summarise", "this", "-", stdin=b"Rain fell.\r\nAll day.\n")
    assert both.code == 0
    [message] = [one for one in model.calls[-1].body["messages"] if one["role"] == "user"]
    assert message["content"] == "summarise this\n\nRain fell.\nAll day."
    alone = await terminal("ask", stdin="Ünd?".encode())
    assert (alone.code, model.calls[-1].question) == (0, "Ünd?")
    utf16 = await terminal("ask", "-", stdin="Ünd!".encode("utf-16"))
    assert (utf16.code, model.calls[-1].question) == (0, "Ünd!")


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        (("summarise", "-"), b" \n", "Nothing came in by the pipe"),
        (("-",), b"\0\1\2", "text and images"),
        (("Hello", "--temperature", "hot"), None, "Temperature is a number from 0 to 2"),
        (("Hello", "--continue"), None, "no conversation yet"),
        (("Hello", "--nonsense"), None, "--nonsense"),
    ],
)
async def test_wrong_use_is_told_and_nothing_is_asked(
    terminal: Terminal, model: Model, arguments: tuple[str, ...], stdin: bytes | None, says: str
) -> None:
    ended = await terminal("ask", *arguments, stdin=stdin)
    assert (ended.code, ended.out) == (2, ""), ended.err
    assert says in ended.err
    assert model.calls == []


@pytest.mark.parametrize(
    ("asking", "says"),
    [
        (Asking(words=[" "], options=Options()), "There is no question"),
        (Asking(words=["Hi"], options=Options(endpoint="nowhere")), "There is no endpoint 'nowhere'"),
        (Asking(words=["Hi"], options=Options(), conversation="gone"), "does not exist"),
        (Asking(words=["Hi"], options=Options(), files=[Path("/gone.txt")]), "cannot be read"),
        (Asking(words=["Hi"], options=Options(), files=[Path("/")]), "cannot be read"),
        (Asking(words=["Hi"], options=Options(), files=[Path(sys.executable)]), "text and images"),
        (Asking(words=["Hi"], options=Options(), files=[Path("/dev/null")]), "is empty"),
    ],
)
async def test_what_cannot_be_asked_is_refused(here: Here, terminal: Terminal, asking: Asking, says: str) -> None:
    with pytest.raises((InputError, NotFoundError), match=says) as error:
        await here(asking)
    assert code_of_error(error.value) == 2
    assert await terminal.stored() == []


async def test_a_setting_that_cannot_be_read_is_named(terminal: Terminal) -> None:
    ended = await terminal("ask", "Hello", PANELIST_TRIES="many")
    assert (ended.code, ended.out, "PANELIST_TRIES" in ended.err) == (2, "", True)


async def test_files_go_along(terminal: Terminal, model: Model, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("Rain.\n" * 300_000)
    ended = await terminal("ask", "What is it?", "-f", str(notes))
    assert ended.code == 0, ended.err
    [message] = [one for one in model.calls[-1].body["messages"] if one["role"] == "user"]
    assert "notes.txt" in message["content"]
    assert message["content"].endswith("What is it?")
    [[question, _]] = await terminal.stored()
    assert [(part.name, part.size) for part in question.attachments] == [("notes.txt", 1_800_000)]


async def test_a_conversation_is_gone_on_with(terminal: Terminal, model: Model) -> None:
    first = json.loads((await terminal("ask", "One", "--json", "--system", "Be brief.")).out)["conversation_id"]
    second = json.loads((await terminal("ask", "Another", "--json")).out)["conversation_id"]
    latest = await terminal("ask", "--continue", "Two", "words", "--json", "--model", "large")
    named = await terminal("ask", "--continue", first, "Three", "--json")
    again = await terminal("ask", f"--continue={first}", "Four", "--json", "--seed", "-1")
    assert [json.loads(one.out)["conversation_id"] for one in (latest, named, again)] == [second, first, first]
    asked = [[one["content"] for one in call.body["messages"]] for call in model.calls]
    assert asked[2] == ["Another", "It is bright.", "Two words"]
    assert asked[4] == ["Be brief.", "One", "It is bright.", "Three", "It is bright.", "Four"]
    assert [call.body.get("seed") for call in model.calls] == [None, None, None, None, -1]
    assert [call.body["model"] for call in model.calls] == ["tiny", "tiny", "large", "tiny", "tiny"]


@pytest.mark.parametrize(
    ("answer", "code", "out", "says"),
    [
        (["Half ", LENGTH], 7, "Half \n", "length limit"),
        (["Half ", FILTERED], 6, "Half \n", "content filter"),
        ([REFUSED], 6, "No.\n", "declined"),
        (Play(CHAT.delta("Half ")), 7, "Half \n", "broke off"),
        (Play(b"", end="closed"), 5, "", "without sending an answer"),
        (Play(b"<html>", head="200 OK\r\nContent-Type: text/html"), 5, "", "web page"),
        (Play(b'{"error": {"message": "no"}}', head="401 No\r\nContent-Type: application/json"), 3, "", "API key"),
        (Play(b"{}", head="403 No\r\nContent-Type: application/json"), 3, "", "does not allow"),
        (Play(b"{}", head="429 No\r\nContent-Type: application/json"), 4, "", "more requests"),
        (Play(b"{}", head="402 No\r\nContent-Type: application/json"), 4, "", "quota"),
        (Play(b"{}", head="500 No\r\nContent-Type: application/json"), 5, "", "problem of its own"),
        (Play(b"{}", head="400 No\r\nContent-Type: application/json"), 6, "", "refused the request"),
        (Play(b"{}", head="413 No\r\nContent-Type: application/json"), 6, "", "longer than"),
        (Play(b"{}", head="404 No\r\nContent-Type: application/json"), 6, "", "not found"),
    ],
)
async def test_each_ending_has_a_code_and_a_sentence(
    terminal: Terminal, here: Here, model: Model, answer: object, code: int, out: str, says: str
) -> None:
    model.answers["Fail"] = answer  # type: ignore[assignment]
    asking = Asking(words=["Fail"], options=Options())
    ended = await here(asking)
    assert (ended.code, ended.out) == (code, out), ended.err
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1
    [[question, stored]] = await terminal.stored()
    assert (question.text, stored.text) == ("Fail", out.strip("\n"))
    as_json = await here(replace(asking, as_json=True))
    said, told = json.loads(as_json.out), json.loads(as_json.err)["error"]
    assert as_json.code == code
    assert (said["status"], said["text"] or said["refusal"] or "") == (stored.status, stored.text)
    assert said["error"] in (None, told)
    assert set(told) == {"kind", "message", "next_step"}


@pytest.mark.parametrize("word", FAILURES)
async def test_each_failure_of_the_demo_has_a_code(bare: Terminal, in_process: InProcess, word: str) -> None:
    bare.environ["PANELIST_STALL_S"] = "0.5"
    ended = await in_process(bare)(Asking(words=["/fail", word], options=Options(endpoint="demo")))
    assert ended.code == DEMO_CODES.get(word, 7)
    assert ended.err.strip().endswith((".", "?"))
    assert (ended.out != "") == (ended.code == 7 or word == "filter")


def test_every_kind_of_failure_has_a_code() -> None:
    assert set(CODES) == set(get_args(FailureKind))
    assert set(CODES.values()) <= set(range(8))


async def test_nothing_there(terminal: Terminal) -> None:
    gone = await terminal("ask", "Hello", OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert (gone.code, gone.out, "is it running?" in gone.err) == (5, "", True)


async def test_silence(terminal: Terminal, in_process: InProcess, model: Model) -> None:
    model.answers["Silence"] = [asyncio.Event()]
    impatient = replace(terminal, environ={**terminal.environ, "PANELIST_FIRST_TOKEN_S": "0.3"})
    silent = await in_process(impatient)(Asking(words=["Silence"], options=Options()))
    assert (silent.code, "did not begin to answer" in silent.err) == (5, True)


async def test_what_an_endpoint_does_not_take_is_told(bare: Terminal) -> None:
    ended = await bare("ask", "Hello", "--endpoint", "demo", "--temperature", "1", "--json-mode", "--max-tokens", "5")
    assert ended.err.splitlines()[:2] == [
        "The endpoint takes no --temperature, so it was left out.",
        "The endpoint takes no --json-mode, so it was left out.",
    ]


async def test_a_budget_refuses(terminal: Terminal, tmp_path: Path, model: Model) -> None:
    file = tmp_path / "endpoints.toml"
    file.write_text(f'[[endpoint]]\nname = "team"\nbase_url = "{model.url}/v1"\nprice = {{ input = 9, output = 9 }}\n')
    await terminal("ask", "Hello")
    with closing(sqlite3.connect(terminal.data / "panelist.db")) as database, database:
        database.execute("INSERT INTO budgets (owner, scope, name, amount) VALUES ('local', 'day', '', 1)")
    ended = await terminal("ask", "Hello", "--endpoint", "team", PANELIST_ENDPOINTS=str(file))
    assert (ended.code, ended.out, "budget" in ended.err) == (4, "", True)


@pytest.mark.parametrize("served", [False, True])
async def test_ctrl_c_stops_keeps_what_came_and_exits_7(terminal: Terminal, model: Model, served: bool) -> None:
    model.answers["Slowly"] = ["One ", asyncio.Event()]
    app = (
        await open_runtime(read_settings({**terminal.base, **model.environ}, terminal.folder), listen=True)
        if served
        else None
    )
    running = await terminal.begin("ask", "Slowly")
    await running.until("One ")
    running.interrupt()
    ended = await running.ended()
    assert (ended.code, ended.out) == (7, "One \n")
    assert ended.err == "The answer was stopped here; what came is kept.\n"
    if app is not None:
        await app.close()
    [[_, answer]] = await terminal.stored()
    assert (answer.status, answer.text) == ("stopped", "One ")


async def test_ctrl_c_before_the_first_word_is_stopped_too(terminal: Terminal, model: Model) -> None:
    model.answers["Slowly"] = [asyncio.Event()]
    running = await terminal.begin("ask", "Slowly", "--json")
    await until(lambda: bool(model.calls))
    running.interrupt()
    ended = await running.ended()
    assert ended.code == 7
    assert json.loads(ended.out)["status"] == "stopped"


async def test_a_reader_that_has_enough_stops_it(terminal: Terminal, model: Model) -> None:
    model.answers["Long"] = ["word " * 50_000, asyncio.Event()]
    running = await terminal.begin("ask", "Long")
    await running.until("word")
    running.process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined] - as `head` does
    await running.process.wait()
    assert running.process.returncode == 7
    [[_, answer]] = await terminal.stored()
    assert (answer.status, answer.text) == ("stopped", "word " * 50_000)


async def test_one_that_is_killed_leaves_its_answer_to_the_next(terminal: Terminal, model: Model) -> None:
    gate = asyncio.Event()
    model.answers["Slowly"] = ["One ", gate]
    running = await terminal.begin("ask", "Slowly")
    await running.until("One ")
    await asyncio.sleep(0.5)  # it is written down after 250 ms
    running.process.kill()
    await running.process.wait()
    ended = await terminal("ask", "And", "now?")
    assert (ended.code, ended.out) == (0, "It is bright.\n")
    [_, [_, answer]] = await terminal.stored()
    assert (answer.status, answer.text) == ("interrupted", "One ")


async def test_several_ask_at_the_same_time(terminal: Terminal, model: Model) -> None:
    gate = asyncio.Event()
    model.answers["First"] = ["One ", gate, "done."]
    first = await terminal.begin("ask", "First")
    await first.until("One ")
    others = await asyncio.gather(*(terminal("ask", f"Number {number}") for number in range(3)))
    assert [(one.code, one.out) for one in others] == [(0, "It is bright.\n")] * 3
    gate.set()
    assert (await first.ended()).out == "One done.\n"
    assert len(await terminal.stored()) == 4


async def test_who_had_the_database_waits_for_the_others(terminal: Terminal, model: Model) -> None:
    gate, later = asyncio.Event(), asyncio.Event()
    model.answers["First"] = ["One ", gate, "done."]
    model.answers["Second"] = ["Two ", later, "done."]
    first = await terminal.begin("ask", "First")
    await first.until("One ")
    second = await terminal.begin("ask", "Second")
    await second.until("Two ")
    gate.set()
    await first.until("done.")
    await first.until_told("another terminal")
    later.set()
    assert (await second.ended()).out == "Two done.\n"
    assert (await first.ended()).code == 0
    assert [path[-1].status for path in await terminal.stored()] == ["complete", "complete"]


async def test_a_server_that_runs_is_asked(terminal: Terminal, model: Model) -> None:
    app = await open_runtime(read_settings({**terminal.base, **model.environ}, terminal.folder), listen=True)
    try:
        heard = app.chat.changes.listen(LOCAL_OWNER)
        gate = asyncio.Event()
        model.answers["Slowly"] = ["One ", gate, "two."]
        running = await terminal.begin("ask", "Slowly")
        await running.until("One ")
        changed = await anext(heard)
        assert changed, "pages are told at once"
        [id] = changed
        assert app.chat.writing(LOCAL_OWNER, id)
        running.process.kill()
        await running.process.wait()
        gate.set()
        await until(lambda: not app.busy)
        opened = await app.chat.open(LOCAL_OWNER, id)
        assert [message.text for message in opened.path] == ["Slowly", "One two."]
        assert (await terminal("ask", "--continue", "And?")).out == "It is bright.\n"
        assert len((await app.chat.open(LOCAL_OWNER, id)).path) == 4
    finally:
        await app.close()


async def test_a_server_that_ends_in_the_middle(terminal: Terminal, model: Model) -> None:
    app = await open_runtime(read_settings({**terminal.base, **model.environ}, terminal.folder), listen=True)
    model.answers["Slowly"] = ["One ", asyncio.Event()]
    running = await terminal.begin("ask", "Slowly")
    await running.until("One ")
    await app.close()
    ended = await running.ended()
    assert (ended.code, ended.out) == (7, "One \n")
    assert "shut down" in ended.err


async def test_a_server_without_a_door_is_a_sentence(terminal: Terminal, model: Model) -> None:
    app = await open_runtime(read_settings({**terminal.base, **model.environ}, terminal.folder))
    try:
        ended = await terminal("ask", "Hello")
        assert (ended.code, ended.out, "already using" in ended.err) == (1, "", True)
    finally:
        await app.close()


async def test_a_disk_that_takes_nothing_is_told(terminal: Terminal) -> None:
    terminal.data.write_text("in the way")
    ended = await terminal("ask", "Hello")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (1, "", 1)


@pytest.mark.skipif(os.name != "posix", reason="no terminals here")
async def test_a_terminal_is_told_nothing_that_it_would_do(terminal: Terminal, model: Model) -> None:
    import pty

    model.answers["Hostile"] = ["\x9b2JHidden\rShown ", "\x1b]0;title\x07done."]
    leader, follower = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "cli.py", "ask", "Hostile"),
        cwd=Path(__file__).parents[2],
        env={**terminal.base, **terminal.environ, "TERM": "xterm"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    said = b""
    loop = asyncio.get_running_loop()
    while True:
        try:
            some = await loop.run_in_executor(None, os.read, leader, 65_536)
        except OSError:
            break
        if not some:
            break
        said += some
    os.close(leader)
    assert await process.wait() == 0
    text = said.decode()
    assert "Waiting for tiny…" in text
    assert "2JHidden\r\nShown ]0;titledone.\r\n" in text
    assert "\x9b" not in text
    assert "\x1b]0" not in text
