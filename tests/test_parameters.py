"""Options: what a person sets is checked, goes where the endpoint wants it, and nothing else is sent."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.endpoints import Api, Endpoint, ProfileName
from services.errors import InputError
from services.options import Options
from services.parameters import PARAMETERS, fields_of, from_plain, offered, plain, told, value_of, with_value
from services.parameters import typed as as_typed

ALL = Options(
    temperature=0.2,
    top_p=0.5,
    max_output_tokens=100,
    frequency_penalty=-1.0,
    presence_penalty=1.0,
    stop=("END", "\n\n"),
    seed=7,
    reasoning_effort="low",
    verbosity="high",
    output="json",
    service_tier="flex",
    system_prompt="Answer\nbriefly.",
)
BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}


def endpoint(profile: ProfileName = "openai", api: Api = "chat", **more: Any) -> Endpoint:
    return Endpoint(name="here", base_url="http://127.0.0.1:9/v1", profile=profile, api=api, **more)


def test_every_option_is_described_once() -> None:
    described = [parameter.name for parameter in PARAMETERS]
    assert sorted(described) == sorted({field.name for field in fields(Options)} - {"endpoint", "model", "post"})
    assert all(parameter.hint.endswith(".") and parameter.label for parameter in PARAMETERS)


def test_unset_options_send_nothing() -> None:
    for api in ("chat", "responses"):
        assert fields_of(Options(endpoint="here", model="m"), endpoint(api=api)) == {}


def test_chat_completions() -> None:
    assert fields_of(ALL, endpoint()) == {
        "temperature": 0.2,
        "top_p": 0.5,
        "max_completion_tokens": 100,
        "reasoning_effort": "low",
        "verbosity": "high",
        "response_format": {"type": "json_object"},
        "stop": ["END", "\n\n"],
        "frequency_penalty": -1.0,
        "presence_penalty": 1.0,
        "seed": 7,
        "service_tier": "flex",
    }


def test_responses() -> None:
    assert fields_of(ALL, endpoint(api="responses")) == {
        "temperature": 0.2,
        "top_p": 0.5,
        "max_output_tokens": 100,
        "reasoning": {"effort": "low"},
        "text": {"verbosity": "high", "format": {"type": "json_object"}},
        "service_tier": "flex",
    }


@pytest.mark.parametrize(
    ("profile", "has", "lacks"),
    [
        ("mistral", {"max_tokens": 100, "random_seed": 7}, {"seed", "max_completion_tokens", "service_tier"}),
        ("llamacpp", {"max_tokens": 100, "seed": 7, "temperature": 0.2}, {"verbosity", "reasoning_effort"}),
        ("deepseek", {"max_tokens": 100}, {"seed", "verbosity"}),
        ("groq", {"max_completion_tokens": 100, "service_tier": "flex"}, {"max_tokens", "verbosity"}),
        ("generic", {"max_tokens": 100, "reasoning_effort": "low"}, {"verbosity", "service_tier"}),
        ("demo", {"max_tokens": 100}, {"temperature", "stop", "seed"}),
    ],
)
def test_other_servers(profile: ProfileName, has: dict[str, object], lacks: set[str]) -> None:
    body = fields_of(ALL, endpoint(profile))
    assert has.items() <= body.items()
    assert not lacks & body.keys()


def test_what_an_endpoint_refused_is_neither_offered_nor_sent() -> None:
    there = endpoint(api="responses", dropped=frozenset({"temperature", "reasoning"}))
    assert not {"temperature", "reasoning"} & fields_of(ALL, there).keys()
    assert not {"temperature", "reasoning_effort"} & {parameter.name for parameter in offered(there)}


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("temperature", "0,7", 0.7),
        ("temperature", " 1 ", 1.0),
        ("temperature", 0, 0.0),
        ("temperature", "", None),
        ("max_output_tokens", "4,000", 4000),
        ("seed", "-3", -3),
        ("stop", "END\r\n\n\n---\nEND", ("END", "---")),
        ("stop", "\n \n", (" ",)),
        ("stop", "\\n\\n\nEND\\t", ("\n\n", "END\t")),
        ("stop", "", None),
        ("reasoning_effort", "low", "low"),
        ("reasoning_effort", "a level of next year", "a level of next year"),
        ("output", "json", "json"),
        ("output", None, None),
        ("system_prompt", " Be brief.\x00\n", "Be brief."),
        ("system_prompt", " \n", None),
    ],
)
def test_what_is_typed_becomes_a_value(name: str, typed: object, value: object) -> None:
    parameter = BY_NAME[name]
    assert value_of(with_value(Options(), parameter, typed), parameter) == value


@pytest.mark.parametrize(
    ("name", "typed", "says"),
    [
        ("temperature", "warm", "Temperature is a number from 0 to 2."),
        ("temperature", 2.1, "from 0 to 2"),
        ("temperature", "nan", "from 0 to 2"),
        ("temperature", True, "from 0 to 2"),
        ("max_output_tokens", "0", "a whole number from 1 to 10,000,000"),
        ("max_output_tokens", "1.5", "a whole number"),
        ("seed", "9" * 30, "Seed is a whole number."),
        ("stop", "1\n2\n3\n4\n5", "4 is the most"),
        ("stop", "x" * 201, "200 characters"),
        ("output", "xml", "The output is JSON or"),
        ("verbosity", "x" * 201, "low, medium, high"),
        ("system_prompt", "x" * 20_001, "at most 20,000 characters"),
    ],
)
def test_what_is_no_value_is_refused_in_a_sentence(name: str, typed: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        with_value(Options(), BY_NAME[name], typed)


def test_out_and_in_again() -> None:
    named = Options(endpoint="here", model="m")
    assert from_plain(named, json.loads(json.dumps(plain(ALL)))) == Options(
        **{field.name: getattr(ALL, field.name) for field in fields(Options)} | {"endpoint": "here", "model": "m"}
    )
    assert (plain(named), told(named)) == ({}, ())
    assert ("Stop at", "“END”, “\n\n”") in told(ALL)
    assert ("System prompt", "“Answer briefly.”") in told(ALL)
    [(_, words)] = told(Options(system_prompt="word " * 100))
    assert words == f"“{'word ' * 11}word…”"


@given(st.sampled_from(PARAMETERS), st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.booleans()))
def test_anything_typed_is_a_value_or_a_sentence(parameter: Any, typed: object) -> None:
    options, said = Options(), ""
    try:
        options = with_value(options, parameter, typed)
    except InputError as error:
        said = str(error)
    assert not said or said.endswith(".")
    assert from_plain(Options(), json.loads(json.dumps(plain(options)))) == options
    json.dumps(fields_of(options, endpoint()), allow_nan=False)
    assert with_value(Options(), parameter, as_typed(options, parameter)) == options
