"""Conversations as files: complete JSON, the path on show as Markdown or as one HTML page. Pure functions."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from services import probabilities
from services.attachments import size_words
from services.conversation import TEMPORARY, Conversation, Queued, RunRecord, Whole
from services.messages import ErrorPart, Message, MessageStatus, Part
from services.options import Options
from services.parameters import plain
from services.render import MARKDOWN_CSS, escape, render_markdown
from services.storage.codec import failure_to_json, memory_plain, part_to_json, processed_plain
from services.usage import Usage

Kind = Literal["json", "markdown", "html", "notebook"]
"""What a conversation can be exported as."""

SCHEMA = "panelist.conversations"
VERSION = 1

SUFFIXES: dict[Kind, str] = {"json": ".json", "markdown": ".md", "html": ".html", "notebook": ".ipynb"}

_NOTES: dict[MessageStatus, str] = {
    "streaming": "This answer was still being written.",
    "stopped": "This answer was stopped.",
    "truncated": "This answer reached the length limit and is cut off here.",
    "refused": "The model declined to answer.",
    "filtered": "This answer was filtered.",
    "interrupted": "This answer broke off.",
    "failed": "This answer failed.",
}

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")

_DARK = re.compile(r"\[data-theme=dark\] \.markdown \{([^}]*)\}")

_STYLE = "\n".join(
    (
        MARKDOWN_CSS,
        # Without a script there is no theme to choose: the reader's system says.
        *(f"@media (prefers-color-scheme: dark) {{ .markdown {{{block}}} }}" for block in _DARK.findall(MARKDOWN_CSS)),
        # Ink on paper, whatever the screen is.
        f"@media print {{ {MARKDOWN_CSS[MARKDOWN_CSS.index('.markdown {') : MARKDOWN_CSS.index(':host(')]} }}",
        (Path(__file__).parent / "render" / "snapshot.css").read_text("utf-8"),
    )
)

_POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'"
)
_IMAGES = "; img-src data:"


def ending(damaged: Sequence[str] = ()) -> str:
    """Return what comes behind the last conversation of a JSON file: the ids of those that could not be read."""
    said = f', "damaged": {json.dumps(damaged)}' if damaged else ""
    return f"\n]{said}}}\n"


def beginning() -> str:
    """Return what comes before the first conversation of a JSON file."""
    return json.dumps({"schema": SCHEMA, "version": VERSION})[:-1] + ', "conversations": ['


def json_of(whole: Whole, *, first: bool) -> str:
    """Return a conversation as it stands in a JSON file, on a line of its own."""
    # Message by message: nobody else runs while one text is encoded.
    fields = (f"{_json(name)}:{_json_list(value)}" for name, value in plain_of(whole).items())
    return ("\n{" if first else ",\n{") + ",".join(fields) + "}"


def _json_list(value: object) -> str:
    return f"[{','.join(map(_json, value))}]" if isinstance(value, list) else _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def plain_of(whole: Whole) -> dict[str, Any]:
    """Return everything that is kept of a conversation, as JSON has it."""
    conversation = whole.conversation
    return {
        "id": conversation.id.removeprefix(TEMPORARY),
        "title": conversation.title,
        "title_source": conversation.title_source,
        "created_at": _time(conversation.created_at),
        "updated_at": _time(conversation.updated_at),
        "options": {"endpoint": conversation.options.endpoint, **plain_options(conversation.options)},
        "head": conversation.head_id,
        "pinned_at": _time_or_none(conversation.pinned_at),
        "archived_at": _time_or_none(conversation.archived_at),
        "tags": list(conversation.tags),
        "folder": list(whole.folder),
        "messages": [_message(message) for message in whole.messages],
        "runs": [plain_run(run) for run in whole.runs],
        "queue": [_queued(queued) for queued in whole.queue],
    }


def markdown_of(conversation: Conversation, path: tuple[Message, ...]) -> str:
    """Return the messages on show as Markdown, each as it was written."""
    blocks = [title_line(conversation)]
    for message in path:
        blocks.append(f"## {heading_of(message)}")
        blocks += [f"Attached: {part.name} ({size_words(part.size)})" for part in message.attachments]
        if message.text.strip():
            blocks.append(_closed(message.text.strip("\n")))
        if note := note_of(message):
            blocks.append(f"*{note}*")
        if memory := memory_note(message):
            blocks.append(f"---\n\n*{memory}*")
    return "\n\n".join(blocks) + "\n"


def html_of(conversation: Conversation, path: tuple[Message, ...]) -> str:
    """Return the messages on show as one page that needs nothing else and loads nothing: a snapshot to read."""
    articles = "\n".join(_article(message) for message in path)
    about = f"{len(path)} messages, last changed {_minute(conversation.updated_at)}. Exported from Panelist."
    return page_of(conversation.title, about, articles)


def page_of(title: str, about: str, articles: str, *, images: bool = False) -> str:
    """Return a page that runs nothing and loads nothing.

    Args:
        title: As text.
        about: Likewise, what stands below the title.
        articles: As HTML.
        images: Whether there are pictures in it.
    """
    title = escape(title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}{_IMAGES if images else ""}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<header>\n<h1 dir="auto">{title}</h1>\n<p class="about">{escape(about)}</p>\n</header>\n'
        f"<main>\n{articles}\n</main>\n</body>\n</html>\n"
    )


def title_line(conversation: Conversation) -> str:
    """Return the title as a heading of Markdown."""
    return f"# {' '.join(conversation.title.split())}"


def note_of(message: Message) -> str:
    """Return how an answer ended, where it did not end well: no half answer looks whole."""
    failure = next((part.failure for part in message.parts if isinstance(part, ErrorPart)), None)
    return failure.message if failure is not None else ending_of(message)


def ending_of(message: Message) -> str:
    """Return the same without what went wrong, which can name a server."""
    return _NOTES.get(message.status, "")


def memory_note(message: Message) -> str:
    """Return what stands behind a message with which a model's memory ends; empty for others."""
    if message.memory is None:
        return ""
    if message.memory.summary is None:
        return "From here on, the model was not told what is above."
    return "From here on, the model was told a summary of what is above."


