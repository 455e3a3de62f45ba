"""A page, a model server that says what it is told to, and whether anything of it came alive."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from playwright.sync_api import Page

from services.messages import clean_text
from services.titles import TITLE_PROMPT
from tests.faults.upstream import Call, Play, perform, serving
from tests.faults.wires import CHAT, event
from tests.injections import CANARY, batches
from tests.providers.sockets import chunk
from tests.ui.aside import Aside
from tests.ui.conftest import Server
from tests.ui.listener import Listener

TOGETHER = 45
"""Texts in one answer: more of them would be too dear to be rendered."""
WATCH = """
    window.__refused = []
    addEventListener("securitypolicyviolation", ({violatedDirective, blockedURI}) => __refused.push(`${violatedDirective} ${blockedURI}`))
"""  # noqa: E501
LOOK = """(roots) => {
    const found = []
    const look = (root) => {
        for (const node of root.querySelectorAll("*")) {
            const name = node.localName
            for (const {name: key, value} of node.attributes) {
                if (key.startsWith("on")) { found.push(`${name} ${key}=${value}`) }
                if (/^(?:\\w+:)?(?:href|src|action|formaction|data|ping|srcset|srcdoc|poster|background)$/.test(key)
                    && /^\\W*(?:j\\W*a\\W*v\\W*a|vb)script/i.test(value)) { found.push(`${name} ${key}=${value}`) }
            }
            if (node.id === "CANARY" || node.getAttribute("name") === "CANARY") { found.push(`${name} is the canary`) }
            if (node.shadowRoot) { look(node.shadowRoot) }
        }
        for (const node of root.querySelectorAll(".messages *, .outline *, .notices *, .queue *, .rows *, .markdown *, .attachments *, .commands *, [role=alert] *, PASTED *")) {
            if (/^(?:script|style|link|meta|base|form|iframe|object|embed|template|img|video|audio|frame|plaintext)$/.test(node.localName)
                && !node.closest("[data-added]") && !/^(?:blob:http:\\/\\/localhost|attachments\\/[0-9a-f]{64}\\?)/.test(node.getAttribute("src"))) { found.push(`<${node.localName}> in ${node.parentNode.className}`) }
        }
    }
    look(document)
    return found
}""".replace("CANARY", CANARY).replace("PASTED", ".pasted")  # noqa: E501


class Evil:
    """A model server that says what it is told to say, in names, answers, thoughts and errors alike."""

    def __init__(self) -> None:
        self.models: list[str] = []
        self.answers: dict[str, str] = {}
        """By the question."""
        self.errors: dict[str, str] = {}
        """Bodies of refusals, by the question."""
        self.titles: dict[str, str] = {}
        """What it calls a conversation, by the first question; nothing for any other."""
        self.hold = asyncio.Event()
        self._aside = Aside()
        self._stack = AsyncExitStack()
        self.listening = Listener()
        self.listener = self.listening.url.removeprefix("http://")
        self.url = self._aside.run(self._begin())

    async def _begin(self) -> str:
        return f"{(await self._stack.enter_async_context(serving(self._answer))).url}/v1"

    async def _answer(self, call: Call) -> None:
        plain, bad = (f"{status}\r\nContent-Type: application/json" for status in ("200 OK", "400 Bad Request"))
        if call.path.endswith("/models"):
            named = () if call.path.startswith("/few") else self.models
            models = [{"id": name, "object": "model"} for name in ("writer", *named)]
            await perform(call, Play(json.dumps({"data": models}).encode(), head=plain, end="length"), None)
            return
        if body := self.errors.get(call.question):
            await perform(call, Play(body.encode("utf-8", "replace"), head=bad, end="length"), None)
            return
        text = clean_text(self.answers.get(call.question, "Well."))
        if call.body["messages"][0]["content"] == TITLE_PROMPT:
            text = self.titles.get(call.question, "")
        await perform(call, Play(end="open"), None)
        for say in (CHAT.thought, CHAT.delta):
            for start in range(0, len(text), 60):
                await call.write(chunk(say(text[start : start + 60])))
                await asyncio.sleep(0.001)
        if call.question == "wait":
            await self.hold.wait()
        await call.write(chunk(event({"model": text[:150], "choices": []})) + chunk(CHAT.end()) + b"0\r\n\r\n")

    def go_on(self) -> None:
        self._aside.call(self.hold.set)

    def close(self) -> None:
        self.go_on()
        self._aside.run(self._stack.aclose())
        self._aside.close()
        self.listening.close()


@dataclass
class Stage:
    """One page that everything is shown on, and what was noticed of it."""

    page: Page
    server: Server
    evil: Evil
    texts: list[str]
    noticed: list[str] = field(default_factory=list)

    @property
    def batches(self) -> list[str]:
        return batches(self.texts, TOGETHER)

    def watch(self, page: Page) -> None:
        note = self.noticed.append
        ours = (
            f"http://localhost:{self.server.port}/",
            f"ws://localhost:{self.server.port}/",
            "data:",
            "blob:",
            "about:",
        )
        page.add_init_script(WATCH)
        page.on("dialog", lambda dialog: (note(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: note(f"error {error}"))
        page.on("popup", lambda popup: note(f"popup {popup.url}"))
        page.on("console", lambda said: note(said.text) if _is_refusal(said.text) else None)
        page.on("request", lambda asked: None if asked.url.startswith(ours) else note(f"request {asked.url}"))
        page.on(
            "framenavigated",
            lambda frame: None if frame.parent_frame or frame.url.startswith(ours) else note(f"went to {frame.url}"),
        )

    def is_calm(self) -> None:
        """Fail if anything ran, was asked for, or is in the page that should not be."""
        canary = f"[window.{CANARY}, ({{}}).{CANARY}].filter((value) => value !== undefined)"
        assert self.page.evaluate(canary) == []
        assert self.page.evaluate("window.__refused") == []
        assert self.page.evaluate(LOOK) == []
        noticed, self.noticed[:] = self.noticed[:], []
        assert noticed == []
        assert self.evil.listening.heard == set()


def _is_refusal(said: str) -> bool:
    """Whether the page's policy had to stop something; the frame that draws diagrams has a stricter one of its own."""
    return "Content Security Policy" in said and "'nonce-" not in said
