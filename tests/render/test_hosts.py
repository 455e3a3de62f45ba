"""Hosts, and what words say about them."""

from __future__ import annotations

import pytest

from services.render.hosts import has_user, host_of, is_misleading, readable


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://A.example:8080/b", "a.example"),
        ("http://user:word@a.example/b@c", "a.example"),
        ("https://openai.com@evil.example", "evil.example"),
        ("https://openai.com%2F@evil.example/", "evil.example"),
        ("https://%65vil.example/", "evil.example"),
        ("https://a.example./", "a.example"),
        ("https://[::1]:80/", "::1"),
        ("mailto:Me@A.example?subject=x@y", "a.example"),
        ("mailto:nobody", None),
        ("https://[zz", None),
    ],
)
def test_the_host_is_the_one_a_browser_takes(url: str, host: str | None) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("a.example", "a.example"),
        ("xn--bcher-kva.example", "bücher.example"),
        ("xn--e1afmkfd.example", "пример.example"),
        ("xn--wgv71a119e.jp", "日本語.jp"),
        ("xn--a-jn6b.jp", "xn--a-jn6b.jp"),
        ("xn--y9j3b8e6e728tv2ya.jp", "ひらカナ漢字.jp"),
        ("xn--pple-43d.com", "xn--pple-43d.com"),
        ("xn--80ak6aa92e.com", "xn--80ak6aa92e.com"),
        ("\u0430pple.com", "xn--pple-43d.com"),
        ("xn--99999999.com", "xn--99999999.com"),
        ("xn--ls8h.la", "xn--ls8h.la"),
    ],
)
def test_hosts_of_several_scripts_stay_in_ascii(host: str, shown: str) -> None:
    assert readable(host) == shown


def test_users_before_a_host() -> None:
    assert has_user("https://openai.com@evil.example")
    assert not has_user("https://a.example/b@c")
    assert not has_user("mailto:a@b.example")
    assert not has_user("https://[zz")


@pytest.mark.parametrize(
    "words",
    [
        "openai.com",
        "OPENAI.COM",
        "www.openai.com",
        "(openai.com)",
        "see openai.com.",
        "openai.com/login",
        "openai.com:443",
        "openai.com#a",
        "//openai.anything/a",
        "https://openai.anything",
        "ftp://openai.anything",
        "openai.com@a.example",
        "ｏｐｅｎａｉ．ｃｏｍ",
        "openai․com",
        "openai。com",
        "open\u200bai.com",
        "ope\u00adnai.com",
        "o\u0440enai.com",
        "bank.de",
        "http://10.0.0.1",
        "a.example.com",
        "\u202emoc.ianepo",
        "xn--pple-43d.xn--p1ai",
    ],
)
def test_words_that_name_another_host_mislead(words: str) -> None:
    assert is_misleading(words, "https://a.example")


@pytest.mark.parametrize(
    "words",
    [
        "a.example",
        "https://a.example/b",
        "www.a.example",
        "the docs",
        "README.md",
        "src/main.py",
        "asyncio.run",
        "Node.js",
        "np.array(x)",
        "version 1.2.3",
        "e.g. this",
        "5 p.m.",
        "and so on…",
        "me@a.example",
        "",
    ],
)
def test_other_words_do_not(words: str) -> None:
    assert not is_misleading(words, "https://a.example")
