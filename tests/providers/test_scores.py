"""How likely the pieces of an answer are: what is asked for, and what servers send of it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.endpoints import Api, Endpoint, ProfileName
from services.events import TextDelta, TokensScored
from services.options import Options
from services.parameters import offered
from services.probabilities import MOST, Token, from_plain, logprob_of, percent_of, plain_of
from services.providers import chat, responses
from services.providers.base import ModelRequest
from services.providers.chat import ChatAccumulator
from services.providers.failures import Asked
from services.providers.responses import ResponsesAccumulator
from services.providers.scores import Scores
from tests.providers.asking import request
from tests.providers.folding import ENDPOINT

ON = Options(logprobs="on")


def entry(token: str, logprob: object, *others: tuple[str, object], **more: object) -> dict[str, Any]:
    top = [{"token": text, "logprob": value, "bytes": list(text.encode())} for text, value in others]
    return {"token": token, "logprob": logprob, "bytes": list(token.encode()), "top_logprobs": top, **more}


def asking(api: Api, profile: ProfileName = "openai", dropped: frozenset[str] = frozenset()) -> ModelRequest:
    asked = request("http://127.0.0.1:9/v1", profile, dropped, api)
    return ModelRequest(endpoint=asked.endpoint, model="m1", messages=asked.messages, options=ON)


def test_chat_completions_is_asked_for_five_others() -> None:
    body = chat.encode(asking("chat"))
    assert (body["logprobs"], body["top_logprobs"]) == (True, 5)
    body = chat.encode(asking("chat", dropped=frozenset({"top_logprobs"})))
    assert (body["logprobs"], "top_logprobs" in body) == (True, False)
    assert not {"logprobs", "top_logprobs"} & chat.encode(asking("chat", dropped=frozenset({"logprobs"}))).keys()


def test_responses_is_asked_to_include_them() -> None:
    body = responses.encode(asking("responses"))
    assert body["top_logprobs"] == 5
    assert body["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]
    body = responses.encode(asking("responses", dropped=frozenset({"top_logprobs"})))
    assert body["include"] == ["reasoning.encrypted_content"]
    assert "top_logprobs" not in body


@pytest.mark.parametrize(("profile", "takes"), [("llamacpp", True), ("vllm", True), ("groq", False), ("demo", False)])
def test_it_is_offered_where_it_is_taken(profile: ProfileName, takes: bool) -> None:
    there = Endpoint(name="x", base_url="http://127.0.0.1:9/v1", profile=profile)
    assert ("logprobs" in {parameter.name for parameter in offered(there)}) is takes


def test_a_chunk_of_chat_completions() -> None:
    scores = {"content": [entry("Rain", -0.1, ("Rain", -0.1), ("Snow", -2.5), ("Hail", -1.5))]}
    data = {"choices": [{"index": 0, "delta": {"content": "Rain"}, "logprobs": scores}]}
    acc = ChatAccumulator(Asked(endpoint=ENDPOINT, model="m1"))
    assert acc.feed(json.dumps(data)) == [
        TextDelta("Rain"),
        TokensScored((Token("Rain", -0.1, (("Hail", -1.5), ("Snow", -2.5))),)),
    ]


@pytest.mark.parametrize("logprobs", [None, {}, [], {"content": None}, {"content": [1, None, {}]}, "none"])
def test_what_is_none_costs_nothing(logprobs: object) -> None:
    acc = ChatAccumulator(Asked(endpoint=ENDPOINT, model="m1"))
    data = {"choices": [{"index": 0, "delta": {"content": "Rain"}, "logprobs": logprobs}]}
    assert acc.feed(json.dumps(data)) == [TextDelta("Rain")]


def test_a_delta_of_responses() -> None:
    acc = ResponsesAccumulator(Asked(endpoint=ENDPOINT, model="m1"))
    data = {"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "delta": "Rain"}
    events = acc.feed(json.dumps({**data, "logprobs": [entry("Rain", -0.25)]}))
    assert events == [TextDelta("Rain"), TokensScored((Token("Rain", -0.25),))]


def test_a_letter_of_several_tokens_is_one_piece() -> None:
    cup = "☕".encode()
    scores = Scores()
    first = {"token": "\\xe2\\x98", "logprob": -0.5, "bytes": list(cup[:2]), "top_logprobs": []}
    last = {"token": "\\x95", "logprob": -0.25, "bytes": list(cup[2:]), "top_logprobs": []}
    assert scores.read([first]) == ()
    assert scores.read([last, entry("!", 0)]) == (Token("☕", -0.75), Token("!", 0.0))


@pytest.mark.parametrize(
    ("logprob", "kept"),
    [(-0.12345, -0.1235), (0, 0.0), (0.5, 0.0), (-math.inf, -1000.0), (math.nan, None), ("-1", None), (True, None)],
)
def test_only_logarithms_count(logprob: object, kept: float | None) -> None:
    assert logprob_of(logprob) == kept


def test_percent() -> None:
    assert [round(percent_of(one), 2) for one in (0.0, math.log(0.5), -1000.0)] == [100, 50, 0]


def test_without_bytes_the_token_stands_for_itself() -> None:
    assert Scores().read([{"token": " rain\x00", "logprob": -1}]) == (Token(" rain", -1.0),)
    assert Scores().read([entry("x" * 500, -1)])[0].text == "x" * 100


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_logprobs = st.floats(-1000, 0).map(lambda value: logprob_of(value) or 0.0)


@given(st.lists(st.builds(Token, _texts, _logprobs, st.lists(st.tuples(_texts, _logprobs), max_size=5).map(tuple))))
def test_they_come_back_as_they_were_written(tokens: list[Token]) -> None:
    assert from_plain(json.loads(json.dumps(plain_of(tokens)))) == tuple(tokens)


@pytest.mark.parametrize(
    "value", [None, {}, [1], [["a"]], [["a", "b"]], [[1, 2]], [["a", -1, ["b"]]], [["a", -1]] * (MOST + 1)]
)
def test_what_is_damaged_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="no "):
        from_plain(value)
