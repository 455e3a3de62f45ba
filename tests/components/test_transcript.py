"""The transcript's data, without a browser: what the page is told adds up to what it should show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from components.chat.streaming import StreamingMarkdown
from components.chat.transcript import WINDOW, Transcript
from components.chat.views import BY_HAND, message_view, possible
from components.deltas import Delta
from components.state import ConversationState
from services.messages import Message, MessageStatus, TextPart
from services.options import Options
from services.render import render_markdown
from tests.components.test_state import becomes
from tests.conftest import OWNER, OpenRuntime, whole_run
from tests.scripted import ScriptedProvider, Step, answer, refusal, thoughtful

MARKDOWN = "# Title\n\nSome *words* and a 🥊.\n\n- one\n- two\n\n```python\nx = 1\n```\n\nEnd."


class Browser:
    """What `transcript.js` does with the messages, as far as its data goes."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.views: dict[str, dict[str, Any]] = {}
        self.html: dict[str, str] = {}
        self.tail: dict[str, str] = {}
        self.reasoning: dict[str, str] = {}
        self.more = False
        self.empty: dict[str, Any] | None = None
        self.others: list[dict[str, Any]] = []
        self.painted: list[str] = []
        self.written = ""
        self.live: list[dict[str, Any]] = []

    def tell(self, message: dict[str, Any] | list[Any]) -> None:
        if isinstance(message, list):
            self.paint(*message[1:])
            return
        match message["type"]:
            case "show" | "patch":
                if message["type"] == "show":
                    self.__init__()  # type: ignore[misc]
                for view in message["set"]:
                    self.views[view["id"]] = view
                    if "html" in view:
                        self.html[view["id"]] = view["html"]
                        self.tail.pop(view["id"], None)
                    if "reasoning" in view:
                        self.reasoning[view["id"]] = view["reasoning"]
                self.order = message["order"]
                self.more = message["more"]
                self.empty = message.get("empty")
            case "settle":
                assert self.tail.pop(message["id"]) == ""
            case _:
                self.others.append(message)

    def paint(
        self,
        id: str | int,
        kept: int,
        tail: str | None,
        blocks: str = "",
        held: int = 0,
        more: dict[str, Any] | None = None,
    ) -> None:
        """Do what transcript.js does."""
        more = more or {}
        id = self.written = str(id or self.written)
        self.live.append({"id": id, **more})
        before = self.tail.get(id, "").encode("utf-16-le")
        self.html[id] += before[: 2 * held].decode("utf-16-le") + blocks
        self.reasoning[id] = self.reasoning.get(id, "") + more.get("r", "")
        if tail is not None:
            self.tail[id] = before[: 2 * kept].decode("utf-16-le") + tail
            self.painted.append(self.html[id] + self.tail[id])


class Page(Transcript):
    """A transcript whose page is a `Browser`."""

    def __init__(self, state: ConversationState) -> None:
        self.browser = Browser()
        self.called: list[str] = []
        super().__init__(
            state,
            on_connect=lambda: self.called.append("connect"),
            on_choose_model=lambda: self.called.append("choose_model"),
            on_compare=lambda versions: self.called.append(f"compare {versions.index}"),
            on_options=lambda id: self.called.append(f"options {id}"),
            on_details=lambda id: self.called.append(f"details {id}"),
            on_map=lambda: self.called.append("map"),
            on_share=lambda: self.called.append("share"),
            on_screen=lambda dark, narrow: self.called.append(f"dark={dark} narrow={narrow}"),
        )

    def _send_msg(self, data: dict[str, Any]) -> None:
        self.browser.tell(data)

    async def says(self, **data: Any) -> None:
        """Let the browser send a message."""
        await self._on_message(SimpleNamespace(data=data))  # type: ignore[arg-type]

    async def ready(self, *, opened: bool = False) -> None:
        await self.says(type="ready", dark=False, narrow=False, opened=opened)

    async def opens(self) -> None:
        """Let another page begin with what this one would."""
        self._ready = False
        self.open()
        self.browser = Browser()
        if self.opening:
            self.browser.tell(json.loads(self.opening))


Make = Callable[..., Any]


