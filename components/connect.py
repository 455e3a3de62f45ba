"""The set-up view: find local servers, try a key, use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from components.dialogs import dialog
from components.sentence import SentencePane
from components.state import ConversationState
from services.connect import Connections, Found
from services.endpoints import DEMO, OPENAI_URL
from services.errors import PanelistError
from services.render import escape

_NONE = "No model server was found on this machine (Ollama, LM Studio, llama.cpp, vLLM)."


class ConnectView(Viewer):
    """A dialog that ends with a model that answers."""

    def __init__(
        self, state: ConversationState, connections: Connections, on_keys: Callable[[], None], **params: Any
    ) -> None:
        super().__init__(**params)
        self._on_keys = on_keys
        self._state = state
        self._connections = connections
        self._looking = self._text("")
        self._offers = pmui.Column(sizing_mode="stretch_width", margin=0)
        self._url = pmui.TextInput(label="Base URL", value=OPENAI_URL, sizing_mode="stretch_width", margin=(8, 0))
        self._key = pmui.PasswordInput(
            label="API key",
            value="",
            sizing_mode="stretch_width",
            margin=(8, 0),
            sx={"& .MuiIconButton-root": {"color": "var(--panelist-text)"}},
        )
        self._keep = pmui.Checkbox(label="Also write it to .env, for the next start", value=False, margin=(4, 0))
        self._test = pmui.Button(label="Test", variant="outlined", on_click=self._on_test, margin=(8, 8, 8, 0))
        self._use = pmui.Button(label="Use it", variant="contained", on_click=self._on_use, margin=(8, 0))
        self._result = SentencePane(visible=False, margin=(8, 0))
        self.dialog = dialog(
            "Connect a model",
            self._looking,
            self._offers,
            self._text("Any OpenAI-compatible server works. The key stays in this server's memory."),
            self._url,
            self._key,
            self._keep,
            pmui.Row(self._test, self._use, margin=0),
            self._result,
            pmui.Row(
                self._text("How old your keys are, and how to change them."),
                pmui.Button(label="Keys…", variant="text", on_click=self._on_see_keys, margin=0),
                sizing_mode="stretch_width",
                margin=(12, 0, 0, 0),
            ),
            pmui.Row(
                self._text("Nothing at hand? The demo endpoint needs nothing. It is not an AI."),
                pmui.Button(label="Use the demo", variant="text", on_click=self._on_demo, margin=(0, 0)),
                sizing_mode="stretch_width",
                margin=0,
            ),
            width_option="sm",
            sizing_mode="stretch_width",
        )

    def __panel__(self) -> pmui.Dialog:
        return self.dialog

    async def open(self) -> None:
        """Open the dialog and look for model servers on this machine meanwhile."""
        self._result.visible = False
        self._offers[:] = []
        self._looking.param.update(object=_line("Looking for model servers on this machine…"), visible=True)
        self.dialog.open = True
        found = await self._connections.find_local()
        if found:
            self._looking.visible = False
            self._offers[:] = [self._offer(server) for server in found]
        else:  # in place: what is added to a dialog that the browser is still making can be lost
            self._looking.object = _line(_NONE)

    def _text(self, text: str) -> pn.pane.HTML:
        return pn.pane.HTML(_line(text), sizing_mode="stretch_width", margin=0)

    def _offer(self, server: Found) -> pmui.Row:
        async def use(_: object) -> None:
            await self._adopt(server.base_url, "")

        count = "1 model" if len(server.models) == 1 else f"{len(server.models)} models"
        return pmui.Row(
            self._text(f"{server.label} is running here, with {count}."),
            pmui.Button(label=f"Use {server.label}", variant="contained", on_click=use, margin=(4, 0)),
            sizing_mode="stretch_width",
            margin=0,
        )

    async def _on_test(self, _: object) -> None:
        self._test.loading = True
        try:
            tried = await self._connections.try_out(self._url_text(), self._key_text())
        finally:
            self._test.loading = False
        listed = f" ({', '.join(tried.models[:5])}{', …' if len(tried.models) > 5 else ''})" if tried.models else ""
        self._say(tried.sentence + listed, good=tried.ok)

    async def _on_use(self, _: object) -> None:
        await self._adopt(self._url_text(), self._key_text())

    async def _on_demo(self, _: object) -> None:
        self.dialog.open = False
        await self._state.adopt(DEMO)

    def _on_see_keys(self, _: object) -> None:
        self.dialog.open = False
        self._on_keys()

    async def _adopt(self, base_url: str, key: str) -> None:
        """Make a server the default, close the dialog, and forget what was typed."""
        try:
            endpoint = self._connections.use(base_url, key)
        except PanelistError as error:
            self._say(str(error), good=False)
            return
        await self._state.adopt(endpoint.name)
        self._key.param.update(value="", value_input="")
        try:
            if self._keep.value:
                await self._connections.write_down(base_url, key)
        except PanelistError as error:
            self._say(f"It is in use now, but not for the next start: {error}", good=False)
            return
        self.dialog.open = False

    def _url_text(self) -> str:
        return str(self._url.value_input or self._url.value or "")

    def _key_text(self) -> str:
        return str(self._key.value_input or self._key.value or "")

    def _say(self, text: str, *, good: bool) -> None:
        self._result.say(text, good=good)


def _line(text: str) -> str:
    return (
        f'<p style="margin:4px 0;font:15px/1.5 var(--panelist-font);color:var(--mui-palette-text-secondary)">'
        f"{escape(text)}</p>"
    )
