"""One classification for every server's way of saying no."""
# ruff: noqa: E501 - tables read better with a row per line

from __future__ import annotations

import json
import time

import pytest

from services.endpoints import Endpoint, is_loopback
from services.errors import Failure
from services.providers import failures
from services.providers.dialects import is_error, parse_body, read_error
from services.providers.failures import Asked, classify_payload, classify_status
from tests.keyed import PLAIN

KEY = PLAIN
ENDPOINT = Endpoint(name="acme", base_url="https://api.acme.test/v1")
LOCAL = Endpoint(name="ollama", base_url="http://localhost:11434/v1")
FIELDS = frozenset({"model", "messages", "stream", "stream_options", "temperature", "stop"})
ASKED = Asked(endpoint=ENDPOINT, model="m1", fields=FIELDS, key=KEY)


def openai_error(
    message: str, code: str | None = None, kind: str = "invalid_request_error", param: str | None = None
) -> object:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


TABLE: list[tuple[int, object, str, str]] = [
    # auth
    (401, openai_error(f"Incorrect API key provided: {KEY}.", "invalid_api_key"), "auth", "add_key"),
    (401, "", "auth", "add_key"),
    (401, {"detail": "Unauthorized"}, "auth", "add_key"),
    (400, [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}], "auth", "add_key"),
    (400, {"error": "Incorrect API key provided: xa***"}, "auth", "add_key"),
    (403, openai_error("Invalid API key"), "auth", "add_key"),
    # quota
    (429, openai_error("You exceeded your current quota.", "insufficient_quota", "insufficient_quota"), "quota", "add_key"),
    (402, {"error": {"message": "Insufficient Balance", "code": "invalid_request_error"}}, "quota", "add_key"),
    (402, {"error": {"message": "This request requires more credits", "code": 402}}, "quota", "add_key"),
    (400, openai_error("Your credit balance is too low to access the API"), "quota", "add_key"),
    # rate limit
    (429, openai_error("Rate limit reached for m1", "rate_limit_exceeded"), "rate_limit", "retry"),
    (429, "", "rate_limit", "retry"),
    (429, [{"error": {"code": 429, "message": "You exceeded your current quota. Please retry in 23.5s."}}], "rate_limit", "retry"),
    # too long
    (400, openai_error("This model's maximum context length is 8192 tokens.", "context_length_exceeded"), "too_long", "shorten"),
    (400, {"error": {"code": 400, "message": "the request exceeds the available context size", "type": "exceed_context_size_error"}}, "too_long", "shorten"),
    (400, openai_error("litellm.ContextWindowExceededError: boo"), "too_long", "shorten"),
    (400, openai_error("prompt is too long: 210000 tokens > 200000 maximum"), "too_long", "shorten"),
    (400, {"object": "error", "message": "This model's maximum context length is 10 tokens"}, "too_long", "shorten"),
    (500, {"error": "context the overflows"}, "too_long", "shorten"),
    (413, "Payload Too Large", "too_long", "shorten"),
    (413, openai_error("Request too large for model m1 on tokens per minute", "rate_limit_exceeded"), "too_long", "shorten"),
    # filtered
    (400, {"error": {"code": "content_filter", "message": "…", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}, "filtered", "shorten"),
    (400, openai_error("Your request was rejected", "content_policy_violation"), "filtered", "shorten"),
    (403, {"error": {"code": 403, "message": "Your chosen model requires moderation and your input was flagged"}}, "filtered", "shorten"),
    # not found
    (404, openai_error("The model `m1` does not exist or you do not have access to it.", "model_not_found"), "not_found", "choose_model"),
    (404, {"error": {"message": 'model "m1" not found, try pulling it first', "type": "api_error"}}, "not_found", "choose_model"),
    (404, {"object": "error", "message": "The model `m1` does not exist.", "code": 404}, "not_found", "choose_model"),
    (404, {"error": {"message": "No endpoints found for m1.", "code": 404}}, "not_found", "choose_model"),
    (400, {"error": {"message": "m1 is not a valid model ID", "code": 400}}, "not_found", "choose_model"),
    (400, {"error": "No models loaded. Please load a model."}, "not_found", "choose_model"),
    (404, {"detail": "Not Found"}, "not_found", "check_endpoint"),
    (404, "404 page not found", "not_found", "check_endpoint"),
    (404, "<html><title>404: m1</title></html>", "not_found", "check_endpoint"),
    (404, openai_error("Invalid URL (POST /chat/completions)"), "not_found", "check_endpoint"),
    (404, "", "not_found", "check_endpoint"),
    (405, {"detail": "Method Not Allowed"}, "not_found", "check_endpoint"),
    # forbidden
    (403, openai_error("Country, region, or territory not supported"), "forbidden", "choose_model"),
    (403, "<html>Just a moment…</html>", "forbidden", "choose_model"),
    # bad request
    (400, openai_error("Invalid value for 'messages'.", param="messages[0].role"), "bad_request", "retry"),
    (400, openai_error("No idea"), "bad_request", "retry"),
    (418, None, "bad_request", "retry"),
    (400, "<html>The plain HTTP request was sent to HTTPS port</html>", "garbled", "check_endpoint"),
    # server and the rest
    (500, "Internal Server Error", "server", "retry"),
    (502, "<html>Bad Gateway</html>", "server", "retry"),
    (503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, "server", "retry"),
    (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "server", "retry"),
    (408, "", "timeout", "retry"),
    (409, "", "server", "retry"),
    (307, "", "garbled", "check_endpoint"),
]  # fmt: skip


