"""Publishing plans: whatever a model answers, a plan holds only what can be used, and says what cannot."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from services.errors import InputError
from services.plans import HEAD, Item, Wish, again, bullets, calendar, cells, plain, question_of, read, sheet
from services.sheets import markdown

START = date(2026, 12, 1)
WISH = Wish(topic="AI in schools", items=2, start=START)
ONE = {"date": "2026-12-03", "channel": "Blog", "title": "What now?", "summary": "A look ahead."}
TWO = {"date": "2026-12-01", "channel": "Letter", "title": "Hello"}
ITEMS = (
    Item(date=START, channel="Letter", title="Hello"),
    Item(date=date(2026, 12, 3), channel="Blog", title="What now?", summary="A look ahead."),
)
HOSTILE = Item(date=START, channel="=1+1", title='=HYPERLINK("http://x")|', summary="a\u2028b, “c”")


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"items": [ONE, TWO]}),
        json.dumps([ONE, TWO], indent=2),
        f"Here is your plan:\n\n```json\n{json.dumps({'plan': [ONE, TWO]})}\n```\nEnjoy {{it}}!",
        json.dumps(
            {"Topic": "x", "Items": [{name.title(): value for name, value in row.items()} for row in (ONE, TWO)]}
        ),
        json.dumps({"items": [{**ONE, "date": "2026-12-03T10:00:00Z"}, {**TWO, "title": " Hello\n", "more": 1}]}),
    ],
)
def test_a_plan_is_found_whatever_stands_around_it(text: str) -> None:
    assert read(text, WISH).items == ITEMS
    assert read(text, WISH).problems == ()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({**ONE, "date": "soon"}, "Item 1 has the date 'soon', which is not written as YYYY-MM-DD."),
        ({**ONE, "date": None}, "which is not written"),
        ({**ONE, "date": "2026-11-30"}, "and the first day is 2026-12-01."),
        ({**ONE, "date": "2099-01-01"}, "the first day"),
        ({**ONE, "title": ""}, "Item 1 has no title."),
        ({**ONE, "title": 7}, "has no title"),
        ({**ONE, "channel": " "}, "has no channel"),
        ("a text", "is no object"),
    ],
)
def test_what_is_wrong_with_an_item_is_said(row: object, says: str) -> None:
    plan = read(json.dumps({"items": [row, TWO]}), WISH)
    assert plan.items == ITEMS[:1]
    [problem] = plan.problems
    assert says in problem
    assert problem in again(plan.problems)


def test_channels_are_those_that_were_named() -> None:
    wish = Wish(topic="x", items=1, start=START, channels=("Blog", "LinkedIn"))
    [item] = read(json.dumps([{**ONE, "channel": "linkedin"}]), wish).items
    assert item.channel == "LinkedIn"
    assert "none of Blog, LinkedIn" in read(json.dumps([{**ONE, "channel": "TikTok"}]), wish).problems[0]
    assert "Channels, and no others: Blog, LinkedIn" in question_of(wish)


def test_another_number_of_items_is_a_problem() -> None:
    assert read(json.dumps([ONE]), WISH).problems == ("There are 1 items, and 2 are wanted.",)


@pytest.mark.parametrize("text", ["", "I cannot do that.", "{", "[]", "{}", '{"items": []}', "[" * 9_999, "[1, 2]"])
def test_what_is_no_plan_says_so(text: str) -> None:
    assert read(text, WISH).items == ()
    assert read(text, WISH).problems == ("There is no JSON object with a list of items in it.",)


@given(
    st.text()
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["items", "date", "title"]), x),
    ).map(json.dumps)
)
def test_anything_can_be_read(text: str) -> None:
    plan = read(text, WISH)
    assert plan.items or plan.problems


@pytest.mark.parametrize(
    "given_",
    [
        {"topic": " "},
        {"items": 0},
        {"items": 101},
        {"channels": tuple(map(str, range(21)))},
        {"channels": ("x" * 201,)},
    ],
)
def test_what_is_no_wish_is_refused(given_: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Wish(**{"topic": "x", "items": 2, "start": START, **given_})


def test_as_a_list_a_table_and_json() -> None:
    assert bullets(ITEMS).splitlines() == [
        "- 2026-12-01, Letter: Hello",
        "- 2026-12-03, Blog: What now? – A look ahead.",
    ]
    assert markdown(HEAD, [cells(HOSTILE)]).splitlines()[2].count(" | ") == 3
    assert plain(ITEMS)[0] == {"date": "2026-12-01", "channel": "Letter", "title": "Hello", "summary": ""}


def test_no_cell_of_a_csv_is_a_formula() -> None:
    head, row = csv.reader(io.StringIO(sheet([HOSTILE])))
    assert head == ["date", "channel", "title", "summary"]
    assert row[:3] == ["2026-12-01", "'=1+1", "'" + HOSTILE.title]


def test_a_calendar_that_others_can_read() -> None:
    data = calendar([*ITEMS, HOSTILE], "AI in schools", "conversation", datetime(2026, 11, 1, tzinfo=UTC))
    assert data == calendar([*ITEMS, HOSTILE], "AI in schools", "conversation", datetime(2026, 11, 1, tzinfo=UTC))
    assert all(len(line) <= 75 for line in data.split(b"\r\n"))
    events = Calendar.from_ical(data).walk("VEVENT")
    assert [event["dtstart"].dt for event in events] == [START, date(2026, 12, 3), START]
    assert [str(event["summary"]) for event in events] == ["Hello", "What now?", HOSTILE.title]
    assert len({event["uid"] for event in events}) == 3
    assert events[1]["dtend"].dt == date(2026, 12, 4)
