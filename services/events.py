"""Run events: everything that can happen while a question is answered, in one union.

Each event gets a number in its run (`Numbered`). What a tab shows, what storage keeps and what the final message holds
are all folds of the same events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from services.errors import Failure
from services.messages import (
    ErrorPart,
    MessageStatus,
    Part,
    ProviderMetadata,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    moved,
)
from services.probabilities import MOST, Token
from services.usage import Usage

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "refusal"]
"""Why a model stopped by itself. A stream that ends without one was interrupted."""

MAX_NAMED = 500
"""Characters that are kept of the names that endpoints give to models and answers."""


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A model call begins; nothing has come back yet."""

    endpoint: str
    model: str
    kind: Literal["step_started"] = "step_started"


@dataclass(frozen=True, slots=True)
class RequestSent:
    """A request goes out. By its hash one that is made again is known to be the same."""

    sha256: str
    """Of its body, byte by byte; hexadecimal."""
    kind: Literal["request_sent"] = "request_sent"


@dataclass(frozen=True, slots=True)
class KeyRefused:
    """The endpoint refused a key before its first word, and is asked again with the next one."""

    key: str
    """The name of the refused one, never what it is."""
    failure: Failure
    kind: Literal["key_refused"] = "key_refused"


@dataclass(frozen=True, slots=True)
class ModelNamed:
    """The endpoint said which model answers and under which id."""

    model: str | None
    response_id: str | None
    request_id: str | None
    kind: Literal["model_named"] = "model_named"


@dataclass(frozen=True, slots=True)
class ReasoningStarted:
    """The model began to think, in seconds since 1970: so a page that comes later counts from the same moment."""

    at: float
    kind: Literal["reasoning_started"] = "reasoning_started"


@dataclass(frozen=True, slots=True)
class ReasoningEnded:
    """It went on to something else after so many seconds."""

    seconds: float
    kind: Literal["reasoning_ended"] = "reasoning_ended"


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    text: str
    provider_metadata: ProviderMetadata | None = None
    """Ends the part that the text belongs to; the next delta begins another."""
    kind: Literal["reasoning_delta"] = "reasoning_delta"


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str
    kind: Literal["text_delta"] = "text_delta"


@dataclass(frozen=True, slots=True)
class TokensScored:
    """How likely the model held pieces of its answer, in order; the text itself comes in deltas."""

    tokens: tuple[Token, ...]
    kind: Literal["tokens_scored"] = "tokens_scored"


@dataclass(frozen=True, slots=True)
class ToolCallRequested:
    """The model asked for a tool; its arguments are complete as far as they came."""

    id: str
    name: str
    arguments: str
    kind: Literal["tool_call_requested"] = "tool_call_requested"


@dataclass(frozen=True, slots=True)
class UsageReported:
    """The step's usage so far. A later report of the same step replaces an earlier one."""

    usage: Usage
    kind: Literal["usage_reported"] = "usage_reported"


@dataclass(frozen=True, slots=True)
class StepFinished:
    """The model said why it stopped. `raw` is the endpoint's own word."""

    reason: FinishReason
    raw: str
    kind: Literal["step_finished"] = "step_finished"


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """The call failed before its first word and is made again after a wait."""

    attempt: int
    """Number of the try to come, counted from 1."""
    of: int
    at: float
    """When it comes, in seconds since 1970."""
    failure: Failure
    """Why the last try failed."""
    kind: Literal["retry_scheduled"] = "retry_scheduled"


@dataclass(frozen=True, slots=True)
class Completing:
    """The answer is complete and stored, and goes through its steps; never stored."""

    kind: Literal["completing"] = "completing"


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The last event of every run."""

    status: MessageStatus
    failure: Failure | None = None
    kind: Literal["run_finished"] = "run_finished"


RunEvent = (
    StepStarted
    | RequestSent
    | KeyRefused
    | ModelNamed
    | ReasoningStarted
    | ReasoningEnded
    | ReasoningDelta
    | TextDelta
    | TokensScored
    | ToolCallRequested
    | UsageReported
    | StepFinished
    | RetryScheduled
    | Completing
    | RunFinished
)


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event and its number in its run, counted from 1 without gaps."""

    seq: int
    event: RunEvent


