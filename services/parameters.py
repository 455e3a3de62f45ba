"""What each option does, where it may go, and which values it takes. Pure functions.

Names, bounds and fields: https://platform.openai.com/docs/api-reference/chat/create and .../responses/create. Where
other servers deviate is in their profile.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from services.endpoints import Api, Endpoint, profile_of
from services.errors import InputError
from services.folders import clean_prompt
from services.messages import clean_text
from services.options import Options
from services.probabilities import MOST_OTHERS

MAX_STOPS = 4
MAX_STEPS = 20
"""Steps that an answer goes through."""
MAX_WORD = 200
"""Characters of a stop sequence, and of a level that was typed in."""

_SAID = 60
"""Characters that are told of a system prompt."""

Value = float | int | str | tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One option as a person sets it."""

    name: str
    """Of the field of `Options`."""
    label: str
    hint: str
    kind: Literal["number", "count", "level", "lines", "prompt"]
    """A decimal number, a whole one, one of `levels`, texts, or what goes before the messages and not beside them."""
    fields: Mapping[Api, str] = field(default_factory=dict)
    """Where it stands in the body of a request, a dot for each object it is in; absent where an API has none.

    Of what is not a field of a body there are none at all, and every endpoint takes it.
    """
    low: float = -math.inf
    high: float = math.inf
    levels: tuple[str, ...] = ()
    unset: str = "The model's own"
    """What is shown among the levels where none is set."""


def _both(field: str) -> dict[Api, str]:
    return {"chat": field, "responses": field}


PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        name="system_prompt",
        label="System prompt",
        hint="Said to the model before the conversation. When it is empty, that of the folder or of the settings is.",
        kind="prompt",
    ),
    Parameter(
        name="answers",
        label="Answers",
        hint="How many answers a question gets, side by side: 2 to 4; when it is empty, one. Each is paid for.",
        kind="count",
        low=2,
        high=4,
    ),
    Parameter(
        name="temperature",
        label="Temperature",
        hint="Lower is more predictable, higher more varied. 0 to 2; many models have 1.",
        kind="number",
        fields=_both("temperature"),
        low=0,
        high=2,
    ),
    Parameter(
        name="top_p",
        label="Top p",
        hint="Chooses among the likeliest words that together have this share, 0 to 1. Change this or the temperature.",
        kind="number",
        fields=_both("top_p"),
        low=0,
        high=1,
    ),
    Parameter(
        name="max_output_tokens",
        label="Max output tokens",
        hint="The answer is cut off there, reasoning included. A token is about three quarters of an English word.",
        kind="count",
        fields={"chat": "max_tokens", "responses": "max_output_tokens"},
        low=1,
        high=10_000_000,
    ),
    Parameter(
        name="reasoning_effort",
        label="Reasoning effort",
        hint="How long a reasoning model thinks before it answers. More is slower and dearer.",
        kind="level",
        fields={"chat": "reasoning_effort", "responses": "reasoning.effort"},
        levels=("none", "minimal", "low", "medium", "high", "xhigh"),
    ),
    Parameter(
        name="verbosity",
        label="Verbosity",
        hint="How much the model says.",
        kind="level",
        fields={"chat": "verbosity", "responses": "text.verbosity"},
        levels=("low", "medium", "high"),
    ),
    Parameter(
        name="output",
        label="Output",
        hint="JSON: the answer is one JSON object. Say in the question which fields it should have.",
        kind="level",
        fields={"chat": "response_format", "responses": "text.format"},
        levels=("json",),
    ),
    Parameter(
        name="stop",
        label="Stop at",
        hint=f"The answer ends before any of these texts. One a line, {MAX_STOPS} at most; \\n is a line break.",
        kind="lines",
        fields={"chat": "stop"},
    ),
    Parameter(
        name="frequency_penalty",
        label="Frequency penalty",
        hint="Higher repeats the same words less. -2 to 2; models have 0.",
        kind="number",
        fields={"chat": "frequency_penalty"},
        low=-2,
        high=2,
    ),
    Parameter(
        name="presence_penalty",
        label="Presence penalty",
        hint="Higher turns to new subjects sooner. -2 to 2; models have 0.",
        kind="number",
        fields={"chat": "presence_penalty"},
        low=-2,
        high=2,
    ),
    Parameter(
        name="seed",
        label="Seed",
        hint="With the same seed and the same question a model tries to answer the same.",
        kind="count",
        fields={"chat": "seed"},
        low=-(2**63),
        high=2**63 - 1,
    ),
    Parameter(
        name="logprobs",
        label="Word probabilities",
        hint="Keeps how likely the model held each word, and what else it might have said: a button below the answer.",
        kind="level",
        fields={"chat": "logprobs", "responses": "top_logprobs"},
        levels=("on",),
        unset="off",
    ),
    Parameter(
        name="service_tier",
        label="Service tier",
        hint="Which queue the request waits in: flex is cheaper and slower, priority dearer and faster.",
        kind="level",
        fields=_both("service_tier"),
        levels=("auto", "default", "flex", "priority"),
    ),
)

