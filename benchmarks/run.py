"""Measure Panelist against its baselines and write benchmarks/results.md. See benchmarks/README.md.

`python benchmarks/run.py [--quick] [--runs N] [--only NAME] [--out FILE]`
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from browser import chromium
from playwright.sync_api import Browser
from processes import BENCH
from report import machine, table
from subjects import SUBJECTS, Figures, Subject, measure


def main() -> None:
    options = _options()
    chosen = [s for s in SUBJECTS if not options.only or s.name in options.only]
    tokens = 500 if options.quick else 2000
    wanted = 1 if options.quick and options.runs is None else options.runs or 3
    load = os.getloadavg()[0]
    runs: dict[str, list[Figures]] = {subject.name: [] for subject in chosen}
    failures: list[str] = []
    with chromium() as browser, tempfile.TemporaryDirectory(prefix="panelist-bench-") as folder:
        for number in range(wanted):
            # Interleaved, and in the other order every second time: what else the machine does hits all alike.
            for subject in chosen if number % 2 == 0 else chosen[::-1]:
                print(f"run {number + 1} of {wanted}: {subject.name}", flush=True)
                home = Path(folder) / str(number) / subject.name.replace(" ", "-")
                runs[subject.name].append(_measure(subject, browser, home, tokens, failures))
        about = machine(browser.version, load)
    text = _text(runs, wanted, tokens, failures, about)
    print("\n" + text)
    options.out.write_text(text, "utf-8")


def _measure(subject: Subject, browser: Browser, home: Path, tokens: int, failures: list[str]) -> Figures:
    try:
        return measure(subject, browser, home, tokens, failures)
    except Exception as error:  # one subject that does not start must not cost the others' figures
        failures.append(f"{subject.name}: {type(error).__name__}: {error}")
        return {}


def _text(runs: dict[str, list[Figures]], wanted: int, tokens: int, failures: Sequence[str], about: str) -> str:
    pages = [subject.name for subject in SUBJECTS if subject.page is not None]
    failed = "\nFailed:\n\n" + "\n".join(f"- {line.splitlines()[0]}" for line in failures) + "\n" if failures else ""
    return (
        f"# Results\n\nA reply of {tokens:,} tokens; medians of {wanted} interleaved "
        f"run{'s' if wanted > 1 else ''}. What each row means: [README](README.md).\n\n"
        f"{table(runs, pages, wanted)}\n{failed}\n{about}\n"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Panelist against its baselines.")
    parser.add_argument("--quick", action="store_true", help="500 tokens and, unless --runs says more, one run")
    parser.add_argument("--runs", type=int, help="interleaved runs, of which medians are shown (3)")
    parser.add_argument("--only", action="append", metavar="NAME", help="this column alone; may be given again")
    parser.add_argument("--out", type=Path, default=BENCH / "results.md", help="where the table goes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
