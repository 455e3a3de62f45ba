"""Messages as the transcript's data: what is shown of each, in words and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypedDict

from components.files import address_of
from services.attachments import size_words
from services.conversation import RunRecord, Versions
from services.errors import Failure, NextStep
from services.messages import ANSWERED, AttachmentPart, ErrorPart, Message, MessageStatus, Processed, ReasoningPart
from services.options import Options
from services.parameters import told
from services.prices import in_dollars
from services.probabilities import MOST, percent_of
from services.render import escape, render_markdown

SHORT = 6_000
"""Characters of a question that are shown before "Show all"."""

OUTLINE_CHARS = 80
"""Characters of a question that the outline shows."""

CHIPS = (
    "What can you do?",
    "Show me every kind of Markdown",
    "How do I connect a model?",
    "Where is my data stored?",
)

_STEPS: dict[NextStep, str] = {
    "add_key": "Add a key",
    "retry": "Retry",
    "choose_model": "Choose another model",
    "shorten": "Edit the question",
    "drop_parameter": "Send without it",
    "check_endpoint": "Check the endpoint",
    "spend": "Answer anyway",
    "none": "",
}

FITS = (
    ("trim", "Leave out the oldest messages"),
    ("summarise", "Summarise the beginning"),
    ("picker", "Choose a larger model"),
)
"""What makes a conversation shorter, and what the buttons for it say."""

_NOTES: dict[MessageStatus, str] = {
    "stopped": "You stopped this answer.",
    "truncated": "This answer reached the length limit and is cut off here.",
    "refused": "The model declined to answer.",
}


BY_HAND = "You wrote this answer."


class Empty(TypedDict):
    """What is shown where there are no messages."""

    title: str
    banner: str | None
    chips: tuple[str, ...]


def empty_view(demo: bool, *, temporary: bool = False) -> Empty:
    """Return what a new conversation shows; on the demo endpoint what that is, and what to ask it."""
    banner = "You are on the demo endpoint: prepared text, not an AI. Connect a model to get real answers."
    title = "Temporary chat" if temporary else "What would you like to know?"
    return {"title": title, "banner": banner if demo else None, "chips": CHIPS if demo else ()}


class Beside(NamedTuple):
    """Where an answer stands among those that stand side by side."""

    number: int
    """Counted from 1."""
    of: int
    head: bool
    """Whether the conversation goes on with it unless another one is used."""
    idle: bool
    """Whether none of them is being written."""


def beside_of(message: Message, together: Sequence[Message], head_id: str | None) -> Beside | None:
    """Return where a message stands among answers that stand side by side, if it does."""
    place = next((place for place, one in enumerate(together) if one.id == message.id), None)
    if place is None:
        return None
    idle = all(one.status != "streaming" for one in together)
    return Beside(place + 1, len(together), message.id == head_id, idle)


@lru_cache(maxsize=1024)
def answer_html(text: str) -> str:
    """Return an answer as safe HTML. Settled answers never change, and tabs show the same ones."""
    return render_markdown(text)


def message_view(
    message: Message,
    versions: Versions | None,
    *,
    whole: bool = False,
    painted: bool = False,
    first: bool = False,
    remembers: bool = False,
    beside: Beside | None = None,
) -> dict[str, Any]:
    """Return a message as the transcript shows it.

    Args:
        message: The message.
        versions: Its place among its siblings, where it has any.
        whole: Whether nothing of a long question is held back.
        painted: Whether the page has the HTML of an answer already.
        first: Whether it is the conversation's first question, or an answer to it.
        remembers: Whether the model's memory begins behind it.
        beside: Where it stands among answers side by side, if it does.
    """
    view: dict[str, Any] = {
        "id": message.id,
        "role": message.role,
        "status": message.status,
        "can": _can(message) if beside is None else _can_beside(message, beside),
        "note": BY_HAND if message.by_hand else _NOTES.get(message.status),
        "alert": _alert(message, first=first),
        "memory": memory_view(message) if remembers else None,
        "model": message.model if message.role == "assistant" and message.status != "streaming" else None,
        "options": " · ".join(f"{label} {value}" for label, value in told(message.options or Options())) or None,
        "likely": message.options is not None and message.options.logprobs is not None,
    }
    if message.processed is not None:
        view["processed"] = processed_view(message.processed)
    if message.role == "user":
        text = message.text
        cut = len(text) > SHORT and not whole
        view["html"] = escape(text[:SHORT] if cut else text)
        if message.attachments:
            view["files"] = [file_view(part) for part in message.attachments]
        view["more"] = f"Show all {len(text):,} characters" if cut else None
    else:
        if not painted:
            view["html"] = answer_html(message.text)
        thoughts = [part for part in message.parts if isinstance(part, ReasoningPart)]
        view["reasoning"] = "".join(part.text for part in thoughts)
        view["thought_s"] = sum(part.seconds or 0.0 for part in thoughts)
    if beside is not None:
        view["beside"] = {
            "number": beside.number,
            "of": beside.of,
            "head": beside.head,
        }
    if versions is not None:
        view["versions"] = {
            "index": versions.index,
            "count": len(versions.ids),
            "previous": versions.previous,
            "next": versions.next,
        }
    return view


class LikelyView(TypedDict):
    """How likely the model held each piece of an answer."""

    tokens: list[tuple[str, float, list[tuple[str, float]]]]
    """Of each its text, its probability in percent, and the same of what else might have stood there."""
    note: str | None


def likely_view(runs: Sequence[RunRecord]) -> LikelyView:
    """Return what the page shows of how likely an answer's pieces were, those of all runs that wrote it."""
    tokens = [
        (one.text, one.percent, [(text, percent_of(logprob)) for text, logprob in one.others])
        for run in runs
        for one in run.probabilities
    ]
    cut = any(len(run.probabilities) == MOST for run in runs)
    note = f"Those of the first {MOST:,} pieces are kept." if cut else None
    return {"tokens": tokens, "note": note if tokens else "No probabilities came with this answer."}


