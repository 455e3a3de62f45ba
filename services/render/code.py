"""Text as HTML that shows it as it is: escaped, in the frame of a code block, coloured."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from itertools import groupby
from threading import Lock
from typing import Any

from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES, Error, Name, Other, Punctuation, Text, Whitespace

from services.messages import clean_text

MAX_CODE, _MAX_CODE_LINE, _MAX_LEX_S = 12_000, 500, 0.5
"""Code longer or wider than this (characters), or that keeps the lexer busy for longer (s of CPU), is not coloured."""
_FIRST_LEX_S = 1.5
"""The same for the first code in a language: Pygments makes its expressions, and those of languages inside, then."""
_begun: set[str] = set()
_lock = Lock()
_known: dict[tuple[str, str], str] = {}
"""What was coloured last: several tabs show the same code."""
_MOST_KNOWN = 128
_STEP_TOKENS = 250
"""Runs of one colour after which others have their turn."""
LONG = 30
"""A block of code with more lines is folded by the page."""
_NUMBERED, _WIDE = 3, 40
"""Lines from which on numbers help, and the length of one (characters) that a phone would wrap."""
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

_PART = 1_500
"""Characters of escaped text that are laid out together."""
_JOINED = re.compile(r"\u200d|.[\u0300-\u036f\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]", re.S)
"""The end of a part where the next character would be shown as one with it."""
_DEAD_CODE = re.compile(r"[\w\s.\[\]<>@-]{600}")
"""A run without punctuation: several lexers scan it again from each of its lines."""
_UNCOLOURED = {Name, Text, Whitespace, Punctuation, Error, Other}


def escape(text: str) -> str:
    """Return `text` as HTML text, safe in an element or a quoted attribute; for titles, names and errors."""
    return html.escape(clean_text(text))


def plain(text: str) -> str:
    """Return `text` as it is, escaped, in a `<pre>`. Browsers swallow a first line break there, so it is doubled.

    A long one comes in parts, of which a browser lays out those that are seen: 64 KB of marks of direction in one piece
    took it two seconds.
    """
    parts = list(_parts(text))
    if len(parts) > 1:
        body = "".join(f"<span>{html.escape(part)}</span>" for part in parts)
    else:
        body = ("\n" if text.startswith("\n") else "") + html.escape(text)
    return f'<pre class="plain" dir="auto" tabindex="0">{body}</pre>\n'


def _parts(text: str) -> Iterator[str]:
    """Cut a text behind lines; one that is longer than a part behind a word, else anywhere but within a character."""
    start = 0
    while len(text) - start > _PART:
        latest = start + _PART
        end = text.rfind("\n", start, latest) + 1 or text.rfind(" ", latest - _PART // 8, latest) + 1
        if not end:
            end = next((at for at in range(latest, latest - 64, -1) if not _JOINED.match(text, at - 1)), latest)
        yield text[start:end]
        start = end
    yield text[start:]


def code_html(body: str, language: str, code: str = "") -> str:
    """Return the frame of a code block around `body`, which is HTML already, with the buttons that the page obeys.

    Which ones depends on the `code`: that of a block that is being written is not known yet. A long one says how long,
    for the page to fold it; a diagram's frame says that it is one.
    """
    name = re.sub(r"[^\w+#.-]", "", language)[:30]
    diagram = " mermaid" if name.lower() == "mermaid" and code else ""
    lines = code.count("\n")
    tools = _toggle("show-diagram", "Diagram", on=True) + _toggle("show-source", "Source") if diagram else ""
    if lines >= _NUMBERED:
        tools += _toggle("code-numbers", "Line numbers")
    if any(len(line) > _WIDE for line in code.split("\n")):
        tools += _toggle("code-wrap", "Wrap")
    length, fold = "", ""
    if lines > LONG:
        length = f' data-lines="{lines}"'
        fold = f'<button type="button" class="fold" aria-expanded="false">Show all {lines:,} lines</button>'
    return (
        f'<div class="code-block{diagram}"{length}><div class="code-head"><span class="code-lang">{name}</span>{tools}'
        '<button type="button" class="copy-code">Copy code</button></div>'
        f'<pre tabindex="0"><code class="language-{name.lower() or "none"}">{body}</code></pre>{fold}</div>\n'
    )


def _toggle(name: str, label: str, *, on: bool = False) -> str:
    return f'<button type="button" class="{name}" aria-pressed="{str(on).lower()}">{label}</button>'


def _css_class(token: tuple[Any, str]) -> str:
    return "" if token[0] in _UNCOLOURED else str(STANDARD_TYPES.get(token[0], ""))


def highlight(code: str, language: str) -> str:
    """Return `code` as HTML with Pygments' classes; plain when the language is unknown or colouring costs too much."""
    *_, coloured = colouring(code, language)
    return coloured


def colouring(code: str, language: str) -> Iterator[str]:
    """Do what `highlight` does in steps of some milliseconds, each of which yields nothing but the last, the HTML."""
    key = (language.lower(), code)
    with _lock:  # threads render, too
        if found := _known.pop(key, ""):
            _known[key] = found  # now the newest
    if found:
        yield found
        return
    for coloured in _colouring(code, language.lower()):
        yield coloured
    with _lock:
        _known[key] = coloured
        if len(_known) > _MOST_KNOWN:
            del _known[next(iter(_known))]


def _colouring(code: str, language: str) -> Iterator[str]:
    longest = max(map(len, code.split("\n")))
    if language not in LANGUAGES or len(code) > MAX_CODE or longest > _MAX_CODE_LINE or _DEAD_CODE.search(code):
        yield html.escape(code)
        return
    out: list[str] = []
    limit = _MAX_LEX_S if language in _begun else _FIRST_LEX_S
    _begun.add(language)
    spent = 0.0
    began = time.thread_time()
    try:
        tokens = get_lexer_by_name(language, stripnl=False, ensurenl=False).get_tokens(code)
        for number, (css, group) in enumerate(groupby(tokens, _css_class)):
            text = html.escape("".join(value for _, value in group))
            out.append(f'<span class="{css}">{text}</span>' if css else text)
            if spent + time.thread_time() - began > limit:
                yield html.escape(code)
                return
            if number % _STEP_TOKENS == _STEP_TOKENS - 1:
                spent += time.thread_time() - began
                yield ""
                began = time.thread_time()
    except (ValueError, RecursionError):
        out = [html.escape(code)]
    yield "".join(out)
