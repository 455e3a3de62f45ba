"""The tab's state, without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

import pytest

from components.activity import NEXT_KEY, THINKING, TYPING, WAITING
from components.chat.composer import held_because
from components.deltas import PORTION, Delta
from components.state import Choice, ConversationState
from services.conversation import Draft
from services.errors import InputError, NotFoundError, StorageError
from services.events import KeyRefused
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.scripted import ScriptedProvider, answer, refusal, thoughtful

Make = Callable[..., "asyncio.Future[ConversationState]"]


@pytest.fixture
async def make(open_app: OpenRuntime) -> AsyncGenerator:
    states: list[ConversationState] = []

    async def make_one(provider: ScriptedProvider, conversation_id: str | None = None, app=None) -> ConversationState:
        app = app or await open_app(provider)
        state = ConversationState(app.chat, app.connections, OWNER)
        states.append(state)
        await state.start(conversation_id)
        return state

    yield make_one
    for state in states:
        state.close()


async def becomes(state: ConversationState, condition: Callable[[], bool]) -> None:
    """Wait until a condition on the state is true, looking whenever it changes."""
    changed = asyncio.Event()
    parts = (state, state.catalogue)
    watchers = [part.param.watch(lambda *_: changed.set(), list(part.param), onlychanged=False) for part in parts]
    try:
        async with asyncio.timeout(10):
            while not condition():
                changed.clear()
                await changed.wait()
    finally:
        for part, watcher in zip(parts, watchers, strict=True):
            part.param.unwatch(watcher)


def shown(state: ConversationState) -> list[tuple[str, str, str]]:
    return [(m.role, m.text, m.status) for m in state.path]


async def test_a_question_shows_at_once_and_the_reply_grows(make) -> None:
    gate = asyncio.Event()
    state = await make(ScriptedProvider([gate, *thoughtful("hm", "Hel", "lo")]))
    activities: list[str] = []
    deltas: list[tuple[str, str]] = []
    state.param.watch(lambda event: activities.append(event.new), "activity")
    state.param.watch(lambda event: deltas.append((event.new.reasoning, event.new.text)), "delta", onlychanged=False)
    await state.send("Hi")
    assert shown(state) == [("user", "Hi", "complete"), ("assistant", "", "streaming")]
    assert state.activity == WAITING
    assert state.run_id is not None
    gate.set()
    await becomes(state, lambda: state.run_id is None)
    assert shown(state) == [("user", "Hi", "complete"), ("assistant", "Hello", "complete")]
    assert "".join(text for _, text in deltas) == "Hello"
    assert "".join(reasoning for reasoning, _ in deltas) == "hm"
    assert activities[-1] == ""


async def test_much_at_once_comes_in_portions_and_in_order(make) -> None:
    thought, text = "hm " * PORTION, "word " * PORTION
    gate = asyncio.Event()
    state = await make(ScriptedProvider([gate, *thoughtful(thought, text)]))
    deltas: list[Delta] = []
    state.param.watch(lambda event: deltas.append(event.new), "delta", onlychanged=False)
    await state.send("Hi")
    gate.set()
    await becomes(state, lambda: state.run_id is None)
    assert "".join(delta.reasoning for delta in deltas) == thought
    assert "".join(delta.text for delta in deltas) == text
    assert max(len(part) for delta in deltas for part in (delta.reasoning, delta.text)) == PORTION
    ends = [number for number, delta in enumerate(deltas) if delta.thought_s is not None]
    assert len(ends) == 1
    assert all(not delta.reasoning for delta in deltas[ends[0] + 1 :]), "it thought no longer than until here"


async def test_that_a_key_was_refused_is_in_the_activity_line_until_words_come(make) -> None:
    gate = asyncio.Event()
    state = await make(ScriptedProvider([KeyRefused("old", refusal("auth").failure), gate, *answer("Yes")]))
    await state.send("Go")
    await becomes(state, lambda: state.activity == NEXT_KEY)
    gate.set()
    await becomes(state, lambda: state.run_id is None)
    assert state.activity == ""


async def test_the_activity_line_tells_what_happens(make) -> None:
    gates = [asyncio.Event() for _ in range(3)]
    from services.events import ReasoningDelta

    state = await make(ScriptedProvider([gates[0], ReasoningDelta("hm"), gates[1], "Hi", gates[2], *answer("!")]))
    await state.send("Hi")
    await becomes(state, lambda: state.activity == WAITING)
    gates[0].set()
    await becomes(state, lambda: state.activity == THINKING)
    gates[1].set()
    await becomes(state, lambda: state.activity == TYPING)
    gates[2].set()
    await becomes(state, lambda: state.activity == "")


async def test_a_refused_question_changes_nothing(make) -> None:
    state = await make(ScriptedProvider())
    with pytest.raises(InputError):
        await state.send("   ")
    assert (state.path, state.conversation, state.run_id) == ((), None, None)


async def test_switching_away_leaves_the_run_alone_and_coming_back_shows_it_all(make) -> None:
    gate = asyncio.Event()
    state = await make(ScriptedProvider(["Half ", gate, *answer("whole")]))
    await state.send("Go")
    here = state.conversation.id
    await becomes(state, lambda: state.delta is not None)
    await state.open(None)
    assert (state.path, state.activity, state.run_id) == ((), "", None)
    seen: list[str] = []
    state.param.watch(lambda event: seen.append(event.new.text), "delta", onlychanged=False)
    await state.open(here)
    gate.set()
    await becomes(state, lambda: state.run_id is None and state.path != ())
    assert "".join(seen) == "Half whole"
    assert state.path[1].text == "Half whole"


async def test_two_tabs_show_the_same_reply(make, open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    provider = ScriptedProvider(["Half ", gate, *answer("whole")])
    app = await open_app(provider)
    one = await make(provider, app=app)
    await one.send("Go")
    other = await make(provider, one.conversation.id, app=app)
    gate.set()
    await becomes(one, lambda: one.run_id is None)
    await becomes(other, lambda: other.run_id is None and other.path != ())
    assert one.path == other.path
    assert one.path[1].text == "Half whole"


async def test_closing_a_tab_never_stops_a_run(make, open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    provider = ScriptedProvider(["Half ", gate, *answer("whole")])
    app = await open_app(provider)
    state = await make(provider, app=app)
    await state.send("Go")
    opened = await app.chat.open(OWNER, state.conversation.id)
    state.close()
    gate.set()
    assert (await whole_run(app.chat, opened)).path[1].status == "complete"


async def test_stop(make) -> None:
    state = await make(ScriptedProvider(["Half", asyncio.Event()]))
    await state.send("Go")
    await becomes(state, lambda: state.delta is not None)
    state.stop()
    await becomes(state, lambda: state.run_id is None)
    assert shown(state)[1] == ("assistant", "Half", "stopped")


async def test_failure_retry_and_back(make) -> None:
    state = await make(ScriptedProvider([refusal()], answer("Better")))
    await state.send("Go")
    await becomes(state, lambda: state.run_id is None)
    failed = state.path[1]
    assert failed.status == "failed"
    await state.retry(failed.id)
    await becomes(state, lambda: state.run_id is None and state.path[1].status == "complete")
    assert state.versions[state.path[1].id].previous == failed.id
    await state.show_version(failed.id)
    assert state.path[1] == failed


async def test_an_unknown_conversation_opens_a_new_one_and_says_so(make) -> None:
    state = await make(ScriptedProvider(), "01UNKNOWN")
    assert state.conversation is None
    assert state.notice.text == "That conversation is not here any more."


async def test_delete_with_undo(make) -> None:
    state = await make(ScriptedProvider(answer("ok")))
    await state.send("Go")
    await becomes(state, lambda: state.run_id is None)
    here = state.conversation.id
    await state.catalogue.delete(here)
    assert (state.conversation, state.catalogue.conversations) == (None, ())
    assert state.notice.text == "Deleted “Go”."
    await state.notice.undo()
    assert [c.id for c in state.catalogue.conversations] == [here]


async def test_rename_shows_in_the_list_and_a_blank_one_is_refused(make) -> None:
    state = await make(ScriptedProvider(answer("ok")))
    await state.send("Go")
    await becomes(state, lambda: state.run_id is None)
    await state.catalogue.rename(state.conversation.id, "Better")
    assert state.conversation.title == state.catalogue.conversations[0].title == "Better"
    await state.catalogue.rename(state.conversation.id, "  ")
    assert state.notice.kind == "error"
    assert state.conversation.title == "Better"


async def test_models_are_offered_and_any_name_can_be_typed(make) -> None:
    provider = ScriptedProvider(answer("ok"), models=("model-a", "text-embedding-x", "model-b"))
    state = await make(provider)
    await becomes(state, lambda: state.choice is not None)
    assert Choice("127.0.0.1:9", "model-b") in state.choices
    assert all("embedding" not in choice.model for choice in state.choices)
    assert state.choice == Choice("127.0.0.1:9", "model-a")
    await state.choose("my own model")
    await state.send("Go")
    await becomes(state, lambda: state.run_id is None)
    assert provider.requests[0].model == "my own model"
    await state.choose("model-b · 127.0.0.1:9")
    assert state.conversation.options.model == "model-b"
    await state.open(state.conversation.id)
    assert state.choice == Choice("127.0.0.1:9", "model-b"), "the choice belongs to the conversation"
    await state.open(None)
    assert state.choice == Choice("127.0.0.1:9", "model-a")


async def test_living_without_a_list(make) -> None:
    state = await make(ScriptedProvider(models=refusal("not_found")))
    await state.choose("typed-in")
    assert state.choice == Choice("127.0.0.1:9", "typed-in")


async def test_a_refused_parameter_is_left_out_and_remembered(make, open_app: OpenRuntime) -> None:
    refused = refusal("bad_request", "No.", parameter="stream_options", next_step="drop_parameter")
    provider = ScriptedProvider([refused], answer("ok"))
    app = await open_app(provider)
    state = await make(provider, app=app)
    await state.send("Go")
    await becomes(state, lambda: state.run_id is None)
    await state.drop_parameter(state.path[1].id, "stream_options")
    await becomes(state, lambda: state.run_id is None and state.path[1].status == "complete")
    assert provider.requests[1].endpoint.dropped == {"stream_options"}
    assert await app.store.dropped_parameters() == {"127.0.0.1:9": frozenset({"stream_options"})}


async def test_what_another_tab_sends_shows_here_too(make, open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    provider = ScriptedProvider(answer("One"), ["Two ", gate, *answer("whole")])
    app = await open_app(provider)
    one = await make(provider, app=app)
    await one.send("First")
    await becomes(one, lambda: one.run_id is None)
    other = await make(provider, one.conversation.id, app=app)
    await one.send("Second")
    await becomes(other, lambda: other.run_id is not None)
    assert [m.text for m in other.path][:3] == ["First", "One", "Second"]
    gate.set()
    await becomes(other, lambda: other.run_id is None and len(other.path) == 4)
    await becomes(one, lambda: one.run_id is None)
    assert other.path == one.path


async def test_the_last_click_wins(make, open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(answer("a"), answer("b"))
    app = await open_app(provider)
    state = await make(provider, app=app)
    ids = []
    for text in ("A", "B"):
        await state.open(None)
        await state.send(text)
        await becomes(state, lambda: state.run_id is None)
        ids.append(state.conversation.id)
    await asyncio.gather(*(state.open(id) for id in [*ids, *ids, ids[0]]))
    assert state.conversation.id == ids[0]


async def test_opening_what_is_open_doubles_nothing(make) -> None:
    gate = asyncio.Event()
    state = await make(ScriptedProvider(["Half ", gate, *answer("whole")]))
    seen: list[str] = []
    state.param.watch(lambda event: seen.append(event.new.text), "delta", onlychanged=False)
    await state.send("Go")
    await becomes(state, lambda: seen != [])
    await state.open(state.conversation.id)
    await state.open(state.conversation.id)
    gate.set()
    await becomes(state, lambda: state.run_id is None)
    assert "".join(seen) == "Half whole"


async def test_deleted_elsewhere_while_it_is_written(make, open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(["Half", asyncio.Event()])
    app = await open_app(provider)
    state = await make(provider, app=app)
    await state.send("Go")
    await becomes(state, lambda: state.delta is not None)
    await app.chat.catalogue.delete(OWNER, state.conversation.id)
    await becomes(state, lambda: state.conversation is None)
    assert state.run_id is None
    assert state.notice.text == "That conversation was deleted."


async def test_a_second_click_while_the_first_is_stored_sends_nothing(make) -> None:
    provider = ScriptedProvider(answer("ok"))
    state = await make(provider)
    await asyncio.gather(state.ask("Go"), state.ask("Go"))
    await becomes(state, lambda: state.run_id is None)
    assert len(provider.requests) == 1


async def test_what_is_sent_while_another_is_stored_comes_after_it(make) -> None:
    gate = asyncio.Event()
    state = await make(ScriptedProvider([gate, *answer("one")], answer("two")))
    first, second = await asyncio.gather(state.send("First", "k1"), state.send("Second", "k2"))
    assert first == second
    assert [queued.text for queued in state.waiting.messages] == ["Second"]
    gate.set()
    await becomes(state, lambda: len(state.path) == 4 and state.run_id is None)
    assert [message.text for message in state.path] == ["First", "one", "Second", "two"]


async def test_an_answer_that_cannot_be_saved_is_shown_and_saved_later(make, open_app: OpenRuntime) -> None:
    from services.errors import StorageError

    gate = asyncio.Event()
    provider = ScriptedProvider(["Precious", gate, *answer(" words")])
    app = await open_app(provider)
    state = await make(provider, app=app)
    store, finish = app.runs._store, app.runs._store.finish_run
    failing = [True]

    class Full:
        """The store of a full disk: what writes an end fails, until there is room."""

        def __getattr__(self, name: str):
            return getattr(store, name)

        async def finish_run(self, *args, **more):
            if failing[0]:
                raise StorageError("The disk is full.")
            return await finish(*args, **more)

    app.runs._store = Full()
    await state.send("Go")
    gate.set()
    await becomes(state, lambda: state.trouble == "The disk is full.")
    assert state.run_id is not None, "it is not over before it is saved"
    failing[0] = False
    await becomes(state, lambda: state.run_id is None)
    assert (state.path[1].text, state.path[1].status) == ("Precious words", "complete")
    await becomes(state, lambda: state.trouble is None)


def queued(state: ConversationState) -> list[str]:
    return [message.text for message in state.waiting.messages]


async def test_what_is_sent_meanwhile_waits_in_all_tabs_and_follows(make, open_app: OpenRuntime) -> None:
    gate, second = asyncio.Event(), asyncio.Event()
    app = await open_app(ScriptedProvider([gate, *answer("One")], [second, *answer("Two")]))
    here = await make(None, app=app)
    await here.send("First")
    there = await make(None, here.conversation.id, app=app)
    await there.send("Second")
    await becomes(here, lambda: queued(here) == ["Second"])
    assert queued(there) == ["Second"]
    gate.set()
    for state in (here, there):
        await becomes(state, lambda state=state: len(state.path) == 4 and state.run_id is not None)
        assert queued(state) == []
    second.set()
    for state in (here, there):
        await becomes(state, lambda state=state: state.run_id is None and state.path[-1].text == "Two")


async def test_a_waiting_message_is_removed_with_undo_or_sent_now(make) -> None:
    state = await make(ScriptedProvider([asyncio.Event()], answer("Three")))
    await state.send("First")
    await state.send("Second")
    await state.send("Third")
    await state.unqueue(state.waiting.messages[0].id)
    await becomes(state, lambda: queued(state) == ["Third"])
    await state.notice.undo()
    assert state.refill == Draft("Second")
    await state.send_now(state.waiting.messages[0].id)
    await becomes(state, lambda: state.run_id is None and state.path[-1].text == "Three")
    assert [(m.text, m.status) for m in state.path[1:3]] == [("", "stopped"), ("Third", "complete")]
    await state.unqueue("unknown")
    await state.send_now("unknown")
    assert state.notice.text == "That message does not wait any more: it was sent or removed."


async def test_a_held_message_says_so_here_and_there(make, open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(["Half", asyncio.Event()]))
    here = await make(None, app=app)
    await here.send("First")
    there = await make(None, here.conversation.id, app=app)
    await here.send("Second")
    here.stop()
    for state in (here, there):
        await becomes(state, lambda state=state: state.waiting.held and queued(state) == ["Second"])
    assert held_because(here) == "Not sent, because the last answer did not finish:"
    await here.edit(here.path[-1].id, "Whole", "k")
    assert held_because(here) == "Not sent, because you wrote the last answer:"


async def test_what_could_not_be_read_shows_when_storage_works_again(make, open_app: OpenRuntime) -> None:
    from services.errors import StorageError

    app = await open_app(ScriptedProvider(answer("Kept")))
    done = await whole_run(app.chat, await app.chat.send(OWNER, "Go"))
    snapshot, conversations = app.store.snapshot, app.store.conversations

    async def broken(*_: object, **__: object) -> None:
        raise StorageError("The disk cannot be read.")

    app.store.snapshot = app.store.conversations = broken
    state = await make(None, done.conversation.id, app=app)
    assert (state.conversation, state.notice.text) == (None, "The disk cannot be read.")
    app.store.snapshot, app.store.conversations = snapshot, conversations
    app.chat.changes.ring_all()
    await becomes(state, lambda: shown(state) == [("user", "Go", "complete"), ("assistant", "Kept", "complete")])
    assert [c.id for c in state.catalogue.conversations] == [done.conversation.id]


async def test_what_another_tab_goes_on_with_is_followed_here_too(make, open_app: OpenRuntime) -> None:
    gate = asyncio.Event()
    app = await open_app(ScriptedProvider(["Half", asyncio.Event()], [" and", gate, *answer(" whole")]))
    here = await make(None, app=app)
    await here.send("First")
    there = await make(None, here.conversation.id, app=app)
    here.stop()
    for state in (here, there):
        await becomes(state, lambda state=state: state.run_id is None and state.path[-1].status == "stopped")
    await here.go_on(here.path[-1].id)
    await becomes(there, lambda: there.run_id is not None and there.path[-1].status == "streaming")
    gate.set()
    for state in (here, there):
        await becomes(state, lambda state=state: state.run_id is None and state.path[-1].text == "Half and whole")


async def test_a_message_goes_where_it_was_written(make, open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(answer("One"), answer("Two"), answer("Three")))
    first = await whole_run(app.chat, await app.chat.send(OWNER, "First"))
    second = await whole_run(app.chat, await app.chat.send(OWNER, "Second"))
    state = await make(None, second.conversation.id, app=app)
    assert await state.send("For the first", to=first.conversation.id) == first.conversation.id
    assert state.conversation.id == second.conversation.id
    there = await app.chat.open(OWNER, first.conversation.id)
    assert [m.text for m in there.path if m.role == "user"] == ["First", "For the first"]


async def test_deleted_elsewhere_with_a_message_waiting(make, open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider(["Half", asyncio.Event()]))
    state = await make(None, app=app)
    await state.send("First")
    await state.send("Second")
    await app.chat.catalogue.delete(OWNER, state.conversation.id)
    await becomes(state, lambda: state.conversation is None and state.run_id is None)
    assert state.notice.text == "That conversation was deleted."


async def test_what_waits_shows_although_it_could_not_be_read_back_at_once(make, open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(["Half", asyncio.Event()])
    app = await open_app(provider)
    state = await make(provider, app=app)
    await state.send("First")
    snapshot = app.store.snapshot

    async def not_now(*args):
        raise StorageError("The disk reported an error. Check it, then try again.")

    app.store.snapshot = not_now
    assert await state.send("Second") == state.conversation.id
    app.store.snapshot = snapshot
    await becomes(state, lambda: [queued.text for queued in state.waiting.messages] == ["Second"])
    assert shown(state)[0] == ("user", "First", "complete")
    assert state.run_id is not None


async def test_what_could_not_be_read_once_is_looked_for_again(
    make, open_app: OpenRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = ScriptedProvider(answer("One"), answer("Two"), answer("Three"))
    app = await open_app(provider)
    state = await make(provider, app=app)
    await state.send("First")
    await becomes(state, lambda: state.run_id is None)
    here, opened = state.conversation.id, app.chat.open
    failed: list[str] = []

    async def once(owner: str, conversation_id: str):
        if not failed:
            failed.append(conversation_id)
            raise StorageError("The disk reported an error. Check it, then try again.")
        return await opened(owner, conversation_id)

    monkeypatch.setattr("components.state.LOOK_AGAIN_S", 3600)
    monkeypatch.setattr(app.chat, "open", once)
    await app.chat.send(OWNER, "Second", conversation_id=here)
    await becomes(state, lambda: bool(failed))
    assert len(state.path) == 2
    await app.chat.send(OWNER, "Elsewhere")  # the next change, of another conversation
    await becomes(state, lambda: len(state.path) == 4)


async def test_an_older_list_never_replaces_a_newer_one(make, open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(answer("One"))
    app = await open_app(provider)
    state = await make(provider, app=app)
    listed, late = app.store.conversations, asyncio.Event()

    async def slowly(*args, **more):
        found = await listed(*args, **more)
        await late.wait()
        return found

    app.store.conversations = slowly
    asking = asyncio.create_task(state.catalogue.refresh())
    await asyncio.sleep(0.1)
    app.store.conversations = listed
    await state.send("Hello")
    await becomes(state, lambda: len(state.catalogue.conversations) == 1)
    late.set()
    await asking
    assert [c.title for c in state.catalogue.conversations] == ["Hello"]


async def test_an_answer_that_was_gone_on_with_elsewhere_is_shown(make, open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(answer("Half ", reason="length"), answer("whole"))
    app = await open_app(provider)
    state = await make(provider, app=app)
    await state.send("Go")
    await becomes(state, lambda: state.run_id is None)
    async with state.looking:  # the tab is busy until that is over
        again = await app.chat.go_on(OWNER, state.conversation.id, state.path[1].id)
        await whole_run(app.chat, again)
    await becomes(state, lambda: state.path[1].text == "Half whole")


async def test_a_conversation_that_opens_too_late_does_not_call_back(
    make, open_app: OpenRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.errors import StorageError

    monkeypatch.setattr("components.state.LOOK_AGAIN_S", 0.01)
    app = await open_app(ScriptedProvider(answer("a"), answer("b")))
    late = await whole_run(app.chat, await app.chat.send(OWNER, "Late"))
    other = await whole_run(app.chat, await app.chat.send(OWNER, "Other"))
    state = await make(None, app=app)
    gate = asyncio.Event()
    snapshot = type(app.store).snapshot

    async def slow(store, owner, conversation_id):
        if conversation_id == late.conversation.id and not gate.is_set():
            await gate.wait()
            raise StorageError("The disk reported an error.")
        return await snapshot(store, owner, conversation_id)

    monkeypatch.setattr(type(app.store), "snapshot", slow)
    opening = asyncio.create_task(state.open(late.conversation.id))
    await asyncio.sleep(0)
    await state.open(other.conversation.id)
    gate.set()
    await opening
    await asyncio.sleep(0.1)
    assert state.conversation.id == other.conversation.id


async def test_a_model_that_is_not_offered_any_more_answers_nothing(make) -> None:
    state = await make(ScriptedProvider(answer("One")))
    await state.send("Go")
    await becomes(state, lambda: state.run_id is None)
    before = state.path
    await state.retry(before[1].id, "gone · default")
    assert state.notice is not None
    assert "not offered any more" in state.notice.text
    assert state.path == before


@pytest.mark.parametrize("said", [False, True], ids=["as it was", "with more in it"])
async def test_a_fork_is_shown_and_its_undo_comes_back(make, said: bool) -> None:
    state = await make(ScriptedProvider(answer("One"), answer("Two")))
    await state.send("Go")
    await becomes(state, lambda: state.run_id is None)
    here, reply = state.conversation.id, state.path[1].id

    async def slowly(path: object) -> None:
        await asyncio.sleep(0.2)

    state.prepare = slowly
    await asyncio.gather(state.fork(reply), state.fork(reply))
    fork, notice = state.conversation.id, state.notice
    assert fork != here
    assert [message.text for message in state.path] == ["Go", "One"]
    if said:
        await state.send("On")
        await becomes(state, lambda: state.run_id is None)
    await notice.undo()
    assert state.conversation.id == here
    expected = {here, fork} if said else {here}
    await becomes(state, lambda: {c.id for c in state.catalogue.conversations} == expected)
    assert state.left == (None if said else fork)


async def test_an_earlier_answer_put_right_leaves_word_of_what_followed(make) -> None:
    state = await make(ScriptedProvider(answer("One"), answer("Two")))
    for question in ("Go", "On"):
        await state.send(question)
        await becomes(state, lambda: state.run_id is None)
    _, first, _, last = state.path
    await state.edit(first.id, "One", "k1")
    await state.edit(last.id, "Three", "k2")
    assert ([message.text for message in state.path], state.notice) == (["Go", "One", "On", "Three"], None)
    await state.edit(first.id, "Zero", "k3")
    assert [message.text for message in state.path] == ["Go", "Zero"]
    assert state.notice.text == "What followed the old answer is one version back."
    await state.notice.undo()
    assert [message.text for message in state.path] == ["Go", "One", "On", "Three"]


async def test_a_title_is_shown_though_its_row_is_out_of_view(make) -> None:
    state = await make(ScriptedProvider(answer("One"), answer("Two")))
    for question in ("First", "Second"):
        await state.open(None)
        await state.send(question)
        await becomes(state, lambda: state.run_id is None)
    await state.catalogue.see(replace(state.catalogue.seen, first=1, count=1))
    assert [one.title for one in state.catalogue.conversations] == ["First"]
    await state._chat.catalogue.rename(OWNER, state.conversation.id, "Another name")
    await becomes(state, lambda: state.conversation.title == "Another name")


async def test_an_edit_without_a_conversation_is_refused(make) -> None:
    state = await make(ScriptedProvider())
    with pytest.raises(NotFoundError):
        await state.edit("nothing", "text", "k")
