"""A model server that writes as far as it is told: the middle of an answer is then a place and not a moment."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack

from tests.faults.upstream import Call, Play, perform, serving
from tests.faults.wires import CHAT
from tests.keyed import KEYED
from tests.providers.sockets import chunk
from tests.ui.aside import Aside

NAME = "writer"
WORDS = 100


def word(number: int) -> str:
    """Return a word of the answer, with what follows it; all answers are alike, with some Markdown in them."""
    text = f"*w{number:03}*" if number % 7 == 0 else f"w{number:03}"
    return text + ("\n\n" if number % 10 == 0 else " ")


class Model:
    """Answers every question with the same words, each as soon as it is allowed to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        """The questions, in order."""
        self.takes: set[str] | None = None
        """The keys that are not refused; None: whoever asks is answered."""
        self.keys: list[str] = []
        """Those that requests came with, in order; empty where there was none."""
        self._aside = Aside()
        self._stack = AsyncExitStack()
        self._aside.run(self._begin())

    async def _begin(self) -> None:
        self._allowed = 0
        self._more = asyncio.Event()
        self._upstream = await self._stack.enter_async_context(serving(self._answer))

    @property
    def environ(self) -> dict[str, str]:
        """What a server needs to know to ask this model, and nobody for a title."""
        where = {"OPENAI_BASE_URL": f"{self._upstream.url}/v1", "PANELIST_MODEL": NAME}
        return {**KEYED, **where, "PANELIST_TITLES": "off", "PANELIST_TRIES": "1"}

    def write(self, upto: int = WORDS) -> None:
        """Let every answer get as far as the word of this number; with the last one it is whole."""

        def act() -> None:
            self._allowed = upto
            bell, self._more = self._more, asyncio.Event()
            bell.set()

        self._aside.call(act)

    def close(self) -> None:
        self._aside.run(self._stack.aclose())
        self._aside.close()

    async def _answer(self, call: Call) -> None:
        self.keys.append(call.headers.get("authorization", "").removeprefix("Bearer "))
        if self.takes is not None and self.keys[-1] not in self.takes:
            said = json.dumps({"error": {"message": f"Incorrect API key provided: {self.keys[-1]}"}}).encode()
            head = "401 Unauthorized\r\nContent-Type: application/json"
            await perform(call, Play(said, head=head, end="length"), None)
            return
        if call.path.endswith("/models"):
            body = json.dumps({"object": "list", "data": [{"id": NAME, "object": "model"}]}).encode()
            await perform(call, Play(body, head="200 OK\r\nContent-Type: application/json", end="length"), None)
            return
        self.asked.append(call.question)
        await perform(call, Play(end="open"), None)
        for number in range(1, WORDS + 1):
            while self._allowed < number:
                await self._more.wait()
            await call.write(chunk(CHAT.delta(word(number))))
        await call.write(chunk(CHAT.end()) + b"0\r\n\r\n")