@pytest.fixture
async def make(open_app: OpenRuntime) -> AsyncGenerator[Make, None]:
    states: list[ConversationState] = []

    async def make_one(*scripts: list[Step]) -> Page:
        app = await open_app(ScriptedProvider(*scripts))
        state = ConversationState(app.chat, app.connections, OWNER)
        states.append(state)
        page = Page(state)
        page.app = app
        await state.start()
        await page.ready()
        return page

    yield make_one
    for state in states:
        state.close()


async def asked(page: Page, text: str) -> Message:
    await page._state.send(text)
    await becomes(page._state, lambda: page._state.run_id is None)
    return page._state.path[-1]


async def test_the_empty_page_offers_something(make: Make) -> None:
    page = await make()
    assert page.browser.order == []
    assert page.browser.empty is not None
    assert page.browser.empty["title"]


async def test_what_is_painted_ends_as_a_fresh_render(make: Make) -> None:
    gates = [asyncio.Event() for _ in range(4)]
    pieces: list[Step] = []
    for start, gate in zip(range(0, 80, 20), gates, strict=True):
        pieces += [MARKDOWN[start : start + 20], gate]
    page = await make([*pieces, *answer(MARKDOWN[80:])])
    await page._state.send("Go")
    for gate in gates:
        painted = len(page.browser.painted)
        await becomes(page._state, lambda painted=painted: len(page.browser.painted) > painted)
        gate.set()
    await becomes(page._state, lambda: page._state.run_id is None)
    reply = page._state.path[1]
    assert page.browser.html[reply.id] == render_markdown(MARKDOWN)
    assert page.browser.tail == {}
    assert "html" not in page.browser.views[reply.id], "what is on the page already is not sent again"
    assert len(page.browser.painted) >= 4


async def test_a_run_that_nobody_could_follow_is_shown_whole() -> None:
    """It may end between the answer's being stored and the tab's first look at it."""
    stream = StreamingMarkdown("m")
    list(stream.finish())
    assert not stream.shows("an answer")
    stream = StreamingMarkdown("m")
    assert list(stream.paint(Delta("m", "", "an ans"))) == [["live", "m", 0, '<p dir="auto">an ans</p>\n']]
    list(stream.finish())
    assert not stream.shows("an answer")


def test_a_finished_block_is_not_sent_twice() -> None:
    """It was on the page as the open tail; an emoji in it counts two, as it does in the browser."""
    stream = StreamingMarkdown("m")
    list(stream.paint(Delta("m", "", "An 😀 that is **done** and")))
    (painted,) = stream.paint(Delta("m", "", " closed.\n\nNext\n"))
    before = '<p dir="auto">An 😀 that is <strong>done</strong> and'
    assert painted == ["live", 0, 14, "Next</p>\n", " closed.</p>\n", len(before) + 1]


def test_a_dear_paint_is_done_in_steps() -> None:
    stream = StreamingMarkdown("m")
    steps = list(stream.paint(Delta("m", "", "- [ ] an item\n" * 2_000)))
    assert len(steps) > 4
    assert [step for step in steps if step] == steps[-1:]


@pytest.mark.parametrize("text", ["- [ ] an item\n" * 2_000, "[a] " * 3_000 + "\n\n[a]: http://a.b\n"])
async def test_a_reply_that_is_painted_in_steps_ends_as_a_fresh_render(make: Make, text: str) -> None:
    page = await make(answer(text))
    reply = await asked(page, "Go")
    assert page.browser.html[reply.id] == render_markdown(text)
    assert page.browser.tail == {}


async def test_a_whole_answer_replaces_a_reply_that_was_never_painted(make: Make) -> None:
    page = await make(answer("quick"))
    opened = await page.app.chat.send(OWNER, "Go")
    done = await whole_run(page.app.chat, opened)
    page._state._show(opened, page._state._turn())  # what the tab saw first…
    page._state._unfollow()
    page._state._show(done, page._state._turn())  # …and what it saw next
    assert page.browser.html[done.path[1].id] == '<p dir="auto">quick</p>\n'


async def test_reasoning_is_shown_as_it_comes_and_afterwards(make: Make) -> None:
    page = await make(thoughtful("let me <b>think</b>", "Hi"))
    reply = await asked(page, "Go")
    assert page.browser.reasoning[reply.id] == "let me <b>think</b>"
    await page.ready()
    assert page.browser.reasoning[reply.id] == "let me <b>think</b>"


