"""What went wrong with a model call: one classification for every server's way of saying it.

Pure functions. Servers agree neither on status codes nor on bodies, so codes, types and texts all count, the specific
ones before the status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from services.endpoints import Endpoint, is_loopback
from services.errors import NO_IMAGES, Failure, FailureKind, NextStep, mask_keys
from services.providers.dialects import Said, read_error, status_in_words
from services.providers.overlong import tokens_in
from services.providers.waits import retry_after_s

MAX_DETAIL = 2000

_REQUIRED = frozenset({"model", "messages", "stream", "input", "instructions", "store"})
"""Fields without which there is no request, or (`store`) one whose answer is kept: a refusal of them offers nothing."""

_REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id", "x-generation-id", "x-amzn-requestid", "cf-ray")

_TOO_LONG = re.compile(
    r"context[_ ](?:length|window|size)|contextwindowexceeded|exceed_context|context the overflows|too_long|"
    r"(?:prompt|input|request|conversation) (?:is )?too (?:long|large)|too many (?:input )?tokens|"
    r"reduce the length of|input token count|max_prompt_tokens|above_max_length|"
    r"maximum (?:allowed |number of )?(?:input |prompt )?(?:tokens|length)",
    re.I,
)
_FILTERED = re.compile(
    r"content_?filter|content_policy|responsibleai|content management policy|content policy|data_inspection_failed|"
    r"moderation|flagged|usage guidelines|policy_violation|bio_policy",
    re.I,
)
_QUOTA = re.compile(
    r"insufficient_(?:quota|balance|credits?)|insufficient (?:balance|credits?|funds)|exceeded your current quota|"
    r"credit balance|billing_|out of credits|requires more credits|payment required",
    re.I,
)
_BAD_KEY = re.compile(
    r"invalid_api_key|(?:incorrect|invalid|missing|no) api[ _-]?key|api[ _-]?key (?:not valid|is invalid|expired)", re.I
)
_SEALED = re.compile(r"encrypted[ _]content|items are not persisted|of type 'reasoning'", re.I)
"""Not every model gives its reasoning encrypted, and with another key what was given cannot be read."""
_NO_MODEL = re.compile(
    r"model_not_found|not a valid model|invalid model|unknown model|no models? loaded|no endpoints found|"
    r"model\b.{0,120}(?:not found|not exist|not available|not supported|not loaded)",
    re.I | re.S,
)


_NO_IMAGES = re.compile(
    r"image_url|input_image|image input|mmproj|not a multimodal|at most 0 image|no vision|"
    r"(?:does not|doesn't|not) support (?:images?|vision)|images? (?:is|are) not supported",
    re.I,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who was asked for what: all that a sentence about a failure may need."""

    endpoint: Endpoint
    model: str | None = None
    """None when the list of models was asked for."""
    fields: frozenset[str] = frozenset()
    """The top-level fields of the request that was sent."""
    key: str | None = field(default=None, repr=False)
    """The key that was sent, so that it can be masked whatever it looks like."""
    key_name: str = ""
    """By which a person knows it."""

    @property
    def name(self) -> str:
        return self.endpoint.name

    @property
    def place(self) -> str:
        """The name with the host, where the name does not say it already."""
        host = self.endpoint.host
        return host if host in self.name or self.name.startswith("trial ") else f"{self.name} at {host}"

    @property
    def what(self) -> str:
        return f"the model {self.model!r}" if self.model else "this request"


def classify_status(asked: Asked, status: int, body: object, headers: Mapping[str, str]) -> Failure:
    """Return the failure that an answer with a status other than 2xx stands for. `body` is JSON or text."""
    if 300 <= status < 400:
        return redirected(asked, status, headers)
    said = replace(read_error(body), status=status)
    sealed = "include" in asked.fields and status in {400, 404, 422} and _SEALED.search(said.text[:MAX_DETAIL])
    kind: FailureKind = "bad_request" if sealed else _kind(status, said)
    parameter = "include" if sealed else _parameter(asked, said) if kind == "bad_request" else None
    wait_s = retry_after_s(headers, said.text) if kind in {"rate_limit", "server", "quota"} else None
    message, step = _sentence(asked, kind, said, parameter, wait_s)
    tokens, window = tokens_in(said.text, body) if kind == "too_long" else (None, None)
    if window is not None:
        message = _measured(asked, tokens, window)
    if kind in {"bad_request", "not_found", "server"} and _NO_IMAGES.search(said.text[:MAX_DETAIL]):
        what = f"The model {asked.model!r} at {asked.name}" if asked.model else asked.name
        message, step = (
            f"{what} takes no images. Choose another model, or ask again without the picture.",
            "choose_model",
        )
        parameter = NO_IMAGES
    return Failure(
        kind=kind,
        message=message,
        next_step=step,
        retry_after_s=wait_s,
        parameter=parameter,
        status_code=status,
        request_id=request_id_of(asked, headers),
        detail=_detail(asked, said.text),
        tokens=tokens,
        window=window,
    )


