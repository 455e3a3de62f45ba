"""`plan`: asked for, put right once, printed in the form that is wanted, and kept."""

from __future__ import annotations

import csv
import io
import json

import pytest
from icalendar import Calendar

from tests.cli.conftest import LENGTH, Model, Terminal
from tests.faults.upstream import Play

START = ("--start", "2026-12-01", "--items", "2")
ROWS = [
    {"date": "2026-12-03", "channel": "Blog", "title": "What now?", "summary": "A look ahead."},
    {"date": "2026-12-01", "channel": "LinkedIn", "title": "Hello, all", "summary": "=1+1"},
]
PLANNED = json.dumps({"items": ROWS})
QUESTION = "Items: 2\nFirst day: 2026-12-01"
"""How the first one ends."""


@pytest.fixture
def model(model: Model) -> Model:
    model.default = PLANNED
    return model


async def test_a_plan_is_a_list_that_is_kept(terminal: Terminal, model: Model) -> None:
    ended = await terminal(
        *(
            "plan",
            "AI",
            "in",
            "schools",
            *START,
            "--channels",
            "Blog, LinkedIn",
            "--audience",
            "Teachers",
            "--seed",
            "3",
        )
    )
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "- 2026-12-01, LinkedIn: Hello, all – =1+1",
        "- 2026-12-03, Blog: What now? – A look ahead.",
    ]
    [call] = model.calls
    system, user = call.body["messages"]
    assert (system["role"], "JSON" in system["content"]) == ("system", True)
    assert user["content"].splitlines()[-2:] == ["Channels, and no others: Blog, LinkedIn", "Audience: Teachers"]
    assert (call.body["response_format"], call.body["seed"]) == ({"type": "json_object"}, 3)
    [[question, answer]] = await terminal.stored()
    assert question.text.startswith("Publishing plan: AI in schools")
    assert answer.text == PLANNED


@pytest.mark.parametrize("form", ["table", "json", "csv", "ics"])
async def test_other_forms(terminal: Terminal, form: str) -> None:
    ended = await terminal("plan", "AI in schools", *START, f"--{form}")
    assert (ended.code, ended.err) == (0, "")
    match form:
        case "table":
            assert ended.out.splitlines()[0] == "| Date | Channel | Title | Summary |"
        case "json":
            said = json.loads(ended.out)
            assert (said["topic"], [item["title"] for item in said["items"]]) == (
                "AI in schools",
                ["Hello, all", "What now?"],
            )
        case "csv":
            rows = list(csv.reader(io.StringIO(ended.out)))
            assert rows[1] == ["2026-12-01", "LinkedIn", "Hello, all", "'=1+1"]
        case "ics":
            assert [str(event["summary"]) for event in Calendar.from_ical(ended.out).walk("VEVENT")] == [
                "Hello, all",
                "What now?",
            ]


async def test_what_is_no_plan_is_put_right_once(terminal: Terminal, model: Model) -> None:
    model.answers[QUESTION] = "Of course! First, a blog post."
    ended = await terminal("plan", "AI in schools", *START, "--csv")
    assert (ended.code, len(ended.out.splitlines())) == (0, 3)
    assert "no JSON object" in model.calls[1].question
    [path] = await terminal.stored()
    assert len(path) == 4


async def test_what_cannot_be_put_right_is_told(terminal: Terminal, model: Model) -> None:
    model.default = json.dumps([ROWS[0], {**ROWS[1], "date": "tomorrow"}])
    some = await terminal("plan", "AI in schools", *START)
    assert (some.code, some.out) == (7, "- 2026-12-03, Blog: What now? – A look ahead.\n")
    assert "'tomorrow'" in some.err
    model.default = "No."
    none = await terminal("plan", "AI in schools", *START)
    assert (none.code, none.out) == (1, "")
    assert "no plan" in none.err
    assert len(model.calls) == 4, "asked twice each"


async def test_a_server_without_json_mode_is_asked_without(terminal: Terminal, model: Model) -> None:
    said = b'{"error": {"message": "Unknown parameter: \'response_format\'.", "param": "response_format"}}'
    model.once = Play(said, head="400 Bad Request\r\nContent-Type: application/json")
    ended = await terminal("plan", "AI in schools", *START)
    assert (ended.code, len(ended.out.splitlines())) == (0, 2), ended.err
    assert ["response_format" in call.body for call in model.calls] == [True, False]


async def test_an_answer_that_is_cut_off_is_told(terminal: Terminal, model: Model) -> None:
    model.default = [PLANNED[:40], LENGTH]
    ended = await terminal("plan", "AI in schools", *START)
    assert (ended.code, ended.out, "length limit" in ended.err) == (7, "", True)
    assert len(model.calls) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("x", "--start", "soon"), "YYYY-MM-DD"),
        (("x", "--items", "0"), "1 to 100"),
        (("x", "--csv", "--ics"), "in one way"),
        ((), "TOPIC"),
    ],
)
async def test_wrong_use(terminal: Terminal, model: Model, arguments: tuple[str, ...], says: str) -> None:
    ended = await terminal("plan", *arguments)
    assert (ended.code, ended.out, says.lower() in ended.err.lower()) == (2, "", True), ended.err
    assert model.calls == []


async def test_without_a_key_nothing_is_planned(bare: Terminal) -> None:
    ended = await bare("plan", "x")
    assert (ended.code, "OPENAI_API_KEY" in ended.err) == (3, True)
