"""OpenTelemetry: requests by its conventions for generative AI, no content, and nothing unless asked for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from services.events import ModelNamed
from services.runtime import Runtime
from services.telemetry import observer_of
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.scripted import refusal
from tests.test_budgets import DEAR, USED, kept, opened, told
from tests.test_observing import ANSWER, QUESTION

ROOT = Path(__file__).parent.parent


class Collector:
    """Spans and metrics, in memory."""

    def __init__(self, app: Runtime) -> None:
        self.spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        traces = TracerProvider()
        traces.add_span_processor(SimpleSpanProcessor(self.spans))
        app.runs.observers.add(observer_of(traces, MeterProvider([self._reader])))

    def points(self, name: str) -> list[Any]:
        data = self._reader.get_metrics_data()
        assert data is not None
        metrics = [metric for of in data.resource_metrics for scope in of.scope_metrics for metric in scope.metrics]
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]


async def asked(app: Runtime) -> None:
    await whole_run(app.chat, await app.chat.send(OWNER, QUESTION, options=DEAR))


async def test_a_request_is_a_span_and_counts(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await opened(open_app, tmp_path, [ModelNamed("model-a-2026", None, None), *told(ANSWER)])
    collector = Collector(app)
    await asked(app)
    [span], [row] = collector.spans.get_finished_spans(), kept(tmp_path)
    assert (span.name, span.kind, span.parent) == ("chat model-a", SpanKind.CLIENT, None)
    attributes = dict(span.attributes or {})
    assert attributes.pop("panelist.request.queue_s") == pytest.approx(row["queue_s"])
    assert attributes.pop("panelist.request.first_token_s") == pytest.approx(row["first_token_s"])
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "dear",
        "gen_ai.request.model": "model-a",
        "gen_ai.response.model": "model-a-2026",
        "gen_ai.conversation.id": row["conversation_id"],
        "gen_ai.usage.input_tokens": USED.input,
        "gen_ai.usage.output_tokens": USED.output,
        "gen_ai.usage.cache_read.input_tokens": USED.cached_input,
        "server.address": "127.0.0.1",
        "server.port": 9,
        "panelist.request.kind": "chat",
        "panelist.request.status": "complete",
        "panelist.request.retries": 0,
    }
    assert span.status.status_code == StatusCode.UNSET
    assert span.start_time is not None
    assert span.end_time is not None
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(row["total_s"], abs=1e-6)
    [duration] = collector.points("gen_ai.client.operation.duration")
    assert (duration.count, duration.sum) == (1, pytest.approx(row["total_s"]))
    assert duration.explicit_bounds[:3] == (0.01, 0.02, 0.04)
    tokens = {
        point.attributes["gen_ai.token.type"]: point.sum for point in collector.points("gen_ai.client.token.usage")
    }
    assert tokens == {"input": USED.input, "output": USED.output}


async def test_a_failure_has_its_class_and_not_its_words(open_app: OpenRuntime, tmp_path: Path) -> None:
    app = await opened(open_app, tmp_path, [refusal("rate_limit", ANSWER)])
    collector = Collector(app)
    await asked(app)
    [span] = collector.spans.get_finished_spans()
    assert span.status.status_code == StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "rate_limit"
    [duration] = collector.points("gen_ai.client.operation.duration")
    assert duration.attributes["error.type"] == "rate_limit"
    assert collector.points("gen_ai.client.token.usage") == []
    for word in (ANSWER[:-1], QUESTION[:-1]):
        assert word not in span.to_json()
    assert OWNER not in map(str, (span.attributes or {}).values())


SCRIPT = """
import sys
from services.telemetry import telemetry
from services.observing import Observed
from tests.test_observing import MEASURED
BEFORE
import os
observe = telemetry(os.environ)
print("observes" if observe else "silent", "opentelemetry.sdk" in sys.modules, "opentelemetry.trace" in sys.modules)
if observe:
    observe(Observed(owner="ann", measured=MEASURED, endpoint=None, asked_model="tiny"))
"""


def run(environ: Mapping[str, str], before: str = "") -> tuple[str, str]:
    """Return what a process of its own says, since what is set up holds for a process."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    made = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("BEFORE", before)],
        env={**clean, **environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert made.returncode == 0, made.stderr
    return made.stdout.strip(), made.stderr


class Posted(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.got: dict[str, bytes] = {}
        threading.Thread(target=self.serve_forever).start()


class _Answer(BaseHTTPRequestHandler):
    server: Posted

    def do_POST(self) -> None:
        self.server.got[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return None


@pytest.fixture
def posted() -> Iterator[Posted]:
    server = Posted()
    yield server
    server.shutdown()
    server.server_close()


def test_its_own_variables_set_it_up(posted: Posted) -> None:
    address = f"http://127.0.0.1:{posted.server_port}"
    said, _ = run({"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"})
    assert said == "observes True True"
    assert posted.got.keys() == {"/v1/traces"}, "there was no duration, so there is nothing to count"
    assert b"chat tiny" in posted.got["/v1/traces"]
    assert b"service.name\x12\n\n\x08panelist" in posted.got["/v1/traces"]


def test_one_of_them_can_be_left_out(posted: Posted) -> None:
    address = f"http://127.0.0.1:{posted.server_port}/v1/traces"
    environ = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": address, "OTEL_SERVICE_NAME": "ours"}
    said, _ = run({**environ, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"})
    assert said == "observes True True"
    assert b"service.name\x12\x06\n\x04ours" in posted.got["/v1/traces"]
    none, _ = run({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"})
    assert none == "observes True True"


@pytest.mark.parametrize(
    "environ", [{}, {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}]
)
def test_nothing_is_loaded_unless_asked_for(environ: dict[str, str]) -> None:
    assert run(environ)[0] == "silent False False"


def test_without_it_a_line_says_how_to_get_it() -> None:
    gone = "import importlib.util as u; found = u.find_spec\n"
    gone += "import services.telemetry as t; t.find_spec = lambda name: None if 'opent' in name else found(name)"
    said, log = run({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, gone)
    assert said == "silent False False"
    assert "pip install opentelemetry-sdk" in log


def test_an_exporter_that_is_not_there_is_said() -> None:
    said, log = run({"OTEL_TRACES_EXPORTER": "carrier_pigeon"})
    assert said == "observes True True"
    assert "no exporter 'carrier_pigeon'" in log
