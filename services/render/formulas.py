"""Math in Markdown: `$…$`, `\\(…\\)`, `$$…$$` and `\\[…\\]`, by Pandoc's rules, so that "$5 and $10" stays money."""

from __future__ import annotations

import html
import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

from services.render.code import code_html, highlight
from services.render.tex import MAX_TEX, mathml

MAX_BLOCK_TEX, MAX_ALL_TEX = 4_000, 32_000
"""Formulas after this many characters of TeX in one block, or in one text, are shown as their source."""
MAX_LINES, _MAX_SOURCE = 60, 2 * MAX_TEX
"""A formula is not looked for over more lines or characters: what does not end is no formula."""
_WIDE = 40
"""An inline formula with a longer source scrolls in itself."""

OPENING = re.compile(r"\\[(\[]|(?<!\$)\${1,2}(?!\$)")
_DOLLAR = re.compile(rf"\$(?![\s$])((?:[^$\\`]|\\.){{1,{_MAX_SOURCE}}})(?<!\s)\$(?!\d)", re.S)
_ENDS = {"$$": re.compile(r"(?<!\\)\$\$(?!\$)"), "\\[": re.compile(r"(?<!\\)\\\]"), "\\(": re.compile(r"(?<!\\)\\\)")}
_BLOCK = re.compile(r"\$\$(?!\$)|\\\[")


def add_math(md: MarkdownIt) -> None:
    md.inline.ruler.before("escape", "math", _inline)
    md.block.ruler.before("blockquote", "math", _block, {"alt": ["paragraph", "reference", "blockquote"]})
    md.add_render_rule("math", _render)


def _inline(state: StateInline, silent: bool) -> bool:
    source, start = state.src, state.pos
    if source[start] not in "$\\" or not (opening := OPENING.match(source, start)):
        return False
    tex, stop = inside(source, start, state.posMax, opening[0])
    if not tex.strip() or "`" in tex:
        return False
    if not silent:
        token = state.push("math", "math", 0)
        token.content, token.markup = tex, source[start:stop]
        token.meta["display"] = opening[0] in {"$$", "\\["}
    state.pos = stop
    return True


def inside(source: str, start: int, maximum: int, opening: str) -> tuple[str, int]:
    """Return the TeX of a formula that begins at `start`, and where the formula ends; no TeX when there is none."""
    if opening == "$":
        found = _DOLLAR.match(source, start, maximum)
        return (found[1], found.end()) if found else ("", 0)
    end = _ENDS[opening].search(source, start + 2, min(maximum, start + _MAX_SOURCE))
    return (source[start + 2 : end.start()], end.end()) if end else ("", 0)


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    at = state.bMarks[start] + state.tShift[start]
    opening = _BLOCK.match(state.src, at, state.eMarks[start])
    if state.is_code_block(start) or not opening:
        return False
    lines: list[str] = []
    at = opening.end()
    for line in range(start, min(end, start + MAX_LINES)):
        if line > start:
            if state.isEmpty(line) or state.sCount[line] < state.blkIndent:
                return False
            at = state.bMarks[line] + state.tShift[line]
        closing = _ENDS[opening[0]].search(state.src, at, state.eMarks[line])
        lines.append(state.src[at : closing.start() if closing else state.eMarks[line]])
        if closing:
            tex = "\n".join(lines)
            if not tex.strip() or state.src[closing.end() : state.eMarks[line]].strip():
                return False  # words follow: it is a part of a paragraph
            break
    else:
        if line + 1 >= len(state.bMarks) - 1:  # it may end in what comes yet
            state.env["undecided"] = min(start, state.env.get("undecided", start))
        return False
    if not silent:
        state.line = line + 1
        token = state.push("math", "math", 0)
        token.block, token.map, token.content = True, [start, state.line], tex
        token.markup = f"$${tex}$$" if opening[0] == "$$" else f"\\[{tex}\\]"
        token.meta["display"] = True
    return True


def _render(_self: Any, tokens: Any, i: int, _options: Any, env: Any) -> str:
    token = tokens[i]
    display, tex = token.meta["display"], token.content.strip()
    env["block_tex"] = env.get("block_tex", 0) + len(tex)
    afforded = env["block_tex"] <= MAX_BLOCK_TEX and env.get("tex", 0) + env["block_tex"] <= MAX_ALL_TEX
    if "open" in token.meta:
        return f'<div class="math"><code class="tex">{html.escape(tex)}</code></div>\n'
    formula = mathml(tex, display=display) if afforded else None
    if token.block:
        source = code_html(highlight(token.markup, "latex"), "latex")
        return f'<div class="math">{formula}</div>\n' if formula else source
    if formula is None:
        return f'<code class="tex">{html.escape(token.markup)}</code>'
    if display or len(tex) > _WIDE:
        return f'<span class="math{" display" * display}">{formula}</span>'
    return formula
