"""What is sent to the model: the path of the conversation with the system prompt."""

from __future__ import annotations

import dataclasses
from base64 import b64encode
from collections.abc import Mapping, Sequence

from services.attachments import MAX_TOGETHER, not_shown, pictured, quoted, text_of
from services.conversation import told_from
from services.endpoints import Endpoint, profile_of
from services.errors import Failure, ModelError, NextStep
from services.messages import AttachmentPart, Message, Part, TextPart
from services.options import Options
from services.pictures import size_of
from services.providers.base import ModelRequest

GO_ON = (
    "Your last answer was cut off. Go on with it exactly where it stops, in the middle of a word or a code block if "
    "need be. Repeat nothing, and say nothing about having been cut off."
)
"""Asks for the rest of an answer: no endpoint's own way of continuing is common to all of them."""


SUMMARY = "What was said before, in short, as it is too long to be told in full:\n\n{}\n\n---\n\n"


def told(path: Sequence[Message]) -> list[Message]:
    """Return what of a path a model is told: where its memory begins behind a message, only what follows that one.

    A summary goes before the text of the question that comes first then. As a message of its own it would be refused by
    servers for which questions and answers take turns, and in a system prompt by models that have none.
    """
    first = told_from(path)
    shown = [message.shown for message in path]
    memory = path[first - 1].memory if first else None
    if memory is None or memory.summary is None:
        return shown[first:]
    question = shown[first]
    parts = (TextPart(SUMMARY.format(memory.summary)), *question.parts)
    return [dataclasses.replace(question, parts=parts), *shown[first + 1 :]]


def within_limit(path: Sequence[Message]) -> list[Message]:
    """Return a path with as many of its files as one request takes: the last question's, then the newest of earlier.

    Words stand for the others, which need not even be read. A file that was sent twice counts twice, as it is sent so.
    """
    room, asked = MAX_TOGETHER, False
    told: list[Message] = []
    for message in reversed(path):
        parts: list[Part] = []
        for part in reversed(message.parts):
            if isinstance(part, AttachmentPart):
                room -= part.size  # below zero it stays: what is older than one that is left out is left out, too
                if asked and room < 0:
                    part = TextPart(not_shown(part))  # noqa: PLW2901 - it stands for it
            parts.append(part)
        told.append(dataclasses.replace(message, parts=tuple(reversed(parts))) if message.attachments else message)
        asked = asked or message.role == "user"
    return told[::-1]


def build_request(
    path: Sequence[Message],
    *,
    endpoint: Endpoint,
    model: str,
    system_prompt: str | None,
    options: Options | None = None,
    files: Mapping[str, bytes] | None = None,
    blind: bool = False,
) -> ModelRequest:
    """Return the request that fills the last answer of `path`; `files` are what its attachments hold, by hash.

    With `blind` the model has refused pictures before: it gets those of the last question alone, to say so again.
    An answer that has text already is to be gone on with: it is sent, followed by `GO_ON`. Earlier answers without a
    word in them (failed, stopped before the first token) say nothing to a model and are left out.

    Raises:
        ModelError: the endpoint takes no pictures, or a file is gone, and it is the last question that has it. In
            earlier ones a word stands for it: the conversation must be able to go on.
    """
    files = files or {}
    question = next((m.id for m in reversed(path) if m.role == "user"), None)
    messages = [
        _told(m, endpoint, files, last=m.id == question, blind=blind)
        for m in path
        if m.role == "user" or m.text.strip()
    ]
    if messages and messages[-1].id == path[-1].id and messages[-1].role == "assistant":
        last = messages[-1]
        messages.append(dataclasses.replace(last, role="user", parts=(TextPart(GO_ON),), status="complete"))
    images = {p.sha256: _data_url(p, files[p.sha256]) for m in messages for p in m.attachments}
    return ModelRequest(
        endpoint=endpoint,
        model=model,
        messages=tuple(messages),
        system_prompt=system_prompt,
        options=options or Options(),
        images=images,
        picture_sizes={sha256: size_of(files[sha256]) for sha256 in images},
    )


def _told(message: Message, endpoint: Endpoint, files: Mapping[str, bytes], *, last: bool, blind: bool) -> Message:
    """Return a message with its files as text, where they are text; pictures stay, with their name before them."""
    if not message.attachments:
        return message
    parts: list[Part] = []
    for part in message.parts:
        match part:
            case AttachmentPart() if part.sha256 not in files:
                if last:
                    raise _refused(f"“{part.name}” cannot be read any more, so the question was not sent. Ask again.")
                parts.append(TextPart(not_shown(part)))
            case AttachmentPart(is_image=True) if not profile_of(endpoint.profile).images:
                if last:
                    said = f"{endpoint.name} takes no images. Choose another model, or ask again without the picture."
                    raise _refused(said, "choose_model")
                parts.append(TextPart(not_shown(part)))
            case AttachmentPart(is_image=True) if blind and not last:
                parts.append(TextPart(not_shown(part)))
            case AttachmentPart(is_image=True):
                parts += [TextPart(pictured(part)), part]
            case AttachmentPart():
                parts.append(TextPart(quoted(part, text_of(part.name, files[part.sha256]))))
            case _:
                parts.append(part)
    return dataclasses.replace(message, parts=tuple(parts))


def _data_url(part: AttachmentPart, data: bytes) -> str:
    return f"data:{part.media_type};base64,{b64encode(data).decode()}"


def _refused(message: str, next_step: NextStep = "none") -> ModelError:
    return ModelError(Failure(kind="bad_request", message=message, next_step=next_step))
