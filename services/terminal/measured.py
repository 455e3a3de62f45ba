"""`stats`: what requests to models came to, by day and by model."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, assert_never

from services.errors import InputError, NoDatabaseError
from services.numbers import NOTHING, cost_of, percent, requests, seconds, short, words_of
from services.prices import NANOS
from services.runtime import measuring_of
from services.settings import LOCAL_OWNER
from services.sheets import cell
from services.statistics import EVERYTHING, OfModel, Selection, Spread, Stats, Sums, Times, day_from
from services.terminal.ending import DONE
from services.terminal.output import ClosedError, Output
from services.terminal.tables import table

Form = Literal["tables", "json", "csv"]

COLUMNS = (
    *("day", "endpoint", "model", "requests", "failed", "retries"),
    *("input", "cached_input", "output", "reasoning", "cost_usd"),
    *("first_token_p50_s", "first_token_p95_s", "total_p50_s", "total_p95_s"),
)
"""Of the CSV, in which each row is a model of a day."""

_COUNTS = ("Requests", "Failed", "Input", "Output", "Cost")
_HALVES = ("First word", "Answer")
_SPREADS = ("First word", "95 %", "Answer", "95 %", "Tokens/s")

_NONE_YET = 'No model was asked anything here yet. Begin with: python cli.py ask "What is the future of AI?"'
_NONE_FOUND = "No request is of these days, this endpoint and this model. Leave some of that out."


def selection_of(since: str | None, until: str | None, endpoint: str | None, model: str | None) -> Selection:
    """Return what was typed; InputError where it can be none."""
    return Selection(
        first=None if since is None else day_from("--since", since),
        last=None if until is None else day_from("--until", until),
        endpoint=endpoint,
        model=model,
    )


def form_of(as_json: bool, as_csv: bool) -> Form:
    """Return how it is printed; InputError where both ways are chosen."""
    if as_json and as_csv:
        raise InputError("Figures are printed in one way. Leave out --csv or --json.")
    return "json" if as_json else "csv" if as_csv else "tables"


async def stats(app_dir: Path, selection: Selection, form: Form) -> int:
    """Print what the requests of a selection came to, also while a server uses the database; return the exit code.

    Raises:
        SettingsError: a setting cannot be read.
        StorageError: the database cannot be used.
    """
    found = Stats(sums=Sums(), times=Times(), errors={}, days=(), models=())
    each: list[tuple[str, OfModel]] = []
    with suppress(NoDatabaseError):  # then nothing was asked
        async with measuring_of(app_dir) as measuring:
            found = await measuring.stats(LOCAL_OWNER, selection)
            for day in found.days if form == "csv" else ():
                here = await measuring.stats(LOCAL_OWNER, replace(selection, first=day.date, last=day.date))
                each += [(day.date.isoformat(), of) for of in here.models]
    output = Output()
    with suppress(ClosedError):
        match form:
            case "tables":
                output.write(_tables(output, found, selection))
            case "json":
                output.write(json.dumps(plain_of(found, selection), ensure_ascii=False, indent=2))
            case "csv":
                output.write(_sheet(each))
            case _:
                assert_never(form)
        await output.end()
    return DONE


def plain_of(found: Stats, selection: Selection) -> dict[str, Any]:
    """Return what `--json` prints. What is unknown is None."""
    return {
        "since": None if selection.first is None else selection.first.isoformat(),
        "until": None if selection.last is None else selection.last.isoformat(),
        "endpoint": selection.endpoint,
        "model": selection.model,
        **_plain(found.sums, found.times),
        "errors": dict(found.errors),
        "days": [
            {"day": day.date.isoformat(), **_plain(day.sums, day.times), "errors": dict(day.errors)}
            for day in found.days
        ],
        "models": [
            {"endpoint": of.endpoint, "model": of.model or None, **_plain(of.sums, of.times)} for of in found.models
        ],
    }


def _plain(sums: Sums, times: Times) -> dict[str, Any]:
    return {
        "requests": sums.requests,
        "failed": sums.failed,
        "retries": sums.retries,
        "usage": {name: getattr(sums, name) for name in ("input", "cached_input", "output", "reasoning")},
        "without_usage": sums.untold,
        "cost_usd": _dollars(sums),
        "without_cost": sums.unpriced,
        **asdict(times),
    }


def _dollars(sums: Sums) -> float | None:
    return None if sums.requests and sums.unpriced == sums.requests else sums.price / NANOS


def _sheet(each: Sequence[tuple[str, OfModel]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for day, of in each:
        sums, first, total = of.sums, of.times.first_token_s, of.times.total_s
        dollars = _dollars(sums)
        values = (
            *(day, of.endpoint, of.model, sums.requests, sums.failed, sums.retries),
            *(sums.input, sums.cached_input, sums.output, sums.reasoning),
            None if dollars is None else f"{dollars:.9f}".rstrip("0").rstrip("."),
            *(first.p50, first.p95, total.p50, total.p95),
        )
        writer.writerow(map(cell, values))
    return out.getvalue()


def _tables(output: Output, found: Stats, selection: Selection) -> str:
    if not found.sums.requests:
        return _NONE_YET if selection == EVERYTHING else _NONE_FOUND
    days = [[day.date.isoformat(), *_counts(day.sums), *_halves(day.times)] for day in found.days]
    names = [(of.model or "unknown", of.endpoint) for of in found.models]
    counts = [[*name, *_counts(of.sums)] for name, of in zip(names, found.models, strict=True)]
    times = [[*name, *_spreads(of.times)] for name, of in zip(names, found.models, strict=True)]
    parts = [
        _line(found),
        table(output, ("Day", *_COUNTS, *_HALVES), days, numbers=len(_COUNTS) + len(_HALVES)),
        table(output, ("Model", "Endpoint", *_COUNTS), counts, numbers=len(_COUNTS)),
        table(output, ("Model", "Endpoint", *_SPREADS), times, numbers=len(_SPREADS)),
    ]
    if found.errors:
        errors = [[words_of(kind), f"{count:,}"] for kind, count in found.errors.items()]
        parts.append(table(output, ("Error", "Requests"), errors, numbers=1))
    return "\n\n".join(parts)


def _line(found: Stats) -> str:
    """Return everything together, in one line."""
    sums, times = found.sums, found.times
    notes = {f"{sums.failed:,} failed": sums.failed, f"{sums.retries:,} retries": sums.retries}
    cached = _noted(f"{sums.input:,} in", {f"{sums.cached_input:,} cached": sums.cached_input})
    thought = _noted(f"{sums.output:,} out", {f"{sums.reasoning:,} reasoning": sums.reasoning})
    return " · ".join(
        (
            _noted(requests(sums.requests), notes),
            f"tokens {cached}, {thought}",
            f"first word {_spread(times.first_token_s)}",
            f"whole answer {_spread(times.total_s)}",
            _noted(f"cost {cost_of(sums)}", {f"{sums.unpriced:,} of unknown price": sums.unpriced}),
        )
    )


def _noted(text: str, notes: Mapping[str, int]) -> str:
    """Return a text with those notes behind it that there is anything of."""
    said = ", ".join(note for note, count in notes.items() if count)
    return f"{text} ({said})" if said else text


def _spread(spread: Spread) -> str:
    return f"{seconds(spread.p50)} (95 % within {seconds(spread.p95)})" if spread.count else "unknown"


def _counts(sums: Sums) -> list[str]:
    failed = percent(sums.failed, sums.requests) if sums.failed else NOTHING
    return [f"{sums.requests:,}", failed, short(sums.input), short(sums.output), cost_of(sums)]


def _halves(times: Times) -> list[str]:
    return [seconds(times.first_token_s.p50), seconds(times.total_s.p50)]


def _spreads(times: Times) -> list[str]:
    first, total, speed = times.first_token_s, times.total_s, times.tokens_per_s.p50
    each = (first.p50, first.p95, total.p50, total.p95)
    return [*map(seconds, each), NOTHING if speed is None else f"{speed:.0f}"]
