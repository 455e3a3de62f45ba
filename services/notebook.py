"""A conversation as a Jupyter notebook (nbformat 4.5) that asks its questions again when it is run. Pure functions."""

from __future__ import annotations

import json
from typing import Any

from services.context import told
from services.conversation import Conversation, told_from
from services.exporting import memory_note, note_of, title_line
from services.messages import Message

_ABOUT = (
    "{title}\n\nExported from Panelist. Each cell below asks a question with the model that answered it; under it is "
    "the answer as it was. Run the cells from the top to ask again: `pip install openai`, then set `OPENAI_API_KEY`, "
    "and `OPENAI_BASE_URL` for another server than OpenAI's."
)

_BEGIN = """from IPython.display import Markdown, display
from openai import OpenAI

client = OpenAI()
messages = {messages}


def ask(question, **parameters):
    messages.append({{"role": "user", "content": question}})
    reply = client.chat.completions.create(messages=messages, **parameters)
    answer = reply.choices[0].message.content
    messages.append({{"role": "assistant", "content": answer}})
    display(Markdown(answer))"""


_FORGET = "del messages[{kept}:]"


def notebook_of(conversation: Conversation, path: tuple[Message, ...], system_prompt: str | None = None) -> str:
    """Return the messages on show as a notebook: questions as code, answers as what that code put out."""
    first = [{"role": "system", "content": system_prompt}] if system_prompt else []
    cells = [
        _markdown(_ABOUT.format(title=title_line(conversation))),
        _code(_BEGIN.format(messages=repr(first)), None),
    ]
    first_told = told_from(path)
    for index, message in enumerate(path):
        if 0 < index == first_told:
            cells += [_markdown(memory_note(path[index - 1])), _code(_FORGET.format(kept=len(first)), None)]
        following = path[index + 1] if index + 1 < len(path) else None
        answer = following if following is not None and following.role == "assistant" else None
        if message.role == "user":
            names = ", ".join(part.name for part in message.attachments)
            if names:
                cells.append(_markdown(f"Attached, and not part of this notebook: {names}"))
            model = (answer.model if answer is not None else None) or conversation.options.model
            given = f", model={model!r}" if model else ', model="…"'
            said = told(path)[0].text if 0 < index == first_told else message.text
            cells.append(_code(f"ask({_literal(said)}{given})", answer))
        elif index == 0 or path[index - 1].role != "user":
            cells.append(_markdown(_shown(message)))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    whole = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(source: str, answer: Message | None) -> dict[str, Any]:
    outputs = []
    if answer is not None:
        shown = _shown(answer)
        data = {"text/markdown": shown, "text/plain": shown}
        outputs.append({"output_type": "display_data", "metadata": {}, "data": data})
    return {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": outputs, "source": source}


def _shown(answer: Message) -> str:
    note = note_of(answer)
    return "\n\n".join(filter(None, (answer.text, f"*{note}*" if note else "")))


def _literal(text: str) -> str:
    """Return a text as Python's source has it, its lines as lines where that can be read."""
    if "\n" not in text or "\r" in text:
        return repr(text)
    escaped = text.replace("\\", "\\\\")
    if '"""' in text or text.endswith('"'):
        escaped = escaped.replace('"', '\\"')
    return f'"""{escaped}"""'
