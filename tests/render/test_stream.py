"""Texts as they come: the same however they are cut, and painted at a bounded price."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it.rules_core import StateCore

import services.render.stream as stream_module
from services.messages import clean_text
from services.render import MarkdownStream, Paint, render_markdown, render_pieces
from services.render.tokens import CLEANER, MD
from tests.render.audit import audit, visible, words

CORPUS = [
    "Hello\n=====\n\nA *b* **c** `d`\n\n- one\n- two\n\n  more\n\n1) x\n2) y\n",
    "```python\nx = 1\n```\nafter\n~~~~\n```\n~~~\n~~~~\n\tcode\n",
    "  ```js\n  a\n b\n   ```\n\n``` not`a fence\nx\n",
    "para\n***\nbold***\n# h #\npara\n-\n- a\n***bold***\n#hash\n# \n",
    "|a|b|\n|-|-|\n|1|2|\nend\n\npara\n|x|y|\n|-|-|\n",
    "> quote\nlazy\n\n> > deep\n> - a\n>\n>   b\n\nout\n",
    "- a\n\n      code\n\n  ```\n  fence\n\n  in list\n  ```\n- b\n\n\n- c\n\npara\n",
    "a  \nb\\\nc &amp; &copy; &#0; \\* <b> <http://x.y>\n\n---\n* * *\n___\n",
    "- [ ] a\n- [x] b\n\n![i](http://x/y) ~~s~~ [l](http://a 't')\n",
    "a\r\nb\r\n\r\n```\r\nc\r\n```\r\rd \ud83d\ude00 \ud83d x\x00\n",
    "[early]: http://a.b\n\n[early] and\n\n> x\n",
    "   \n\n\n    indented\n\n\n    again\n\ntext\n    not code\n",
    "1. a\n   - b\n     - c\n\n       d\n10) e\n\n-\n\n  f\n",
    "```\nnever closed\n\n# x\n",
    "`" * 40 + "\nx\n" + "`" * 39 + "\n" + "`" * 40 + "\n\ny",
    "so $x$ and $5\n$$\na\n- b\n$$\nend\n\n$$\nnever\n- c\n\n\\[ x\n= 1 \\]\n\n- \\(y\\)\n  $$\n  z$$\n",
    "Tea\n: green\n: black\n\n  more\n\nPot\n\n: white\n\nCup\n\nA[^1]\n: b[^note]\n\n[^1]: one\n\n    two\n[^n]: x\n",
    "> " * 30 + "deep\n\nthen\n\n" + "[" * 3_000 + "\n\nend\n",
]
MARKS = [
    "a",
    "b c",
    "\n",
    "\n\n",
    "- ",
    "* ",
    "1. ",
    "2) ",
    "> ",
    "# ",
    "```",
    "~~~",
    "`",
    "``",
    "**",
    "*",
    "_",
    "~~",
    "[",
    "]",
    "(",
    ")",
    "[a]",
    "[a]: ",
    "/u",
    '"t"',
    "http://x.y",
    "![",
    "|",
    "|-|",
    "|a|b|",
    "---",
    "===",
    "    ",
    "  ",
]
CHARACTERS = ["\t", "\\", "<", ">", "&amp;", "- [ ] ", "\r\n", "\r", "\x00", "\ud83d", "\ude00", "é", "***", "```py\n"]
MATH = ["$", "$$", "$$\n", "\\[", "\\]\n", "\\(", "\\)", "x_1", "$x$"]
NOTES = [": ", "\n: ", "a\n: b\n\n", "[^1]", "[^1]: ", "\n\n    ", "~ "]
PIECES = st.sampled_from(MARKS + CHARACTERS + MATH + NOTES)
TEXTS = st.lists(PIECES, max_size=40).map("".join) | st.sampled_from(CORPUS)


def stream(text: str, cuts: list[int], every: int = 1) -> tuple[str, Paint]:
    """Feed `text` in pieces of these sizes; return what was frozen in all, and the last paint."""
    writer, frozen, i, n = MarkdownStream(), "", 0, 0
    while i < len(text):
        size = cuts[n % len(cuts)]
        writer.feed(text[i : i + size])
        i, n = i + size, n + 1
        if n % every == 0:
            frozen += writer.paint().frozen
    last = writer.finish()
    assert last.tail == ""
    return frozen + last.frozen, last


@given(TEXTS, st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 4))
@settings(max_examples=500, deadline=None)
def test_frozen_blocks_add_up_to_the_whole(text: str, cuts: list[int], every: int) -> None:
    frozen, last = stream(text, cuts, every)
    assert last.html == render_markdown(text)
    assert last.changed == (frozen != last.html)
    assert not last.changed or "]:" in text


@pytest.mark.parametrize("text", CORPUS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_every_cut_of_the_corpus_gives_the_same(text: str, size: int) -> None:
    frozen, last = stream(text, [size])
    assert frozen == last.html == render_markdown(text)
    assert not last.changed


@given(st.lists(PIECES, max_size=40).map("".join))
@settings(max_examples=300, deadline=None)
def test_blocks_one_by_one_are_what_the_parser_makes_of_the_whole(text: str) -> None:
    source = clean_text(text).replace("\r\n", "\n").replace("\r", "\n")
    env: dict[str, object] = {}
    state = StateCore("", MD, env, [])
    MD.block.parse(source, MD, env, state.tokens)
    MD.core.process(state)
    whole = MD.renderer.render(state.tokens, MD.options, env)
    assert render_markdown(text) == CLEANER.clean(whole)


@pytest.mark.parametrize("definition", ["[a]: https://a.example", "[a]:\nhttps://a.example\n'title'\n"])
def test_a_definition_as_the_last_words_is_seen(definition: str) -> None:
    text = f"[a]\n\n# b\n\n```\nc\n```\n{definition}"
    frozen, last = stream(text, [5])
    assert last.changed
    assert last.html == render_markdown(text) != frozen


def test_a_link_defined_later_changes_what_was_frozen() -> None:
    text = "see [a]\n\nmore\n\nand more\n\n[a]: https://a.example\n"
    frozen, last = stream(text, [3])
    assert last.changed
    assert "https://a.example" in last.html
    assert "https://a.example" not in frozen


def test_a_surrogate_pair_may_be_cut() -> None:
    writer = MarkdownStream()
    writer.feed("a \ud83d")
    assert visible(writer.paint().tail).strip() == "a"
    writer.feed("\ude00 b")
    assert visible(writer.finish().html).strip() == "a 😀 b"


def test_a_long_code_block_is_not_parsed_again_with_each_paint() -> None:
    writer = MarkdownStream()
    writer.feed("```python\n")
    for _ in range(1_000):
        writer.feed("some_code = [1, 2, 3]\n" * 5)
        assert writer.paint().frozen == ""
    assert writer.parsed == 0
    writer.feed("```\n")
    assert "some_code" in writer.paint().frozen
    assert writer.parsed <= 111_000


@pytest.mark.parametrize("line", ["many **words** of `prose` and [ a\n", "- many **words** of `prose` and [ a\n"])
def test_a_long_open_block_is_painted_at_a_bounded_price(line: str) -> None:
    writer = MarkdownStream()
    frozen = seen = ""
    for _ in range(1_000):
        writer.feed(line)
        paint = writer.paint()
        frozen += paint.frozen
        seen = frozen + paint.tail
    assert words(visible(seen))[:4_000] == words(line * 1_000)[:4_000]
    assert writer.parsed < 100 * 1_000 * len(line)  # parsing all of it each time would take ten times as much


def test_between_parses_new_words_are_added_to_the_last_paint() -> None:
    writer = MarkdownStream()
    writer.feed("- " + "[ a **b** " * 600)
    before = writer.paint().tail
    parsed = writer.parsed
    writer.feed("<new>")
    after = writer.paint().tail
    assert writer.parsed == parsed
    assert visible(after).strip() == visible(before).strip() + " <new>"
    audit(after)


def test_pieces_are_the_whole() -> None:
    text = "# a\n\nb\n\n" * 500
    pieces = list(render_pieces(text))
    assert len(pieces) > 3
    assert "".join(pieces) == render_markdown(text)


@pytest.mark.parametrize(
    "text", ["words of a paragraph\n\n" * 200, "# a\n\n- b\n- c\n\n|d|e|\n|-|-|\n|1|2|\n\n```\nf\n```\n" * 60]
)
@pytest.mark.parametrize("size", [1, 37, 900, 2_500])
def test_the_limit_falls_into_the_same_place_however_it_comes(
    monkeypatch: pytest.MonkeyPatch, text: str, size: int
) -> None:
    monkeypatch.setattr(stream_module, "MAX_CHARS", 1_000)
    frozen, last = stream(text, [size])
    assert frozen == last.html == render_markdown(text)
    assert 'class="plain"' in last.html
