"""How likely the pieces of an answer are, from the wire to what is shown and exported, through the door."""

from __future__ import annotations

import json

from components.chat.views import likely_view, message_view
from services.events import StepFinished, TextDelta, TokensScored, merged
from services.options import Options
from services.probabilities import MOST, Token
from services.runtime import Runtime
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.scripted import ScriptedProvider, Step
from tests.test_exchange import file_of, received

RAIN = Token("Rain", -0.1, (("Snow", -2.5), ("<b>Hail</b>", -4.0)))
FALLS = Token(" falls.", -0.01)
SCRIPT: list[Step] = [
    TextDelta("Rain"),
    TokensScored((RAIN,)),
    TextDelta(" falls."),
    TokensScored((FALLS,)),
    StepFinished("stop", "stop"),
]


async def kept(app: Runtime, owner: str, conversation_id: str, message_id: str) -> list[Token]:
    details = await app.chat.details.of(owner, conversation_id, message_id)
    return [token for one in details.runs for token in one.run.probabilities]


def test_what_comes_together_is_gathered_beside_the_text() -> None:
    assert list(merged(SCRIPT)) == [  # type: ignore[arg-type]
        TextDelta("Rain falls."),
        TokensScored((RAIN, FALLS)),
        StepFinished("stop", "stop"),
    ]


async def test_they_are_kept_with_the_run_and_the_answer_stays_as_it_is(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(SCRIPT))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Why?", options=Options(logprobs="on")))
    answer = done.path[-1]
    assert (answer.text, len(answer.parts)) == ("Rain falls.", 1)
    assert await kept(app, OWNER, done.conversation.id, answer.id) == [RAIN, FALLS]
    forked = await app.chat.fork(OWNER, done.conversation.id, answer.id)
    assert await kept(app, OWNER, forked.conversation.id, forked.path[-1].id) == [RAIN, FALLS]


async def test_they_go_out_as_json_and_come_in_and_are_in_no_text(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(SCRIPT))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Why?", options=Options(logprobs="on")))
    _, data = await file_of(app.chat, [done.conversation.id])
    [[run]] = [one["runs"] for one in json.loads(data)["conversations"]]
    assert run["probabilities"] == [["Rain", -0.1, ["Snow", -2.5], ["<b>Hail</b>", -4.0]], [" falls.", -0.01]]
    _, markdown = await file_of(app.chat, [done.conversation.id], "markdown")
    assert b"Snow" not in markdown
    word = await received(app.chat, data, "grace")
    await app.chat.catalogue.import_("grace", word)
    [listed] = await app.chat.catalogue.conversations("grace")
    path = (await app.chat.open("grace", listed.id)).path
    assert await kept(app, "grace", listed.id, path[-1].id) == [RAIN, FALLS]


async def test_no_more_are_kept_than_there_is_room_for(open_app: OpenRuntime) -> None:
    many: list[Step] = [TextDelta("a"), *(TokensScored((FALLS,) * 1_500) for _ in range(3)), *SCRIPT[-1:]]
    app = await open_app(ScriptedProvider(many))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Why?"))
    assert len(await kept(app, OWNER, done.conversation.id, done.path[-1].id)) == MOST


async def test_the_page_is_given_percents_and_asks_only_where_there_may_be_any(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(SCRIPT, ["Well.", StepFinished("stop", "stop")]))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Why?", options=Options(logprobs="on")))
    details = await app.chat.details.of(OWNER, done.conversation.id, done.path[-1].id)
    view = likely_view([one.run for one in details.runs])
    [(text, percent, others), _] = view["tokens"]
    assert (text, round(percent, 1), [(word, round(share, 1)) for word, share in others]) == (
        "Rain",
        90.5,
        [("Snow", 8.2), ("<b>Hail</b>", 1.8)],
    )
    assert message_view(done.path[-1], None)["likely"]
    assert likely_view([])["note"] == "No probabilities came with this answer."
    again = await app.chat.retry(OWNER, done.conversation.id, done.path[-1].id, options=Options())
    assert not message_view((await whole_run(app.chat, again)).path[-1], None)["likely"]
