"""The plots of the dashboard: made once, then given other data. Bokeh's own, whose script every page has already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, NamedTuple

import panel as pn
from bokeh.models import (
    BoxSelectTool,
    ColumnDataSource,
    DatetimeTickFormatter,
    FactorRange,
    HoverTool,
    NumeralTickFormatter,
    Range1d,
    TapTool,
)
from bokeh.plotting import figure as new_figure

from components.dashboard.looking import Looked
from services.errors import FailureKind
from services.numbers import requests, seconds, words_of
from services.prices import NANOS, in_dollars
from services.statistics import Day, OfModel

Plot = Literal["spend", "tokens", "activity", "errors", "latency"]

MODELS = 12
"""Models of the plot of times; the others are in the table."""

LONGEST = 24
"""Characters of a model's name beside an axis."""

_DAY_MS = 86_400_000

# After Okabe and Ito (https://jfly.uni-koeln.de/color/), which people tell apart who see fewer colours.
SERIES = {
    "light": ("#0b6e60", "#8a6d00", "#0072b2", "#b04a00", "#9c4a80", "#5f6b67", "#3f9184", "#7a3b00"),
    "dark": ("#58c9b5", "#e6c64c", "#56b4e9", "#f08c4a", "#dd93bd", "#a3aeaa", "#2f8d7d", "#c9946b"),
}

_COLUMNS = ("x", "bottom", "top", "colour", "name", "day", "shown")

TOKENS = ("Input", "Input from a cache", "Output")
"""What tokens are of, in the order of the colours."""


class Bar(NamedTuple):
    """A part of a day's bar."""

    name: str
    series: int
    """Its place among the colours."""
    height: float
    shown: str


