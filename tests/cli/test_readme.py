"""The examples of the README are true: each is run, and what it prints is compared."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import get_args

import pytest

from services.errors import FailureKind
from services.post.grammar import is_installed
from services.terminal.ending import CODES
from tests.cli.conftest import ROOT, Model, Terminal
from tests.faults.wires import CHAT, event

SECTION = (ROOT / "README.md").read_text("utf-8").partition("\n## The terminal\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```console\n(.*?)^```$", SECTION, re.M | re.S)
MARK = "\x1e"

PLAN = [
    {
        "date": "2026-12-01",
        "channel": "Blog",
        "title": "What a class does with a model",
        "summary": "Three lessons, and what came of them.",
    },
    {
        "date": "2026-12-04",
        "channel": "LinkedIn",
        "title": "Five questions before you buy",
        "summary": "For heads of schools.",
    },
    {
        "date": "2026-12-08",
        "channel": "Blog",
        "title": "Marking with help",
        "summary": "Where it saves time, and where it must not.",
    },
]
USED = event({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 5}})
SAID = {
    "What is the future of AI?": "Nobody knows, but these look likely: smaller models that run on your own machine, "
    "and tools that do whole tasks.",
    "Is it going to rain?": "Take an umbrella.",
    "Sales rose. Mostly in the north.": "Sales rose by a third, mostly in the north.",
    "Sell this\nin one line": "Up by a third, and the north is not done yet.",
    "And in five words?": "Sales up, north leads growth.",
    "Write a line about rain": "It don't matter, the rain falls anyway.  \n\n\n",
}


def commands(block: str) -> list[tuple[str, str]]:
    """Return the commands of an example with what they print."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return [(command, "\n".join(lines)) for command, lines in found]


def test_the_issue_is_shown() -> None:
    shown = "\n".join(command for block in BLOCKS for command, _ in commands(block))
    asking = ("--max-tokens 100", "unset OPENAI_API_KEY", "--meta", "--json", "--post trim,grammar", "/fail")
    talking = ('"""', "/model", "/system", "/attach", "chat --continue")
    for what in (*asking, *talking, "cli.py stats"):
        assert what in shown
    for form in ("--table", "--csv", "--ics"):
        assert form in shown


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: commands(block)[0][0][:60])
async def test_an_example_is_true(terminal: Terminal, model: Model, block: str) -> None:
    if "grammar" in block and not is_installed():
        pytest.skip("Harper is not installed here")
    model.answers = {question: [text, CHAT.finish() + USED] for question, text in SAID.items()}
    model.default = json.dumps({"items": PLAN})
    here = terminal.folder
    (here / "cli.py").symlink_to(ROOT / "cli.py")
    (here / "report.txt").write_text("Sales rose. Mostly in the north.\n")
    (here / "endpoints.toml").write_text(
        f'[[endpoint]]\nname = "team"\nbase_url = "{model.url}/v1"\nkey_env = "OPENAI_API_KEY"\n'
        "price = { input = 0.25, output = 2 }\n"
    )
    (here / "bin").mkdir()
    (here / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (here / "bin" / "python").chmod(0o755)
    environ = {
        **terminal.base,
        "PATH": f"{here / 'bin'}:{terminal.base['PATH']}",
        "OPENAI_API_KEY": "sk-of-this-test",
        "OPENAI_BASE_URL": "" if "unset" in block else f"{model.url}/v1",
        "PANELIST_MODEL": "gpt-5-mini",
        "PANELIST_TRIES": "1",
    }
    if "$0." in block:  # a price is known of a server that has one
        environ |= {"OPENAI_BASE_URL": "", "OPENAI_API_KEY": "", "PANELIST_ENDPOINTS": "endpoints.toml"}
    parts = [f"(exit $code); {{ {command}; }} 2>&1; code=$?; printf '{MARK}'" for command, _ in commands(block)]
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", "\n".join(["code=0", *parts])),
        cwd=here,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    printed = said.decode().split(MARK)[:-1]
    for (command, expected), actual in zip(commands(block), printed, strict=True):
        pattern = ".*?".join(map(re.escape, expected.split("…")))
        assert re.fullmatch(pattern, actual.rstrip("\n").replace("\r", ""), re.S), f"{command}\n{actual}"


def test_the_table_of_exit_codes_is_complete() -> None:
    rows = re.findall(r"^\| (\d) \| (.*) \|$", SECTION, re.M)
    assert [int(code) for code, _ in rows] == list(range(8))
    told = {kind: int(code) for code, words in rows for kind in re.findall(r"`(\w+)`", words)}
    assert told == dict(CODES)
    assert set(told) == set(get_args(FailureKind))


def test_every_command_is_documented() -> None:
    names = re.findall(
        r"^@app\.command\((?:\"(\w+)\"|[^\n]*)\)\n(?:@\w+\n)?def (\w+)", (ROOT / "cli.py").read_text(), re.M
    )
    readme = Path(ROOT / "README.md").read_text("utf-8")
    assert names
    for given, own in names:
        assert f"cli.py {given or own}" in readme, given or own
