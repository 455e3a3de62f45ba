"""The table: medians over the runs, one column per subject, and on what they were measured."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

Runs = Mapping[str, Sequence[Mapping[str, float]]]
"""Subject to its figures, one mapping per run."""

_PACKAGES = ("panel", "bokeh", "panel-material-ui", "openai", "tornado", "playwright")
_CPU_BASE = "SDK alone"


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _seconds(value: float) -> str:
    return f"{value:.2f}"


def _rows() -> list[tuple[str, str, Callable[[float], str]]]:
    """Return label, figure and format of each row."""
    rows: list[tuple[str, str, Callable[[float], str]]] = []
    for speed in ("full speed", "200/s"):
        rows += [
            (f"{speed}: Enter → first visible word, ms", f"{speed}: first word, ms", _number),
            (f"{speed}: Enter → last visible word, ms", f"{speed}: last word, ms", _number),
        ]
        if speed == "200/s":
            rows.append(("200/s: lag of a word, sent → visible, p95, ms", "200/s: lag p95, ms", _number))
            rows.append(("200/s: the same at the 25th question, ms", "200/s, 25th question: lag p95, ms", _number))
        rows += [
            (f"{speed}: server CPU s per 1,000 tokens", f"{speed}: CPU", _seconds),
            (f"{speed}: the same, times {_CPU_BASE}", f"{speed}: ratio", lambda value: f"{value:.1f}×"),
            (f"{speed}: KB to the browser per reply", f"{speed}: KB", _number),
            (f"{speed}: browser main thread busy, s", f"{speed}: busy, s", _seconds),
            (f"{speed}: long tasks over 50 ms, number", f"{speed}: long tasks", _number),
            (f"{speed}: long tasks over 50 ms, total ms", f"{speed}: long tasks, ms", _number),
        ]
    return rows


_LOADING: list[tuple[str, str, Callable[[float], str]]] = [
    ("cold load → typable, ms", "load: typable, ms", _number),
    ("cold load → conversation readable, ms", "load: readable, ms", _number),
    ("cold load → live, ms", "load: live, ms", _number),
    ("cold load → the shell around it, too, ms", "load: whole, ms", _number),
    ("KB to load the page, cold", "load: KB", _number),
    ("server CPU s per load", "load: CPU s", _seconds),
    ("server memory per open, idle page, MB", "load: MB per idle session", _seconds),
]


def table(runs: Runs, pages: Sequence[str], wanted: int) -> str:
    """Return the medians as a Markdown table; `pages` are the subjects with a browser, `wanted` the runs asked for."""
    return _table(runs, _rows(), lambda name, row, form: _cell(runs, name, row, form, pages, wanted))


def loading_table(runs: Runs) -> str:
    """Return what loading takes as a Markdown table."""
    return _table(runs, _LOADING, lambda name, row, form: _plain_cell(runs, name, row, form))


def crowd_table(runs: Runs) -> str:
    """Return what many at once, and hard replies, take."""
    found = dict.fromkeys(row for several in runs.values() for figures in several for row in figures)
    rows = [(row, row, _seconds if row.endswith(" s") else _number) for row in found]
    return _table(runs, rows, lambda name, row, form: _plain_cell(runs, name, row, form))


def _table(
    runs: Runs,
    rows: Sequence[tuple[str, str, Callable[[float], str]]],
    cell: Callable[[str, str, Callable[[float], str]], str],
) -> str:
    lines = [f"| | {' | '.join(runs)} |", f"| --- |{' ---: |' * len(runs)}"]
    lines += [f"| {label} | {' | '.join(cell(name, row, form) for name in runs)} |" for label, row, form in rows]
    return "\n".join(lines)


def _plain_cell(runs: Runs, name: str, row: str, form: Callable[[float], str]) -> str:
    value = median(runs, name, row)
    return "–" if value is None else form(value)


def _cell(runs: Runs, name: str, figure: str, form: Callable[[float], str], pages: Sequence[str], wanted: int) -> str:
    if figure.endswith(": ratio"):
        cpu = figure.replace("ratio", "CPU")
        one, base = median(runs, name, cpu), median(runs, _CPU_BASE, cpu)
        return form(one / base) if one is not None and base else "–"
    value = median(runs, name, figure)
    of_browser = not figure.endswith((": CPU", "word, ms", "lag p95, ms"))
    if value is None:
        return "failed" if name in pages or not of_browser else "–"
    done = sum(figure in run for run in runs[name])
    return form(value) + (f" ({wanted - done} of {wanted} failed)" if done < wanted else "")


def median(runs: Runs, name: str, figure: str) -> float | None:
    """Return the median of a figure of one column; None where no run has it."""
    values = [run[figure] for run in runs.get(name, ()) if figure in run]
    return statistics.median(values) if values else None


def machine(chromium: str, load: float) -> str:
    """Return the lines that say on what, with what and when it was measured."""
    cpuinfo = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    cpu = next((line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")), "unknown CPU")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"Machine: {os.cpu_count()} × {cpu}, {memory:.0f} GB, {platform.system()} {platform.release()}; "
        f"load average before the first run {load:.1f} (what else it had to do: 0 is an idle machine).\n"
        f"Versions: Python {platform.python_version()}, {packages}, Chromium {chromium}.\n"
        f"Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
    )
