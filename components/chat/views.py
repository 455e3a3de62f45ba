"""Messages as the transcript's data: what is shown of each, in words and HTML."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from services.conversation import Versions
from services.errors import Failure, NextStep
from services.messages import ErrorPart, Message, MessageStatus, ReasoningPart
from services.render import escape, render_markdown

SHORT = 6_000
"""Characters of a question that are shown before "Show all"."""

_STEPS: dict[NextStep, str] = {
    "add_key": "Add a key",
    "retry": "Retry",
    "choose_model": "Choose another model",
    "shorten": "Edit the question",
    "drop_parameter": "Send without it",
    "check_endpoint": "Check the endpoint",
    "none": "",
}

_NOTES: dict[MessageStatus, str] = {
    "stopped": "You stopped this answer.",
    "truncated": "This answer reached the length limit and is cut off here.",
    "refused": "The model declined to answer.",
}


@lru_cache(maxsize=1024)
def answer_html(text: str) -> str:
    """Return an answer as safe HTML. Settled answers never change, and tabs show the same ones."""
    return render_markdown(text)


def message_view(message: Message, versions: Versions | None, *, whole: bool = False) -> dict[str, Any]:
    """Return a message as the transcript shows it; with `whole` nothing of a long question is held back."""
    view: dict[str, Any] = {
        "id": message.id,
        "role": message.role,
        "status": message.status,
        "can": _can(message),
        "note": _NOTES.get(message.status),
        "alert": _alert(message),
        "model": message.model if message.role == "assistant" and message.status != "streaming" else None,
    }
    if message.role == "user":
        text = message.text
        cut = len(text) > SHORT and not whole
        view["html"] = escape(text[:SHORT] if cut else text)
        view["more"] = f"Show all {len(text):,} characters" if cut else None
    else:
        view["html"] = answer_html(message.text)
        view["reasoning"] = "".join(part.text for part in message.parts if isinstance(part, ReasoningPart))
    if versions is not None:
        view["versions"] = {
            "index": versions.index,
            "count": len(versions.ids),
            "previous": versions.previous,
            "next": versions.next,
        }
    return view


def _can(message: Message) -> list[str]:
    if message.role == "user":
        return ["copy"]
    copy = ["copy"] if message.text else []
    if message.status in {"complete", "truncated", "refused"}:
        return [*copy, *(["continue"] if message.status == "truncated" else []), "regenerate"]
    if message.status in {"stopped", "interrupted"} and message.text:
        copy.append("continue")
    offered = any(isinstance(part, ErrorPart) and part.failure.next_step == "retry" for part in message.parts)
    return copy if offered else [*copy, "retry"]  # never two buttons of one name


def _alert(message: Message) -> dict[str, Any] | None:
    failure = next((part.failure for part in message.parts if isinstance(part, ErrorPart)), None)
    if failure is None:
        return None
    label = _STEPS[failure.next_step]
    if failure.next_step == "drop_parameter" and failure.parameter:
        label = f"Send without {failure.parameter}"
    return {
        "text": failure.message,
        "step": failure.next_step,
        "label": label,
        "wait_s": _left(failure, message.created_at),
        "parameter": failure.parameter,
        "detail": failure.detail,
    }


def _left(failure: Failure, since: datetime) -> float | None:
    """Return the seconds after which a retry makes sense; the wait goes on while nobody looks."""
    if failure.next_step != "retry" or failure.retry_after_s is None:
        return None
    return max(0.0, failure.retry_after_s - (datetime.now(UTC) - since).total_seconds())
