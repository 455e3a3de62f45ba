"""Measure Panelist against its baselines and write benchmarks/results.md. See benchmarks/README.md.

`python benchmarks/run.py [--quick] [--runs N] [--only NAME] [--part PART] [--out FILE]`
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from bars import bars_table
from browser import chromium
from counting import ROWS, measure_usage
from counting import name_of as name_of_usage
from crowd import measure_streams, measure_tabs
from growing import LENGTHS, LISTS, length_of, list_of, measure_opening, measure_sidebar
from heavy import measure_heavy
from loading import COLUMNS, measure_loading
from playwright.sync_api import Browser
from processes import BENCH
from report import Runs, crowd_table, loading_table, machine, table
from searching import KINDS, SIZES, measure_search, name_of
from subjects import COMPARED, PANELIST, SUBJECTS, Figures, Subject, measure
from terminal import COLUMNS as TERMINALS
from terminal import measure_terminal

PARTS = ("loading", "reply", "crowd", "heavy", "search", "sidebar", "opening", "terminal", "usage")


def main() -> None:
    options = _options()
    parts = options.part or PARTS
    chosen = [s for s in SUBJECTS if not options.only or s.name in options.only]
    tokens = 500 if options.quick else 2000
    wanted = 1 if options.quick and options.runs is None else options.runs or 3
    load = os.getloadavg()[0]
    replies: dict[str, list[Figures]] = {subject.name: [] for subject in chosen}
    loads: dict[str, list[Figures]] = {name: [] for name in COLUMNS}
    others: dict[str, list[Figures]] = {name: [] for name in COMPARED}
    searches: dict[str, list[Figures]] = {name_of(*one): [] for one in product(SIZES, KINDS)}
    lists: dict[str, list[Figures]] = {list_of(count): [] for count in LISTS}
    openings: dict[str, list[Figures]] = {length_of(count): [] for count in LENGTHS}
    terminals: dict[str, list[Figures]] = {name: [] for name in TERMINALS}
    counts: dict[str, list[Figures]] = {name_of_usage(*one): [] for one in product(ROWS, KINDS)}
    failures: list[str] = []
    with chromium() as browser, tempfile.TemporaryDirectory(prefix="panelist-bench-") as folder:
        home = Path(folder)
        if "loading" in parts:
            with _noted("loading", failures):
                for name, figures in measure_loading(browser, home / "loading").items():
                    loads[name].append(figures)
        for number in range(wanted if "reply" in parts else 0):
            # Interleaved, and in the other order every second time: what else the machine does hits all alike.
            for subject in chosen if number % 2 == 0 else chosen[::-1]:
                print(f"run {number + 1} of {wanted}: {subject.name}", flush=True)
                at = home / str(number) / subject.name.replace(" ", "-")
                replies[subject.name].append(_measure(subject, browser, at, tokens, failures))
        for subject in [s for s in SUBJECTS if s.name in COMPARED] if "crowd" in parts else []:
            with _noted(f"10 tabs, {subject.name}", failures):
                others[subject.name].append(measure_tabs(subject, browser, home / f"tabs-{subject.name}"))
            with _noted(f"streams, {subject.name}", failures):
                others[subject.name].append(measure_streams(subject, home / f"streams-{subject.name}"))
        if "heavy" in parts:
            with _noted("heavy", failures):
                most = 8 if options.quick else None
                others[PANELIST].append(measure_heavy(browser, home / "heavy", most))
        sizes = SIZES[:-1] if options.quick else SIZES
        for one in product(sizes, KINDS) if "search" in parts else ():
            with _noted(f"search, {name_of(*one)}", failures):
                searches[name_of(*one)].append(measure_search(home, *one))
        for count in LISTS if "sidebar" in parts else ():
            with _noted(f"sidebar, {list_of(count)}", failures):
                lists[list_of(count)].append(measure_sidebar(browser, home / f"sidebar-{count}", count))
        if "opening" in parts:
            with _noted("opening", failures):
                for name, figures in measure_opening(browser, home / "opening").items():
                    openings[name].append(figures)
        if "terminal" in parts:
            with _noted("terminal", failures):
                for name, figures in measure_terminal(home / "terminal", 5 if options.quick else 15):
                    terminals[name].append(figures)
        many = ROWS[:-1] if options.quick else ROWS
        _count(browser, home, many if "usage" in parts else (), counts, failures)
        about = machine(browser.version, load)
    text = _text(replies, loads, others, searches, lists, openings, terminals, counts, wanted, tokens, failures, about)
    print("\n" + text)
    options.out.write_text(text, "utf-8")


def _count(
    browser: Browser, home: Path, many: Sequence[int], counts: dict[str, list[Figures]], failures: list[str]
) -> None:
    for count, kind in product(many, KINDS):
        with _noted(f"usage, {name_of_usage(count, kind)}", failures):
            figures = measure_usage(browser, home / f"usage-{count}-{kind}", count, kind)
            counts[name_of_usage(count, kind)].append(figures)


@contextmanager
def _noted(what: str, failures: list[str]) -> Iterator[None]:
    """Measure one part: one that fails must not cost the others' figures."""
    print(what, flush=True)
    try:
        yield
    except Exception as error:
        failures.append(f"{what}: {type(error).__name__}: {error}")


def _measure(subject: Subject, browser: Browser, home: Path, tokens: int, failures: list[str]) -> Figures:
    try:
        return measure(subject, browser, home, tokens, failures)
    except Exception as error:  # one subject that does not start must not cost the others' figures
        failures.append(f"{subject.name}: {type(error).__name__}: {error}")
        return {}


def _text(
    replies: Runs,
    loads: Runs,
    others: Runs,
    searches: Runs,
    lists: Runs,
    openings: Runs,
    terminals: Runs,
    counts: Runs,
    wanted: int,
    tokens: int,
    failures: Sequence[str],
    about: str,
) -> str:
    pages = [subject.name for subject in SUBJECTS if subject.page is not None]
    failed = "\nFailed:\n\n" + "\n".join(f"- {line.splitlines()[0]}" for line in failures) + "\n" if failures else ""
    return (
        f"# Results\n\nA reply of {tokens:,} tokens; medians of {wanted} interleaved "
        f"run{'s' if wanted > 1 else ''}. What each row means: [README](README.md).\n\n"
        f"## Promises\n\n{bars_table(replies, loads, others, searches, terminals, counts)}\n\n"
        f"## One reply\n\n{table(replies, pages, wanted)}\n\n"
        f"## Loading\n\n{loading_table(loads)}\n\n"
        f"## Many at once, and hard replies\n\n{crowd_table(others)}\n\n"
        f"## Search\n\n{crowd_table(searches)}\n\n"
        f"## The list of conversations\n\n{crowd_table(lists)}\n\n"
        f"## Opening a conversation\n\n{crowd_table(openings)}\n\n"
        f"## The terminal\n\n{crowd_table(terminals)}\n\n"
        f"## Usage\n\n{crowd_table(counts)}\n{failed}\n{about}\n"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Panelist against its baselines.")
    parser.add_argument("--quick", action="store_true", help="500 tokens and, unless --runs says more, one run")
    parser.add_argument("--runs", type=int, help="interleaved runs, of which medians are shown (3)")
    parser.add_argument("--only", action="append", metavar="NAME", help="this column alone; may be given again")
    parser.add_argument("--part", action="append", choices=PARTS, help="this part alone; may be given again")
    parser.add_argument("--out", type=Path, default=BENCH / "results.md", help="where the table goes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
