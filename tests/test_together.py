"""Several answers to one question, side by side, through the door."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from components.state import ConversationState
from components.temporary import BLANK
from services.chat import Opened
from services.conversation import Queued
from services.errors import InputError, NotFoundError
from services.events import TextDelta
from services.messages import ErrorPart
from services.options import Options
from services.parameters import PARAMETERS, with_value
from services.providers.base import ModelRequest
from services.providers.bodies import body_of
from services.runtime import Runtime
from tests.components.test_state import becomes
from tests.conftest import OWNER, OpenRuntime, until, whole_run
from tests.scripted import ScriptedProvider, Step, answer, refusal
from tests.test_exchange import file_of, received

THREE = Options(answers=3)


class ByCall(ScriptedProvider):
    """Plays the scripts in the order of the calls, and says when a number of them have come."""

    async def called(self, count: int) -> None:
        await until(lambda: len(self.requests) >= count)


async def all_ended(app: Runtime, opened: Opened) -> Opened:
    here = opened.conversation.id
    await until(lambda: not app.chat.writing(OWNER, here))
    return await app.chat.open(OWNER, here)


async def three(app: Runtime, text: str = "Name a colour.") -> Opened:
    return await all_ended(app, await app.chat.send(OWNER, text, options=THREE))


def texts(opened: Opened) -> list[str]:
    return [message.text for message in opened.together]


async def test_a_question_gets_as_many_answers_as_its_options_say(open_app: OpenRuntime, tmp_path: Path) -> None:
    gates = [asyncio.Event() for _ in range(3)]
    provider = ByCall(*([gate, *answer(word)] for gate, word in zip(gates, ("Red", "Green", "Blue"), strict=True)))
    app = await open_app(provider)
    opened = await app.chat.send(OWNER, "Name a colour.", options=THREE)
    question, first = opened.path
    assert [m.parent_id for m in opened.together] == [question.id] * 3
    assert opened.together[0] == first
    assert opened.conversation.head_id == first.id
    assert list(opened.runs) == [m.id for m in opened.together]
    assert list(opened.runs.values()) == [m.run_id for m in opened.together]
    with closing(sqlite3.connect(tmp_path / "data" / "panelist.db")) as database:
        stored = database.execute("select status, count(*) from runs group by status").fetchall()
    assert stored == [("streaming", 3)], "all were stored before anything left"
    for gate in gates:
        gate.set()
    done = await all_ended(app, opened)
    assert sorted(texts(done)) == ["Blue", "Green", "Red"]
    assert (done.runs, done.run_id) == ({}, None)
    assert [len(done.versions[done.path[1].id].ids), done.path[1].options and done.path[1].options.answers] == [3, 3]
    assert [request.messages[-1].text for request in provider.requests] == ["Name a colour."] * 3


async def test_each_is_a_request_of_its_own_without_a_field_for_their_number(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(answer("Red"), answer("Green"), answer("Blue"))
    app = await open_app(provider)
    await three(app)
    bodies: list[ModelRequest] = provider.requests
    assert [{"n", "answers"} & body_of(request).keys() for request in bodies] == [set()] * 3


@pytest.mark.parametrize("value", ["1", "5", "two", "2.5"])
def test_the_number_is_two_to_four(value: str) -> None:
    parameter = next(one for one in PARAMETERS if one.name == "answers")
    with pytest.raises(InputError, match="Answers is a whole number from 2 to 4"):
        with_value(Options(), parameter, value)
    assert with_value(Options(), parameter, "4").answers == 4
    assert with_value(THREE, parameter, "").answers is None


async def test_they_are_the_same_after_a_restart(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("Red"), answer("Green"), answer("Blue")))
    done = await three(app)
    await app.close()
    again = await open_app(ScriptedProvider())
    found = await again.chat.open(OWNER, done.conversation.id)
    assert (found.path, found.together) == (done.path, done.together)


async def test_each_fails_and_is_retried_alone(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    provider = ByCall(answer("Red"), [refusal()], [gate, *answer("Blue")], answer("Green"))
    app = await open_app(provider)
    opened = await app.chat.send(OWNER, "Name a colour.", options=THREE)
    here = opened.conversation.id
    await until(lambda: len(app.chat.writing(OWNER, here)) == 1)
    now = await app.chat.open(OWNER, here)
    assert [m.status for m in now.together] == ["complete", "failed", "streaming"]
    failed = now.together[1]
    assert any(isinstance(part, ErrorPart) for part in failed.parts)
    retried = await app.chat.retry(OWNER, here, failed.id)
    assert failed.id not in {m.id for m in retried.together}
    assert retried.conversation.head_id == opened.conversation.head_id, "the head stays"
    await until(lambda: len(app.chat.writing(OWNER, here)) == 1)
    gate.set()
    done = await all_ended(app, opened)
    assert texts(done) == ["Red", "Blue", "Green"]
    assert [m.status for m in done.together] == ["complete"] * 3
    assert failed.id in done.versions[done.path[-1].id].ids, "what failed is a version"


async def test_the_head_that_failed_gives_its_place_to_the_retry(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider([refusal()], answer("Green"), answer("Blue"), answer("Red")))
    done = await three(app)
    retried = await app.chat.retry(OWNER, done.conversation.id, done.path[-1].id)
    end = await all_ended(app, retried)
    assert (end.path[-1].text, sorted(texts(end))) == ("Red", ["Blue", "Green", "Red"])


async def test_one_is_stopped_and_the_others_go_on(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider(*([word, gate, *answer(".")] for word in ("Red", "Green", "Blue"))))
    opened = await app.chat.send(OWNER, "Name a colour.", options=THREE)
    second = opened.together[1]
    async for batch in app.chat.follow(OWNER, opened.runs[second.id]):
        if any(isinstance(one.event, TextDelta) for one in batch):
            app.chat.stop(OWNER, opened.runs[second.id])
    assert len(app.chat.writing(OWNER, opened.conversation.id)) == 2
    gate.set()
    done = await all_ended(app, opened)
    assert [(m.text, m.status) for m in done.together] == [
        ("Red.", "complete"),
        ("Green", "stopped"),
        ("Blue.", "complete"),
    ]


async def test_one_that_was_stopped_is_gone_on_with_beside_the_others(open_app: OpenRuntime) -> None:
    never = asyncio.Event()
    app = await open_app(ScriptedProvider(answer("Red"), ["Gre", never], answer("Blue"), answer("en")))
    opened = await app.chat.send(OWNER, "Name a colour.", options=THREE)
    second = opened.together[1]
    async for batch in app.chat.follow(OWNER, opened.runs[second.id]):
        if any(isinstance(one.event, TextDelta) for one in batch):
            app.chat.stop(OWNER, opened.runs[second.id])
    await all_ended(app, opened)
    again = await app.chat.go_on(OWNER, opened.conversation.id, second.id)
    assert (again.conversation.head_id, [*again.runs]) == (opened.path[-1].id, [second.id])
    assert texts(await all_ended(app, opened)) == ["Red", "Green", "Blue"]


async def test_the_one_that_is_chosen_goes_on_and_the_others_are_versions(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(answer("Red"), answer("Green"), answer("Blue"), answer("Grass"))
    app = await open_app(provider)
    done = await three(app)
    green = next(m for m in done.together if m.text == "Green")
    chosen = await app.chat.choose(OWNER, done.conversation.id, green.id)
    assert (chosen.path[-1].id, chosen.together) == (green.id, ())
    assert set(chosen.versions[green.id].ids) == {m.id for m in done.together}
    assert chosen == await app.chat.choose(OWNER, done.conversation.id, green.id), "a double click is one"
    await app.chat.set_options(OWNER, done.conversation.id, Options())
    await whole_run(app.chat, await app.chat.send(OWNER, "What has it?", conversation_id=done.conversation.id))
    assert [m.text for m in provider.requests[-1].messages] == ["Name a colour.", "Green", "What has it?"]


async def test_to_choose_while_they_are_written_stops_the_others(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider(*([word, gate, *answer(".")] for word in ("Red", "Green", "Blue"))))
    opened = await app.chat.send(OWNER, "Name a colour.", options=THREE)
    second = opened.together[1]
    chosen = await app.chat.choose(OWNER, opened.conversation.id, second.id)
    assert (chosen.path[-1].id, chosen.runs) == (second.id, {second.id: opened.runs[second.id]})
    await until(lambda: app.chat.writing(OWNER, opened.conversation.id) == (opened.runs[second.id],))
    gate.set()
    done = await all_ended(app, opened)
    assert (done.path[-1].text, done.path[-1].status, done.together) == ("Green.", "complete", ())
    first = await app.chat.message(OWNER, opened.conversation.id, opened.together[0].id)
    assert first.status == "stopped"


async def test_nobody_chooses_in_a_conversation_of_somebody_else(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("Red"), answer("Green"), answer("Blue")))
    done = await three(app)
    with pytest.raises(NotFoundError):
        await app.chat.choose("mallory", done.conversation.id, done.together[1].id)
    assert (await app.chat.open(OWNER, done.conversation.id)).together == done.together


async def test_to_ask_on_without_choosing_goes_on_with_the_first(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(answer("Red"), answer("Green"), answer("Blue"), answer("Roses"), answer("Wine"))
    app = await open_app(provider)
    done = await three(app)
    here = done.conversation.id
    await app.chat.set_options(OWNER, here, Options(answers=2))
    opened = await app.chat.send(OWNER, "What has it?", conversation_id=here)
    assert opened.path[1] == replace(done.path[1], together=None)
    assert (opened.path[1].id, len(opened.path), len(opened.together)) == (done.path[1].id, 4, 2)
    end = await all_ended(app, opened)
    assert end.path[1].together is None
    back = await app.chat.show_version(OWNER, here, done.together[2].id)
    assert (back.path[-1].id, back.together) == (done.together[2].id, ()), "they do not stand side by side again"


async def test_to_regenerate_makes_as_many_more(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(*map(answer, ("Red", "Green", "Blue", "Pink", "Grey", "Teal"))))
    done = await three(app)
    opened = await app.chat.retry(OWNER, done.conversation.id, done.together[1].id)
    end = await all_ended(app, opened)
    assert sorted(texts(end)) == ["Grey", "Pink", "Teal"]
    assert len(end.versions[end.path[-1].id].ids) == 6
    back = await app.chat.show_version(OWNER, done.conversation.id, done.together[0].id)
    assert back.together == ()


async def test_what_waits_is_sent_behind_the_first_when_all_have_ended(open_app: OpenRuntime) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    provider = ByCall(
        answer("Red"), [gates[0], *answer("Green")], [gates[1], *answer("Blue")], answer("Roses"), answer("x")
    )
    app = await open_app(provider)
    opened = await app.chat.send(OWNER, "Name a colour.", options=THREE)
    here = opened.conversation.id
    await app.chat.set_options(OWNER, here, Options())
    waits = await app.chat.send(OWNER, "What has it?", conversation_id=here)
    queued: tuple[Queued, ...] = waits.waiting.messages
    assert [one.text for one in queued] == ["What has it?"]
    gates[0].set()
    await until(lambda: len(app.chat.writing(OWNER, here)) == 1)
    assert len(provider.requests) == 3, "one is still being written"
    gates[1].set()
    await provider.called(4)
    assert [m.text for m in provider.requests[3].messages] == ["Name a colour.", "Red", "What has it?"]
    await all_ended(app, opened)


@pytest.mark.parametrize(("stopped", "sent"), [(0, 3), (1, 4)])
async def test_what_waits_goes_by_how_the_first_ended(open_app: OpenRuntime, stopped: int, sent: int) -> None:
    """The order in which they end says nothing: what was stopped is not gone on with by itself."""
    gate = asyncio.Event()
    scripts: list[list[Step]] = [
        ["Red", gate, *answer(".")],
        ["Green", gate, *answer(".")],
        answer("Blue"),
        answer("x"),
    ]
    provider = ByCall(*scripts)
    app = await open_app(provider)
    opened = await app.chat.send(OWNER, "Name a colour.", options=THREE)
    here = opened.conversation.id
    await app.chat.set_options(OWNER, here, Options())
    await app.chat.send(OWNER, "What has it?", conversation_id=here)
    await until(lambda: len(app.chat.writing(OWNER, here)) == 2)
    app.chat.stop(OWNER, opened.runs[opened.together[stopped].id])
    await until(lambda: len(app.chat.writing(OWNER, here)) == 1)
    gate.set()

    async def settled() -> bool:
        now = await app.chat.open(OWNER, here)
        return not now.runs and (now.waiting.held or not now.waiting.messages)

    await until(settled)
    assert len(provider.requests) == sent
    assert (await app.chat.waiting(OWNER, here)).held is (sent == 3)


async def test_a_hurried_message_stops_them_all(open_app: OpenRuntime) -> None:
    never = asyncio.Event()
    provider = ByCall(*([word, never] for word in ("Red", "Green", "Blue")), answer("Roses"))
    app = await open_app(provider)
    opened = await app.chat.send(OWNER, "Name a colour.", options=THREE)
    here = opened.conversation.id
    await app.chat.set_options(OWNER, here, Options())
    await provider.called(3)
    await app.chat.send(OWNER, "What has it?", conversation_id=here, now=True)
    await provider.called(4)
    done = await all_ended(app, opened)
    assert [m.status for m in done.path] == ["complete", "stopped", "complete", "complete"]


async def test_another_branch_stays_as_it_is_while_they_are_written(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider(answer("Red"), answer("Green"), [gate, *answer("Blue")]))
    opened = await app.chat.send(OWNER, "Name a colour.", options=THREE)
    here = opened.conversation.id
    await until(lambda: len(app.chat.writing(OWNER, here)) == 1)
    for refused in (
        app.chat.retry(OWNER, here, opened.together[0].id),
        app.chat.retry(OWNER, here, opened.together[2].id),
        app.chat.show_version(OWNER, here, opened.together[1].id),
        app.chat.fork(OWNER, here, opened.together[0].id),
        app.chat.edit(OWNER, here, opened.path[0].id, "Name a shape."),
    ):
        with pytest.raises(InputError, match="still being written"):
            await refused
    gate.set()
    assert len((await all_ended(app, opened)).together) == 3


async def test_an_edited_question_and_a_deleted_conversation(open_app: OpenRuntime) -> None:
    never = asyncio.Event()
    provider = ByCall(*map(answer, ("Red", "Green", "Blue")), *([never] for _ in range(3)))
    app = await open_app(provider)
    done = await three(app)
    here = done.conversation.id
    edited = await app.chat.edit(OWNER, here, done.path[0].id, "Name a shape.", request_key="k")
    assert [m.parent_id for m in edited.together] == [edited.path[0].id] * 3
    await provider.called(6)
    await app.chat.catalogue.delete(OWNER, here)
    await until(lambda: not app.chat.writing(OWNER, here))
    assert provider.closed_streams == 6


async def test_a_request_that_comes_twice_is_one(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    provider = ByCall(*([gate, *answer(word)] for word in ("Red", "Green", "Blue")))
    app = await open_app(provider)
    first = await app.chat.send(OWNER, "Name a colour.", options=THREE, request_key="k")
    again = await app.chat.send(OWNER, "Name a colour.", options=THREE, request_key="k")
    assert (again.path, again.together, again.runs) == (first.path, first.together, first.runs)
    gate.set()
    await all_ended(app, first)
    assert len(provider.requests) == 3


async def test_a_copy_behind_them_and_a_fork_leave_them_as_versions(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(*map(answer, ("Red", "Green", "Blue"))))
    done = await three(app)
    here = done.conversation.id
    forked = await app.chat.fork(OWNER, here, done.together[1].id)
    assert (len(forked.path), forked.together, forked.path[-1].together) == (2, (), None)
    await app.chat.branching.pick(OWNER, here, done.path[0].id)
    picked = await app.chat.open(OWNER, here)
    assert (picked.path[1].together, len(picked.path)) == (None, 3)


async def test_an_answer_written_by_hand_is_the_one_to_go_on_with(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(*map(answer, ("Red", "Green", "Blue"))))
    done = await three(app)
    by_hand = await app.chat.edit(OWNER, done.conversation.id, done.together[1].id, "Olive")
    assert (by_hand.path[-1].text, by_hand.together) == ("Olive", ())
    assert len(by_hand.versions[by_hand.path[-1].id].ids) == 4


async def test_they_go_out_and_come_in_side_by_side(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(*map(answer, ("Red", "Green", "Blue"))))
    done = await three(app)
    _, data = await file_of(app.chat, [done.conversation.id])
    word = await received(app.chat, data, "grace")
    await app.chat.catalogue.import_("grace", word)
    [listed] = await app.chat.catalogue.conversations("grace")
    came = await app.chat.open("grace", listed.id)
    assert (texts(came), came.path[-1].text) == (texts(done), done.path[-1].text)


async def test_in_a_temporary_chat_too(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(*map(answer, ("Red", "Green", "Blue"))))
    state = ConversationState(app.chat, app.connections, OWNER, app.temporary)
    await state.start()
    await state.open(BLANK)
    await state.set_options(THREE)
    await state.send("Name a colour.", to=BLANK)
    await becomes(state, lambda: state.run_id is None and len(state.together) == 3)
    assert sorted(message.text for message in state.together) == ["Blue", "Green", "Red"]
    for _ in range(100):  # it is refused for as long as it is looked whether anything waits for the answers
        await state.keep()
        if not state.temporary:
            break
    assert not state.temporary, state.notice
    assert len(state.together) == 3
    state.close()


async def test_one_title_is_asked_for(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    colours = [answer("Red"), answer("Green"), answer("Blue")]
    provider = ByCall(*colours, [gate, *answer("A good title")])
    app = await open_app(provider, PANELIST_TITLES="on")
    done = await three(app)
    await provider.called(4)
    gate.set()

    async def titled() -> bool:
        return (await app.chat.open(OWNER, done.conversation.id)).conversation.title == "A good title"

    await until(titled)
    assert len(provider.requests) == 4


async def test_one_that_a_search_leads_to_is_shown_where_it_stands(open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider(answer("Red"), answer("Green"), [gate, *answer("Blue")]))
    opened = await app.chat.send(OWNER, "Name a colour.", options=THREE)
    here = opened.conversation.id
    await until(lambda: len(app.chat.writing(OWNER, here)) == 1)
    found = await app.chat.open_at(OWNER, here, opened.together[1].id)
    assert (found.conversation.head_id, len(found.together)) == (opened.path[-1].id, 3)
    gate.set()
    await all_ended(app, opened)


async def test_to_ask_again_with_a_change_is_to_ask_for_one(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(*map(answer, ("Red", "Green", "Blue"))))
    done = await three(app)
    second = done.together[1]
    options = await app.chat.details.options(OWNER, done.conversation.id, second.id, second.run_id or "")
    assert (options.model, options.answers) == ("model-a", None)
