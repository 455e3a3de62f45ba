"""Files that go with a message: which are taken, what they are called, how a model is told of them. Pure functions."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from services.errors import InputError
from services.messages import AttachmentPart, clean_text

MAX_ATTACHMENTS = 10
"""Attachments of one message."""

MAX_IMAGE = 20_000_000
MAX_TEXT_FILE = 5_000_000
"""Bytes of one attachment."""

MAX_TEXT_KEPT = 2 * MAX_TEXT_FILE
"""Bytes of a text as it is kept, in UTF-8: what came in another encoding may have become longer."""

MAX_TOGETHER = 40_000_000
"""Bytes of all attachments of one message, and of all that one request takes to a model."""

MAX_NAME = 120
"""Characters of a name; the middle of a longer one is left out."""

TEXT = "text/plain"

_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})

MAX_PIECE = 1_000_000
"""Bytes of one piece of a file on its way."""

BEGINNING = 16
"""Bytes that tell a picture from anything else."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_KNOWN = ((b"%PDF", "a PDF"), (b"PK\x03\x04", "an archive or an office document"))
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that a name is shown without: what turns the reading direction round is among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Bytes of a file, as the page sends them."""

    id: str
    """The page's word for this upload."""
    name: str
    size: int
    """Of the whole file."""
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of a file is here: the next piece begins there."""

    received: int
    attachment: AttachmentPart | None = None
    """Once it is whole and kept."""


def clean_name(name: str) -> str:
    """Return a file's name as it is shown: without folders and hidden characters, not too long, never empty.

    It is only ever shown, and never a path on this machine.
    """
    name = re.split(r"[/\\]", clean_text(name[-10 * MAX_NAME :]))[-1]
    name = "".join(letter for letter in name if unicodedata.category(letter) not in _HIDDEN)
    name = " ".join(name.split())
    if len(name) > MAX_NAME:
        name = f"{name[: MAX_NAME - 21]}…{name[-20:]}"
    return name.strip(". ") or "file"


def media_type_of(name: str, beginning: bytes) -> str:
    """Return the media type of a file by its first bytes, whatever its name says.

    Raises:
        InputError: it is neither text nor a picture that models take.
    """
    found = next((kind for magic, kind in _IMAGES if beginning.startswith(magic)), None)
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        found = "image/webp"
    if found is None:
        known = next((words for magic, words in _KNOWN if beginning.startswith(magic)), None)
        if known is not None or (b"\0" in beginning and not beginning.startswith(_UTF16)):
            raise _not_taken(name, known)
    return found or TEXT


def check_size(name: str, media_type: str, size: int, *, most_text: int = MAX_TEXT_FILE) -> None:
    """Raise InputError when a file is empty or too large."""
    if size == 0:
        raise InputError(f"“{name}” is empty. Choose another file.")
    most, what = (most_text, "text file") if media_type == TEXT else (MAX_IMAGE, "picture")
    if size > most:
        raise InputError(
            f"“{name}” has {size_words(size)}, and {size_words(most)} is the most for a {what}. Attach a smaller one."
        )


def check_together(sizes: Iterable[int]) -> None:
    """Raise InputError when the attachments of a message are too much together."""
    size = sum(sizes)
    if size > MAX_TOGETHER:
        raise InputError(
            f"The attachments have {size_words(size)} together, and {size_words(MAX_TOGETHER)} is the most of one "
            "message. Send them in parts."
        )


def text_of(name: str, data: bytes) -> str:
    """Return the text of a file in UTF-8, or in UTF-16 with a byte-order mark.

    Raises:
        InputError: it is no text.
    """
    try:
        text = data.decode("utf-16" if data.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_taken(name, "text of an older encoding" if b"\0" not in data else None) from error
    if "\0" in text:
        raise _not_taken(name, None)
    return text


def size_words(size: int) -> str:
    """Return a number of bytes in words, as the page says it too."""
    if size < 1_000:
        return "1 byte" if size == 1 else f"{size} bytes"
    return f"{size / 1_000:.0f} KB" if size < 999_500 else f"{size / 1_000_000:.1f} MB"


def quoted(attachment: AttachmentPart, text: str) -> str:
    """Return a text file as a model reads it: its name, then its text in a fence that is longer than any within."""
    text = clean_text(text)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    end = "" if text.endswith("\n") else "\n"
    return f"Attached file “{attachment.name}” ({attachment.size:,} bytes):\n{fence}\n{text}{end}{fence}\n\n"


def pictured(attachment: AttachmentPart) -> str:
    """Return the words that go before a picture, so that one can speak of it by its name."""
    return f"Attached picture “{attachment.name}” ({attachment.media_type}, {attachment.size:,} bytes)\n\n"


def not_shown(attachment: AttachmentPart) -> str:
    """Return the words that stand for a file of an earlier message that the model cannot be given."""
    return f"(A file, “{attachment.name}”, was attached here. You cannot see it.)\n\n"


def _not_taken(name: str, known: str | None) -> InputError:
    what = f"is {known}" if known else "is neither of them"
    return InputError(
        f"Panelist reads text and images (PNG, JPEG, GIF, WebP) so far, and “{name}” {what}. "
        "Save it as text in UTF-8, or take a picture of it, and attach that."
    )
