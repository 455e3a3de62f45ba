"""`chat`, piped in and at a real prompt."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cli.conftest import PATIENCE_S, ROOT, Model, Terminal


def lines(*said: str) -> bytes:
    return "".join(f"{line}\n" for line in said).encode()


async def test_what_is_piped_in_is_said_line_by_line(terminal: Terminal, model: Model) -> None:
    model.answers["Two\nlines"] = "As two."
    ended = await terminal(
        "chat",
        "--temperature",
        "1",
        "First",
        stdin=lines("One", "", "Two\\", "lines", '"""', "Three", "", '  more"""', "/etc/hosts"),
    )
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == ["It is bright.", "It is bright.", "As two.", "It is bright.", "It is bright."]
    assert [call.body["temperature"] for call in model.calls] == [1.0] * 5
    [path] = await terminal.stored()
    questions = [message.text for message in path if message.role == "user"]
    assert questions == ["First", "One", "Two\nlines", "Three\n\n  more", "/etc/hosts"]


async def test_commands(terminal: Terminal, model: Model, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("Rain.")
    ended = await terminal(
        "chat",
        stdin=lines(
            *("/help", "/model", "/model large", "/system Be brief.", "/system", f"/attach {note}", "One"),
            *("/model", "/model tiny", "/system -", "/system", "Two", "/retry"),
            *("/new", "Three", "/open", "/open 2", "Four", "/endpoint", "/endpoint nowhere", "/attach /gone"),
            *("/stop", "/quit", "Never"),
        ),
    )
    assert ended.code == 2, "two of these could not be done"
    out, err = ended.out, ended.err
    assert "/attach FILE" in out
    assert "  tiny\n  large\n" in out
    assert "  tiny\n* large\n" in out
    assert "Be brief.\n" in out
    assert "None of its own.\n" in out
    assert "There is no endpoint 'nowhere'. There are: 127.0.0.1" in err
    assert "There is no file '/gone'" in err
    asked = [(call.question, call.body["model"]) for call in model.calls]
    assert asked == [
        ("One", "large"),
        ("Two", "tiny"),
        ("Two", "tiny"),
        ("Three", "tiny"),
        ("Four", "tiny"),
    ]
    roles = [[message["role"] for message in call.body["messages"]] for call in model.calls]
    assert roles[0] == ["system", "user"]
    assert roles[1] == roles[2] == ["user", "assistant", "user"]
    assert roles[4] == ["user", "assistant"] * 2 + ["user"]
    first, second = await terminal.stored()
    assert [len(first), len(second)] == [6, 2]
    assert [part.name for part in first[0].attachments] == ["note.txt"]


async def test_the_latest_conversation_is_gone_on_with(terminal: Terminal, model: Model) -> None:
    await terminal("ask", "One", "--seed", "1")
    ended = await terminal("chat", "--continue", "--seed", "2", stdin=lines("Two"))
    assert ended.code == 0
    assert [call.body["seed"] for call in model.calls] == [1, 2]
    [path] = await terminal.stored()
    assert len(path) == 4
    none = await terminal("chat", "--continue=gone", stdin=lines("Two"))
    assert none.code == 2


async def test_a_failure_is_told_and_the_talk_goes_on(bare: Terminal) -> None:
    ended = await bare("chat", "--endpoint", "demo", stdin=lines("/fail 402", "/new", "Hello"))
    assert ended.code == 4
    assert "quota" in ended.err
    assert "not an AI" in ended.out
    nothing = await bare("chat", stdin=lines("Hello"))
    assert (nothing.code, "OPENAI_API_KEY" in nothing.err) == (3, True)


@dataclass
class Person:
    """Somebody at a real terminal."""

    process: asyncio.subprocess.Process
    leader: int
    seen: str = ""

    async def until(self, text: str) -> None:
        """Read until this is seen, and forget what was before it."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE_S):
            while text not in self.seen:
                self.seen += (await loop.run_in_executor(None, os.read, self.leader, 65_536)).decode()
        self.seen = self.seen.partition(text)[2]

    def type(self, text: str) -> None:
        os.write(self.leader, text.encode())


@asynccontextmanager
async def person(terminal: Terminal, *arguments: str) -> AsyncGenerator[Person, None]:
    leader, follower = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "cli.py", *arguments),
        cwd=ROOT,
        env={**terminal.base, **terminal.environ, "TERM": "dumb", "LANG": "C.UTF-8"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        preexec_fn=os.setsid,
    )
    os.close(follower)
    try:
        yield Person(process, leader)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        os.close(leader)


async def test_at_the_prompt(terminal: Terminal, model: Model) -> None:
    model.answers["Slowly"] = ["One ", asyncio.Event()]
    async with person(terminal, "chat") as ada:
        await ada.until("> ")
        ada.type("Hello\n")
        await ada.until("It is bright.")
        await ada.until("> ")
        ada.type("Slowly\n")
        await ada.until("One ")
        ada.process.send_signal(signal.SIGINT)
        await ada.until("The answer was stopped here; what came is kept.")
        await ada.until("> ")
        ada.type("never mind")
        await ada.until("never mind")
        ada.process.send_signal(signal.SIGINT)
        await ada.until("> ")
        ada.type("And\\\n")
        await ada.until("… ")
        ada.type("now?\n")
        await ada.until("It is bright.")
        await ada.until("> ")
        ada.type("\x04")
        assert await ada.process.wait() == 0
    [path] = await terminal.stored()
    assert [message.text for message in path[::2]] == ["Hello", "Slowly", "And\nnow?"]
    async with person(terminal, "chat", "--continue") as ada:
        await ada.until("Hello:")
        await ada.until("> And")
        await ada.until("It is bright.")
        await ada.until("> ")
        ada.type("/quit\n")
        assert await ada.process.wait() == 0


async def test_nothing_is_held_while_one_thinks(terminal: Terminal) -> None:
    async with person(terminal, "chat") as ada:
        await ada.until("> ")
        ada.type("Hello\n")
        await ada.until("It is bright.")
        await ada.until("> ")
        assert (await terminal("ask", "Meanwhile")).out == "It is bright.\n"
        ada.type("And?\n")
        await ada.until("It is bright.")
        await ada.until("> ")
    assert sorted(map(len, await terminal.stored())) == [2, 4]