class Figures:
    """All plots of one dashboard. Their data are lines of text and numbers; nothing in them is HTML."""

    def __init__(self, on_brush: Callable[[date | None, date | None], None], *, drags: bool) -> None:
        """Make them, which takes a tenth of a second and needs no document.

        Args:
            on_brush: Told which days were chosen in the plot of what was spent; None and None for none.
            drags: Whether a drag chooses: on a phone it scrolls.
        """
        self._on_brush = on_brush
        self._drags = drags
        self._scheme = "light"
        self._last: dict[Plot, list[tuple[date, Sequence[Bar]]]] = {}
        self._whole = Range1d(start=0, end=1)
        self._days = Range1d(start=0, end=1)
        self._sources: dict[Plot, ColumnDataSource] = {}
        self._line = ColumnDataSource({"x": [], "y": []})
        self._spans = ColumnDataSource()
        self._held: list[_Span] = []
        self._models = FactorRange()
        self._dates: list[date] = []
        self._hushed = False
        self._figures: dict[Plot, Any] = {
            "spend": self._of_days("spend", self._whole, "$0,0.00[00]"),
            "tokens": self._of_days("tokens", self._days, "0.[0]a"),
            "activity": self._of_days("activity", self._days, "0,0"),
            "errors": self._of_days("errors", self._days, "0,0"),
            "latency": self._of_models(),
        }
        spend = self._figures["spend"]
        self._instead = spend.line("x", "y", source=self._line, line_width=2, line_dash="dashed")
        if drags:
            brush = BoxSelectTool(dimensions="width")
            spend.add_tools(brush, TapTool())
            spend.toolbar.active_drag = brush
            self._sources["spend"].selected.on_change("indices", self._on_selected)
        self.panes: dict[Plot, pn.pane.Bokeh] = {
            name: pn.pane.Bokeh(made, sizing_mode="stretch_width", margin=0) for name, made in self._figures.items()
        }
        self._fill_spans()

    def dress(self, dark: bool) -> None:
        """Take the colours of a theme, as far as they are data: axes and grounds take the kit's by themselves."""
        self._scheme = "dark" if dark else "light"
        self._instead.glyph.line_color = self._colour(3)
        for name, days in self._last.items():
            self._fill(name, days)
        self._fill_spans()

    def show(self, looked: Looked) -> None:
        """Show what was spent in all days of a period, and of the days that were chosen everything else."""
        period, brushed = looked.period.days, looked.look.brushed
        self._dates = [day.date for day in period]
        self._fill("spend", [(day.date, spend_of(day)) for day in period])
        _fit(self._whole, self._dates)
        chosen = [] if brushed is None else [i for i, day in enumerate(self._dates) if brushed[0] <= day <= brushed[1]]
        self._hushed = True
        try:
            self._sources["spend"].selected.indices = chosen
        finally:
            self._hushed = False
        instead = looked.instead_period.days if looked.instead_period is not None else ()
        self._line.data = {"x": [_ms(day) for day, _ in instead], "y": [price / NANOS for _, price in instead]}
        days, order = looked.stats.days, list(looked.period.errors)
        self._fill("tokens", [(day.date, tokens_of(day)) for day in days])
        self._fill("activity", [(day.date, activity_of(day)) for day in days])
        self._fill("errors", [(day.date, errors_of(day, order)) for day in days])
        _fit(self._days, [day.date for day in days])
        self._show_models(looked.stats.models[:MODELS])

    def _on_selected(self, attribute: str, old: list[int], new: list[int]) -> None:
        if self._hushed:
            return
        days = [self._dates[place] for place in new if place < len(self._dates)]
        self._on_brush(min(days, default=None), max(days, default=None))

    def _of_days(self, name: Plot, x_range: Range1d, numbers: str) -> Any:
        made = _figure(height=200, x_range=x_range, x_axis_type="datetime")
        source = self._sources[name] = ColumnDataSource({column: [] for column in _COLUMNS})
        bars = made.vbar(
            *("x", 0.8 * _DAY_MS, "top", "bottom"),
            source=source,
            fill_color="colour",
            line_color=None,
            nonselection_fill_alpha=0.25,
        )
        tooltips = '<div style="font:13px sans-serif">@day<br><b>@name</b> @shown</div>'
        made.add_tools(HoverTool(renderers=[bars], tooltips=tooltips, mode="vline"))
        made.y_range.start = 0
        made.yaxis.formatter = NumeralTickFormatter(format=numbers)
        if numbers == "0,0":
            made.yaxis.ticker.min_interval = 1
        made.xaxis.formatter = DatetimeTickFormatter(hours="", minutes="", days="%d %b", months="%b %Y", years="%Y")
        made.xaxis.ticker.desired_num_ticks = 6 if self._drags else 4
        return made

    def _of_models(self) -> Any:
        made = _figure(height=200, y_range=self._models, x_axis_type="log", x_range=Range1d(start=0.1, end=10))
        one = {"y": "place", "source": self._spans, "fill_color": "colour", "line_color": None}
        spans = made.hbar(left="low", right="high", height=0.28, fill_alpha=0.4, **one)
        ends = [made.scatter(x, size=9, marker=marker, **one) for x, marker in (("low", "circle"), ("high", "diamond"))]
        tooltips = [("Model", "@model"), ("", "@what"), ("Half within", "@p50"), ("95 % within", "@p95")]
        made.add_tools(HoverTool(renderers=[spans, *ends], tooltips=[*tooltips, ("Answers", "@count")]))
        made.xaxis.formatter = NumeralTickFormatter(format="0.[000]")
        made.xaxis.axis_label = "seconds"
        return made

    def _show_models(self, models: Sequence[OfModel]) -> None:
        spans: list[_Span] = []
        for name, of in zip(names_of(models), models, strict=True):
            for place, (what, spread) in enumerate(
                (("First word", of.times.first_token_s), ("Whole answer", of.times.total_s))
            ):
                if spread.p50 is not None and spread.p95 is not None:
                    spans.append(_Span(name, what, place, spread.p50, spread.p95, f"{spread.count:,}"))
        self._held = spans
        self._models.factors = list(dict.fromkeys(span.model for span in reversed(spans)))
        self._fill_spans()
        made = self._figures["latency"]
        made.height = max(200, 60 + 34 * len(self._models.factors))
        ends = [end for span in spans for end in (span.low, span.high)] or [1.0]
        made.x_range.update(start=min(ends) / 1.5, end=max(ends) * 1.5)

    def _fill_spans(self) -> None:
        self._spans.data = {
            "place": [(span.model, 0.18 - 0.36 * span.series) for span in self._held],
            "low": [span.low for span in self._held],
            "high": [span.high for span in self._held],
            "colour": [self._colour(span.series) for span in self._held],
            "model": [span.model for span in self._held],
            "what": [span.what for span in self._held],
            "p50": [seconds(span.low) for span in self._held],
            "p95": [seconds(span.high) for span in self._held],
            "count": [span.count for span in self._held],
        }

    def _fill(self, name: Plot, days: list[tuple[date, Sequence[Bar]]]) -> None:
        self._last[name] = days
        data: dict[str, list[object]] = {column: [] for column in _COLUMNS}
        for day, bars in days:
            bottom = 0.0
            for bar in bars:
                top = bottom + bar.height
                row = (_ms(day), bottom, top, self._colour(bar.series), bar.name, f"{day:%d %b %Y}", bar.shown)
                for column, value in zip(_COLUMNS, row, strict=True):
                    data[column].append(value)
                bottom = top
        self._sources[name].data = data

    def _colour(self, series: int) -> str:
        colours = SERIES[self._scheme]
        return colours[series % len(colours)]


