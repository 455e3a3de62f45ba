"""Tables that scroll in themselves, with buttons in their head and under them that the page obeys."""

from __future__ import annotations

from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import table
from markdown_it.token import Token

_SCROLL = '<div class="table-scroll" tabindex="0" role="region" aria-label="Table">'
_TOOLS = "".join(
    f'<button class="copy-table" data-as="{form}" type="button">{label}</button>'
    for form, label in (("csv", "Copy as CSV"), ("markdown", "Copy as Markdown"))
)
TABLE_END = f'</table></div><div class="table-tools">{_TOOLS}</div></div>\n'


def add_tables(md: MarkdownIt) -> None:
    # Not `.enable("table")`: that tries tables before fences, so that a code block could become a table's head.
    md.block.ruler.after("fence", "gfm_table", table, {"alt": ["paragraph", "reference"]})
    md.add_render_rule("table_open", _table_open)
    md.add_render_rule("table_close", lambda *_: TABLE_END)
    md.add_render_rule("th_open", _head_open)
    md.add_render_rule("th_close", _head_close)


def _table_open(self: Any, tokens: list[Token], i: int, *_: Any) -> str:
    continued = tokens[i].attrs.pop("data-continued", None) is not None
    block = f'<div class="table-block"{" data-continued" if continued else ""}>'
    return f"{block}{_SCROLL}<table{self.renderAttrs(tokens[i])}>\n"


def _is_plain(head: Token) -> bool:
    """Whether a column's name can be a button: it says something, and nothing in it can be clicked."""
    return bool(head.content.strip()) and not any(
        child.type in {"link_open", "html_inline"} for child in head.children or []
    )


def _head_open(self: Any, tokens: list[Token], i: int, *_: Any) -> str:
    button = '<button type="button" class="sort">' if _is_plain(tokens[i + 1]) else ""
    return f"<th{self.renderAttrs(tokens[i])}>{button}"


def _head_close(_self: Any, tokens: list[Token], i: int, *_: Any) -> str:
    if _is_plain(tokens[i - 1]):
        return "</button></th>\n"
    return '<button type="button" class="sort" aria-label="Sort"></button></th>\n'
