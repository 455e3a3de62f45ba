"""Metrics of the served app, with a page open in a browser."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
from playwright.sync_api import Page

from tests.test_metrics import Samples, samples_of, value
from tests.ui.acts import answers, ask, open_new, settled, until
from tests.ui.conftest import Server

pytestmark = pytest.mark.browser


def read(server: Server, **headers: str) -> Samples:
    request = urllib.request.Request(f"http://localhost:{server.port}/metrics", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return samples_of(answer.read())


def test_prometheus_reads_the_served_app(page: Page, own_server: Server) -> None:
    own_server.environ |= {"PANELIST_METRICS": "on", "PANELIST_TITLES": "off"}
    own_server.options = ("--warm",)
    own_server.start()
    found = read(own_server)  # before any page has opened the database
    assert value(found, "panelist_open_pages") == 0
    assert value(found, "process_resident_memory_bytes") > 10_000_000
    open_new(page, own_server)
    ask(page, "Hello")
    settled(answers(page))
    found = read(own_server)
    assert value(found, "panelist_requests_total", endpoint="demo", status="complete", error="") == 1
    assert value(found, "panelist_tokens_total", endpoint="demo", type="output") > 0
    assert value(found, "panelist_open_pages") == 1
    assert value(found, "panelist_event_loop_lag_seconds_count") > 0
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}, {"X-Forwarded-For": "10.0.0.1"}):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            read(own_server, **headers)
    page.close()
    until(lambda: value(read(own_server), "panelist_open_pages") == 0, "the page has gone")


def test_there_are_none_unless_switched_on(own_server: Server) -> None:
    own_server.options = ("--warm",)
    own_server.start()
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        read(own_server)
    assert b"PANELIST_METRICS=on" in refused.value.read()
