"""Links lead to the web or to mail and say where; pictures wait until they are asked for."""

from __future__ import annotations

import pytest

from services.render import render_markdown
from tests.render.audit import audit


def test_a_picture_is_not_loaded_by_being_shown() -> None:
    html = render_markdown("so ![a *cat*](https://img.example/cat.png?a=1&b=2 'title') it is")
    page = audit(html)
    assert page.text.strip() == "so Image: a cat Open image from img.example it is"
    [button] = page.all("button")
    assert button == {
        "type": "button",
        "class": "load-image",
        "data-src": "https://img.example/cat.png?a=1&b=2",
    }
    assert not page.all("img")
    assert not page.all("a")
    assert page.all("span")[0] == {"class": "remote"}


@pytest.mark.parametrize(
    ("picture", "shown"),
    [
        ("![](data:image/png;base64,AAAA)", "Image: no description"),
        ("![x](javascript:alert(1))", "Image: x"),
        ("![x](//img.example/a.png)", "Image: x"),
        ("![x](/logout)", "Image: x"),
        ("![x](mailto:a@b.example)", "Image: x"),
        ("![x](ftp://img.example/a.png)", "Image: x"),
        ("![x](http://[zz/a)", "Image: x"),
        ("![x](https://openai.com@img.example/a)", "Image: x (img.example)"),
        ("[![x](https://img.example/a)](https://a.example)", "Image: x (img.example)"),
    ],
)
def test_other_pictures_are_words(picture: str, shown: str) -> None:
    page = audit(render_markdown(picture))
    assert page.text.strip() == shown
    assert not page.all("button")


def test_an_address_of_a_picture_is_escaped() -> None:
    page = audit(render_markdown("![x](https://a.example/?b&amp;copy;)"))
    assert page.all("button")[0]["data-src"] == "https://a.example/?b&copy;"


def test_a_host_of_a_picture_is_readable() -> None:
    assert "from bücher.example<" in render_markdown("![x](https://bücher.example/a)")
    assert "from xn--pple-43d.com<" in render_markdown("![x](https://\u0430pple.com/a)")


@pytest.mark.parametrize(
    ("text", "href"),
    [
        ("[x](https://a.example/b?c=d&e=f)", "https://a.example/b?c=d&e=f"),
        ("[x](http://a.example)", "http://a.example"),
        ("<me@a.example>", "mailto:me@a.example"),
        ("[x][y]\n\n[y]: https://a.example", "https://a.example"),
    ],
)
def test_links_to_web_and_mail_survive(text: str, href: str) -> None:
    assert [a["href"] for a in audit(render_markdown(text)).all("a")] == [href]


def test_other_links_keep_their_words() -> None:
    page = audit(render_markdown("see [the **docs**](javascript:alert(1)) now, or https://a.example"))
    assert page.text.strip() == "see the docs now, or https://a.example"
    assert not page.all("a")


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("[openai.com](https://evil.example)", "evil.example"),
        ("[https://openai.com/login](https://evil.example)", "evil.example"),
        ("[Log in at **open**ai.com now](https://evil.example)", "evil.example"),
        ("[`openai.com`](https://evil.example)", "evil.example"),
        ("[![openai.com](https://img.example/a)](https://evil.example)", "evil.example"),
        ("<https://openai.com@evil.example>", "evil.example"),
        ("[read on](https://openai.com@evil.example)", "evil.example"),
        ("[me@openai.com](mailto:me@evil.example)", "evil.example"),
        ("[openai.com][x]\n\n[x]: https://evil.example", "evil.example"),
        ("[openai.com](https://\u0430pple.com)", "xn--pple-43d.com"),
        ("[\u0430pple.com](https://\u0430pple.com)", "xn--pple-43d.com"),
    ],
)
def test_a_link_that_lies_says_where_it_leads(text: str, host: str) -> None:
    html = render_markdown(text)
    audit(html)
    assert f'</a><span class="leads-to"> → {host}</span>' in html


@pytest.mark.parametrize(
    "text",
    [
        "[the docs](https://openai.com)",
        "[openai.com](https://www.openai.com/a)",
        "[https://openai.com/…](https://openai.com/about)",
        "<https://openai.com/a>",
        "<me@openai.com>",
        "[bücher.example/a](https://bücher.example/a)",
        "[README.md](https://github.com/a/b)",
        "[openai.com](javascript:alert(1))",
        "[openai.com](http://[zz)",
    ],
)
def test_an_honest_link_says_nothing_more(text: str) -> None:
    assert "leads-to" not in render_markdown(text)


def test_an_address_that_could_deceive_is_shown_in_ascii() -> None:
    page = audit(render_markdown("<https://xn--pple-43d.com/a> <https://xn--bcher-kva.example/b>"))
    assert page.text.split() == ["https://xn--pple-43d.com/a", "https://bücher.example/b"]
