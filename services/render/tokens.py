"""Markdown's parser and the list of what may reach the page: links, pictures and task lists are made inert."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_block import table
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from services.render.code import code_html, highlight

_URL = re.compile(r"(?:https?://[^/?#\s]|mailto:[^\s])", re.I)


def _decorate(state: StateCore) -> None:
    """Core rule: task lists, safe links, images as links, the direction of each block's text, classes for alignment."""
    tokens = state.tokens
    for i, token in enumerate(tokens):
        if token.nesting == 1 and token.tag in {"p", "li", "blockquote", "table", "h1", "h2", "h3", "h4", "h5", "h6"}:
            token.attrSet("dir", "auto")
        elif token.nesting == 1 and "style" in token.attrs:
            token.attrs = {"class": str(token.attrs["style"]).replace("text-align:", "align-")}
        elif token.type == "inline":
            children = token.children = _inert(token.children or [])
            text = children[0].content[:4] if children and children[0].type == "text" else ""
            if i > 1 and tokens[i - 2].type == "list_item_open" and text in {"[ ] ", "[x] ", "[X] "}:
                children[0].content = children[0].content[4:]
                checked = "" if text == "[ ] " else " checked"
                children.insert(0, _raw(f'<input type="checkbox" disabled{checked} aria-label="Task"> '))
                tokens[i - 2].attrSet("class", "task")


def _inert(children: list[Token]) -> list[Token]:
    """Return inline tokens in which links lead only to the web or to mail, and nothing is loaded by being shown."""
    out: list[Token] = []
    link = False
    for token in children:
        if token.type == "link_open":
            link = bool(_URL.match(str(token.attrs.get("href", ""))))
        if token.type == "image":
            out.append(_raw(_image(token, inside_link=link)))
        elif link or token.type not in {"link_open", "link_close"}:
            out.append(token)
        if token.type == "link_close":
            link = False
    return out


def _image(token: Token, *, inside_link: bool) -> str:
    url = str(token.attrs.get("src", ""))
    try:
        host = urlsplit(url).hostname if _URL.match(url) else None
    except ValueError:
        host = None
    alt = MD.renderer.renderInlineAsText(token.children, MD.options, {}).strip()  # type: ignore[attr-defined]
    label = html.escape(f"Image: {alt or 'no description'}" + (f" ({host})" if host else ""))
    if host and not inside_link:
        return f'<a class="image" href="{html.escape(url)}">{label}</a>'
    return f'<span class="image">{label}</span>'


def _raw(text: str) -> Token:
    return Token("html_inline", "", 0, content=text)


def _fence(_self: Any, tokens: list[Token], i: int, _options: Any, _env: Any) -> str:
    language = (tokens[i].info.split() or [""])[0]
    code = tokens[i].content
    body = html.escape(code) if "uncoloured" in tokens[i].meta else highlight(code, language.lower())
    return code_html(body, language)


def _table_open(_self: Any, tokens: list[Token], i: int, _options: Any, _env: Any) -> str:
    frame = '<div class="table-scroll" tabindex="0" role="region" aria-label="Table">'
    return f"{frame}<table{_self.renderAttrs(tokens[i])}>\n"


def _build() -> MarkdownIt:
    md = MarkdownIt("commonmark", {"html": False}).enable("strikethrough")
    # Not `.enable("table")`: that tries tables before fences, so that a code block could become a table's head.
    md.block.ruler.after("fence", "gfm_table", table, {"alt": ["paragraph", "reference"]})
    md.core.ruler.disable(["normalize", "block"])  # `stream` and `blocks` do both
    md.core.ruler.push("decorate", _decorate)
    md.validateLink = lambda url: True  # type: ignore[method-assign]  # _inert() decides; the text stays either way
    for name, rule in (("fence", _fence), ("code_block", _fence), ("table_open", _table_open)):
        md.add_render_rule(name, rule)
    md.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return md


MD = _build()
_BLOCK_TAGS = {"p", "ul", "ol", "li", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "br", "div", "pre"}
CLEANER = nh3.Cleaner(
    tags=_BLOCK_TAGS
    | {"table", "thead", "tbody", "tr", "th", "td", "em", "strong", "s", "code", "span", "a", "input", "button"},
    attributes={
        **{tag: {"dir"} for tag in ("p", "blockquote", "table", "h1", "h2", "h3", "h4", "h5", "h6")},
        **{tag: {"class"} for tag in ("th", "td", "span", "code")},
        "li": {"dir", "class"},
        "ol": {"start"},
        "div": {"class", "tabindex", "role", "aria-label"},
        "pre": {"class", "dir", "tabindex"},
        "a": {"href", "title", "class"},
        "input": {"checked", "aria-label"},
        "button": {"class"},
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