def classify_payload(asked: Asked, payload: object, headers: Mapping[str, str]) -> Failure:
    """Return the failure that an error inside a stream, or in a body with status 200, stands for."""
    said = read_error(payload)
    failure = classify_status(asked, said.status or status_in_words(said.codes), payload, headers)
    return failure if said.status else replace(failure, status_code=None)


def request_id_of(asked: Asked, headers: Mapping[str, str]) -> str | None:
    """Return the server's id of the request, if it gave one."""
    found = next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)
    return mask_keys(found[:200], asked.key or "", ids=True) if found else None


def redirected(asked: Asked, status: int, headers: Mapping[str, str]) -> Failure:
    """Return the failure for a redirect. It is not followed: that would hand key and conversation to another host."""
    try:
        target = urlsplit(headers.get("location", "")).hostname
    except ValueError:
        target = None
    to = f" to {target}" if target else ""
    message = f"{asked.name} redirects{to}, which Panelist does not follow; enter the final URL as the endpoint's."
    return Failure(
        kind="garbled",
        message=message,
        next_step="check_endpoint",
        status_code=status,
        request_id=request_id_of(asked, headers),
    )


def garbled(asked: Asked, found: str, body: str = "") -> Failure:
    """Return the failure for an answer that is none; `found` says in our words what came instead."""
    message = f"{asked.name} sent {found} instead of an answer; check the endpoint's URL."
    return Failure(kind="garbled", message=message, next_step="check_endpoint", detail=_detail(asked, body))


def timed_out(asked: Asked, seconds: float) -> Failure:
    """Return the failure for an endpoint that took too long to connect, or to list its models."""
    message = f"{asked.place} did not answer within {seconds:g} s."
    return Failure(kind="timeout", message=message, next_step="retry")


def unreachable(asked: Asked, reason: str = "") -> Failure:
    """Return the failure for an endpoint that no connection could be made to."""
    host = asked.endpoint.host
    if is_loopback(asked.endpoint.base_url):
        message = f"Nothing answers at {host}; is it running?"
        return _unreachable(asked, message, "check_endpoint", reason)
    return _unreachable(asked, f"{asked.place} cannot be reached.", "retry", reason)


def unknown_host(asked: Asked, reason: str = "") -> Failure:
    """Return the failure for a host name that does not exist, or cannot be looked up without a network."""
    message = f"The address of {asked.endpoint.host} cannot be found; check the URL and the network."
    return _unreachable(asked, message, "check_endpoint", reason)


def bad_certificate(asked: Asked, reason: str = "") -> Failure:
    """Return the failure for a TLS connection that could not be trusted or set up."""
    message = f"No secure connection to {asked.place} could be made."
    return _unreachable(asked, message, "check_endpoint", reason)


def broke_off(asked: Asked, reason: str = "") -> Failure:
    """Return the failure for a connection that ended in the middle of an answer."""
    return _unreachable(asked, f"The connection to {asked.name} broke off.", "retry", reason)


def bad_url(asked: Asked, reason: str = "") -> Failure:
    """Return the failure for a base URL that no request can be sent to."""
    message = f"The URL of {asked.name} is not one that Panelist can call."
    return _unreachable(asked, message, "check_endpoint", reason)


def key_needed(asked: Asked) -> Failure:
    """Return the failure for an endpoint that refuses every request without a key."""
    return Failure(kind="auth", message=f"{asked.name} needs an API key.", next_step="add_key")


def bad_key(asked: Asked) -> Failure:
    """Return the failure for a key that cannot be put into a request."""
    message = f"The API key of {asked.name} holds a space, a line break or a letter that no key has; enter it again."
    return Failure(kind="auth", message=message, next_step="add_key")


def _unreachable(asked: Asked, message: str, step: NextStep, reason: str) -> Failure:
    return Failure(kind="unreachable", message=message, next_step=step, detail=_detail(asked, reason))


def _detail(asked: Asked, text: str) -> str | None:
    """Return what a server said, fit to be kept and shown."""
    if asked.key and len(asked.key) >= 4:
        text = text.replace(asked.key, "…")  # before the cut, which could leave half a key
    if text.lstrip()[:1] == "<":
        text = re.sub(r"<[^<>]*>", " ", text[: 10 * MAX_DETAIL])
    text = re.sub(r"\s+", " ", text[: 10 * MAX_DETAIL]).strip()[:MAX_DETAIL]
    return mask_keys(text)[:MAX_DETAIL] or None


