"""White space that means nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.render.prose import Edit, Prose, prose_of

_LINE = re.compile(r"([^\n]*?)([ \t]*)(?:\n|\Z)")
_BLANK = re.compile(r"[ \t]*(?:\n|\Z)")


def trim(text: str) -> str:
    """Return a text without spaces at the end of its lines, runs of blank lines, and blank lines around it.

    Code and formulas stay byte for byte, and so does what the text means: two or more spaces that break a line in
    Markdown become exactly two. Where less white space would be read otherwise, all of it stays.
    """
    prose = prose_of(text)
    return prose.edited(_edits(prose)) if text.strip() else text


def _edits(prose: Prose) -> Iterator[Edit]:
    frozen = frozenset(_ends_in_code(prose))
    last = max(len(prose.source.rstrip(" \t\n")), *(end for _, end in prose.kept[-1:]), 0)
    text = prose.source[:last]
    kept = iter(prose.kept)
    start, end = next(kept, (last, last))
    after_blank = True
    for line in _LINE.finditer(text):
        while line.start() >= end and end < last:
            start, end = next(kept, (last, last))
        if start <= line.start() < end:
            after_blank = False
        elif line[1]:
            after_blank = False
            if line[2] and line.end(2) not in frozen:
                yield from _without_end(line, goes_on=not _BLANK.match(text, line.end()))
        elif line[0]:
            if after_blank or line[2]:
                yield Edit(line.start(), line.end(), "" if after_blank else "\n")
            after_blank = True
    if last < len(prose.source):
        yield Edit(last, len(prose.source), "")


def _without_end(line: re.Match[str], *, goes_on: bool) -> Iterator[Edit]:
    """Yield what becomes of the white space behind the words of a line."""
    means_break = goes_on and line[2].endswith("  ")
    if line[2] != "  " * means_break and not line[1].endswith("\\"):  # which would break the line in its stead
        yield Edit(line.start(2), line.end(2), "  " * means_break)


def _ends_in_code(prose: Prose) -> Iterator[int]:
    """Yield where lines end inside of code, a formula or an address that goes on after them."""
    for passage in prose.passages:
        for start, end in passage.fixed:
            for found in re.finditer("\n", passage.text[start:end]):
                yield prose.source.index("\n", passage.place(start + found.start()))
