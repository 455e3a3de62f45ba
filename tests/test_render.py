"""Rendering: safe whatever comes in, the same however it is cut, and never dear."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services import render
from services.render import MarkdownStream, Paint, escape, render_markdown, render_pieces

TAGS = set(
    re.findall(
        r"\w+",
        """p ul ol li blockquote h1 h2 h3 h4 h5 h6 hr br div pre table thead tbody tr th td em
    strong s code span a input button""",
    )
)
ATTRIBUTES = set(
    re.findall(r"\S+", "class dir tabindex role aria-label href title target rel type disabled checked start")
)


class Audit(HTMLParser):
    """Parses HTML and keeps what a browser would make of it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.comments: list[str] = []
        self.stack: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"hr", "br", "input"}:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def audit(html: str) -> Audit:
    """Parse `html` and fail if anything is in it that is not on the list, or not balanced."""
    page = Audit(html)
    assert not page.stack
    assert not page.comments
    for tag, attrs in page.elements:
        assert tag in TAGS
        assert set(attrs) <= ATTRIBUTES, (tag, attrs)
        if tag == "a":
            # Without an href it leads nowhere: an address that no browser could read was taken out.
            assert urlsplit(attrs.get("href", "https://") or "").scheme in {"http", "https", "mailto"}
            assert attrs["target"] == "_blank"
            assert set((attrs["rel"] or "").split()) == {"noopener", "noreferrer", "nofollow"}
        if tag == "input":
            assert attrs["type"] == "checkbox"
            assert "disabled" in attrs
            assert attrs["aria-label"]
    return page


def visible(html: str) -> str:
    return Audit(html).text


# --- safety ----------------------------------------------------------------------------------------------------------

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


def test_nothing_is_loaded_by_being_shown() -> None:
    page = audit(render_markdown("![a cat](https://img.example/cat.png) ![](data:image/png;base64,AAAA)"))
    assert "Image: a cat (img.example)" in page.text
    assert "AAAA" not in page.text
    assert [a["href"] for a in page.all("a")] == ["https://img.example/cat.png"]


@pytest.mark.parametrize(
    ("text", "href"),
    [
        ("[x](https://a.example/b?c=d&e=f)", "https://a.example/b?c=d&e=f"),
        ("[x](http://a.example)", "http://a.example"),
        ("<me@a.example>", "mailto:me@a.example"),
        ("[x][y]\n\n[y]: https://a.example", "https://a.example"),
    ],
)
def test_links_to_web_and_mail_survive(text: str, href: str) -> None:
    assert [a["href"] for a in audit(render_markdown(text)).all("a")] == [href]


def test_other_links_keep_their_words() -> None:
    page = audit(render_markdown("see [the **docs**](javascript:alert(1)) now, or https://a.example"))
    assert page.text.strip() == "see the docs now, or https://a.example"
    assert not page.all("a")


def test_escape_is_safe_in_text_and_attributes() -> None:
    assert escape("<b a=\"1\" c='2'>&\x00\ud83d") == "&lt;b a=&quot;1&quot; c=&#x27;2&#x27;&gt;&amp;\ufffd"


# --- what it looks like ----------------------------------------------------------------------------------------------


def test_code_has_a_frame_a_language_and_colours() -> None:
    html = render_markdown('```Python title="x"\ndef f():\n\n    return "<b>"\n```\n')
    page = audit(html)
    assert '<span class="code-lang">Python</span>' in html
    assert re.search(r"<button[^>]*>Copy code</button>", html)
    assert '<span class="k">def</span>' in html
    assert page.all("pre") == [{"tabindex": "0"}]
    assert page.all("code") == [{"class": "language-python"}]
    assert page.text.split("Copy code")[1].rstrip("\n") == 'def f():\n\n    return "<b>"'


@pytest.mark.parametrize("head", ["```nosuchlanguage", "```", "```../../x", "```text"])
def test_code_without_a_known_language_is_plain(head: str) -> None:
    page = audit(render_markdown(f"{head}\nif (x) {{ return 1 }}\n```"))
    assert page.text.endswith("if (x) { return 1 }\n\n")
    assert all(set(span.values()) == {"code-lang"} for span in page.all("span"))


def test_an_indented_block_gets_the_same_frame() -> None:
    html = render_markdown("text\n\n    a < b\n")
    assert '<div class="code-block">' in html
    assert "a &lt; b" in html


@pytest.mark.parametrize("language", sorted(render.LANGUAGES))
def test_colouring_keeps_every_character(language: str) -> None:
    code = "\n\n  def f(a):\n\treturn [1, 'x', \"y\"]  # <&>\n/* é */ $a = `b`; \n\n"
    assert visible(render.highlight(code, language)) == code


@pytest.mark.parametrize(
    "code", ["x = 1\n" * 2_001, "a" * 501, "word " * 130], ids=["long", "wide", "without punctuation"]
)
def test_code_that_is_dear_to_colour_is_plain(code: str) -> None:
    assert render.highlight(code, "python") == code


