"""What came with a question to the demo endpoint, taken from the request as any server would get it."""

from __future__ import annotations

import re

from services.providers.demo_answers import NOT_AN_AI

_FILE = re.compile(r"Attached file “(.*)” \(([\d,]+) bytes\):\n(`{3,})\n")
_PICTURE = re.compile(r"Attached picture “(.*)” \(.*\)\n+")
_DATA = re.compile(r"data:([\w/+.-]+);base64,")


def taken_apart(text: str, content: object) -> tuple[str, tuple[str, ...]]:
    """Return a question without its attachments, and these in words.

    Args:
        text: All text of the message.
        content: The message's content as it came; pictures are in a list of parts.
    """
    attached: list[str] = []
    while found := _FILE.match(text):
        name, size, fence = found.groups()
        end = text.find(f"\n{fence}\n", found.end() - 1)
        if end < 0:
            break
        attached.append(f"{_code(name)}, a text file of {size} bytes")
        text = text[end + len(fence) + 2 :].lstrip("\n")
    names = _PICTURE.findall(text)
    parts = content if isinstance(content, list) else []
    urls = [_url(part) for part in parts if isinstance(part, dict) and part.get("type") == "image_url"]
    for name, url in zip(names, urls, strict=False):
        kind = _DATA.match(url)
        size = (len(url) - kind.end()) * 3 // 4 - url[-2:].count("=") if kind else 0
        attached.append(f"{_code(name)}, a picture ({kind[1] if kind else 'not sent'}) of {size:,} bytes")
    return _PICTURE.sub("", text).strip(), tuple(attached)


def told_of(attached: tuple[str, ...], rest: str) -> str:
    """Return an answer that says what came, before what there is to say besides."""
    count = "one attachment" if len(attached) == 1 else f"{len(attached)} attachments"
    items = "".join(f"- {one}\n" for one in attached)
    return f"{NOT_AN_AI}Your message came with {count}:\n\n{items}\n{rest.removeprefix(NOT_AN_AI)}".rstrip() + "\n"


def _url(part: dict[str, object]) -> str:
    image = part.get("image_url")
    return str(image.get("url")) if isinstance(image, dict) else ""


def _code(name: str) -> str:
    return f"`{name.replace('`', chr(39))}`"