def check_words(failure: Failure, asked: Asked = ASKED) -> None:
    """Every failure is a sentence that names the endpoint and shows neither key nor markup."""
    assert asked.name in failure.message
    assert failure.message[-1] in ".?"
    assert "\n" not in failure.message
    for said in (failure.message, failure.detail or ""):
        assert KEY not in said
        assert "<html" not in said
    assert failure.detail is None or 0 < len(failure.detail) <= failures.MAX_DETAIL


@pytest.mark.parametrize(("status", "body", "kind", "step"), TABLE)
def test_statuses(status: int, body: object, kind: str, step: str) -> None:
    failure = classify_status(ASKED, status, body, {"x-request-id": "req_1"})
    assert (failure.kind, failure.next_step) == (kind, step)
    assert (failure.status_code, failure.request_id) == (status, "req_1")
    check_words(failure)
    check_words(classify_status(Asked(endpoint=ENDPOINT, key=KEY), status, body, {}))


@pytest.mark.parametrize("id", ["req_7f1f9c0d2b5e4a6f8c3d1e0b9a8f7c6d", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"])
def test_a_servers_id_of_a_request_stays_and_a_key_in_its_place_does_not(id: str) -> None:
    asked = Asked(endpoint=ENDPOINT, key=KEY)
    assert failures.request_id_of(asked, {"x-request-id": id}) == id
    for key in (KEY, "sk-abcdefghijkl"):
        assert failures.request_id_of(asked, {"x-request-id": f"{id} {key}"}) == f"{id} …"


PARAMETERS: list[tuple[int, object, str]] = [
    (400, openai_error("Unsupported parameter", "unsupported_parameter", param="temperature"), "temperature"),
    (400, openai_error("Bad", param="stream_options.include_usage"), "stream_options"),
    (400, openai_error("Unsupported parameter: 'stop' is not supported with this model."), "stop"),
    (400, openai_error("Unrecognized request argument supplied: stream_options"), "stream_options"),
    (400, openai_error("property 'stop' is unsupported"), "stop"),
    (400, {"error": "unknown field `temperature`"}, "temperature"),
    (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs"}]}, "stream_options"),
    (422, {"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "stop"]}]}}, "stop"),
    (422, {"detail": "unexpected keyword argument 'temperature'"}, "temperature"),
    (422, "Failed to deserialize: unknown field `stream_options`", "stream_options"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "parameter"), PARAMETERS)
def test_a_refused_parameter_is_named(status: int, body: object, parameter: str) -> None:
    failure = classify_status(ASKED, status, body, {})
    assert (failure.kind, failure.next_step, failure.parameter) == ("bad_request", "drop_parameter", parameter)
    assert parameter in failure.message
    not_sent = classify_status(Asked(endpoint=ENDPOINT, model="m1"), status, body, {})
    assert (not_sent.parameter, not_sent.next_step) == (None, "retry")


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (500, "image input is not supported - hint: you may need to provide the mmproj"),
        (400, "Invalid content type. image_url is only supported by certain models."),
        (404, "No endpoints found that support image input"),
        (400, "tiny is not a multimodal model"),
        (400, "At most 0 image(s) may be provided in one request."),
        (400, "Failed to deserialize: unknown variant `image_url`, expected `text`"),
    ],
)
def test_a_model_that_takes_no_pictures_is_told_so(status: int, text: str) -> None:
    failure = classify_status(ASKED, status, openai_error(text), {})
    assert "takes no images. Choose another model, or ask again without the picture." in failure.message
    assert failure.next_step == "choose_model"


@pytest.mark.parametrize(
    "text", ["please stop that", "Missing required parameter: 'messages'", "'model' must be set", "too stream_optionsy"]
)
def test_prose_names_no_parameter(text: str) -> None:
    assert classify_status(ASKED, 400, openai_error(text), {}).parameter is None


@pytest.mark.parametrize(
    ("payload", "kind", "status"),
    [
        ({"error": {"code": 429, "message": "slow"}}, "rate_limit", 429),
        ({"error": {"code": "502", "message": "x"}}, "server", 502),
        ({"error": {"type": "authentication_error", "message": "x"}}, "auth", None),
        ({"error": {"type": "permission_error", "message": "x"}}, "forbidden", None),
        ({"error": {"type": "not_found_error", "message": "model x"}}, "not_found", None),
        ({"error": {"type": "rate_limit_error", "message": "x"}}, "rate_limit", None),
        ({"error": {"type": "overloaded_error", "message": "x"}}, "server", None),
        ({"error": {"type": "invalid_request_error", "message": "x"}}, "bad_request", None),
        ({"error": {"type": "insufficient_quota", "message": "x"}}, "quota", None),
        ({"error": {"code": 200, "message": "x"}}, "server", None),
        ({"error": "boom"}, "server", None),
        ({"error": ["boom"]}, "server", None),
        ({"error": True}, "server", None),
        ({"detail": "boom"}, "server", None),
        ({"errors": [{"message": "boom"}]}, "server", None),
        ("boom", "server", None),
        (None, "server", None),
    ],
)
def test_errors_inside_a_stream(payload: object, kind: str, status: int | None) -> None:
    failure = classify_payload(ASKED, payload, {})
    assert (failure.kind, failure.status_code) == (kind, status)
    check_words(failure)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"error": None, "choices": []}, False),
        ({"choices": [], "message": "x"}, False),
        ({"usage": {}}, False),
        ({"type": "ping"}, False),
        ({"type": "error"}, True),
        ({"message": "x"}, True),
        ({"errors": ["x"]}, True),
    ],
)
def test_is_error(payload: dict[str, object], expected: bool) -> None:
    assert is_error(payload) is expected


