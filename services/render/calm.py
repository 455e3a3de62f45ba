"""What is not finished yet, shown calmly: markers do not flash while their other half is being written."""

from __future__ import annotations

import html
import re

from markdown_it.token import Token

from services.render.code import code_html

HALF_LINE = re.compile(r"[ \t]*(?:[-=+*#>|`~_: \t]+|\d{1,3}[.)]?)")
"""A last line that is nothing but markers: it may become a heading, a list, a rule, a table or a fence."""
_HALF_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\Z")
"""A link whose address is being written: only its words are shown."""
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", re.S)


def open_fence(source: str, fence: re.Match[str]) -> str:
    """Return the frame of a code block whose end has not come: as cheap as escaping it."""
    code = source[fence.end() :]
    whole, _, last = code.rpartition("\n")
    if last.strip() and not last.strip().strip(fence[2][0]):  # the closing fence, half written
        code = whole
    if fence[1]:
        code = re.sub(rf"^ {{1,{len(fence[1])}}}", "", code, flags=re.M)
    return code_html(html.escape(code), (fence[3].split() or [""])[0])


def calm(tokens: list[Token], source: str) -> None:
    """Close in the last block what its last words have opened, so that markers do not flash while they are written."""
    last = next(token for token in reversed(tokens) if token.nesting != -1)
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


def spliced(tail: str, more: str) -> str:
    """Return `tail` with escaped text added inside its last element."""
    closing = re.search(r"(?:</\w+>\s*)*\Z", tail[-400:])
    at = len(tail) - len(closing.group() if closing else "")
    return tail[:at] + more + tail[at:]