async def test_a_page_built_again_in_the_middle_shows_everything(make: Make) -> None:
    gate = asyncio.Event()
    page = await make(["Half ", gate, *answer("whole")])
    await page._state.send("Go")
    await becomes(page._state, lambda: page.browser.painted != [])
    await page.ready()
    gate.set()
    await becomes(page._state, lambda: page._state.run_id is None and page._state.path[1].status == "complete")
    assert page.browser.html[page._state.path[1].id] == render_markdown("Half whole")


async def test_a_page_begins_with_its_conversation_and_is_told_only_what_changed_since(make: Make) -> None:
    page = await make(answer(MARKDOWN), answer("Second"))
    reply = await asked(page, "Go")
    await page.opens()
    assert page.browser.html[reply.id] == render_markdown(MARKDOWN)
    before = dict(page.browser.views)
    await page.ready(opened=True)
    assert {id: page.browser.views[id] is view for id, view in before.items()} == dict.fromkeys(before, True)
    assert page.opening == "", "the text is not kept for as long as the page"

    await page.opens()
    again = await asked(page, "And then?")  # before the page has said that it is there
    assert again.id not in page.browser.views
    await page.ready(opened=True)
    assert page.browser.order == [message.id for message in page._state.path]
    assert page.browser.html[again.id] == render_markdown("Second")


async def test_a_page_that_begins_while_a_reply_is_written_is_told_all_of_it(make: Make) -> None:
    gate = asyncio.Event()
    page = await make(["Half ", gate, *answer("whole")])
    await page._state.send("Go")
    await becomes(page._state, lambda: page.browser.painted != [])
    await page.opens()
    assert page.opening == ""
    await page.ready(opened=False)
    gate.set()
    await becomes(page._state, lambda: page._state.run_id is None and page._state.path[1].status == "complete")
    assert page.browser.html[page._state.path[1].id] == render_markdown("Half whole")


async def test_a_reply_that_began_after_its_page_did_is_told_from_its_first_word(make: Make) -> None:
    gate = asyncio.Event()
    page = await make(answer("First"), ["Half ", gate, *answer("whole")])
    await asked(page, "Go")
    await page.opens()
    await page._state.send("And then?")
    await becomes(page._state, lambda: page._state.delta is not None and page._state.delta.text == "Half ")
    await page.ready(opened=True)
    gate.set()
    await becomes(page._state, lambda: page._state.run_id is None and page._state.path[-1].status == "complete")
    assert page.browser.html[page._state.path[-1].id] == render_markdown("Half whole")


async def test_long_conversations_come_in_windows(make: Make) -> None:
    many = WINDOW // 2 + 3
    page = await make(*[answer(f"answer {n}") for n in range(many)])
    for n in range(many):
        await asked(page, f"question {n}")
    await page._state.open(page._state.conversation.id)
    await page.ready()
    assert (len(page.browser.order), page.browser.more) == (WINDOW, True)
    assert page.browser.order == [m.id for m in page._state.path][-WINDOW:]
    await page.says(type="older")
    assert (len(page.browser.order), page.browser.more) == (2 * many, False)
    assert all("answer" in page.browser.html[m.id] for m in page._state.path if m.role == "assistant")


async def test_every_next_step_does_something(make: Make) -> None:
    page = await make([refusal("auth", next_step="add_key")], answer("ok"))
    reply = await asked(page, "My question")
    alert = page.browser.views[reply.id]["alert"]
    assert (alert["text"], alert["label"]) == ("It failed.", "Add a key")
    for step in ("add_key", "check_endpoint", "choose_model", "shorten"):
        await page.says(type="step", id=reply.id, step=step, parameter=None)
    assert page.called[1:] == ["connect", "connect", "choose_model"]
    assert page.browser.others[-1] == {"type": "edit", "id": page._state.path[0].id}, "in its place"
    await page.says(type="step", id=reply.id, step="retry", parameter=None)
    await becomes(page._state, lambda: page._state.run_id is None and page._state.path[1].status == "complete")


async def test_copy_gives_the_markdown(make: Make) -> None:
    page = await make(answer(MARKDOWN))
    reply = await asked(page, "Go")
    await page.says(type="copy", id=reply.id)
    assert page.browser.others[-1] == {"type": "copied", "id": reply.id, "text": MARKDOWN}


