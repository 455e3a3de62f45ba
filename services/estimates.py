"""How many tokens a request would have, what fills it, and where a conversation could begin to fit. Pure functions.

Counted with the vocabulary of OpenAI's models. What an endpoint itself said of earlier requests is the truth: by it the
count is put right for models that have another vocabulary (`factor_of`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from threading import Lock

from services import tokens
from services.attachments import not_shown, pictured
from services.context import told
from services.conversation import told_from
from services.measures import size_of as size_of_parts
from services.messages import AttachmentPart, ErrorPart, Message, TextPart

AROUND = 4
"""Tokens around each message, its role among them
(https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb)."""

_FRAME = 200
"""More tokens than stand around a message, or around a file in one."""

_ANSWER = 3
"""With which the answer begins, from the same source."""

_LEAST_ROOM = 1_000
"""Tokens that are left for an answer whose length nobody set; of a small window a twentieth."""

_FEW = 60
"""Tokens below which what an endpoint reports says more of its template than of its vocabulary."""

_LOOKED_AT = 3
"""Answers whose reports are compared: one that was gone on with reports several requests as one."""

_BOUNDS = (0.3, 8.0)

_MOST_KEPT = 20_000
"""Texts whose count is remembered, of 200 bytes each."""

FileTokens = Callable[[AttachmentPart], int]
"""Returns the tokens of a picture, or of a text file as it is quoted."""


class Counts:
    """Counts of texts that were counted before: a history is not counted again with each key that is pressed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[tuple[str, int, int], int] = OrderedDict()

    def of(self, text: str, kind: str = "text") -> int:
        """Return how many tokens a text has."""
        key = kind, len(text), hash(text)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        return self.keep(key, tokens.count(text))

    def file(self, sha256: str) -> int | None:
        """Return the tokens of a file that were kept under its hash."""
        with self._lock:
            return self._kept.get(("file", 0, hash(sha256)))

    def keep_file(self, sha256: str, counted: int) -> int:
        """Keep the tokens of a file."""
        return self.keep(("file", 0, hash(sha256)), counted)

    def keep(self, key: tuple[str, int, int], counted: int) -> int:
        with self._lock:
            self._kept[key] = counted
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return counted


@dataclass(frozen=True, slots=True)
class Size:
    """Tokens of a message: those of its words and what is around them, and those of its attachments."""

    text: int
    files: int

    @property
    def total(self) -> int:
        return self.text + self.files


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """About how many tokens the next request has, by what fills it, and what it costs to send."""

    model: str | None
    system: int
    history: int
    attachments: int
    """Of the question and of what goes before it."""
    question: int
    room: int
    """For the answer: its length where that is set, else what it should have at least."""
    window: int | None
    """Tokens that the model takes, question and answer together; None where nobody knows."""
    price: int | None
    """Nanodollars; None where nobody knows."""
    factor: float = 1.0
    """Tokens of the model for one that was counted."""

    @property
    def total(self) -> int:
        """Tokens that are sent."""
        return self.system + self.history + self.attachments + self.question

    @property
    def over(self) -> bool:
        """Whether it is more than the model takes, as far as that is known."""
        return self.window is not None and self.total + self.room > self.window


@dataclass(frozen=True, slots=True)
class Shortening:
    """Where a conversation can be cut so that what follows is not too long."""

    message_id: str
    """The last message that is left out."""
    left_out: int
    """How many messages are, of those that would be told otherwise."""


def size_of(message: Message, counts: Counts, file_tokens: FileTokens, *, images: bool = True) -> Size:
    """Return the tokens of a message as a model is told it; none where an answer has no words."""
    if not message.parts or (message.role == "assistant" and not message.text.strip()):
        return Size(0, 0)
    text, files = AROUND, 0
    for part in message.parts:
        match part:
            case TextPart(text=said):
                text += counts.of(said)
            case AttachmentPart(is_image=True) if images:
                files += file_tokens(part) + counts.of(pictured(part))
            case AttachmentPart(is_image=True):
                files += counts.of(not_shown(part))
            case AttachmentPart():
                files += file_tokens(part)
            case _:
                pass  # which no model is told in words
    return Size(text, files)


def about_most(path: Sequence[Message], system_prompt: str | None, picture_tokens: FileTokens) -> int:
    """Return more tokens than a path can have, quickly: no token is shorter than a byte."""
    size = len((system_prompt or "").encode("utf-8", "replace"))
    for message in path:
        size += _FRAME + size_of_parts(message.parts)
        for part in message.attachments:
            size += (
                _FRAME
                + len(part.name.encode("utf-8", "replace"))
                + (picture_tokens(part) if part.is_image else part.size)
            )
    return size


