"""Files for a message to come, as the text box sends them: pieces in, progress out."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from components.state import ConversationState
from services.attachments import MAX_ATTACHMENTS, MAX_IMAGE, MAX_TEXT_FILE, MAX_TOGETHER, Piece
from services.errors import InputError, PanelistError
from services.messages import AttachmentPart

LIMITS = {"count": MAX_ATTACHMENTS, "image": MAX_IMAGE, "text": MAX_TEXT_FILE, "together": MAX_TOGETHER}
"""As the text box says them, before anything is sent."""


def as_given(attachments: Sequence[AttachmentPart]) -> list[dict[str, object]]:
    """Return attachments as the text box keeps them."""
    return [{"id": a.sha256, "name": a.name, "size": a.size, "kind": a.media_type} for a in attachments]


def as_named(files: object) -> list[tuple[str, str]]:
    """Return what a message of the text box names: hash and name of each file."""
    named: list[tuple[str, str]] = []
    for file in files if isinstance(files, list) else []:
        match file:
            case {"id": str(id), "name": str(name)}:
                named.append((id, name))
            case _:
                raise InputError("The page sent a file that cannot be told from others. Reload the page.")
    return named


async def take(state: ConversationState, data: object) -> dict[str, Any] | None:
    """Take a piece and return the answer to the page; None where it was none."""
    match data:
        case {
            "id": str(id),
            "name": str(name),
            "size": int(size),
            "offset": int(offset),
            "data": str(text),
            "chat": str() | None as chat,
        }:
            answer: dict[str, Any] = {"id": id, "offset": offset}
            try:
                piece = Piece(id=id, name=name, size=size, offset=offset, data=_bytes_of(text))
                progress = await state.attach(piece, chat)
            except PanelistError as error:
                return {"type": "unattached", **answer, "text": str(error), "again": not isinstance(error, InputError)}
            if progress.attachment is None:
                return {"type": "received", **answer, "received": progress.received}
            return {"type": "attached", **answer, "file": as_given([progress.attachment])[0]}
    return None


def _bytes_of(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise PanelistError("The file was garbled on its way. Try again.") from error