@pytest.mark.parametrize(
    "data",
    [
        None,
        "ready",
        {},
        {"type": "retry"},
        {"type": "retry", "id": 5},
        {"type": "retry", "id": "nobody's"},
        {"type": "version", "id": "nobody's"},
        {"type": "undo", "mark": "nobody's"},
        {"type": "open", "id": "nobody's"},
        {"type": "step", "id": "x", "step": "rm -rf", "parameter": None},
        {"type": "step", "id": "x", "step": "drop_parameter", "parameter": 7},
        {"type": "chip", "text": "not one of ours"},
        {"type": "copy", "id": "nobody's"},
    ],
)
async def test_a_forged_message_does_nothing(make: Make, data: Any) -> None:
    page = await make()
    await page._on_message(SimpleNamespace(data=data))  # type: ignore[arg-type]
    assert page._state.path == ()


def test_a_question_is_never_html(make: Make) -> None:
    message = Message(
        id="m",
        conversation_id="c",
        parent_id=None,
        role="user",
        parts=(TextPart("<img src=x onerror=alert(1)>"),),
        status="complete",
        created_at=datetime.now(UTC),
    )
    assert message_view(message, None)["html"] == "&lt;img src=x onerror=alert(1)&gt;"


@pytest.mark.parametrize("status", ["complete", "truncated", "stopped"])
def test_what_answers_nothing_is_not_offered_to_be_answered_again(status: MessageStatus) -> None:
    message = Message(
        id="m",
        conversation_id="c",
        parent_id=None,
        role="assistant",
        parts=(TextPart("Hello"),),
        status=status,
        created_at=datetime.now(UTC),
        model="tiny",
    )
    assert "edit" in message_view(message, None)["can"]
    assert not {*message_view(message, None)["can"], *possible(message)} & {"retry", "regenerate"}
    asked = replace(message, parent_id="q")
    assert possible(asked) & {"retry", "regenerate"}


async def test_an_answer_that_goes_on_keeps_its_beginning_on_the_page(make: Make) -> None:
    page = await make(answer("# Half\n\nan ", reason="length"), answer("answer **whole**."))
    cut = await asked(page, "Go")
    assert "continue" in page.browser.views[cut.id]["can"]
    await page.says(type="continue", id=cut.id)
    await becomes(page._state, lambda: page._state.run_id is None and page._state.path[1].status == "complete")
    assert page._state.path[1].text == "# Half\n\nan answer **whole**."
    assert page.browser.html[cut.id] == render_markdown("# Half\n\nan answer **whole**.")
    assert "html" not in page.browser.views[cut.id]


async def test_thinking_is_counted_live_and_told_afterwards(make: Make) -> None:
    gate = asyncio.Event()
    page = await make([*thoughtful("let me see", "Yes")[:1], gate, *answer("Yes")])
    await page._state.send("Go")
    await becomes(page._state, lambda: page._state.activity == "Thinking…")
    [began] = [message for message in page.browser.live if "thinking" in message]
    assert 0 <= began["thinking"] < 60
    await page.ready()  # another look, a little later, counts from the same moment
    await becomes(page._state, lambda: any("thinking" in message for message in page.browser.live))
    again = [message for message in page.browser.live if "thinking" in message][-1]
    assert again["thinking"] >= began["thinking"]
    gate.set()
    await becomes(page._state, lambda: page._state.run_id is None)
    [told] = [message["thought"] for message in page.browser.live if "thought" in message]
    view = page.browser.views[page._state.path[1].id]
    assert (view["reasoning"], view["thought_s"]) == ("let me see", told)


async def test_the_outline_has_every_question_in_one_line(make: Make) -> None:
    page = await make(answer("one"), answer("two"))
    first = await asked(page, "A question\nof two lines " + "and more " * 20)
    await asked(page, "Another")
    await page.says(type="outline")
    told = page.browser.others[-1]
    assert [item["text"] for item in told["items"]] == [
        "A question of two lines and more and more and more and more and more and more a…",
        "Another",
    ]
    assert told["items"][0]["id"] == first.parent_id