def sizes_of(path: Sequence[Message], counts: Counts, file_tokens: FileTokens, *, images: bool = True) -> list[Size]:
    """Return the sizes of the messages of a path."""
    return [size_of(message, counts, file_tokens, images=images) for message in path]


def room_in(window: int | None, wanted: int | None) -> int:
    """Return how many tokens are to be left for the answer."""
    return wanted or (0 if window is None else min(_LEAST_ROOM, window // 20))


def estimate(
    path: Sequence[Message],
    sizes: Sequence[Size],
    *,
    model: str | None,
    system: int,
    window: int | None,
    wanted: int | None,
    factor: float,
) -> Estimate:
    """Return the estimate of a request, without its price.

    Args:
        path: What is told, the question last.
        sizes: Of each of it.
        model: Which one is asked.
        system: Tokens of the system prompt.
        window: Tokens that the model takes.
        wanted: The length of the answer, where that is set.
        factor: Tokens of the model for one that was counted.
    """

    def right(counted: int) -> int:
        return round(counted * factor)

    return Estimate(
        model=model,
        system=right(system + AROUND) if system else 0,
        history=right(sum(size.text for size in sizes[:-1]) + _ANSWER),
        attachments=right(sum(size.files for size in sizes)),
        question=right(sizes[-1].text if path else 0),
        room=room_in(window, wanted),
        window=window,
        price=None,
        factor=factor,
    )


def factor_of(
    path: Sequence[Message],
    sizes: Sequence[Size],
    *,
    endpoint: str,
    model: str | None,
    system: int,
) -> float | None:
    """Return how many tokens of a model one that was counted is, by what its endpoint said of the last answers.

    The smallest of them: an answer that was gone on with reports all its requests together. None where nothing is
    known: where only little was asked, pictures were sent, or the model was told something else than now.
    """
    before = list(accumulate((size.total for size in sizes), initial=_ANSWER + (system + AROUND if system else 0)))
    first = told_from(path)
    memory = path[first - 1].memory if first else None
    found: list[float] = []
    pictures = [place for place, message in enumerate(path) if any(part.is_image for part in message.attachments)]
    for place in range(len(path) - 1, first, -1):
        message = path[place]
        asked = {message.model, message.options.model if message.options else None}
        actual = _reported(message)
        counted = before[place] - before[first] + before[0]
        if actual is None or message.endpoint != endpoint or model not in asked or counted < _FEW:
            continue
        if (memory is not None and message.created_at < memory.at) or any(first <= one < place for one in pictures):
            continue
        found.append(actual / counted)
        if len(found) == _LOOKED_AT:
            break
    return within_bounds(min(found)) if found else None


def within_bounds(factor: float) -> float:
    """Return a factor that can be one."""
    return min(max(factor, _BOUNDS[0]), _BOUNDS[1])


def _reported(message: Message) -> int | None:
    """Return how many tokens the request had that an answer came to, as its endpoint said."""
    if message.role != "assistant":
        return None
    if message.status in {"complete", "truncated"} and message.usage is not None and message.usage.input > 0:
        return message.usage.input
    return next((part.failure.tokens for part in message.parts if isinstance(part, ErrorPart)), None)


def shortening(
    path: Sequence[Message], sizes: Sequence[Size], *, fixed: int, most: int, aim: int, wholly: bool = False
) -> Shortening | None:
    """Return where to cut a path, question last, so that what follows fits, with some room for what comes after.

    It is cut before a question, behind a finished message, no later than that takes. None where nothing can be left
    out, or that is not enough.

    Args:
        path: All messages, also those that are told no more; the question may be one that is not stored yet.
        sizes: Of each.
        fixed: Tokens that are sent whatever is left out.
        most: Tokens that are taken.
        aim: Tokens that leave some room.
        wholly: Whether all but the last question may be left out for that.
    """
    first = told_from(path)
    places = [
        place
        for place in range(first + 1, len(path))
        if path[place].role == "user" and path[place - 1].status not in {"streaming", "awaiting_approval"}
    ]
    after = {place: fixed + sum(size.total for size in sizes[place:]) for place in places}
    fits = [place for place in places if after[place] <= most]
    if not fits:
        return None
    last, otherwise = (len(path), fits[-1]) if wholly else (len(path) - 1, fits[0])
    place = next((place for place in fits if after[place] <= aim and place < last), otherwise)
    return Shortening(path[place - 1].id, place - first)


def with_summary(path: Sequence[Message]) -> list[Message]:
    """Return all messages of a path, the first that is told with the summary of what is before it."""
    first = told_from(path)
    return [*path[:first], *told(path)]
