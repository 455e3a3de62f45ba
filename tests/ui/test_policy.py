"""The page's content security policy: whatever runs in it can fetch nothing from elsewhere, and send nothing there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import BrowserContext, Error, Page

from tests.ui.acts import open_new, until
from tests.ui.conftest import Server
from tests.ui.listener import Listener

pytestmark = pytest.mark.browser

ADD = "const add = (tag, attributes) => document.body.append(Object.assign(document.createElement(tag), attributes));"
"""Puts an element into the page."""

BLOB = "const blob = (text, type) => URL.createObjectURL(new Blob([text], {type}));"

FORM = "add('iframe', {name: 'there'}); add('form', {action: url, target: 'there', id: 'f'}); f.submit()"

ATTEMPTS = {
    "script": ("script-src-elem", "add('script', {src: url})"),
    "module": ("script-src-elem", "import(url).catch(() => {})"),
    "style": ("style-src-elem", "add('link', {rel: 'stylesheet', href: url})"),
    "style import": ("style-src-elem", "add('style', {textContent: `@import '${url}'`})"),
    "font": ("font-src", "new FontFace('x', `url(${url})`).load().catch(() => {})"),
    "image": ("img-src", "new Image().src = url"),
    "background": ("img-src", "document.body.style.backgroundImage = `url(${url})`"),
    "video": ("media-src", "add('video', {src: url})"),
    "audio": ("media-src", "new Audio(url).load()"),
    "object": ("object-src", "add('object', {data: url})"),
    "embed": ("object-src", "add('embed', {src: url})"),
    "frame": ("frame-src", "add('iframe', {src: url})"),
    "base": ("base-uri", "add('base', {href: `${url}/`}); fetch('below').catch(() => {})"),
    "form": ("form-action", FORM),
    "fetch": ("connect-src", "fetch(url).catch(() => {})"),
    "request": ("connect-src", "const x = new XMLHttpRequest(); x.open('GET', url); x.send()"),
    "events": ("connect-src", "new EventSource(url)"),
    "socket": ("connect-src", "try { new WebSocket(url.replace('http', 'ws')) } catch {}"),
    "beacon": ("connect-src", "navigator.sendBeacon(url, 'x')"),
    "ping": ("connect-src", "add('a', {href: '#', ping: url, id: 'p'}); p.click()"),
    "prefetch": ("default-src", "add('link', {rel: 'prefetch', href: url})"),
    # What has a document or a global of its own has the same policy, and says itself what it refused.
    "worker": (None, "new Worker(blob(`fetch('${url}').catch(() => {})`, 'text/javascript'))"),
    "worker's script": (None, "new Worker(blob(`try { importScripts('${url}') } catch {}`, 'text/javascript'))"),
    "frame of ours": (None, "add('iframe', {srcdoc: `<img src='${url}'>`})"),
    "frame of a blob": (None, "add('iframe', {src: blob(`<img src='${url}'>`, 'text/html')})"),
}
"""Which directive refuses it, and what is done in the page."""

UNHEARD = {"prefetch"}
"""What a browser fetches when it likes, if at all."""

TRY = """([attempt, url, patience]) => new Promise((done) => {
    addEventListener("securitypolicyviolation", ({effectiveDirective}) => done(effectiveDirective), {once: true})
    setTimeout(() => done(null), document.querySelector("meta[http-equiv]") ? patience : 0)
    %s
    eval(attempt)
})""" % (ADD + BLOB)


@pytest.fixture
def listener() -> Iterator[Listener]:
    one = Listener()
    yield one
    one.close()


def attempted(page: Page, listener: Listener, name: str) -> str | None:
    """Try it; return which directive the page said it was refused by, None when it says nothing within a while."""
    directive, attempt = ATTEMPTS[name]
    refused: str | None = page.evaluate(TRY, [attempt, f"{listener.url}/{slug(name)}", 3_000 if directive else 0])
    return refused


def slug(name: str) -> str:
    return name.replace(" ", "-").replace("'", "")


def test_nothing_comes_from_elsewhere_and_nothing_goes_there(
    context: BrowserContext, page: Page, server: Server, listener: Listener
) -> None:
    open_new(page, server)
    for name in reversed(ATTEMPTS):  # what is slow to begin comes first
        assert attempted(page, listener, name) == ATTEMPTS[name][0], name
    page.wait_for_timeout(500)
    assert listener.heard == set()

    listener.heard.clear()
    for name in ATTEMPTS.keys() - UNHEARD:
        bare = context.new_page()  # one may lead to elsewhere, and take what the next one begins along
        bare.goto(listener.url)
        with suppress(Error):
            attempted(bare, listener, name)
    expected = {slug(name) for name in ATTEMPTS.keys() - UNHEARD}
    until(lambda: listener.heard >= expected, "without the policy each of them is heard")
