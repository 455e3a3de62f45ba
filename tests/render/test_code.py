"""Text shown as it is: escaped, framed, coloured."""

from __future__ import annotations

import itertools
import re

import pytest

from services.render import code, escape, render_markdown
from services.render.code import LANGUAGES, LONG, MAX_COLOURED, highlight
from tests.render.audit import audit, tail_of, visible


def test_escape_is_safe_in_text_and_attributes() -> None:
    assert escape("<b a=\"1\" c='2'>&\x00\ud83d") == "&lt;b a=&quot;1&quot; c=&#x27;2&#x27;&gt;&amp;\ufffd"


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


@pytest.mark.parametrize(
    ("code", "tools"),
    [
        ("ls", []),
        ("a\nb", []),
        ("a\nb\nc", ["code-numbers"]),
        ("x" * 41, ["code-wrap"]),
        ("a\n" * 30 + "b", ["code-numbers", "fold"]),
    ],
)
def test_a_block_has_the_buttons_that_help_it(code: str, tools: list[str]) -> None:
    page = audit(render_markdown(f"```\n{code}\n```"))
    assert [button["class"] for button in page.all("button")] == sorted([*tools, "copy-code"], key=_ORDER.index)
    assert all(button.get("aria-pressed", "false") == "false" for button in page.all("button"))


_ORDER = ["code-numbers", "code-wrap", "copy-code", "fold"]


def test_a_folded_block_says_how_much_there_is() -> None:
    html = render_markdown("```\n" + "x\n" * 1_230 + "```")
    assert 'aria-expanded="false" type="button">Show all 1,230 lines</button>' in html


@pytest.mark.parametrize("around", ["{}", "- a\n\n  {}\n- b", "> {}"])
def test_a_long_block_says_how_long_it_is(around: str) -> None:
    def frame(lines: int) -> dict[str, str | None]:
        code = "```py\n" + "x = 1\n" * lines + "```"
        html = render_markdown(around.format(code.replace("\n", "\n" + {"-": "  ", ">": "> "}.get(around[0], ""))))
        return next(div for div in audit(html).all("div") if "code-block" in (div["class"] or ""))

    assert frame(LONG + 1) == {"class": "code-block", "data-lines": str(LONG + 1)}
    assert frame(LONG) == {"class": "code-block"}


def test_a_long_block_is_not_folded_while_it_is_written() -> None:
    for before, indent in (("", ""), ("- ", "  "), ("> ", "> ")):
        tail = tail_of(before + "```mermaid\n" + f"{indent}graph TD\n" * 50)
        assert "data-lines" not in tail
        assert tail.count("graph TD") == 50
        assert 'class="code-block"' in tail
    assert 'data-lines="50"' in render_markdown("```\n" + "x\n" * 50)


def test_a_diagram_is_its_source_in_a_frame_of_its_own() -> None:
    page = audit(render_markdown("```Mermaid\ngraph TD\n  A --> B\n```\n\n```mermaids\nx\n```"))
    assert [div["class"] for div in page.all("div")] == ["code-block mermaid", "code-head", "code-block", "code-head"]
    assert page.text.startswith("MermaidCopy codegraph TD\n  A --> B\n")
    pressed = {button["class"]: button.get("aria-pressed") for button in page.all("button")}
    assert pressed == {"show-diagram": "true", "show-source": "false", "copy-code": None}


def test_an_indented_block_gets_the_same_frame() -> None:
    html = render_markdown("text\n\n    a < b\n")
    assert '<div class="code-block">' in html
    assert "a &lt; b" in html


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_colouring_keeps_every_character(language: str) -> None:
    code = "\n\n  def f(a):\n\treturn [1, 'x', \"y\"]  # <&>\n/* é */ $a = `b`; \n\n"
    assert visible(highlight(code, language)) == code


@pytest.mark.parametrize(
    "code", ["x = 1\n" * 2_001, "a" * 501, "word " * 130], ids=["long", "wide", "without punctuation"]
)
def test_code_that_is_dear_to_colour_is_plain(code: str) -> None:
    assert highlight(code, "python") == code


@pytest.mark.parametrize(
    ("line", "most"),
    [
        ("a line of words\n", 1_500),
        ("a word " * 60, 1_500),
        ("a", 1_500),
        ("👩\u200d👩\u200d👧\u200d👦", 1_500),
        ("\n", 1_500),
    ],
)
def test_long_plain_text_comes_in_parts_that_nothing_is_cut_by(line: str, most: int) -> None:
    text = line * (30_000 // len(line))
    html = code.plain(text)
    page = audit(html)
    assert page.text.removesuffix("\n") == text
    parts = re.findall("<span>(.*?)</span>", html, re.S)
    assert "".join(parts) == text
    assert max(map(len, parts)) <= most
    assert all(part.endswith(line[-1]) for part in parts)
    assert not [part for part in parts if part.startswith("\u200d")]


def test_parts_of_plain_text_stay_as_it_grows() -> None:
    text = "several words\nand lines of them\n" * 500
    before, after = (re.findall("<span>(.*?)</span>", code.plain(text[:size]), re.S) for size in (4_000, 15_000))
    assert len(before) == 3
    assert after[:2] == before[:2]
    assert "<span>" not in code.plain(text[:1_500])


def test_colours_are_rationed() -> None:
    block = "```python\n" + "x = 1\n" * 1_900 + "```\n\n"
    html = render_markdown(block * 8)
    assert html.count('<code class="language-python">') == 8
    assert html.count('<span class="mi">') == 1_900 * (MAX_COLOURED // (6 * 1_900))


def test_the_first_code_in_a_language_has_time_to_load_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its expressions are made then: 40 to 800 ms on a small machine, which is no fault of the code."""
    ticks = itertools.count(step=0.3)
    monkeypatch.setattr(code, "_begun", set())
    monkeypatch.setattr(code, "_known", {})
    monkeypatch.setattr(code.time, "thread_time", lambda: next(ticks))
    assert '<span class="s">' in highlight('say "first"', "perl")
    assert highlight('say "second"', "perl") == "say &quot;second&quot;"
