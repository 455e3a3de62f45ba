"""Where math begins and ends in Markdown: Pandoc's rules, so that money stays money and code stays code."""

from __future__ import annotations

import pytest

from services.render import MarkdownStream, render_markdown
from services.render.formulas import MAX_ALL_TEX, MAX_BLOCK_TEX, MAX_LINES
from services.render.tex import MAX_TEX
from tests.render.audit import Audit, audit, tail_of, visible


def formulas(html: str) -> list[str]:
    """Return the TeX of each formula, with a mark before those on display."""
    page = Audit(html)
    sources = [part.split("</annotation>")[0] for part in html.split('<annotation encoding="application/x-tex">')[1:]]
    return ["!" * ("display" in attrs) + visible(tex) for attrs, tex in zip(page.all("math"), sources, strict=True)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$x$", ["x"]),
        ("a $x$, $y$.", ["x", "y"]),
        ("2$x$ and an$x$", ["x", "x"]),
        ("$a\nb$", ["a\nb"]),
        (r"$a\$b$", [r"a\$b"]),
        (r"\(x\) and \( y \)", ["x", "y"]),
        ("$$x$$", ["!x"]),
        ("so $$ x $$ it is", ["!x"]),
        (r"so \[ x \] it is", ["!x"]),
        ("$$\nx\n+ y\n$$", ["!x\n+ y"]),
        ("text:\n$$\nx\n- y\n$$\nmore", ["!x\n- y"]),
        ("\\[\nx = 1\n\\]", ["!x = 1"]),
        ("- a\n  $$\n  # x\n  $$\n- b", ["!# x"]),
        ("> $$\n> - x\n> $$", ["!- x"]),
        ("> quote\n$$\n- x\n$$", ["!- x"]),
        ("$$ x\n$$", ["!x"]),
        ("$$x\ny$$", ["!x\ny"]),
        ("**$x$** and [$y$](https://a.example)", ["x", "y"]),
        ("|a|\n|-|\n|$x$|", ["x"]),
        ("# $x$", ["x"]),
        ("> a\n    $$\nb $$", ["!b"]),
        ("- $$\n  a\n- b $$", []),
        ("see \\(`x\\)`", []),
        (r"\\(x\\)", []),
        ("$5 and $10", []),
        ("$5, $6/$7 and US$8", []),
        ("from $5-$10", []),
        ("$x $ and $ y$", []),
        (r"\$x\$", []),
        ("`$x$` and ``$y$``", []),
        ("it costs $5, see `$x$`", []),
        ("```\n$x$\n$$\ny\n$$\n```", []),
        ("    $$\n    x\n    $$", []),
        ("$", []),
        ("$$", []),
        ("$$$$", []),
        ("$$$x$$$", []),
        ("$$\n\n$$", []),
        ("$$\n$$", []),
        (r"\(\) \[\]", []),
        ("$$\na\n\nb\n$$", []),
        ("$$x", []),
        (r"\(x", []),
        ("\\[\nx", []),
        ("> $$\n\na\n$$", []),
        (r"[a\]](https://a.example) \[b", []),
    ],
)
def test_where_math_is(text: str, found: list[str]) -> None:
    html = render_markdown(text)
    assert formulas(html) == found
    audit(html)


def test_money_and_escapes_read_as_they_were_written() -> None:
    assert visible(render_markdown(r"$5 and $10, \$20 \[a")) == "$5 and $10, $20 [a\n"


def test_words_after_a_formula_stay() -> None:
    page = audit(render_markdown("$$x$$ it is\n\n\\[ x\n\\] it was"))
    assert len(page.all("math")) == 2
    assert page.text.count(" it ") == 2


def test_what_follows_an_unfinished_formula_is_not_swallowed() -> None:
    page = audit(render_markdown("$$\nx\n\n# Title\n\n- item\n\n\\[\n- **bold**\n"))
    assert page.all("h1")
    assert len(page.all("li")) == 2
    assert page.all("strong")
    page = audit(render_markdown("$$\n" + "- a\n" * MAX_LINES + "$$\n"))
    assert len(page.all("li")) == MAX_LINES


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (r"a $\foo{<x>}$ b", r'<p>a <code class="tex">$\foo{&lt;x&gt;}$</code> b</p>'),
        ("a $" + "x" * (MAX_TEX + 1) + "$", '<p>a <code class="tex">$' + "x" * (MAX_TEX + 1) + "$</code></p>"),
    ],
)
def test_what_cannot_be_read_is_shown_as_its_source(text: str, seen: str) -> None:
    assert render_markdown(text).replace(' dir="auto"', "").strip() == seen


