"""The failures that the demo endpoint acts out, in the words of real servers."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.providers.demo_answers import NOT_AN_AI, Answer, Ending, prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error response: nothing of an answer is sent."""

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """An HTML page with status 200, as a proxy or a wrong base URL answers."""

    html: str


_REFUSALS: dict[str, Refusal] = {
    "400": Refusal(status=400, message="Invalid value: 'demo'. You asked for this failure with /fail 400."),
    "401": Refusal(
        status=401,
        message="You didn't provide an API key. You need to provide your API key in an Authorization header.",
        code="invalid_api_key",
    ),
    "402": Refusal(
        status=429,
        message="You exceeded your current quota, please check your plan and billing details.",
        type="insufficient_quota",
        code="insufficient_quota",
    ),
    "403": Refusal(
        status=403,
        message="Country, region, or territory not supported",
        type="request_forbidden",
        code="unsupported_country_region_territory",
    ),
    "404": Refusal(
        status=404,
        message="The model `panelist-demo-42` does not exist or you do not have access to it.",
        code="model_not_found",
    ),
    "429": Refusal(
        status=429,
        message="Rate limit reached for panelist-demo on requests per min (RPM): Limit 3, Used 3, Requested 1. "
        "Please try again in 12s.",
        type="requests",
        code="rate_limit_exceeded",
        headers={"retry-after": "12", "x-ratelimit-limit-requests": "3", "x-ratelimit-remaining-requests": "0"},
    ),
    "500": Refusal(
        status=500,
        message="The server had an error while processing your request. Sorry about that!",
        type="server_error",
    ),
    "503": Refusal(
        status=503,
        message="The engine is currently overloaded, please try again later",
        type="server_error",
        code="overloaded",
    ),
    "529": Refusal(status=529, message="Overloaded", type="overloaded_error"),
    "long": Refusal(
        status=400,
        message="This model's maximum context length is 4096 tokens. However, your messages resulted in 5210 tokens. "
        "Please reduce the length of the messages.",
        code="context_length_exceeded",
        param="messages",
    ),
    "param": Refusal(
        status=400,
        message="Unsupported parameter: 'stream_options' is not supported with this model.",
        code="unsupported_parameter",
        param="stream_options",
    ),
    "key": Refusal(
        status=401,
        message="Incorrect API key provided: sk-demo1234567890abcdef. It was never real; it is here to be hidden.",
        code="invalid_api_key",
    ),
}

_ENDINGS: dict[str, Ending] = {
    "filter": "content_filter",
    "length": "length",
    "cut": "cut",
    "reset": "reset",
    "json": "garbled",
    "stall": "stall",
    "error": "error",
}

_PAGE = Page("<!doctype html>\n<html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>\n")

FAILURES = {
    "429": "the rate limit is reached; try again in 12 s",
    "401": "no key",
    "key": "a wrong key, echoed in the error",
    "402": "the quota is used up",
    "400": "a bad request",
    "403": "forbidden",
    "404": "no such model",
    "500": "the server broke",
    "503": "the server is overloaded",
    "529": "overloaded, as another provider says it",
    "long": "the conversation is too long",
    "param": "a parameter is refused",
    "filter": "the answer is filtered midway",
    "length": "the answer reaches its length limit",
    "cut": "the stream ends in the middle, without a reason",
    "reset": "the connection breaks",
    "stall": "nothing more comes, for ever",
    "json": "a garbled chunk",
    "error": "an error inside the stream",
    "html": "a web page instead of an answer",
}
"""The words after `/fail`, and what each does."""


def failure_of(question: str, sent: frozenset[str]) -> Answer | Refusal | Page | None:
    """Return what a `/fail` command asks for; None when the question is something else.

    `sent` are the names of the request's fields: a parameter that was left out cannot be refused.
    """
    words = question.split()
    if not words or words[0].lower() != "/fail":
        return None
    name = words[1].lower() if len(words) > 1 else ""
    if name == "html":
        return _PAGE
    if name in _ENDINGS:
        return Answer(text=NOT_AN_AI + _half(prepared("markdown")), ending=_ENDINGS[name])
    refusal = _REFUSALS.get(name)
    if refusal is not None and refusal.code == "unsupported_parameter" and refusal.param not in sent:
        return Answer(text=NOT_AN_AI + f"Thank you: this request came without `{refusal.param}`, so it is answered.")
    return refusal or Answer(text=NOT_AN_AI + _list(name))


def _half(text: str) -> str:
    """Return what comes before a failure: some of `text`, ending within a word."""
    return text[:520]


def _list(name: str) -> str:
    lines = "\n".join(f"- `/fail {word}`: {meaning}" for word, meaning in FAILURES.items())
    start = "That is not a failure I know. " if name else ""
    return f"{start}I can act these out, so that you can see how Panelist takes them:\n\n{lines}\n"
