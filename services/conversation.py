"""A conversation is a tree of messages with a head; these are its values and pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import Match, SequenceMatcher
from itertools import zip_longest
from typing import Literal

from services.errors import Failure, InputError
from services.events import FinishReason, Numbered
from services.messages import AttachmentPart, Message, MessageStatus, Role
from services.options import Options
from services.parameters import PARAMETERS, in_words, value_of
from services.probabilities import Token
from services.recipes import Recipe
from services.usage import Usage

TitleSource = Literal["question", "model", "user"]
"""Who wrote a conversation's title. What a person wrote is never overwritten."""

MAX_TITLE = 120
"""Characters of a title; longer ones are cut when they are set."""

TEMPORARY = "temporary:"
"""How the id of a conversation begins that is never stored; no id that is stored has a colon."""

TRASH = timedelta(days=30)
"""For which a deleted conversation can be restored."""

_TITLE_CHARS = 4_000
"""Characters of a question that are looked at for a title: to go through two million took 80 ms."""


_MOST_COMPARED = 400_000
"""Characters of two texts, without the lines that both begin and end with, whose lines and words are compared: beyond
that, taking them apart would hold up everything else."""

_MOST_STEPS = 2_000_000
"""Pairs of like lines or words that one comparison looks at: some tenths of a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    id: str
    title: str
    title_source: TitleSource
    head_id: str | None
    """The leaf on show; None while the conversation is empty."""
    options: Options
    created_at: datetime
    updated_at: datetime
    folder_id: str | None = None
    pinned_at: datetime | None = None
    archived_at: datetime | None = None
    tags: tuple[str, ...] = ()
    """In order, each as `services.folders.clean_tag` makes it."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """A conversation in the trash."""

    conversation: Conversation
    at: datetime
    """When it was deleted."""

    @property
    def until(self) -> datetime:
        """When it is erased."""
        return self.at + TRASH


@dataclass(frozen=True, slots=True)
class Draft:
    """What a person wants to say: a text, which may be empty beside attachments."""

    text: str
    attachments: tuple[AttachmentPart, ...] = ()

    @property
    def subject(self) -> str:
        """What a title is made of."""
        return self.text if self.text.strip() else ", ".join(part.name for part in self.attachments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A message that waits for the answer before it. When its turn comes it is sent under the same id."""

    id: str
    text: str
    created_at: datetime
    attachments: tuple[AttachmentPart, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What is kept of a run beside its answer: who answered, how it ended, how long it took."""

    id: str
    conversation_id: str
    message_id: str
    status: MessageStatus
    endpoint: str | None
    model: str | None
    started_at: datetime
    finished_at: datetime | None
    first_token_s: float | None
    """Seconds until the first text; None if none came."""
    total_s: float | None
    """None also for a run that Panelist did not see end."""
    finish_reason: FinishReason | None
    response_id: str | None
    request_id: str | None
    usage: Usage | None
    failure: Failure | None
    probabilities: tuple[Token, ...] = ()
    """How likely the model held the pieces of what it wrote; none where that was not asked for, or not told."""


@dataclass(frozen=True, slots=True)
class Wrote:
    """A run, and what it told beside the text that it wrote."""

    run: RunRecord
    events: tuple[Numbered, ...]
    recipe: Recipe | None = None
    """None where that was not kept: by an earlier version, or because nothing was asked."""


@dataclass(frozen=True, slots=True)
class Written:
    """An answer, and how it was written."""

    message: Message
    runs: tuple[Wrote, ...]
    """In the order in which they began; none where it was written elsewhere."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A conversation with all its branches: what goes out and comes in as one."""

    conversation: Conversation
    messages: tuple[Message, ...]
    """In order of creation, so a parent comes before its children and the eldest sibling first."""
    runs: tuple[RunRecord, ...] = ()
    """Those that wrote its answers, in the order in which they began."""
    queue: tuple[Queued, ...] = ()
    """The messages that wait, the next one first."""
    folder: tuple[str, ...] = ()
    """Names of the folder that it is in and of those around that, the outermost first."""

    @property
    def attachments(self) -> tuple[AttachmentPart, ...]:
        """All files of its messages, those that wait among them."""
        held = [*(message.attachments for message in self.messages), *(queued.attachments for queued in self.queue)]
        return tuple(part for some in held for part in some)

    @property
    def ids(self) -> tuple[str, ...]:
        """Of all that is in it."""
        return (
            *(message.id for message in self.messages),
            *(run.id for run in self.runs),
            *(queued.id for queued in self.queue),
        )

    @property
    def path(self) -> tuple[Message, ...]:
        """The messages on show, from the root to the head."""
        by_id = {message.id: message for message in self.messages}
        parents = {message.id: message.parent_id for message in self.messages}
        return tuple(by_id[id] for id in path_to(parents, self.conversation.head_id))


@dataclass(frozen=True, slots=True)
class Versions:
    """Where a message stands among its siblings: `index` counts from 0, in order of creation."""

    index: int
    ids: tuple[str, ...]

    @property
    def previous(self) -> str | None:
        return self.ids[self.index - 1] if self.index > 0 else None

    @property
    def next(self) -> str | None:
        return self.ids[self.index + 1] if self.index + 1 < len(self.ids) else None


BEGINNING = 80
"""Characters of a message that a map shows of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A message as the map of its conversation shows it: where it hangs and who wrote it, not what it says."""

    id: str
    parent_id: str | None
    role: Role
    status: MessageStatus
    endpoint: str | None
    model: str | None
    created_at: datetime
    beginning: str
    """Of its text, or of the name of its first file, on one line of at most `BEGINNING` characters."""
    picked_from: str | None


@dataclass(frozen=True, slots=True)
class Outline:
    """All messages of a conversation as nodes: enough to draw it."""

    conversation: Conversation
    nodes: tuple[Node, ...]
    """In order of creation, so a parent comes before its children and the eldest sibling first."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """A message that was taken out of the tree with all below it, and what is needed to put it back."""

    conversation_id: str
    message_id: str
    count: int
    """How many messages went; 0 when they had gone before."""
    head_id: str | None = None
    """The head until then, where that is among them."""
    moved_to: str | None = None
    """The head since then, where it had to move."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A message that was pruned and can be brought back, with all that went with it."""

    node: Node
    count: int
    """How many messages went, itself included."""
    at: datetime
    """When they went."""

    @property
    def until(self) -> datetime:
        """When they are erased."""
        return self.at + TRASH


Parents = Mapping[str, str | None]
"""The messages of a tree by id, and what each one follows. Several may follow nothing: versions of the beginning."""


def path_to(parents: Parents, id: str | None) -> tuple[str, ...]:
    """Return the ids from the root to a message; links that run in a circle end it."""
    found: dict[str, None] = {}
    while id is not None and id in parents and id not in found:
        found[id] = None
        id = parents[id]
    return tuple(reversed(found))


def told_from(path: Sequence[Message]) -> int:
    """Return the place of the first message of a path that a model is told; before it stands one with a memory, if any.

    A memory counts from the next question on: an answer is never told without what it answers.
    """
    asked = max((place for place, message in enumerate(path) if message.role == "user"), default=0)
    places = (place for place in range(asked, 0, -1) if path[place].role == "user")
    return next((place for place in places if path[place - 1].memory is not None), 0)


def remembers_from(path: Sequence[Message]) -> Message | None:
    """Return the message behind which a model's memory begins when the next question is asked, if it does."""
    for place in range(len(path) - 1, -1, -1):
        following = path[place + 1] if place + 1 < len(path) else None
        if path[place].memory is not None and (following is None or following.role == "user"):
            return path[place]
    return None


def siblings(parents: Parents, id: str) -> Versions:
    """Return a message's place among those that follow the same message, in the order of the mapping."""
    ids = tuple(other for other, parent_id in parents.items() if parent_id == parents[id])
    return Versions(ids.index(id), ids)


def below(parents: Parents, id: str) -> tuple[str, ...]:
    """Return a message and all that follow it, in the order of the mapping, in which a parent comes first."""
    found = {id}
    for other, parent_id in parents.items():
        if parent_id in found:
            found.add(other)
    return tuple(other for other in parents if other in found)


def newest_leaf(parents: Parents, id: str | None) -> str | None:
    """Return the leaf that is reached from a message, with None from the beginning, by always the newest child."""
    newest = {parent_id: other for other, parent_id in parents.items()}
    while id in newest:
        id = newest[id]
    return id


def fork_point(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many messages two paths have in common; the last of these is their common ancestor."""
    return next((n for n, ids in enumerate(zip_longest(one, other)) if ids[0] != ids[1]), len(one))


def check_follows(role: Role, end: Role) -> None:
    """Raise InputError unless a message of one role can be put behind one of another role."""
    if role == end == "user":
        raise InputError("A question goes behind an answer, and this branch ends with a question. Show another branch.")
    if role == end:
        raise InputError("An answer goes behind a question, and this branch ends with an answer. Show another branch.")


@dataclass(frozen=True, slots=True)
class Branches:
    """Two branches, from where they part."""

    common_id: str | None
    """The last message that they share; None where they differ from the beginning."""
    pairs: tuple[tuple[Message | None, Message | None], ...]
    """The messages of both, step by step; None where one branch has ended."""
    left_out: int = 0
    """Pairs after these."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An option that two messages were not written with alike, in words; None where it was unset."""

    option: str
    before: str | None
    after: str | None


def differences(one: Message, other: Message) -> tuple[Difference, ...]:
    """Return what differs in the options that two messages were written with."""
    named = (Difference("model", one.model, other.model), Difference("endpoint", one.endpoint, other.endpoint))
    before, after = one.options or Options(), other.options or Options()
    return (
        *(each for each in named if each.before != each.after),
        *(
            Difference(parameter.label, in_words(before, parameter), in_words(after, parameter))
            for parameter in PARAMETERS
            if value_of(before, parameter) != value_of(after, parameter)
        ),
    )


def is_temporary(conversation_id: str) -> bool:
    """Whether a conversation of that id is one that is never stored."""
    return conversation_id.startswith(TEMPORARY)


def title_from(question: str) -> str:
    """Return a title made from the first question: its first line with words, at most 60 characters."""
    question = question[:_TITLE_CHARS]
    line = next((line for line in map(str.strip, question.splitlines()) if re.search(r"\w", line)), "")
    line = re.sub(r"^[#>*\-\s`]+", "", line) or question.strip()
    line = re.sub(r"\s+", " ", line)
    if len(line) > 60:
        line = line[:60].rsplit(" ", 1)[0].rstrip(" ,;:.-") + "…"
    return line or "New chat"


@dataclass(frozen=True, slots=True)
class Change:
    """A stretch of text that two versions have in common, or that one of them has."""

    kind: Literal["same", "removed", "added"]
    text: str


@dataclass(slots=True)
class Budget:
    """How many pairs of like lines or words may still be looked at."""

    steps: int = _MOST_STEPS


def compare(before: str, after: str, budget: Budget | None = None) -> tuple[Change, ...]:
    """Return what became of a text, word by word.

    The stretches that are not *added* make up `before`, those that are not *removed* make up `after`. Lines are
    compared first, and the words of those that changed, in Ratcliff and Obershelp's way
    (https://docs.python.org/3/library/difflib.html). That may take as long as one text times the other, twice over; so
    all of it has one budget, which several comparisons may share, and what is left when that is spent is compared as a
    whole.
    """
    found: list[Change] = []
    for change in _changes(before, after, budget or Budget()):
        if found and found[-1].kind == change.kind:
            found[-1] = Change(change.kind, found[-1].text + change.text)
        elif change.text:
            found.append(change)
    return tuple(found)


class _Matcher(SequenceMatcher[str]):
    """Looks for what two sequences have in common until a budget, which several may share, is spent."""

    a: Sequence[str]
    b2j: dict[str, list[int]]
    """Where in the new sequence a line or word is."""

    def __init__(self, old: Sequence[str], new: Sequence[str], budget: Budget, *, autojunk: bool = False) -> None:
        self._budget = budget
        super().__init__(None, old, new, autojunk)

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        steps = sum(1 + len(self.b2j.get(one, ())) for one in self.a[alo:ahi])
        if steps > self._budget.steps:
            return Match(alo, blo, 0)
        self._budget.steps -= steps
        return super().find_longest_match(alo, ahi, blo, bhi)


def _changes(before: str, after: str, budget: Budget) -> Iterator[Change]:
    head = before.rfind("\n", 0, _alike(before, after)) + 1
    old, new = before[head:], after[head:]
    ends = len(old) - _alike(old[::-1], new[::-1])
    line = old.find("\n", ends) + 1
    tail = old[line:] if line else ""
    old, new = old[: len(old) - len(tail)], new[: len(new) - len(tail)]
    yield Change("same", before[:head])
    if len(old) + len(new) > _MOST_COMPARED:
        yield from _replaced(old, new)
    else:
        yield from _by_line(old, new, budget)
    yield Change("same", tail)


def _alike(one: str, other: str) -> int:
    """Return how many characters both texts begin with."""
    alike, most = 0, min(len(one), len(other))
    while alike < most:
        middle = (alike + most + 1) // 2
        if one[alike:middle] == other[alike:middle]:
            alike = middle
        else:
            most = middle - 1
    return alike


def _by_line(before: str, after: str, budget: Budget) -> Iterator[Change]:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    matcher = _Matcher(old, new, budget, autojunk=len(old) * len(new) > _MOST_STEPS)
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        was, now = "".join(old[i1:i2]), "".join(new[j1:j2])
        if kind == "equal":
            yield Change("same", was)
        elif kind == "replace":
            yield from _by_word(was, now, budget)
        else:
            yield from _replaced(was, now)


def _by_word(was: str, now: str, budget: Budget) -> Iterator[Change]:
    old, new = (re.findall(r"\w+\s*|[^\w\s]\s*|\s+", text) for text in (was, now))
    for kind, i1, i2, j1, j2 in _Matcher(old, new, budget).get_opcodes():
        if kind == "equal":
            yield Change("same", "".join(old[i1:i2]))
        else:
            yield from _replaced("".join(old[i1:i2]), "".join(new[j1:j2]))


def _replaced(was: str, now: str) -> Iterator[Change]:
    yield Change("removed", was)
    yield Change("added", now)
