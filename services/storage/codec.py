"""Parts, failures and run events as JSON text, and back. Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Self, assert_never, cast, get_args

from services.errors import Failure, FailureKind, InputError, NextStep, PanelistError, StorageError
from services.events import (
    Completing,
    FinishReason,
    KeyRefused,
    ModelNamed,
    ReasoningDelta,
    ReasoningEnded,
    ReasoningStarted,
    RequestSent,
    RetryScheduled,
    RunEvent,
    RunFinished,
    StepFinished,
    StepStarted,
    TextDelta,
    TokensScored,
    ToolCallRequested,
    UsageReported,
)
from services.messages import (
    MESSAGE_STATUSES,
    AttachmentPart,
    ErrorPart,
    Memory,
    MessageStatus,
    Part,
    Processed,
    ProviderMetadata,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    clean_text,
)
from services.options import Options
from services.parameters import from_plain, plain
from services.probabilities import Token, plain_of
from services.probabilities import from_plain as from_plain_tokens
from services.usage import Usage

Json = str | int | float | bool | None | Mapping[str, "Json"] | Sequence["Json"]

DELTA_KINDS = (TextDelta("").kind, ReasoningDelta("").kind, TokensScored(()).kind)
"""Kinds of the events that `is_delta`; once a run has ended, its message and its row hold them."""


def part_to_json(part: Part) -> str:
    """Return what a part holds beside its kind."""
    match part:
        case TextPart(text=text):
            return dump({"text": text})
        case ReasoningPart():
            return _reasoning_to_json(part, seconds=part.seconds)
        case ToolCallPart():
            return dump({"id": part.id, "name": part.name, "arguments": part.arguments})
        case ErrorPart(failure=failure):
            return failure_to_json(failure)
        case AttachmentPart():
            return dump(_attachment_plain(part))
        case _:
            assert_never(part)


def part_from_json(kind: str, text: str) -> Part:
    """Return the part that `part_to_json` wrote.

    Raises:
        StorageError: the kind is not known here, or the text is damaged.
    """
    return part_from(kind, Fields(f"part of the kind {kind!r}", text))


def part_from(kind: str, data: Fields) -> Part:
    """Return the part that these fields describe; what they raise says what is wrong with them."""
    match kind:
        case "text":
            return TextPart(data.text("text"))
        case "reasoning":
            return ReasoningPart(data.text("text"), _metadata(data), data.seconds_or_none("seconds"))
        case "tool_call":
            return ToolCallPart(data.text("id"), data.text("name"), data.text("arguments"))
        case "error":
            return ErrorPart(failure_from(data))
        case "attachment":
            return attachment_from(data)
        case _:
            raise data.unknown(f"a message part of the kind {kind!r}")


_BEGINNING = re.compile(r'\{(?:"sha256":"\w*",)?"(?:text|name)":"((?:[^"\\]|\\u[0-9a-f]{4}|\\[^u])*)')


def beginning_from_json(cut: str) -> str:
    """Return how a text begins, or the name of an attachment, in the first characters of what `part_to_json` wrote."""
    found = _BEGINNING.match(cut)
    return "" if found is None else str(json.loads(f'"{found[1]}"'))


def attachments_to_json(attachments: Sequence[AttachmentPart]) -> str | None:
    """Return what a waiting message keeps of its attachments; None where it has none."""
    return dump({"attachments": [_attachment_plain(one) for one in attachments]}) if attachments else None


def attachments_from_json(text: str | None) -> tuple[AttachmentPart, ...]:
    """Return the attachments that `attachments_to_json` wrote; StorageError if they cannot be read."""
    return () if text is None else tuple(map(attachment_from, Fields("waiting message", text).each("attachments")))


def event_to_json(event: RunEvent) -> str:  # noqa: PLR0912 - a case for each event
    """Return what an event holds beside its kind."""
    match event:
        case StepStarted():
            return dump({"endpoint": event.endpoint, "model": event.model})
        case RequestSent(sha256=sha256):
            return dump({"sha256": sha256})
        case KeyRefused(key=key, failure=failed):
            return dump({"key": key, "failure": _plain(failed)})
        case ModelNamed():
            return dump({"model": event.model, "response_id": event.response_id, "request_id": event.request_id})
        case ReasoningStarted(at=at):
            return dump({"at": at})
        case ReasoningEnded(seconds=seconds):
            return dump({"seconds": seconds})
        case ReasoningDelta():
            return _reasoning_to_json(event)
        case TextDelta(text=text):
            return dump({"text": text})
        case TokensScored(tokens=tokens):
            return dump({"tokens": plain_of(tokens)})
        case ToolCallRequested():
            return dump({"id": event.id, "name": event.name, "arguments": event.arguments})
        case UsageReported(usage=usage):
            return dump(asdict(usage))
        case StepFinished():
            return dump({"reason": event.reason, "raw": event.raw})
        case RetryScheduled():
            retry = {"attempt": event.attempt, "of": event.of, "at": event.at}
            return dump({**retry, "failure": _plain(event.failure)})
        case Completing():
            return dump({})
        case RunFinished():
            failure = None if event.failure is None else _plain(event.failure)
            return dump({"status": event.status, "failure": failure})
        case _:
            assert_never(event)


def event_from_json(kind: str, text: str) -> RunEvent:  # noqa: PLR0912 - a case for each event
    """Return the event that `event_to_json` wrote.

    Raises:
        StorageError: the kind is not known here, or the text is damaged.
    """
    data = Fields(f"run event of the kind {kind!r}", text)
    match kind:
        case "step_started":
            return StepStarted(data.text("endpoint"), data.text("model"))
        case "request_sent":
            return RequestSent(data.text("sha256"))
        case "key_refused":
            failed = data.inner("failure")
            if failed is None:
                raise data.damaged("failure")
            return KeyRefused(data.text("key"), failure_from(failed))
        case "model_named":
            return ModelNamed(
                data.text_or_none("model"), data.text_or_none("response_id"), data.text_or_none("request_id")
            )
        case "reasoning_started":
            return ReasoningStarted(data.seconds("at"))
        case "reasoning_ended":
            return ReasoningEnded(data.seconds("seconds"))
        case "reasoning_delta":
            return ReasoningDelta(data.text("text"), _metadata(data))
        case "text_delta":
            return TextDelta(data.text("text"))
        case "tokens_scored":
            return TokensScored(tokens_in(data, "tokens"))
        case "tool_call_requested":
            return ToolCallRequested(data.text("id"), data.text("name"), data.text("arguments"))
        case "usage_reported":
            counts = {name: data.count(name) for name in ("input", "cached_input", "output", "reasoning")}
            return UsageReported(Usage(**counts))
        case "step_finished":
            return StepFinished(cast(FinishReason, data.word("reason", get_args(FinishReason))), data.text("raw"))
        case "retry_scheduled":
            failure = data.inner("failure")
            if failure is None:
                raise data.damaged("failure")
            return RetryScheduled(data.count("attempt"), data.count("of"), data.seconds("at"), failure_from(failure))
        case "completing":
            return Completing()
        case "run_finished":
            inner = data.inner("failure")
            status = cast(MessageStatus, data.word("status", MESSAGE_STATUSES))
            return RunFinished(status, None if inner is None else failure_from(inner))
        case _:
            raise data.unknown(f"a run event of the kind {kind!r}")


def options_to_json(options: Options | None) -> str | None:
    """Return what is set of options beside the endpoint, which has a column of its own; None where nothing is."""
    if options is None:
        return None
    model: dict[str, Json] = {} if options.model is None else {"model": options.model}
    return dump({**model, **plain(options)})


def options_from_json(text: str | None, endpoint: str | None) -> Options:
    """Return the options that `options_to_json` wrote; StorageError if they cannot be read."""
    if text is None:
        return Options(endpoint=endpoint)
    data = Fields("set of options", text)
    try:
        return from_plain(Options(endpoint=endpoint, model=data.text_or_none("model")), data.all)
    except InputError as error:
        raise data.damaged(str(error)) from error


def processed_to_json(processed: Processed | None) -> str | None:
    return None if processed is None else dump(processed_plain(processed))


def processed_from_json(text: str | None) -> Processed | None:
    """Return what `processed_to_json` wrote; StorageError if it cannot be read."""
    return None if text is None else processed_from(Fields("processed answer", text))


def processed_plain(processed: Processed) -> dict[str, Json]:
    """Return what was made of an answer, as JSON has it."""
    fields = asdict(processed)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


def processed_from(data: Fields) -> Processed:
    """Return what was made of an answer; what the fields raise if it cannot be read."""
    return Processed(data.texts("texts"), data.texts("steps"), data.texts("problems"), data.flag("shown"))


def memory_to_json(memory: Memory | None) -> str | None:
    return None if memory is None else dump(memory_plain(memory))


def memory_from_json(text: str | None) -> Memory | None:
    """Return the memory that `memory_to_json` wrote; StorageError if it cannot be read."""
    return None if text is None else memory_from(Fields("memory", text))


def memory_plain(memory: Memory) -> dict[str, Json]:
    """Return what a memory holds, as JSON has it."""
    return {"summary": memory.summary, "model": memory.model, "at": memory.at.isoformat()}


def memory_from(data: Fields) -> Memory:
    """Return the memory that the fields hold; what they raise if it cannot be read."""
    try:
        at = datetime.fromisoformat(data.text("at"))
    except ValueError as error:
        raise data.damaged("at") from error
    if at.tzinfo is None:
        raise data.damaged("at")
    return Memory(summary=data.text_or_none("summary"), model=data.text_or_none("model"), at=at)


def tokens_to_json(tokens: Sequence[Token]) -> str | None:
    """Return how likely the pieces of an answer are; None where nothing is known of that."""
    return dump({"tokens": plain_of(tokens)}) if tokens else None


def tokens_from_json(text: str | None) -> tuple[Token, ...]:
    """Return what `tokens_to_json` wrote; StorageError if it cannot be read."""
    return () if text is None else tokens_in(Fields("list of probabilities", text), "tokens")


def tokens_in(data: Fields, name: str) -> tuple[Token, ...]:
    """Return how likely the pieces of an answer are, in a field; what the fields raise if it cannot be read."""
    try:
        return from_plain_tokens(data.all.get(name))
    except ValueError as error:
        raise data.damaged(name) from error


def failure_to_json(failure: Failure) -> str:
    return dump(_plain(failure))


def failure_from_json(text: str) -> Failure:
    """Return the failure that `failure_to_json` wrote; StorageError if it cannot be read."""
    return failure_from(Fields("failure", text))


def _reasoning_to_json(reasoning: ReasoningPart | ReasoningDelta, seconds: float | None = None) -> str:
    """Leave out what there is none of, as rows from before there was any have it."""
    metadata = reasoning.provider_metadata
    kept: dict[str, Json] = {} if metadata is None else {"provider_metadata": asdict(metadata)}
    timed: dict[str, Json] = {} if seconds is None else {"seconds": seconds}
    return dump({"text": reasoning.text, **kept, **timed})


def _attachment_plain(part: AttachmentPart) -> dict[str, Json]:
    return {"sha256": part.sha256, "name": part.name, "media_type": part.media_type, "size": part.size}


def attachment_from(data: Fields) -> AttachmentPart:
    """Return the attachment that the fields hold; what they raise if it cannot be read."""
    return AttachmentPart(data.text("sha256"), data.text("name"), data.text("media_type"), data.count("size"))


def _metadata(data: Fields) -> ProviderMetadata | None:
    inner = data.inner("provider_metadata")
    return None if inner is None else ProviderMetadata(inner.text("origin"), inner.text("data"))


def _plain(failure: Failure) -> dict[str, Json]:
    return {name: value for name, value in asdict(failure).items() if value is not None}


def failure_from(data: Fields) -> Failure:
    """Return the failure that the fields hold; what they raise if it cannot be read."""
    return Failure(
        kind=cast(FailureKind, data.word("kind", get_args(FailureKind))),
        message=data.text("message"),
        next_step=cast(NextStep, data.word("next_step", get_args(NextStep))),
        retry_after_s=data.seconds_or_none("retry_after_s"),
        parameter=data.text_or_none("parameter"),
        status_code=data.count_or_none("status_code"),
        request_id=data.text_or_none("request_id"),
        detail=data.text_or_none("detail"),
        tokens=data.count_or_none("tokens"),
        window=data.count_or_none("window"),
    )


def dump(data: Mapping[str, Json]) -> str:
    """Return an object as it is stored."""
    return json.dumps(_cleaned(data), ensure_ascii=False, separators=(",", ":"))


def _cleaned(value: Json) -> Json:
    """Texts come in clean; one that does not must not cost the rest of the answer, so it is cleaned again."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        return {name: _cleaned(inner) for name, inner in value.items()}
    if isinstance(value, Sequence):
        return [_cleaned(inner) for inner in value]
    return value


