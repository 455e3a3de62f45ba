"""The seam between the run loop and a model: what goes in and what comes out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from services.endpoints import Endpoint
from services.events import RunEvent
from services.keys import Key, Refusals
from services.messages import AttachmentPart, Message, TextPart, clean_text
from services.options import Options

_LARGE = 200_000
"""Characters that a request is large from."""


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in a message."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One model call, before it is put into an endpoint's dialect."""

    endpoint: Endpoint
    model: str
    messages: tuple[Message, ...]
    """The path of the conversation, question last."""
    system_prompt: str | None = None
    options: Options = field(default_factory=Options)
    images: Mapping[str, str] = field(default_factory=dict)
    """Of the pictures in the messages, by hash: `data:` URLs. All other attachments are text by now."""
    picture_sizes: Mapping[str, tuple[int, int] | None] = field(default_factory=dict)
    """Their width and height in pixels, by hash; None where they do not say."""

    @property
    def is_large(self) -> bool:
        """Whether it takes long enough to put it into a dialect that nothing else should have to wait for it."""
        texts = (part.text for message in self.messages for part in message.parts if isinstance(part, TextPart))
        return bool(self.images) or sum(map(len, texts)) > _LARGE

    def pieces(self, message: Message) -> list[str | Image]:
        """Return what a message says: its text, with pictures where they stand in it; nothing if it says nothing."""
        pieces: list[str | Image] = []
        for part in message.parts:
            if isinstance(part, AttachmentPart) and part.sha256 in self.images:
                pieces.append(Image(self.images[part.sha256]))
            elif isinstance(part, TextPart):
                before = pieces.pop() if pieces and isinstance(pieces[-1], str) else ""
                pieces.append(f"{before}{part.text}")
        cleaned = [clean_text(piece) if isinstance(piece, str) else piece for piece in pieces]
        return [piece for piece in cleaned if isinstance(piece, Image) or piece.strip()]


class KeySource(Protocol):
    """Where the keys of endpoints come from."""

    async def key_of(self, endpoint: Endpoint, refusals: Refusals | None = None) -> Key | None:
        """Return the endpoint's first key that was not refused for this request, or None where there is none.

        Raises:
            ModelError: the place of its key cannot be read.
        """
        ...

    def note(self, endpoint: Endpoint, key: str, *, refused: bool) -> None:
        """Take in whether the endpoint took a key."""
        ...

    def holds(self, base_url: str, key: str) -> bool:
        """Whether a key can still be asked for by an endpoint at that URL."""
        ...


class Provider(Protocol):
    """Where model calls go."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[RunEvent, None]:
        """Call the model and yield what comes back as it comes.

        Yields `RequestSent`, `KeyRefused`, `ModelNamed`, `ReasoningDelta`, `TextDelta`, `ToolCallRequested`,
        `UsageReported` and, only when the model said why it stopped, `StepFinished`. A stream that ends without it was
        cut. Closing the generator closes the connection, which is what makes the endpoint stop.

        Raises:
            ModelError: the call failed, before the first event or between two.
        """
        ...

    async def list_models(self, endpoint: Endpoint) -> list[str]:
        """Return the names of the endpoint's models, in its own order.

        Raises:
            ModelError: the endpoint has no list, refused, or could not be reached.
        """
        ...

    async def count_tokens(self, endpoint: Endpoint, model: str, text: str) -> int | None:
        """Return how many tokens a text is to a model whose server runs on this machine and counts them; else None.

        Never asks a server elsewhere: what is being typed leaves this machine when it is sent, and not before.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...
