"""What a browser would make of our HTML, and whether all of it may be there."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

from services.render import MarkdownStream

TAGS = set(
    re.findall(
        r"\w+",
        """p ul ol li dl dt dd sup blockquote h1 h2 h3 h4 h5 h6 hr br div pre table thead tbody tr th td em
    strong s code span a input button""",
    )
)
MATH_TAGS = set(
    re.findall(
        r"\w+",
        """math semantics annotation mrow mi mn mo mtext mspace msub msup msubsup munder mover munderover mfrac msqrt
    mroot mstyle mpadded mphantom menclose mtable mtr mtd""",
    )
)
MATH_ATTRIBUTES = set(
    re.findall(
        r"\w+",
        """display encoding accent columnalign displaystyle fence form largeop mathvariant movablelimits notation
    scriptlevel separator stretchy width height depth lspace rspace voffset minsize maxsize linethickness""",
    )
)
ATTRIBUTES = set(
    re.findall(
        r"\S+",
        """class dir tabindex role aria-label href title target rel type disabled checked start data-note data-src
        data-lines data-as data-continued aria-pressed aria-expanded""",
    )
)
TOOLS = {"code-numbers", "code-wrap", "show-diagram", "show-source", "fold", "copy-table"}
"""Buttons whose words are ours and not the text's."""


class Audit(HTMLParser):
    """Parses HTML and keeps what a browser would make of it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.comments: list[str] = []
        self.stack: list[str] = []
        self.in_tool = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.in_tool = tag == "button" and dict(attrs).get("class") in TOOLS
        if tag not in {"hr", "br", "input"}:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag
        self.in_tool = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self.in_tool else data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def audit(html: str) -> Audit:
    """Parse `html` and fail if anything is in it that is not on the list, or not balanced."""
    page = Audit(html)
    assert not page.stack
    assert not page.comments
    for tag, attrs in page.elements:
        if tag in MATH_TAGS:
            assert set(attrs) <= MATH_ATTRIBUTES or (tag, set(attrs) - MATH_ATTRIBUTES) == ("mtd", {"class"})
            assert not re.search(r"[:()%]|(?<![\d.])\d{3}", "".join(f"{value} " for value in attrs.values())), attrs
            continue
        assert tag in TAGS
        assert set(attrs) <= ATTRIBUTES, (tag, attrs)
        if tag == "a":
            # Without an href it leads nowhere: an address that no browser could read was taken out.
            assert urlsplit(attrs.get("href", "https://") or "").scheme in {"http", "https", "mailto"}
            assert attrs["target"] == "_blank"
            assert set((attrs["rel"] or "").split()) == {"noopener", "noreferrer", "nofollow"}
        if "data-src" in attrs:
            assert tag == "button"
            assert attrs["class"] == "load-image"
            assert urlsplit(attrs["data-src"] or "").scheme in {"http", "https"}
        if tag == "input":
            assert attrs["type"] == "checkbox"
            assert "disabled" in attrs
            assert attrs["aria-label"]
    return page


def visible(html: str) -> str:
    return Audit(html).text


def words(text: str) -> str:
    return re.sub(r"[^a-z]", "", re.sub(r"amp|Copy code", "", text))


def tail_of(text: str) -> str:
    """Return what a reply shows of its unfinished end when this much of it is written."""
    writer = MarkdownStream()
    writer.feed(text)
    return writer.paint().tail
