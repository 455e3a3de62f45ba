"""The one renderer: Markdown, code, titles and names of others become HTML here and nowhere else.

Two ideas carry it. A reply is cut into *top-level blocks*, each rendered and sanitised by itself, so a finished block
never changes and a stream and a whole text give the same HTML. And every block has a *price* (estimated µs, from its
lines and its characters, so the same everywhere): a block that is too dear, or a text that is dearer than its length
allows, is shown as escaped text, every character kept.
"""

from __future__ import annotations

import html
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_block import table
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES, Error, Name, Other, Punctuation, Text, Whitespace
from pygments.util import ClassNotFound

from services.messages import clean_text

_log = logging.getLogger(__name__)

MAX_CHARS = 200_000
"""Blocks that begin after this many characters of a text are shown as escaped text."""
MAX_BLOCK_PRICE = 20_000
"""A block dearer than this (µs), and 0.3 for each of its characters, is shown as escaped text."""
_SAVINGS, _RATE = 30_000, 2.0
"""A text may cost `_SAVINGS` µs plus `_RATE` µs for each character; prose costs 0.5, dense lists 2, bombs 4 to 30."""
_FIRST_WINDOW = 4_000
"""µs of source that is given to the block parser at first; five times more when no block ends in it."""
_REPAINT_FREE, _REPAINT_SHARE = 4_000, 32
"""A tail dearer than the first (µs) is parsed again only after one more character per so many µs of its price."""
MAX_CODE, _MAX_CODE_LINE, _MAX_LEX_S = 12_000, 500, 0.15
"""Code longer or wider than this (characters), or that keeps the lexer busy for longer (s), is not coloured."""
MAX_COLOURED = 64_000
"""Nor is code after this many characters of code in one text."""

LANGUAGES = frozenset(
    re.findall(
        r"\S+",
        """awk bash bat batch c c# c++ clj clojure cmake console cpp cs csharp css dart diff docker dockerfile elixir
        erlang f# fortran fsharp go golang graphql groovy haskell hcl hs html http ini java javascript jinja js json
        jsx julia kotlin latex less lua make makefile matlab md markdown mysql nginx nix objc ocaml perl php pl
        postgres postgresql powershell properties proto protobuf ps1 py pycon python python3 r rb rs ruby rust
        scala scss sh shell sql sqlite3 swift terraform tex toml ts tsx typescript verilog vhdl vim vue xml yaml yml zig
        zsh""",
    )
)
"""What is coloured: languages whose lexers were measured on hostile input. Pygments' others are shown plain."""

_URL = re.compile(r"(?:https?://[^/?#\s]|mailto:[^\s])", re.I)
_FENCE = re.compile(r"(?:[ \t]*\n)*( {0,3})(`{3,}(?=[^`\n]*\n)|~{3,})([^\n]*)\n")
_MARKERS = re.compile(r"(?:[ \t]+|>|[-+*](?=[ \t])|\d{1,9}[.)](?=[ \t]))*")
_PRICES = {"[": 14, "![": 18, "]": 3, "*": 6, "_": 5, "`": 5, "<": 5, "&": 4, "\\": 3, "~": 5}
"""µs that each occurrence costs the inline parser, measured at its worst."""
_DEAD_CODE = re.compile(r"[\w\s.\[\]<>@-]{600}")
"""A run without punctuation: several lexers scan it again from each of its lines."""
_UNCOLOURED = {Name, Text, Whitespace, Punctuation, Error, Other}


def escape(text: str) -> str:
    """Return `text` as HTML text, safe in an element or a quoted attribute; for titles, names and errors."""
    return html.escape(clean_text(text))


def plain(text: str) -> str:
    """Return `text` as it is, escaped, in a `<pre>`. Browsers swallow a first line break there, so it is doubled."""
    first = "\n" if text.startswith("\n") else ""
    return f'<pre class="plain" dir="auto" tabindex="0">{first}{html.escape(text)}</pre>\n'


def code_html(body: str, language: str) -> str:
    """Return the frame of a code block around `body`, which is HTML already."""
    name = re.sub(r"[^\w+#.-]", "", language)[:30]
    return (
        f'<div class="code-block"><div class="code-head"><span class="code-lang">{name}</span>'
        '<button type="button" class="copy-code">Copy code</button></div>'
        f'<pre tabindex="0"><code class="language-{name.lower() or "none"}">{body}</code></pre></div>\n'
    )


def _css_class(token: tuple[Any, str]) -> str:
    return "" if token[0] in _UNCOLOURED else str(STANDARD_TYPES.get(token[0], ""))


