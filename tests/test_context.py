"""What a model is told of the files in a conversation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.attachments import MAX_TOGETHER, not_shown
from services.context import SUMMARY, build_request, within_limit
from services.context import told as told_of
from services.conversation import told_from
from services.endpoints import Endpoint, ProfileName
from services.errors import ModelError
from services.messages import AttachmentPart, Memory, TextPart
from services.providers.base import Image, ModelRequest
from tests.providers.test_chat import message

NOTES = AttachmentPart("a" * 64, "notes.md", "text/plain", 9)
MAP = AttachmentPart("b" * 64, "map.png", "image/png", 3)
FILES = {NOTES.sha256: "```\nhé\n".encode(), MAP.sha256: b"abc"}
QUOTED = "Attached file “notes.md” (9 bytes):\n````\n```\nhé\n````\n\n"
PICTURED = "Attached picture “map.png” (image/png, 3 bytes)\n\n"


def request(
    *path, profile: ProfileName = "generic", files: dict[str, bytes] = FILES, blind: bool = False
) -> ModelRequest:
    endpoint = Endpoint(name="there", base_url="http://x/v1", profile=profile)
    messages = [one if not isinstance(one, tuple) else replace(message(*one), id=str(n)) for n, one in enumerate(path)]
    return build_request(messages, endpoint=endpoint, model="m", system_prompt=None, files=files, blind=blind)


def told(of: ModelRequest) -> list[list[str | Image]]:
    return [of.pieces(one) for one in of.messages]


def test_text_is_quoted_and_pictures_are_named() -> None:
    asked = request(("user", NOTES, MAP, "What is it?"), ("assistant",))
    assert told(asked) == [[QUOTED + PICTURED, Image("data:image/png;base64,YWJj"), "What is it?"]]


def test_a_message_may_be_nothing_but_files() -> None:
    assert told(request(("user", NOTES))) == [[QUOTED]]


def test_continue_and_later_questions_have_the_files_still() -> None:
    asked = request(("user", NOTES, "One"), ("assistant", "Half an"))
    assert told(asked)[0] == [QUOTED + "One"]
    asked = request(("user", MAP, "One"), ("assistant", "Yes."), ("user", "Two"), ("assistant",))
    assert told(asked)[0][1] == Image("data:image/png;base64,YWJj")


def test_an_endpoint_that_takes_no_pictures_is_not_asked() -> None:
    with pytest.raises(ModelError, match=r"^there takes no images\. Choose another model") as caught:
        request(("user", MAP, "What is it?"), ("assistant",), profile="deepseek")
    assert caught.value.failure.next_step == "choose_model"
    earlier = request(("user", MAP, "One"), ("assistant", "Yes."), ("user", "Two"), profile="deepseek")
    assert told(earlier)[0] == ["(A file, “map.png”, was attached here. You cannot see it.)\n\nOne"]
    assert told(request(("user", NOTES), profile="deepseek")) == [[QUOTED]]


def test_a_model_that_refused_pictures_gets_those_of_the_question_alone() -> None:
    earlier = request(("user", MAP, "One"), ("assistant",), ("user", "Two"), blind=True)
    assert told(earlier)[0] == ["(A file, “map.png”, was attached here. You cannot see it.)\n\nOne"]
    assert Image("data:image/png;base64,YWJj") in told(request(("user", MAP, "One"), ("assistant",), blind=True))[0]


def test_a_file_that_is_gone_holds_up_only_the_question_it_came_with() -> None:
    with pytest.raises(ModelError, match=r"“notes\.md” cannot be read any more"):
        request(("user", NOTES), files={})
    later = request(("user", NOTES, "One"), ("assistant", "Yes."), ("user", "Two"), files={})
    assert told(later)[0] == ["(A file, “notes.md”, was attached here. You cannot see it.)\n\nOne"]


def test_messages_without_files_are_left_as_they_are() -> None:
    one = message("user", "Hi")
    assert request(one, files={}).messages == (one,)
    assert told(request(message("user", TextPart("a\x00"), TextPart("b")))) == [["ab"]]


def test_one_request_takes_so_many_files_and_the_newest_first() -> None:
    third = replace(MAP, size=MAX_TOGETHER // 3)
    turns = [message("user", MAP), *(message("user", third, "Again") for _ in range(4)), message("assistant")]
    told = within_limit(turns)
    assert [one.attachments for one in told] == [(), (), *[(third,)] * 3, ()], "what is sent twice counts twice"
    assert told[1].text == not_shown(third) + "Again"
    large = message("user", *(replace(MAP, size=MAX_TOGETHER) for _ in range(2)))
    assert within_limit([turns[0], large])[1] == large, "the question itself was taken, or refused, before"
    assert within_limit([turns[0], large])[0].attachments == ()


AT = datetime(2026, 11, 1, tzinfo=UTC)
FORGET, SHORT = Memory(at=AT), Memory(summary="It rained.", at=AT)


def remembered(*memories: Memory | None, roles: str = "uauaua") -> list[str]:
    """Return what is told of a path whose messages are called by their places."""
    names = {"u": "user", "a": "assistant"}
    path = [
        replace(message(names[role], str(place)), id=str(place), memory=memory)
        for place, (role, memory) in enumerate(zip(roles, (*memories, *[None] * len(roles)), strict=False))
    ]
    return [one.text for one in told_of(path)]


def test_what_is_above_the_last_memory_is_not_told() -> None:
    assert remembered() == list("012345")
    assert remembered(None, FORGET) == list("2345")
    assert remembered(None, FORGET, None, FORGET) == list("45")
    assert remembered(None, SHORT) == [SUMMARY.format("It rained.") + "2", *"345"]
    assert remembered(None, SHORT, None, FORGET) == list("45"), "the later one is instead of all before it"


def test_a_memory_counts_from_the_next_question_on() -> None:
    assert remembered(None, None, None, None, None, FORGET) == list("012345"), "nothing follows it yet"
    assert remembered(None, None, None, FORGET, roles="uaua") == list("0123"), "it is the answer to go on with"
    assert remembered(FORGET) == list("012345"), "an answer is told with its question"
    assert remembered(FORGET, roles="uua") == list("12")
    assert remembered(None, FORGET, roles="aau") == list("2")
    assert remembered(FORGET, FORGET, roles="aa") == list("01")
    assert (told_from([]), told_of([])) == (0, [])


def test_a_summary_is_part_of_the_first_question_that_is_told() -> None:
    path = [
        replace(message("user", "Old"), id="0"),
        replace(message("assistant", "Older"), id="1", memory=SHORT),
        replace(message("user", NOTES, "And now?"), id="2"),
        message("assistant"),
    ]
    endpoint = Endpoint(name="there", base_url="http://x/v1")
    asked = build_request(told_of(path), endpoint=endpoint, model="m", system_prompt=None, files=FILES)
    assert told(asked) == [[SUMMARY.format("It rained.") + QUOTED + "And now?"]]
    assert path[2].text == "And now?", "what was said stays as it is"
