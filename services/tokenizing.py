"""Counts the tokens of texts, as a process of its own: `python -m services.tokenizing`. See `services.tokens`.

The vocabulary comes along (`vocabulary/`): nothing is fetched. To read it takes 0.4 s and 80 MB, and at the end of that
no other thread of its process goes on for 0.2 s.

It reads the length of a text in 8 bytes and the text in UTF-8, and writes 8 bytes: the number of its tokens, or
`DAMAGED`. So it goes on until its input ends, or nothing comes for as many seconds as its argument says.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import select
import sys
from collections.abc import Iterator
from pathlib import Path

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

_AT_ONCE = 1 << 20

DAMAGED = 2**64 - 1
"""Instead of a number: the vocabulary is not as it was shipped."""


def count(text: str, encoding: Encoding) -> int:
    """Return how many tokens a text has. What looks like a special token is text; 1 MB takes 0.1 s."""
    return sum(len(encoding.encode_ordinary(piece)) for piece in _cut(text))


def _cut(text: str, most: int = _MOST, reach: int = _REACH) -> Iterator[str]:
    start = 0
    while len(text) - start > most + reach:
        near = start + most
        found = _SAFE.search(text, near, near + reach)
        end = found.start() if found else near
        yield text[start:end]
        start = end
    yield text[start:]


def encoding_of(file: Path = _FILE) -> Encoding:
    """Read the vocabulary.

    Raises:
        ValueError: it is not as it was shipped.
    """
    data = file.read_bytes() if file.exists() else b""
    if hashlib.sha256(data).hexdigest() != _SHA256:
        raise ValueError(f"{file} is missing or damaged")
    # Not tiktoken's own reader, which puts a copy into the folder for temporary files.
    pairs = (line.split() for line in data.splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
    return Encoding("o200k_base", pat_str=_PIECES, mergeable_ranks=ranks, special_tokens={})


def main(idle_s: float) -> None:
    """Answer what comes by the standard input."""
    try:
        encoding = encoding_of()
    except ValueError:
        encoding = None
    while select.select([0], [], [], idle_s)[0] and len(size := _read(8)) == 8:
        text = _read(int.from_bytes(size)).decode("utf-8", "surrogatepass")
        counted = DAMAGED if encoding is None else count(text, encoding)
        os.write(1, counted.to_bytes(8))


def _read(size: int) -> bytes:
    """Return the next bytes, fewer where no more are to come."""
    data = bytearray()
    while len(data) < size and (some := os.read(0, min(size - len(data), _AT_ONCE))):
        data += some
    return bytes(data)


if __name__ == "__main__":
    main(float(sys.argv[1]))
