"""Inline rules for the words that are being written: what is half there is shown as what it is about to become.

They are in force only in the last words of a text that goes on, so they may guess: a marker that has just begun is held
back, what it has opened is closed, and of a link only its words are shown. The finished text is parsed without them.
"""

from __future__ import annotations

import re
from html.entities import html5

from markdown_it import MarkdownIt
from markdown_it.common.utils import normalizeReference
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter
from markdown_it.token import Token

from services.render.formulas import OPENING, inside

MAX_HALF, _MAX_BRACKETS = 4_000, 50
"""Longer last words (characters), or with more brackets, are shown as they are: guessing would cost too much."""
_MARKER = re.compile(r"(?:([*_~`])\1{0,2}|\\[(\[]?|\${1,2}|!?\[\^?|<|&)\Z")
"""Markers that are the last of the text: what they mean is not known before the next character."""
_ENTITY = re.compile(r"&(?:#[xX]?[0-9a-fA-F]{0,7}|([A-Za-z][A-Za-z0-9]{0,31}))\Z")
_NOTE = re.compile(r"\[\^[^\[\]\s]{0,40}\Z")
_ADDRESS = re.compile(r"""\(\s*(?:<[^<>\n]*|(?:[^\s()<]|\([^\s()]*\))*(?:\([^\s()]*)?)>?(?:\s+(?:["'(].*)?)?\Z""", re.S)
"""A link's address and title, as far as they have come."""
_LABEL = re.compile(r"\[[^\[\]]*\Z")
_MAX_HALF_DOLLAR = 80
"""A single dollar opens a formula for so long only (characters): it may be a currency, or a variable."""
_SCHEMES = ("https://", "http://", "mailto:")


def guessable(text: str) -> bool:
    """Return whether `text` is short and plain enough to guess at its end."""
    return len(text) <= MAX_HALF and text.count("[") <= _MAX_BRACKETS


def add_half_rules(md: MarkdownIt) -> MarkdownIt:
    """Add the rules to a parser, which is then for last words only."""
    before = md.inline.ruler.before
    before("math", "half_marker", _half_marker)
    before("math", "half_math", _half_math)
    before("backticks", "half_code", _half_code)
    before("link", "half_link", _half_link)
    before("autolink", "half_autolink", _half_autolink)
    before("entity", "half_entity", _half_entity)
    md.inline.ruler2.after("balance_pairs", "half_pairs", _half_pairs)
    return md


def _rest(state: StateInline) -> str:
    """Return the text from here to its end, or nothing inside what has ended already."""
    return state.src[state.pos :] if state.posMax == len(state.src) else ""


def _half_marker(state: StateInline, silent: bool) -> bool:
    if state.posMax < len(state.src) or not _MARKER.match(state.src, state.pos):
        return False
    state.pos = state.posMax
    return True


def _half_math(state: StateInline, silent: bool) -> bool:
    opening = OPENING.match(state.src, state.pos)
    if not opening or not (rest := _rest(state)) or inside(state.src, state.pos, state.posMax, opening[0])[0]:
        return False
    tex = rest[len(opening[0]) :]
    dollar = opening[0] == "$"
    if "`" in tex or (dollar and (len(tex) > _MAX_HALF_DOLLAR or not re.match(r"[^\s\d$][^$]*\Z", tex))):
        return False
    if not silent and tex.strip("$\\ \n"):
        token = state.push("code_inline", "code", 0)
        token.attrs, token.content = {"class": "tex"}, tex.rstrip("$\\").strip()
    state.pos = state.posMax
    return True


def _half_code(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] != "`" or not (rest := _rest(state)):
        return False
    code = rest.lstrip("`")
    ticks = len(rest) - len(code)
    if re.search(rf"(?<!`)`{{{ticks}}}(?!`)", code):
        return False
    if not silent:
        state.push("code_inline", "code", 0).content = code.rstrip("`").replace("\n", " ").removeprefix(" ")
    state.pos = state.posMax
    return True


def _half_link(state: StateInline, silent: bool) -> bool:
    start, maximum = state.pos, state.posMax
    picture = state.src[start] == "!"
    opening = start + picture
    if not (rest := _rest(state)) or state.src[opening : opening + 1] != "[":
        return False
    if _NOTE.match(state.src, opening):
        state.pos = maximum
        return True
    end = state.md.helpers.parseLinkLabel(state, opening)
    if end < 0:
        if silent or _is_literal(state.src, opening):
            return False
        if picture:
            state.append_pending(rest[2:])
        state.pos = maximum if picture else opening + 1
        return True
    after = state.src[end + 1 :]
    known = normalizeReference(state.src[opening + 1 : end]) in state.env.get("references", {})
    half = _ADDRESS.match(after) or _LABEL.match(after) or not (after or known or _is_literal(state.src, opening))
    if not half:
        return False
    if not silent:
        state.pos, state.posMax = opening + 1, end
        state.md.inline.tokenize(state)
    state.pos = state.posMax = maximum
    return True


def _is_literal(source: str, bracket: int) -> bool:
    """Return whether a bracket looks like one that is meant: `a[0]`, `[1]`, `[ ]`."""
    return source[bracket - 1 : bracket].isalnum() or not source[bracket + 1 : bracket + 2].strip("0123456789 ]")


def _half_autolink(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] != "<" or not (rest := _rest(state)[1:]) or re.search(r"[\s<>]", rest):
        return False
    if not any(scheme.startswith(rest) or rest.startswith(scheme) for scheme in _SCHEMES):
        return False
    if not silent:
        state.append_pending(rest)
    state.pos = state.posMax
    return True


def _half_entity(state: StateInline, silent: bool) -> bool:
    found = _ENTITY.match(state.src, state.pos) if _rest(state) else None
    if not found or (found[1] and not any(name.startswith(found[1]) for name in html5)):
        return False
    state.pos = state.posMax
    return True


def _half_pairs(state: StateInline) -> None:
    """Close the emphasis that is open at the end, so that no other pair is crossed."""
    pairs, opened, i = state.delimiters, [], 0
    while i < len(pairs):
        if pairs[i].end < 0 and pairs[i].open and not pairs[i].close:
            opened.append(pairs[i])
        i = max(i, pairs[i].end) + 1
    for opener in reversed(opened):
        token = Token("text", "", 0, content=state.tokens[opener.token].content, level=state.level)
        state.tokens.append(token)
        state.tokens_meta.append(None)
        opener.end = len(pairs)
        pairs.append(Delimiter(opener.marker, opener.length, len(state.tokens) - 1, -1, open=False, close=True))