def _kind(status: int, said: Said) -> FailureKind:
    both = f"{said.codes} {said.text[: 2 * MAX_DETAIL]}"
    asks_to_wait = retry_after_s({}, said.text) is not None
    if status == 402 or (_QUOTA.search(both) and not asks_to_wait):  # Gemini words a limit per minute as a quota
        return "quota"
    if status == 413 or (status in {400, 422, 500} and _TOO_LONG.search(both)):
        return "too_long"
    if status in {400, 403, 422, 451} and _FILTERED.search(both):
        return "filtered"
    if status == 401 or (status in {400, 403} and _BAD_KEY.search(both)):
        return "auth"
    if status in {404, 405} or (status in {400, 422} and _NO_MODEL.search(both)):
        return "not_found"
    if status >= 500:
        return "server"
    if status in {400, 422} and said.html:
        return "garbled"
    kinds: dict[int, FailureKind] = {403: "forbidden", 408: "timeout", 409: "server", 429: "rate_limit", 498: "server"}
    return kinds.get(status, "bad_request")


def _sentence(
    asked: Asked, kind: FailureKind, said: Said, parameter: str | None, wait_s: float | None
) -> tuple[str, NextStep]:
    name = asked.name
    match kind:
        case "auth":
            return (
                (f"{name} did not accept the API key.", "add_key")
                if asked.key
                else (key_needed(asked).message, "add_key")
            )
        case "quota":
            return f"The credit or quota at {name} is used up; see to the billing there or use another key.", "add_key"
        case "rate_limit":
            wait = f" for {wait_s:.0f} s" if wait_s and wait_s >= 1 else ""
            return f"{name} gets more requests than it allows and asks to wait{wait}.", "retry"
        case "too_long":
            return f"The conversation is longer than {asked.what} at {name} can take; shorten it.", "shorten"
        case "filtered":
            return f"A content filter of {name} refused the question; rephrase it.", "shorten"
        case "not_found":
            return _not_found(asked, said)
        case "forbidden":
            return f"{name} does not allow this key to use {asked.what}.", "choose_model"
        case "bad_request" if parameter:
            return f"{name} does not take the parameter {parameter!r} for {asked.what}.", "drop_parameter"
        case "bad_request":
            return f"{name} refused the request as it was sent (HTTP {said.status}).", "retry"
        case "timeout":
            return f"{name} ended the request because it took too long.", "retry"
        case "garbled":
            return f"{name} sent a web page instead of an answer; check the endpoint's URL.", "check_endpoint"
        case _:
            return _server(asked, said), "retry"


def _measured(asked: Asked, tokens: int | None, window: int) -> str:
    takes = f"{asked.what} at {asked.name} takes {window:,}, its answer included"
    if tokens is None:
        return f"The conversation is too long: {takes}; shorten it."
    if tokens < window:
        return f"The conversation has {tokens:,} tokens and {takes}: no room is left for an answer that long."
    return f"The conversation has {tokens:,} tokens, and {takes}; shorten it."


def _not_found(asked: Asked, said: Said) -> tuple[str, NextStep]:
    """Tell a missing model from a wrong path: both are 404."""
    text = said.text[:MAX_DETAIL]
    named = asked.model is not None and asked.model in text
    if (
        asked.model
        and not said.html
        and (named or re.search(r"\bmodels?\b", text, re.I) or _NO_MODEL.search(said.codes))
    ):
        return f"{asked.name} has no model {asked.model!r} that this key can use.", "choose_model"
    hint = "or set its api to 'chat'" if "input" in asked.fields else "most end in /v1"
    return f"{asked.name} is not found under {asked.endpoint.base_url}; check the URL, {hint}.", "check_endpoint"


def _server(asked: Asked, said: Said) -> str:
    if re.search(r"loading model|model is loading|currently loading", said.text[:MAX_DETAIL], re.I):
        return f"{asked.name} is still loading {asked.what}."
    if said.status in {498, 503, 529} or "overloaded" in said.codes:
        return f"{asked.name} is overloaded or down at the moment."
    return f"{asked.name} has a problem of its own (HTTP {said.status})."


def _parameter(asked: Asked, said: Said) -> str | None:
    """Return the field of ours that a refusal names, if it is one that can be left out."""
    optional = asked.fields - _REQUIRED
    if said.param:
        head = re.split(r"[.\[]", said.param)[0]
        return head if head in optional else None
    for name in sorted(optional):
        word = re.escape(name)
        if "_" in name and re.search(rf"\b{word}\b", said.text):
            return name
        # A word such as `stop` also occurs in prose: it counts in quotes or where a field is announced.
        if re.search(rf"""['"`]{word}['"`]|(?:parameter|argument|field|property|supplied)s?:? {word}\b""", said.text):
            return name
    return None
