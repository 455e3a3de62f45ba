"""The last line while it is being written: no block flips from one kind to another."""

from __future__ import annotations

import pytest

from services.render import MarkdownStream
from tests.render.audit import audit, tail_of, visible


def bare(html: str) -> str:
    return html.replace(' dir="auto"', "").strip()


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("text\n-", "<p>text</p>"),
        ("text\n--", "<p>text</p>"),
        ("text\n---", "<p>text</p>"),
        ("text\n==", "<p>text</p>"),
        ("text\n+ ", "<p>text</p>"),
        ("text\n1", "<p>text</p>"),
        ("text\n1.", "<p>text</p>"),
        ("text\n1. ", "<p>text</p>"),
        ("text\n##", "<p>text</p>"),
        ("text\n> - 1", "<p>text</p>"),
        ("text\n\n``", "<p>text</p>"),
        ("text\n|", "<p>text</p>"),
        ("- a\n- ", "<ul>\n<li>a</li>\n</ul>"),
        ("- a\n  - ", "<ul>\n<li>a</li>\n</ul>"),
        ("- a\n  2", "<ul>\n<li>a</li>\n</ul>"),
        ("- a\n- [", "<ul>\n<li>a</li>\n</ul>"),
        ("- a\n- [x", "<ul>\n<li>a</li>\n</ul>"),
        ("- a\n- [ ] ", "<ul>\n<li>a</li>\n</ul>"),
        ("- a\n- **b", "<ul>\n<li>a</li>\n<li><strong>b</strong></li>\n</ul>"),
        ("> a\n> ", "<blockquote>\n<p>a</p>\n</blockquote>"),
        ("2 + 2 = 4", "<p>2 + 2 = 4</p>"),
        ("a\n-5", "<p>a\n-5</p>"),
    ],
)
def test_a_line_of_markers_waits(written: str, seen: str) -> None:
    assert bare(tail_of(written)) == seen


def test_a_long_line_of_markers_is_not_looked_through() -> None:
    assert tail_of("text\n" + "- " * 200) != tail_of("text\n" + "- " * 90) == tail_of("text\n")


@pytest.mark.parametrize("before", ["", "text\n", "- item\n\n  ", "> ", "1. > "])
@pytest.mark.parametrize("head", ["| Tea | Mi", "| Tea | Minutes", "| Tea | Min\\|utes |", "| Tea | Minutes |\n"])
@pytest.mark.parametrize("row", ["", "|", "| -", "|---|--"])
def test_a_table_is_one_from_its_first_row(before: str, head: str, row: str) -> None:
    indent = {"- item\n\n  ": "  ", "> ": "> ", "1. > ": "   > "}.get(before, "")
    page = audit(tail_of(before + head + (indent + row if head.endswith("\n") else "")))
    assert [tag for tag, _ in page.elements if tag in {"table", "th", "td"}] == ["table", "th", "th"]
    assert "-" not in page.text
    assert "|" not in page.text.replace("Min|utes", "")


@pytest.mark.parametrize(
    ("written", "tables"),
    [
        ("```sh\nls\n| a", 0),
        ("- ```sh\n  | a", 0),
        ("    | a", 0),
        ("| a\n\n", 0),
        ("| a |\n| b", 0),
        ("| a |\ntext", 0),
        ("a|b\n-|-\n| c |", 1),
        ("|a|\n|-|\n| c |", 1),
        ("|" * 60 + "a", 0),
    ],
)
def test_what_is_no_first_row_stays_what_it_is(written: str, tables: int) -> None:
    page = audit(tail_of(written))
    assert len(page.all("table")) == len(page.all("tbody")) == tables
    assert "-|" not in page.text


def test_the_cell_being_written_is_calm() -> None:
    tail = tail_of("|a|b|c|\n|-|-|-|\n|1|**2")
    assert "<td>1</td>\n<td><strong>2</strong></td>\n<td></td>" in tail


def test_a_growing_table_waits_between_its_paints() -> None:
    writer = MarkdownStream()
    writer.feed("|a|b|\n|-|-|\n" + "|1|2|\n" * 200)
    before = writer.paint().tail
    writer.feed("|3|")
    assert writer.paint().tail == before


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


@pytest.mark.parametrize("before", ["", "text\n\n", "- ", "> "])
def test_a_code_block_is_never_blank(before: str) -> None:
    assert "Copy code" in tail_of(f"{before}```")
    assert "Copy code" in tail_of(f"{before}```py\n")


def test_a_language_shows_when_it_is_whole() -> None:
    assert visible(tail_of("```pyth")).strip() == "Copy code"
    assert visible(tail_of("```python\n")).split() == ["python" + "Copy", "code"]


def test_code_in_a_list_is_coloured_when_it_is_closed() -> None:
    assert 'class="mi"' not in tail_of("- ```python\n  x = 1\n  ``")
    assert 'class="mi"' not in tail_of("- ```python\n  x = 1\n  ```js")
    assert 'class="mi"' in tail_of("- ```python\n  x = 1\n  ```")
