"""What is not finished yet does not flash."""

from __future__ import annotations

import pytest

from services.render import MarkdownStream
from tests.render.audit import audit


def tail_of(text: str) -> str:
    writer = MarkdownStream()
    writer.feed(text)
    return writer.paint().tail


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("some **bo", "<p>some <strong>bo</strong></p>"),
        ("some **bold*", "<p>some <strong>bold</strong></p>"),
        ("some **", "<p>some</p>"),
        ("a ~~b", "<p>a <s>b</s></p>"),
        ("call `f(x", "<p>call <code>f(x</code></p>"),
        ("call ``f`x", "<p>call <code>f`x</code></p>"),
        ("call `", "<p>call </p>"),
        ("`a` and `**b", "<p><code>a</code> and <code>**b</code></p>"),
        ("see [the docs](https://a.exa", "<p>see the docs</p>"),
        ("text\n-", "<p>text</p>"),
        ("text\n\n``", "<p>text</p>"),
        ("- a\n- **b", "<ul>\n<li>a</li>\n<li><strong>b</strong></li>\n</ul>"),
        ("2 * 3 and *args", "<p>2 * 3 and *args</p>"),
    ],
)
def test_half_written_markup_is_calm(written: str, seen: str) -> None:
    assert tail_of(written).replace(' dir="auto"', "").replace(" </p>", "</p>").strip() == seen.replace(" </p>", "</p>")


@pytest.mark.parametrize("indent", ["", "  "])
def test_an_open_code_block_shows_its_code_uncoloured(indent: str) -> None:
    writer = MarkdownStream()
    writer.feed(f"{indent}```python\n{indent}x = 1 # <b>\n{indent}``")
    tail = writer.paint().tail
    page = audit(tail)
    assert page.text.split("Copy code")[1] == "x = 1 # <b>\n"
    assert 'class="mi"' not in tail
    writer.feed("`\n")
    paint = writer.paint()
    assert '<span class="mi">1</span>' in paint.frozen
    assert paint.tail == ""


def test_a_code_block_is_never_blank() -> None:
    assert "Copy code" in tail_of("```py")
    assert "Copy code" in tail_of("```py\n")
