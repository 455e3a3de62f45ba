"""Texts to be shown: odd ones, one of each kind of Markdown, answers as models write them, CommonMark's examples."""

# ruff: noqa: E501 - lines of texts

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from tests.servers.need import unavailable

SPEC = Path(__file__).parent / "servers" / "node_modules" / "commonmark-spec" / "spec.txt"

ODD = (
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
)

KINDS = (
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

ANSWERS = (
    # How models write: a heading, steps with code in them, a table, a summary.
    '## Sorting a list of dicts\n\nUse `sorted` with a **key**:\n\n```python\npeople = [{"name": "Ann", "age": 31}]\n'
    'print(sorted(people, key=lambda p: p["age"]))\n```\n\n- `key` is called **once** per item\n- `reverse=True` turns it '
    "round\n\n> **Note:** `list.sort()` sorts *in place* and returns `None`.\n",
    "Sure! Here's a plan:\n\n1. **Install** it:\n   ```bash\n   pip install thing && thing --version\n   ```\n2. **Set it up** "
    'in `~/.config/thing.toml`:\n   ```toml\n   [server]\n   port = 8080 # "any"\n   ```\n3. Run it.\n\n   It says:\n\n'
    "       listening on :8080\n\nLet me know how it goes! 🚀\n",
    "| Option | Pros | Cons |\n| --- | :-: | ---: |\n| **A** | fast, `O(1)` | dear: $5 |\n| B \\| C | <br> | ~~none~~ |\n"
    "\n**Verdict:** take *A* — unless you can't.\n\n---\n\n### Why?\n\nBecause 2 * 3 * 4 = 24, and a_b_c is one_word.\n",
    "The quadratic formula is $x = \\frac{-b \\pm \\sqrt{b^2 - 4ac}}{2a}$.\n\n$$\n\\int_0^1 x^2\\,dx = \\frac{1}{3}\n$$\n\n"
    "It costs $5 and $10, or \\(a < b\\), and\n\\[\n  \\sum_{i=1}^{n} i = \\frac{n(n+1)}{2}\n\\]\n\n1. Let $n = 1$:\n   "
    "$$1 = 1$$\n2. Then $n \\to n+1$.\n",
    '<think>\nThe user wants HTML.\n</think>\n\n```html\n<!doctype html>\n<p class="a">Hi &amp; bye</p>\n<script>alert(1)'
    "</script>\n```\n\nUse `<p>` and not <b>raw</b> HTML &mdash; it is &lt;shown&gt;.\n",
    # Other writing systems, and letters of several code points.
    "# 量子コンピュータとは？\n\n**量子ビット**は「0」と「1」の*重ね合わせ*です。\n\n- 初期化\n- 演算（`H`ゲート）\n- 測定\n\n"
    "| 名称 | 意味 |\n|---|---|\n| 干渉 | 波の**重なり** |\n\n以上です。👍\n",
    "안녕하세요! **파이썬**에서 `리스트`를 뒤집으려면:\n\n```python\n목록 = [1, 2, 3]\nprint(목록[::-1])  # 거꾸로 🙃\n```\n\n"
    "1) 쉽다\n2) 빠르다\n",
    'مرحبا! إليك **الخطوات**:\n\n1. افتح `ملف.py`\n2. اكتب `print("سلام")`\n\n> ملاحظة: 50% فقط.\n\nשלום: *עברית* ו-English יחד.\n',
    "Cafe\u0301, nai\u0308ve, Z\u0351\u036b\u0343alg\u0301o, **e\u0301**, `n\u0303`, ko\u0323\u0302ng; हिन्दी **क्षत्रिय** और தமிழ் *நி*.\n\n"
    "Thai has no spaces: **ภาษาไทย**ไม่เว้นวรรค\n",
    "Family 👨‍👩‍👧‍👦, flags 🇺🇳🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f, skin 👋🏿, keycap 1️⃣, **🧑‍🚀 bold**\n\n- ✅ done\n- ❌ not\n\n`👾`\n\n"
    "| 🍎 | 🍐 |\n|-|-|\n| 1️⃣ | 2️⃣ |\n",
    # How it comes over the wire: line breaks of Windows, halves of pairs, what is no text.
    "# Head\r\n\r\nOne  \r\ntwo\\\r\nthree\r\n\r\n- a\r\n- b\r\n\r\n  more\r\n\r\n```c\r\nint x;\r\n```\r\n\r\n|a|b|\r\n|-|-|\r\n|1|2|\r\n",
    "old\rMac\r\r- a\r- b\r\r```\rcode\r```\r\rend",
    "half \ud83d alone, \ude00 too, \ud83d\ude00 a pair, **\ud83d\udc4d\ud83c\udffd**, `\udc00\ud800`\n\n\ud83d\n\n\ude00\n\n- \ud83d\n\ud83d\ude00\n",
    "nul\x00l and bell\x07, zero\u200bwidth, soft\u00adhyphen, \ufeffmark, nbsp\u00a0here, \u2028line\u2029para, \u0085next\tTab\n\n\u00a0\n\n\u3000full\n",
    # Long lists and tables are frozen piece by piece; references may come last.
    "\n".join(f"{n}. Step **{n}**, see [the manual]\n   - with `code {n}`\n   - and *more*" for n in range(1, 60))
    + "\n\n[the manual]: https://example.com/manual 'The \"manual\"'\n",
    "| n | square | cube |\n|--:|--:|:-:|\n"
    + "\n".join(f"| {n} | {n * n} | `{n**3}` |" for n in range(120))
    + "\n\nThat is all.\n",
    'Diagram:\n\n```mermaid\nflowchart LR\n  A[Start] --> B{"Really?"}\n  B -- yes --> C\n```\n\n```diff\n- old\n+ new\n```\n\n'
    '````markdown\n```js\nx\n```\n````\n\nUnclosed:\n\n```json\n{"a": [1, 2',
    "- [ ] open\n- [x] done\n  - [ ] deeper\n\n      code in it\n- loose\n\n\n* other\n+ more\n\n10. ten\n11. eleven\n\n    still eleven\n",
    "Text[^a] and more[^b], https://example.com/a_b_(c)?d=e&f=g, <https://example.com>, <a@b.example>.\n\n[^a]: First\n    goes on.\n[^b]:\n"
    '    - a list\n    - in a note\n\nAfter the notes, ![a *picture*](https://example.com/x.png "t").\n',
    "***\n\nSetext *one*\n===\n\nSetext two\n---\n# ATX #\n####### seven\n#no\n\n    code\n\n\tcode too\n\n> quote\nlazy\n> - list\n>\n>   ```\n>   code\n\nend\n",
)

DOCUMENTS = (*ODD, *KINDS, *ANSWERS)


@cache
def commonmark() -> dict[str, list[str]]:
    """Return the Markdown of CommonMark's examples by the section of the specification that they are in."""
    if not SPEC.exists():
        unavailable("no CommonMark specification (npm ci in tests/servers)")
    sections: dict[str, list[str]] = {}
    title = ""
    for heading, example in re.findall(
        r"^#+ ([^\n]+)$|^`{32} example\n(.*?)^\.\n.*?^`{32}$", SPEC.read_text("utf-8"), re.M | re.S
    ):
        title = heading or title
        if not heading:
            sections.setdefault(title, []).append(example.replace("→", "\t"))
    return sections


def in_units(text: str) -> str:
    """Return a text in UTF-16 units: each half of a pair is a character of its own, as JSON may bring it."""
    data = text.encode("utf-16-le", "surrogatepass")
    return "".join(chr(data[at] | data[at + 1] << 8) for at in range(0, len(data), 2))


def abroad(text: str) -> str:
    """Return a text with its words in letters of several code points and units, the marks of Markdown as they are."""
    foreign = {"foo": "f👩‍👩‍👧o", "bar": "漢e\u0301字", "baz": "ש\u05c1ל🇫🇷", "aaa": "한\u0323a"}
    return re.sub("foo|bar|baz|aaa", lambda found: foreign[found[0]], text)
