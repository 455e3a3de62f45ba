"""Whatever people, models, disks and crashes do, in whatever order: what section 7 of the design promises holds.

40 lives of 25 steps, the same ones each time; with `PANELIST_LONG=1` 400 random ones of 60. A Panelist runs in
simulated time (see `simulated.py`), tabs are the states that pages show, and what is true is kept in plain lists here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from components.state import ConversationState
from services.errors import PanelistError
from services.messages import ENDED_BY_MODEL, RESUMABLE
from tests.conftest import OWNER
from tests.faults.simulated import Call, Loop, Process
from tests.faults.stored import Row, Stored

LONG = bool(os.environ.get("PANELIST_LONG"))
WHICH = st.integers(0, 11)
"""One of what there is: its number, counted round."""
MOMENTS = st.sampled_from([None, None, None, 0, 1, 2, 3, 5, 8, 13])
"""How long the process lives until the next step; None for until it rests."""
ENDINGS = st.sampled_from(["stop", "stop", "length", "fail", "cut"])
MOST_TABS = 4


@dataclass(eq=False)
class Asked:
    """A message that a person sent, and what its sender knows of it."""

    text: str
    key: str
    to: str | None
    tries: int = 0
    """How often it was sent and not refused."""
    trying: int = 0
    """How often it is being sent at the moment."""
    stored: bool = False
    """Somebody was told that it is."""
    removed: bool = False
    """Somebody was told that it is."""
    removing: int = 0
    """How often somebody asked for that and did not hear how it ended."""
    hurried: bool = False

    @property
    def places(self) -> set[int]:
        """In how many places it may be stored."""
        if self.removed or not self.tries:
            return {0}
        return {0, 1} if self.removing or not self.stored else {1}


@dataclass(eq=False)
class Page:
    """A tab: its state, and what the view of the answer being written shows."""

    state: ConversationState
    message: object = None
    live: str = ""
    intents: list[asyncio.Task[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state.param.watch(self._on_path, ["path", "versions"])
        self.state.param.watch(self._on_delta, "delta", onlychanged=False)

    def _on_path(self, *_: object) -> None:
        last = self.state.path[-1] if self.state.path else None
        shown = last and (last, self.state.versions.get(last.id))
        if shown != self.message:  # a view that is painted already goes on growing
            self.message, self.live = shown, last.text if last else ""

    def _on_delta(self, event: Any) -> None:
        if event.new is not None and self.state.path and event.new.message_id == self.state.path[-1].id:
            self.live += event.new.text


@dataclass(eq=False)
class Facts:
    """What is known of a call of the model beside what it said."""

    kept: int = 0
    """Words that are to be in storage whatever happens."""
    ended_otherwise: set[str] = field(default_factory=set)
    """How it may have ended beside the model's own way."""
    alone: bool = False
    """Whether what waited for it may go on waiting."""