def merged(events: Iterable[RunEvent]) -> Iterator[RunEvent]:
    """Yield the events, those that only add text joined with the next: what came together need not be told in pieces.

    Whatever the events themselves raise comes after what was before it.
    """
    held: RunEvent | None = None
    scored: list[Token] = []
    try:
        for event in events:
            match held, event:
                case TextDelta(text=before), TextDelta(text=text):
                    held = TextDelta(before + text)
                case ReasoningDelta(text=before, provider_metadata=None), ReasoningDelta(text=text):
                    held = ReasoningDelta(before + text, event.provider_metadata)
                case _, TokensScored(tokens=tokens):  # they go along with the text, whose pieces they are
                    scored += tokens
                case None, _:
                    held = event
                case _:
                    yield held
                    held = event
                    yield from _scored(scored)
    except Exception:
        if held is not None:
            yield held
        yield from _scored(scored)
        raise
    if held is not None:
        yield held
    yield from _scored(scored)


def _scored(tokens: list[Token]) -> Iterator[RunEvent]:
    """Yield what was gathered, and begin anew."""
    if tokens:
        yield TokensScored(tuple(tokens))
        tokens.clear()


class Reply:
    """The fold of a run's events: the assistant's message as it stands after the events applied so far."""

    def __init__(self) -> None:
        self.status: MessageStatus = "streaming"
        self.failure: Failure | None = None
        self.model: str | None = None
        self.response_id: str | None = None
        self.request_id: str | None = None
        self.finish_reason: FinishReason | None = None
        self.usage: Usage | None = None
        self.tokens: list[Token] = []
        """How likely its pieces are, where that was asked for: at most `probabilities.MOST`."""
        self._steps_usage: Usage | None = None
        self._done: list[Part] = []
        self._open: Literal["text", "reasoning"] | None = None
        self._pieces: list[str] = []

    def apply(self, event: RunEvent) -> None:  # noqa: PLR0912 - a case for each event
        """Take one event in. Costs the same however long the reply already is."""
        match event:
            case StepStarted(model=model):
                self.model = model
                self._steps_usage = self.usage
            case ModelNamed():
                self.model = event.model or self.model
                self.response_id = event.response_id or self.response_id
                self.request_id = event.request_id or self.request_id
            case TextDelta(text=text):
                self._extend("text", text)
            case ReasoningDelta(text=text, provider_metadata=metadata):
                self._extend("reasoning", text)
                if metadata is not None:
                    self._seal(metadata)
            case TokensScored(tokens=tokens):
                self.tokens += tokens[: MOST - len(self.tokens)]
            case ToolCallRequested():
                self._close()
                self._done.append(ToolCallPart(event.id, event.name, event.arguments))
            case UsageReported(usage=usage):
                self.usage = usage if self._steps_usage is None else self._steps_usage + usage
            case StepFinished(reason=reason):
                self.finish_reason = reason
            case ReasoningEnded(seconds=seconds):
                self._time(seconds)
            case RequestSent() | KeyRefused() | ReasoningStarted() | RetryScheduled() | Completing():
                pass  # a call that failed before its first word left nothing behind
            case RunFinished():
                self._close()
                self.status = moved(self.status, event.status)
                self.failure = event.failure
                if event.failure is not None:
                    self._done.append(ErrorPart(event.failure))
            case _:
                assert_never(event)

    @property
    def parts(self) -> tuple[Part, ...]:
        self._close()
        return tuple(self._done)

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    def _extend(self, kind: Literal["text", "reasoning"], text: str) -> None:
        if self._open != kind:
            self._close()
            self._open = kind
        self._pieces.append(text)

    def _close(self) -> None:
        """Turn what was collected into a part; a part of the same kind that ended just before is continued."""
        if self._open is not None:
            text = "".join(self._pieces)
            last = self._done[-1] if self._done else None
            match self._open, last:
                case "text", TextPart(text=before):
                    self._done[-1] = TextPart(before + text)
                case "text", _:
                    self._done.append(TextPart(text))
                case "reasoning", ReasoningPart(text=before, provider_metadata=None, seconds=None):
                    self._done[-1] = ReasoningPart(before + text)
                case "reasoning", _:
                    self._done.append(ReasoningPart(text))
        self._open = None
        self._pieces = []

    def _time(self, seconds: float) -> None:
        """Note how long the thinking took that ends here."""
        self._close()
        if self._done and isinstance(part := self._done[-1], ReasoningPart):
            self._done[-1] = replace(part, seconds=seconds)
        else:  # nothing of it was shown
            self._done.append(ReasoningPart("", seconds=seconds))

    def _seal(self, metadata: ProviderMetadata) -> None:
        """End the reasoning part that is being written."""
        self._close()
        part = self._done[-1]
        assert isinstance(part, ReasoningPart)
        self._done[-1] = replace(part, provider_metadata=metadata)


def is_delta(event: RunEvent) -> bool:
    """Whether the event only adds text, or says how likely it is, so that it need not be stored at once."""
    return isinstance(event, TextDelta | ReasoningDelta | TokensScored)
