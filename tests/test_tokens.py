"""Counting tokens: as tiktoken does, with the vocabulary that comes along."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiktoken import Encoding
from tiktoken.core import Encoding as Core
from tiktoken_ext.openai_public import o200k_base

from services import tokens
from services.errors import PanelistError
from services.tokenizing import _SAFE, _cut, encoding_of
from tests import corpus

ROOT = Path(__file__).parent.parent
CACHED = "fb374d419588a4632f3f557e76b4b70aebbca790"
"""Under this name tiktoken looks for the file before it would fetch it."""

JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で、"
CHINESE = "滚滚长江东逝水，浪花淘尽英雄。是非成败转头空：青山依旧在，几度夕阳红。"
KOREAN = "나랏말싸미 듕귁에 달아 문자와로 서르 사맛디 아니할쎄 "
EMOJI = "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇫🇷 🥊 e\u0301 ½ ² "
PROSE = "The quick brown fox doesn't jump; it's 3,141.59 metres (really!) above\tthe lazy dogs' heads.\r\n\n  Next. "


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encoding]:
    """tiktoken's own encoding, which takes the file from its cache."""
    folder = tmp_path_factory.mktemp("cache")
    shutil.copy(ROOT / "services" / "vocabulary" / "o200k_base.tiktoken", folder / CACHED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
        yield Core(**o200k_base())


def everything() -> Iterator[tuple[str, str]]:
    for path in (*sorted((ROOT / "services").glob("*.py")), *sorted((ROOT / "components").rglob("*.js"))):
        if "mermaid" not in path.parts:
            yield path.name, path.read_text("utf-8")
    yield "texts", "\n".join((*corpus.ODD, *corpus.KINDS, *corpus.ANSWERS))
    for name, text in {"ja": JAPANESE, "zh": CHINESE, "ko": KOREAN, "emoji": EMOJI, "prose": PROSE}.items():
        yield name, text
        yield f"1 MB of {name}", (text * (1 + 1_000_000 // len(text)))[:1_000_000]
    yield "1 MB in one line", ("word " * 200_000).strip()
    yield "special", "<|endoftext|> and <|endofprompt|> are text<|endoftext|>"
    yield "nothing", ""
    yield "hexadecimal", "".join(f"{n * 2654435761 % 2**32:08x}" for n in range(20_000))
    yield "spaces", "x" + " " * 40_000 + "y"
    yield "lines", "a\n" * 100_000 + "\n" * 10_000 + "/b"


def test_counts_are_those_of_tiktoken(theirs: Encoding) -> None:
    wrong = {
        name: (tokens.count(text), expected)
        for name, text in everything()
        if tokens.count(text) != (expected := len(theirs.encode_ordinary(text)))
    }
    assert wrong == {}


@given(st.text("ab B.,;(1½'\n\t 漢。/é\u0301’s", max_size=200), st.integers(1, 40), st.integers(0, 80))
def test_where_a_text_is_cut_changes_nothing(theirs: Encoding, text: str, most: int, reach: int) -> None:
    pieces = list(_cut(text, most, reach))
    assert "".join(pieces) == text
    before = ""
    for one, other in pairwise(pieces):
        before += one
        if _SAFE.match(text, len(before)):
            apart = len(theirs.encode_ordinary(one)) + len(theirs.encode_ordinary(other))
            assert len(theirs.encode_ordinary(one + other)) == apart


@pytest.mark.parametrize("text", ["a" * 1_000_000, " " * 1_200_000, "\n" * 1_000_000, "漢" * 500_000, "!" * 300_000])
def test_what_would_overflow_or_never_end_is_counted_in_pieces(text: str) -> None:
    assert 0 < tokens.count(text) <= len(text.encode())


def test_half_a_character_is_counted() -> None:
    assert tokens.count("x \ud83d y") > 0


async def test_others_go_on_while_the_vocabulary_is_read_and_a_megabyte_counted() -> None:
    counter, turns = tokens.Counter(), 0
    try:
        counting = asyncio.create_task(asyncio.to_thread(counter.count, PROSE * 10_000))
        while not counting.done():
            await asyncio.sleep(0)
            turns += 1
    finally:
        counter.close()
    assert counting.result() > 100_000
    assert turns > 100


def test_nothing_is_read_in_the_process_that_asks() -> None:
    """What reads the vocabulary keeps all threads of its process from going on for 0.2 s."""
    script = "import sys; from services import tokens; print(tokens.count('one two'), 'tiktoken' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("2 False\n", "")


def test_the_process_ends_when_it_is_not_needed_and_comes_back() -> None:
    counter = tokens.Counter(idle_s=0.0)
    try:
        assert counter.count("one two three") == 3
        counter.wait()
        assert counter.count("one two three four") == 4
    finally:
        counter.close()


def test_a_process_that_is_killed_costs_no_count() -> None:
    counter = tokens.Counter()
    try:
        assert counter.count("one") == 1
        assert counter._process is not None
        counter._process.kill()
        assert counter.count("word " * 200_000) == 200_001
    finally:
        counter.close()
    assert counter._process is None


def test_a_process_that_hangs_is_replaced_by_another() -> None:
    counter = tokens.Counter(patience_s=5.0)
    try:
        assert counter.count("one") == 1
        assert counter._process is not None
        hanging = counter._process
        hanging.send_signal(signal.SIGSTOP)
        assert counter.count("one two") == 2
        assert hanging.returncode == -signal.SIGKILL
    finally:
        counter.close()


def test_where_no_process_starts_that_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(PanelistError, match="cannot be counted at the moment"):
        tokens.Counter().count("one")


def test_a_damaged_vocabulary_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "o200k_base.tiktoken"
    for content in (None, b"IQ== 0\n"):
        if content is not None:
            broken.write_bytes(content)
        with pytest.raises(ValueError, match="missing or damaged"):
            encoding_of(broken)
    shutil.copytree(ROOT / "services", tmp_path / "services", ignore=shutil.ignore_patterns("*.tiktoken"))
    monkeypatch.setattr(tokens, "ROOT", tmp_path)
    counter = tokens.Counter()
    try:
        with pytest.raises(PanelistError, match="Install it again"):
            counter.count("one")
    finally:
        counter.close()
