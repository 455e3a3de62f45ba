"""What a text is found by, what can be typed, what a hit shows: without a database."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.messages import AttachmentPart, ReasoningPart, TextPart
from services.search import (
    MAX_INDEXED,
    Piece,
    Query,
    Term,
    Where,
    indexed_text,
    normal,
    parse,
    snippet,
    tokens_of,
    words_of,
)


def words(text: str) -> list[str]:
    return [token.text for token in tokens_of(normal(text))]


@pytest.mark.parametrize(
    ("text", "found_by"),
    [
        ("Go to Rome: it's 5 pm.", ["go", "to", "rome", "it", "s", "5", "pm"]),
        ("Café CAFE\u0301 Straße Ελλάδα", ["cafe", "cafe", "strasse", "ελλαδα"]),
        ("snake_case camelCase C++", ["snake", "case", "camelcase", "c"]),
        ("天气预报", ["天气", "气预", "预报", "报"]),
        ("雨 and 大雪", ["雨", "and", "大雪", "雪"]),
        ("서울에", ["서울", "울에", "에"]),
        ("ｶﾞｲﾄﾞ", ["ガイ", "イド", "ド"]),
        ("हिन्दी", ["हिन्दी"]),
        ("done 🎉!", ["done", "🎉"]),
        ("a" * 100, ["a" * 64]),
        ("", []),
    ],
)
def test_what_a_text_is_found_by(text: str, found_by: list[str]) -> None:
    assert words(text) == found_by


@given(st.one_of(st.text(), st.text(st.characters(max_codepoint=127))))
def test_the_fast_way_finds_the_same_words(text: str) -> None:
    assert words_of(text) == [token.text for token in tokens_of(text)]


def test_a_message_is_found_by_what_was_said_and_by_its_files() -> None:
    file = AttachmentPart("0" * 64, "tax 2025.pdf", "application/pdf", 1)
    assert indexed_text((ReasoningPart("Hm."), TextPart("My "), TextPart("taxes"), file)) == "My taxes\ntax 2025.pdf"
    assert len(indexed_text((TextPart("x" * (MAX_INDEXED + 5)),))) == MAX_INDEXED


def term(*tokens: str, open: bool = False) -> Term:
    return Term(tokens, open)


@pytest.mark.parametrize(
    ("typed", "terms"),
    [
        ("", ()),
        ("rain", (term("rain", open=True),)),
        ("rain ", (term("rain"),)),
        ("heavy rain", (term("heavy"), term("rain", open=True))),
        ('"Heavy rain"', (term("heavy", "rain"),)),
        ('"heavy rai', (term("heavy", "rai", open=True),)),
        ("“heavy rain”", (term("heavy", "rain"),)),
        ("clou* rain ", (term("clou", open=True), term("rain"))),
        ("rain -snow", (term("rain"), Term(("snow",), negated=True))),
        ('-"deep snow" x ', (Term(("deep", "snow"), negated=True), term("x"))),
        ("it's ", (term("it", "s"),)),
        ("TITLE:Trip ", (Term(("trip",), field="title"),)),
        ('-title:"my trip" ', (Term(("my", "trip"), field="title", negated=True),)),
        ("model:gpt-5 ", (Term(("gpt", "5"), open=True, field="model"),)),
        ("title:", ()),
        ("colour:red ", (term("colour", "red"),)),
        ("before:soon ", (term("before", "soon"),)),
        ("after:2026-13 ", (term("after", "2026", "13"),)),
        ("天", (term("天", open=True),)),
        ("天气", (term("天气"),)),
        ('"天气预" ', (term("天气", "气预"),)),
        ("下雨 天", (term("下雨"), term("天", open=True))),
        ('"下雨 天"', (term("下雨", "雨", "天", open=True),)),
        ("- -- * \" ''", ()),
    ],
)
def test_what_was_typed(typed: str, terms: tuple[Term, ...]) -> None:
    assert parse(typed) == Query(terms)


def test_dates_begin_at_midnight_where_the_person_is() -> None:
    east = timezone(timedelta(hours=9))
    assert parse("after:2026 before:2026-11-05", east) == Query(
        (), datetime(2026, 1, 1, tzinfo=east), datetime(2026, 11, 5, tzinfo=east)
    )
    assert parse("rain before:2026/3 ") == Query((term("rain"),), None, datetime(2026, 3, 1, tzinfo=UTC))


SCRAPS = st.sampled_from(['"', "-", "*", "title:", "model:", "before:", "2026-11", "天气", "e\u0301", "\0", "🎉", " "])


@given(st.one_of(st.text(), st.lists(st.one_of(SCRAPS, st.text(max_size=5))).map("".join)))
def test_anything_typed_is_a_query_of_plain_tokens(typed: str) -> None:
    query = parse(typed)
    for one in query.terms:
        assert one.tokens
        for token in one.tokens:
            assert token
            assert not set(token) & set("\"'\\ \0\n()*:&|!<>^-+{},.\ue000\ue001")


@given(st.text(alphabet=st.sampled_from("ab 天气雨\n'-é"), max_size=30), st.data())
def test_what_stands_in_a_text_is_found_in_it(text: str, data: st.DataObject) -> None:
    text = normal(text)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    if start and text[start - 1] in "abé":
        start = text.rfind(" ", 0, start) + 1  # words are found from their beginning on
    typed = " ".join(text[start:end].replace("-", " ").split())
    for one in parse(f'"{typed}').terms:
        assert any(piece.found for piece in snippet(text, [one])) or len(text) > 100


@given(st.text(), st.text(max_size=10))
def test_a_snippet_is_a_line_of_the_text(text: str, typed: str) -> None:
    pieces = snippet(normal(text), parse(typed).terms)
    assert all(piece.text for piece in pieces)
    said = "".join(piece.text for piece in pieces)
    flat = " ".join(normal(text).split())
    assert " ".join(said.strip("…").split()) in flat or "…" in flat
    assert len(said) <= 182


def test_a_snippet_shows_where_it_was_found() -> None:
    text = "One thing. " * 20 + "Then\nheavy rain came over heavy   rain, and after it Rainer. " + "Other things. " * 20
    pieces = snippet(text, parse('"heavy rain" rain').terms)
    assert [piece.text for piece in pieces if piece.found] == ["heavy rain", "heavy rain", "Rainer"]
    assert pieces[0] == Piece("…", False)
    assert pieces[-1] == Piece("…", False)
    assert "\n" not in "".join(piece.text for piece in pieces)


def test_a_snippet_shows_where_a_part_of_a_run_was_found() -> None:
    found = [(piece.text, piece.found) for piece in snippet("今日の天気予報", parse("天気予").terms)]
    assert found == [("今日の", False), ("天気予", True), ("報", False)]
    assert [p.text for p in snippet("明日は雨天", parse("雨").terms) if p.found] == ["雨"]


@pytest.mark.parametrize("places", [990, 995, 1_000, 1_010, 5_000])
@pytest.mark.parametrize("text", ["héavy, heavy   rain", "bientôt heavy rain", "天heavy rain気"])
def test_a_phrase_is_found_wherever_it_stands(text: str, places: int) -> None:
    filler = " é " + " rain " * (places // 6)
    [found] = [piece.text for piece in snippet(filler + text + filler, parse('"heavy rain" ').terms) if piece.found]
    assert found.split() == ["heavy", "rain"]


@pytest.mark.parametrize(
    ("filler", "typed"),
    [
        ("words here ", "zzzend"),
        ("été à la mer ", "zzzend"),
        ("天気予報", "zzzend"),
        ("the é rain ", '"rain the zzzend"'),
    ],
)
def test_a_text_is_not_taken_apart_as_far_as_what_was_found(filler: str, typed: str) -> None:
    text = filler * (190_000 // len(filler)) + " rain the zzzend"
    assert calls(lambda: snippet(text, parse(typed).terms)) < 10_000
    assert any("zzzend" in piece.text for piece in snippet(text, parse(typed).terms) if piece.found)


def test_words_that_stand_everywhere_are_not_looked_for_without_end() -> None:
    text = "the é rain " * 17_000
    assert calls(lambda: snippet(text, parse('"rain rain"').terms)) < 30_000
    assert snippet(text, parse('"rain rain"').terms) == snippet(text, ())


def calls(work: Callable[[], object]) -> int:
    """Return how many functions of Python's are called or gone on with: what takes the time, without a clock."""
    count = 0

    def note(_frame: FrameType, event: str, _what: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_a_snippet_is_the_beginning_where_no_word_was_asked_for() -> None:
    assert snippet("Rain.", parse("model:gpt -snow").of("text")) == (Piece("Rain.", False),)


def test_where_a_conversation_is_to_be() -> None:
    assert parse('tag:Work -tag:"Old Stuff" folder:"Trips 2026" is:archived rain').places == (
        Where("tag", "work"),
        Where("tag", "old-stuff", negated=True),
        Where("folder", "trips 2026"),
        Where("is", "archived"),
    )
    assert parse("tag:wo").places == (Where("tag", "wo", open=True),)
    assert parse("folder:Tr* x").places == (Where("folder", "tr", open=True),)
    assert [term.tokens for term in parse("is:late tag:# x").terms] == [("is", "late"), ("tag",), ("x",)]
