"""A request as JSON, and as code that makes it again: for Python and for a shell. Pure functions.

Whatever is in a request stays data in all three. A key is in none of them: the code takes it from the environment.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from services.attachments import size_words
from services.endpoints import Api, Endpoint, is_loopback, profile_of

Language = Literal["json", "python", "curl"]
LANGUAGES: dict[Language, str] = {"json": ".json", "python": ".py", "curl": ".sh"}
"""What a request can be shown as, and how a file of it ends."""

_KEY = "OPENAI_API_KEY"

_TAKEN: dict[Api, frozenset[str]] = {
    "chat": frozenset(
        {
            *("model", "messages", "stream", "stream_options", "temperature", "top_p", "max_tokens"),
            *("max_completion_tokens", "reasoning_effort", "verbosity", "response_format", "stop", "seed"),
            *("frequency_penalty", "presence_penalty", "service_tier", "logprobs", "top_logprobs"),
        }
    ),
    "responses": frozenset(
        {
            *("model", "input", "instructions", "stream", "store", "include", "temperature", "top_p"),
            *("max_output_tokens", "reasoning", "text", "service_tier", "top_logprobs"),
        }
    ),
}
"""The fields that the SDK has a parameter for; other servers' own go along as `extra_body`."""

_READS: dict[Api, str] = {
    "chat": """for chunk in stream:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
print()
""",
    "responses": """for event in stream:
    if event.type == "response.output_text.delta":
        print(event.delta, end="", flush=True)
print()
""",
}
_CREATES: dict[Api, str] = {"chat": "chat.completions", "responses": "responses"}

_UNSEEN = re.compile(
    "[\x7f-\x9f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""What is not seen, or makes what is seen look different from what it is."""

_DATA_URL = 200
"""Characters from which on a `data:` URL is shown shortened."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it goes out."""

    endpoint: Endpoint
    path: str
    """Below the base URL."""
    body: Mapping[str, object]

    @property
    def url(self) -> str:
        return f"{self.endpoint.base_url}{self.path}"


def snippet(asked: Asked, language: Language) -> str:
    """Return a request in a language; what is made of it when it runs is the same JSON."""
    match language:
        case "json":
            return f"{_json(asked.body)}\n"
        case "python":
            return "\n".join(_python(asked))
        case "curl":
            return "\n".join(_curl(asked))


def shortened(body: Mapping[str, object]) -> tuple[dict[str, object], bool]:
    """Return a body with the contents of its files shortened, and whether it has any such."""
    changed = False

    def short(value: object) -> object:
        nonlocal changed
        match value:
            case str() if len(value) > _DATA_URL and value.startswith("data:"):
                changed = True
                return f"{value[:60]}… ({size_words(len(value))} in all)"
            case dict():
                return {name: short(inner) for name, inner in value.items()}
            case list():
                return [short(inner) for inner in value]
            case _:
                return value

    return {name: short(value) for name, value in body.items()}, changed


def _python(asked: Asked) -> Iterator[str]:
    api, key = asked.endpoint.speaks, _key_of(asked.endpoint)
    known = {name: value for name, value in asked.body.items() if name in _TAKEN[api]}
    more = {name: value for name, value in asked.body.items() if name not in _TAKEN[api]}
    arguments = [*known.items(), *([("extra_body", more)] if more else [])]
    yield from _about(asked, "pip install openai")
    yield "import os\n" if key else ""
    yield "from openai import OpenAI\n"
    given = f'os.environ["{key}"]' if key else '"none"'
    yield f"client = OpenAI(base_url={asked.endpoint.base_url!r}, api_key={given})\n"
    yield f"stream = client.{_CREATES[api]}.create("
    for name, value in arguments:
        yield f"    {name}={_literal(value, 4)},"
    yield ")"
    yield _READS[api]


def _curl(asked: Asked) -> Iterator[str]:
    key = _key_of(asked.endpoint)
    yield from _about(asked, None)
    yield f"curl {shlex.quote(asked.url)} --no-buffer \\"
    yield "  -H 'Content-Type: application/json' \\"
    if key:
        yield f'  -H "Authorization: Bearer ${key}" \\'
    # No line of JSON is this word alone, and between these lines a shell takes everything as it is.
    yield "  --data-binary @- <<'REQUEST'"
    yield _json(asked.body)
    yield "REQUEST\n"


def _about(asked: Asked, needs: str | None) -> Iterator[str]:
    key = _key_of(asked.endpoint)
    if needs:
        yield f"# Needs: {needs}"
    if asked.endpoint.is_demo:
        yield "# The demo endpoint is inside Panelist. Put the address of a server here to run this."
    elif key:
        yield f"# Put the key of {_seen(asked.endpoint.host)} into the environment as {key}."


def _key_of(endpoint: Endpoint) -> str | None:
    """Return the name under which the environment has an endpoint's key; None where it takes none."""
    if endpoint.key_env and re.fullmatch(r"[A-Za-z_]\w*", endpoint.key_env, re.ASCII):
        return endpoint.key_env
    needed = profile_of(endpoint.profile).needs_key or not is_loopback(endpoint.base_url)
    return _KEY if needed and not endpoint.is_demo else None


def _json(value: object) -> str:
    return _seen(json.dumps(value, ensure_ascii=False, indent=2))


def _seen(text: str) -> str:
    """Return a text of JSON without what cannot be seen as it is."""
    return _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _literal(value: object, indent: int) -> str:
    """Return a value of JSON as Python's source has it."""
    inner = " " * (indent + 4)
    match value:
        case dict() if value:
            items = [f"{name!r}: {_literal(one, indent + 4)}" for name, one in value.items()]
            brackets = "{}"
        case list() if value:
            items = [_literal(one, indent + 4) for one in value]
            brackets = "[]"
        case _:
            return repr(value)
    flat = f"{brackets[0]}{', '.join(items)}{brackets[1]}"
    if len(flat) <= 80 and "\n" not in flat:
        return flat
    lines = "".join(f"{inner}{item},\n" for item in items)
    return f"{brackets[0]}\n{lines}{' ' * indent}{brackets[1]}"