_ESCAPED = re.compile(r"\\([nt\\])")
_NAME = re.compile(r"[\w.-]{1,50}")
_JSON = {"type": "json_object"}
_SENT: dict[tuple[str, Api], object] = {
    ("output", "chat"): _JSON,
    ("output", "responses"): _JSON,
    ("logprobs", "chat"): True,
    ("logprobs", "responses"): MOST_OTHERS,
}
"""What becomes of a word that is no value of its field, by the option's name."""


def offered(endpoint: Endpoint) -> tuple[Parameter, ...]:
    """Return the parameters that an endpoint takes."""
    without = profile_of(endpoint.profile).without
    return tuple(
        one
        for one in PARAMETERS
        if not one.fields
        or (
            endpoint.speaks in one.fields
            and one.name not in without
            and field_of(one, endpoint).split(".")[0] not in endpoint.dropped
        )
    )


def field_of(parameter: Parameter, endpoint: Endpoint) -> str:
    """Return where a parameter stands in the body of a request to this endpoint."""
    field = parameter.fields[endpoint.speaks]
    return profile_of(endpoint.profile).renamed.get(field, field)


def fields_of(options: Options, endpoint: Endpoint) -> dict[str, object]:
    """Return what set options become in the body of a request; what the endpoint does not take is left out."""
    body: dict[str, object] = {}
    for parameter in offered(endpoint):
        value = value_of(options, parameter)
        if value is None or not parameter.fields:
            continue
        sent: object = list(value) if isinstance(value, tuple) else _SENT.get((parameter.name, endpoint.speaks), value)
        *outer, last = field_of(parameter, endpoint).split(".")
        place = body
        for name in outer:
            inner = place.setdefault(name, {})
            assert isinstance(inner, dict)
            place = inner
        place[last] = sent
    return body


def value_of(options: Options, parameter: Parameter) -> Value:
    value: Value = getattr(options, parameter.name)
    return value


def typed(options: Options, parameter: Parameter) -> str:
    """Return an option as a person would type it; empty when it is not set."""
    value = value_of(options, parameter)
    if isinstance(value, tuple):
        return "\n".join(text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t") for text in value)
    return "" if value is None else repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def with_value(options: Options, parameter: Parameter, value: object) -> Options:
    """Return the options with one of them as a person set it; what is empty unsets it.

    Raises:
        InputError: it is not a value of that parameter.
    """
    changed: dict[str, Any] = {parameter.name: _read(parameter, value)}
    return replace(options, **changed)


def plain(options: Options) -> dict[str, Any]:
    """Return what is set of options beside endpoint and model, by name, as JSON has it."""
    values = (*((one.name, value_of(options, one)) for one in PARAMETERS), ("post", options.post))
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values if value is not None}


def from_plain(options: Options, values: Mapping[str, object]) -> Options:
    """Return options with what `plain` returned; names that are not known here are left out.

    Raises:
        InputError: a value is none of its parameter.
    """
    for parameter in PARAMETERS:
        if parameter.kind == "prompt" and values.get(parameter.name) == "":
            options = replace(options, system_prompt="")  # which says more than that none is set
        elif parameter.name in values:
            options = with_value(options, parameter, values[parameter.name])
    return replace(options, post=step_names(values["post"])) if "post" in values else options


