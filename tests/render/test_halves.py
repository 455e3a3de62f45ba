"""The last words while they are being written: no marker flashes, and of a link only its words are shown."""

from __future__ import annotations

import pytest

from services.render.halves import MAX_HALF
from tests.render.audit import audit, tail_of


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("some **", "some"),
        ("some **bo", "some <strong>bo</strong>"),
        ("some **bold*", "some <strong>bold</strong>"),
        ("some **bold**", "some <strong>bold</strong>"),
        ("some **bold, *both", "some <strong>bold, <em>both</em></strong>"),
        ("some *", "some"),
        ("some *it", "some <em>it</em>"),
        ("some *it* **", "some <em>it</em>"),
        ("***bo", "<em><strong>bo</strong></em>"),
        ("***both**", "<em><strong>both</strong></em>"),
        ("_it", "<em>it</em>"),
        ("__bo", "<strong>bo</strong>"),
        ("a ~", "a"),
        ("a ~~b", "a <s>b</s>"),
        ("a ~~b~", "a <s>b</s>"),
        ("~~a **b~~ c", "<s>a **b</s> c"),
        ("call `", "call"),
        ("call `f(x", "call <code>f(x</code>"),
        ("call ``f`x", "call <code>f`x</code>"),
        ("call ``f`x`", "call <code>f`x</code>"),
        ("call `f` and `**b", "call <code>f</code> and <code>**b</code>"),
        ("`*a", "<code>*a</code>"),
        ("a \\", "a"),
        ("a \\*b", "a *b"),
        ("2 * 3 = 6, snake_case_name, 5*3", "2 * 3 = 6, snake_case_name, 5*3"),
        ("a ** b", "a ** b"),
        ("~5 minutes", "~5 minutes"),
    ],
)
def test_emphasis_and_code_close_by_themselves(written: str, seen: str) -> None:
    assert shown(written) == seen


@pytest.mark.parametrize(
    "written",
    [
        "see [the docs",
        "see [the docs]",
        "see [the docs](",
        "see [the docs](https://a.exa",
        "see [the docs](https://a.example/b_(c)",
        "see [the docs](<https://a.example/b c",
        "see [the docs](https://a.example 'its ti",
        "see [the docs][re",
        "see ![the docs",
        "see ![the docs]",
        "see ![the docs](https://a.exa",
        "see the docs [",
        "see the docs ![",
        "see the docs[^",
        "see the docs[^no",
        "see the docs<",
        "see the docs &",
        "see the docs &am",
        "see the docs &#x2",
    ],
)
def test_of_a_half_link_only_the_words_are_seen(written: str) -> None:
    assert shown(written) == "see the docs"


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("[**the** do", "<strong>the</strong> do"),
        ("[**the** docs](https://", "<strong>the</strong> docs"),
        ("**see [the do", "<strong>see the do</strong>"),
        ("<https://a.exa", "https://a.exa"),
        ("<ht", "ht"),
        ("<mailto:a_b_c@d", "mailto:a_b_c@d"),
        ("a[0", "a[0"),
        ("a[i", "a[i"),
        ("as shown in [1", "as shown in [1"),
        ("as shown in [1]", "as shown in [1]"),
        ("[sic] and more", "[sic] and more"),
        ("[a](b c) and", "[a](b c) and"),
        ("a < b", "a &lt; b"),
        ("<b>x", "&lt;b&gt;x"),
        ("a &copy; b", "a © b"),
        ("a &c", "a"),
        ("a &zzz", "a &amp;zzz"),
        ("R&D and", "R&amp;D and"),
        ("`[a`", "<code>[a</code>"),
        ("what!", "what!"),
    ],
)
def test_what_is_meant_literally_is_left_alone(written: str, seen: str) -> None:
    assert shown(written) == seen


def test_a_defined_word_is_a_link_at_once() -> None:
    assert audit(tail_of("[docs]: https://a.example\n\nsee [docs]")).all("a")


def test_only_the_last_words_are_guessed_at() -> None:
    assert shown("- [a *b\n- c **d").splitlines()[1:3] == ["<li>[a *b</li>", "<li>c <strong>d</strong></li>"]


@pytest.mark.parametrize("words", ["a " * MAX_HALF + "**b", "[" * 60 + "**b"])
def test_long_or_odd_words_are_not_guessed_at(words: str) -> None:
    assert "**b" in tail_of(words)


def shown(written: str) -> str:
    html = tail_of(written).replace(' dir="auto"', "").strip()
    return html.removeprefix("<p>").removesuffix("</p>").strip()
