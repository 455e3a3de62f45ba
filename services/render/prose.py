"""Where the prose of a Markdown text is, for whoever rewrites prose and must leave everything else as it is."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from services.render.blocks import Block
from services.render.stream import MarkdownStream
from services.render.tokens import build

Span = tuple[int, int]
"""From a character to before another."""

_FIXED_RULES = ("math", "escape", "backticks", "link", "image", "footnote_ref", "autolink", "entity")
"""What the inline parser reads as something else than words."""
_LIKE_CODE = re.compile(
    r"""(?x)
    (?: https?:// | ftp:// | file:// | mailto: | www\. ) [^\s<>]+     # addresses
    | [\w.+-]+ @ [\w-]+ (?: \. [\w-]+ )+
    | < /? [A-Za-z] [^<>\n]{0,500} > | <!-- [^\n]{0,500}? -->         # HTML, which is shown as it is written
    | \{ [^{}\n]{0,500} \}                                            # JSON, templates
    | [\w.$-]+ = (?: "[^"\n]{0,200}" | '[^'\n]{0,200}' )              # name="value"
    | (?: (?<=\s) | ^ ) (?: ~ | \.{1,2} )? / [^\s]+ | [A-Za-z]:\\ [^\s]+  # paths
    """,
    re.M,
)
_CELL_BEFORE = re.compile(r"[\s|>*+:.)\d-]*")
"""What stands before a table's cell on its line, another cell aside."""
_KEPT = frozenset({"fence", "code_block", "math"})


@dataclass(frozen=True, slots=True)
class Passage:
    """What is read as one piece of prose: a paragraph, a heading, a cell of a table; its lines end in `\\n`."""

    text: str
    fixed: tuple[Span, ...]
    """The parts of `text`, in order, that are code, formulas, links, addresses: not prose."""
    lines: tuple[Span, ...]
    """Where each line begins here, and where in the source."""

    def place(self, at: int) -> int:
        """Return where in the source a character of `text` is."""
        here, there = self.lines[bisect_right(self.lines, at, key=lambda line: line[0]) - 1]
        return there + at - here

    def is_free(self, start: int, end: int) -> bool:
        """Return whether there is nothing but prose of one line between two places of `text`."""
        touched = any(first < max(end, start + 1) and start < last for first, last in self.fixed)
        return not touched and "\n" not in self.text[start:end]


@dataclass(frozen=True, slots=True)
class Edit:
    """Put `text` in the place of a part of a source."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Prose:
    """A Markdown text, what is prose in it, and what must stay as it is."""

    source: str
    passages: tuple[Passage, ...]
    kept: tuple[Span, ...]
    """Whole lines, in order: code, formulas, and what would cost too much to read."""
    shape: tuple[object, ...]
    """Everything that the text is made of beside its words."""

    def edited(self, edits: Iterable[Edit]) -> str:
        """Return the source with these changes, which do not overlap; unchanged if it would be read otherwise then."""
        pieces: list[str] = []
        at = 0
        for edit in sorted(edits, key=lambda one: one.start):
            pieces += [self.source[at : edit.start], edit.text]
            at = edit.end
        if not pieces:
            return self.source
        text = "".join([*pieces, self.source[at:]])
        return text if prose_of(text).shape == self.shape else self.source


@lru_cache(maxsize=2)  # one step's result is the next one's source
def prose_of(text: str) -> Prose:
    """Return where the prose of a text is, as the page would read it. The text is clean and its lines end in `\\n`."""
    references: dict[str, Any] = {}
    if "]:" in text:  # links may be defined after they are used
        _read(MarkdownStream(references, dry=True), text)
    reader = _Reader(references)
    _read(reader, text)
    return Prose(text, tuple(reader.passages), tuple(reader.kept), tuple(reader.shape))


def _read(stream: MarkdownStream, text: str) -> None:
    stream.feed(text)
    for _ in stream.close():
        pass


class _Reader(MarkdownStream):
    """Notes what each block is made of instead of rendering it; its cost is bounded in the same way."""

    def __init__(self, references: dict[str, Any]) -> None:
        super().__init__(references)
        self.passages: list[Passage] = []
        self.kept: list[Span] = []
        self.shape: list[object] = []

    def close(self) -> Iterator[str]:
        yield from super().close()
        if self._overflow:
            whole = "".join(self._source)
            self._keep(self._offset, len(whole), whole[self._offset :])

    def _html(self, block: Block, env: dict[str, Any]) -> Iterator[str]:
        starts: list[int] = env["starts"]
        if block.is_plain:
            self._keep(self._offset + block.end - len(block.source), self._offset + block.end, block.source)
            return
        finder = _Finder(self._open, self._offset, starts)
        is_rest = block.tokens[0].type == "table_open" and "data-continued" in block.tokens[0].attrs
        for i, token in enumerate(block.tokens):
            first, last = token.map or (0, 0)
            if is_rest and token.map and first < block.first_line + 2 and token.type == "inline":
                continue  # the head of the table that this goes on with, which is not here
            if token.type in _KEPT:
                self._keep(self._offset + starts[first], self._offset + starts[last], token.content)
            elif token.type == "inline":
                self._note(finder.passage(token, block.tokens[i - 1].type, env))
            else:
                self.shape.append((token.type, token.nesting, token.markup, tuple(token.attrs.items())))
        yield ""

    def _keep(self, start: int, end: int, content: str) -> None:
        self.kept.append((start, end))
        self.shape.append(content)

    def _note(self, found: tuple[Passage | None, list[Token]]) -> None:
        passage, children = found
        if passage is not None:
            self.passages.append(passage)
        self.shape.append(
            tuple(
                (token.type, token.markup, token.content, tuple(token.attrs.items()))
                for token in children
                if token.type != "text"
            )
        )


class _Finder:
    """Finds the passages of one block in its source."""

    def __init__(self, source: str, offset: int, starts: list[int]) -> None:
        self._source, self._offset, self._starts = source, offset, starts
        self._cells: dict[int, int] = {}

    def passage(self, token: Token, opening: str, env: dict[str, Any]) -> tuple[Passage | None, list[Token]]:
        """Return a passage, or none if it cannot be found letter by letter, and its inline tokens."""
        children: list[Token] = []
        spans: list[Span] = []
        _PARSER.inline.parse(token.content, _PARSER, {**env, "fixed": spans, "of": token.content}, children)
        lines: list[Span] = []
        at = 0
        for number, line in enumerate(token.content.split("\n"), (token.map or [0])[0]):
            words = line.strip(" \t")
            place = self._place(number, words, opening)
            if place is None:
                return None, children
            lines.append((at + line.index(words), self._offset + place))
            at += len(line) + 1
        spans += [found.span() for found in _LIKE_CODE.finditer(token.content)]
        return Passage(token.content, tuple(_joined(spans)), tuple(lines)), children

    def _place(self, number: int, words: str, opening: str) -> int | None:
        start, end = self._starts[number], self._starts[number + 1]
        line = self._source[start:end].rstrip(" \t\n")
        if opening in {"th_open", "td_open"}:
            after = self._cells.get(number, start)
            at = self._source.find(words, after, end)
            if at < 0 or "\\|" in line or not _CELL_BEFORE.fullmatch(self._source, after, at):
                self._cells[number] = end  # nor are the cells after it
                return None
            self._cells[number] = at + len(words)
            return at
        if line.endswith(words):
            return start + len(line) - len(words)
        at = line.find(words) if opening == "heading_open" else -1
        return start + at if at >= 0 else None


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield spans in order, those that touch as one."""
    held: Span | None = None
    for start, end in sorted(spans):
        if held is not None and start <= held[1]:
            held = (held[0], max(held[1], end))
            continue
        if held is not None:
            yield held
        held = (start, end)
    if held is not None:
        yield held


def _noting(rule: Callable[[StateInline, bool], bool], state: StateInline, silent: bool) -> bool:
    """Inline rule: what this rule reads is noted where the text is read that it was asked for."""
    start = state.pos
    found = rule(state, silent)
    if found and not silent and state.src is state.env["of"]:  # not so what an image is described with
        state.env["fixed"].append((start, state.pos))
    return found


_PARSER = build()
for _name in _FIXED_RULES:
    _rules = _PARSER.inline.ruler
    _rules.at(_name, partial(_noting, _rules.getRules("")[_rules.get_active_rules().index(_name)]))
