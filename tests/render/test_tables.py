"""Tables, and the buttons in them."""

from __future__ import annotations

import pytest

from services.render import MarkdownStream, render_markdown
from tests.render.audit import audit


def test_tables_scroll_and_align() -> None:
    html = render_markdown("|a|b|c|\n|:-|:-:|-:|\n|1|2|3|\n")
    page = audit(html)
    frame = '<div class="table-block"><div class="table-scroll" tabindex="0" role="region" aria-label="Table"><table'
    assert html.startswith(frame)
    assert [th["class"] for th in page.all("th")] == ["align-left", "align-center", "align-right"]


def test_a_table_is_sorted_by_its_heads_and_copied_by_the_buttons_under_it() -> None:
    html = render_markdown("| Tea & *co* | `x` |\n|-|-|\n| a | b |\n")
    assert '<th><button class="sort" type="button">Tea &amp; <em>co</em></button></th>' in html
    assert '<th><button class="sort" type="button"><code>x</code></button></th>' in html
    forms = [button.get("data-as") for button in audit(html).all("button")]
    assert forms == [None, None, "csv", "markdown"]


@pytest.mark.parametrize("head", ["[a](https://b.c)", "![a](https://b.c/d.png)", "", "**[a](https://b.c)**"])
def test_what_can_be_clicked_in_a_head_is_beside_its_button(head: str) -> None:
    html = render_markdown(f"| {head} | b |\n|-|-|\n| 1 | 2 |\n")
    audit(html)  # a button in a button would not be balanced
    assert '<button class="sort" aria-label="Sort" type="button"></button></th>' in html
    assert html.count('class="sort"') == 2


def test_a_table_that_is_written_has_the_frame_it_will_have() -> None:
    writer = MarkdownStream()
    writer.feed("| a | b |\n|-|-|\n| 1 | 2")
    assert writer.paint().tail == render_markdown("| a | b |\n|-|-|\n| 1 | 2 |\n")
