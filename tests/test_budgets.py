"""Measures and budgets through the doors: what is kept of each request, and what stops before it costs too much."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from components.state import ConversationState
from components.temporary import BLANK
from services.budgets import ANSWER_TOKENS
from services.endpoints import Endpoint
from services.errors import InputError
from services.events import StepFinished, UsageReported
from services.options import Options
from services.pictures import tokens_of
from services.prices import NANOS
from services.runtime import Runtime
from services.spending import Budget, budget_of
from services.usage import Usage
from tests.components.test_state import becomes
from tests.conftest import OWNER, OpenRuntime, until, whole_run
from tests.pictures import png
from tests.scripted import ScriptedProvider, Step, answer, refusal

PRICED = """
[[endpoint]]
name = "dear"
base_url = "http://127.0.0.1:9/v1"
price = { input = 1, output = 10 }
"""
USED = Usage(input=1_000, cached_input=200, output=500, reasoning=100)
COST = 1_000 * 1_000 + 500 * 10_000
DEAR = Options(endpoint="dear", model="model-a")


def told(*pieces: str, usage: Usage = USED) -> list[Step]:
    return [*pieces, UsageReported(usage), StepFinished("stop", "stop")]


async def opened(open_app: OpenRuntime, tmp_path: Path, *scripts: Sequence[Step], **environ: str) -> Runtime:
    (tmp_path / "endpoints.toml").write_text(PRICED, "utf-8")
    environ = {"PANELIST_ENDPOINTS": "endpoints.toml", **environ}
    return await open_app(ScriptedProvider(*scripts), **environ)


def kept(tmp_path: Path) -> list[dict[str, Any]]:
    """Return what is kept of all requests, in the order in which they were made."""
    with sqlite3.connect(tmp_path / "data" / "panelist.db") as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute("SELECT * FROM requests ORDER BY at, id")]
        assert database.execute("SELECT count(*) FROM reservations").fetchone()[0] == 0
    database.close()
    return rows


async def test_every_request_is_measured(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await opened(
        open_app, tmp_path, told("Because."), [refusal("rate_limit")], ["half", refusal("timeout")], answer("x")
    )
    here = await whole_run(app.chat, await app.chat.send(OWNER, "Why?", options=DEAR))
    for question in ("refused", "broken", "untold"):
        await whole_run(app.chat, await app.chat.send(OWNER, question, conversation_id=here.conversation.id))
    first, refused, broken, untold = kept(tmp_path)
    assert (first["endpoint"], first["model"], first["kind"], first["status"]) == (
        "dear",
        "model-a",
        "chat",
        "complete",
    )
    assert (first["input"], first["cached_input"], first["output"], first["reasoning"]) == (1_000, 200, 500, 100)
    assert (first["price"], first["error"], first["retries"]) == (COST, None, 0)
    assert 0 <= first["queue_s"] <= first["first_token_s"] <= first["total_s"]
    assert (refused["status"], refused["error"], refused["price"], refused["input"]) == (
        "failed",
        "rate_limit",
        0,
        None,
    )
    assert (broken["status"], broken["error"], broken["input"]) == ("interrupted", "timeout", None)
    assert broken["price"] > 0, "it was asked, so it costs about what was sent and what came"
    assert (untold["status"], untold["input"]) == ("complete", None)
    assert {row["conversation_id"] for row in kept(tmp_path)} == {here.conversation.id}
    assert "Why?" not in str(kept(tmp_path))


async def test_retries_are_counted_in_one_row(open_app: OpenRuntime, tmp_path: Path) -> None:
    scripts = [[refusal("server", retry_after_s=0.01)], [refusal("server", retry_after_s=0.01)], told("Because.")]
    app = await opened(open_app, tmp_path, *scripts, PANELIST_TRIES="3")
    await whole_run(app.chat, await app.chat.send(OWNER, "Why?", options=DEAR))
    [row] = kept(tmp_path)
    assert (row["retries"], row["status"], row["price"]) == (2, "complete", COST)


async def test_titles_are_measured_too(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await opened(open_app, tmp_path, told("Because."), told("On rain"), PANELIST_TITLES="on")
    await whole_run(app.chat, await app.chat.send(OWNER, "Why?", options=DEAR))
    await until(lambda: [row["kind"] for row in kept(tmp_path)] == ["chat", "title"])
    assert [row["price"] for row in kept(tmp_path)] == [COST, COST]


async def test_an_answer_that_cannot_be_asked_for_measures_nothing(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await opened(open_app, tmp_path)
    there = await whole_run(app.chat, await app.chat.send(OWNER, "Why?", options=Options(endpoint="gone")))
    assert there.path[-1].status == "failed"
    assert kept(tmp_path) == []


async def test_of_a_temporary_chat_only_measures_are_kept(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await opened(open_app, tmp_path, told("Because."))
    await app.chat.budgets.put(OWNER, budget_of("day", "", 1))
    state = ConversationState(app.chat, app.connections, OWNER, app.temporary)
    await state.start()
    await state.open(BLANK)
    state._choosing = DEAR
    await state.send("Why?", to=BLANK)
    await becomes(state, lambda: state.run_id is None and bool(state.path))
    await until(lambda: len(kept(tmp_path)) == 1)
    [row] = kept(tmp_path)
    assert (row["conversation_id"], row["price"], row["status"]) == (None, COST, "complete")
    state.close()


async def test_a_budget_stops_with_a_sentence_and_keeps_the_question(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await opened(open_app, tmp_path, told("Because."), told("Still."))
    await app.chat.budgets.put(OWNER, budget_of("day", "", "0.164"))
    here = await whole_run(app.chat, await app.chat.send(OWNER, "Why?", options=DEAR))
    assert here.path[-1].status == "complete"
    again = await whole_run(app.chat, await app.chat.send(OWNER, "And now?", conversation_id=here.conversation.id))
    refused = again.path[-1]
    assert (refused.status, again.path[-2].text) == ("failed", "And now?")
    [error] = [part for part in refused.parts if part.kind == "error"]
    assert (error.failure.kind, error.failure.next_step) == ("budget", "spend")
    assert error.failure.message.startswith(
        "This answer could cost up to $0.16, and $0.158 of the budget of $0.164 for"
    )
    assert len(kept(tmp_path)) == 1, "nothing was sent"
    beyond = await app.chat.retry(OWNER, here.conversation.id, refused.id, beyond=True)
    assert (await whole_run(app.chat, beyond)).path[-1].text == "Still."


async def test_what_a_budget_does_not_let_go_on_keeps_its_text(open_app: OpenRuntime, tmp_path: Path) -> None:
    cut: list[Step] = ["Half ", UsageReported(USED), StepFinished("length", "length")]
    app = await opened(open_app, tmp_path, cut, told("and half."))
    here = await whole_run(app.chat, await app.chat.send(OWNER, "Why?", options=DEAR))
    await app.chat.budgets.put(OWNER, budget_of("conversation", "", "0.01"))
    last = here.path[-1].id
    refused = (await whole_run(app.chat, await app.chat.go_on(OWNER, here.conversation.id, last))).path[-1]
    assert (refused.text, refused.status) == ("Half ", "interrupted"), "it can still be gone on with"
    assert [part.failure.kind for part in refused.parts if part.kind == "error"] == ["budget"]
    beyond = await app.chat.go_on(OWNER, here.conversation.id, last, beyond=True)
    answered = (await whole_run(app.chat, beyond)).path[-1]
    assert (answered.text, answered.status) == ("Half and half.", "complete")


async def test_answers_side_by_side_are_reserved_each(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await opened(open_app, tmp_path, told("Because."))
    await app.chat.budgets.put(OWNER, budget_of("day", "", "0.164"))
    here = await app.chat.send(OWNER, "Why?", options=replace(DEAR, answers=2))
    await until(lambda: not app.chat.writing(OWNER, here.conversation.id))
    one, other = (await app.chat.open(OWNER, here.conversation.id)).together
    assert (one.status, other.status) == ("complete", "failed")
    assert [part.failure.kind for part in other.parts if part.kind == "error"] == ["budget"]
    assert len(kept(tmp_path)) == 1, "for the other there was no room, and nothing was sent"


async def test_two_at_once_do_not_overspend(open_app: OpenRuntime, tmp_path: Path) -> None:
    gate = asyncio.Event()
    app = await opened(open_app, tmp_path, [gate, *told("Because.")])
    await app.chat.budgets.put(OWNER, budget_of("day", "", "0.20"))
    both = await asyncio.gather(*(app.chat.send(OWNER, "Why?", options=DEAR) for _ in range(2)))
    await until(lambda: sum(bool(app.chat.writing(OWNER, one.conversation.id)) for one in both) == 1)
    gate.set()
    statuses = sorted([(await whole_run(app.chat, one)).path[-1].status for one in both])
    assert statuses == ["complete", "failed"]


async def test_a_picture_is_reserved_and_priced_by_the_rules_of_its_model(
    open_app: OpenRuntime, tmp_path: Path
) -> None:
    app = await opened(open_app, tmp_path, answer("A map."))
    attached = await app.store.add_attachment(OWNER, "map.png", "image/png", png(1024, 1024))
    picture = tokens_of("gpt-4o-mini", (1024, 1024)) * 1_000
    worst = picture + ANSWER_TOKENS * 10_000
    await app.chat.budgets.put(OWNER, Budget(scope="day", amount=worst))
    asking = partial(app.chat.send, OWNER, "Where?", attachments=[(attached.sha256, "map.png")])
    options = replace(DEAR, model="gpt-4o-mini")
    refused = (await whole_run(app.chat, await asking(options=options))).path[-1]
    assert [part.failure.kind for part in refused.parts if part.kind == "error"] == ["budget"], "the words cost, too"
    await app.chat.budgets.put(OWNER, Budget(scope="day", amount=worst + 100_000))
    here = await whole_run(app.chat, await asking(options=options))
    assert here.path[-1].text == "A map."
    [row] = kept(tmp_path)
    assert row["input"] is None, "the endpoint did not tell"
    assert picture < row["price"] < picture + 200_000
    again = await whole_run(app.chat, await app.chat.send(OWNER, "And here?", conversation_id=here.conversation.id))
    [error] = [part for part in again.path[-1].parts if part.kind == "error"]
    assert error.failure.message.startswith("This answer could cost up to $0.186"), "the picture is sent again"


class HiddenModels(ScriptedProvider):
    """Lists no models the first time it is asked."""

    hidden = True

    async def list_models(self, endpoint: Endpoint) -> list[str]:
        if self.hidden:
            self.hidden = False
            raise refusal("server", "It lists no models now.")
        return await super().list_models(endpoint)


async def test_with_a_budget_nothing_is_asked_of_a_model_that_nobody_knows(
    open_app: OpenRuntime, tmp_path: Path
) -> None:
    provider = HiddenModels(told("Because."))
    (tmp_path / "endpoints.toml").write_text(PRICED, "utf-8")
    app = await open_app(provider, PANELIST_ENDPOINTS="endpoints.toml")
    await app.chat.budgets.put(OWNER, budget_of("day", "", "0.001"))
    here = await whole_run(app.chat, await app.chat.send(OWNER, "Why?", options=Options(endpoint="dear")))
    [error] = [part for part in here.path[-1].parts if part.kind == "error"]
    assert (error.failure.kind, error.failure.message) == ("server", "It lists no models now.")
    again = await whole_run(app.chat, await app.chat.retry(OWNER, here.conversation.id, here.path[-1].id))
    [error] = [part for part in again.path[-1].parts if part.kind == "error"]
    assert error.failure.kind == "budget", "now it is known what it could cost"
    assert provider.requests == []
    beyond = await app.chat.retry(OWNER, here.conversation.id, again.path[-1].id, beyond=True)
    assert (await whole_run(app.chat, beyond)).path[-1].text == "Because."


async def test_a_repeated_request_in_a_temporary_chat_reserves_once(open_app: OpenRuntime, tmp_path: Path) -> None:
    gate = asyncio.Event()
    app = await opened(open_app, tmp_path, [gate, *told("Because.")])
    await app.chat.budgets.put(OWNER, budget_of("day", "", 5))
    room = await app.temporary.open(OWNER)

    async def reserved() -> int:
        [standing] = await app.chat.budgets.standings(OWNER)
        return standing.reserved

    first = await room.chat.send(OWNER, "Why?", options=DEAR, request_key="once")
    once = await reserved()
    again = await room.chat.send(OWNER, "Why?", options=DEAR, request_key="once")
    assert (again.conversation.id, await reserved()) == (first.conversation.id, once)
    gate.set()
    await whole_run(room.chat, first)
    assert await reserved() == 0 < once
    assert len(kept(tmp_path)) == 1


async def test_with_a_budget_an_answer_has_an_end(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await opened(open_app, tmp_path, told("Because."), told("Because."), told("Because."))
    provider = app.provider
    assert isinstance(provider, ScriptedProvider)
    await whole_run(app.chat, await app.chat.send(OWNER, "Why?", options=DEAR))
    await app.chat.budgets.put(OWNER, budget_of("month", "", 5))
    here = await whole_run(app.chat, await app.chat.send(OWNER, "Why?", options=DEAR))
    assert here.conversation.options.max_output_tokens is None, "it is for this answer, not for the conversation"
    free = await app.chat.send(OWNER, "Why?", options=Options(model="model-a"))
    await whole_run(app.chat, free)
    sent = [request.options.max_output_tokens for request in provider.requests]
    assert sent == [None, ANSWER_TOKENS, None], "nobody knows a price for the last"


async def test_marks_that_are_passed_are_told_once(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await opened(open_app, tmp_path, *(told("Because.") for _ in range(4)))
    state = ConversationState(app.chat, app.connections, OWNER, app.temporary)
    await state.start()
    said: list[str] = []
    state.param.watch(lambda event: said.append(event.new.text) if event.new else None, "notice")
    await app.chat.budgets.put(OWNER, Budget(scope="day", amount=2 * COST))
    here = await app.chat.send(OWNER, "Why?", options=DEAR)
    here = await whole_run(app.chat, here)
    assert here.path[-1].status == "failed", "its worst is more"
    for so_many in (1, 2, 2):
        again = await app.chat.retry(OWNER, here.conversation.id, here.path[-1].id, beyond=True)
        here = await whole_run(app.chat, again)
        await until(partial(lambda count: len(said) == count, so_many))
    assert said == [
        "Today: 50 % of the budget is used ($0.006 of $0.012).",
        "Today: the budget is used up ($0.012 of $0.012). New questions are stopped until you raise it.",
    ]
    state.close()


@pytest.mark.parametrize(
    ("scope", "name", "dollars", "says"),
    [
        ("year", "", "5", "A budget is for a"),
        ("endpoint", "", "5", "Choose the endpoint"),
        ("day", "", "much", "is an amount in dollars"),
        ("day", "", "-1", "is an amount in dollars"),
        ("day", "", "nan", "is an amount in dollars"),
        ("day", "", "1e300", "is an amount in dollars"),
    ],
)
def test_budgets_that_cannot_be(scope: str, name: str, dollars: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        budget_of(scope, name, dollars)


def test_budgets_as_people_write_them() -> None:
    assert budget_of("day", "ignored", " $1,000.50 ") == Budget(scope="day", amount=1_000_500_000_000)
    assert budget_of("endpoint", "dear", 0) == Budget(scope="endpoint", name="dear", amount=0 * NANOS)
