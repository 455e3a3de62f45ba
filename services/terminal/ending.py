"""How a command ends: its exit code, and what went wrong as a sentence or an object."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from services.door import Answer
from services.errors import (
    Failure,
    FailureKind,
    InputError,
    ModelError,
    NextStep,
    NotFoundError,
    PanelistError,
    SettingsError,
    StorageError,
)
from services.messages import MessageStatus
from services.prices import NANOS, in_dollars
from services.terminal.output import visible

DONE, UNEXPECTED, WRONG_USE, KEY, LIMIT, UNREACHABLE, REFUSED, INCOMPLETE = range(8)

CODES: Mapping[FailureKind, int] = {
    "auth": KEY,
    "forbidden": KEY,
    "quota": LIMIT,
    "rate_limit": LIMIT,
    "budget": LIMIT,
    "server": UNREACHABLE,
    "timeout": UNREACHABLE,
    "unreachable": UNREACHABLE,
    "garbled": UNREACHABLE,
    "bad_request": REFUSED,
    "too_long": REFUSED,
    "filtered": REFUSED,
    "not_found": REFUSED,
    "storage": UNEXPECTED,
    "unexpected": UNEXPECTED,
}
"""Of an answer that failed before its first word."""

_BY_STATUS: Mapping[MessageStatus, int] = {
    "complete": DONE,
    "refused": REFUSED,
    "filtered": REFUSED,
    "truncated": INCOMPLETE,
    "stopped": INCOMPLETE,
    "interrupted": INCOMPLETE,
    "awaiting_approval": INCOMPLETE,
    "streaming": INCOMPLETE,
}

_SAID: Mapping[MessageStatus, str] = {
    "refused": "The model declined to answer.",
    "truncated": "The answer reached the length limit and is cut off here.",
    "stopped": "The answer was stopped here; what came is kept.",
}

_STEPS: Mapping[NextStep, str] = {
    "add_key": "Set OPENAI_API_KEY in the environment or in .env.",
    "retry": "Ask again.",
    "choose_model": "Name another one with --model.",
    "drop_parameter": "Leave that option out; the page can leave it out for ever.",
    "check_endpoint": "Check OPENAI_BASE_URL, or name another --endpoint.",
    "spend": "Raise the budget on the page.",
}


def code_of(answer: Answer) -> int:
    """Return the exit code of an answer."""
    if answer.status == "failed":
        return CODES[answer.failure.kind] if answer.failure is not None else UNEXPECTED
    return _BY_STATUS[answer.status]


def code_of_error(error: PanelistError) -> int:
    """Return the exit code of what could not even be asked."""
    if isinstance(error, ModelError):
        return CODES[error.failure.kind]
    return WRONG_USE if isinstance(error, InputError | NotFoundError | SettingsError) else UNEXPECTED


def sentence_of(failure: Failure) -> str:
    """Return what went wrong and what to do about it, where the sentence does not say it behind a semicolon."""
    step = "" if ";" in failure.message else _STEPS.get(failure.next_step, "")
    if failure.next_step == "retry" and failure.retry_after_s and failure.retry_after_s >= 1:
        step = f"Ask again in {failure.retry_after_s:.0f} s."
    return f"{failure.message} {step}".strip()


def tell(answer: Answer, *, as_json: bool) -> None:
    """Say on stderr what is not as it should be with an answer."""
    if answer.failure is not None:
        tell_failure(answer.failure, as_json=as_json)
    elif answer.status in _SAID:
        _tell(answer.status, _SAID[answer.status], as_json=as_json)


def tell_error(error: PanelistError, *, as_json: bool) -> None:
    """Say on stderr what could not even be asked."""
    if isinstance(error, ModelError):
        tell_failure(error.failure, as_json=as_json)
        return
    kinds = {InputError: "input", NotFoundError: "not_found", SettingsError: "settings", StorageError: "storage"}
    kind = next((name for made, name in kinds.items() if isinstance(error, made)), "unexpected")
    _tell(kind, str(error), as_json=as_json)


def tell_failure(failure: Failure, *, as_json: bool) -> None:
    """Say on stderr what went wrong."""
    if as_json:
        _tell(failure.kind, failure.message, failure.next_step, as_json=True)
    else:
        say(sentence_of(failure))


def _tell(kind: str, message: str, next_step: NextStep = "none", *, as_json: bool) -> None:
    error = {"error": {"kind": kind, "message": message, "next_step": next_step}}
    say(json.dumps(error, ensure_ascii=False) if as_json else message)


def say(sentence: str) -> None:
    """Write a line to stderr."""
    print(visible(sentence), file=sys.stderr, flush=True)  # noqa: T201 - it is the terminal


def plain_of(answer: Answer) -> dict[str, Any]:
    """Return an answer as `ask --json` prints it."""
    refused = answer.status == "refused"
    failure, usage = answer.failure, answer.usage
    return {
        "conversation_id": answer.conversation_id,
        "message_id": answer.message_id,
        "status": answer.status,
        "text": "" if refused else answer.text,
        "reasoning": answer.reasoning,
        "refusal": answer.text if refused else None,
        "model": answer.model,
        "finish_reason": answer.finish_reason,
        "usage": None
        if usage is None
        else {
            "input": usage.input,
            "cached_input": usage.cached_input,
            "output": usage.output,
            "reasoning": usage.reasoning,
        },
        "cost_usd": None if answer.price is None else answer.price / NANOS,
        "timing": {"first_token_s": answer.first_token_s, "total_s": answer.total_s},
        "tool_calls": [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in answer.tool_calls],
        "error": None
        if failure is None
        else {"kind": failure.kind, "message": failure.message, "next_step": failure.next_step},
        "request_id": answer.request_id,
    }


def meta_of(answer: Answer) -> str:
    """Return what `--meta` says of an answer, in one line."""
    usage = answer.usage
    tokens = "tokens unknown"
    if usage is not None:
        cached = f" ({usage.cached_input:,} cached)" if usage.cached_input else ""
        thought = f" ({usage.reasoning:,} reasoning)" if usage.reasoning else ""
        tokens = f"tokens {usage.input:,} in{cached}, {usage.output:,} out{thought}"
    times = [
        f"first word {answer.first_token_s:.2f} s" if answer.first_token_s is not None else None,
        f"total {answer.total_s:.2f} s" if answer.total_s is not None else None,
    ]
    parts = (
        f"model {answer.model or 'unknown'}",
        tokens,
        f"finish reason {answer.finish_reason or 'none'}",
        ", ".join(filter(None, times)) or "time unknown",
        f"cost {in_dollars(answer.price)}",
        f"conversation {answer.conversation_id}",
    )
    return " · ".join(parts)
