"""The dialog of keys: how old those of each endpoint are, when they were used, and how they are changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from components.dialogs import dialog
from components.sentence import SentencePane
from components.state import ConversationState
from services.endpoint_keys import EndpointKeys, KeyStanding
from services.endpoints import Endpoint
from services.errors import PanelistError
from services.render import escape

_ABOUT = (
    "The first key that works is used; where one is refused, the next is tried. Keys are never shown, and answers that "
    "are being written are finished with the key they began with."
)
_NONE = "No endpoint is set up that takes a key. Connect a model first."
_NO_KEY = "It has no key, which is fine for a server that asks for none."
_TYPED = "A key typed in here is used at once and kept in this server's memory until it ends."
_OLD = "It is {days} days old: make a new one where you got it, put it in its place, and press Rotate now."
_MASK = "••••••••"
_TEXT = '<p style="margin:0;font:15px/1.5 var(--panelist-font);color:var(--mui-palette-text-secondary)">{}</p>'
_HEAD = (
    '<h3 style="margin:0;font:650 16px/1.4 var(--panelist-font);color:var(--panelist-text);overflow-wrap:anywhere">'
    '{name} <span style="font-weight:400;color:var(--mui-palette-text-secondary)">{host}</span></h3>'
)
_KEY = """<div style="font:15px/1.5 var(--panelist-font);color:var(--panelist-text);overflow-wrap:anywhere">
<div style="display:flex;flex-wrap:wrap;gap:0 10px;align-items:baseline"><strong>{name}</strong>{mask}{mark}</div>
<div style="color:var(--mui-palette-text-secondary)">{source}</div>{lines}</div>"""
_MARK = '<span style="font-size:13px;padding:0 8px;border-radius:9px;background:var({ground})">{text}</span>'
_LINE = '<div style="color:var(--mui-palette-text-secondary)">{}</div>'
_WARNING = '<div style="color:var(--panelist-over)">{}</div>'


def since(at: datetime, now: datetime) -> str:
    """Return how long ago something was, in words."""
    seconds = max(0, (now - at).total_seconds())
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def about(key: KeyStanding, now: datetime) -> str:
    """Return when a key was seen, taken and refused, in words; empty where there is none."""
    if key.seen_at is None:
        return ""
    used = f"last taken {since(key.used_at, now)}" if key.used_at is not None else "never taken yet"
    refused = f"last refused {since(key.refused_at, now)}" if key.refused_at is not None else "never refused"
    return f"First seen {since(key.seen_at, now)}, {used}, {refused}."


def _result() -> SentencePane:
    """Return the place for what came of a button, beside it: a phone shows only a part of the dialog."""
    return SentencePane(visible=False, margin=(4, 0))


class _KeyRow:
    """One key with its buttons. It stays when what is known changes, so that the keyboard stays where it is."""

    def __init__(self, view: KeysView, endpoint: Endpoint, name: str) -> None:
        self._told = pn.pane.HTML("", sizing_mode="stretch_width", margin=(8, 8, 0, 0))

        async def use(_: object) -> None:
            await view.use(endpoint, name)

        async def check(_: object) -> None:
            self.result.say("Asking…", good=True)
            await view.check(endpoint, name)

        of = f"{name} of {endpoint.name}"
        self._use = pmui.Button(
            label="Use this key",
            variant="text",
            size="small",
            description=f"Use this key: {of}",
            on_click=use,
            margin=0,
        )
        self._check = pmui.Button(
            label="Check now", variant="text", size="small", description=f"Check now: {of}", on_click=check, margin=0
        )
        self.result = _result()
        self.layout = pmui.Column(
            self._told,
            pmui.Row(self._use, self._check, margin=(0, 0, 0, -5)),
            self.result,
            sizing_mode="stretch_width",
            margin=0,
        )

    def show(self, key: KeyStanding, now: datetime) -> None:
        """Show what is known of the key."""
        mark = ""
        if key.refused:
            mark = _MARK.format(ground="--panelist-alert", text="refused")
        elif key.first:
            mark = _MARK.format(ground="--panelist-good", text="in use")
        lines = [_LINE.format(escape(text)) for text in (about(key, now),) if text]
        lines += [_WARNING.format(escape(key.state))] if key.state else []
        if key.seen_at is not None and key.is_old(now):
            lines.append(_WARNING.format(escape(_OLD.format(days=(now - key.seen_at).days))))
        self._told.object = _KEY.format(
            name=escape(key.name),
            mask=f'<span aria-label="not shown">{_MASK}</span>' if key.seen_at is not None else "",
            mark=mark,
            source=escape(key.source),
            lines="".join(lines),
        )
        self._use.disabled = key.first or not key.held
        self._check.disabled = not key.held


class KeysView(Viewer):
    """All endpoints with their keys; one is typed in below."""

    def __init__(self, state: ConversationState, keys: EndpointKeys, **params: Any) -> None:
        super().__init__(**params)
        self._state = state
        self._keys = keys
        self._rows: dict[tuple[str, str], _KeyRow] = {}
        self._read: dict[str, SentencePane] = {}
        """What came of reading an endpoint's keys again."""
        self._listed: list[tuple[str, str]] = []
        self._list = pmui.Column(sizing_mode="stretch_width", margin=0)
        self._for = pmui.Select(
            label="Endpoint", sizing_mode="stretch_width", size="small", min_width=150, margin=(8, 8, 8, 0)
        )
        self._key = pmui.PasswordInput(
            label="New key",
            value="",
            sizing_mode="stretch_width",
            size="small",
            min_width=170,
            margin=(8, 8, 8, 0),
            sx={"& .MuiIconButton-root": {"color": "var(--panelist-text)"}},
        )
        self._replace = pmui.Button(label="Use it", variant="contained", on_click=self._on_replace, margin=(8, 0))
        self._entered = False
        self._key.param.watch(self._on_enter, "enter_pressed")
        self._key.param.watch(self._on_entered, "value")
        self._typing = pmui.Column(
            self._text(_TYPED, margin=(16, 0, 0, 0)),
            pmui.Row(
                self._for,
                self._key,
                self._replace,
                sizing_mode="stretch_width",
                margin=0,
                styles={"flex-wrap": "wrap"},
            ),
            sizing_mode="stretch_width",
            margin=0,
        )
        self._result = _result()
        self.dialog = dialog(
            "Keys",
            self._text(_ABOUT),
            self._list,
            self._typing,
            self._result,
            width_option="sm",
            sizing_mode="stretch_width",
        )

    def __panel__(self) -> pmui.Dialog:
        return self.dialog

    async def open(self) -> None:
        """Open the dialog on what is known now."""
        for result in (self._result, *(row.result for row in self._rows.values()), *self._read.values()):
            result.visible = False
        names = [endpoint.name for endpoint in self._keys.endpoints()]
        chosen = self._state.choice.endpoint if self._state.choice is not None else None
        self._for.param.update(
            options=names, value=chosen if chosen in names else next(iter(names), None), visible=len(names) > 1
        )
        self._typing.visible = bool(names)
        self._key.param.update(value="", value_input="")
        await self._show()
        self.dialog.open = True

    async def use(self, endpoint: Endpoint, name: str) -> None:
        """Ask an endpoint with one of its keys before all others."""
        try:
            self._keys.use(endpoint, name)
        except PanelistError as error:
            self._row_of(endpoint, name).result.say(str(error))
            return
        for row in self._rows.values():
            row.result.visible = False
        self._row_of(endpoint, name).result.say("Requests go with this key from now on.", good=True)
        await self._changed()

    async def check(self, endpoint: Endpoint, name: str) -> None:
        """Try one of its keys, and say what came of it."""
        tried = await self._keys.check(endpoint, name)
        self._row_of(endpoint, name).result.say(tried.sentence, good=tried.ok)
        await self._show()

    async def rotate(self, endpoint: Endpoint) -> None:
        """Read its keys again, and say what is new."""
        result = self._read[endpoint.name]
        result.say("Reading…", good=True)
        result.say(await self._keys.rotate(endpoint), good=True)
        await self._changed()

    def _row_of(self, endpoint: Endpoint, name: str) -> _KeyRow:
        return self._rows[endpoint.name, name]

    async def _changed(self) -> None:
        await self._show()
        await self._state.refresh_models()  # another key may open others

    async def _show(self) -> None:
        now = datetime.now(UTC)
        endpoints = self._keys.endpoints()
        try:
            found = [(endpoint, await self._keys.of(endpoint)) for endpoint in endpoints]
        except PanelistError as error:
            self._result.say(str(error))
            return
        names = [(endpoint.name, key.name) for endpoint, keys in found for key in keys]
        if names != self._listed or not self._list.objects:
            self._listed = names
            self._list[:] = [part for endpoint, keys in found for part in self._parts(endpoint, keys)] or [
                self._text(_NONE, margin=(8, 0, 0, 0))
            ]
        for endpoint, keys in found:
            for key in keys:
                self._rows[endpoint.name, key.name].show(key, now)

    def _parts(self, endpoint: Endpoint, keys: list[KeyStanding]) -> list[Any]:
        """Return an endpoint's head and a row for each of its keys."""

        async def on_rotate(_: object) -> None:
            await self.rotate(endpoint)

        rotate = pmui.Button(
            label="Rotate now",
            variant="outlined",
            size="small",
            description=f"Rotate now: read the keys of {endpoint.name} again",
            visible=bool(keys),
            on_click=on_rotate,
            margin=0,
        )
        host = "" if endpoint.host in endpoint.name else endpoint.host
        head = pn.pane.HTML(
            _HEAD.format(name=escape(endpoint.name), host=escape(host)), sizing_mode="stretch_width", margin=0
        )
        parts: list[Any] = [pmui.Row(head, rotate, sizing_mode="stretch_width", margin=(16, 0, 0, 0))]
        parts.append(self._read.setdefault(endpoint.name, _result()))
        for key in keys:
            row = self._rows.setdefault((endpoint.name, key.name), _KeyRow(self, endpoint, key.name))
            parts.append(row.layout)
        return parts if keys else [*parts, self._text(_NO_KEY)]

    async def _on_enter(self, event: object) -> None:
        """Wait for what the browser sends behind the Enter: it would put the key back into the emptied field."""
        self._entered = self._key.value != self._key.value_input
        if not self._entered:
            await self._on_replace(event)

    async def _on_entered(self, event: object) -> None:
        if self._entered and self._key.value:
            self._entered = False
            await self._on_replace(event)

    async def _on_replace(self, _: object) -> None:
        endpoint = next((one for one in self._keys.endpoints() if one.name == self._for.value), None)
        if endpoint is None:
            return
        try:
            self._keys.replace(endpoint, str(self._key.value_input or self._key.value or ""))
        except PanelistError as error:
            self._result.say(str(error))
            return
        self._key.param.update(value="", value_input="")
        self._result.say(f"{endpoint.name} is asked with the new key from now on.", good=True)
        await self._changed()

    def _text(self, text: str, margin: Any = 0) -> pn.pane.HTML:
        return pn.pane.HTML(_TEXT.format(escape(text)), sizing_mode="stretch_width", margin=margin)
