"""What is promised, and whether this run kept it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from counting import ROWS
from counting import name_of as name_of_usage
from loading import LENGTHS, STATIC, name_of
from report import Runs, median
from searching import KINDS, SIZES
from searching import name_of as name_of_search
from subjects import PANELIST, SSE, STOCK
from terminal import CPU, LEFT, SAME, SDK, START, TERMINAL, TOKENS_CPU

SHORT, *LONGER = map(name_of, LENGTHS)


@dataclass(frozen=True)
class Bar:
    """One promise: a figure of Panelist's and the limit that the baseline of the same run sets."""

    what: str
    rule: str
    figure: float | None
    limit: float | None
    at_least: bool = False

    def __str__(self) -> str:
        if self.figure is None or self.limit is None:
            return f"| {self.what} | {self.rule} | – | – | not measured |"
        kept = self.figure >= self.limit if self.at_least else self.figure <= self.limit
        form = _number(max(self.figure, self.limit))
        return (
            f"| {self.what} | {self.rule} | {form(self.figure)} | {form(self.limit)} | {'yes' if kept else '**no**'} |"
        )


def bars_table(replies: Runs, loads: Runs, others: Runs, searches: Runs, terminals: Runs, counts: Runs) -> str:
    """Return all promises as a Markdown table."""
    lines = ["| what | promised | Panelist | limit | kept |", "| --- | --- | ---: | ---: | --- |"]
    bars = (
        *_of_loading(loads),
        *_of_replies(replies),
        *_of_others(others),
        *_of_searches(searches),
        *_of_terminal(terminals),
        *_of_usage(counts),
    )
    return "\n".join([*lines, *map(str, bars)])


def _of_loading(loads: Runs) -> Iterator[Bar]:
    def load(name: str, row: str) -> float | None:
        return median(loads, name, f"load: {row}")

    rule = "1.5 × a static page of the same HTML"
    for what in ("typable, ms", "readable, ms"):
        yield Bar(f"cold, {what}", rule, load(SHORT, what), _times(1.5, load(STATIC, what)))
    yield Bar("cold, fully live, ms", "stock ChatInterface", load(SHORT, "live, ms"), load(STOCK, "live, ms"))
    idle = "MB per idle session"
    for name in LONGER:
        for what in ("readable, ms", "CPU s"):
            limit = _times(1.2, load(SHORT, what))
            yield Bar(f"{name}: {what}", "1.2 × the short one", load(name, what), limit)
        more = "0.5 more than the short one"
        yield Bar(f"{name}: {idle}", more, load(name, idle), _plus(0.5, load(SHORT, idle)))
    yield Bar(idle, "0.6", load(SHORT, idle), 0.6)


def _of_replies(replies: Runs) -> Iterator[Bar]:
    def ours(row: str) -> float | None:
        return median(replies, PANELIST, row)

    def floor(row: str) -> float | None:
        return median(replies, SSE, row)

    first, last, lag = "200/s: first word, ms", "full speed: last word, ms", "200/s: lag p95, ms"
    later = "200/s, 25th question: lag p95, ms"
    yield Bar("Enter → first word, ms", "2 × the SSE page", ours(first), _times(2, floor(first)))
    yield Bar("2,000 tokens at full speed, Enter → last word, ms", "the SSE page", ours(last), floor(last))
    yield Bar("lag at 200/s, p95, ms", "60 more than the SSE page", ours(lag), _plus(60, floor(lag)))
    yield Bar("the same at the 25th question, ms", "60 more than the SSE page", ours(later), _plus(60, floor(later)))
    yield Bar("server CPU s per 1,000 tokens at 200/s", "the SSE page", ours("200/s: CPU"), floor("200/s: CPU"))
    yield Bar("KB to the browser per reply", "3 × the SSE page", ours("200/s: KB"), _times(3, floor("200/s: KB")))
    yield Bar("main thread busy in a 10 s reply, s", "1.5", ours("200/s: busy, s"), 1.5)
    yield Bar("long tasks over 50 ms in it", "none", ours("200/s: long tasks"), 0)


def _of_others(others: Runs) -> Iterator[Bar]:
    def ours(row: str) -> float | None:
        return median(others, PANELIST, row)

    tabs = "10 tabs: lag p95, ms"
    yield Bar("10 tabs at 50/s, lag p95, ms", "2 × the SSE page", ours(tabs), _times(2, median(others, SSE, tabs)))
    yield Bar("streams at 50/s that one core feeds", "80 at least", ours("streams: one core feeds"), 80, at_least=True)
    for what in ("200 KB", "bombs"):
        yield Bar(f"{what}: event-loop block, ms", "50", ours(f"{what}: event-loop block, ms"), 50)
        yield Bar(f"{what}: browser task, ms", "200", ours(f"{what}: browser task, ms"), 200)


def _of_searches(searches: Runs) -> Iterator[Bar]:
    for kind in KINDS:
        name = name_of_search(SIZES[-1], kind)
        slowest = median(searches, name, "slowest of these, ms")
        yield Bar(f"search among {name}, first results, ms", "100", slowest, 100)


def _of_terminal(terminals: Runs) -> Iterator[Bar]:
    begun = median(terminals, SDK, START)
    yield Bar(
        "`ask`: start → question has left, ms", "1.5 × `import openai`", _ask(terminals, LEFT), _times(1.5, begun)
    )
    bare = _times(1.1, median(terminals, SAME, CPU))
    yield Bar("`ask`, 2,000 tokens: CPU s", "1.1 × the SDK with the same imports", _ask(terminals, CPU), bare)
    tokens = _times(1.1, median(terminals, SDK, TOKENS_CPU))
    yield Bar("of these, what the tokens took: CPU s", "1.1 × the SDK", _ask(terminals, TOKENS_CPU), tokens)


def _ask(terminals: Runs, row: str) -> float | None:
    return median(terminals, TERMINAL, row)


def _of_usage(counts: Runs) -> Iterator[Bar]:
    for kind in KINDS:
        name = name_of_usage(ROWS[-1], kind)
        drawn = median(counts, name, "click → last plot drawn, ms")
        yield Bar(f"usage of {name}, click → last plot, ms", "2,000", drawn, 2_000)


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value


def _plus(more: float, value: float | None) -> float | None:
    return None if value is None else value + more


def _number(largest: float) -> Callable[[float], str]:
    return (lambda value: f"{value:,.0f}") if largest >= 10 else (lambda value: f"{value:.2f}")