async def test_earlier_messages_are_sent_up_to_one_that_is_wanted(make: Make) -> None:
    many = WINDOW + 3
    page = await make(*[answer(f"answer {n}") for n in range(many)])
    for n in range(many):
        await asked(page, f"question {n}")
    await page.ready()
    wanted = page._state.path[WINDOW - 1].id
    await page.says(type="reach", id=wanted)
    assert wanted in page.browser.order
    assert page.browser.more
    assert page.browser.others[-1] == {"type": "reached", "id": wanted}
    await page.says(type="reach", id="nothing of ours")
    assert page.browser.more


async def test_an_edit_is_done_or_refused_in_words(make: Make) -> None:
    page = await make(answer("One"), answer("Two"))
    await page._state.send("First")
    await becomes(page._state, lambda: page._state.run_id is None)
    question, reply = page._state.path
    told: list[dict[str, Any]] = []
    page.browser.tell = told.append
    await page.says(type="edit", id=question.id, text=" ", key="k0")
    assert told[-1]["id"] == question.id
    assert "empty" in told[-1]["refused"]
    await page.says(type="edit", id=reply.id, text="*Mine*", key="k1")
    assert told[-1] == {"type": "edited", "id": reply.id, "refused": None}
    mine = next(one for msg in told if msg["type"] == "patch" for one in msg["set"] if one["id"] != question.id)
    assert mine["note"] == BY_HAND
    assert mine["html"] == render_markdown("*Mine*")
    assert mine["model"] is None
    await page.says(type="edit", id=question.id, text="Better", key="k2")
    await becomes(page._state, lambda: page._state.run_id is None)
    assert [message.text for message in page._state.path] == ["Better", "Two"]


async def test_answers_side_by_side_are_painted_each_on_its_own(make: Make) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    page = await make(["# Red", gates[0], *answer(" and more")], ["**Green**", gates[1], *answer(" and more")])
    state = page._state
    await state.set_options(Options(answers=2))
    await state.send("Go")
    first, second = (message.id for message in state.together)
    await becomes(
        state, lambda: "Red" in page.browser.tail.get(first, "") and "Green" in page.browser.tail.get(second, "")
    )
    assert page.browser.order == [state.path[0].id, first, second]
    assert [page.browser.views[id]["beside"] for id in (first, second)] == [
        {"number": 1, "of": 2, "head": True},
        {"number": 2, "of": 2, "head": False},
    ]
    assert state.activity == "Writing 2 answers…"
    gates[1].set()
    await becomes(state, lambda: [*state.runs] == [first])
    assert state.activity == "Writing 1 of 2 answers…"
    assert page.browser.html[second] == render_markdown("**Green** and more")
    gates[0].set()
    await becomes(state, lambda: not state.runs)
    assert page.browser.html[first] == render_markdown("# Red and more")
    assert all("html" not in page.browser.views[id] for id in (first, second)), "what is on the page is not sent again"
    assert {"use", "regenerate"} <= set(page.browser.views[second]["can"])
    await page.says(type="use", id=second)
    assert page.browser.order == [state.path[0].id, second]
    assert "beside" not in page.browser.views[second]
    assert page.browser.views[second]["versions"]["count"] == 2


async def test_one_that_is_used_while_it_is_written_loses_no_word(make: Make) -> None:
    gate = asyncio.Event()
    page = await make(["Red", asyncio.Event()], ["Green", gate, *answer(" and more")])
    state = page._state
    await state.set_options(Options(answers=2))
    await state.send("Go")
    second = state.together[1].id
    await becomes(state, lambda: "Green" in page.browser.tail.get(second, ""))
    await page.says(type="use", id=second)
    gate.set()
    await becomes(state, lambda: not state.runs)
    assert page.browser.html[second] == render_markdown("Green and more")
    assert "html" not in page.browser.views[second], "it was painted to its end"


async def test_one_of_them_is_ended_by_its_own_button(make: Make) -> None:
    gate = asyncio.Event()
    page = await make(["Red", gate, *answer(".")], ["Green", gate, *answer(".")])
    state = page._state
    await state.set_options(Options(answers=2))
    await state.send("Go")
    first, second = (message.id for message in state.together)
    await becomes(state, lambda: "Green" in page.browser.tail.get(second, ""))
    await page.says(type="stop", id=second)
    await becomes(state, lambda: [*state.runs] == [first])
    state.stop()
    await becomes(state, lambda: not state.runs)
    assert [message.status for message in state.together] == ["stopped", "stopped"]
