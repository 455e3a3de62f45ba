"""What is not finished yet, shown calmly: the last line and the last words look as what they are about to become."""

from __future__ import annotations

import html
import re

from markdown_it.token import Token

from services.render.code import code_html
from services.render.halves import guessable
from services.render.tables import TABLE_END

_CONTAINERS = r"(?:[ \t>]|[-+*](?=[ \t])|\d{1,9}[.)](?=[ \t]))*"
_HALF_LINE = re.compile(
    rf"(?!{_CONTAINERS}(?:`{{3}}|~{{3}})){_CONTAINERS}"
    r"(?:[-=+*#>|`~_:$ \t]+|\d{1,9}[.)]?|\\[(\[]?|\[(?:[ xX](?:\][ \t]*)?)?"
    r"|\[\^[^\[\]\s]{0,40}(?:\]:?)?|\[[^\[\]\n]{1,60}\]:)?[ \t]*"
)
"""A last line that is nothing but markers: it may become a heading, a list, a rule, a table, a fence, a note…"""
_HEAD_ROW = re.compile(rf"({_CONTAINERS})\|[^\n]*")
"""A line that looks like the first row of a table."""
_FORMULA = re.compile(rf"^{_CONTAINERS}(\$\$(?!\$)|\\\[)", re.M)
_MAX_HALF_LINE, _MAX_COLUMNS = 200, 50


def open_fence(source: str, fence: re.Match[str]) -> str:
    """Return the frame of a code block whose end has not come: as cheap as escaping it."""
    code = source[fence.end() :]
    whole, _, last = code.rpartition("\n")
    if last.strip() and not last.strip().strip(fence[2][0]):  # the closing fence, half written
        code = whole
    if fence[1]:
        code = re.sub(rf"^ {{1,{len(fence[1])}}}", "", code, flags=re.M)
    return code_html(html.escape(code), (fence[3].split() or [""])[0])


def without_half_line(source: str) -> str:
    """Return `source` without a last line that says nothing yet."""
    start = source.rfind("\n") + 1
    half = len(source) - start <= _MAX_HALF_LINE and _HALF_LINE.fullmatch(source, start)
    return source[:start] if half else source


def completed(source: str) -> str:
    """Return `source` with a guess at its end: that of a formula, or what makes a table of a line that looks like one.

    What has only begun is left out. A guess may be wrong: `is_right` tells.
    """
    if opening := _open_formula(source):
        if not source[opening.end() :].strip("$\\ \t\n"):
            return source[: opening.start()]
        end = "$$" if opening[1] == "$$" else "\\]"
        return source.rstrip("$\\ \t\n") + end
    return _with_table(source)


def is_right(tokens: list[Token]) -> bool:
    """Return whether a block ends with what was guessed: a formula, marked as open, or the first row of a table."""
    i = _last(tokens)
    if tokens[i].type == "math":
        tokens[i].meta["open"] = True
    return tokens[i].type == "math" or tokens[i - 1].type == "th_open"


def _open_formula(source: str) -> re.Match[str] | None:
    """Return the first line of a formula without an end in the last lines; blank lines are not in formulas."""
    at = source.rfind("\n\n") + 1
    while opening := _FORMULA.search(source, at):
        at = source.find("$$" if opening[1] == "$$" else "\\]", opening.end()) + 2
        if at == 1:
            return opening
    return None


def _with_table(source: str) -> str:
    lines = source.rstrip("\n").rsplit("\n", 2)
    head = _HEAD_ROW.fullmatch(lines[-1])
    before = _HEAD_ROW.fullmatch(lines[-2]) if len(lines) > 1 else None
    if head is None or before is not None or source.endswith("\n\n"):
        return source
    row = re.sub(r"\\.?", "", lines[-1][len(head[1]) :].strip())
    columns = row.removesuffix("|").count("|")
    if not 0 < columns <= _MAX_COLUMNS:
        return source
    row_end = lines[-1].rstrip("\\ \t")
    return "\n".join([*lines[:-1], row_end, re.sub(r"[^>\t]", " ", head[1]) + "|-" * columns + "|"])


def calm(tokens: list[Token], source: str) -> None:
    """Mark in the last block what is not finished: its code stays as it is, its last words are guessed at."""
    last = tokens[_last(tokens)]
    end = source.rstrip("\n").rsplit("\n", 1)[-1].strip("> \t")
    if last.type == "fence" and not (last.content and end.startswith(last.markup) and not end.strip(last.markup[0])):
        last.meta["open"] = True
        if not last.content and not source.endswith("\n"):  # the language, half written
            last.info = ""
    if last.type == "inline":  # of a table's row it is the last cell that has begun
        words = next((token for token in reversed(tokens) if token.type == "inline" and token.content), last)
        if guessable(words.content):
            words.meta["half"] = True


def _last(tokens: list[Token]) -> int:
    return max(i for i, token in enumerate(tokens) if token.nesting != -1)


def spliced(tail: str, more: str) -> str:
    """Return `tail` with escaped text added inside its last element; a table waits for its next paint."""
    if tail.endswith(TABLE_END):
        return tail
    closing = re.search(r"(?:</\w+>\s*)*\Z", tail[-400:])
    at = len(tail) - len(closing.group() if closing else "")
    return tail[:at] + more + tail[at:]
