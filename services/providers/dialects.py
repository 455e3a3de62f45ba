"""How servers say that something went wrong: their bodies, read into one shape."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

_MAX_TEXT = 20_000

_STATUS_WORDS: tuple[tuple[str, int], ...] = (
    (r"authentication|api_key|unauthori[sz]ed|unauthenticated", 401),
    (r"permission|forbidden", 403),
    (r"not_?found", 404),
    (r"rate_?limit|too_many|resource_exhausted", 429),
    (r"overloaded|unavailable|capacity", 503),
    (r"timeout|deadline", 504),
    (r"invalid|bad_?request|validation|unprocessable|policy", 400),
)


@dataclass(frozen=True, slots=True)
class Said:
    """What a server said, whichever dialect it said it in."""

    text: str
    codes: str = ""
    param: str | None = None
    status: int | None = None
    html: bool = False


def parse_body(data: bytes) -> object:
    """Return a body as JSON where it is, as text otherwise."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace").strip()


def is_error(payload: Mapping[str, object]) -> bool:
    """Whether a JSON object is a server's way of reporting an error rather than (part of) an answer."""
    if payload.get("error") or payload.get("object") == "error" or payload.get("type") == "error":
        return True
    return "choices" not in payload and any(payload.get(name) for name in ("detail", "message", "errors"))


def read_error(body: object) -> Said:
    if isinstance(body, list) and body:  # Gemini wraps its errors in a list
        body = body[0]
    if not isinstance(body, dict):
        text = body if isinstance(body, str) else ""
        return Said(text, html=text.lstrip()[:1] == "<")
    error = body.get("error") or body
    if isinstance(error, str):
        return Said(error, codes=" ".join(_words(body)), status=_status_in(body))
    if not isinstance(error, dict):
        return Said(json.dumps(error, default=str)[:_MAX_TEXT])
    text = _text_of(error) or json.dumps(error, default=str)[:_MAX_TEXT]
    param = error.get("param")
    return Said(
        text,
        codes=" ".join(_words(error)),
        param=param if isinstance(param, str) else _param_in(error),
        status=_status_in(error) or _status_in(body),
    )


def _text_of(error: Mapping[str, object]) -> str:
    """Return the message of an error. FastAPI's `input`, which repeats the conversation, is left behind."""
    said = error.get("message") or error.get("detail") or error.get("errors") or error.get("error_description")
    if isinstance(said, dict):
        return _text_of(said)
    if isinstance(said, list):
        return "; ".join(_item_text(item) for item in said)
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None  # OpenRouter: what the model's host said
    return " ".join(part for part in (said, raw) if isinstance(part, str))


def _item_text(item: object) -> str:
    if not isinstance(item, dict):
        return str(item)
    loc = item.get("loc")
    where = ".".join(map(str, loc)) + ": " if isinstance(loc, list) else ""
    return f"{where}{item.get('msg') or item.get('message') or item.get('type') or ''}"


def _param_in(error: Mapping[str, object]) -> str | None:
    """Return the body field that a validation error (FastAPI, Mistral) is located at."""
    said = error.get("detail") or error.get("message")
    items = said.get("detail") if isinstance(said, dict) else said
    for item in items if isinstance(items, list) else []:
        loc = item.get("loc") if isinstance(item, dict) else None
        if isinstance(loc, list):
            return next((part for part in loc if isinstance(part, str) and part != "body"), None)
    return None


def _words(error: Mapping[str, object]) -> list[str]:
    inner = error.get("innererror")
    found = [error.get(name) for name in ("code", "type", "status")]
    found.append(inner.get("code") if isinstance(inner, dict) else None)
    return [word for word in found if isinstance(word, str)]


def _status_in(error: Mapping[str, object]) -> int | None:
    for name in ("code", "status", "status_code"):
        value = error.get(name)
        if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(value, int) and 400 <= value < 600:
            return value
    return None


def status_in_words(codes: str) -> int:
    """Return the status that an error without one would have had, by its code or type."""
    return next((status for words, status in _STATUS_WORDS if re.search(words, codes, re.I)), 500)
