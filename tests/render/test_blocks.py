"""What a block may cost: a bomb is shown, every character of it, and never dear."""

from __future__ import annotations

import pytest

from services.render import render_markdown
from services.render.blocks import PRICES
from services.render.tokens import MD
from tests.render.audit import audit, visible, words

BOMBS = ["//a.b/", "# a\n", "- [ ] a\n", "[", "![", "**a ", "_a_", "`", "`a ", ">", "- a\n  ", "|a", "<", "&amp;"]
BOMBS += ["> - ", "[a](", "a\n\n", "---\n\n", "```\na\n```\n", "*_a ", "1. a\n", "[a]: /b\n[a]", "<!--", "\\", "a\n-\n"]


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_loses_nothing_and_costs_little(bomb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = bomb * (65_536 // len(bomb))
    inline = 0
    parse = MD.inline.parse

    def counting(src: str, *args: object) -> object:
        nonlocal inline
        inline += sum(src.count(mark) * cost for mark, cost in PRICES.items())
        return parse(src, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(MD.inline, "parse", counting)
    html = render_markdown(text)
    assert inline <= 150_000
    if "]:" not in text:
        assert words(visible(html)) == words(text)
    audit(html)


def test_a_wide_table_with_short_rows_is_not_filled_up() -> None:
    html = render_markdown("|" + "a|" * 300 + "\n|" + "-|" * 300 + "\n" + "b\n" * 30_000)
    assert len(html) < 200_000


@pytest.mark.parametrize(("bomb", "tag"), [("# a\n", "h1"), ("a\n\n", "p"), ("---\n\n", "hr"), ("```\n```\n", "pre")])
def test_many_small_blocks_end_as_plain_text(bomb: str, tag: str) -> None:
    page = audit(render_markdown(bomb * 16_000))
    assert 200 < len(page.all(tag)) < 4_000
    assert next(name for name, _ in reversed(page.elements) if name != "span") == "pre"


def test_what_is_nested_too_deep_is_shown_and_the_rest_rendered() -> None:
    page = audit(render_markdown("> " * 40 + "treasure\n\n**after**\n"))
    assert "treasure" in page.text
    assert page.all("strong")


def test_one_dear_block_does_not_take_the_others_with_it() -> None:
    page = audit(render_markdown("**before**\n\n" + "[" * 5_000 + "\n\n**after**\n"))
    assert page.text.count("[") == 5_000
    assert len(page.all("strong")) == 2


@pytest.mark.parametrize(("mark", "end"), [("*a ", " a*"), ("~~a ", " a~~"), ("**a *b ", " b* a**")])
def test_words_inside_hundreds_of_marks_are_plain_text(mark: str, end: str) -> None:
    bomb = mark * 100 + "c" + end * 100
    page = audit(render_markdown(f"**before**\n\n{bomb}\n\n**after**\n"))
    assert [name for name, _ in page.elements] == ["p", "strong", "pre", "p", "strong"]
    assert bomb in page.text
    assert "pre" not in [name for name, _ in audit(render_markdown(mark * 20 + "c" + end * 20)).elements]


def test_thousands_of_marks_of_direction_are_plain_text() -> None:
    assert audit(render_markdown("\u2067a\u2069" * 1_000)).elements[0][0] == "pre"
    assert audit(render_markdown("\u2067a\u2069 words of a sentence " * 100)).elements[0][0] == "p"


def test_a_very_long_text_ends_as_plain_text() -> None:
    text = "A calm line of prose.\n\n" * 12_000
    html = render_markdown(text)
    assert html.count('<pre class="plain"') == 1
    assert len(visible(html).split()) == len(text.split())


def test_a_long_honest_text_is_rendered_to_its_end() -> None:
    section = "## Title\n\nSome **bold** words, `code` and [a link](https://a.example/b).\n\n- one\n- two\n\n"
    assert 'class="plain"' not in render_markdown(section * 1_000)
