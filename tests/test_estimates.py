"""How long a request is, and where a conversation can begin so that it fits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services import tokens
from services.attachments import pictured, quoted
from services.errors import Failure
from services.estimates import (
    AROUND,
    Counts,
    Size,
    estimate,
    factor_of,
    room_in,
    shortening,
    size_of,
    sizes_of,
    with_summary,
)
from services.messages import AttachmentPart, ErrorPart, Memory, Message, ReasoningPart, TextPart
from services.options import Options
from services.usage import Usage

AT = datetime(2026, 11, 1, tzinfo=UTC)
NOTES = AttachmentPart("a" * 64, "notes.md", "text/plain", 9)
MAP = AttachmentPart("b" * 64, "map.png", "image/png", 3)


def say(role: str, text: str, id: str = "", **more: object) -> Message:
    parts = (TextPart(text),) if text else ()
    made = Message(
        id=id,
        conversation_id="c",
        parent_id=None,
        role=role,  # type: ignore[arg-type]
        parts=parts,
        status="complete",
        created_at=AT,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def talk(*texts: str) -> list[Message]:
    return [say("assistant" if n % 2 else "user", text, str(n)) for n, text in enumerate(texts)]


def no_files(_: AttachmentPart) -> int:
    raise AssertionError("there are none")


def test_what_is_counted_of_a_message_is_what_a_model_is_told() -> None:
    counts = Counts()
    spoken = say("user", "How far is it to the sea?")
    assert size_of(spoken, counts, no_files) == Size(AROUND + tokens.count(spoken.text), 0)
    thought = say("assistant", "", parts=(ReasoningPart("long " * 99), TextPart("Two miles.")))
    assert size_of(thought, counts, no_files).total == AROUND + tokens.count("Two miles.")
    failed = say("assistant", "", parts=(ErrorPart(Failure(kind="server", message="No.")),))
    assert size_of(failed, counts, no_files).total == 0, "it is left out"
    with_files = say("user", "", parts=(NOTES, MAP, TextPart("See?")))
    quote = tokens.count(quoted(NOTES, "x y z"))
    seen = size_of(with_files, counts, lambda part: 765 if part.is_image else quote)
    picture = 765 + tokens.count(pictured(MAP))
    assert seen == Size(AROUND + tokens.count("See?"), picture + quote)
    assert size_of(with_files, counts, lambda _: 7, images=False).files < 60, "words stand for it"


def test_what_was_counted_is_not_counted_again_and_is_forgotten_in_the_end() -> None:
    counts = Counts()
    assert counts.of("one two") == tokens.count("one two")
    counts._kept[next(iter(counts._kept))] = 77
    assert counts.of("one two") == 77
    for n in range(20_001):
        counts.keep(("text", n, n), n)
    assert len(counts._kept) == 20_000
    assert counts.of("one two") == tokens.count("one two")


def test_an_estimate_says_what_fills_it() -> None:
    path = [*talk("a b c", "d e f"), say("user", "And?", parts=(NOTES, TextPart("And?")))]
    sizes = sizes_of(path, Counts(), lambda _: 100)
    found = estimate(path, sizes, model="m", system=50, window=1_000, wanted=None, factor=1.0)
    assert (found.system, found.attachments, found.question) == (50 + AROUND, 100, AROUND + 2)
    assert found.history == sizes[0].text + sizes[1].text + 3
    assert found.total == found.system + found.history + found.attachments + found.question
    assert (found.room, found.over) == (50, False)
    doubled = estimate(path, sizes, model="m", system=50, window=1_000, wanted=800, factor=2.0)
    assert doubled.total == pytest.approx(2 * found.total, abs=4)
    assert (doubled.room, doubled.over) == (800, True)
    unknown = estimate(path, sizes, model=None, system=0, window=None, wanted=None, factor=1.0)
    assert (unknown.over, unknown.room, unknown.system) == (False, 0, 0)


@pytest.mark.parametrize(("window", "total", "over"), [(1_000, 949, False), (1_000, 950, False), (1_000, 951, True)])
def test_an_answer_needs_room(window: int, total: int, over: bool) -> None:
    found = estimate([], [], model="m", system=0, window=window, wanted=None, factor=1.0)
    assert replace(found, history=total).over is over
    assert room_in(400_000, None) == 1_000


def answered(text: str, used: int | None, **more: object) -> Message:
    usage = None if used is None else Usage(input=used)
    return say("assistant", text, **{"endpoint": "here", "model": "m", "usage": usage, **more})


def factor(*path: Message, system: int = 0) -> float | None:
    sizes = sizes_of(with_summary(path), Counts(), lambda _: 10)
    return factor_of(path, sizes, endpoint="here", model="m", system=system)


LONG = say("user", "word " * 500)
COUNTED = tokens.count(LONG.text) + AROUND + 3


class TestFactor:
    def test_what_an_endpoint_reports_is_the_truth(self) -> None:
        assert factor(LONG, answered("Yes.", 2 * COUNTED)) == 2.0
        assert factor(LONG, answered("Yes.", COUNTED)) == 1.0
        assert factor(LONG, answered("Yes.", 2 * (COUNTED + 100 + AROUND)), system=100) == 2.0

    def test_a_refusal_that_gives_its_number_counts_as_well(self) -> None:
        failure = Failure(kind="too_long", message="No.", tokens=3 * COUNTED)
        assert factor(LONG, answered("", None, status="failed", parts=(ErrorPart(failure),))) == 3.0

    def test_the_smallest_of_the_last_ones_counts(self) -> None:
        often = [LONG, answered("Yes.", 9 * COUNTED), LONG, answered("Yes.", 4 * COUNTED)]
        assert factor(*often) == pytest.approx(2.0, rel=0.02), "one that was gone on with reports all its requests"

    @pytest.mark.parametrize(
        "reply",
        [
            answered("Yes.", None),
            answered("Yes.", 0),
            answered("Yes.", 5_000, endpoint="there"),
            answered("Yes.", 5_000, model="other"),
            answered("Yes.", 5_000, status="stopped"),
        ],
    )
    def test_what_says_nothing_of_it_is_passed_over(self, reply: Message) -> None:
        assert factor(LONG, reply) is None

    def test_the_name_that_was_asked_for_counts_like_the_one_that_answered(self) -> None:
        dated = answered("Yes.", 2 * COUNTED, model="m-2026", options=Options(model="m"))
        assert factor(LONG, dated) == 2.0

    def test_little_and_pictures_say_nothing(self) -> None:
        assert factor(say("user", "Hi"), answered("Yes.", 400)) is None
        seen = say("user", "", parts=(MAP, TextPart(LONG.text)))
        assert factor(seen, answered("Yes.", 5 * COUNTED)) is None

    def test_nothing_is_made_of_what_was_told_more_than_now(self) -> None:
        memory = Memory(at=AT + timedelta(hours=1))
        before = answered("Yes.", 5 * COUNTED, memory=memory)
        asked = say("user", LONG.text)
        earlier = answered("No.", 5 * COUNTED)
        assert factor(LONG, before, asked, earlier) is None
        later = replace(earlier, created_at=AT + timedelta(hours=2), usage=Usage(input=2 * COUNTED))
        assert factor(LONG, before, asked, later) == 2.0

    def test_it_keeps_within_bounds(self) -> None:
        assert factor(LONG, answered("Yes.", 10**9)) == 8.0
        assert factor(LONG, answered("Yes.", 1)) == 0.3


def cut(sizes: list[int], *, fixed: int = 0, most: int, aim: int, statuses: str = "") -> tuple[str, int] | None:
    path = talk(*("x" for _ in sizes))
    path = [replace(m, status="streaming") if str(n) in statuses else m for n, m in enumerate(path)]
    found = shortening(path, [Size(n, 0) for n in sizes], fixed=fixed, most=most, aim=aim)
    return None if found is None else (found.message_id, found.left_out)


class TestShortening:
    def test_no_more_is_left_out_than_it_takes(self) -> None:
        assert cut([10, 10, 10, 10, 10], most=40, aim=30) == ("1", 2)
        assert cut([10, 10, 10, 10, 10], most=30, aim=29) == ("1", 2), "not all but the question"
        assert cut([10, 10, 10, 10, 10, 10, 10], most=60, aim=30) == ("3", 4)
        assert cut([10, 10, 10, 10, 10], fixed=20, most=40, aim=40) == ("3", 4)

    def test_what_fits_is_enough_where_the_aim_is_out_of_reach(self) -> None:
        assert cut([10, 10, 10, 10, 35], most=40, aim=30) == ("3", 4)

    def test_a_question_that_is_too_long_alone_cannot_be_helped(self) -> None:
        assert cut([10, 10, 50], most=40, aim=30) is None
        assert cut([50], most=40, aim=30) is None, "there is nothing to leave out"

    def test_an_answer_that_is_being_written_is_not_cut_behind(self) -> None:
        assert cut([10, 90, 10, 90, 10], most=40, aim=30, statuses="3") is None

    @given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.integers(0, 30), st.integers(0, 300))
    def test_what_follows_fits(self, sizes: list[int], fixed: int, most: int) -> None:
        if len(sizes) % 2 == 0:
            sizes = sizes[1:]
        found = cut(sizes, fixed=fixed, most=most, aim=most // 2)
        if found is None:
            assert len(sizes) == 1 or fixed + sizes[-1] > most
        else:
            assert fixed + sum(sizes[found[1] :]) <= most
            assert found[1] % 2 == 0, "it begins with a question"

    def test_it_goes_on_from_where_it_was_cut_before(self) -> None:
        path = talk(*"abcdefg")
        path[1] = replace(path[1], memory=Memory(summary="s", at=AT))
        found = shortening(path, [Size(10, 0)] * 7, fixed=0, most=35, aim=30)
        assert found is not None
        assert (found.message_id, found.left_out) == ("3", 2)


def test_a_summary_is_counted_with_the_question_it_goes_before() -> None:
    path = talk("a", "b", "c")
    path[1] = replace(path[1], memory=Memory(summary="It rained for days. " * 30, at=AT))
    sizes = sizes_of(with_summary(path), Counts(), no_files)
    assert sizes[2].text > 150
    assert [message.id for message in with_summary(path)] == ["0", "1", "2"]
