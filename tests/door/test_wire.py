"""What is said over the socket is what was meant, or nothing."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.attachments import Piece, Progress
from services.conversation import Conversation
from services.door import Answer, Happened, Question, Said, ToolCall
from services.door.wire import (
    MAX_PATH,
    OtherVersionError,
    error_line,
    error_of,
    is_private,
    line_of,
    places,
    read_line,
    value_of,
)
from services.errors import Failure, InputError, ModelError, NotFoundError, PanelistError, StorageError
from services.events import (
    Completing,
    KeyRefused,
    ModelNamed,
    ReasoningDelta,
    ReasoningEnded,
    ReasoningStarted,
    RequestSent,
    RetryScheduled,
    RunEvent,
    RunFinished,
    StepFinished,
    StepStarted,
    TextDelta,
    TokensScored,
    ToolCallRequested,
    UsageReported,
)
from services.messages import AttachmentPart, ProviderMetadata
from services.options import Options
from services.probabilities import Token
from services.settings import read_settings
from services.usage import Usage

FAILED = Failure(kind="rate_limit", message="Wait.", retry_after_s=2.0, status_code=429, detail="…")
ANSWER = Answer(
    conversation_id="c",
    message_id="m",
    status="interrupted",
    text="Half \ud83d",
    reasoning=None,
    endpoint="e",
    model="m",
    finish_reason="length",
    usage=Usage(input=1, output=2),
    price=12,
    first_token_s=0.5,
    total_s=2.0,
    tool_calls=(ToolCall("1", "look", "{"),),
    failure=FAILED,
    request_id="r",
    problems=("A step was left out.",),
    warning=None,
)
VALUES: list[tuple[Any, object]] = [
    (Answer, ANSWER),
    (Question, Question(text="Why?\n\x00é🙂", attachments=(("h", "n"),), options=Options(stop=("a", "\n"), seed=1))),
    (Piece, Piece(id="1", name="n", size=3, offset=0, data=b"\0\xff\n")),
    (Progress, Progress(3, AttachmentPart("h", "n", "text/plain", 3))),
    (tuple[Said, ...], (Said("user", "Why?", "complete", "m", ("a.txt",)),)),
    (str | None, None),
    (str | None, "x"),
    (
        Conversation,
        Conversation(
            id="c",
            title="T",
            title_source="model",
            head_id=None,
            options=Options(temperature=1.0),
            created_at=datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
            updated_at=datetime(2026, 1, 2, tzinfo=UTC),
            tags=("a",),
        ),
    ),
]
EVENTS = (
    StepStarted("e", "m"),
    ModelNamed("m", None, "r"),
    ReasoningStarted(1.5),
    ReasoningEnded(2),
    ReasoningDelta("Hm", ProviderMetadata("o", "{}")),
    TextDelta("So"),
    TokensScored((Token("So", -0.1, (("Thus", -2.5),)),)),
    ToolCallRequested("1", "n", "{"),
    UsageReported(Usage(input=1)),
    StepFinished("stop", "stop"),
    RetryScheduled(2, 3, 1.5, FAILED),
    RunFinished("failed", FAILED),
    RequestSent("0f"),
    KeyRefused("old", FAILED),
    Completing(),
)


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=lambda one: getattr(one, "__name__", ""))
def test_a_value_comes_through_as_it_is(kind: Any, value: object) -> None:
    assert value_of(kind, read_line(line_of({"done": value}))["done"]) == value


def test_no_event_is_forgotten() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(RunEvent))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_every_event_comes_through(event: Any) -> None:
    happened = Happened(7, (event,))
    assert value_of(Happened, read_line(line_of(happened))) == happened


@given(st.text())
def test_any_text_is_one_line(text: str) -> None:
    line = line_of({"text": text})
    assert line.count(b"\n") == 1
    assert read_line(line) == {"text": text}


@pytest.mark.parametrize("kind", [Answer, Happened, Options, Piece, Progress, tuple[Said, ...], int, datetime])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["kind", "upto", "events", "id"]), inner),
    )
)
def test_what_is_no_value_is_of_another_version(kind: Any, data: object) -> None:
    with suppress(OtherVersionError):
        assert line_of(value_of(kind, data))


@pytest.mark.parametrize("error", [InputError("A."), NotFoundError("B."), StorageError("C."), ModelError(FAILED)])
def test_an_error_is_of_its_kind_again(error: PanelistError) -> None:
    again = error_of(read_line(error_line(error)))
    assert (type(again), str(again)) == (type(error), str(error))
    if isinstance(error, ModelError):
        assert isinstance(again, ModelError)
        assert again.failure == error.failure
    assert error_of({"done": None}) is None


def test_each_database_has_a_place_of_its_own(tmp_path: Path) -> None:
    def found(**environ: str) -> tuple[Path, ...]:
        return places(read_settings(environ, tmp_path))

    assert found()[0] == tmp_path / "data" / "door" / "panelist.sock"
    assert found()[0] == found(DATABASE_URL=f"sqlite:///{tmp_path / 'data' / 'panelist.db'}")[0], "another name of it"
    others = found(DATABASE_URL="sqlite:///other.db"), found(DATABASE_URL="postgresql://ada:secret@host/db")
    assert len({found(), *others}) == 3
    assert "secret" not in str(others)


def test_a_long_path_gives_way_to_a_short_one(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    [only] = places(read_settings({"PANELIST_DATA_DIR": str(deep)}, tmp_path))
    other = places(read_settings({"PANELIST_DATA_DIR": str(deep / "y")}, tmp_path))
    assert len(str(only)) <= MAX_PATH
    assert other != (only,)


def test_a_folder_that_others_can_enter_is_not_private(tmp_path: Path) -> None:
    folder = tmp_path / "door"
    assert not is_private(folder)
    folder.mkdir(mode=0o700)
    assert is_private(folder)
    (tmp_path / "link").symlink_to(folder)
    assert not is_private(tmp_path / "link")
    folder.chmod(0o750)
    assert not is_private(folder)