@dataclass(frozen=True, slots=True)
class _Span:
    """From half to nearly all of a model's answers."""

    model: str
    what: str
    series: int
    low: float
    high: float
    count: str


def spend_of(day: Day) -> list[Bar]:
    """Return the bar of what a day cost."""
    sums = day.sums
    more = f", {sums.unpriced:,} of unknown price" if sums.unpriced else ""
    return [Bar("Spent", 0, sums.price / NANOS, f"{in_dollars(sums.price)} for {requests(sums.requests)}{more}")]


def tokens_of(day: Day) -> list[Bar]:
    """Return the bar of a day's tokens, as they are paid for."""
    sums = day.sums
    cached = min(sums.cached_input, sums.input)
    parts = ((TOKENS[0], sums.input - cached), (TOKENS[1], cached), (TOKENS[2], sums.output))
    return [Bar(name, place, count, f"{count:,}") for place, (name, count) in enumerate(parts) if count]


def activity_of(day: Day) -> list[Bar]:
    """Return the bar of a day's requests."""
    return [Bar("Requests", 0, day.sums.requests, f"{day.sums.requests:,}")]


def errors_of(day: Day, order: Sequence[FailureKind]) -> list[Bar]:
    """Return the bar of a day's errors by class, in an order."""
    return [
        Bar(words_of(kind), place, day.errors[kind], f"{day.errors[kind]:,}")
        for place, kind in enumerate(order)
        if day.errors.get(kind)
    ]


def names_of(models: Iterable[OfModel]) -> list[str]:
    """Return a name for each model, short, all different, and of nothing that a plot would read as a formula."""
    found: list[str] = []
    for of in models:
        name = (of.model or "unknown").replace("$$", "$").replace("\\", "/")
        name = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
        if name in found:
            name = f"{name} · {of.endpoint[:LONGEST]}".replace("$$", "$").replace("\\", "/")
        while name in found:
            name += "′"
        found.append(name)
    return found


def _figure(**more: Any) -> Any:
    made = new_figure(
        sizing_mode="stretch_width", toolbar_location=None, tools="", min_border_left=0, min_border_right=8, **more
    )
    made.background_fill_alpha = 0  # which the kit takes for a plot that has no ground of its own
    made.outline_line_color = None
    return made


def _fit(shown: Range1d, days: Sequence[date]) -> None:
    """Show these days, each whole; at least a week, for the bars' sake."""
    last = _ms(days[-1]) if days else 0
    first = min(_ms(days[0]) if days else 0, last - 6 * _DAY_MS)
    shown.update(start=first - 0.6 * _DAY_MS, end=last + 0.6 * _DAY_MS)


def _ms(day: date) -> int:
    """Return where a day stands: plots know no time zones."""
    return (day - date(1970, 1, 1)).days * _DAY_MS
