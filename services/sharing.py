"""A conversation to be shared: one page of the messages that a person chose, with nothing else of it. Pure functions.

No id, no address of an endpoint and no path is in it; what is attached stands in the page itself.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from services.attachments import size_words
from services.conversation import MAX_TITLE, Whole
from services.errors import InputError
from services.exporting import ending_of, heading_of, page_of
from services.messages import AttachmentPart, Message, ReasoningPart, clean_text
from services.render import escape, render_markdown

MAX_HELD = 50_000_000
"""Bytes of attached files that are in one page; the others are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What of a conversation is shared."""

    title: str
    messages: frozenset[str]
    """Their ids."""
    gaps: bool = True
    """Whether the page says where messages were left out."""
    reasoning: bool = True
    attachments: bool = True


def chosen(whole: Whole, choice: Choice) -> tuple[Message, ...]:
    """Return the messages on show that are shared.

    Raises:
        InputError: none is.
    """
    found = tuple(message for message in whole.path if message.id in choice.messages)
    if not found:
        raise InputError("None of the chosen messages is on show any more. Open the dialog again and choose.")
    return found


def snapshot_of(whole: Whole, choice: Choice, files: Mapping[str, bytes]) -> str:
    """Return the page.

    Args:
        whole: The conversation, of which the branch on show is shared.
        choice: What of it.
        files: What attached files hold, by hash, as far as they are to be in the page.
    """
    shared = {message.id for message in chosen(whole, choice)}
    lines: list[str] = []
    left_out = 0
    for message in whole.path:
        if message.id not in shared:
            left_out += 1
            continue
        lines += _gap(left_out, choice)
        lines.append(_article(message, choice, files))
        left_out = 0
    lines += _gap(left_out, choice)
    title = " ".join(clean_text(choice.title).split())[:MAX_TITLE] or "Conversation"
    messages = f"{len(shared)} message{'' if len(shared) == 1 else 's'}"
    about = f"{messages}, shared on {datetime.now(UTC):%Y-%m-%d}. Made with Panelist."
    return page_of(title, about, "\n".join(lines), images=True)


def _gap(left_out: int, choice: Choice) -> list[str]:
    if not left_out or not choice.gaps:
        return []
    return [f'<p class="gap">{"A message was" if left_out == 1 else f"{left_out} messages were"} left out here.</p>']


def _article(message: Message, choice: Choice, files: Mapping[str, bytes]) -> str:
    who, _, when = heading_of(message).partition(", ")
    lines = [f"<h2>{escape(who)} <small>{escape(when)}</small></h2>"]
    if choice.attachments:
        lines += [_file(part, files.get(part.sha256)) for part in message.attachments]
    thoughts = "\n\n".join(part.text for part in message.parts if isinstance(part, ReasoningPart) and part.text.strip())
    if choice.reasoning and thoughts:
        lines.append(
            f'<details><summary>Thoughts</summary><div class="thought" dir="auto">{escape(thoughts)}</div></details>'
        )
    if message.role == "user":
        lines.append(f'<div class="said" dir="auto">{escape(message.text)}</div>' if message.text else "")
    else:
        lines.append(f'<div class="markdown" dir="auto" data-streamed>{render_markdown(message.text)}</div>')
    if note := ending_of(message):
        lines.append(f'<p class="note">{escape(note)}</p>')
    return "<article>\n" + "\n".join(filter(None, lines)) + "\n</article>"


def _file(part: AttachmentPart, data: bytes | None) -> str:
    name = escape(f"{part.name} ({size_words(part.size)})")
    if data is None:
        return f'<p class="files">{name}</p>'
    if part.is_image:
        source = f"data:{part.media_type};base64,{base64.b64encode(data).decode()}"
        picture = f'<img src="{source}" alt="{escape(part.name)}">'
        return f'<figure>{picture}<figcaption class="files">{name}</figcaption></figure>'
    return f"<details><summary>{name}</summary><pre>{escape(data.decode('utf-8', 'replace'))}</pre></details>"