def test_a_block_that_cannot_be_read_is_a_code_block() -> None:
    page = audit(render_markdown("$$\n\\foo\n$$"))
    assert page.text.strip() == "latexCopy code$$\n\\foo\n$$"
    page = audit(render_markdown("\\[\\foo\\]"))
    assert page.text.strip() == "latexCopy code\\[\\foo\\]"


def test_wide_formulas_scroll_in_themselves() -> None:
    assert render_markdown("$$x$$\n").startswith('<div class="math"><math display="block">')
    assert '<span class="math display"><math' in render_markdown("a $$x$$ b")
    assert '<span class="math"><math' in render_markdown("a $" + "x+" * 30 + "y$ b")
    assert "<span" not in render_markdown("a $x$ b")


def test_formulas_are_rationed() -> None:
    formula = "$" + "x" * 500 + "$ "
    html = render_markdown(formula * 20)
    assert html.count("<math>") == MAX_BLOCK_TEX // 500
    assert html.count('<code class="tex">') == 20 - MAX_BLOCK_TEX // 500
    text = (formula * 8 + "\n\n") * 12
    html = render_markdown(text)
    assert html.count("<math>") == MAX_ALL_TEX // 500
    writer = MarkdownStream()
    for i in range(0, len(text), 3_000):
        writer.feed(text[i : i + 3_000])
        writer.paint()
    assert writer.finish().html == html


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("so $", "<p>so </p>"),
        ("so $$", "<p>so </p>"),
        ("so \\", "<p>so </p>"),
        ("so \\(", "<p>so </p>"),
        ("so $x_1 + *y", '<p>so <code class="tex">x_1 + *y</code></p>'),
        ("so \\(x_1 + *y\\", '<p>so <code class="tex">x_1 + *y</code></p>'),
        ("so $$x_1 + *y$", '<p>so <code class="tex">x_1 + *y</code></p>'),
        ("so \\[ x", '<p>so <code class="tex">x</code></p>'),
        ("**so $x", '<p><strong>so <code class="tex">x</code></strong></p>'),
        ("so $5 and *y", "<p>so $5 and <em>y</em></p>"),
        ("so $5 or $ 6", "<p>so $5 or $ 6</p>"),
        ("so $HOME " + "a" * 80 + " *b", "<p>so $HOME " + "a" * 80 + " <em>b</em></p>"),
        ("so $x `y", "<p>so $x <code>y</code></p>"),
        ("so\n$$", "<p>so</p>"),
        ("so\n$$\n", "<p>so</p>"),
        ("so\n\\[\n- ", "<p>so</p>"),
        ("so\n$$\nx\n- y", '<p>so</p>\n<div class="math"><code class="tex">x\n- y</code></div>'),
        ("so\n$$\n# x\n| y\n$", '<p>so</p>\n<div class="math"><code class="tex"># x\n| y</code></div>'),
        ("\\[\nx\n\\", '<div class="math"><code class="tex">x</code></div>'),
        ("\\[\nx \\\\\ny", '<div class="math"><code class="tex">x \\\\\ny</code></div>'),
        ("- $$\n  x", '<ul>\n<li>\n<div class="math"><code class="tex">x</code></div>\n</li>\n</ul>'),
        ("> $$\n> x", '<blockquote>\n<div class="math"><code class="tex">x</code></div>\n</blockquote>'),
        ("$$\nx\n\ny *z", "<p>$$\nx</p>\n<p>y <em>z</em></p>"),
    ],
)
def test_an_unfinished_formula_is_calm(written: str, seen: str) -> None:
    assert tail_of(written).replace(' dir="auto"', "").strip() == seen


def test_code_with_dollars_in_a_list_stays_code() -> None:
    tail = tail_of("- ```sh\n  echo a\n  $$ x")
    assert 'class="math"' not in tail
    assert visible(tail).split("Copy code")[1].strip() == "echo a\n$$ x"


def test_a_formula_that_may_go_on_is_not_frozen() -> None:
    writer = MarkdownStream()
    frozen = ""
    for piece in ("so\n", "$$\n", "a\n", "- b\n", "- c\n", "# d\n", "$$\n", "end\n\n", "x"):
        writer.feed(piece)
        frozen += writer.paint().frozen
        assert ("<li>" in frozen) is False
    last = writer.finish()
    assert not last.changed
    assert formulas(last.html) == ["!a\n- b\n- c\n# d"]
