"""Measures what is about to be asked: how many tokens it has, what fills it, what it costs to send."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from services import prices, tokens
from services.attached import AttachedFiles
from services.attachments import quoted, text_of
from services.connect import Connections
from services.context import told
from services.conversation import told_from
from services.endpoints import Endpoint, profile_of
from services.errors import NotFoundError
from services.estimates import (
    Counts,
    Estimate,
    Shortening,
    Size,
    about_most,
    estimate,
    factor_of,
    room_in,
    shortening,
    sizes_of,
    with_summary,
    within_bounds,
)
from services.messages import AttachmentPart, Message, TextPart
from services.options import Options
from services.providers.base import Provider
from services.storage.store import Named, Store
from services.system_prompts import SystemPrompts
from services.usage import Usage
from services.windows import Windows

SAMPLE = 20_000
"""Characters of a conversation's end by which it is found out how a model counts."""

_LEAST_SAMPLE = 40

MOST_FACTORS = 1_000
"""Models of which is remembered how their tokens compare with those that are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What is about to be asked, in a conversation or as the beginning of one."""

    conversation_id: str | None = None
    text: str = ""
    attachments: tuple[Named, ...] = ()
    options: Options = field(default_factory=Options)
    folder_id: str | None = None
    """Of a conversation that is yet to begin."""
    again: str | None = None
    """An answer, or a question, that is to be asked for once more; then there is no other question."""
    instead: str | None = None
    """A question in the place of which this one is asked, with its attachments."""
    go_on: str | None = None
    """An answer that is to be gone on with; then there is no other question, either."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """What is about to be asked, measured."""

    endpoint: Endpoint
    model: str | None
    path: tuple[Message, ...]
    """All messages, the question last."""
    sizes: tuple[Size, ...]
    estimate: Estimate

    @property
    def fixed(self) -> int:
        """Tokens that are sent whatever is left out, as they are counted."""
        first = told_from(self.path)
        return round(self.estimate.total / self.estimate.factor) - sum(size.total for size in self.sizes[first:])

    @property
    def most(self) -> int:
        """Tokens that are taken, as they are counted; of a model of which nobody knows it, half of what was refused."""
        if self.estimate.window is None:
            return round(self.estimate.total / self.estimate.factor) // 2
        return int((self.estimate.window - self.estimate.room) / self.estimate.factor)

    def trim(self) -> Shortening | None:
        """Return where to cut so that it fits."""
        return shortening(self.path, self.sizes, fixed=self.fixed, most=self.most, aim=self.most * 3 // 4)

    def summarise(self) -> Shortening | None:
        """Return where to cut so that it fits together with a summary of what is left out."""
        room = min(1_500, self.most // 8)
        fixed, aim = self.fixed + room, self.most // 2
        return shortening(self.path, self.sizes, fixed=fixed, most=self.most, aim=aim, wholly=True)


class Weighing:
    """Weighs questions; what was counted before is not counted again."""

    def __init__(
        self,
        store: Store,
        connections: Connections,
        windows: Windows,
        prompts: SystemPrompts,
        provider: Provider,
        files: AttachedFiles,
    ) -> None:
        self._store = store
        self._connections = connections
        self._windows = windows
        self._prompts = prompts
        self._provider = provider
        self._files = files
        self.counts = Counts()
        self._factors: dict[tuple[str, str], float] = {}

    async def weigh(self, owner: str, asking: Asking) -> Weighed:
        """Measure a question with all that goes with it; nothing is sent for that.

        The first time it takes half a second longer: that is when it is read what counting needs.

        Raises:
            ModelError: the endpoint is not set up any more.
            NotFoundError: there is no such conversation for this owner.
        """
        endpoint = self._connections.get(asking.options.endpoint)
        model = asking.options.model or self._connections.known_default_model(endpoint.name)
        path, failed, folder_id = await self._path(owner, asking)
        prompt = await self._prompts.of(owner, asking.options, folder_id)
        texts = await self._texts(owner, path)
        await self._files.measure_pictures(owner, path)
        sample = await self._sample(endpoint, model, path)
        return await asyncio.to_thread(self._weighed, endpoint, model, path, failed, prompt, texts, asking, sample)

    async def surely_fits(self, owner: str, asking: Asking) -> bool:
        """Whether a question is so short, or so little known of its model, that nothing needs to be counted.

        No token is shorter than a byte, so what has fewer bytes than the model takes tokens fits.

        Raises:
            PanelistError: as `weigh`.
        """
        endpoint = self._connections.get(asking.options.endpoint)
        model = asking.options.model or self._connections.known_default_model(endpoint.name)
        if model is None:
            return True
        if prices.in_list(endpoint):  # which is read the first time
            window = await asyncio.to_thread(self._windows.of, endpoint, model)
        else:
            window = self._windows.of(endpoint, model)
        if window is None:
            return True
        path, _, folder_id = await self._path(owner, asking)
        prompt = await self._prompts.of(owner, asking.options, folder_id)
        await self._files.measure_pictures(owner, path)
        most = about_most(told(path), prompt, lambda part: self._files.picture_tokens(part, model))
        return most + room_in(window, asking.options.max_output_tokens) <= window

    async def _sample(self, endpoint: Endpoint, model: str | None, path: Sequence[Message]) -> tuple[str, int] | None:
        """Return some of what is told and how many tokens it is to the model, where its server says so at once."""
        if model is None:
            return None
        text = ""
        for message in reversed(told(path)):
            text = f"{message.text[-SAMPLE:]}{text}"[-SAMPLE:]
            if len(text) == SAMPLE:
                break
        counted = await self._provider.count_tokens(endpoint, model, text) if len(text) > _LEAST_SAMPLE else None
        return None if counted is None else (text, counted)

    async def file(self, owner: str, part: AttachmentPart) -> bytes | None:
        """Return what an attached file holds; None where it cannot be read."""
        return await self._files.read(owner, part)

    def _weighed(
        self,
        endpoint: Endpoint,
        model: str | None,
        path: tuple[Message, ...],
        failed: tuple[Message, ...],
        prompt: str | None,
        texts: dict[str, str],
        asking: Asking,
        sample: tuple[str, int] | None,
    ) -> Weighed:
        """Count; in a thread, as it may be much."""

        def file_tokens(part: AttachmentPart) -> int:
            if part.is_image:
                return self._files.picture_tokens(part, model)
            if part.sha256 in texts:
                return self.counts.keep_file(part.sha256, tokens.count(texts.pop(part.sha256)))
            return self.counts.file(part.sha256) or 0

        system = self.counts.of(prompt) if prompt else 0
        images = profile_of(endpoint.profile).images
        *before, question = with_summary(path)
        # The draft is another text with each key that is pressed: its count is not worth keeping.
        sizes = [*sizes_of(before, self.counts, file_tokens, images=images)]
        sizes += sizes_of(
            [question], self.counts if asking.again or asking.go_on else Counts(), file_tokens, images=images
        )
        first = told_from(path)
        if sample is not None:
            factor: float | None = within_bounds(sample[1] / max(1, tokens.count(sample[0])))
        else:
            seen = (*sizes, *(Size(0, 0) for _ in failed))
            factor = factor_of((*path, *failed), seen, endpoint=endpoint.name, model=model, system=system)
        found = estimate(
            told(path),
            sizes[first:],
            model=model,
            system=system,
            window=self._windows.of(endpoint, model) if model else None,
            wanted=asking.options.max_output_tokens,
            factor=1.0 if model is None else self._factor(endpoint, model, factor),
        )
        price = None
        if model is not None or endpoint.is_demo:
            used = Usage(input=found.total)
            tier = asking.options.service_tier
            price = prices.price_of(used, endpoint, model, at=datetime.now(UTC), service_tier=tier)
            if price is not None and asking.again is None:
                price *= asking.options.answers or 1
        return Weighed(endpoint, model, path, tuple(sizes), replace(found, price=price))

    def _factor(self, endpoint: Endpoint, model: str, found: float | None) -> float:
        """Return how many tokens of a model one that is counted is: as was found now, else as it was last."""
        if found is not None:
            if len(self._factors) >= MOST_FACTORS:
                self._factors.clear()
            self._factors[endpoint.name, model] = found
        return self._factors.get((endpoint.name, model), 1.0)

    async def _path(self, owner: str, asking: Asking) -> tuple[tuple[Message, ...], tuple[Message, ...], str | None]:
        """Return all messages with the question last, the answers to it that failed, and the folder they are in."""
        draft = _draft(asking.conversation_id or "", asking.text, await self._attached(owner, asking))
        if asking.conversation_id is None:
            return (draft,), (), asking.folder_id
        conversation = await self._store.conversation(owner, asking.conversation_id)
        path = tuple(await self._store.path(owner, conversation.id, asking.again or asking.instead or asking.go_on))
        if asking.go_on is not None:
            return path, (), conversation.folder_id
        if asking.instead is not None:
            *before, old = path
            return (*before, _draft(conversation.id, asking.text, old.attachments)), (), conversation.folder_id
        if asking.again is None:
            return (*path, draft), (), conversation.folder_id
        asked = 1 + max((place for place, message in enumerate(path) if message.role == "user"), default=-1)
        if not asked:
            raise NotFoundError("This answer follows no question. Ask something first.")
        return path[:asked], path[asked:], conversation.folder_id

    async def _attached(self, owner: str, asking: Asking) -> tuple[AttachmentPart, ...]:
        if not asking.attachments:
            return ()
        try:
            return tuple(await self._store.attachments(owner, asking.attachments))
        except NotFoundError:  # the message will be refused for it
            return ()

    async def _texts(self, owner: str, path: Sequence[Message]) -> dict[str, str]:
        """Return the attached texts that were not counted yet, as they are quoted, by hash."""
        found: dict[str, str] = {}
        for part in (part for message in path for part in message.attachments):
            if part.is_image or part.sha256 in found or self.counts.file(part.sha256) is not None:
                continue
            data = await self._files.read(owner, part)
            if data is not None:
                found[part.sha256] = await asyncio.to_thread(_quoted, part, data)
        return found


def _quoted(part: AttachmentPart, data: bytes) -> str:
    return quoted(part, text_of(part.name, data))


def _draft(conversation_id: str, text: str, attachments: Sequence[AttachmentPart]) -> Message:
    return Message(
        id="",
        conversation_id=conversation_id,
        parent_id=None,
        role="user",
        parts=(*attachments, *([TextPart(text)] if text else [])),
        status="complete",
        created_at=datetime.now(UTC),
    )
