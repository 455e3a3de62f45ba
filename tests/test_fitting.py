"""The door to how long a conversation is, and what makes it shorter."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from services import tokens
from services.attachments import pictured
from services.chat import Opened
from services.context import SUMMARY
from services.errors import InputError, ModelError, NotFoundError
from services.events import StepFinished, UsageReported
from services.fitting import Asking, Progress, TooLongError
from services.folders import Defaults
from services.messages import ErrorPart, Message
from services.options import Options
from services.runtime import Runtime
from services.summaries import SUMMARY_PROMPT
from services.usage import Usage
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.pictures import png
from tests.scripted import ScriptedProvider, Step, answer, refusal

LONG = "word " * 400
SMALL = """
[[endpoint]]
name = "here"
base_url = "http://127.0.0.1:9/v1"
context_window = 2000
price = { input = 2, output = 8 }

[endpoint.models."large"]
context_window = 100000
"""


@pytest.fixture
def small(tmp_path: Path) -> dict[str, str]:
    """Settings with an endpoint whose models take 2,000 tokens, but for one."""
    (tmp_path / "endpoints.toml").write_text(SMALL)
    return {"OPENAI_BASE_URL": "", "PANELIST_ENDPOINTS": "endpoints.toml", "PANELIST_MODEL": "m"}


async def talk(app: Runtime, *questions: str) -> Opened:
    here: str | None = None
    done: Opened | None = None
    for question in questions:
        done = await whole_run(app.chat, await app.chat.send(OWNER, question, conversation_id=here))
        here = done.conversation.id
    assert done is not None
    return done


def asked_with(provider: ScriptedProvider) -> list[str]:
    return [message.text for message in provider.requests[-1].messages]


def replies(count: int) -> list[list[Step]]:
    return [answer(f"Answer {n}.") for n in range(count)]


async def test_all_that_would_be_sent_is_counted(open_app: OpenRuntime, small: dict[str, str]) -> None:
    app = await open_app(ScriptedProvider(answer("Rain falls.")), PANELIST_SYSTEM_PROMPT="Be brief.", **small)
    done = await talk(app, "Why does it rain?")
    kept = await app.store.add_attachment(OWNER, "a.txt", "text/plain", b"one two three")
    asking = Asking(conversation_id=done.conversation.id, text="And snow?", attachments=((kept.sha256, "a.txt"),))
    found = await app.chat.fitting.estimate(OWNER, asking)
    assert found.system == 4 + tokens.count("Be brief.")
    assert found.history == 3 + 8 + tokens.count("Why does it rain?") + tokens.count("Rain falls.")
    assert found.question == 4 + tokens.count("And snow?")
    assert found.attachments > 10
    assert (found.window, found.over, found.room) == (2_000, False, 100)
    assert found.price == found.total * 2_000
    assert (await app.chat.fitting.estimate(OWNER, asking)) == found


async def test_a_chat_that_is_yet_to_begin_is_counted_with_its_folder(
    open_app: OpenRuntime, small: dict[str, str]
) -> None:
    app = await open_app(ScriptedProvider(), **small)
    empty = await app.chat.fitting.estimate(OWNER, Asking())
    assert (empty.system, empty.question) == (0, 0)
    folder = await app.chat.catalogue.add_folder(OWNER, "Work")
    await app.chat.catalogue.set_defaults(OWNER, folder.id, Defaults(Options(), "Answer like a pirate."))
    found = await app.chat.fitting.estimate(OWNER, Asking(text="Hello", folder_id=folder.id))
    assert found.system == 4 + tokens.count("Answer like a pirate.")
    own = Options(system_prompt="Be kind.")
    found = await app.chat.fitting.estimate(OWNER, Asking(text="Hello", folder_id=folder.id, options=own))
    assert found.system == 4 + tokens.count("Be kind."), "the conversation's own comes first"


async def test_a_model_that_nobody_knows_has_no_window_and_no_price(open_app: OpenRuntime) -> None:
    app = await open_app(ScriptedProvider())
    found = await app.chat.fitting.estimate(OWNER, Asking(text=LONG * 50, options=Options(model="mystery")))
    assert found.total > 20_000
    assert (found.window, found.price, found.over) == (None, None, False)


async def test_nobody_counts_what_is_somebody_elses(open_app: OpenRuntime, small: dict[str, str]) -> None:
    app = await open_app(ScriptedProvider(answer("Hi")), **small)
    done = await talk(app, "Secret")
    kept = await app.store.add_attachment(OWNER, "a.txt", "text/plain", b"one two three")
    for act in (app.chat.fitting.estimate, app.chat.fitting.trim, app.chat.fitting.summarise):
        with pytest.raises(NotFoundError):
            await act("eve", Asking(conversation_id=done.conversation.id, text="x"))
    with pytest.raises(NotFoundError):
        await app.chat.fitting.tell_all("eve", done.conversation.id, done.path[1].id)
    found = await app.chat.fitting.estimate("eve", Asking(text="x", attachments=((kept.sha256, "a.txt"),)))
    assert found.attachments == 0


async def test_the_oldest_are_left_out_and_everything_after_is_asked_alike(
    open_app: OpenRuntime, small: dict[str, str]
) -> None:
    provider = ScriptedProvider(*replies(9))
    app = await open_app(provider, **small)
    done = await talk(app, LONG + "1", LONG + "2", LONG + "3")
    here = done.conversation.id
    asking = Asking(conversation_id=here, text=LONG + LONG + "4")
    choices = await app.chat.fitting.choices(OWNER, asking, [("here", "m"), ("here", "large"), ("gone", "x")])
    assert choices.estimate.over
    assert choices.trim == 4
    assert choices.summarise == 6
    assert choices.larger == (("here", "large", 100_000),)
    shortened = await app.chat.fitting.trim(OWNER, asking)
    assert (shortened.count, shortened.message_id) == (4, done.path[3].id)
    assert not (await app.chat.fitting.estimate(OWNER, asking)).over

    told = [LONG.strip("\n") + "3", "Answer 2.", LONG + LONG + "4"]
    on = await talk_on(app, here, asking.text)
    assert asked_with(provider) == told
    assert len(on.path) == 8, "all of it is on show"
    await whole_run(app.chat, await app.chat.retry(OWNER, here, on.path[-1].id))
    assert asked_with(provider) == told, "another answer is asked alike"
    forked = await app.chat.fork(OWNER, here, on.path[-1].id)
    await talk_on(app, forked.conversation.id, "5")
    assert asked_with(provider)[:2] == told[:2], "a fork takes it along"
    await whole_run(app.chat, await app.chat.edit(OWNER, here, on.path[-2].id, "4, but short"))
    assert asked_with(provider) == [*told[:2], "4, but short"]

    await app.chat.fitting.undo(OWNER, shortened)
    await whole_run(app.chat, await app.chat.retry(OWNER, here, (await app.chat.open(OWNER, here)).path[-1].id))
    assert len(asked_with(provider)) == 7, "everything is told again"


async def talk_on(app: Runtime, conversation_id: str, text: str) -> Opened:
    return await whole_run(app.chat, await app.chat.send(OWNER, text, conversation_id=conversation_id))


async def test_an_answer_that_is_gone_on_with_is_asked_alike(open_app: OpenRuntime, small: dict[str, str]) -> None:
    cut = answer("Half an", reason="length")
    provider = ScriptedProvider(*replies(2), cut, answer(" answer."))
    app = await open_app(provider, **small)
    done = await talk(app, LONG + "1", LONG + "2")
    here = done.conversation.id
    await app.chat.fitting.trim(OWNER, Asking(conversation_id=here, text=LONG * 3))
    on = await talk_on(app, here, "3")
    told = asked_with(provider)
    await whole_run(app.chat, await app.chat.go_on(OWNER, here, on.path[-1].id))
    assert asked_with(provider)[: len(told) + 1] == [*told, "Half an"]


async def test_the_model_writes_a_summary_that_is_told_instead(open_app: OpenRuntime, small: dict[str, str]) -> None:
    provider = ScriptedProvider(*replies(3), answer("They spoke ", "of words."), answer("Fine."))
    app = await open_app(provider, **small)
    done = await talk(app, LONG + "1", LONG + "2", LONG + "3")
    here = done.conversation.id
    asking = Asking(conversation_id=here, text=LONG + LONG + "4")
    progress: list[Progress] = []
    shortened = await app.chat.fitting.summarise(OWNER, asking, progress.append)
    request = provider.requests[-1]
    assert request.system_prompt == SUMMARY_PROMPT.format(words=118)
    [given] = request.messages
    assert "User:\n" in given.text
    assert "Assistant:\nAnswer 0." in given.text
    assert progress[0] == Progress(6, 1, 1, 0)
    assert progress[-1] == Progress(6, 1, 1, 4)
    assert shortened.count == 6
    opened = await app.chat.open(OWNER, here)
    memory = opened.path[5].memory
    assert memory is not None
    assert (memory.summary, memory.model) == ("They spoke of words.", "m")
    assert [message.text for message in opened.path] == [message.text for message in done.path], "originals stay"
    await talk_on(app, here, asking.text)
    assert asked_with(provider) == [SUMMARY.format("They spoke of words.") + asking.text]


async def test_what_is_too_long_for_one_request_is_summarised_in_portions(
    open_app: OpenRuntime, small: dict[str, str]
) -> None:
    provider = ScriptedProvider(*replies(6), *(answer(f"Summary {n}.") for n in range(9)))
    app = await open_app(provider, **small)
    done = await talk(app, *(f"{LONG}{n}" for n in range(5)), LONG * 4)
    progress: list[Progress] = []
    asking = Asking(conversation_id=done.conversation.id, text="And now?")
    shortened = await app.chat.fitting.summarise(OWNER, asking, progress.append)
    asked = provider.requests[6:]
    assert len(asked) == progress[-1].of >= 3
    assert [p.part for p in progress if p.words == 0] == list(range(1, len(asked) + 1))
    for before, request in enumerate(asked[1:]):
        assert f"A summary of its beginning:\n\nSummary {before}.\n\n---" in request.messages[0].text
    assert all(tokens.count(request.messages[0].text) < 2_000 for request in asked)
    assert shortened.memory is not None
    assert shortened.memory.summary == f"Summary {len(asked) - 1}."
    joined = "".join(request.messages[0].text for request in asked)
    assert joined.count("word") == 9 * 400, "nothing is passed over, nothing comes twice"


async def test_a_second_summary_tells_of_the_first(open_app: OpenRuntime, small: dict[str, str]) -> None:
    provider = ScriptedProvider(*replies(3), answer("First."), *replies(2), answer("Second."))
    app = await open_app(provider, **small)
    done = await talk(app, LONG + "1", LONG + "2", LONG + "3")
    here = done.conversation.id
    await app.chat.fitting.summarise(OWNER, Asking(conversation_id=here, text=LONG))
    await talk_on(app, here, LONG + "4")
    await talk_on(app, here, LONG + "5")
    await app.chat.fitting.summarise(OWNER, Asking(conversation_id=here, text=LONG * 2))
    assert "First." in provider.requests[-1].messages[0].text
    assert "word 1" not in provider.requests[-1].messages[0].text
    assert "word 4" in provider.requests[-1].messages[0].text
    estimate = await app.chat.fitting.estimate(OWNER, Asking(conversation_id=here, text="x"))
    assert estimate.history < 200


async def test_undo_takes_one_step_back_and_nothing_that_came_after(
    open_app: OpenRuntime, small: dict[str, str]
) -> None:
    provider = ScriptedProvider(*replies(3), answer("Short."))
    app = await open_app(provider, **small)
    done = await talk(app, LONG + "1", LONG + "2", LONG + "3")
    here = done.conversation.id
    asking = Asking(conversation_id=here, text=LONG * 2)
    trimmed = await app.chat.fitting.trim(OWNER, asking)
    again = await app.chat.fitting.tell_all(OWNER, here, trimmed.message_id)
    assert again.before == trimmed.memory
    await app.chat.fitting.undo(OWNER, trimmed)  # which was taken back already, by another way
    assert await memories(app, here) == [None] * 6
    await app.chat.fitting.undo(OWNER, again)
    assert [memory for memory in await memories(app, here) if memory] == [trimmed.memory]
    await app.chat.fitting.undo(OWNER, trimmed)
    await app.chat.fitting.undo(OWNER, trimmed)
    assert await memories(app, here) == [None] * 6


async def memories(app: Runtime, conversation_id: str) -> Sequence[object]:
    return [message.memory for message in (await app.chat.open(OWNER, conversation_id)).path]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (answer("Half a summ", reason="length"), "reached the model's length limit"),
        (answer("  \n"), "wrote no summary"),
        (answer("No.", reason="refusal"), "wrote no summary"),
        (answer(*["word " * 1_000] * 9), "wrote on and on"),
        ([refusal("server", "acme is down.")], "acme is down."),
        (["Half", refusal("unreachable", "The line broke.")], "The line broke."),
    ],
)
async def test_what_is_no_summary_changes_nothing_and_is_told(
    open_app: OpenRuntime, small: dict[str, str], script: list[Step], said: str
) -> None:
    app = await open_app(ScriptedProvider(*replies(2), script), **small)
    done = await talk(app, LONG + "1", LONG + "2")
    asking = Asking(conversation_id=done.conversation.id, text=LONG * 2)
    with pytest.raises(ModelError, match=said):
        await app.chat.fitting.summarise(OWNER, asking)
    assert await memories(app, done.conversation.id) == [None] * 4


async def test_a_summary_is_stopped_by_who_waits_for_it(open_app: OpenRuntime, small: dict[str, str]) -> None:
    provider = ScriptedProvider(*replies(2), ["They ", asyncio.Event()])
    app = await open_app(provider, **small)
    done = await talk(app, LONG + "1", LONG + "2")
    begun = asyncio.Event()

    def tell(progress: Progress) -> None:
        if progress.words:
            begun.set()

    asking = Asking(conversation_id=done.conversation.id, text=LONG * 2)
    writing = asyncio.create_task(app.chat.fitting.summarise(OWNER, asking, tell))
    await begun.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert provider.closed_streams == 3
    assert await memories(app, done.conversation.id) == [None] * 4


async def test_a_beginning_that_the_model_refuses_is_halved(open_app: OpenRuntime) -> None:
    too_long = [refusal("too_long", "Too long.")]
    provider = ScriptedProvider(*replies(4), too_long, too_long, *(answer(f"S{n}.") for n in range(30)))
    app = await open_app(provider)
    done = await talk(app, *(f"{LONG}{n}" for n in range(4)))
    shortened = await app.chat.fitting.summarise(OWNER, Asking(conversation_id=done.conversation.id, text="x"))
    assert shortened.memory is not None
    assert len(provider.requests) > 4 + 2 + 2


async def test_one_that_is_always_refused_is_told_in_the_end(open_app: OpenRuntime) -> None:
    provider = ScriptedProvider(*replies(2), *([refusal("too_long", "Too long.")] for _ in range(9)))
    app = await open_app(provider)
    done = await talk(app, LONG + "1", LONG + "2")
    with pytest.raises(ModelError, match="Too long"):
        await app.chat.fitting.summarise(OWNER, Asking(conversation_id=done.conversation.id, text="x"))
    assert len(provider.requests) == 2 + 4


async def test_a_question_that_is_too_long_alone_cannot_be_helped(open_app: OpenRuntime, small: dict[str, str]) -> None:
    app = await open_app(ScriptedProvider(*replies(1)), **small)
    done = await talk(app, "Hello")
    asking = Asking(conversation_id=done.conversation.id, text=LONG * 9)
    choices = await app.chat.fitting.choices(OWNER, asking)
    assert (choices.estimate.over, choices.trim, choices.summarise) == (True, 0, 0)
    for act in (app.chat.fitting.trim, app.chat.fitting.summarise):
        with pytest.raises(InputError, match=r"takes 2,000 tokens\. Shorten it"):
            await act(OWNER, asking)
    with pytest.raises(InputError):
        await app.chat.fitting.trim(OWNER, Asking(text=LONG * 9))


def failure_in(message: Message) -> str:
    return next(part.failure.message for part in message.parts if isinstance(part, ErrorPart))


async def test_an_answer_that_failed_for_length_teaches_and_is_asked_for_again(open_app: OpenRuntime) -> None:
    failed = [refusal("too_long", "It is too long.", tokens=4_000, window=3_000)]
    provider = ScriptedProvider(*replies(2), failed, answer("Well."))
    app = await open_app(provider)
    done = await talk(app, LONG + "1", LONG + "2")
    here = done.conversation.id
    asking = Asking(conversation_id=here, text=LONG + "3", options=Options(model="model-a"))
    before = await app.chat.fitting.estimate(OWNER, asking)
    assert (before.window, before.over) == (None, False)
    after = await talk_on(app, here, LONG + "3")
    assert failure_in(after.path[-1]) == "It is too long."
    again = Asking(conversation_id=here, again=after.path[-1].id, options=Options(model="model-a"))
    choices = await app.chat.fitting.choices(OWNER, again)
    assert choices.estimate.window == 3_000
    assert choices.estimate.over
    assert choices.estimate.total == pytest.approx(4_000, rel=0.02), "as the server counted"
    assert choices.estimate.question == pytest.approx(4_000 / 3, rel=0.1)
    assert choices.trim == 2
    await app.chat.fitting.trim(OWNER, again)
    await whole_run(app.chat, await app.chat.retry(OWNER, here, after.path[-1].id))
    assert asked_with(provider) == [LONG + "2", "Answer 1.", LONG + "3"]


async def test_what_the_endpoint_counted_puts_the_estimate_right(open_app: OpenRuntime, small: dict[str, str]) -> None:
    used = [*answer("Fine.")[:-1], UsageReported(Usage(input=822, output=2)), StepFinished("stop", "stop")]
    app = await open_app(ScriptedProvider(used), **small)
    done = await talk(app, LONG)
    found = await app.chat.fitting.estimate(OWNER, Asking(conversation_id=done.conversation.id, text=LONG))
    assert found.factor == pytest.approx(2.0, rel=0.02)
    assert found.question == pytest.approx(2 * (tokens.count(LONG) + 4), rel=0.02)
    new = await app.chat.fitting.estimate(OWNER, Asking(text=LONG))
    assert new.factor == found.factor, "it is the model's, whichever conversation it is"


async def test_a_server_on_this_machine_is_asked_how_it_counts(open_app: OpenRuntime, small: dict[str, str]) -> None:
    provider = ScriptedProvider(answer("Fine."))
    app = await open_app(provider, **small)
    asked: list[str] = []

    def count(text: str) -> int:
        asked.append(text)
        return 3 * tokens.count(text)

    provider.counts = count
    found = await app.chat.fitting.estimate(OWNER, Asking(text=LONG))
    assert (found.factor, found.question) == (3.0, 3 * (tokens.count(LONG) + 4))
    short = await app.chat.fitting.estimate(OWNER, Asking(text="Hi"))
    assert short.factor == 3.0, "as it was last"
    await app.chat.fitting.estimate(OWNER, Asking(text="x" * 100_000 + " the end"))
    assert len(asked) == 2, "too little says nothing"
    assert len(asked[1]) == 20_000
    assert asked[1].endswith(" the end")
    provider.counts = None
    assert (await app.chat.fitting.estimate(OWNER, Asking(text=LONG))).factor <= 8.0


async def test_a_temporary_chat_can_be_shortened_and_kept(open_app: OpenRuntime, small: dict[str, str]) -> None:
    provider = ScriptedProvider(*replies(3), answer("In short."), answer("Yes."), answer("Again."))
    app = await open_app(provider, **small)
    room = await app.temporary.open(OWNER)
    here: str | None = None
    for n in range(3):
        done = await whole_run(room.chat, await room.chat.send(OWNER, f"{LONG}{n}", conversation_id=here))
        here = done.conversation.id
    await room.chat.fitting.summarise(OWNER, Asking(conversation_id=here, text=LONG))
    kept = await app.temporary.keep(room)
    on = await talk_on(app, kept, "Go on")
    assert any(message.memory is not None for message in on.path)
    assert "In short." in asked_with(provider)[0]


async def test_a_picture_counts_by_the_rules_of_the_model_that_is_asked(
    open_app: OpenRuntime, small: dict[str, str]
) -> None:
    app = await open_app(ScriptedProvider(), **small)
    kept = await app.store.add_attachment(OWNER, "map.png", "image/png", png(1024, 1024))

    async def attachments(model: str) -> int:
        asking = Asking(text="Where?", attachments=((kept.sha256, "map.png"),), options=Options(model=model))
        return (await app.chat.fitting.estimate(OWNER, asking)).attachments

    words = tokens.count(pictured(kept))
    assert await attachments("gpt-4o") == 765 + words
    assert await attachments("gpt-5.5") == 1_229 + words
    assert await attachments("m") == 1_500 + words, "about, where nobody knows"
    many = Asking(text="Where?", attachments=((kept.sha256, "map.png"),) * 3, options=Options(model="gpt-4o"))
    with pytest.raises(TooLongError):
        await app.chat.fitting.check(OWNER, many)
