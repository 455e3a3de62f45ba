"""A Panelist that is going to be killed: asks one question after the other and writes down, outside, what it was told.

What an earlier life sent without hearing that it was stored is sent first, under the same key, as a browser does.

Run as `python -m tests.faults.child APP_DIR BASE_URL JOURNAL LIFE`. A line of the journal is a JSON list:

- `["open"]`: about to open the database
- `["try", question, conversation]`: about to send
- `["stored", question, conversation, question id, answer id, life]`: `send` has returned; the life its answer began in
- `["shown", answer id, characters]`: a page that watched has shown so much of it
- `["ended", answer id, status]`: the run's last event was shown
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from services.events import RunFinished, TextDelta
from services.runtime import Runtime, open_runtime
from services.settings import read_settings
from tests.keyed import KEYED

OWNER = "ada"
ASKERS = 2
"""Conversations that are written in at the same time."""
PER_CONVERSATION = 3


class Journal:
    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, *what: object, sync: bool = True) -> None:
        os.write(self._file, json.dumps(what).encode() + b"\n")
        if sync:
            os.fsync(self._file)


async def ask(runtime: Runtime, journal: Journal, life: str, question: str, conversation_id: str | None) -> str:
    journal.note("try", question, conversation_id)
    opened = await runtime.chat.send(OWNER, question, conversation_id=conversation_id, request_key=question)
    asked, answer = opened.path[-2:]
    began = life if opened.run_id else question.split("-", maxsplit=1)[0]
    journal.note("stored", question, opened.conversation.id, asked.id, answer.id, began)
    shown = 0
    async for batch in runtime.chat.follow(OWNER, opened.run_id or ""):
        for numbered in batch:
            match numbered.event:
                case TextDelta(text=text):
                    shown += len(text)
                    journal.note("shown", answer.id, shown, sync=False)
                case RunFinished(status=status):
                    journal.note("ended", answer.id, status)
    return opened.conversation.id


async def keep_asking(runtime: Runtime, journal: Journal, life: str, name: int) -> None:
    number = 0
    while True:
        conversation_id = None
        for _ in range(PER_CONVERSATION):
            number += 1
            conversation_id = await ask(runtime, journal, life, f"{life}-{name}-{number}", conversation_id)


def unacknowledged(journal: Path) -> list[tuple[str, str | None]]:
    """Return the questions that earlier lives sent and nobody confirmed, with their conversations."""
    lines = journal.read_bytes().split(b"\n") if journal.exists() else []
    entries = [json.loads(line) for line in lines if line[-1:] == b"]"]  # a kill may cut the last line
    stored = {entry[1] for entry in entries if entry[0] == "stored"}
    return [(entry[1], entry[2]) for entry in entries if entry[0] == "try" and entry[1] not in stored]


async def main(app_dir: Path, base_url: str, path: Path, life: str) -> None:
    settings = read_settings(
        {
            **KEYED,
            "OPENAI_BASE_URL": base_url,
            "PANELIST_MODEL": "m",
            "PANELIST_TITLES": "off",
            "PANELIST_RUN_S": "30",
        },
        app_dir,
    )
    again = unacknowledged(path)
    journal = Journal(path)
    journal.note("open")
    runtime = await open_runtime(settings)
    async with asyncio.timeout(60):  # nobody may be left behind when the test goes wrong
        for question, conversation_id in again:
            await ask(runtime, journal, life, question, conversation_id)
        await asyncio.gather(*(keep_asking(runtime, journal, life, asker) for asker in range(ASKERS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
