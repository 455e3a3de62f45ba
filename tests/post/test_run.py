"""The pipeline: steps in order, what each did, and an answer whatever happens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services import post
from services.errors import InputError
from services.messages import clean_text
from services.render.prose import prose_of
from tests.corpus import ANSWERS

ROOT = Path(__file__).parent.parent.parent


def test_steps_run_in_order_and_say_what_they_did() -> None:
    done = post.run('"a"  \n\n\nb', ["typography", "trim"])
    assert done.text == "“a”\n\nb"
    assert done.changed_by == ("typography", "trim")
    assert [(change.before, change.after) for change in done.changes] == [
        ('"a"  \n\n\nb', "“a”  \n\n\nb"),
        ("“a”  \n\n\nb", "“a”\n\nb"),
    ]
    assert done.problems == ()


def test_what_changes_nothing_is_not_told() -> None:
    assert post.run("plain\r\ntext", ["trim", "typography"]) == post.Processed("plain\r\ntext")
    assert post.run("a  ", []) == post.Processed("a  ")


def test_a_step_that_is_not_there_is_left_out() -> None:
    done = post.run("a  ", ["nothing", "trim"])
    assert done.text == "a"
    assert done.problems == ("The step 'nothing' was left out: there is none of that name here.",)
    assert post.label_of("nothing") == "nothing"
    assert post.label_of("trim") == "Trim white space"


def test_names_are_read_from_a_list() -> None:
    assert post.read_names(" Trim,, typography ,trim") == ("trim", "typography")
    assert post.read_names("") == ()
    with pytest.raises(InputError, match=r"no step 'trimm'. Steps are trim, typography, grammar"):
        post.read_names("trim,trimm")


def test_huge_answers_stay_as_they_are() -> None:
    text = "a  \n" * 100_001
    done = post.run(text, ["trim"])
    assert done.text == text
    assert "stays as it is" in done.problems[0]


def test_without_harper_the_step_says_how_to_get_it() -> None:
    code = (
        "import sys\n"
        "sys.modules['harper'] = None\n"
        "from services import post\n"
        "step = next(step for step in post.steps() if step.name == 'grammar')\n"
        "assert not step.is_available and 'pip install' in step.why_not\n"
        "done = post.run('This is an test of it.  ', ['grammar', 'trim'])\n"
        "assert done.text == 'This is an test of it.', done\n"
        "assert 'pip install' in done.problems[0]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)


@given(st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=3).map("\n\n".join))
@settings(deadline=None, max_examples=30)
def test_code_of_real_answers_is_the_same_byte_for_byte(text: str) -> None:
    done = post.run(text, ["trim", "typography", "grammar"])
    assert _code(lines_of(text)) == _code(lines_of(done.text))
    assert done.problems == ()
    assert post.run(done.text, ["trim", "typography", "grammar"]).changes == ()


def lines_of(text: str) -> str:
    return clean_text(text).replace("\r\n", "\n").replace("\r", "\n")


def _code(text: str) -> list[str]:
    prose = prose_of(text)
    return [text[start:end].rstrip("\n") for start, end in prose.kept]


@pytest.mark.parametrize(
    "piece",
    [
        "//a.b/",
        "# a\n",
        "- [ ] a\n",
        '"',
        "'",
        '"a ',
        "'a'",
        "[",
        "![",
        "`",
        "a  \n",
        "\n\n\n",
        "> ",
        "|",
        "$a",
        "<b ",
        "{",
    ],
)
def test_200_kb_of_anything_end(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    done = post.run(text, ["trim", "typography", "grammar"])
    assert "".join(done.text.split()).count(piece.strip()[:1] or " ") or done.text == text or not piece.strip()
