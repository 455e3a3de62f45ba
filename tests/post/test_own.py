"""Steps of the operator's own: loaded once, and whatever they do, the answer stays."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.post.own import MAX_RESULT, Own, StepError
from tests.post.texts import offer

ROOT = Path(__file__).parent.parent.parent


def own(function: Callable[[str], Any], limit: float = 10.0) -> Own:
    return Own("mine", lambda: function, time_limit_s=limit)


def test_a_function_makes_another_text_of_it() -> None:
    def shout(text: str) -> str:
        """Say it louder.

        And nothing else.
        """
        return text.upper() + "\x00\ud83d\ude00"

    step = own(shout)
    assert step("a") == "A😀"
    assert step.hint == "Say it louder."
    assert step.why_not is None


def leave() -> None:
    sys.exit(3)


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda text: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda text: leave(), "SystemExit: 3"),
        (lambda text: {}["sk-abcdefghijkl"], "KeyError: '…'"),
        (lambda text: None, "gave back NoneType"),
        (lambda text: " \n", "gave back nothing"),
        (lambda text: "x" * (MAX_RESULT + 1), "gave back 2,000,001 characters"),
    ],
)
def test_an_error_is_a_sentence(function: Callable[[str], Any], sentence: str) -> None:
    with pytest.raises(StepError, match="The step 'mine' was left out") as error:
        own(function)("a")
    assert sentence in str(error.value)
    assert "sk-a" not in str(error.value)


def test_one_that_takes_too_long_is_left_and_not_called_twice() -> None:
    go_on = threading.Event()
    calls: list[str] = []

    def slow(text: str) -> str:
        calls.append(text)
        go_on.wait(20)
        return text

    step = own(slow, limit=0.05)
    with pytest.raises(StepError, match=r"longer than 0.05 s"):
        step("a")
    with pytest.raises(StepError, match="still busy"):
        step("b")
    go_on.set()
    assert step._running is not None
    step._running.join()
    assert step("c") == "c"
    assert calls == ["a", "c"]


def test_what_cannot_be_loaded_says_so() -> None:
    def broken() -> Any:
        raise ImportError("no module named 'abc'")

    step = Own("mine", broken)
    assert step.why_not == "It could not be loaded: ImportError: no module named 'abc'. See the log."
    with pytest.raises(StepError, match="could not be loaded"):
        step("a")
    number = Own("mine", lambda: 5)
    assert "not a function" in str(number.why_not)


def test_installed_packages_offer_steps_by_entry_points(tmp_path: Path) -> None:
    (tmp_path / "louder.py").write_text('def shout(text):\n    """Louder."""\n    return text.upper()\n')
    offer(tmp_path, "Shout = louder:shout", "trim = louder:shout", "gone = louder:nothing")
    code = (
        "from services import post\n"
        "steps = {step.name: step for step in post.steps()}\n"
        "assert list(steps) == ['trim', 'typography', 'grammar', 'gone', 'shout'], list(steps)\n"
        "assert steps['shout'].hint == 'Louder.' and steps['shout'].is_available\n"
        "assert 'AttributeError' in steps['gone'].why_not\n"
        "done = post.run('a  ', post.read_names('Shout, trim,gone'))\n"
        "assert (done.text, done.changed_by) == ('A', ('shout', 'trim')), done\n"
        "assert len(done.problems) == 1 and 'gone' in done.problems[0]\n"
    )
    path = f"{tmp_path}:{ROOT}"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": path, "PATH": ""}, timeout=60)