def step_names(value: object) -> tuple[str, ...] | None:
    """Return the names of steps that complete answers go through, in order and each once; None where nothing is said.

    Raises:
        InputError: one is no name, or there are too many.
    """
    if value is None:
        return None
    names = value if isinstance(value, list | tuple) else [None]
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        raise InputError("A step's name is a word of letters, digits, dots, dashes and underscores.")
    steps = tuple(dict.fromkeys(map(str, names)))
    if len(steps) > MAX_STEPS:
        raise InputError(f"An answer goes through {MAX_STEPS} steps at most, and these are {len(steps)}.")
    return steps


def told(options: Options) -> tuple[tuple[str, str], ...]:
    """Return what is set of options beside endpoint and model, in words: label and value."""
    words = (
        (parameter.label, in_words(options, parameter))
        for parameter in PARAMETERS
        if value_of(options, parameter) != ""
    )
    return tuple((label, said) for label, said in words if said is not None)


def in_words(options: Options, parameter: Parameter) -> str | None:
    """Return an option as it is told, of a system prompt how it begins; None where it is not set."""
    value = value_of(options, parameter)
    if value is None:
        return None
    if parameter.kind == "prompt":
        line = " ".join(str(value).split())
        if not line:
            return "none"
        return f"“{line if len(line) <= _SAID else line[:_SAID].rstrip() + '…'}”"
    if isinstance(value, tuple):
        return ", ".join(f"“{text}”" for text in value)
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _read(parameter: Parameter, value: object) -> Value:
    if isinstance(value, str):
        value = clean_text(value)
        value = value if parameter.kind == "lines" else value.strip()
    if value is None or value in ("", ()):
        return None
    match parameter.kind:
        case "prompt":
            return clean_prompt(str(value))
        case "lines":
            return _lines(parameter, value)
        case "level":
            word = str(value)
            if len(word) > MAX_WORD or not word.isprintable():
                raise InputError(f"{parameter.label} is one of {', '.join(parameter.levels)}.")
            if parameter.name == "output" and word != "json":
                raise InputError("The output is JSON or, when nothing is chosen, text.")
            if parameter.name == "logprobs" and word != "on":
                raise InputError("Word probabilities are on or, when nothing is chosen, off.")
            return word
        case "number" | "count":
            return _number(parameter, value)


def _lines(parameter: Parameter, value: object) -> tuple[str, ...] | None:
    if isinstance(value, tuple | list):
        given = [clean_text(str(text)) for text in value]
    else:
        given = [_ESCAPED.sub(_meant, text) for text in str(value).replace("\r", "").split("\n")]
    texts = tuple(dict.fromkeys(text for text in given if text))
    if len(texts) > MAX_STOPS:
        raise InputError(f"{parameter.label}: {len(texts)} texts, and {MAX_STOPS} is the most. Take some out.")
    if any(len(text) > MAX_WORD for text in texts):
        raise InputError(f"{parameter.label}: a text has at most {MAX_WORD} characters. Shorten it.")
    return texts or None


def _meant(escaped: re.Match[str]) -> str:
    return {"n": "\n", "t": "\t"}.get(escaped[1], escaped[1])


def _number(parameter: Parameter, value: object) -> float | int:
    bounds = f"{parameter.label} is a {'whole ' if parameter.kind == 'count' else ''}number{_bounds(parameter)}."
    try:
        text = str(value).replace(",", ".") if parameter.kind == "number" else str(value).replace(",", "")
        number = float(text) if parameter.kind == "number" else int(text)
    except ValueError as error:
        raise InputError(bounds) from error
    if isinstance(value, bool) or not math.isfinite(number) or not parameter.low <= number <= parameter.high:
        raise InputError(bounds)
    return number


def _bounds(parameter: Parameter) -> str:
    if parameter.name == "seed":
        return ""
    return f" from {parameter.low:g} to {parameter.high:,.0f}"
