"""`ask`: one question, its answer as it comes, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
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
    post: str | None = None
    """Steps for the answer once it is complete; see `services.post`."""

    @property
    def at_once(self) -> bool:
        """Whether the answer is printed when it is whole."""
        return self.as_json or self.post is not None or not self.stream


async def ask(session: Session, asking: Asking, interrupts: Interrupts) -> int:
    """Ask, show the answer, and return the exit code.

    Raises:
        PanelistError: it could not be asked.
    """
    text = question_of(asking.words)
    options = asking.options if asking.post is None else replace(asking.options, post=_steps(asking.post))

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
                options=options,
                request_key=new_id(),
            )
        )
        for name in begun.left_out:
            say(f"The endpoint takes no {flag_of(name)}, so it was left out.")
        following = Following(session, door, begun, show=not asking.at_once)
        answer = await following.answer(interrupts)
    output = following.output
    if asking.at_once:
        output.write(json.dumps(plain_of(answer), ensure_ascii=False) if asking.as_json else answer.text)
    with suppress(ClosedError):
        await output.end()
    for sentence in (*answer.problems, answer.warning):
        if sentence is not None:
            say(sentence)
    if asking.meta:
        say(meta_of(answer))
    tell(answer, as_json=asking.as_json)
    return code_of(answer)


def _steps(names: str) -> tuple[str, ...]:
    from services.post import read_names  # noqa: PLC0415 - with all the steps that are installed

    return read_names(names)
