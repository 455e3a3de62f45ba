"""The one retry policy, and endpoints that rest."""

from __future__ import annotations

import asyncio

import pytest

from services.endpoints import Endpoint
from services.errors import Failure
from services.events import RetryScheduled, RunEvent, RunFinished, StepStarted, TextDelta
from services.loop import Deadlines, run_loop
from services.providers.base import ModelRequest
from services.retries import MAX_WAIT_S, REST_AFTER, REST_S, EndpointHealth, wait_before_retry
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.scripted import ScriptedProvider, answer, refusal

REQUEST = ModelRequest(endpoint=Endpoint(name="here", base_url="http://127.0.0.1:9/v1"), model="m", messages=())
NOW = {"retry_after_s": 0.0}


def failure(kind: str, **more: float) -> Failure:
    return Failure(kind=kind, message="It failed.", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "again"),
    [
        ("rate_limit", True),
        ("server", True),
        ("timeout", True),
        ("unreachable", True),
        ("quota", False),
        ("auth", False),
        ("forbidden", False),
        ("not_found", False),
        ("bad_request", False),
        ("too_long", False),
        ("filtered", False),
        ("garbled", False),
        ("storage", False),
        ("unexpected", False),
    ],
)
def test_only_what_passes_by_itself_is_tried_again(kind: str, again: bool) -> None:
    assert (wait_before_retry(failure(kind), 1) is not None) is again


def test_waits_grow_with_jitter_and_end_after_three_tries() -> None:
    waits = [wait_before_retry(failure("server"), attempt, draw=lambda: 0.5) for attempt in (1, 2, 3)]
    assert waits == [1.25, 2.5, None]
    assert wait_before_retry(failure("server"), 1, draw=lambda: 0.0) == 1.0
    assert wait_before_retry(failure("server"), 1, tries=1) is None


def test_the_servers_own_wait_is_honoured_up_to_a_limit() -> None:
    assert wait_before_retry(failure("rate_limit", retry_after_s=12.0), 1) == 12.0
    assert wait_before_retry(failure("rate_limit", retry_after_s=0.0), 1) == 0.0
    assert wait_before_retry(failure("rate_limit", retry_after_s=MAX_WAIT_S + 1), 1) is None


async def events_of(provider: ScriptedProvider, **options: object) -> list[RunEvent]:
    return [event async for event in run_loop(provider, REQUEST, Deadlines(), **options)]  # type: ignore[arg-type]


async def test_a_call_is_made_again_and_each_try_is_told() -> None:
    provider = ScriptedProvider([refusal(**NOW)], [refusal(**NOW)], answer("Third time lucky"))
    events = await events_of(provider, tries=3)
    retries = [event for event in events if isinstance(event, RetryScheduled)]
    assert [(retry.attempt, retry.of) for retry in retries] == [(2, 3), (3, 3)]
    assert sum(isinstance(event, StepStarted) for event in events) == 3
    assert events[-1] == RunFinished("complete")


async def test_after_the_last_try_the_last_failure_stands() -> None:
    provider = ScriptedProvider(*[[refusal(message=f"No {n}.", **NOW)] for n in (1, 2, 3)])
    end = (await events_of(provider, tries=3))[-1]
    assert isinstance(end, RunFinished)
    assert end.failure is not None
    assert (end.status, end.failure.message) == ("failed", "No 3.")


async def test_never_after_the_first_word() -> None:
    provider = ScriptedProvider(["Half", refusal(**NOW)])
    events = await events_of(provider, tries=3)
    assert TextDelta("Half") in events
    assert not any(isinstance(event, RetryScheduled) for event in events)
    assert len(provider.requests) == 1


async def test_an_endpoint_that_keeps_failing_is_rested_and_then_tried_once() -> None:
    clock = [0.0]
    health = EndpointHealth(now=lambda: clock[0])
    for _ in range(REST_AFTER):
        await events_of(ScriptedProvider([refusal()]), health=health)
    resting = ScriptedProvider()
    end = (await events_of(resting, health=health))[-1]
    assert isinstance(end, RunFinished)
    assert end.failure is not None
    assert end.failure.message == f"here failed {REST_AFTER} times in a row, so it is left alone for {REST_S:.0f} s."
    assert end.failure.retry_after_s == REST_S
    assert resting.requests == []
    clock[0] = REST_S + 1
    assert (await events_of(ScriptedProvider(answer("back")), health=health))[-1] == RunFinished("complete")
    assert health.resting("here") is None


async def test_a_refusal_is_an_answer_and_counts_for_health() -> None:
    health = EndpointHealth()
    for _ in range(REST_AFTER - 1):
        health.note("here", failure("server"))
    health.note("here", failure("auth"))
    health.note("here", failure("server"))
    assert health.resting("here") is None


async def test_stop_while_waiting_ends_with_the_failure(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider([refusal(message="Busy.", retry_after_s=50.0)]), PANELIST_TRIES="3")
    opened = await app.chat.send(OWNER, "Go")
    assert opened.run_id
    async for batch in app.chat.follow(OWNER, opened.run_id):
        if any(isinstance(numbered.event, RetryScheduled) for numbered in batch):
            app.chat.stop(OWNER, opened.run_id)
    reply = (await app.chat.open(OWNER, opened.conversation.id)).path[-1]
    assert reply.status == "failed"


async def test_stop_at_once_ends_the_run(open_app: OpenRuntime) -> None:
    """Before its task has taken a single step there is nothing to cancel, and still it has to end."""
    app = await open_app(ScriptedProvider(*[[asyncio.Event()] for _ in range(3)]))
    opened = await app.chat.send(OWNER, "Go")
    assert opened.run_id
    app.chat.stop(OWNER, opened.run_id)
    done = await whole_run(app.chat, opened)
    again = app.chat.retry(OWNER, done.conversation.id, done.path[-1].id)
    opened = await again
    app.runs.stop(opened.run_id or "")
    assert (await whole_run(app.chat, opened)).path[-1].status == "stopped"
    assert not app.runs.live_in(done.conversation.id)
