"""Grammar: what is put right, and what is left to the one who wrote it."""

from __future__ import annotations

import pytest

from services.post.grammar import grammar

pytest.importorskip("harper", reason="harper-py is not installed")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("This is an test of the the linter.", "This is a test of the linter."),
        ("You could of told me that it is a orange.", "You could have told me that it is an orange."),
        ("A hour is what you have to wait for it.", "An hour is what you have to wait for it."),
        ("He have alot of the work to do.", "He has a lot of the work to do."),
        (
            "Use Kubernetes and param of HoloViz for it, e.g. this.",
            "Use Kubernetes and param of HoloViz for it, e.g. this.",
        ),
        ("Run `an test` of the tool, and $an test$ of it.", "Run `an test` of the tool, and $an test$ of it."),
        ("```\nthis is an test\n```\n", "```\nthis is an test\n```\n"),
        (
            "| This is an test of it | b |\n|---|---|\n| the the | d |",
            "| This is a test of it | b |\n|---|---|\n| the | d |",
        ),
        ("Das ist an der Wand und die die Katze ist da.", "Das ist an der Wand und die die Katze ist da."),
        (
            "Der Text ist ein einfacher Test und nicht an English one.",
            "Der Text ist ein einfacher Test und nicht an English one.",
        ),
        ("", ""),
    ],
)
def test_what_is_sure_is_put_right(text: str, expected: str) -> None:
    assert grammar(text) == expected
    assert grammar(expected) == expected


def test_it_is_the_same_each_time_and_in_any_thread() -> None:
    from concurrent.futures import ThreadPoolExecutor

    text = "This is an test of the the linter, and it is good.\n\n" * 40
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(grammar, [text] * 8)) == {grammar(text)}
