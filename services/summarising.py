"""Has a model write a summary of the beginning of a conversation, in as many requests as that takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from services.asides import Asides
from services.context import told
from services.conversation import is_temporary
from services.errors import Failure, InputError, ModelError
from services.estimates import Shortening
from services.events import RunFinished, TextDelta
from services.loop import Deadlines
from services.providers.base import ModelRequest
from services.summaries import MOST_CHARS, SUMMARY_TOKENS, portions, summary_request, transcript_of, words_for
from services.weighing import Weighed, Weighing

_HALVINGS = 3
"""Times that a beginning is cut in half which is too long to be summarised at once."""

_PORTION = 75
"""Percent of what a model takes that is summarised at a time: a summary of what is before it goes with it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a summary has come."""

    messages: int
    """That it is of."""
    part: int
    """The request that is being answered, counted from 1."""
    of: int
    words: int
    """That this one has come to."""


Tell = Callable[[Progress], None]


class Summarising:
    """Asks for summaries."""

    def __init__(self, weighing: Weighing, asides: Asides, deadlines: Deadlines) -> None:
        self._weighing = weighing
        self._asides = asides
        self._deadlines = deadlines

    async def summary(self, owner: str, weighed: Weighed, where: Shortening, tell: Tell) -> str:
        """Return a summary of what is told of the messages that are left out.

        Raises:
            InputError: no model is chosen.
            ModelError: it wrote none, and why.
        """
        if weighed.model is None:
            raise InputError("Choose a model first: the summary is written by the one that answers.")
        path = told(weighed.path)[: where.left_out]
        files: dict[str, bytes] = {}
        for part in (part for message in path for part in message.attachments if not part.is_image):
            if part.sha256 not in files and (data := await self._weighing.file(owner, part)) is not None:
                files[part.sha256] = data
        texts = await asyncio.to_thread(lambda: [transcript_of(message, files) for message in path])
        most = max(200, weighed.most * _PORTION // 100)
        for halving in range(_HALVINGS + 1):
            try:
                return await self._written(owner, weighed, texts, most >> halving, where.left_out, tell)
            except ModelError as error:
                if error.failure.kind != "too_long" or halving == _HALVINGS:
                    raise
        raise AssertionError("the last try returns or raises")

    async def _written(
        self, owner: str, weighed: Weighed, texts: Sequence[str], most: int, messages: int, tell: Tell
    ) -> str:
        """Return a summary that is made of portions of so many tokens, each with the summary of those before it."""
        count = self._weighing.counts.of
        cut = await asyncio.to_thread(lambda: list(portions(texts, most, count)))
        words = words_for(weighed.most)
        summary: str | None = None
        for part, portion in enumerate(cut, start=1):
            request = summary_request(weighed.endpoint, weighed.model or "", summary, portion, words)
            said = partial(_tell, tell, messages, part, len(cut))
            summary = await self._asked(owner, weighed, request, said)
        if summary is None:
            raise InputError("There are no words in these messages that could be summarised. Leave them out instead.")
        return summary

    async def _asked(self, owner: str, weighed: Weighed, request: ModelRequest, tell: Callable[[int], None]) -> str:
        here = weighed.path[0].conversation_id
        about = None if is_temporary(here) else here
        tell(0)
        text = ""
        end: RunFinished | None = None
        asked = self._asides.ask(owner, "summary", about, request, self._deadlines, most=SUMMARY_TOKENS)
        async with aclosing(asked) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    text += event.text
                    tell(len(text.split()))
                    if len(text) > MOST_CHARS:
                        break
                elif isinstance(event, RunFinished):
                    end = event
        return _checked(text, end)


def _tell(tell: Tell, messages: int, part: int, of: int, words: int) -> None:
    tell(Progress(messages, part, of, words))


def _checked(text: str, end: RunFinished | None) -> str:
    """Return a summary that is one."""
    if end is None:
        raise _no_summary("The model wrote on and on instead of a summary. Leave the oldest messages out instead.")
    if end.failure is not None:
        raise ModelError(end.failure)
    if end.status == "truncated":
        raise _no_summary("The summary reached the model's length limit. Leave the oldest messages out instead.")
    if end.status != "complete" or not text.strip():
        raise _no_summary("The model wrote no summary. Leave the oldest messages out instead.")
    return text.strip()


def _no_summary(message: str) -> ModelError:
    return ModelError(Failure(kind="garbled", message=message, next_step="none"))