class Machine(RuleBasedStateMachine):
    def __init__(self, folder: Path, errors: list[str]) -> None:
        super().__init__()
        self.folder = folder
        self.errors = errors
        self.database = folder / "data" / "panelist.db"
        self.calls: list[Call] = []
        self.facts: dict[str, Facts] = {}
        self.asked: list[Asked] = []
        self.tabs: list[Page] = []
        self.deleted: list[str] = []
        self.open: list[tuple[asyncio.Task[Any], Callable[[asyncio.Task[Any]], None], str | None, int]] = []
        self.seen: dict[str, Row] = {}
        self.queues: dict[str, list[tuple[str, str]]] = {}
        self.words = 0
        self.in_trouble = False

    # What can happen

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        self.loop = Loop(random.Random(seed))
        asyncio.set_event_loop(self.loop)
        self.process = Process(self.folder, self.loop, self.calls)
        self._new_tab(None)
        self._go(None)
        self._ask(self.tabs[0])
        self._go(None)

    @rule(tab=WHICH, now=st.sampled_from([False, False, False, True]), moments=MOMENTS)
    def send(self, tab: int, now: bool, moments: int | None) -> None:
        self._ask(self._tab(tab), now)
        self._go(moments)

    @rule(which=WHICH, tab=WHICH, moments=MOMENTS)
    def send_again(self, which: int, tab: int, moments: int | None) -> None:
        """A double click, or the browser's own second try when it heard no word."""
        if found := [asked for asked in self.asked if not (asked.removed or asked.removing)]:
            asked = found[-1 - which % len(found)]
            self._send(self._tab(tab), asked, asked.hurried)
        else:
            self._busy(tab)
        self._go(moments)

    @rule(tab=WHICH, moments=MOMENTS)
    def stop(self, tab: int, moments: int | None) -> None:
        page = self._tab(tab)
        if page.state.run_id is None:
            self._busy(tab)
        self._may_end("stopped", page.state.run_id)
        page.state.stop()
        self._go(moments)

    @rule(tab=WHICH, which=WHICH, moments=MOMENTS)
    def unqueue(self, tab: int, which: int, moments: int | None) -> None:
        if not self._take_back(self._tab(tab), which):
            self._busy(tab)
        self._go(moments)

    @rule(tab=WHICH, which=WHICH, moments=MOMENTS)
    def edit(self, tab: int, which: int, moments: int | None) -> None:
        """Take a waiting message back into the text box and send it changed."""
        page = self._tab(tab)
        if self._take_back(page, which, quietly=True):
            self._go(moments)
            self._ask(page)
        else:
            self._busy(tab)
        self._go(moments)

    @rule(tab=WHICH, which=WHICH, moments=MOMENTS)
    def send_now(self, tab: int, which: int, moments: int | None) -> None:
        state = self._tab(tab).state
        ids = [queued.id for queued in state.waiting.messages]
        if ids:
            self._asked_as(state.waiting.messages[which % len(ids)].text).hurried = True
        self._choose(tab, state.send_now, ids, which, moments, ends=True)

    @rule(tab=WHICH, which=WHICH, moments=MOMENTS)
    def retry(self, tab: int, which: int, moments: int | None) -> None:
        state = self._tab(tab).state
        self._choose(tab, state.retry, [message.id for message in state.path[:0:-2]], which, moments)

    @rule(tab=WHICH, moments=MOMENTS)
    def go_on(self, tab: int, moments: int | None) -> None:
        able = [n for n, page in enumerate(self.tabs) if page.state.path and page.state.path[-1].status in RESUMABLE]
        tab = able[tab % len(able)] if able else tab
        state = self._tab(tab).state
        self._choose(tab, state.go_on, [state.path[-1].id] if able else [], 0, moments)

    @rule(tab=WHICH, which=WHICH, moments=MOMENTS)
    def show_version(self, tab: int, which: int, moments: int | None) -> None:
        state = self._tab(tab).state
        ids = [id for versions in state.versions.values() for id in versions.ids]
        self._choose(tab, state.show_version, ids, which, moments)

    @rule(tab=WHICH, which=WHICH, moments=MOMENTS)
    def open_one(self, tab: int, which: int, moments: int | None) -> None:
        """Go to a conversation, or to a new one."""
        state = self._tab(tab).state
        self._choose(tab, state.open, [None, *(one.id for one in state.catalogue.conversations)], which, moments)

    @rule(tab=WHICH, which=WHICH, moments=MOMENTS)
    def delete(self, tab: int, which: int, moments: int | None) -> None:
        page = self._tab(tab)
        if found := page.state.catalogue.conversations:
            here = found[which % len(found)].id
            self.deleted.append(here)
            self._intend(page, page.state.catalogue.delete(here), ends=True, where=here)
        else:
            self._busy(tab)
        self._go(moments)

    @rule(tab=WHICH, which=WHICH, moments=MOMENTS)
    def restore(self, tab: int, which: int, moments: int | None) -> None:
        if self.deleted:
            page, here = self._tab(tab), self.deleted[which % len(self.deleted)]
            self._intend(page, page.state.catalogue.restore(here), where=here)
        else:
            self._busy(tab)
        self._go(moments)

    @rule(tab=WHICH, moments=MOMENTS)
    def second_tab(self, tab: int, moments: int | None) -> None:
        if len(self.tabs) < MOST_TABS:
            shown = self._tab(tab).state.conversation
            self._new_tab(shown.id if shown else None)
        else:
            self._busy(tab)
        self._go(moments)

    @rule(tab=WHICH, leave=st.booleans(), again=st.booleans(), moments=MOMENTS)
    def reload(self, tab: int, leave: bool, again: bool, moments: int | None) -> None:
        """Close a tab, with or without what it has just asked for; open it again unless it is one of several."""
        page = self._tab(tab)
        page.state.close()
        self.tabs.remove(page)
        for task in page.intents if leave else ():
            task.cancel()
        if again or not self.tabs:
            self._new_tab(page.state.conversation.id if page.state.conversation else None)
        self._go(moments)

    @rule(which=WHICH, count=st.integers(0, 4), ending=st.none() | ENDINGS, moments=MOMENTS)
    def model_writes(self, which: int, count: int, ending: str | None, moments: int | None) -> None:
        if found := self._writing():
            self._write(found[which % len(found)], count, ending)
        else:
            self._busy(which)
        self._go(moments)

    @rule(count=st.integers(1, 3), moments=MOMENTS)
    def disk_fills(self, count: int, moments: int | None) -> None:
        """Have the next writes fail."""
        self.process.disk.failing += count
        self.in_trouble = True
        self._go(moments)

    @rule(orderly=st.sampled_from([False, False, True]), again=st.booleans())
    def crash(self, orderly: bool, again: bool) -> None:
        """End the process, look at what it left, and start it again, perhaps twice."""
        if self.in_trouble:
            self._rest()
        for call in self.calls:
            if not call.over:
                self._may_end("interrupted", call.run_id)
            self._fact(call).alone = True
        if orderly:
            self.process.shut_down()
        else:
            self.process.kill()
        called = {call.run_id for call in self.calls}
        stored = Stored.read(self.database)
        for run in stored.streaming | ({run for row in stored.messages.values() for run in row.runs} - called):
            self._may_end("interrupted", run)
        self._note_intents()
        self._check_stored()
        shown = [page.state.conversation.id if page.state.conversation else None for page in self.tabs]
        self.tabs = []
        for _ in range(2 if again else 1):
            if again and self.process.disk.dead is False:
                self.process.kill()
            self.process = Process(self.folder, self.loop, self.calls)
        for id in shown:
            self._new_tab(id)
        self._go(None)

    @rule()
    def rest(self) -> None:
        self._rest()

    def teardown(self) -> None:
        if not hasattr(self, "process"):
            return
        for page in self.tabs:
            page.state.close()
        self.process.kill()
        self.loop.really(self.loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        self.loop.close()

    # How it is told to the process

    def _tab(self, number: int) -> Page:
        return self.tabs[number % len(self.tabs)]

    def _new_tab(self, conversation: str | None) -> None:
        app = self.process.app
        page = Page(ConversationState(app.chat, app.connections, OWNER))
        self.tabs.append(page)
        self._intend(page, page.state.start(conversation))

    def _intend(
        self,
        page: Page,
        work: Awaitable[Any],
        then: Callable[[asyncio.Task[Any]], None] = lambda task: None,
        *,
        ends: bool = False,
        where: str | None = None,
    ) -> None:
        """Begin what a person wants. With `ends` it may stop an answer in the conversation of the page."""

        async def carried() -> Any:
            return await work

        task = self.loop.create_task(carried())
        page.intents = [*(one for one in page.intents if not one.done()), task]
        here = where or (page.state.conversation.id if page.state.conversation else None)
        first = next((n for n, call in enumerate(self.calls) if not call.over), len(self.calls))
        self.open.append((task, then, here if ends else None, first))

    def _choose(
        self,
        tab: int,
        intent: Callable[[Any], Awaitable[None]],
        ids: Sequence[str | None],
        which: int,
        moments: int | None,
        ends: bool = False,
    ) -> None:
        """Have a person in a tab do something with one of what there is."""
        if ids:
            self._intend(self._tab(tab), intent(ids[which % len(ids)]), ends=ends)
        else:
            self._busy(tab)
        self._go(moments)

    def _busy(self, tab: int) -> None:
        """Do what is nearly always possible, so that no step is wasted."""
        if found := self._writing():
            self._write(found[tab % len(found)], 1 + tab % 3, [None, "stop", "cut"][tab % 3])
        if not found or tab % 3 == 0:
            self._ask(self._tab(tab))

    def _write(self, call: Call, count: int, ending: str | None) -> None:
        for _ in range(count):
            self.words += 1
            call.say(f"word{self.words} ")
        if ending is not None:
            call.end(ending)

    def _ask(self, page: Page, now: bool = False) -> None:
        here = page.state.conversation.id if page.state.conversation else None
        self.asked.append(Asked(f"question {len(self.asked)}", f"key {len(self.asked)}", here))
        self._send(page, self.asked[-1], now)

    def _send(self, page: Page, asked: Asked, now: bool) -> None:
        asked.tries += 1
        asked.trying += 1
        asked.hurried |= now

        def then(task: asyncio.Task[Any]) -> None:
            asked.trying -= 1
            if task.cancelled():
                return  # nobody heard how it ended
            if isinstance(task.exception(), PanelistError):
                asked.tries -= 1
            else:
                asked.stored = True
                asked.to = task.result()

        ends = now and not asked.stored  # what is stored already has nothing to stop
        self._intend(
            page, page.state.send(asked.text, asked.key, now=now, to=asked.to), then, ends=ends, where=asked.to
        )

    def _take_back(self, page: Page, which: int, *, quietly: bool = False) -> bool:
        state, waiting = page.state, page.state.waiting.messages
        if state.conversation is None or not waiting:
            return False
        queued = waiting[which % len(waiting)]
        asked = self._asked_as(queued.text)
        asked.removing += 1

        async def take() -> str | None:
            before = state.notice
            await state.unqueue(queued.id, quietly=quietly)
            notice = state.notice
            return None if notice is None or notice is before or notice.kind == "info" else notice.text

        def then(task: asyncio.Task[Any]) -> None:
            if task.cancelled():
                return
            refused = task.result()
            if refused is None and not asked.trying:
                asked.removed = True
            elif refused is not None:
                asked.removing -= 1

        self._intend(page, take(), then)
        return True

    def _asked_as(self, text: str) -> Asked:
        return next(asked for asked in self.asked if asked.text == text)

    def _writing(self) -> list[Call]:
        return [call for call in self.calls if not call.over and call.ending is None]

    def _fact(self, call: Call) -> Facts:
        return self.facts.setdefault(call.run_id, Facts())

    def _may_end(self, how: str, run_id: str | None) -> None:
        if run_id is not None:
            self.facts.setdefault(run_id, Facts()).ended_otherwise.add(how)

    def _go(self, moments: int | None) -> None:
        if moments is None:
            self._rest()
            return
        self.loop.live(moments)
        self._note_intents()
        self._check_stored()

    def _rest(self) -> None:
        failing = -1
        while failing != self.process.disk.failing:  # each of them is tried again only after a while
            failing = self.process.disk.failing
            self.loop.live()
        self._note_intents()
        assert not self.open, f"never answered: {self.open}"
        self.in_trouble = failing > 0
        stored = self._check_stored()
        for call in self.calls:
            self._fact(call).kept = len(call.said) if not call.over else self._fact(call).kept
        wrong = [*self._wrong_at_rest(stored)]
        assert not wrong, "\n".join(wrong)

    def _note_intents(self) -> None:
        stored = Stored.read(self.database)
        where = {run: row.conversation for row in stored.messages.values() for run in row.runs}
        for call in self.calls:
            self._fact(call).alone |= where.get(call.run_id) in self.deleted
        still = []
        for task, then, ends, first in self.open:
            if ends is not None:
                for call in self.calls[first:]:
                    if where.get(call.run_id) == ends:
                        self._may_end("stopped", call.run_id)
                for run in stored.streaming | (where.keys() - {call.run_id for call in self.calls}):
                    if where[run] == ends:  # it was stopped before it came to the model
                        self._may_end("stopped", run)
            if not task.done():
                still.append((task, then, ends, first))
                continue
            if not task.cancelled() and task.exception() and not isinstance(task.exception(), PanelistError):
                task.result()
            then(task)
        self.open = still
        if not still:
            self.deleted = [id for id in self.deleted if id not in stored.heads]

    # What has to be true

    def _check_stored(self) -> Stored:
        stored = Stored.read(self.database)
        wrong = [
            *stored.torn(),
            *self._wrong_questions(stored),
            *self._wrong_answers(stored),
            *self._wrong_order(stored),
        ]
        wrong += self.loop.unforeseen + self.errors
        assert not wrong, "\n".join(wrong)
        self.seen, self.queues = stored.messages, stored.queues
        return stored

    def _wrong_questions(self, stored: Stored) -> Iterator[str]:
        texts = [row.text for row in stored.messages.values() if row.role == "user"]
        texts += [text for queue in stored.queues.values() for _, text in queue]
        for asked in self.asked:
            if texts.count(asked.text) not in asked.places:
                yield f"{asked} is stored {texts.count(asked.text)} times"
        if unknown := set(texts) - {asked.text for asked in self.asked}:
            yield f"nobody asked {unknown}"
        for id, row in self.seen.items():
            now = stored.messages.get(id)
            if now is None or (now.seq, now.parent, now.conversation) != (row.seq, row.parent, row.conversation):
                yield f"{row} became {now}"
            elif not (now.text + now.pending).startswith(row.text + row.pending):
                yield f"of {row.text + row.pending!r} is left {now.text + now.pending!r}"
            elif row.status != "streaming" and now.runs == row.runs and now.status != row.status:
                yield f"{row} became {now.status}"

    def _wrong_order(self, stored: Stored) -> Iterator[str]:
        """Yield which messages that waited overtook others."""
        for where, queue in self.queues.items():
            left = [id for id, _ in stored.queues.get(where, [])]
            stayed = [id for id, _ in queue if id in left]
            if left[: len(stayed)] != stayed:
                yield f"{queue} became {left}"
            sent = [
                (stored.messages[id].seq, number, text)
                for number, (id, text) in enumerate(queue)
                if id in stored.messages
            ]
            by_turn = [one for one in sent if not self._asked_as(one[2]).hurried]
            if by_turn != sorted(by_turn) or any(stayed and id in stayed for _, n, _ in by_turn for id, _ in queue[:n]):
                yield f"{sent} were sent out of turn, {left} wait"

    def _wrong_answers(self, stored: Stored) -> Iterator[str]:
        calls = {call.run_id: call for call in self.calls}
        for row in stored.messages.values():
            if row.role == "user":
                continue
            text = row.text + row.pending
            for run in row.runs:
                call = calls.get(run)
                words = 0
                while call and words < len(call.said) and text.startswith(call.said[words]):
                    text = text.removeprefix(call.said[words])
                    words += 1
                if call and words < self._fact(call).kept:
                    yield f"{row} has lost words of {call}"
            if text:
                yield f"{row} holds {text!r}, which nobody said there"
            if row.status != "streaming":
                last = calls.get(row.runs[-1])
                may = set(self.facts.setdefault(row.runs[-1], Facts()).ended_otherwise)
                if last is not None and last.ending is not None:
                    may.add(_end(last))
                if row.status not in may:
                    yield f"{row} should be {may}, {last}"
                if row.status == "complete" and not (last and row.text.endswith("".join(last.said))):
                    yield f"{row} looks complete, {last}"

    def _wrong_at_rest(self, stored: Stored) -> Iterator[str]:
        live = {call.run_id: call for call in self.calls if not call.over}
        if stored.streaming != set(live):
            yield f"in storage {stored.streaming} are being written, and in truth {live}"
        for where in stored.heads:
            rows = {row.runs[-1]: row for row in stored.messages.values() if row.conversation == where and row.runs}
            call = next((call for call in reversed(self.calls) if call.run_id in rows), None)
            status = rows[call.run_id].status if call else ""
            if stored.queues.get(where) and status in ENDED_BY_MODEL and call and not self._fact(call).alone:
                yield f"{stored.queues[where]} wait for nothing"
        for page in self.tabs:
            yield from self._wrong_on_page(page, stored, live)

    def _wrong_on_page(self, page: Page, stored: Stored, live: dict[str, Call]) -> Iterator[str]:
        state = page.state
        listed = [conversation.id for conversation in state.catalogue.conversations]
        if listed != list(stored.heads):
            yield f"the list shows {listed}, stored are {list(stored.heads)}"
        here = state.conversation.id if state.conversation else None
        if here is None:
            if state.path or state.run_id or state.waiting.messages:
                yield f"a new conversation shows {state.path}, {state.run_id}, {state.waiting}"
            return
        if here not in stored.heads:
            return  # it was deleted in another tab
        path = stored.path(here)
        writing = path[-1].runs[-1] if path[-1].status == "streaming" else None
        shown = [(m.id, m.role, m.status, m.text) for m in state.path]
        if shown != (held := [(row.id, row.role, row.status, row.text) for row in path]):
            yield f"{shown} is shown, stored is {held}"
        if state.run_id != writing or bool(state.activity) != bool(writing):
            yield f"{state.run_id} is followed, {state.activity!r}, and {writing} is being written"
        said = "".join(live[writing].said) if writing in live else ""
        if writing and (page.live, path[-1].pending) != (path[-1].text + said, said):
            yield f"{page.live!r} is shown and {path[-1].pending!r} written down of {path[-1].text!r} and {said!r}"
        siblings = {row.id: stored.siblings(row) for row in path}
        if {id: v.ids for id, v in state.versions.items()} != {id: ids for id, ids in siblings.items() if len(ids) > 1}:
            yield f"versions {state.versions} are shown, stored are {siblings}"
        queue = stored.queues.get(here, [])
        if [(q.id, q.text) for q in state.waiting.messages] != queue:
            yield f"{state.waiting} is shown, {queue} wait"
        busy = any(row.conversation == here and row.status == "streaming" for row in stored.messages.values())
        if state.waiting.held != (bool(queue) and not busy):
            yield f"{state.waiting} is shown while {'an answer is' if busy else 'nothing is'} being written"
        if state.trouble != self.process.app.chat.trouble:
            yield f"{state.trouble!r} is shown"


def _end(call: Call) -> str:
    """Return how an answer ends that the model ends."""
    match call.ending:
        case "stop":
            return "complete" if call.said else "failed"
        case "length":
            return "truncated"
        case _:
            return "interrupted" if call.said else "failed"


class _Errors(logging.Handler):
    """Keeps what went wrong without anybody having foreseen it."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.ERROR)
        self.found = found

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if "unforeseen" in record.getMessage() or (error is not None and not isinstance(error, PanelistError)):
            self.found.append(f"{record.getMessage()}: {error!r}")


FORM = settings(
    max_examples=400 if LONG else 40,
    stateful_step_count=60 if LONG else 25,
    derandomize=not LONG,
    database=None,
    deadline=None,
    print_blob=LONG,
    suppress_health_check=list(HealthCheck),
)


def test_nothing_is_ever_lost(tmp_path_factory: pytest.TempPathFactory) -> None:
    errors: list[str] = []
    handler = _Errors(errors)
    logging.getLogger().addHandler(handler)

    def one() -> Machine:
        errors.clear()
        return Machine(tmp_path_factory.mktemp("life"), errors)

    try:
        run_state_machine_as_test(one, settings=FORM)
    finally:
        logging.getLogger().removeHandler(handler)