@lru_cache(maxsize=128)
def highlight(code: str, language: str) -> str:
    """Return `code` as HTML with Pygments' classes; plain when the language is unknown or colouring costs too much."""
    longest = max(map(len, code.split("\n")))
    if language not in LANGUAGES or len(code) > MAX_CODE or longest > _MAX_CODE_LINE or _DEAD_CODE.search(code):
        return html.escape(code)
    out: list[str] = []
    stop = time.thread_time() + _MAX_LEX_S
    try:
        tokens = get_lexer_by_name(language, stripnl=False, ensurenl=False).get_tokens(code)
        for css, group in groupby(tokens, _css_class):
            text = html.escape("".join(value for _, value in group))
            out.append(f'<span class="{css}">{text}</span>' if css else text)
            if time.thread_time() > stop:
                return html.escape(code)
    except (ClassNotFound, ValueError, RecursionError):
        return html.escape(code)
    return "".join(out)


# --- Markdown's tokens, made ours ------------------------------------------------------------------------------------


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
        elif token.type == "image":
            out.append(_raw(_image(token, inside_link=link)))
            continue
        if not (token.type in {"link_open", "link_close"} and not link):
            out.append(token)
        link = link and token.type != "link_close"
    return out


def _image(token: Token, *, inside_link: bool) -> str:
    url = str(token.attrs.get("src", ""))
    try:
        host = urlsplit(url).hostname if _URL.match(url) else None
    except ValueError:
        host = None
    alt = _MD.renderer.renderInlineAsText(token.children, _MD.options, {}).strip()  # type: ignore[attr-defined]
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
    md.core.ruler.disable(["normalize", "block"])  # the stream below does both
    md.core.ruler.push("decorate", _decorate)
    md.validateLink = lambda url: True  # type: ignore[method-assign]  # _inert() decides; the text stays either way
    for name, rule in (("fence", _fence), ("code_block", _fence), ("table_open", _table_open)):
        md.add_render_rule(name, rule)
    md.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return md


