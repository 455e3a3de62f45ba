"""TeX as MathML: what models write is read, what cannot be read is refused, and nothing dear or dangerous comes out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.render.tex import MAX_TEX, mathml
from services.render.tokens import CLEANER
from tests.render.audit import Audit, audit, visible


def body(tex: str, *, display: bool = False) -> str:
    html = mathml(tex, display=display)
    assert html is not None, tex
    found = re.search(r"<semantics><mrow>(.*)</mrow><annotation", CLEANER.clean(html))
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("tex", "seen"),
    [
        ("x^2", "<msup><mi>x</mi><mn>2</mn></msup>"),
        (r"\frac12", "<mfrac><mn>1</mn><mn>2</mn></mfrac>"),
        (r"a<b", "<mi>a</mi><mo>&lt;</mo><mi>b</mi>"),
        (r"\text{a_b \& c}", "<mtext>a_b&nbsp;&amp;&nbsp;c</mtext>"),
        (r"\infty", "<mi>∞</mi>"),
        (r"\implies", "<mo>⟹</mo>"),
        (r"\mathrm{d}", '<mi mathvariant="normal">d</mi>'),
        (r"\mathcal{AB}", "<mrow><mi>𝒜</mi><mi>ℬ</mi></mrow>"),
        (r"\sin x", '<mo lspace="0.1em" rspace="0.167em">sin</mo><mi>x</mi>'),
        (r"\sin(", '<mo rspace="0" lspace="0.1em">sin</mo><mo stretchy="false">(</mo>'),
        (r"\overline{x}", '<menclose notation="top"><mrow><mi>x</mi></mrow></menclose>'),
        (r"1{,}0", '<mn>1</mn><mrow><mo lspace="0" rspace="0">,</mo></mrow><mn>0</mn>'),
        ("50% x", "<mn>50</mn><mi>%</mi><mi>x</mi>"),
        (r"a \! b", '<mi>a</mi><mspace width="-0.167em"></mspace><mi>b</mi>'),
        (
            r"\left.x\right)",
            '<mrow><mo stretchy="true" fence="true" form="prefix"></mo><mi>x</mi>'
            '<mo stretchy="true" fence="true" form="postfix">)</mo></mrow>',
        ),
        (r"\label{eq}x\nonumber", "<mi>x</mi>"),
    ],
)
def test_what_models_write_is_read(tex: str, seen: str) -> None:
    assert body(tex) == seen


@pytest.mark.parametrize("name", ["aligned", "align", "align*", "split", "eqnarray", "gather", "gathered", "multline*"])
def test_environments_make_tables_without_numbers(name: str) -> None:
    page = Audit(body(rf"\begin{{{name}}} a = b \\ c = d \end{{{name}}}"))
    assert len(page.all("mtr")) == 2
    assert "1" not in page.text


def test_equations_are_aligned_at_their_ampersands() -> None:
    page = Audit(body(r"\begin{aligned}[t] a &= b \\ &= c \end{aligned}"))
    assert [cell["columnalign"] for cell in page.all("mtd")] == ["right", "left", "right", "left"]


def test_a_break_outside_of_an_environment_makes_lines() -> None:
    assert len(Audit(body(r"a = b \\ c = d")).all("mtr")) == 2


def test_lines_in_an_array_are_drawn() -> None:
    cells = Audit(body(r"\begin{array}{c|c} a & b \\ \hline c & d \end{array}")).all("mtd")
    assert [cell.get("class") for cell in cells] == [None, "barred", "ruled", "ruled barred"]


@pytest.mark.parametrize("display", [True, False])
def test_limits_stand_below_in_display_only(display: bool) -> None:
    assert '<munder><mo movablelimits="true"' in body(r"\lim_{x}", display=display)
    assert ("<munderover>" in body(r"\sum_{i}^{n}", display=display)) == display
    assert ('display="block"' in (mathml("x", display=display) or "")) == display


def test_the_source_is_kept_for_copying() -> None:
    html = mathml(r"a < b & \text{</annotation><script>}", display=False)
    assert html is None
    page = audit(CLEANER.clean(mathml(r"a<b \text{</annotation><script>}", display=False) or ""))
    assert page.all("annotation") == [{"encoding": "application/x-tex"}]
    assert page.text.endswith(r"a<b \text{</annotation><script>}")


@pytest.mark.parametrize(
    "tex",
    [
        r"\foo{x}",
        r"\frac{a}",
        r"\left( x",
        r"x^a^b",
        r"a & b",
        r"\begin{foo} a & b \end{foo}",
        r"\begin{matrix} a",
        "{" * (MAX_TEX - 1),
        r"\sqrt" * 390,
        r"\sqrt{" * 100 + "}" * 100,
        r"\skew{9" + "9" * 400 + "}{x}",
        "x" * (MAX_TEX + 1),
        "^",
        "",
    ],
)
def test_what_cannot_be_read_is_refused(tex: str) -> None:
    assert mathml(tex, display=True) is None


@pytest.mark.parametrize(
    "tex",
    [
        r"\def\a{xx}\a",
        r"\newcommand{\a}{xx}\a",
        r"\renewcommand{\a}{xx}\a",
        r"\newenvironment{a}{x}{x}\begin{a}\end{a}",
        r"\DeclareMathOperator{\a}{xx}\a",
        r"\let\a=x",
    ],
)
def test_nothing_can_be_defined(tex: str) -> None:
    """A handful of definitions that use one another make a formula of any size."""
    assert mathml(tex, display=True) is None


@pytest.mark.parametrize(
    "tex",
    [
        r"\href{javascript:alert(1)}{x}",
        r"\style{background:url(//evil.example)}{x}",
        r"\class{copy-code}{x}",
        r"\color{url(//evil.example)}{x}",
        r"\colorbox{red}{x}",
        r"\rule{1000em}{1000em}x",
        r"\hspace{-99em}x",
        r"\raise{-99em}{x}",
        r"\text{<img src=x onerror=alert(1)>}x",
        r"\text{&lt;script&gt;}x",
        r"\unicode{x3c}script\unicode{x3e}x",
        r"\mathop{\mathrm{x}}_x",
    ],
)
def test_hostile_tex_is_harmless(tex: str) -> None:
    html = mathml(tex, display=True) or ""
    page = audit(CLEANER.clean(html))
    assert "x" in page.text
    assert not re.search(r"href|style=|evil|color|background|99em|000em", re.sub("<annotation.*", "", html))


PARTS = (
    r"\frac \sqrt \hat \text \left \right \begin{matrix} \end{matrix} \\ \over \mathop \mathbb \sum \limits \lim \hbox"
)
PIECES = st.sampled_from([*PARTS.split(), *"{}[]()_^&%$'~|<>,.012abxy ", r"\verb|", r"\color{red}", r"\not", r"\sin"])


@given(st.lists(PIECES, max_size=30).map("".join))
@settings(max_examples=500, deadline=None)
def test_any_tex_is_read_whole_or_refused(tex: str) -> None:
    html = mathml(tex, display=True)
    if html is not None:
        page = audit(CLEANER.clean(html))
        assert len(page.elements) == len(re.findall("<[a-z]", html))
        assert visible(html) == page.text