class Fields:
    """The fields of one stored object, each checked when it is taken. A subclass says where else they come from."""

    def __init__(self, what: str, source: str | dict[str, object]) -> None:
        self.what = what
        try:
            data: object = json.loads(source) if isinstance(source, str) else source
        except ValueError as error:
            raise self.damaged("its text") from error
        if not isinstance(data, dict):
            raise self.damaged("its text")
        self._data: dict[str, object] = data

    @property
    def all(self) -> Mapping[str, object]:
        return self._data

    def text(self, name: str) -> str:
        value = self._data.get(name)
        if isinstance(value, str):
            return value
        raise self.damaged(name)

    def text_or_none(self, name: str) -> str | None:
        return None if self._data.get(name) is None else self.text(name)

    def word(self, name: str, words: tuple[str, ...]) -> str:
        value = self.text(name)
        if value not in words:
            raise self.unknown(f"a {self.what} with the {name} {value!r}")
        return value

    def count(self, name: str) -> int:
        value = self._data.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise self.damaged(name)

    def count_or_none(self, name: str) -> int | None:
        return None if self._data.get(name) is None else self.count(name)

    def seconds(self, name: str) -> float:
        value = self._data.get(name)
        if isinstance(value, int | float):
            return value
        raise self.damaged(name)

    def seconds_or_none(self, name: str) -> float | None:
        return None if self._data.get(name) is None else self.seconds(name)

    def inner(self, name: str) -> Self | None:
        value = self._data.get(name)
        if value is None:
            return None
        if isinstance(value, dict):
            return type(self)(name, value)
        raise self.damaged(name)

    def words(self, name: str) -> list[str]:
        value = self._data.get(name)
        if isinstance(value, list) and all(isinstance(inner, str) for inner in value):
            return value
        raise self.damaged(name)

    def each(self, name: str) -> list[Self]:
        value = self._data.get(name)
        if isinstance(value, list) and all(isinstance(inner, dict) for inner in value):
            return [type(self)(name, inner) for inner in value]
        raise self.damaged(name)

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._data.get(name)
        if isinstance(value, list) and all(isinstance(inner, str) for inner in value):
            return tuple(value)
        raise self.damaged(name)

    def flag(self, name: str) -> bool:
        value = self._data.get(name)
        if isinstance(value, bool):
            return value
        raise self.damaged(name)

    def unknown(self, what: str) -> PanelistError:
        """Return the error that says that a word is of a later version."""
        return StorageError(f"The database holds {what}, which this version does not know. Update Panelist.")

    def damaged(self, name: str) -> PanelistError:
        """Return the error that says that a field cannot be read."""
        return StorageError(
            f"The database holds a damaged {self.what}: {name} cannot be read. Restore the database from a backup."
        )