def entry_of(sha256: str) -> str:
    """Return the name of an attached file in an archive."""
    return f"attachments/{sha256}"


def file_name(title: str, suffix: str) -> str:
    """Return a name for a file that every system takes: letters, digits, dashes."""
    plain = "".join(letter for letter in unicodedata.normalize("NFC", title) if letter.isalnum() or letter in " -_")
    return ("-".join(plain.split())[:60].strip("-") or "conversation") + suffix


def plain_run(run: RunRecord) -> dict[str, Any]:
    """Return what is kept of a run, as JSON has it."""
    return {
        "id": run.id,
        "message": run.message_id,
        "status": run.status,
        "endpoint": run.endpoint,
        "model": run.model,
        "started_at": _time(run.started_at),
        "finished_at": None if run.finished_at is None else _time(run.finished_at),
        "first_token_s": run.first_token_s,
        "total_s": run.total_s,
        "finish_reason": run.finish_reason,
        "response_id": run.response_id,
        "request_id": run.request_id,
        "usage": _usage(run.usage),
        "failure": None if run.failure is None else json.loads(failure_to_json(run.failure)),
        **({"probabilities": probabilities.plain_of(run.probabilities)} if run.probabilities else {}),
    }


def _queued(queued: Queued) -> dict[str, Any]:
    return {
        "id": queued.id,
        "created_at": _time(queued.created_at),
        "text": queued.text,
        "attachments": [json.loads(part_to_json(part)) for part in queued.attachments],
    }


def _usage(usage: Usage | None) -> dict[str, int] | None:
    return None if usage is None else asdict(usage)


def _message(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "parent": message.parent_id,
        "role": message.role,
        "status": message.status,
        "created_at": _time(message.created_at),
        "endpoint": message.endpoint,
        "model": message.model,
        "options": None if message.options is None else plain_options(message.options),
        "usage": _usage(message.usage),
        "run": message.run_id,
        "parts": [_part(part) for part in message.parts],
        **({} if message.picked_from is None else {"picked_from": message.picked_from}),
        **({} if message.memory is None else {"memory": memory_plain(message.memory)}),
        **({} if message.processed is None else {"processed": processed_plain(message.processed)}),
        **({} if message.together is None else {"together": message.together}),
    }


def plain_options(options: Options) -> dict[str, Any]:
    """Return options beside the endpoint, as JSON has them."""
    return {"model": options.model, **plain(options)}


def _part(part: Part) -> dict[str, Any]:
    return {"kind": part.kind, "data": json.loads(part_to_json(part))}


def heading_of(message: Message) -> str:
    """Return who wrote a message and, behind a comma, when."""
    if message.role == "user":
        return f"You, {_minute(message.created_at)}"
    model = f" ({message.model})" if message.model else ""
    return f"Assistant{model}, {_minute(message.created_at)}"


def _article(message: Message) -> str:
    who, _, when = heading_of(message).partition(", ")
    lines = [f"<h2>{escape(who)} <small>{escape(when)}</small></h2>"]
    if message.attachments:
        names = "".join(f"<li>{escape(p.name)} ({size_words(p.size)})</li>" for p in message.attachments)
        lines.append(f'<ul class="files">{names}</ul>')
    if message.role == "user":
        lines.append(f'<div class="said" dir="auto">{escape(message.text)}</div>' if message.text else "")
    else:
        # As if it had just been streamed: then long code is not folded, which nothing here could unfold.
        lines.append(f'<div class="markdown" dir="auto" data-streamed>{render_markdown(message.text)}</div>')
    if note := note_of(message):
        lines.append(f'<p class="note">{escape(note)}</p>')
    if memory := memory_note(message):
        lines.append(f'<hr><p class="gap">{escape(memory)}</p>')
    return "<article>\n" + "\n".join(filter(None, lines)) + "\n</article>"


def _closed(text: str) -> str:
    """Return Markdown whose last fence is closed, so that what follows is not part of the code."""
    fence = ""
    for line in text.splitlines():
        found = _FENCE.fullmatch(line)
        if found is None:
            continue
        marks, rest = found.groups()
        if not fence and not (marks[0] == "`" and "`" in rest):
            fence = marks
        elif fence and marks.startswith(fence) and not rest.strip():
            fence = ""
    return f"{text}\n{fence}" if fence else text


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _time_or_none(at: datetime | None) -> str | None:
    return None if at is None else _time(at)


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
