"""The dialog of alerts: what is watched and how it stands, where else it is told, and what was too much."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param
from panel.viewable import Viewer

from components.dialogs import dialog, paragraph
from components.sentence import SentencePane
from services.alerting import Alerting
from services.alerts import OFFERS, PAST_DAYS, Alert, Level, Rule, in_words, rule_of, told
from services.changes import Changes
from services.errors import PanelistError
from services.render import escape

log = logging.getLogger(__name__)

AFTER_S = 1.0
"""Between two looks at what changed while the dialog is open."""

_ABOUT = (
    "You are told once when something is too much, here and in the page, and again only after it was over. "
    f"What is usual is the median of the last {PAST_DAYS} days."
)
_HOOK = "A webhook gets each alert, and its end, as JSON by POST: no word of any conversation is in it."
_NONE = "None so far. Alerts stand here once you have dismissed them."
_SMALL = "font:13px/1.5 var(--panelist-font);color:var(--mui-palette-text-secondary)"
_ALERT = """<div style="font:15px/1.5 var(--panelist-font);color:var(--panelist-text);overflow-wrap:anywhere">
{sentence}<br><span style="{small}">{about}</span></div>"""

WATCHED = {
    "Spent": "spend",
    "Requests that fail": "errors",
    "Time to the first word": "first_token_s",
    "Time of a whole answer": "total_s",
}
SPANS = {"In an hour": "hour", "In a day": "day"}
AMOUNTS = {"spend": "Dollars", "errors": "Percent", "first_token_s": "Seconds", "total_s": "Seconds"}
PAST = "Times what is usual"


@dataclass(frozen=True, slots=True)
class _Row:
    """What shows a rule."""

    rule: Rule
    """As if it were on."""
    shown: pmui.Row
    switch: pmui.Switch
    note: pn.pane.HTML


class AlertsView(Viewer):
    """All rules with what is offered, the webhook, and the last alerts; it follows what happens while it is open."""

    def __init__(self, alerts: Alerting, changes: Changes, owner: str, **params: Any) -> None:
        super().__init__(**params)
        self._alerts = alerts
        self._changes = changes
        self._owner = owner
        self._following: asyncio.Task[None] | None = None
        self._shown: list[_Row] = []
        self._showing = False
        self._history: list[Alert] | None = None
        self._news = 0
        """How often anything was done; what was read before the last is not shown any more."""
        self._looking = asyncio.Lock()
        self._doing = 0
        wide: dict[str, Any] = {"sizing_mode": "stretch_width", "size": "small", "margin": (8, 8, 8, 0)}
        self._rules = pmui.Column(sizing_mode="stretch_width", margin=0)
        self._watched = pmui.Select(label="What", options=list(WATCHED), value="Spent", min_width=180, **wide)
        self._span = pmui.Select(label="How long", options=list(SPANS), value="In an hour", min_width=120, **wide)
        self._unit = pmui.Select(label="More than", min_width=170, **wide)
        self._amount = pmui.TextInput(label="Amount", max_length=20, min_width=100, **wide)
        self._amount.param.watch(self._on_set, "enter_pressed")
        self._watched.param.watch(self._update_units, "value")
        self._url = pmui.PasswordInput(
            label="Webhook address",
            max_length=2_000,
            min_width=220,
            sx={"& .MuiIconButton-root": {"color": "var(--panelist-text)"}},
            **wide,
        )
        self._hooked = paragraph(_HOOK)
        self._test = pmui.Button(
            label="Test the webhook", variant="outlined", on_click=self._on_test, margin=(8, 8, 8, 0)
        )
        self._remove = pmui.Button(
            label="Remove the webhook", variant="text", visible=False, on_click=self._on_unhook, margin=(8, 0)
        )
        self._unseen = pmui.Column(sizing_mode="stretch_width", margin=0)
        self._seen = pmui.Column(sizing_mode="stretch_width", margin=0)
        self._result = SentencePane(visible=False, margin=(8, 0))
        self._update_units()
        self.dialog = dialog(
            "Alerts",
            paragraph(_ABOUT),
            self._result,
            self._unseen,
            self._rules,
            _line(
                self._watched,
                self._span,
                self._unit,
                self._amount,
                pmui.Button(label="Set", variant="contained", on_click=self._on_set, margin=(8, 0)),
            ),
            _heading("Webhook"),
            self._hooked,
            _line(
                self._url,
                pmui.Button(label="Save", variant="contained", on_click=self._on_hook, margin=(8, 8, 8, 0)),
                self._test,
                self._remove,
            ),
            _heading("Earlier alerts"),
            self._seen,
            width_option="md",
            sizing_mode="stretch_width",
        )
        self.dialog.param.watch(self._on_dialog, "open")
        pn.state.on_session_destroyed(lambda _: self._unfollow())

    def __panel__(self) -> pmui.Dialog:
        return self.dialog

    async def open(self) -> None:
        """Open the dialog on how things stand now."""
        self._result.visible = False
        self.dialog.open = True
        self._follow()
        await self._show()

    def _on_dialog(self, event: param.parameterized.Event) -> None:
        if not event.new:
            self._unfollow()

    def _follow(self) -> None:
        self._unfollow()
        self._following = asyncio.create_task(self._listen(), name="follow alerts")

    def _unfollow(self) -> None:
        if self._following is not None:
            self._following.cancel()
            self._following = None

    async def _listen(self) -> None:
        async for _ in self._changes.listen(self._owner, lambda: AFTER_S):
            try:
                await self._show()
            except Exception:  # the last wall: a dialog that hears nothing any more would be dead
                log.exception("alerts could not be shown")

    async def _show(self) -> None:
        async with self._looking:  # else what was read earlier could be shown after what was read later
            news = self._news
            try:
                rules = told(await self._alerts.rules(self._owner))
                levels = await self._alerts.levels(self._owner, rules)
                last = await self._alerts.latest(self._owner)
                hook = await self._alerts.hook(self._owner)
            except PanelistError as error:
                self._result.say(str(error))
                return
            if news != self._news or self._doing:  # it would turn back a switch that was just clicked
                return
            self._show_levels(sorted(levels, key=lambda level: not level.rule.on))
            self._show_last(last)
            self._hooked.object = paragraph(f"{_HOOK} It goes to {hook}." if hook else _HOOK).object
            self._remove.visible = hook is not None

    def _show_levels(self, levels: Sequence[Level]) -> None:
        rows = {row.rule: row for row in self._shown}
        if rows.keys() == {replace(level.rule, on=True) for level in levels}:
            for level in levels:  # in place: what has the keyboard stays where it is
                row = rows[replace(level.rule, on=True)]
                row.note.object = _note(level)
                self._showing = True
                row.switch.value = level.rule.on
                self._showing = False
            return
        self._shown = [self._row(level) for level in levels]
        self._rules[:] = [row.shown for row in self._shown]

    def _row(self, level: Level) -> _Row:
        rule = level.rule
        switch = pmui.Switch(label=rule.label, value=rule.on, margin=(6, 8, 0, 0))
        switch.param.watch(partial(self._switched, rule), "value")
        note = pn.pane.HTML(_note(level), sizing_mode="stretch_width", margin=(0, 0, 0, 44))
        remove = pmui.Button(
            label="Remove",
            variant="text",
            description=f"Remove the alert: {rule.label}",
            on_click=partial(self._on_remove, rule),
            visible=replace(rule, on=True) not in OFFERS,
            margin=(4, 0),
        )
        column = pmui.Column(switch, note, sizing_mode="stretch_width", margin=0)
        shown = pmui.Row(column, remove, sizing_mode="stretch_width", margin=0)
        return _Row(replace(rule, on=True), shown, switch, note)

    def _show_last(self, last: list[Alert]) -> None:
        if last == self._history:
            return
        self._history = last
        unseen, seen = (
            [self._told(alert) for alert in last if (alert.dismissed_at is not None) is dismissed]
            for dismissed in (False, True)
        )
        self._unseen[:] = unseen
        rows: list[Any] = list(seen)
        self._seen[:] = rows or [paragraph(_NONE)]

    def _told(self, alert: Alert) -> pmui.Row:
        html = _ALERT.format(sentence=escape(alert.sentence), about=escape(_about(alert)), small=_SMALL)
        dismiss = pmui.Button(
            label="Dismiss",
            variant="text",
            description=f"Dismiss: {alert.sentence}",
            on_click=partial(self._on_dismiss, alert),
            visible=alert.dismissed_at is None,
            margin=(4, 0),
        )
        return pmui.Row(
            pn.pane.HTML(html, sizing_mode="stretch_width", margin=(6, 8, 6, 0)),
            dismiss,
            sizing_mode="stretch_width",
            margin=0,
        )

    def _update_units(self, *_: object) -> None:
        options = [AMOUNTS[WATCHED[str(self._watched.value)]], PAST]
        self._unit.param.update(options=options, value=options[0])

    async def _on_set(self, _: object) -> None:
        against = "past" if self._unit.value == PAST else "fixed"
        amount = str(self._amount.value_input or self._amount.value or "")
        watched, span = WATCHED.get(str(self._watched.value), ""), SPANS.get(str(self._span.value), "")

        async def put() -> None:
            await self._alerts.put(self._owner, rule_of(watched, span, against, amount))
            _clear(self._amount)

        await self._do(put)

    def _switched(self, rule: Rule, event: param.parameterized.Event) -> None:
        if not self._showing:  # what was read a moment ago is not what a person wants now
            pn.state.execute(partial(self._on_switch, rule, on=bool(event.new)))

    async def _on_switch(self, rule: Rule, *, on: bool) -> None:
        wanted = replace(rule, on=on)
        if wanted not in told(await self._alerts.rules(self._owner)):
            await self._do(lambda: self._alerts.put(self._owner, wanted))

    async def _on_remove(self, rule: Rule, _: object) -> None:
        await self._do(lambda: self._alerts.remove(self._owner, rule))

    async def _on_dismiss(self, alert: Alert, _: object) -> None:
        await self._do(lambda: self._alerts.dismiss(self._owner, alert.id))

    async def _on_hook(self, _: object) -> None:
        url = self._typed()

        async def put() -> None:
            await self._alerts.put_hook(self._owner, url)
            _clear(self._url)

        await self._do(put, "The webhook is saved. Test it once." if url else "")

    async def _on_unhook(self, _: object) -> None:
        await self._do(lambda: self._alerts.put_hook(self._owner, None), "The webhook is removed.")

    async def _on_test(self, _: object) -> None:
        self._test.param.update(label="Testing…", disabled=True)
        try:
            why = await self._alerts.try_hook(self._owner, self._typed() or None)
        except PanelistError as error:
            why = str(error)
        finally:
            self._test.param.update(label="Test the webhook", disabled=False)
        self._result.say(why or "The webhook took the test.", good=not why)

    def _typed(self) -> str:
        return str(self._url.value_input or self._url.value or "").strip()

    async def _do(self, work: Any, said: str = "") -> None:
        """Do what a person asked for, say what came of it, and show how things stand then."""
        self._news += 1
        self._doing += 1
        try:
            await work()
        except PanelistError as error:
            self._result.say(str(error))
            return
        finally:
            self._doing -= 1
        if said:
            self._result.say(said, good=True)
        else:
            self._result.visible = False
        await self._show()


def _note(level: Level) -> str:
    """Return how a rule stands, in words."""
    rule = level.rule
    if level.value is None:
        said = "Too few requests to say."
    else:
        said = f"{in_words(rule.watched, level.value)} {'this hour' if rule.span == 'hour' else 'today'}"
        if rule.against == "past":
            usual = level.limit
            said += (
                ", and nothing is usual yet" if usual is None else f"; too much above {in_words(rule.watched, usual)}"
            )
        said += "."
    color = "var(--panelist-over)" if rule.on and level.is_over else "inherit"
    return f'<div style="{_SMALL}"><span style="color:{color}">{escape(said)}</span></div>'


def _about(alert: Alert) -> str:
    """Return when an alert was, and what became of it."""
    said = _moment(alert.at)
    said += " · still so" if alert.recovered_at is None else f" · over since {_moment(alert.recovered_at)}"
    if alert.delivery is not None:
        said += f" · webhook not told: {alert.delivery}" if alert.delivery else " · webhook told"
    return said


def _moment(at: datetime) -> str:
    return f"{at.astimezone():%d %b %Y, %H:%M}"


def _heading(text: str) -> pn.pane.HTML:
    style = "margin:14px 0 2px;font:600 15px/1.4 var(--panelist-font);color:var(--panelist-text)"
    return pn.pane.HTML(f'<h3 style="{style}">{escape(text)}</h3>', sizing_mode="stretch_width", margin=0)


def _line(*objects: object) -> pmui.FlexBox:
    return pmui.FlexBox(*objects, sizing_mode="stretch_width", margin=(4, 0, 0, 0))


def _clear(field: pmui.TextInput | pmui.PasswordInput) -> None:
    """Empty a field, of which the browser may have told only what is being typed."""
    field.value = field.value_input or field.value
    field.param.update(value="", value_input="")
