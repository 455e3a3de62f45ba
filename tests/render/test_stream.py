"""Texts as they come: the same however they are cut, and painted at a bounded price."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it.rules_core import StateCore

import services.render.stream as stream_module
from services.messages import clean_text
from services.render import MarkdownStream, Paint, render_markdown, render_pieces
from services.render.tokens import CLEANER, MD
from tests.corpus import DOCUMENTS, abroad, commonmark, in_units
from tests.render.audit import audit, visible, words

LONG = os.environ.get("PANELIST_LONG") == "1"
SIZES = (1, 2, 3, 7, 64)

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
TEXTS = st.lists(PIECES, max_size=40).map("".join) | st.sampled_from(DOCUMENTS)


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
@settings(max_examples=500 if LONG else 150, deadline=None)
def test_frozen_blocks_add_up_to_the_whole(text: str, cuts: list[int], every: int) -> None:
    frozen, last = stream(text, cuts, every)
    assert last.html == render_markdown(text)
    assert last.changed == (frozen != last.html)
    assert not last.changed or "]:" in text


def check_cuts(text: str, sizes: Iterable[int]) -> None:
    whole = render_markdown(text)
    for size in sizes:
        frozen, last = stream(text, [size])
        assert last.html == whole, f"in pieces of {size}"
        assert last.changed == (frozen != whole)
        assert not last.changed or "]:" in text


@pytest.mark.parametrize("number", range(len(DOCUMENTS)))
def test_every_cut_of_the_corpus_gives_the_same(number: int) -> None:
    text = in_units(DOCUMENTS[number])
    assert render_markdown(text) == render_markdown(DOCUMENTS[number])
    check_cuts(text, range(1, len(text) + 1) if LONG and len(text) < 500 else SIZES[len(text) > 2_000 :])


@pytest.mark.parametrize("form", ["as they are", "abroad", "with the line breaks of Windows"])
def test_every_cut_of_commonmarks_examples_gives_the_same(form: str) -> None:
    change = {"as they are": str, "abroad": lambda text: in_units(abroad(text))}.get(form, crlf)
    examples = [text for section in commonmark().values() for text in section]
    assert len(examples) == 652
    for text in map(change, examples):
        few = (1, 2, 3, 5, 7) if change is str else (1,)
        check_cuts(text, range(1, len(text) + 1) if LONG else few)


@pytest.mark.parametrize("size", SIZES)
def test_every_cut_of_a_section_of_commonmarks_examples_gives_the_same(size: int) -> None:
    for section in commonmark().values():
        check_cuts("\n".join(section), [size])


def crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


def test_line_breaks_and_halves_of_pairs_are_what_they_stand_for() -> None:
    for text in (abroad(text) for section in commonmark().values() for text in section):
        assert render_markdown(text) == render_markdown(in_units(text)) == render_markdown(crlf(text))


@given(st.lists(PIECES, max_size=40).map("".join))
@settings(max_examples=300 if LONG else 100, deadline=None)
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
