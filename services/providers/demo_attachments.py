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
    parts = content if isinstance(content, list) else []
    urls = [_url(part) for part in parts if isinstance(part, dict) and part.get("type") == "image_url"]
    attached: list[str] = []
    while True:
        text = text.lstrip("\n")
        file, picture = _FILE.match(text), _PICTURE.match(text)
        end = text.find(f"\n{file[3]}\n", file.end() - 1) if file else -1
        if file and end >= 0:
            attached.append(f"{_code(file[1])}, a text file of {file[2]} bytes")
            text = text[end + len(file[3]) + 2 :]
        elif picture and urls:
            attached.append(f"{_code(picture[1])}, a picture {_described(urls.pop(0))}")
            text = text[picture.end() :]
        else:
            return text.strip(), tuple(attached)


def _described(url: str) -> str:
    kind = _DATA.match(url)
    if kind is None:
        return "that is elsewhere"
    return f"({kind[1]}) of {(len(url) - kind.end()) * 3 // 4 - url[-2:].count('='):,} bytes"


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
