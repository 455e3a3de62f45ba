"""Footnotes and definition lists. A footnote stays where it was written, so what is finished never changes."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.footnote.index import footnote_def

_REFERENCE = re.compile(r"\[\^(\d{1,4}|(?!(?:\w-\w)+\])[^\W\d_][\w-]{2,39})\]")
"""A number, or a word: `[^a-z]` and `[^"]` are what they look like, parts of a regular expression."""
_MAX_LABEL = 40

_BlockRule = Callable[[StateBlock, int, int, bool], bool]


def add_notes(md: MarkdownIt) -> None:
    md.inline.ruler.after("image", "footnote_ref", _reference)
    md.block.ruler.before("reference", "footnote_def", footnote_def, {"alt": ["paragraph", "reference"]})
    md.use(deflist_plugin)
    deflist = next(rule for rule in md.block.ruler.getRules("") if rule.__name__ == "deflist")
    md.block.ruler.at("deflist", _undecided(deflist), {"alt": ["paragraph", "reference", "blockquote"]})
    md.add_render_rule("footnote_ref", _render_reference)
    md.add_render_rule("footnote_reference_open", _render_open)
    md.add_render_rule("footnote_reference_close", lambda *_: "</div></div>\n")


def _reference(state: StateInline, silent: bool) -> bool:
    """Read a reference whether its note exists or not: it comes later, when this is finished."""
    found = _REFERENCE.match(state.src, state.pos, state.posMax)
    if not found:
        return False
    if not silent:
        state.push("footnote_ref", "sup", 0).content = found[1]
    state.pos = found.end()
    return True


def _undecided(deflist: _BlockRule) -> _BlockRule:
    """Return a rule that notes when a list's next term may be the line that has come last."""

    def rule(state: StateBlock, start: int, end: int, silent: bool) -> bool:
        colon = start + 1 + (start + 1 < end and state.isEmpty(start + 1))
        if not silent and (colon >= end or state.src[state.bMarks[colon] + state.tShift[colon]] != ":"):
            return False  # "~ 5 minutes" defines nothing
        if not deflist(state, start, end, silent):
            return False
        if not silent and state.line + 3 > len(state.bMarks) - 1:
            state.env["undecided"] = min(start, state.env.get("undecided", start))
        return True

    return rule


def _render_reference(_self: Any, tokens: Any, i: int, _options: Any, _env: Any) -> str:
    label = html.escape(tokens[i].content)
    return f'<sup class="footnote-ref" data-note="{label}">[{label}]</sup>'


def _render_open(_self: Any, tokens: Any, i: int, _options: Any, _env: Any) -> str:
    label = html.escape(tokens[i].meta["label"][:_MAX_LABEL])
    return f'<div class="footnote" role="note" data-note="{label}"><sup>[{label}]</sup><div>\n'
