"""The terminal's door: what it asks of a Panelist, whether that is this process or a server that has the database."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, fields, replace
from typing import Protocol

from services.attachments import Piece, Progress
from services.conversation import Conversation
from services.errors import Failure, ModelError, PanelistError
from services.events import FinishReason, RunEvent
from services.messages import MessageStatus, Role
from services.options import Options
from services.usage import Usage

NO_KEY = (
    "No model is connected yet: set OPENAI_API_KEY, or OPENAI_BASE_URL for another server, in the environment or in "
    ".env; or try prepared text, which is no AI, with --endpoint demo."
)
NOTHING_SET = Options()


class LostError(PanelistError):
    """Whoever had the database is gone."""

    def __init__(self) -> None:
        super().__init__("The Panelist that had the database ended in the middle of this. Try again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person asks."""

    text: str
    attachments: tuple[tuple[str, str], ...] = ()
    """Hashes and names of files that were given to `attach`."""
    conversation_id: str | None = None
    """None: a new one begins."""
    options: Options = NOTHING_SET
    """What is set of them holds in the conversation from then on."""
    request_key: str | None = None
    """The same question that comes again, with the same key, is not asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """An answer that is being written."""

    conversation_id: str
    message_id: str
    """Of the answer."""
    run_id: str | None
    """None where it has ended already."""
    beside: tuple[str, ...] = ()
    """The runs that write other answers to the same question, where the conversation has several side by side."""
    left_out: tuple[str, ...] = ()
    """Names of options that were set for it, and that its endpoint does not take."""
    warned: int = 0
    """For `Door.answer`."""


@dataclass(frozen=True, slots=True)
class Happened:
    """What happened in a run since the last time, texts joined."""

    upto: int
    """Number of the last of these events: with it one can go on."""
    events: tuple[RunEvent, ...]


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    arguments: str
    """As it came: it may be broken JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer as it is stored, and how it was written. What is unknown is None."""

    conversation_id: str
    message_id: str
    status: MessageStatus
    text: str
    """As it is shown: what steps made of it, where it went through any."""
    reasoning: str | None
    endpoint: str | None
    model: str | None
    finish_reason: FinishReason | None
    usage: Usage | None
    price: int | None
    """Nanodollars."""
    first_token_s: float | None
    total_s: float | None
    tool_calls: tuple[ToolCall, ...]
    failure: Failure | None
    request_id: str | None
    problems: tuple[str, ...]
    """A sentence for each step that it could not go through."""
    warning: str | None
    """A sentence where a budget's mark was passed with it."""


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a conversation, as much of it as is told when one comes back to it."""

    role: Role
    text: str
    status: MessageStatus
    message_id: str
    files: tuple[str, ...]
    """Names of what was attached."""


class Door(Protocol):
    """Conversations of one owner. Every method raises `PanelistError`s alone."""

    async def ask(self, question: Question) -> Begun:
        """Store a question and begin to answer it.

        Raises:
            InputError: there is nothing in it or too much, no such endpoint, or the conversation is busy.
            ModelError: no model is connected, and the demo endpoint was not named.
            NotFoundError: there is no such conversation.
            StorageError: it could not be stored; nothing was sent.
        """

    async def retry(self, conversation_id: str, message_id: str) -> Begun:
        """Have an answer written once more, beside the one that is there; see `ChatService.retry`."""

    def follow(self, run_id: str, after: int = 0) -> AsyncGenerator[Happened, None]:
        """Yield what happens in a run, from the beginning or after a number, until its end.

        Raises:
            LostError: whoever had the database is gone.
        """

    async def stop(self, run_id: str) -> None:
        """End a run; what came is kept."""

    async def answer(self, conversation_id: str, message_id: str, warned: int = 0) -> Answer:
        """Return an answer and how it was written; `warned` is what `Begun` said of it.

        Raises:
            NotFoundError: there is no such answer.
        """

    async def trouble(self) -> str | None:
        """Return what is wrong with storage at the moment, in a sentence."""

    async def conversations(self, limit: int) -> tuple[Conversation, ...]:
        """Return the conversations that were used last."""

    async def conversation(self, conversation_id: str) -> Conversation:
        """Return one; NotFoundError where there is none of that id."""

    async def said(self, conversation_id: str, last: int) -> tuple[Said, ...]:
        """Return the last messages of the branch on show."""

    async def set_options(self, conversation_id: str, options: Options) -> None:
        """Change the options that the conversation's next answers are asked with."""

    async def attach(self, piece: Piece) -> Progress:
        """Take the next piece of a file; see `Uploads.take`."""

    async def endpoints(self) -> tuple[str, ...]:
        """Return the names of the endpoints, the default first."""

    async def models(self, endpoint: str | None) -> tuple[str, ...]:
        """Return the chat models of an endpoint, with None of the default one; ModelError where they are unknown."""


def no_key() -> ModelError:
    """Return what is told where there is nothing but the demo endpoint."""
    return ModelError(Failure(kind="auth", message=NO_KEY, next_step="none"))


def with_set(options: Options, given: Options) -> Options:
    """Return options with those that are set in `given`; another endpoint's model is left behind."""
    names = (field.name for field in fields(Options))
    changed = {name: value for name in names if (value := getattr(given, name)) is not None}
    if given.endpoint not in {None, options.endpoint}:
        changed.setdefault("model", None)
    return replace(options, **changed)
