"""What is taken as an attachment, what it is called, and how a model reads of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.attachments import (
    MAX_IMAGE,
    MAX_NAME,
    MAX_TEXT_FILE,
    check_size,
    clean_name,
    media_type_of,
    pictured,
    quoted,
    size_words,
    text_of,
)
from services.errors import InputError
from services.messages import AttachmentPart


@pytest.mark.parametrize(
    ("beginning", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0..JFIF", "image/jpeg"),
        (b"GIF89a..", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"print('hello')", "text/plain"),
        ("\ufeffhi".encode("utf-16-le"), "text/plain"),
        (b"<svg onload=alert(1)>", "text/plain"),
        (b"<!doctype html><script>", "text/plain"),
    ],
)
def test_the_first_bytes_decide_and_not_the_name(beginning: bytes, kind: str) -> None:
    assert media_type_of("innocent.pdf", beginning) == kind


@pytest.mark.parametrize("beginning", [b"%PDF-1.7", b"PK\x03\x04", b"\x7fELF\0\0", b"MZ\x00", b"\0"])
def test_what_is_neither_text_nor_a_picture_is_refused_with_a_next_step(beginning: bytes) -> None:
    with pytest.raises(InputError, match=r"reads text and images .* so far, and “x\.txt” is .*attach that\."):
        media_type_of("x.txt", beginning)


def test_text_comes_in_utf_8_or_utf_16() -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert text_of("a", "Grüße 👋\r\n".encode(encoding)) == "Grüße 👋\r\n"
    for data in ("Grüße".encode("latin-1"), b"a\0b", b"\xff\xfea"):
        with pytest.raises(InputError, match="UTF-8"):
            text_of("a", data)


def test_empty_and_too_large_ones_are_refused() -> None:
    check_size("a", "text/plain", MAX_TEXT_FILE)
    check_size("a", "image/png", MAX_IMAGE)
    for kind, size, said in [
        ("text/plain", 0, "is empty"),
        ("text/plain", MAX_TEXT_FILE + 1, "5.0 MB is the most for a text file"),
        ("image/png", MAX_IMAGE + 1, "20.0 MB is the most for a picture"),
    ]:
        with pytest.raises(InputError, match=said):
            check_size("a", kind, size)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("notes.md", "notes.md"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ann\\a b.txt", "a b.txt"),
        ("a\nb\x00\x1b[31m\tc", "ab[31mc"),
        ("photo_\u202egnp.exe", "photo_gnp.exe"),
        ("..", "file"),
        ("", "file"),
        ("\u200b", "file"),
        ("\ud800x", "\ufffdx"),
        ("<img src=x onerror=alert(1)>.png", "<img src=x onerror=alert(1)>.png"),
    ],
)
def test_names_are_only_names(name: str, shown: str) -> None:
    assert clean_name(name) == shown


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_any_name_becomes_one_line(name: str) -> None:
    shown = clean_name(name)
    assert shown.isprintable()
    assert 0 < len(shown) <= MAX_NAME
    assert clean_name(shown) == shown


def test_a_long_name_keeps_its_ending() -> None:
    assert clean_name("a" * 10_000 + ".csv").endswith("aaa.csv")


@given(st.text(alphabet="`~a\n \ud800", max_size=60))
def test_nothing_in_a_file_ends_its_fence(text: str) -> None:
    told = quoted(AttachmentPart("0" * 64, "a.md", "text/plain", 3), text)
    header, fence, *lines = told.rstrip("\n").split("\n")
    assert header == "Attached file “a.md” (3 bytes):"
    assert re.fullmatch("`{3,}", fence)
    assert lines.index(fence) == len(lines) - 1
    assert fence not in text


def test_a_picture_is_named() -> None:
    part = AttachmentPart("0" * 64, "map.png", "image/png", 1234)
    assert pictured(part) == "Attached picture “map.png” (image/png, 1,234 bytes)\n\n"


@pytest.mark.parametrize(
    ("size", "words"), [(1, "1 byte"), (999, "999 bytes"), (1000, "1 KB"), (999_499, "999 KB"), (1_048_576, "1.0 MB")]
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert size_words(size) == words
