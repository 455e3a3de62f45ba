"""Links and pictures, made inert: they lead to the web or to mail only, say where, and nothing is loaded unasked."""

from __future__ import annotations

import html
import re

from markdown_it import MarkdownIt
from markdown_it.common.normalize_url import normalizeLinkText
from markdown_it.token import Token

from services.render.hosts import has_user, host_of, is_misleading, readable

_URL = re.compile(r"(?:https?://[^/?#\s]|mailto:[^\s])", re.I)


def raw(text: str) -> Token:
    """Return a token that is this HTML."""
    return Token("html_inline", "", 0, content=text)


def inert(children: list[Token], md: MarkdownIt) -> list[Token]:
    """Return inline tokens in which links lead only to the web or to mail, and nothing is loaded by being shown."""
    out: list[Token] = []
    url, words = "", ""
    for token in children:
        if token.type == "link_open":
            url, words = str(token.attrs.get("href", "")), ""
            url = url if _URL.match(url) else ""
        if token.type == "image":
            alt = md.renderer.renderInlineAsText(token.children, md.options, {}).strip()  # type: ignore[attr-defined]
            words += alt
            out.append(raw(_picture(token, alt, inside_link=bool(url))))
        elif url or token.type not in {"link_open", "link_close"}:
            words += token.content or " " * (token.type in {"softbreak", "hardbreak"})
            out.append(token)
        if token.type == "link_close":
            if url and (host := host_of(url)) and is_misleading(words, url):
                out.append(raw(f'<span class="leads-to"> → {html.escape(readable(host))}</span>'))
            url = ""
    return out


def link_text(url: str) -> str:
    """Return what an address between angle brackets reads as: a host that could deceive stays in ASCII."""
    text, host = normalizeLinkText(url), host_of(url)
    return url if host and readable(host) == host and host not in text else text


def _picture(token: Token, alt: str, *, inside_link: bool) -> str:
    url = str(token.attrs.get("src", ""))
    host = host_of(url) if _URL.match(url) and not url.lower().startswith("mailto:") else None
    label = html.escape(f"Image: {alt or 'no description'}")
    if not host:
        return f'<span class="image">{label}</span>'
    place = html.escape(readable(host))
    if inside_link or has_user(url):
        return f'<span class="image">{label} ({place})</span>'
    button = f'<button type="button" class="load-image" data-src="{html.escape(url)}">Open image from {place}</button>'
    return f'<span class="remote"><span class="image">{label}</span> {button}</span>'
