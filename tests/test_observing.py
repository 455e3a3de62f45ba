"""One log line for each request, whatever became of it, and never a word of what was said."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from components.state import ConversationState
from components.temporary import BLANK
from services.events import UsageReported
from services.logs import set_up_logging
from services.measures import Measured
from services.observing import Observed, Observers, fields_of, line_of
from services.runtime import Runtime, open_runtime
from services.spending import budget_of
from services.usage import Usage
from tests.conftest import OWNER, OpenRuntime, until, whole_run
from tests.scripted import ScriptedProvider, Step, answer, refusal
from tests.test_budgets import COST, DEAR, USED, kept, opened, told

QUESTION, ANSWER = "Xylophone?", "Zeppelin."


class Lines:
    """What Panelist writes to its log, read back."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The lines of requests, as JSON."""
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [line for line in lines if line.get("event") == "request"]


@pytest.fixture
def lines() -> Iterator[Lines]:
    loggers = [logging.getLogger(room) for room in ("services", "components")]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    set_up_logging("json", "INFO")
    found = Lines()
    [handler] = loggers[0].handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(found.stream)
    yield found
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


async def asked(app: Runtime, text: str = QUESTION) -> None:
    await whole_run(app.chat, await app.chat.send(OWNER, text, options=DEAR))


async def test_a_line_has_what_the_table_has(open_app: OpenRuntime, tmp_path: Path, lines: Lines) -> None:
    app = await opened(open_app, tmp_path, told(ANSWER))
    await asked(app)
    [line], [row] = lines.requests, kept(tmp_path)
    assert line["message"].startswith(
        "chat by model-a at dear: complete, 1000 tokens in (200 cached), 500 out, price $"
    )
    assert (line["level"], line["logger"]) == ("INFO", "services.observing")
    for name in ("endpoint", "model", "kind", "status", "error", "retries", "conversation_id"):
        assert line[name] == row[name]
    assert {name: line[f"{name}_tokens"] for name in ("input", "cached_input", "output", "reasoning")} == {
        "input": USED.input,
        "cached_input": USED.cached_input,
        "output": USED.output,
        "reasoning": USED.reasoning,
    }
    assert line["price_usd"] == pytest.approx(COST / 1e9)
    assert line["cache_hit"] is True
    for name, column in (("queue_s", "queue_s"), ("first_token_s", "first_token_s"), ("duration_s", "total_s")):
        assert line[name] == pytest.approx(row[column], abs=1e-4)
    assert line["tokens_per_s"] == pytest.approx(USED.output / (row["total_s"] - row["first_token_s"]), rel=1e-3)
    for word in (QUESTION, ANSWER):
        assert word[:-1] not in lines.stream.getvalue()


ENDS: dict[str, tuple[list[Step], str, str | None]] = {
    "complete": (answer(ANSWER), "complete", None),
    "cut off": (answer(ANSWER, reason="length"), "truncated", None),
    "filtered": (answer(ANSWER, reason="content_filter"), "filtered", "filtered"),
    "never begun": ([refusal("rate_limit", ANSWER)], "failed", "rate_limit"),
    "broken": ([ANSWER, refusal("server", ANSWER)], "interrupted", "server"),
    "run dry": ([ANSWER], "interrupted", "garbled"),
    "a bug": ([ANSWER, ValueError(ANSWER)], "interrupted", "unexpected"),
}


@pytest.mark.parametrize(("script", "status", "error"), ENDS.values(), ids=ENDS)
async def test_each_end_has_one_line(
    open_app: OpenRuntime, tmp_path: Path, lines: Lines, script: Sequence[Step], status: str, error: str | None
) -> None:
    app = await opened(open_app, tmp_path, script)
    await asked(app)
    [line], [row] = lines.requests, kept(tmp_path)
    assert (line["status"], line["error"]) == (row["status"], row["error"])
    assert line["status"] == status
    if error is not None:
        assert line["error"] == error
    assert line["input_tokens"] is None, "unknown is never 0"


async def test_a_stopped_one_and_a_title_have_theirs(open_app: OpenRuntime, tmp_path: Path, lines: Lines) -> None:
    gate = asyncio.Event()
    app = await opened(
        open_app, tmp_path, [ANSWER, gate], [*answer("A title"), UsageReported(Usage(input=9))], PANELIST_TITLES="on"
    )
    begun = await app.chat.send(OWNER, QUESTION, options=DEAR)
    assert begun.run_id is not None
    run_id = begun.run_id
    await until(lambda: bool((log := app.runs.log_of(run_id)) and log.reply.parts))
    app.chat.stop(OWNER, run_id)
    await whole_run(app.chat, begun)
    assert [(line["kind"], line["status"]) for line in lines.requests] == [("chat", "stopped")]
    provider = app.provider
    assert isinstance(provider, ScriptedProvider)
    provider.scripts.insert(0, answer(ANSWER))
    await asked(app)
    await until(lambda: len(lines.requests) == 3)
    last = lines.requests[-1]
    assert (last["kind"], last["status"]) == ("title", "complete")
    assert len(kept(tmp_path)) == 3


async def test_a_retry_is_counted_in_the_one_line(open_app: OpenRuntime, tmp_path: Path, lines: Lines) -> None:
    again = refusal("server", "Busy.", retry_after_s=0.0)
    app = await opened(open_app, tmp_path, [again], told(ANSWER), PANELIST_TRIES="2")
    await asked(app)
    [line] = lines.requests
    assert (line["status"], line["retries"]) == ("complete", 1)


