"""Grammar and style of English prose by Harper, which may not be installed: https://pypi.org/project/harper-py/."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from itertools import accumulate
from threading import Lock
from typing import TYPE_CHECKING

from services.post.typography import language_of
from services.render.prose import Edit, Passage, Prose, prose_of

if TYPE_CHECKING:
    from harper import Lint, Linter

HARPER = "harper-py>=0.2,<0.3"

_KINDS = frozenset(
    {"Agreement", "BoundaryError", "Eggcorn", "Grammar", "Malapropism", "Nonstandard", "Redundancy", "Repetition"}
)
"""What is put right. Not spelling, which knows no names, nor choice of words, which does not see what is meant."""
_ARTICLE, _MODAL = "indefinite article", "`have` rather than `of`"
"""Words in the messages of two rules of other kinds that are right nearly always."""
_WORDS = re.compile(r"[^\W_]+(?:[ '’-][^\W_]+)*[.,]?")
_MOST_PASSES = 3
_LONGEST = 20_000
"""Characters of a passage beyond which it is left alone, and of several that are looked at together."""
_BETWEEN = "\n\n"

_lock = Lock()
_linters: list[Linter] = []
"""One at most: it takes a second to make and 100 MB to keep, and serves one thread at a time."""


def is_installed() -> bool:
    return find_spec("harper") is not None


def load() -> None:
    """Make the linter, unless it is there."""
    with _lock:
        _linter()


def grammar(text: str) -> str:
    """Return an English text with what Harper is sure of put right: where it has one suggestion, in prose.

    Texts in other languages stay as they are.
    """
    for _ in range(_MOST_PASSES):  # what is put right may let it see more
        prose = prose_of(text)
        if language_of(prose) != "en":
            return text
        with _lock:
            better = prose.edited(list(_edits(prose, _linter())))
        if better == text:
            break
        text = better
    return text


def _linter() -> Linter:
    if not _linters:
        from harper import Linter  # noqa: PLC0415 - it may not be installed

        linter = Linter()
        linter.set_lint_config({**linter.get_lint_config(), "SpellCheck": False})
        _linters.append(linter)
    return _linters[0]


def _edits(prose: Prose, linter: Linter) -> Iterator[Edit]:
    for passages in _batches(prose.passages):
        starts = [0, *accumulate(len(passage.text) + len(_BETWEEN) for passage in passages)]
        end = 0
        lints = linter.lint(_BETWEEN.join(passage.text for passage in passages))
        for lint in sorted(lints, key=lambda one: (one.span.start, one.span.end)):
            number = bisect_right(starts, lint.span.start) - 1
            passage, start, stop = passages[number], *(at - starts[number] for at in (lint.span.start, lint.span.end))
            better = _better(lint)
            if better is not None and lint.span.start >= end and passage.is_free(start, stop):
                at, end = passage.place(start), lint.span.end
                yield Edit(at, at + stop - start, better)


def _batches(passages: Iterable[Passage]) -> Iterator[list[Passage]]:
    """Yield passages that are looked at together, as paragraphs: a call costs as much as a hundred letters."""
    batch: list[Passage] = []
    size = 0
    for passage in passages:
        if len(passage.text) > _LONGEST:
            continue
        if size + len(passage.text) > _LONGEST:
            yield batch
            batch, size = [], 0
        batch.append(passage)
        size += len(passage.text) + len(_BETWEEN)
    if batch:
        yield batch


def _better(lint: Lint) -> str | None:
    """Return what is better beyond doubt; None where there is a choice, or where more than words would change."""
    if lint.lint_kind not in _KINDS and not any(words in lint.message for words in (_ARTICLE, _MODAL)):
        return None
    words, suggestions = lint.problem_text, lint.suggestions
    if len(suggestions) != 1 or suggestions[0].kind.name != "REPLACE" or any(map(str.isupper, words[1:])):
        return None
    better = suggestions[0].replacement_text
    if not (_WORDS.fullmatch(words) and _WORDS.fullmatch(better)):
        return None
    return better.capitalize() if words == "A" else better  # it says AN
