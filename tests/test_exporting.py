"""What an exported file says, and what it never does."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from hypothesis import given, settings

from services.conversation import Whole
from services.errors import Failure
from services.exporting import file_name, html_of, markdown_of, plain_of
from services.messages import ErrorPart, Memory, Message, MessageStatus, ReasoningPart, TextPart, new_id
from services.render import render_markdown
from tests.storage import make
from tests.trees import NOTE_PART, exported, plain, wholes

CODE = "Look:\n\n```py\nprint('a  b')\n\tx = 1\n```"


def told(*texts: str, status: MessageStatus = "complete") -> Whole:
    """Return a conversation of one branch."""
    where = make.conversation("Rain <b> & *more*")
    messages: list[Message] = []
    for number, text in enumerate(texts):
        new = make.exchange(where, text, after=messages[-1].id if messages else None).question
        last = number == len(texts) - 1
        by_model = {"role": "assistant", "model": "tiny", "status": status if last else "complete"}
        messages.append(replace(new, **by_model) if number % 2 else new)
    return Whole(replace(where, head_id=messages[-1].id), tuple(messages))


def test_markdown_names_who_and_when_and_leaves_code_alone() -> None:
    whole = told("Why?", CODE)
    question = replace(whole.messages[0], parts=(NOTE_PART, *whole.messages[0].parts))
    text = markdown_of(whole.conversation, (question, whole.messages[1]))
    assert text == (
        "# Rain <b> & *more*\n\n## You, 2026-11-01 12:00 UTC\n\nAttached: note.txt (12 bytes)\n\nWhy?\n\n"
        f"## Assistant (tiny), 2026-11-01 12:00 UTC\n\n{CODE}\n"
    )


def test_an_answer_that_was_cut_off_says_so_and_its_code_ends() -> None:
    whole = told("Why?", "```py\nprint(1)\n``", status="stopped")
    text = markdown_of(whole.conversation, whole.path)
    assert text.endswith("```py\nprint(1)\n``\n```\n\n*This answer was stopped.*\n")
    assert "This answer was stopped." in html_of(whole.conversation, whole.path)
    failed = replace(whole.messages[1], parts=(ErrorPart(Failure(kind="server", message="It <broke>.")),))
    assert "*It <broke>.*" in markdown_of(whole.conversation, (failed,))
    assert "It &lt;broke&gt;." in html_of(whole.conversation, (failed,))


def test_where_the_models_memory_begins_is_marked() -> None:
    whole = told("Why?", "Rain.", "And?")
    short = replace(whole.messages[1], memory=Memory(summary="It <b>rains</b>.", at=whole.messages[0].created_at))
    left = replace(short, memory=replace(short.memory, summary=None) if short.memory else None)
    for answer, said in ((short, "told a summary of what is above"), (left, "not told what is above")):
        path = (whole.messages[0], answer, whole.messages[2])
        assert f"Rain.\n\n---\n\n*From here on, the model was {said}.*\n\n## You" in markdown_of(
            whole.conversation, path
        )
        assert f'<hr><p class="gap">From here on, the model was {said}.</p>' in html_of(whole.conversation, path)


def test_the_snapshot_is_one_file_that_runs_and_loads_nothing() -> None:
    hostile = "<script>alert(1)</script> ![x](https://evil.example/p.png) <img src=x onerror=a()>"
    whole = told(hostile, f"{hostile}\n\n{CODE}")
    html = html_of(whole.conversation, whole.path)
    assert "<title>Rain &lt;b&gt; &amp; *more*</title>" in html
    assert render_markdown(whole.messages[1].text) in html
    assert not re.search(r"<(script|img|link|iframe|object)\b", html)
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    style = html.split("<style>")[1].split("</style>")[0]
    assert not re.search(r"url\(|@import", style)
    assert style.count("@media (prefers-color-scheme: dark) { .markdown {\n  --md-text") == 1


def test_only_the_branch_on_show_is_in_a_document() -> None:
    whole = told("Why?", "Because.")
    other = replace(whole.messages[1], id=new_id(), parts=(TextPart("Otherwise."), ReasoningPart("Hm")))
    both = Whole(whole.conversation, (*whole.messages, other))
    assert "Otherwise" not in markdown_of(both.conversation, both.path)
    assert "Otherwise" in exported([both])


def test_the_file_says_which_schema_it_has_and_each_conversation_is_a_line() -> None:
    whole = told("Why?", "Because.")
    file = plain(whole, replace(whole, messages=()))
    assert list(file) == ["schema", "version", "conversations"]
    assert (file["schema"], file["version"]) == ("panelist.conversations", 1)
    assert len(exported([whole, whole]).splitlines()) == 4
    assert plain() == {**file, "conversations": []}


@settings(deadline=None)
@given(wholes())
def test_json_holds_everything(whole: Whole) -> None:
    given = plain_of(whole)
    assert json.loads(json.dumps(given)) == given
    assert [message["id"] for message in given["messages"]] == [message.id for message in whole.messages]


def test_file_names_are_plain() -> None:
    assert file_name("../Räin: a/b\\c <?>\n", ".md") == "Räin-abc.md"
    assert file_name("💧", ".md") == "conversation.md"
    assert len(file_name("a" * 500, ".html")) == 65