async def test_what_was_never_sent_has_none(open_app: OpenRuntime, tmp_path: Path, lines: Lines) -> None:
    app = await opened(open_app, tmp_path, told(ANSWER))
    state = ConversationState(app.chat, app.connections, OWNER, app.temporary)
    await state.start()
    assert lines.requests == []
    state.close()


async def test_a_temporary_chat_is_not_named(open_app: OpenRuntime, tmp_path: Path, lines: Lines) -> None:
    app = await opened(open_app, tmp_path, answer(ANSWER))
    state = ConversationState(app.chat, app.connections, OWNER, app.temporary)
    await state.start()
    await state.open(BLANK)
    await state.send(QUESTION, to=BLANK)
    await until(lambda: len(lines.requests) == 1)
    assert lines.requests[0]["conversation_id"] is None
    assert "temporary" not in lines.stream.getvalue()
    state.close()


async def test_what_a_crash_cut_short_has_one_at_the_next_start(
    open_app: OpenRuntime, tmp_path: Path, lines: Lines
) -> None:
    gate = asyncio.Event()
    app = await opened(open_app, tmp_path, [ANSWER, gate])
    begun = await app.chat.send(OWNER, QUESTION, options=DEAR)
    assert begun.run_id is not None
    run_id = begun.run_id
    await until(lambda: bool((log := app.runs.log_of(run_id)) and log.reply.parts))
    await until(lambda: _stored(app, run_id))
    await app.store.close()  # as if it were killed: nothing can be written from here on
    again = await open_runtime(app.settings, provider=ScriptedProvider())
    [line], [row] = lines.requests, kept(tmp_path)
    assert (line["status"], line["endpoint"], line["duration_s"]) == ("interrupted", "dear", None)
    assert (row["status"], row["endpoint"]) == ("interrupted", "dear")
    await again.close()
    gate.set()


async def test_what_a_crash_lost_is_told_to_all_at_the_next_start(
    open_app: OpenRuntime, tmp_path: Path, lines: Lines
) -> None:
    gate = asyncio.Event()
    app = await opened(open_app, tmp_path, [ANSWER, gate], [ANSWER, gate], PANELIST_METRICS="on")
    await app.chat.budgets.put(OWNER, budget_of("day", "", 5))
    room = await app.temporary.open(OWNER)
    await room.chat.send(OWNER, QUESTION, options=DEAR)
    begun = await app.chat.send(OWNER, QUESTION, options=DEAR)
    assert begun.run_id is not None
    await until(lambda: _stored(app, begun.run_id or ""))
    await app.store.close()  # as if it were killed: nothing can be written from here on
    seen: list[Observed] = []
    again = await open_runtime(app.settings, provider=ScriptedProvider(), observer=seen.append)
    first, second = lines.requests
    assert [one["conversation_id"] for one in (first, second)] == [begun.conversation.id, None]
    assert (second["status"], second["endpoint"], second["duration_s"]) == ("interrupted", "dear", None)
    assert second["price_usd"] == pytest.approx(0.16, rel=1e-2), "the most that it could have cost"
    assert {row["id"] for row in kept(tmp_path)} == {one.measured.id for one in seen}
    assert [one.endpoint.name for one in seen if one.endpoint] == ["dear", "dear"]
    counted, _ = await again.read_metrics(0, "text/plain")
    assert counted.count(b'status="interrupted"} 1.0') == 2
    await again.close()
    gate.set()


async def _stored(app: Runtime, run_id: str) -> bool:
    return bool(await app.store.events(OWNER, run_id))


MEASURED = Measured(
    id="r",
    at=datetime(2026, 11, 1, 12, tzinfo=UTC),
    endpoint="local",
    model="tiny",
    kind="chat",
    status="complete",
    error=None,
    usage=None,
    price=None,
    queue_s=None,
    first_token_s=None,
    total_s=None,
)


def test_a_name_from_a_server_stays_on_its_line() -> None:
    hostile = Measured(**{**_values(MEASURED), "model": 'a\nERROR services: "forged"\u2028\x1b[31m' + "x" * 999})
    assert line_of(hostile).splitlines() == [line_of(hostile)]
    assert "\x1b" not in line_of(hostile)
    assert len(str(fields_of(hostile)["model"])) == 200


def test_unknown_is_said_to_be_unknown() -> None:
    assert line_of(MEASURED) == "chat by tiny at local: complete, price unknown"
    fields = fields_of(MEASURED)
    assert {name for name, value in fields.items() if value is None} == {
        *("error", "input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens", "price_usd"),
        *("queue_s", "first_token_s", "duration_s", "tokens_per_s", "cache_hit", "conversation_id"),
    }


def test_an_observer_that_fails_keeps_none_from_the_others(lines: Lines) -> None:
    seen: list[Observed] = []
    observers = Observers()
    observers.add(lambda observed: 1 / 0)  # type: ignore[arg-type,return-value]
    observers.add(seen.append)
    observed = Observed(owner=OWNER, measured=MEASURED, endpoint=None, asked_model="tiny")
    observers.tell(observed)
    assert seen == [observed]
    assert "ZeroDivisionError" in lines.stream.getvalue()


def test_a_key_in_a_name_is_masked(lines: Lines) -> None:
    secret = "sk-" + "a1" * 20
    Observers().tell(
        Observed(
            owner=OWNER,
            measured=Measured(**{**_values(MEASURED), "model": secret, "conversation_id": "01KA" + "B2" * 11}),
            endpoint=None,
            asked_model=secret,
        )
    )
    [line] = lines.requests
    assert "a1a1" not in lines.stream.getvalue()
    assert line["conversation_id"] == "01KA" + "B2" * 11, "an id is no key"


def _values(measured: Measured) -> dict[str, Any]:
    return {name: getattr(measured, name) for name in measured.__dataclass_fields__}