_MD = _build()
_BLOCK_TAGS = {"p", "ul", "ol", "li", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "br", "div", "pre"}
_CLEANER = nh3.Cleaner(
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


# --- Blocks and what they cost ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Block:
    tokens: list[Token]
    start: int
    end: int
    """Where its source begins and ends in the source that was parsed."""
    lines: int
    """Lines of that source up to its end."""


def _affordable(source: str, limit: float) -> tuple[int, float]:
    """Return how many characters of `source`, in whole lines, the block parser gets for `limit` µs, and their price.

    Deep nesting and wide tables make each line dearer. The price only grows with each line, so a text that is cut
    elsewhere is not priced otherwise.
    """
    end, price, depth, pipes = 0, 0.0, 0, 0
    while end < len(source):
        stop = source.find("\n", end) + 1 or len(source)
        prefix = _MARKERS.match(source, end, min(stop, end + 200))
        marks = prefix.group() if prefix else ""
        depth = max(depth, min(10, len(marks) - marks.count(" ") - marks.count("\t")))
        pipes = max(pipes, source.count("|", end, stop))
        price += 12 + 4 * depth + min(len(marks), 20) + 12 * pipes
        if price > limit and end:
            return end, price
        end = stop
    return end, price


def _most(source: str) -> float:
    return MAX_BLOCK_PRICE + 0.3 * len(source)


def _price(source: str) -> float:
    """Return the estimated µs of rendering one block, the colours of code aside."""
    if _FENCE.match(source):
        return 40 + len(source) * 0.1
    return 20 + _affordable(source, float("inf"))[1] + sum(source.count(mark) * cost for mark, cost in _PRICES.items())


def _split(source: str, env: dict[str, Any]) -> list[_Block]:
    """Return the top-level blocks of `source`; link definitions in it are added to `env`."""
    tokens: list[Token] = []
    _MD.block.parse(source, _MD, env, tokens)
    starts = [0, *(found.end() for found in re.finditer("\n", source)), len(source)]
    blocks: list[_Block] = []
    first = 0
    for i, token in enumerate(tokens):
        if token.level == 0 and token.nesting != 1:
            first_line, last_line = tokens[first].map or [0, 0]
            blocks.append(_Block(tokens[first : i + 1], starts[first_line], starts[last_line], last_line))
            first = i + 1
    return blocks


def _is_cut(block: _Block) -> bool:
    """Whether the parser reached its nesting limit in the block: it drops what is deeper without a word."""
    deepest = _MD.options.maxNesting - 1
    return any(token.level >= deepest and token.nesting == 1 for token in block.tokens)


def _render(block: _Block, source: str, env: dict[str, Any]) -> str:
    """Return the block's HTML; escaped text when it is too dear, too deep, or more than the parser can take."""
    if _is_cut(block) or _price(source) > _most(source):
        return plain(source)
    state = StateCore("", _MD, env, block.tokens)
    try:
        _MD.core.process(state)
        return _CLEANER.clean(_MD.renderer.render(state.tokens, _MD.options, env))
    except Exception:  # whatever a model wrote that the parser cannot take, it is shown
        _log.exception("a block of %d characters could not be rendered", len(source))
        return plain(source)


# --- A text being written --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Paint:
    """What changed on the page since the last paint."""

    frozen: str
    """Blocks that were finished since: to be added to those before, never to be touched again."""
    tail: str
    """The unfinished rest, in place of the previous one."""
    html: str = ""
    """The whole text's HTML; only on the last paint."""
    changed: bool = False
    """The frozen blocks do not add up to `html`, because a link was defined after it was used: show `html` instead."""


class MarkdownStream:
    """Markdown that arrives in pieces: finished blocks are frozen, only the unfinished rest is parsed again."""

    def __init__(self, references: dict[str, Any] | None = None, *, dry: bool = False) -> None:
        self.parsed = 0
        """Characters given to the parser so far: the work done."""
        self._references = {} if references is None else references
        self._defined = False
        self._dry = dry
        self._coloured = 0
        self._source: list[str] = []
        self._frozen: list[str] = []
        self._cut = self._return = ""
        self._open = ""
        self._offset = 0
        self._spent = 0.0
        self._overflow = False
        self._scanned = 0
        self._tail, self._tail_end, self._tail_price = "", 0, 0.0

    def feed(self, text: str) -> None:
        """Take more text, cut anywhere: in a line break, in a pair of surrogates, in a word."""
        text, self._cut = self._cut + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._cut = text[:-1], text[-1]
        self._append(clean_text(text))

    def paint(self) -> Paint:
        """Return what is new. Costs as much as the unfinished block does, less when that one is large."""
        grown = len(self._open) - self._tail_end
        if self._tail_price > _REPAINT_FREE and 0 <= grown < self._tail_price / _REPAINT_SHARE:
            return Paint("", _spliced(self._tail, html.escape(self._open[self._tail_end :])))
        frozen = "".join(self._close(final=False))
        self._frozen.append(frozen)
        return Paint(frozen, self._paint_tail())

    def finish(self) -> Paint:
        """Return the last paint. Nothing may be fed afterwards."""
        frozen = "".join(self.close())
        shown = "".join([*self._frozen, frozen])
        whole = render_markdown("".join(self._source)) if self._defined else shown
        return Paint(frozen, "", whole, whole != shown)

    def close(self) -> Iterator[str]:
        """Yield the HTML of all that is left, in pieces between which others may have their turn."""
        self._append(clean_text(self._cut))
        if self._return:
            self._append("\n")
        self._cut = ""
        yield from self._close(final=True)

    def _append(self, text: str) -> None:
        text, self._return = self._return + text, ""
        if text.endswith("\r"):
            text, self._return = text[:-1], "\r"
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        self._source.append(text)
        self._open += text

    def _close(self, *, final: bool) -> Iterator[str]:
        """Yield the HTML of the blocks that end in the open source, piece by piece, and take them out of it."""
        limit = float(_FIRST_WINDOW)
        while self._open and not self._overflow:
            end, last = self._window(limit, final=final)
            if not end:
                break
            blocks, env = self._parse(self._open[:end])
            done = blocks if last else blocks[:-1]
            if done:
                limit = _FIRST_WINDOW
                yield self._freeze(done, env)
            elif last or (not final and end == self._open.rfind("\n") + 1):
                self._open = "" if final else self._open
                return
            elif limit >= MAX_BLOCK_PRICE:
                self._overflow = True
            else:
                limit *= 5
        if final and (rest := self._open.lstrip("\n")):
            yield plain(rest)

    def _window(self, limit: float, *, final: bool) -> tuple[int, bool]:
        """Return how much of the open source to parse next, and whether no block of it can go on after that.

        A code block at the start is looked through for its end alone: it may be long, and it is cheap.
        """
        self._overflow = self._offset >= MAX_CHARS
        if self._overflow:
            return 0, False
        fence = _FENCE.match(self._open)
        if fence is None:
            whole = len(self._open) if final else self._open.rfind("\n") + 1
            end = _affordable(self._open[:whole], limit)[0]
            return end, final and end == whole
        closing = re.compile(rf"^ {{0,3}}{fence[2][0]}{{{len(fence[2])},}}[ \t]*\n", re.M)
        found = closing.search(self._open, max(fence.end(), self._scanned))
        self._scanned = 0 if found else self._open.rfind("\n") + 1
        if found:
            return found.end(), True
        return (len(self._open) if final else 0), final

    def _parse(self, source: str) -> tuple[list[_Block], dict[str, Any]]:
        self.parsed += len(source)
        env: dict[str, Any] = {"references": dict(self._references)}
        blocks = _split(source, env)
        self._defined = self._defined or bool(env["references"])
        return blocks, env

    def _freeze(self, blocks: list[_Block], env: dict[str, Any]) -> str:
        """Return the HTML of finished blocks as far as the text may cost that much; the rest of it is overflow."""
        out: list[str] = []
        start = lines = 0
        for block in blocks:
            source = self._open[block.start : block.end]
            self._spent += min(_price(source), _most(source))
            if self._spent > _SAVINGS + _RATE * (self._offset + block.end):
                self._overflow = True
                break
            self._ration_colours(block)
            out.append("" if self._dry else _render(block, source, env))
            start, lines = block.end, block.lines
        for label, reference in env["references"].items():
            if label not in self._references and reference["map"][1] <= lines:
                self._references[label] = reference
        self._open, self._offset, self._scanned = self._open[start:], self._offset + start, 0
        return "".join(out)

    def _ration_colours(self, block: _Block) -> None:
        for token in block.tokens:
            if token.type == "fence":
                self._coloured += len(token.content)
                if self._coloured > MAX_COLOURED:
                    token.meta["uncoloured"] = True

    def _paint_tail(self) -> str:
        source = self._open
        self._tail_end, self._tail_price = len(source), 0.0
        if self._overflow:
            return plain(source.lstrip("\n"))
        if fence := _FENCE.match(source):
            return _open_fence(source, fence)
        start = source.rfind("\n") + 1
        if _HALF_LINE.fullmatch(source, start):
            source = source[:start]
        blocks, env = self._parse(source)
        if blocks:
            _calm(blocks[-1].tokens, source)
        self._tail_price = 2 * _price(source)
        self._tail = "".join(_render(block, source[block.start : block.end], env) for block in blocks)
        return self._tail


# --- What is not finished yet, shown calmly --------------------------------------------------------------------------

_HALF_LINE = re.compile(r"[ \t]*(?:[-=+*#>|`~_: \t]+|\d{1,3}[.)]?)")
"""A last line that is nothing but markers: it may become a heading, a list, a rule, a table or a fence."""
_HALF_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\Z")
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", re.S)


def _open_fence(source: str, fence: re.Match[str]) -> str:
    """Return the frame of a code block whose end has not come: as cheap as escaping it."""
    code = source[fence.end() :]
    whole, _, last = code.rpartition("\n")
    if last.strip() and not last.strip().strip(fence[2][0]):  # the closing fence, half written
        code = whole
    if fence[1]:
        code = re.sub(rf"^ {{1,{len(fence[1])}}}", "", code, flags=re.M)
    return code_html(html.escape(code), (fence[3].split() or [""])[0])


def _calm(tokens: list[Token], source: str) -> None:
    """Close in the last block what its last words have opened, so that markers do not flash while they are written."""
    last = next((token for token in reversed(tokens) if token.nesting != -1), None)
    if last is None:
        return
    if last.type == "fence" and not source.rstrip().rsplit("\n", 1)[-1].strip("> \t").startswith(last.markup):
        last.meta["uncoloured"] = True
    if last.type == "inline" and len(last.content) <= 4_000:
        last.content = _mended(last.content)


def _mended(text: str) -> str:
    text = _HALF_LINK.sub(r"\1", text)
    bare = _CODE_SPAN.sub("", text)
    if "`" in bare:
        ticks = re.findall("`+", bare)[0]
        return text.rstrip("`") if text.endswith("`") else text + ticks
    for marker in ("**", "~~"):
        if bare.count(marker) % 2:
            text = text.rstrip(marker[0] + " ") if bare.endswith(marker) else text.rstrip(marker[0]).rstrip() + marker
    return text


def _spliced(tail: str, more: str) -> str:
    """Return `tail` with escaped text added inside its last element."""
    closing = re.search(r"(?:</\w+>\s*)*\Z", tail[-400:])
    at = len(tail) - len(closing.group() if closing else "")
    return tail[:at] + more + tail[at:]


# --- Whole texts -----------------------------------------------------------------------------------------------------


def render_pieces(text: str) -> Iterator[str]:
    """Yield the HTML of `text` in pieces that take some milliseconds each, for an event loop that must not wait."""
    references: dict[str, Any] = {}
    if "]:" in text:  # links may be defined after they are used
        scout = MarkdownStream(references, dry=True)
        scout.feed(text)
        for _ in scout.close():
            yield ""
    stream = MarkdownStream(references)
    stream.feed(text)
    yield from stream.close()


def render_markdown(text: str) -> str:
    """Return `text`, which may come from anyone, as safe HTML: Markdown, or escaped text where it costs too much."""
    return "".join(render_pieces(text))
