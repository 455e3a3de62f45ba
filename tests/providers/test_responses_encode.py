"""The Responses dialect: what is sent."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from services.endpoints import Endpoint
from services.errors import Failure
from services.messages import ErrorPart, Part, ProviderMetadata, ReasoningPart, TextPart, ToolCallPart
from services.providers.responses import encode
from tests.providers.responses import ENDPOINT, Event
from tests.providers.test_chat import MAP, message, request


def user(*texts: str) -> Event:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text} for text in texts]}


def answer(*texts: str) -> Event:
    content = [{"type": "output_text", "text": text} for text in texts]
    return {"type": "message", "role": "assistant", "content": content}


SEALED = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAA"}
HERE = ProviderMetadata("openai http://127.0.0.1:1/v1", json.dumps(SEALED))


class TestEncode:
    def test_sends_nothing_that_was_not_set_and_stores_nothing(self) -> None:
        assert encode(request(message("user", "Hi"), endpoint=ENDPOINT)) == {
            "model": "m1",
            "input": [user("Hi")],
            "stream": True,
            "store": False,
            "include": ["reasoning.encrypted_content"],
        }

    def test_what_was_refused_is_left_out(self) -> None:
        endpoint = Endpoint(name="x", base_url="http://x/v1", dropped=frozenset({"include", "store"}))
        body = encode(request(message("user", "Hi"), endpoint=endpoint))
        assert "include" not in body
        assert body["store"] is False, "an answer is never kept by who gives it"

    def test_the_system_prompt_is_the_instructions(self) -> None:
        assert encode(request(message("user", "Hi"), system="Be \ud83dbrief."))["instructions"] == "Be \ufffdbrief."
        assert "instructions" not in encode(request(message("user", "Hi"), system=" "))

    def test_pictures_are_parts_of_their_message(self) -> None:
        asked = replace(request(message("user", "See: ", MAP, "What is it?")), images={MAP.sha256: "data:x"})
        picture = {"type": "input_image", "image_url": "data:x", "detail": "auto"}
        content = [user("See: ")["content"][0], picture, user("What is it?")["content"][0]]
        assert encode(asked)["input"] == [{"type": "message", "role": "user", "content": content}]

    def test_the_path_becomes_items(self) -> None:
        failed = message("assistant", ErrorPart(Failure(kind="server", message="down")))
        reply = message("assistant", ReasoningPart("hm"), "Hello", ToolCallPart("a", "f", "{}"), " there")
        path = [message("user", "One"), failed, message("user", "Two"), reply, message("user", "a\ud83d\ude00\x00")]
        assert encode(request(*path))["input"] == [user("One", "Two"), answer("Hello", " there"), user("a😀")]

    @pytest.mark.parametrize(
        ("parts", "items"),
        [
            ([ReasoningPart("hm", HERE), TextPart("Hi")], [SEALED, answer("Hi")]),
            ([ReasoningPart("", HERE), ReasoningPart("", HERE), TextPart("Hi")], [SEALED, SEALED, answer("Hi")]),
            (
                [TextPart("So"), ReasoningPart("hm", HERE), TextPart("Hi"), TextPart("!")],
                [answer("So"), SEALED, answer("Hi", "!")],
            ),
            ([TextPart("Hi"), ReasoningPart("hm", HERE)], [answer("Hi")]),  # would be refused
            (
                [ReasoningPart("hm", ProviderMetadata("azure http://127.0.0.1:1/v1", "{}")), TextPart("Hi")],
                [answer("Hi")],
            ),
            ([ReasoningPart("hm", ProviderMetadata("openai http://other/v1", "{}")), TextPart("Hi")], [answer("Hi")]),
        ],
    )
    def test_encrypted_reasoning_goes_back_to_where_it_came_from(self, parts: list[Part], items: list[Event]) -> None:
        path = [message("user", "Q"), message("assistant", *parts), message("user", "More")]
        assert encode(request(*path, endpoint=ENDPOINT))["input"] == [user("Q"), *items, user("More")]

    def test_reasoning_stays_here_once_include_was_refused(self) -> None:
        endpoint = Endpoint(name="here", base_url=ENDPOINT.base_url, profile="openai", dropped=frozenset({"include"}))
        body = encode(request(message("assistant", ReasoningPart("", HERE), "Hi"), endpoint=endpoint))
        assert body["input"] == [answer("Hi")]
