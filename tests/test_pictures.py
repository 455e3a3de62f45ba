"""How many tokens a picture is: the examples of OpenAI's documentation, and what was billed for others."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.pictures import FLAT, size_of, tokens_of
from tests.pictures import png


@pytest.mark.parametrize(
    ("model", "width", "height", "tokens"),
    [
        # https://developers.openai.com/api/docs/guides/images-vision
        ("gpt-4o", 1024, 1024, 765),
        ("gpt-4o", 2048, 4096, 1105),
        ("openai/gpt-4.1-2025-04-14", 1024, 1024, 765),
        ("gpt-4o-2024-11-20", 128, 64, 85 + 170),
        ("gpt-4o-mini", 512, 512, 2833 + 5667),
        ("gpt-5", 1024, 1024, 70 + 4 * 140),
        ("gpt-5-chat-latest", 512, 300, 70 + 140),
        ("o3", 512, 512, 75 + 150),
        ("gpt-4.1-mini", 1024, 1024, 1659),
        ("gpt-4.1-mini", 1800, 2400, 2353),  # 1,452 patches
        ("o4-mini", 32, 33, 4),
        ("gpt-5.4-mini", 1920, 1080, 2443),  # 1,508 patches
        # as measured on these models, without a detail
        ("gpt-5.5", 256, 256, 77),
        ("gpt-5.5", 4032, 3024, 11_868),
        ("gpt-6-astra", 1280, 720, 1104),
        ("gpt-6-astra", 4032, 3024, 14_364),
    ],
)
def test_the_rules_of_openai(model: str, width: int, height: int, tokens: int) -> None:
    assert tokens_of(model, (width, height)) == tokens
    assert tokens_of(model, (height, width)) == tokens


@pytest.mark.parametrize("model", [None, "llama-3.2-vision", "gpt-5.2", "o3-mini", "my-gpt-4o"])
def test_what_nobody_knows_is_a_flat_figure(model: str | None) -> None:
    assert tokens_of(model, (4000, 4000)) == FLAT
    assert tokens_of("gpt-4o", None) == FLAT


@given(st.sampled_from(["gpt-4.1-mini", "gpt-5.5", "gpt-4o"]), st.integers(1, 60_000), st.integers(1, 60_000))
def test_no_picture_is_more_than_the_most(model: str, width: int, height: int) -> None:
    most = {"gpt-4.1-mini": 1_536 * 1.62 + 1, "gpt-5.5": 12_000, "gpt-4o": 85 + 8 * 170}[model]
    assert 0 < tokens_of(model, (width, height)) <= most


def _jpeg(width: int, height: int, marker: int = 0xC0) -> bytes:
    before = b"\xff\xe1" + struct.pack(">H", 20_002) + b"\xff\xc0" * 10_000  # metadata that look like a header
    table = b"\xff\xff\xc4" + struct.pack(">H", 4) + b"xy"
    return b"\xff\xd8" + before + table + bytes([0xFF, marker]) + struct.pack(">HBHH", 17, 8, height, width) + b"\x03"


def _webp(chunk: bytes, body: bytes) -> bytes:
    data = b"WEBP" + chunk + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(data)) + data


PICTURES = {
    "png": png(640, 480),
    "gif": b"GIF89a" + struct.pack("<HH", 640, 480) + b"\0\0\0",
    "jpeg": _jpeg(640, 480),
    "progressive jpeg": _jpeg(640, 480, 0xC2),
    "webp": _webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 640, 480 | 0x4000)),
    "lossless webp": _webp(b"VP8L", b"\x2f" + struct.pack("<I", 639 | 479 << 14)),
    "animated webp": _webp(b"VP8X", b"\0\0\0\0" + (639).to_bytes(3, "little") + (479).to_bytes(3, "little")),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_says_how_large_it_is(kind: str) -> None:
    assert size_of(PICTURES[kind]) == (640, 480)


@pytest.mark.parametrize("data", [b"", b"text", b"\xff\xd8\xff\xe0\0\0", b"\x89PNG\r\n\x1a\n", png(0, 5)])
def test_one_that_does_not_has_no_size(data: bytes) -> None:
    assert size_of(data) is None


@given(st.sampled_from(list(PICTURES.values())), st.integers(0, 40), st.binary(max_size=30))
def test_a_broken_one_ends(data: bytes, at: int, more: bytes) -> None:
    found = size_of(data[:at] + more + data[at:])
    assert found is None or min(found) > 0


def test_a_jpeg_that_was_made_to_take_long_is_given_up() -> None:
    whole = _jpeg(640, 480)
    assert size_of(whole[:2] + b"\xff" * 1_000 + whole[2:]) == (640, 480)
    assert size_of(whole[:2] + b"\xff" * 1_000_000 + whole[2:]) is None
