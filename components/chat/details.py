"""The dialog that tells how an answer was written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import panel as pn
import param
from panel.models.esm import DataEvent

from components.dialogs import dialog
from components.files import address_of_request
from components.scripts import ScriptComponent, joined
from components.state import ConversationState
from services.details import AnswerDetails, Rebuilt, RunDetails, Truth, plain_of
from services.errors import PanelistError
from services.messages import Message, MessageStatus
from services.options import Options
from services.parameters import told
from services.prices import in_dollars
from services.snippets import LANGUAGES, shortened, snippet
from services.usage import Usage

_HERE = Path(__file__).parent

UNKNOWN = "unknown"

_STATUSES: dict[MessageStatus, str] = {
    "streaming": "Being written",
    "complete": "Complete",
    "stopped": "Stopped by you",
    "truncated": "Cut off at the length limit",
    "refused": "Declined by the model",
    "filtered": "Ended by a content filter",
    "interrupted": "Broke off",
    "failed": "Failed",
    "awaiting_approval": "Waits for your approval",
}


MOST_SHOWN = 200_000
"""Characters of a request that the page gets; the file has all of it."""

_TRUTHS: dict[Truth, str] = {
    "same": "This is exactly what was sent.",
    "different": "This is not exactly what was sent: something of it has changed since or is gone, such as a file.",
    "unsent": "This did not go out.",
    "guessed": "What was sent was not kept. This is what would be sent today.",
}


class Row(TypedDict):
    """One fact as the page shows it."""

    label: str
    value: str
    copy: NotRequired[bool]
    """Whether it can be copied by a button."""
    mark: NotRequired[str]
    """What is remarkable about it."""
    at: NotRequired[int]
    """A moment in milliseconds, which the page shows as its clock has it."""


class DetailsView(ScriptComponent):
    """The content of the dialog; it follows the answer for as long as it is open."""

    dark: bool = param.Boolean(default=False)  # type: ignore[assignment]

    _esm = joined(_HERE, "details")
    _stylesheets = [(_HERE / "details.css").read_text("utf-8")]  # noqa: RUF012 - Panel's own class attribute

    def __init__(self, state: ConversationState, on_again: Callable[[str, Options], None], **params: Any) -> None:
        super().__init__(**params)
        self.on_msg(self._on_message)
        self._state = state
        self._on_again = on_again
        self._shown: str | None = None
        self.dialog = dialog("Details of the answer", self, width_option="md", sizing_mode="stretch_width")
        state.param.watch(self._on_path, "path")

    async def open(self, message_id: str) -> None:
        """Open the dialog on an answer of the open conversation."""
        self._shown = message_id
        self.dialog.open = True
        self.tell({"type": "wait"})
        await self._show()

    def _on_path(self, event: param.parameterized.Event) -> None:
        """Show what became of the answer."""
        if not self.dialog.open:
            return
        was, now = (next((m for m in path if m.id == self._shown), None) for path in (event.old, event.new))
        if now is not None and now != was:
            pn.state.execute(self._show)

    async def _show(self) -> None:
        message_id = self._shown
        if message_id is None:
            return
        details = await self._state.details.of(message_id)
        if message_id == self._shown:  # no other answer was asked about meanwhile
            self.tell({"type": "unread"} if details is None else {"type": "details", **details_view(details)})

    async def _show_request(self, message_id: str, run_id: str) -> None:
        here = self._state.conversation
        if here is None:
            return
        try:
            rebuilt = await self._state.details.request(message_id, run_id)
            view = await asyncio.to_thread(request_view, rebuilt)
        except PanelistError as error:
            self.tell({"type": "request", "run": run_id, "refused": str(error)})
            return
        address = {language: address_of_request(language, here.id, message_id, run_id) for language in LANGUAGES}
        self.tell({"type": "request", "run": run_id, "addresses": address, **view})

    async def _ask_again(self, message_id: str, run_id: str) -> None:
        options = await self._state.details.options(message_id, run_id)
        self.dialog.open = False  # also where that cannot be told: a notice says why
        if options is not None:
            self._on_again(message_id, options)

    async def _on_message(self, event: DataEvent) -> None:
        match event.data:
            case {"type": "ready"}:
                await self._show()
            case {"type": "request", "run": str(run_id)} if message_id := self._shown:
                await self._show_request(message_id, run_id)
            case {"type": "again", "run": str(run_id)} if message_id := self._shown:
                await self._ask_again(message_id, run_id)


def details_view(details: AnswerDetails) -> dict[str, Any]:
    """Return the details of an answer as the page shows them."""
    many = len(details.runs) > 1
    sections = [
        {
            "title": f"Run {number} of {len(details.runs)}" if many else None,
            "run": run.run.id,
            "rows": list(_run_rows(run)),
        }
        for number, run in enumerate(details.runs, 1)
    ]
    return {
        "note": _note(details),
        "rows": list(_rows(details)),
        "sections": sections,
        "json": json.dumps(plain_of(details), ensure_ascii=False, indent=2),
    }


def request_view(rebuilt: Rebuilt) -> dict[str, Any]:
    """Return a request as the page shows it; it takes as long as the request is large."""
    body, short = shortened(rebuilt.asked.body)
    asked = replace(rebuilt.asked, body=body)
    texts = {language: snippet(asked, language) for language in LANGUAGES}
    return {
        "note": _TRUTHS[rebuilt.truth],
        "texts": {
            language: text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}\n… The file has the rest."
            for language, text in texts.items()
        },
        "whole": {language: not short and len(text) <= MOST_SHOWN for language, text in texts.items()},
    }


def _note(details: AnswerDetails) -> str | None:
    message = details.message
    if message.by_hand:
        return "You wrote this answer, so nothing was asked and nothing was spent."
    if not details.runs:
        return "This answer was written elsewhere, or what is known of its writing was deleted with its conversation."
    if message.picked_from is not None or details.runs[-1].run.message_id != message.id:
        return "This is a copy. What follows is how its original was written."
    return None


def _rows(details: AnswerDetails) -> Iterator[Row]:
    message = details.message
    if message.by_hand:
        yield _moment("Written", message)
        return
    last = details.runs[-1] if details.runs else None
    yield _model_row(last.asked if last is not None else (message.options or Options()).model, message)
    yield Row(label="Endpoint", value=message.endpoint or UNKNOWN)
    yield Row(label="Options", value=_options(message))
    if last is None or len(details.runs) > 1:
        yield Row(label="Ended", value=_STATUSES[message.status])
    if last is None:
        yield _moment("Written", message)
    if last is None or len(details.runs) > 1:
        yield from _spent(message.usage, details.price)


def _run_rows(details: RunDetails) -> Iterator[Row]:
    run = details.run
    yield Row(label="Started", value=run.started_at.isoformat(), at=int(run.started_at.timestamp() * 1000))
    yield Row(label="Ended", value=_STATUSES[run.status])
    if run.status != "streaming":
        yield Row(label="Finish reason", value=_reason(details))
    if run.failure is not None:
        yield Row(label="Failure", value=run.failure.message, mark="failure")
    for retry in details.retries:
        before = f"After try {retry.attempt - 1} of {retry.of}"
        yield Row(label=before, value=retry.failure.message, mark="failure")
    for refused in details.refused_keys:
        yield Row(label=f"With the key {refused.key!r}", value=refused.failure.message, mark="failure")
    if run.status != "streaming" or run.first_token_s is not None:
        yield Row(label="First token after", value=_seconds(run.first_token_s))
    if run.status != "streaming":
        yield Row(label="In all", value=_seconds(run.total_s))
        speed = details.tokens_per_s
        yield Row(label="Speed", value=UNKNOWN if speed is None else f"{speed:,.1f} tokens per second")
        yield from _spent(run.usage, details.price)
    yield _id("Response id", run.response_id)
    yield _id("Request id", run.request_id or (run.failure.request_id if run.failure is not None else None))


def _model_row(asked: str | None, message: Message) -> Row:
    answered = message.model
    if asked is None or answered is None or asked == answered:
        return Row(label="Model", value=answered or asked or UNKNOWN)
    mark = "a version of the one asked" if answered.startswith(f"{asked}-") else "another than the one asked"
    return Row(label="Model", value=f"{answered}, asked was {asked}", mark=mark)


def _options(message: Message) -> str:
    if message.options is None:
        return UNKNOWN
    return (
        ", ".join(f"{label} {value}" for label, value in told(message.options)) or "none set: the model's own defaults"
    )


def _reason(details: RunDetails) -> str:
    reason, raw = details.run.finish_reason, details.raw_reason
    if reason is None:
        return "none came" if raw is None else f"“{raw}”"
    return reason if raw in {None, reason} else f"{reason}, in the endpoint's words “{raw}”"


def _spent(usage: Usage | None, price: int | None) -> Iterator[Row]:
    if usage is None:
        yield Row(label="Tokens", value=UNKNOWN)
    else:
        yield Row(label="Input tokens", value=f"{usage.input:,}, of them {usage.cached_input:,} cached")
        yield Row(label="Output tokens", value=f"{usage.output:,}, of them {usage.reasoning:,} reasoning")
    yield Row(label="Price", value=in_dollars(price))


def _moment(label: str, message: Message) -> Row:
    at = message.created_at
    return Row(label=label, value=at.isoformat(), at=int(at.timestamp() * 1000))


def _id(label: str, id: str | None) -> Row:
    return Row(label=label, value=UNKNOWN) if id is None else Row(label=label, value=id, copy=True)


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return UNKNOWN
    if seconds < 60:
        return f"{seconds:.2f} s"
    return f"{int(seconds // 60)} min {seconds % 60:.0f} s"
