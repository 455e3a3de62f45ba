"""Markdown's parser and the list of what may reach the page: links, pictures and task lists are made inert."""

from __future__ import annotations

import html
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from services.render.code import code_html, highlight
from services.render.formulas import add_math
from services.render.halves import add_half_rules
from services.render.links import inert, link_text, raw
from services.render.notes import add_notes
from services.render.tables import add_tables
from services.render.tex import ATTRIBUTES, TAGS

_DIRECTED = {"p", "li", "dt", "dd", "blockquote", "table", "h1", "h2", "h3", "h4", "h5", "h6"}


def _inline(state: StateCore) -> None:
    """Core rule: parse words, those that are being written by rules of their own."""
    for token in state.tokens:
        if token.type == "inline":
            md = CALM if "half" in token.meta else MD
            token.children = []
            md.inline.parse(token.content, md, state.env, token.children)


def _decorate(state: StateCore) -> None:
    """Core rule: task lists, safe links, images as links, the direction of each block's text, classes for alignment."""
    tokens = state.tokens
    for i, token in enumerate(tokens):
        if token.nesting == 1 and token.tag in _DIRECTED:
            token.attrSet("dir", "auto")
        elif token.nesting == 1 and "style" in token.attrs:
            token.attrs = {"class": str(token.attrs["style"]).replace("text-align:", "align-")}
        elif token.type == "inline":
            children = token.children = inert(token.children or [], state.md)
            text = children[0].content[:4] if children and children[0].type == "text" else ""
            if i > 1 and tokens[i - 2].type == "list_item_open" and text in {"[ ] ", "[x] ", "[X] "}:
                children[0].content = children[0].content[4:]
                checked = "" if text == "[ ] " else " checked"
                children.insert(0, raw(f'<input type="checkbox" disabled{checked} aria-label="Task"> '))
                tokens[i - 2].attrSet("class", "task")


def language_of(fence: Token) -> str:
    """Return the language that a code block names; nothing where it names none."""
    return (fence.info.split() or [""])[0]


def _fence(_self: Any, tokens: list[Token], i: int, _options: Any, _env: Any) -> str:
    code, meta, language = tokens[i].content, tokens[i].meta, language_of(tokens[i])
    if meta.keys() & {"open", "uncoloured"}:
        body = html.escape(code)
    else:
        body = meta.get("coloured") or highlight(code, language)
    return code_html(body, language, "" if "open" in meta else code)


def build() -> MarkdownIt:
    """Return a new parser of what Panelist shows."""
    md = MarkdownIt("commonmark", {"html": False}).enable("strikethrough")
    add_tables(md)
    add_math(md)
    add_notes(md)
    md.core.ruler.disable(["normalize", "block"])  # `stream` and `blocks` do both
    md.core.ruler.at("inline", _inline)
    md.core.ruler.push("decorate", _decorate)
    md.validateLink = lambda url: True  # type: ignore[method-assign]  # inert() decides; the text stays either way
    md.normalizeLinkText = link_text  # type: ignore[method-assign, assignment]
    for name in ("fence", "code_block"):
        md.add_render_rule(name, _fence)
    return md


MD = build()
CALM = add_half_rules(build())
"""Parses only words that are being written."""
_BLOCK_TAGS = _DIRECTED | {"ul", "ol", "dl", "hr", "br", "div", "pre"}
CLEANER = nh3.Cleaner(
    tags=_BLOCK_TAGS
    | {"thead", "tbody", "tr", "th", "td", "em", "strong", "s", "sup", "code", "span", "a", "input", "button"}
    | TAGS,
    attributes={
        **dict.fromkeys(TAGS, ATTRIBUTES),
        "math": {"display"},
        "annotation": {"encoding"},
        **{tag: {"dir"} for tag in _DIRECTED},
        **{tag: {"class"} for tag in ("th", "td", "span", "code")},
        "li": {"dir", "class"},
        "ul": {"data-continued"},
        "ol": {"start", "data-continued"},
        "blockquote": {"dir", "data-continued"},
        "div": {"class", "tabindex", "role", "aria-label", "data-note", "data-lines", "data-continued"},
        "sup": {"class", "data-note"},
        "pre": {"class", "dir", "tabindex"},
        "a": {"href", "title", "class"},
        "input": {"checked", "aria-label"},
        "button": {"class", "data-src", "data-as", "aria-label", "aria-pressed", "aria-expanded"},
    },
    set_tag_attribute_values={
        "a": {"target": "_blank"},
        "input": {"type": "checkbox", "disabled": ""},
        "button": {"type": "button"},
    },
    link_rel="noopener noreferrer nofollow",
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
)
