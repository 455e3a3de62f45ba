"""Requests as spans and metrics of OpenTelemetry, by its conventions for generative AI; never a word of their content.

https://opentelemetry.io/docs/specs/semconv/gen-ai/ has the names. Nothing is imported, and nothing sent, unless it is
installed and somebody asked for it, by the variables that all its programs read or by `opentelemetry-instrument`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from services.endpoints import Endpoint, ProfileName
from services.measures import Measured
from services.observing import Observed, Observer

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

log = logging.getLogger(__name__)

SERVICE = "panelist"
_ASKING = "OTEL_"
_OTLP = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_{}_ENDPOINT", "OTEL_{}_EXPORTER")
"""Variables that ask for something to be sent; without any of them the SDK would send it to this machine."""

_PROVIDERS: Mapping[ProfileName, str] = {
    "azure": "azure.ai.openai",
    "mistral": "mistral_ai",
}
"""Profiles that the conventions have another name for."""

# The conventions' own: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)

_MISSING = (
    "OTEL variables are set, but OpenTelemetry is not installed, so nothing is sent: "
    "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
)


def telemetry(environ: Mapping[str, str]) -> Observer | None:
    """Return what tells OpenTelemetry of requests; None where nobody asked for it, or it is not installed."""
    asked = [name for name in environ if name.startswith(_ASKING)]
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or not (asked or "opentelemetry.sdk" in sys.modules):
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.trace") is None:
        log.warning(_MISSING)
        return None
    from opentelemetry import metrics, trace  # noqa: PLC0415 - few have it

    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):  # else somebody has set it up
        try:
            _set_up(environ)
        except Exception:  # whatever it is, Panelist works without
            log.exception("OpenTelemetry could not be set up, so nothing is sent")
            return None
    return observer_of(trace.get_tracer_provider(), metrics.get_meter_provider())


def observer_of(traces: TracerProvider, meters: MeterProvider) -> Observer:
    """Return what tells these of requests."""
    from opentelemetry.context import Context  # noqa: PLC0415
    from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415

    tracer, meter = traces.get_tracer(SERVICE), meters.get_meter(SERVICE)
    duration = meter.create_histogram(
        "gen_ai.client.operation.duration",
        unit="s",
        description="GenAI operation duration.",
        explicit_bucket_boundaries_advisory=_SECONDS,
    )
    tokens = meter.create_histogram(
        "gen_ai.client.token.usage",
        unit="{token}",
        description="Number of input and output tokens used.",
        explicit_bucket_boundaries_advisory=_TOKENS,
    )

    def observe(observed: Observed) -> None:
        one = observed.measured
        common = _common(observed)
        began = _nanoseconds(one.at)
        # Not a part of whatever happens to be traced where a request ends.
        span = tracer.start_span(
            f"chat {observed.asked_model}".strip(),
            context=Context(),
            kind=SpanKind.CLIENT,
            attributes={**common, **_of_span(one)},
            start_time=began,
        )
        if one.error is not None:
            span.set_status(Status(StatusCode.ERROR))
        span.end(began + round((one.total_s or 0.0) * 1e9))
        if one.total_s is not None:
            duration.record(one.total_s, common)
        if one.usage is not None:
            usual = {name: value for name, value in common.items() if name != "error.type"}
            for kind, count in (("input", one.usage.input), ("output", one.usage.output)):
                tokens.record(count, {**usual, "gen_ai.token.type": kind})

    return observe


def _common(observed: Observed) -> dict[str, str | int]:
    """Return the attributes that a span and the metrics of a request have in common."""
    one, endpoint = observed.measured, observed.endpoint
    found: dict[str, str | int] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _provider_of(endpoint) or one.endpoint,
        "gen_ai.request.model": observed.asked_model,
        "gen_ai.response.model": one.model,
    }
    if endpoint is not None and not endpoint.is_demo:
        place = urlsplit(endpoint.base_url)
        found["server.address"] = place.hostname or ""
        found["server.port"] = place.port or (443 if place.scheme == "https" else 80)
    if one.error is not None:
        found["error.type"] = one.error
    return found


def _of_span(one: Measured) -> dict[str, str | int | float]:
    found: dict[str, str | int | float | None] = {
        "gen_ai.conversation.id": one.conversation_id,
        "gen_ai.usage.input_tokens": one.usage.input if one.usage else None,
        "gen_ai.usage.output_tokens": one.usage.output if one.usage else None,
        "gen_ai.usage.cache_read.input_tokens": one.usage.cached_input if one.usage else None,
        "panelist.request.kind": one.kind,
        "panelist.request.status": one.status,
        "panelist.request.retries": one.retries,
        "panelist.request.queue_s": one.queue_s,
        "panelist.request.first_token_s": one.first_token_s,
    }
    return {name: value for name, value in found.items() if value is not None}


def _provider_of(endpoint: Endpoint | None) -> str | None:
    if endpoint is None or endpoint.profile == "generic":
        return None
    return _PROVIDERS.get(endpoint.profile, endpoint.profile)


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6) * 1_000


def _set_up(environ: Mapping[str, str]) -> None:
    """Make what the variables ask for; the SDK reads all others of them by itself."""
    from opentelemetry import metrics, trace  # noqa: PLC0415
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    named = "OTEL_SERVICE_NAME" in environ or "service.name" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if named else {"service.name": SERVICE})
    traces = TracerProvider(resource=resource)
    for exporter in _exporters("traces", environ):
        traces.add_span_processor(BatchSpanProcessor(exporter()))
    readers = [PeriodicExportingMetricReader(exporter()) for exporter in _exporters("metrics", environ)]
    trace.set_tracer_provider(traces)
    metrics.set_meter_provider(MeterProvider(readers, resource))


def _exporters(kind: str, environ: Mapping[str, str]) -> Iterator[Callable[[], Any]]:
    """Yield what makes the exporters that the variables name, by the entry points that they are installed under."""
    if not any(environ.get(name.format(kind.upper())) for name in _OTLP):
        return
    protocol = environ.get(f"OTEL_EXPORTER_OTLP_{kind.upper()}_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    otlp = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    for name in (environ.get(f"OTEL_{kind.upper()}_EXPORTER") or "otlp").split(","):
        wanted = otlp if name.strip() == "otlp" else name.strip()
        if wanted == "none":
            continue
        found = list(entry_points(group=f"opentelemetry_{kind}_exporter", name=wanted))
        if found:
            yield found[0].load()
        else:
            log.warning("There is no exporter %r for the %s of OpenTelemetry; install it.", wanted, kind)
