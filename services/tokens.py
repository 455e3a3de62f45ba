"""How many tokens a text has, by the vocabulary of OpenAI's present models; for other models that is an estimate.

The vocabulary comes along (`vocabulary/`): nothing is fetched. To read it takes 0.4 s, 80 MB, and at its end 0.2 s in
which no other thread goes on, so it is read when it is first needed, in a moment in which nothing else is going on.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from services.errors import PanelistError

if TYPE_CHECKING:
    from tiktoken import Encoding

_FILE = Path(__file__).parent / "vocabulary" / "o200k_base.tiktoken"
_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"

# How a text is taken apart before its pieces are looked up
# (https://github.com/openai/tiktoken/blob/main/tiktoken_ext/openai_public.py, o200k_base).
_PIECES = "|".join(
    (
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""\p{N}{1,3}""",
        r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
        r"""\s*[\r\n]+""",
        r"""\s+(?!\S)""",
        r"""\s+""",
    )
)

_MOST = 50_000
"""Characters that are counted in one go: a million spaces overflow tiktoken's stack, and a million tokens as a list
hold up every thread for 20 ms."""

_REACH = 2_000
"""Characters after these in which a place is looked for where a text can be cut without another count."""

_SAFE = re.compile(r"(?<=\S) |(?<=[^\W\d_])[,.;:!?()。，、；：！？]|(?<=\d)[^\W\d_]")
"""Where one piece ends and the next begins, whatever is before and after."""

_reading = Lock()
_read: list[Encoding] = []


def load() -> None:
    """Read the vocabulary, once.

    Raises:
        PanelistError: it is not as it was shipped.
    """
    with _reading:
        if not _read:
            _read.append(_encoding())


def loaded() -> bool:
    """Whether `count` answers at once."""
    return bool(_read)


def count(text: str) -> int:
    """Return how many tokens a text has. What looks like a special token is text; 1 MB takes 0.1 s.

    Raises:
        PanelistError: see `load`.
    """
    load()
    return sum(len(_read[0].encode_ordinary(piece)) for piece in _cut(text))


def _cut(text: str, most: int = _MOST, reach: int = _REACH) -> Iterator[str]:
    start = 0
    while len(text) - start > most + reach:
        near = start + most
        found = _SAFE.search(text, near, near + reach)
        end = found.start() if found else near
        yield text[start:end]
        start = end
    yield text[start:]


def _encoding(file: Path = _FILE) -> Encoding:
    from tiktoken import Encoding  # noqa: PLC0415 - see above

    data = file.read_bytes() if file.exists() else b""
    if hashlib.sha256(data).hexdigest() != _SHA256:
        raise PanelistError("The list of tokens that Panelist came with is missing or damaged. Install it again.")
    # Not tiktoken's own reader, which puts a copy into the folder for temporary files.
    pairs = (line.split() for line in data.splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
    return Encoding("o200k_base", pat_str=_PIECES, mergeable_ranks=ranks, special_tokens={})