class TestDetail:
    def test_says_what_the_server_said(self) -> None:
        assert classify_status(ASKED, 400, {"error": "no such thing"}, {}).detail == "no such thing"
        assert classify_status(ASKED, 500, {"strange": [1]}, {}).detail == '{"strange": [1]}'

    def test_repeats_no_conversation(self) -> None:
        body = {"detail": [{"loc": ["body", "messages"], "msg": "bad", "input": "my secret question"}]}
        assert classify_status(ASKED, 422, body, {}).detail == "body.messages: bad"

    def test_names_the_host_behind_a_router(self) -> None:
        body = {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": "no beer"}}}
        assert classify_status(ASKED, 400, body, {}).detail == "Provider returned error no beer"

    @pytest.mark.parametrize("pad", range(1980, 2010))
    def test_never_holds_a_key_not_even_half_of_it(self, pad: int) -> None:
        detail = classify_status(ASKED, 500, "x " * (pad // 2) + KEY, {}).detail or ""
        assert KEY[:6] not in detail

    def test_is_short(self) -> None:
        assert len(classify_status(ASKED, 500, "word " * 100_000, {}).detail or "") == failures.MAX_DETAIL

    def test_tags_are_removed(self) -> None:
        assert classify_status(ASKED, 502, "<html><b>Bad</b> gateway</html>", {}).detail == "Bad gateway"

    @pytest.mark.parametrize("text", ["<" * 100_000, "a-" * 50_000, "model " * 20_000, "wait 1" * 20_000, "'" * 99_999])
    def test_hostile_text_is_read_quickly(self, text: str) -> None:
        started = time.process_time()
        classify_status(ASKED, 400, {"error": text}, {})
        assert time.process_time() - started < 2  # CPU, not wall clock; quadratic work would take far longer


def test_a_wait_is_told() -> None:
    failure = classify_status(ASKED, 429, openai_error("Rate limit"), {"retry-after": "12"})
    assert failure.retry_after_s == 12
    assert "12 s" in failure.message


def test_other_failures_carry_no_wait() -> None:
    assert classify_status(ASKED, 401, "", {"retry-after": "12"}).retry_after_s is None


def test_redirects_name_the_host_only() -> None:
    failure = classify_status(ASKED, 308, "", {"location": f"https://evil.test/x?key={KEY}"})
    assert "evil.test" in failure.message
    check_words(failure)
    check_words(classify_status(ASKED, 301, "", {"location": "http://[bad"}))


@pytest.mark.parametrize(
    ("failure", "step"),
    [
        (failures.timed_out(ASKED, 5), "retry"),
        (failures.unreachable(ASKED, "no route"), "retry"),
        (failures.unknown_host(ASKED, KEY), "check_endpoint"),
        (failures.bad_certificate(ASKED), "check_endpoint"),
        (failures.broke_off(ASKED), "retry"),
        (failures.bad_url(ASKED), "check_endpoint"),
        (failures.garbled(ASKED, "a web page", f"<html>{KEY}</html>"), "check_endpoint"),
        (failures.key_needed(ASKED), "add_key"),
        (failures.bad_key(ASKED), "add_key"),
    ],
)
def test_constructors(failure: Failure, step: str) -> None:
    assert failure.next_step == step
    check_words(failure)


def test_a_server_on_this_machine_may_not_be_running() -> None:
    failure = failures.unreachable(Asked(endpoint=LOCAL))
    assert failure.next_step == "check_endpoint"
    assert "localhost:11434" in failure.message
    assert "running" in failure.message


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:1/v1", True),
        ("http://127.8.0.1/v1", True),
        ("http://[::1]:1", True),
        ("http://a.localhost", True),
        ("http://localhost.evil.test", False),
        ("http://10.0.0.1", False),
        ("http://[bad", False),
    ],
)
def test_is_loopback(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


def test_the_key_is_not_in_the_repr() -> None:
    assert KEY not in repr(ASKED)


def test_a_model_that_is_loading() -> None:
    failure = classify_status(ASKED, 503, {"error": {"code": 503, "message": "Loading model"}}, {})
    assert failure.message == "acme is still loading the model 'm1'."


@pytest.mark.parametrize("body", [b"\xff\xfe", b"", b"[" * 100_000, b'{"a": 1}', b"9" * 5000])
def test_any_body_can_be_parsed(body: bytes) -> None:
    read_error(parse_body(body))
    json.dumps(parse_body(body))
