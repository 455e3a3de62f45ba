"""What Prometheus reads: the same counts as the table, and never more series than it can bear."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from services.errors import NotFoundError
from services.metrics import LONGEST, MOST_MODELS, OTHER, Metrics
from services.observing import Observed
from services.runtime import Runtime
from tests.conftest import OWNER, OpenRuntime, until, whole_run
from tests.scripted import answer, refusal
from tests.test_budgets import COST, DEAR, USED, opened, told
from tests.test_observing import ANSWER, MEASURED, QUESTION

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(text: bytes) -> Samples:
    families = text_string_to_metric_families(text.decode())
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


async def read(app: Runtime) -> Samples:
    return samples_of((await app.read_metrics(3, ""))[0])


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return the sum of the samples that have at least these labels."""
    found = [
        number for (which, has), number in samples.items() if which == name and labels.items() <= dict(has).items()
    ]
    assert found, f"there is no {name} with {labels}"
    return sum(found)


async def test_counts_are_what_servers_told(open_app: OpenRuntime, tmp_path: Path) -> None:
    gate = asyncio.Event()
    scripts = (told(ANSWER), [refusal("rate_limit")], answer("No usage"), [ANSWER, gate])
    app = await opened(open_app, tmp_path, *scripts, PANELIST_METRICS="on")
    for _ in range(3):
        await whole_run(app.chat, await app.chat.send(OWNER, QUESTION, options=DEAR))
    found = await read(app)
    where = {"endpoint": "dear", "model": "model-a"}
    assert value(found, "panelist_requests_total", **where, kind="chat", status="complete", error="") == 2
    assert value(found, "panelist_requests_total", **where, status="failed", error="rate_limit") == 1
    for kind in ("input", "cached_input", "output", "reasoning"):
        assert value(found, "panelist_tokens_total", **where, type=kind) == getattr(USED, kind)
    spent = (await app.measuring.stats(OWNER)).sums.price / 1e9
    assert value(found, "panelist_spend_dollars_total", **where) == pytest.approx(spent)
    assert spent > COST / 1e9
    assert value(found, "panelist_first_token_seconds_count", **where) == 2
    assert value(found, "panelist_request_duration_seconds_count", **where) == 3
    assert value(found, "panelist_open_pages") == 3
    assert value(found, "panelist_running_replies") == value(found, "panelist_waiting_messages") == 0
    assert QUESTION[:-1] not in str(found)

    begun = await app.chat.send(OWNER, QUESTION, options=DEAR)
    await app.chat.send(OWNER, "And then?", conversation_id=begun.conversation.id)
    found = await read(app)
    assert value(found, "panelist_running_replies") == value(found, "panelist_waiting_messages") == 1
    gate.set()


async def test_it_is_off_unless_switched_on(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await opened(open_app, tmp_path)
    with pytest.raises(NotFoundError, match="PANELIST_METRICS=on"):
        await app.read_metrics(0, "")


async def test_both_forms_are_well_formed(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await opened(open_app, tmp_path, told(ANSWER), PANELIST_METRICS="on")
    await whole_run(app.chat, await app.chat.send(OWNER, QUESTION, options=DEAR))
    text, form = await app.read_metrics(0, "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    assert form.startswith("application/openmetrics-text")
    names = {family.name for family in openmetrics.text_string_to_metric_families(text.decode())}
    assert {"panelist_requests", "panelist_spend_dollars", "panelist_event_loop_lag_seconds"} <= names
    _, form = await app.read_metrics(0, "*/*")
    assert form.startswith("text/plain")


async def test_servers_cannot_make_series_without_end() -> None:
    metrics = Metrics()
    for number in range(2 * MOST_MODELS):
        one = replace(MEASURED, model=f"{number}-{'x' * 200}" if number else 'a"\n\\b')
        metrics.observe(Observed(owner=OWNER, measured=one, endpoint=None, asked_model="tiny"))
    found = samples_of((await metrics.read(running=0, waiting=0, pages=0))[0])
    models = {dict(labels)["model"] for name, labels in found if name == "panelist_requests_total"}
    assert len(models) == MOST_MODELS + 1
    assert max(map(len, models)) == LONGEST
    assert 'a"\n\\b' in models
    assert value(found, "panelist_requests_total", endpoint=OTHER, model=OTHER) == MOST_MODELS
    assert value(found, "panelist_unpriced_requests_total", endpoint="local") == MOST_MODELS


async def test_a_stop_of_the_event_loop_shows() -> None:
    metrics = Metrics()
    watching = asyncio.create_task(metrics.watch_loop(0.01))
    await asyncio.sleep(0)
    time.sleep(0.3)  # as work that belongs into a thread would

    async def seen() -> bool:
        found = samples_of((await metrics.read(running=0, waiting=0, pages=0))[0])
        return value(found, "panelist_event_loop_lag_seconds_sum") >= 0.25

    await until(seen)
    watching.cancel()
