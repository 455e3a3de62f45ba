"""A conversation as a notebook."""

from __future__ import annotations

import ast
import json
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.messages import Memory, TextPart
from services.notebook import _literal, notebook_of
from tests.test_exporting import told
from tests.trees import NOTE_PART

QUESTION = 'Why does "it" rain?\n\nIn C:\\new, say """so""" and end with "'


def cells_of(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["cells"]
    return found


def test_questions_are_code_and_answers_what_it_put_out() -> None:
    whole = told(QUESTION, "Because.", "And then?", "Su", status="stopped")
    book = notebook_of(whole.conversation, whole.path)
    about, begin, first, second = cells_of(book)
    assert about["source"].startswith("# Rain <b> & *more*\n")
    assert "messages = []" in begin["source"]
    assert first["outputs"][0]["data"]["text/markdown"] == "Because."
    assert second["source"] == "ask('And then?', model='tiny')"
    assert second["outputs"][0]["data"]["text/markdown"] == "Su\n\n*This answer was stopped.*"
    assert (json.loads(book)["nbformat"], json.loads(book)["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in cells_of(book)}) == 4


def test_it_runs_again_with_the_same_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    shown: list[str] = []

    def create(**request: Any) -> object:
        asked.append({**request, "messages": list(request["messages"])})
        return SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content=f"Answer {len(asked)}"))])

    client = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))
    monkeypatch.setitem(sys.modules, "openai", SimpleNamespace(OpenAI=lambda: client))  # type: ignore[arg-type]
    display = SimpleNamespace(Markdown=str, display=shown.append)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=display))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "IPython.display", display)  # type: ignore[arg-type]
    whole = told(QUESTION, "Because.", "And then?", "Sun.")
    here: dict[str, Any] = {}
    for cell in cells_of(notebook_of(whole.conversation, whole.path, "Be brief.")):
        if cell["cell_type"] == "code":
            exec(cell["source"], here)
    assert shown == ["Answer 1", "Answer 2"]
    assert [request["model"] for request in asked] == ["tiny", "tiny"]
    system, question = {"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}
    assert asked[0]["messages"] == [system, question]
    assert asked[1]["messages"][2:] == [
        {"role": "assistant", "content": "Answer 1"},
        {"role": "user", "content": "And then?"},
    ]


def test_what_is_no_question_with_its_answer() -> None:
    whole = told("Why?", "Because.", "And?")
    question, answer, last = whole.messages
    path = (replace(question, parts=(NOTE_PART, TextPart("Why?"))), answer, replace(answer, id="2"), last)
    cells = cells_of(notebook_of(whole.conversation, path))[2:]
    assert [cell["cell_type"] for cell in cells] == ["markdown", "code", "markdown", "code"]
    assert cells[0]["source"] == "Attached, and not part of this notebook: note.txt"
    assert (cells[2]["source"], cells[3]["outputs"]) == ("Because.", [])


@settings(deadline=None)
@given(st.text(st.sampled_from("ab\"\\\n'\r\t{}é💧")))
def test_a_question_is_what_it_was_in_python_too(text: str) -> None:
    assert ast.literal_eval(_literal(text)) == text


def test_a_notebook_forgets_what_the_model_was_not_told() -> None:
    whole = told("Why?", "Rain.", "And?", "Snow.")
    short = Memory(summary="It rains.", at=whole.messages[0].created_at)
    path = (whole.messages[0], replace(whole.messages[1], memory=short), *whole.messages[2:])
    *_, note, forget, second = cells_of(notebook_of(whole.conversation, path, "Be brief."))
    assert note["source"] == "From here on, the model was told a summary of what is above."
    assert forget["source"] == "del messages[1:]", "the system prompt stays"
    assert "It rains." in second["source"]
    assert second["source"].endswith('And?""", model=\'tiny\')')
    assert second["outputs"][0]["data"]["text/markdown"] == "Snow."
    assert len(cells_of(notebook_of(whole.conversation, whole.path))) == 4
