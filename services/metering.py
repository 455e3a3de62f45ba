"""Measures requests to models while they are made."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from services.endpoints import Endpoint
from services.events import Reply, RetryScheduled, RunEvent, StepStarted, is_delta
from services.measures import Measured, RequestKind, about, size_of
from services.messages import AttachmentPart, Message, new_id
from services.observing import Observed
from services.pictures import tokens_of
from services.prices import in_list, price_of
from services.providers.base import ModelRequest
from services.usage import Usage

log = logging.getLogger(__name__)

_FRAME = 24
"""Bytes of what stands around each message."""


class Meter:
    """Watches the events of one request, and says at its end what is kept of it."""

    def __init__(
        self,
        kind: RequestKind,
        conversation_id: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.first_token_s: float | None = None
        self._kind: RequestKind = kind
        self._conversation_id = conversation_id
        self._clock = clock
        self._at = datetime.now(UTC)
        self._began = clock()
        self._endpoint: Endpoint | None = None
        self._model = ""
        self._tier: str | None = None
        self._sent = 0
        self._queue_s: float | None = None
        self._retries = 0

    def sends(self, request: ModelRequest) -> None:
        """Take in what is about to be sent; of its content only how much it is."""
        self._endpoint, self._model, self._tier = request.endpoint, request.model, request.options.service_tier
        self._sent = input_tokens(request)

    def note(self, event: RunEvent) -> None:
        """Take an event in, as it comes."""
        if self.first_token_s is None and is_delta(event):
            self.first_token_s = self.elapsed_s
        elif isinstance(event, StepStarted) and self._queue_s is None:
            self._queue_s = self.elapsed_s
        elif isinstance(event, RetryScheduled):
            self._retries += 1

    def observed(self, owner: str, measured: Measured) -> Observed:
        """Return what those are told who watch requests."""
        return Observed(owner=owner, measured=measured, endpoint=self._endpoint, asked_model=self._model)

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self._began

    @property
    def is_quick(self) -> bool:
        """Whether `measured` reads nothing."""
        return self._endpoint is None or not in_list(self._endpoint)

    def measured(self, reply: Reply, total_s: float) -> Measured | None:
        """Return what is kept, or None when nothing was sent.

        Reads the price list where that is not loaded; see `services.prices.load`.
        """
        if self._endpoint is None or self._queue_s is None:
            return None
        return Measured(
            id=new_id(),
            at=self._at,
            endpoint=self._endpoint.name,
            model=reply.model or self._model,
            kind=self._kind,
            status=reply.status,
            error=reply.failure.kind if reply.failure is not None else None,
            usage=reply.usage,
            price=self._price(reply),
            queue_s=self._queue_s,
            first_token_s=self.first_token_s,
            total_s=total_s,
            retries=self._retries,
            conversation_id=self._conversation_id,
        )

    def _price(self, reply: Reply) -> int | None:
        assert self._endpoint is not None
        if reply.usage is not None:
            used = reply.usage
        elif reply.status == "failed" and self.first_token_s is None:
            return 0  # refused, or never reached: nobody bills that
        else:
            used = Usage(input=self._sent, output=about(size_of(reply.parts)))
        return price_of(used, self._endpoint, reply.model, self._model, at=self._at, service_tier=self._tier)


def input_tokens(request: ModelRequest) -> int:
    """Return about how many tokens a request sends, rather too many than too few."""

    def picture_tokens(part: AttachmentPart) -> int:
        return tokens_of(request.model, request.picture_sizes.get(part.sha256))

    return about_input(request.messages, request.system_prompt, picture_tokens)


def about_input(
    sent: Iterable[Message], system_prompt: str | None, picture_tokens: Callable[[AttachmentPart], int]
) -> int:
    """Return about how many tokens messages are to a model, rather too many than too few."""
    size, pictures = len((system_prompt or "").encode("utf-8", "replace")), 0
    for message in sent:
        size += _FRAME + size_of(message.parts) + sum(file.size for file in message.attachments if not file.is_image)
        pictures += sum(picture_tokens(file) for file in message.attachments if file.is_image)
    return about(size) + pictures


async def measured_by(meter: Meter, reply: Reply, total_s: float) -> Measured | None:
    """Return what a meter has of a request whose end is in `reply`, or None when nothing was sent."""
    try:
        if meter.is_quick:
            return meter.measured(reply, total_s)
        return await asyncio.to_thread(meter.measured, reply, total_s)  # the first time it reads the price list
    except Exception:  # whatever it is, an answer is worth more than its measures
        log.exception("a request could not be measured")
        return None