class MemoryView(TypedDict):
    """What stands behind the message with which a model's memory ends."""

    text: str
    summary: str | None
    """As HTML."""
    by: str | None


def memory_view(message: Message) -> MemoryView | None:
    """Return what the page says behind a message of what the model is told of it and all before."""
    memory = message.memory
    if memory is None:
        return None
    if memory.summary is None:
        return {"text": "Messages above are not sent any more.", "summary": None, "by": None}
    by = f"Written by {memory.model}" if memory.model else None
    return {"text": "The model is told a summary of what is above.", "summary": answer_html(memory.summary), "by": by}


def processed_view(processed: Processed) -> dict[str, Any]:
    """Return what is said below an answer of what was made of it."""
    return {
        "by": ", ".join(processed.steps),
        "raw": not processed.shown,
        "problems": list(processed.problems),
    }


def file_view(attachment: AttachmentPart) -> dict[str, Any]:
    """Return an attachment as the transcript shows it."""
    return {
        "name": attachment.name,
        "kind": "Picture" if attachment.is_image else "Text",
        "size": size_words(attachment.size),
        "image": attachment.is_image,
        "address": address_of(attachment),
    }


def outline_of(path: Sequence[Message]) -> list[dict[str, str]]:
    """Return the questions of a path, each as one short line."""
    asked = (message for message in path if message.role == "user")
    return [{"id": message.id, "text": _line(said_in(message.text, message.attachments))} for message in asked]


def said_in(text: str, attachments: Sequence[AttachmentPart]) -> str:
    """Return a message in words: its text, or the names of the files that came without one."""
    return text or ", ".join(part.name for part in attachments)


def _line(text: str) -> str:
    line = " ".join(text[: 10 * OUTLINE_CHARS].split())
    return line if len(line) <= OUTLINE_CHARS else f"{line[: OUTLINE_CHARS - 1]}…"


def _can(message: Message) -> list[str]:
    if message.role == "user":
        return [*(["copy"] if message.text else []), "edit", "answer"]
    copy = ["copy", "edit"] if message.text and message.status != "streaming" else []
    if message.status in ANSWERED:
        again = ["regenerate"] if message.parent_id else []  # else nothing was asked: a conversation may begin with it
        return [*copy, *(["continue"] if message.status == "truncated" else []), *again, "fork"]
    if message.status in {"stopped", "interrupted"} and message.text:
        copy.append("continue")
    offered = any(isinstance(part, ErrorPart) and part.failure.next_step == "retry" for part in message.parts)
    return copy if offered or not message.parent_id else [*copy, "retry"]  # never two buttons of one name


def _can_beside(message: Message, beside: Beside) -> list[str]:
    """Return what can be done with an answer that stands beside others; the rest can when one of them is used."""
    kept = {"copy", "continue", "retry"} | ({"regenerate", "fork"} if beside.idle else set())
    return ["use", *(one for one in _can(message) if one in kept)]


def spent_on(message: Message, price: int | None) -> str:
    """Return how many tokens an answer took and what it cost, as far as that is known; `price` in nanodollars."""
    used = message.usage
    tokens = None if used is None else "1 token" if used.output == 1 else f"{used.output:,} tokens"
    return " · ".join(filter(None, (tokens, in_dollars(price) if price is not None else None)))


def who_wrote(message: Message) -> str:
    """Return who wrote a version of a message."""
    if message.role == "user":
        return "You"
    return " · ".join(name for name in (message.model, message.endpoint) if name) or "You, by hand"


def possible(message: Message) -> set[str]:
    """Return what can be done with a message, by whichever button of it."""
    can = set(_can(message))
    return can if message.role == "user" or not message.parent_id or "regenerate" in can else can | {"retry"}


def _alert(message: Message, *, first: bool) -> dict[str, Any] | None:
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
        "fits": FITS if failure.kind == "too_long" and not first else (),
    }


def _left(failure: Failure, since: datetime) -> float | None:
    """Return the seconds after which a retry makes sense; the wait goes on while nobody looks."""
    if failure.next_step != "retry" or failure.retry_after_s is None:
        return None
    return max(0.0, failure.retry_after_s - (datetime.now(UTC) - since).total_seconds())
