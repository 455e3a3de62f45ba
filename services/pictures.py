"""How many tokens a picture is to a model, by the rules of OpenAI's. Pure functions.

The rules are those of https://developers.openai.com/api/docs/guides/images-vision ("Calculating costs") for pictures
that are sent without a `detail`, as Panelist sends them: models that know none but `low` and `high` then look closely,
and those from gpt-5.5 on take a picture as it is.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass

FLAT = 1_500
"""About what a picture is to a model whose rules nobody knows: a large one of gpt-4o's."""

_MOST_STEPS = 10_000
"""Of a JPEG that are taken to find its size, some milliseconds: one made for it would have millions."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """The picture is made to fit a square of 2,048, then its shorter side 768, and cut into squares of 512."""

    base: int
    tile: int

    def tokens(self, width: int, height: int) -> int:
        scale = min(1.0, 2048 / max(width, height))
        scale *= min(1.0, 768 / (min(width, height) * scale))
        across, down = (math.ceil(_exact(side * scale) / 512) for side in (width, height))
        return self.base + self.tile * across * down


@dataclass(frozen=True, slots=True)
class Patches:
    """The picture is cut into squares of 32, after it was made so small that there are not too many."""

    each: float
    most: int | None = None
    longest: int | None = None
    """Pixels of the longer side."""

    def tokens(self, width: int, height: int) -> int:
        across, down = width / 32, height / 32
        if self.longest is not None and max(width, height) > self.longest:
            scale = self.longest / max(width, height)
            across, down = across * scale, down * scale
        if self.most is not None and math.ceil(across) * math.ceil(down) > self.most:
            scale = min(1.0, math.sqrt(self.most / (across * down)))
            # So that one side is a whole number of patches, and the other is not rounded up beyond the most.
            scale *= min(max(1, math.floor(side * scale)) / (side * scale) for side in (across, down))
            across, down = across * scale, down * scale
        patches = math.ceil(_exact(across)) * math.ceil(_exact(down))
        return math.ceil(min(patches, self.most or patches) * self.each)


_RULES: tuple[tuple[re.Pattern[str], Tiles | Patches], ...] = tuple(
    (re.compile(name), rule)
    for name, rule in (
        (r"gpt-(5\.[6-9]|[6-9])", Patches(1.2)),
        (r"gpt-5\.5", Patches(1.2, most=10_000, longest=6_000)),
        (r"gpt-(4\.1|5|5\.4)-mini", Patches(1.62, most=1_536)),
        (r"gpt-(4\.1|5|5\.4)-nano", Patches(2.46, most=1_536)),
        (r"o4-mini", Patches(1.72, most=1_536)),
        (r"gpt-4o-mini", Tiles(2_833, 5_667)),
        (r"(chat)?gpt-4o|gpt-4\.[15]", Tiles(85, 170)),
        (r"gpt-5(?!\.)", Tiles(70, 140)),
        (r"o[13](?!-mini)", Tiles(75, 150)),
        (r"computer-use-preview", Tiles(65, 129)),
    )
)


def tokens_of(model: str | None, size: tuple[int, int] | None) -> int:
    """Return how many tokens a picture of so many pixels is to a model, and `FLAT` where that is not known.

    A name may begin with whose model it is, as in `openai/gpt-4o`.
    """
    if model is None or size is None:
        return FLAT
    name = model.rpartition("/")[2].lower()
    rule = next((rule for named, rule in _RULES if named.match(name)), None)
    return FLAT if rule is None else rule.tokens(*size)


def size_of(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG, GIF, JPEG or WebP in pixels; None where it does not say."""
    try:
        found = _size(data)
    except (struct.error, IndexError):
        return None
    return found if found is not None and min(found) > 0 else None


def _size(data: bytes) -> tuple[int, int] | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _pair(">II", data, 16)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return _pair("<HH", data, 6)
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """Step from segment to segment to the frame header (ITU-T T.81, B.2.2)."""
    at = 2
    for _ in range(_MOST_STEPS):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:  # any number of these may stand before a marker
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = _pair(">HH", data, at + 5)
            return width, height
        elif marker == 0x01 or 0xD0 <= marker <= 0xD9:
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    """Read the first chunk (RFC 9649)."""
    match data[12:16]:
        case b"VP8 ":
            width, height = _pair("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits: int = struct.unpack_from("<I", data, 21)[0]
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            width, height = (int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
            return width + 1, height + 1
    return None


def _pair(form: str, data: bytes, at: int) -> tuple[int, int]:
    one, other = struct.unpack_from(form, data, at)
    return one, other


def _exact(value: float) -> float:
    """Return a length without what floating point has added to it."""
    return round(value, 6)
