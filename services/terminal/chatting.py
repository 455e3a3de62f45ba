"""`chat`: a conversation at the prompt. Nothing of a Panelist is held while a person thinks."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from services.conversation import Conversation
from services.door import Answer, Begun, Door, Question, Said, no_key, with_set
from services.errors import InputError, PanelistError
from services.messages import new_id
from services.options import Options
from services.parameters import PARAMETERS, with_value
from services.terminal.ending import DONE, code_of, code_of_error, say, tell, tell_error
from services.terminal.following import Following
from services.terminal.given import flag_of
from services.terminal.output import ClosedError, Output
from services.terminal.output import tell as show
from services.terminal.reading import attach, conversation_of, is_typed
from services.terminal.session import Interrupts, Session

T = TypeVar("T")

HELP = """\
/model [NAME]    answer with another model from now on; without a name: which there are
/endpoint [NAME] the same with another server
/system [TEXT]   tell the model this before the conversation; - takes it back, nothing shows it
/attach FILE     send a file with the next message
/new             begin a new conversation
/open [ID]       go on in another one; without an id: the last ones, to choose by number
/retry           have the last answer written once more
/quit            leave (Ctrl-D)
Ctrl-C stops an answer and keeps what came. A line that ends with \\ goes on in the next; \"\"\" begins and ends many.
Everything else is sent, / or not."""

SHOWN = 10
"""Conversations that are listed."""

_PROMPT, _MORE = "> ", "… "
_PROMPTS = next(one for one in PARAMETERS if one.kind == "prompt")


class Chat:
    """One conversation after the other, until the person leaves."""

    def __init__(self, session: Session, options: Options, files: Sequence[Path] = ()) -> None:
        self._session = session
        self._options = options
        """Of the next conversation."""
        self._files = list(files)
        self._here: str | None = None
        """The conversation's id; None before the first question."""
        self._last: str | None = None
        """The answer that was written last."""
        self._listed: tuple[Conversation, ...] = ()
        self._code = DONE
        self._typed = is_typed()
        self._runner = asyncio.Runner()

    def run(self, wanted: str | None, first: str = "") -> int:
        """Talk until the input ends, and return the exit code: where it was piped in, that of the first failure.

        Args:
            wanted: The conversation to go on with; see `conversation_of`.
            first: What is said without being asked for.

        Raises:
            PanelistError: it cannot begin.
        """
        with self._runner, contextlib.suppress(ClosedError):
            self._do(lambda door, _: self._begin(door, wanted))
            for text in self._inputs(first):
                try:
                    if not self._command(text):
                        self._do(partial(self._ask, text))
                except _LeaveError:
                    break
                except PanelistError as error:
                    tell_error(error, as_json=False)
                    self._failed(code_of_error(error))
        return DONE if self._typed else self._code

    def _do(self, work: Callable[[Door, Interrupts], Coroutine[Any, Any, T]]) -> T | None:
        """Open the door for one thing to be done; None where Ctrl-C ended it."""

        async def main() -> T:
            interrupts = Interrupts()
            interrupts.begin()
            try:
                async with self._session.door(self._check) as door:
                    return await work(door, interrupts)
            finally:
                interrupts.end()

        try:
            return self._runner.run(main())
        except (asyncio.CancelledError, KeyboardInterrupt):
            return None

    def _check(self) -> None:
        if self._session.settings.first_run and self._options.endpoint is None and self._here is None:
            raise no_key()

    def _failed(self, code: int) -> None:
        self._code = self._code or code

    # What is typed

    def _inputs(self, first: str) -> Iterator[str]:
        if first:
            yield first
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401, PLC0415 - from now on a line can be edited
        while True:
            try:
                text = self._input()
            except KeyboardInterrupt:
                show("")  # what was typed is thrown away
                continue
            except EOFError:
                if self._typed:
                    show("")
                return
            if text.strip():
                yield text

    def _input(self) -> str:
        line = self._line(_PROMPT)
        if line.lstrip().startswith('"""'):
            return self._block(line.lstrip().removeprefix('"""'))
        lines = []
        while line.endswith("\\"):
            lines.append(line[:-1])
            line = self._line(_MORE)
        return "\n".join([*lines, line])

    def _block(self, line: str) -> str:
        lines = []
        while not line.rstrip().endswith('"""'):
            lines.append(line)
            line = self._line(_MORE)
        return "\n".join([*lines, line.rstrip().removesuffix('"""')]).strip("\n")

    def _line(self, prompt: str) -> str:
        if self._typed:
            return input(prompt)
        line = sys.stdin.readline() if sys.stdin is not None else ""
        if not line:
            raise EOFError
        return line.removesuffix("\n")

    # Commands

    def _command(self, text: str) -> bool:
        """Do what a line says if it is a command, and say whether it was one."""
        name, _, rest = text.strip().partition(" ")
        rest = rest.strip()
        match name:
            case "/help" | "/?":
                show(HELP)
            case "/quit" | "/exit":
                raise _LeaveError
            case "/new":
                self._here, self._last = None, None
                say("A new conversation.")
            case "/model":
                self._do(lambda door, _: self._model(door, rest))
            case "/endpoint":
                self._do(lambda door, _: self._endpoint(door, rest))
            case "/system":
                self._do(lambda door, _: self._system(door, rest))
            case "/open":
                self._do(lambda door, _: self._open(door, rest))
            case "/retry":
                self._do(self._retry)
            case "/attach":
                self._attach(rest)
            case "/stop":
                say("Nothing is being written. Ctrl-C stops an answer.")
            case _:
                return False
        return True

    async def _model(self, door: Door, name: str) -> None:
        if name:
            await self._set(door, lambda options: replace(options, model=name))
            say(f"The next answers are by {name}.")
            return
        options = await self._options_here(door)
        for model in await door.models(options.endpoint):
            show(f"{'*' if model == options.model else ' '} {model}")

    async def _endpoint(self, door: Door, name: str) -> None:
        options, names = await self._options_here(door), await door.endpoints()
        if name in names:
            await self._set(door, lambda options: with_set(options, Options(endpoint=name)))
            say(f"The next answers come from {name}.")
            return
        if name:
            raise InputError(f"There is no endpoint {name!r}. There are: {', '.join(names)}.")
        for one in names:
            show(f"{'*' if one == (options.endpoint or names[0]) else ' '} {one}")

    async def _system(self, door: Door, text: str) -> None:
        if not text:
            show((await self._options_here(door)).system_prompt or "None of its own.")
            return
        await self._set(door, lambda options: with_value(options, _PROMPTS, None if text == "-" else text))
        say("The model is told that from the next question on." if text != "-" else "It is not told that any more.")

    async def _open(self, door: Door, wanted: str) -> None:
        if wanted.isdigit() and 0 < int(wanted) <= len(self._listed):
            wanted = self._listed[int(wanted) - 1].id
        if wanted:
            await self._show(door, await door.conversation(wanted))
            return
        self._listed = await door.conversations(SHOWN)
        for number, one in enumerate(self._listed, start=1):
            show(f"{number:2} {one.updated_at.astimezone():%Y-%m-%d %H:%M} {one.title}")
        say("/open with one of these numbers goes on there." if self._listed else "There is no conversation yet.")

    def _attach(self, name: str) -> None:
        path = Path(name).expanduser()
        if not name or not path.is_file():
            raise InputError(f"There is no file {str(path)!r}. Name one behind /attach." if name else "Name a file.")
        self._files.append(path)
        say(f"{path.name} goes with the next message.")

    # What is done behind the door

    async def _begin(self, door: Door, wanted: str | None) -> None:
        found = await conversation_of(door, wanted)
        if self._typed:
            say("/help lists the commands, Ctrl-D leaves.")
        if found is not None:
            await self._show(door, await door.conversation(found))
            given = self._options
            await self._set(door, lambda options: with_set(options, given))

    async def _show(self, door: Door, conversation: Conversation) -> None:
        self._here = conversation.id
        said = await door.said(conversation.id, 2)
        self._last = said[-1].message_id if said and said[-1].role == "assistant" else None
        if self._typed:
            say(f"{conversation.title}:")
            for one in said:
                show(_told(one))

    async def _options_here(self, door: Door) -> Options:
        return self._options if self._here is None else (await door.conversation(self._here)).options

    async def _set(self, door: Door, by: Callable[[Options], Options]) -> None:
        """Change the options of this conversation, and of those that are begun after it."""
        self._options = by(self._options)
        if self._here is not None:
            await door.set_options(self._here, by(await self._options_here(door)))

    async def _ask(self, text: str, door: Door, interrupts: Interrupts) -> None:
        files = [await attach(door, path) for path in self._files]
        begun = await door.ask(
            Question(
                text=text,
                attachments=tuple(files),
                conversation_id=self._here,
                options=self._options if self._here is None else Options(),
                request_key=new_id(),
            )
        )
        self._here = begun.conversation_id
        self._files.clear()
        for name in begun.left_out:
            say(f"The endpoint takes no {flag_of(name)}, so it was left out.")
        await self._answered(door, begun, interrupts)

    async def _retry(self, door: Door, interrupts: Interrupts) -> None:
        if self._here is None or self._last is None:
            raise InputError("There is no answer yet that could be written once more.")
        await self._answered(door, await door.retry(self._here, self._last), interrupts)

    async def _answered(self, door: Door, begun: Begun, interrupts: Interrupts) -> None:
        following = Following(self._session, door, begun)
        answer: Answer = await following.answer(interrupts)
        output: Output = following.output
        await output.end()
        self._last = answer.message_id
        for sentence in (*answer.problems, answer.warning):
            if sentence is not None:
                say(sentence)
        tell(answer, as_json=False)
        self._failed(code_of(answer))


class _LeaveError(Exception):
    """The person leaves."""


def _told(one: Said) -> str:
    files = "".join(f"[{name}] " for name in one.files)
    return f"{_PROMPT}{files}{one.text}" if one.role == "user" else one.text
