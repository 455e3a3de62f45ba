"""`ask`: one question, its answer as it comes, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.door import Question, no_key
from services.messages import new_id
from services.options import Options
from services.terminal.ending import code_of, meta_of, plain_of, say, tell
from services.terminal.following import Following
from services.terminal.given import flag_of
from services.terminal.output import ClosedError
from services.terminal.reading import attach, conversation_of, question_of
from services.terminal.session import Interrupts, Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What `ask` was told to do."""

    words: Sequence[str]
    options: Options
    files: Sequence[Path] = ()
    conversation: str | None = None
    """Its id, or `LATEST`; None: a new one begins."""
    meta: bool = False
    as_json: bool = False
    stream: bool = True


async def ask(session: Session, asking: Asking, interrupts: Interrupts) -> int:
    """Ask, show the answer, and return the exit code.

    Raises:
        PanelistError: it could not be asked.
    """
    text = question_of(asking.words)

    def check() -> None:
        if session.settings.first_run and asking.options.endpoint is None and asking.conversation is None:
            raise no_key()

    async with session.door(check) as door:
        here = await conversation_of(door, asking.conversation)
        files = [await attach(door, path) for path in asking.files]
        begun = await door.ask(
            Question(
                text=text,
                attachments=tuple(files),
                conversation_id=here,
                options=asking.options,
                request_key=new_id(),
            )
        )
        for name in begun.left_out:
            say(f"The endpoint takes no {flag_of(name)}, so it was left out.")
        following = Following(session, door, begun, show=asking.stream and not asking.as_json)
        answer = await following.answer(interrupts)
    output = following.output
    if asking.as_json:
        output.write(json.dumps(plain_of(answer), ensure_ascii=False))
    elif not asking.stream:
        output.write(answer.text)
    with suppress(ClosedError):
        await output.end()
    if answer.warning is not None:
        say(answer.warning)
    if asking.meta:
        say(meta_of(answer))
    tell(answer, as_json=asking.as_json)
    return code_of(answer)