def test_colours_are_rationed() -> None:
    block = "```python\n" + "x = 1\n" * 1_900 + "```\n\n"
    html = render_markdown(block * 8)
    assert html.count('<code class="language-python">') == 8
    assert html.count('<span class="mi">') == 1_900 * (render.MAX_COLOURED // (6 * 1_900))


def test_task_lists_are_inert_and_named() -> None:
    page = audit(render_markdown("- [ ] a\n- [x] **b**\n- [y] c\n\n[ ] d"))
    assert ["checked" in box for box in page.all("input")] == [False, True]
    assert [li.get("class") for li in page.all("li")] == ["task", "task", None]
    assert "[y] c" in page.text
    assert "[ ] d" in page.text


def test_tables_scroll_and_align() -> None:
    html = render_markdown("|a|b|c|\n|:-|:-:|-:|\n|1|2|3|\n")
    page = audit(html)
    assert html.startswith('<div class="table-scroll" tabindex="0" role="region" aria-label="Table"><table')
    assert [th["class"] for th in page.all("th")] == ["align-left", "align-center", "align-right"]


def test_a_fence_is_never_a_table_head() -> None:
    assert "<table" not in render_markdown("```|a\n-|-\n```\n")


def test_blocks_find_their_own_direction() -> None:
    page = audit(render_markdown("# א\n\nمرحبا\n\n- x\n\n> y\n"))
    assert all(attrs.get("dir") == "auto" for tag, attrs in page.elements if tag in {"h1", "p", "li", "blockquote"})


def test_no_ids_and_no_anchors() -> None:
    assert not re.search(r"\b(id|name)=", render_markdown("# A title\n\n## A title\n"))


# --- streams ---------------------------------------------------------------------------------------------------------

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
PIECES_3 = ["\t", "\\", "<", ">", "&amp;", "- [ ] ", "\r\n", "\r", "\x00", "\ud83d", "\ude00", "é", "***", "```py\n"]
PIECES = st.sampled_from(MARKS)
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
    source = render.clean_text(text).replace("\r\n", "\n").replace("\r", "\n")
    env: dict[str, object] = {}
    state = render.StateCore("", render._MD, env, [])
    render._MD.block.parse(source, render._MD, env, state.tokens)
    render._MD.core.process(state)
    whole = render._MD.renderer.render(state.tokens, render._MD.options, env)
    assert render_markdown(text) == render._CLEANER.clean(whole)


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


# --- cost ------------------------------------------------------------------------------------------------------------

BOMBS = ["//a.b/", "# a\n", "- [ ] a\n", "[", "![", "**a ", "_a_", "`", "`a ", ">", "- a\n  ", "|a", "<", "&amp;"]
BOMBS += ["> - ", "[a](", "a\n\n", "---\n\n", "```\na\n```\n", "*_a ", "1. a\n", "[a]: /b\n[a]", "<!--", "\\", "a\n-\n"]


def words(text: str) -> str:
    return re.sub(r"[^a-z]", "", re.sub(r"amp|Copy code", "", text))


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_loses_nothing_and_costs_little(bomb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = bomb * (65_536 // len(bomb))
    inline = 0
    parse = render._MD.inline.parse

    def counting(src: str, *args: object) -> object:
        nonlocal inline
        inline += sum(src.count(mark) * cost for mark, cost in render._PRICES.items())
        return parse(src, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(render._MD.inline, "parse", counting)
    html = render_markdown(text)
    assert inline <= 150_000
    if "]:" not in text:
        assert words(visible(html)) == words(text)
    audit(html)


def test_a_wide_table_with_short_rows_is_not_filled_up() -> None:
    html = render_markdown("|" + "a|" * 300 + "\n|" + "-|" * 300 + "\n" + "b\n" * 30_000)
    assert len(html) < 200_000


@pytest.mark.parametrize(("bomb", "tag"), [("# a\n", "h1"), ("a\n\n", "p"), ("---\n\n", "hr"), ("```\n```\n", "pre")])
def test_many_small_blocks_end_as_plain_text(bomb: str, tag: str) -> None:
    page = audit(render_markdown(bomb * 16_000))
    assert 200 < len(page.all(tag)) < 4_000
    assert page.elements[-1][0] == "pre"


def test_what_is_nested_too_deep_is_shown_and_the_rest_rendered() -> None:
    page = audit(render_markdown("> " * 40 + "treasure\n\n**after**\n"))
    assert "treasure" in page.text
    assert page.all("strong")


def test_one_dear_block_does_not_take_the_others_with_it() -> None:
    page = audit(render_markdown("**before**\n\n" + "[" * 5_000 + "\n\n**after**\n"))
    assert page.text.count("[") == 5_000
    assert len(page.all("strong")) == 2


def test_a_very_long_text_ends_as_plain_text() -> None:
    text = "A calm line of prose.\n\n" * 12_000
    html = render_markdown(text)
    assert html.count('<pre class="plain"') == 1
    assert len(visible(html).split()) == len(text.split())


def test_a_long_honest_text_is_rendered_to_its_end() -> None:
    section = "## Title\n\nSome **bold** words, `code` and [a link](https://a.example/b).\n\n- one\n- two\n\n"
    assert 'class="plain"' not in render_markdown(section * 1_000)


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
    seen = ""
    for _ in range(1_000):
        writer.feed(line)
        seen = writer.paint().tail
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
