"""What was written before one's eyes is, node for node, what a fresh page shows."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.ui.acts import answers, ask, live, open_new, rendered, settled
from tests.ui.conftest import Server
from tests.ui.test_answers import Writer, writer, writing  # noqa: F401 - two are fixtures

pytestmark = pytest.mark.browser

DOCUMENTS = (
    "# Head\n\nWords, *some* **strong**, `code` and a [link](https://example.com 'title').\nTwo  \nlines\\\nof it.\n",
    "| a | b |\n|:-:|--:|\n| `x` | **y** |\n| \\| | [z](http://a.b) |\n\nAfter.\n",
    "- one\n  1. two\n     - three\n\n       words\n  2. four\n- [ ] task\n- [x] done\n",
    "See[^1] and[^note].\n\n[^1]: The *note*.\n\n    More of it.\n\n[^note]: Another.\n",
    "Tea\n: green\n: black\n\nPot\n: `white`\n",
    "```python\ndef f():\n    return '<b>'\n```\n\n~~~\nplain\n~~~\n\n    indented\n",
    "So $a^2$ costs $5.\n\n$$\n\\frac{1}{2}\n$$\n\n\\[ x_1 \\]\n",
    "> A quote\nand more\n>\n> > deeper\n> - a list\n",
    "[one] and [two][one]\n\n![picture](https://example.com/x.png)\n\n[one]: https://example.com/late\n",
    "שלום **עולם**\n\n- مرحبا `code`\n- left\n",
    "👩‍👩‍👧 e\u0301 漢字 **かな** 🇫🇷\n\n| 列 | 👍🏽 |\n|-|-|\n| 한 | ✓ |\n",
    "<details><summary>x</summary>y</details>\n\n&lt;b&gt; &amp; <i>\r\n\r\nend\r\n",
    "1. item\n" * 400 + "\nAfter a long list.\n",
)


def test_a_streamed_answer_is_a_fresh_one(page: Page, writing: Server, writer: Writer) -> None:  # noqa: F811
    open_new(page, writing)
    for number, text in enumerate(DOCUMENTS):
        writer.text = text
        ask(page, f"Document {number}")
        settled(answers(page).nth(number))
    streamed = [rendered(answer) for answer in answers(page).all()]
    assert len(streamed) == len(DOCUMENTS)
    page.reload()
    live(page)
    settled(answers(page).last)
    live_again = [rendered(answer) for answer in answers(page).all()]
    for was, now in zip(streamed, live_again, strict=True):
        assert was == now
