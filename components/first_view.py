"""The page before any script has run: the end of the conversation and a text box, as plain HTML.

It lies over the page that is being built and has the same places and styles; `first.js` keeps what is typed, and hands
it over when the live page has shown itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from components import ahead, theme
from components.chat import composer, transcript
from components.chat.views import Empty, MemoryView, beside_of, empty_view, message_view
from components.scripts import ICONS, STORAGE
from components.state import ConversationState
from services.conversation import remembers_from
from services.render import escape

_HERE = Path(__file__).parent

MESSAGES = 12
"""Messages of the first view: more than a screen of them would only delay it."""

APART = 2
"""Roots of the page's document that come before the shell: the conversation and the text box."""

_ACTIONS = '<div class="actions"><span class="icon-button"></span></div>'
"""Takes the room that the actions of a message will take."""

_OVER = (
    '<header class="over"><span class="which">Answer {}</span><span class="step use" aria-hidden="true">Use this answer'
    '</span><span class="doing"></span></header>'
)
"""What is above an answer that stands beside others."""

_PICTURE = '<span class="picture"></span>'


def _read(name: str) -> str:
    return (_HERE / name).read_text("utf-8")


TEMPLATE = (
    _read("first.html")
    .replace("{{ mark }}", ahead.MARK)
    .replace("{{ come_back }}", f"{{% raw %}}{_read('assets/come_back.js')}{{% endraw %}}")
)


def first_view(state: ConversationState, *, dark: bool, chosen: bool, sidebar: bool) -> dict[str, Any]:
    """Return what the template needs.

    Args:
        state: What will be shown.
        dark: The theme.
        chosen: Whether the person chose it; else it should be the system's.
        sidebar: Whether the live page will have it open.
    """
    conversation = state.conversation
    together = state.together
    path = (*state.path[-MESSAGES:-1], *together) if together else state.path[-MESSAGES:]
    remembers = remembers_from(state.path)
    shown = "".join(
        _article(
            message_view(
                message,
                None,
                remembers=message is remembers,
                beside=beside_of(message, together, state.path[-1].id),
            )
        )
        for message in path
    )
    return {
        "first": {
            "conversation": conversation.id if conversation else "",
            "theme": "dark" if dark else "light",
            "chosen": chosen,
            "sidebar": sidebar,
            "column": _column(len(together)),
            "apart": APART,
            "messages": f'<div class="messages">{shown}</div>' if shown else _empty(empty_view(state.first_run)),
            "placeholder": escape(composer.placeholder(state)),
            **_constant(),
        }
    }


@cache
def _constant() -> dict[str, Any]:
    """What is the same on every page."""
    return {
        "styles": theme.static_css() + _read("first.css"),
        "transcript_css": "\n".join(transcript.STYLES),
        "composer_css": composer.STYLE,
        "script": STORAGE + transcript.PLACES + _read("socket.js") + _read("first.js"),
        "icons": ICONS,
    }


def _article(view: dict[str, Any]) -> str:
    role, kind = ("You", "body said") if view["role"] == "user" else ("Assistant", "body markdown")
    thought = '<details class="reasoning"><summary>Thought</summary></details>' if view.get("reasoning") else ""
    note = f'<p class="note">{escape(view["note"])}</p>' if view["note"] else ""
    alert = f'<div class="alert"><p>{escape(view["alert"]["text"])}</p></div>' if view["alert"] else ""
    marks = f'aria-label="{role}" data-message-id="{view["id"]}" data-status="{view["status"]}"'
    beside = view.get("beside")
    over = _OVER.format(beside["number"]) if beside else ""
    return (
        f'<article class="message {view["role"]}{" beside" if over else ""}" {marks}>'
        f'<h2 class="unseen" aria-label="{role}"></h2>{over}{thought}'
        f'{_files(view.get("files", ()))}<div class="{kind}" dir="auto">{view["html"]}</div>'
        f'<div class="foot">{note}{alert}{_ACTIONS}</div>{_memory(view["memory"])}</article>'
    )


def _column(count: int) -> str:
    """Return the attributes of the column of messages, at whose end so many answers stand side by side."""
    return f'class="column abreast" data-answers="{count}" style="--answers: {count}"' if count else 'class="column"'


def _memory(view: MemoryView | None) -> str:
    """Return the place of the line behind which a model's memory begins."""
    return f'<div class="memory"><span>{escape(view["text"])}</span></div>' if view is not None else ""


def _files(files: Iterable[dict[str, Any]]) -> str:
    """Return the places of a message's files; pictures come with the live page."""
    items = "".join(
        f'<li class="file">{_PICTURE if file["image"] else ""}<div class="line">'
        f'<span class="name">{escape(file["name"])}</span>'
        f'<span class="size">{file["kind"]}, {file["size"]}</span></div></li>'
        for file in files
    )
    return f'<ul class="files">{items}</ul>' if items else ""


def _empty(view: Empty) -> str:
    banner = f'<div class="banner"><p>{escape(view["banner"])}</p></div>' if view["banner"] else ""
    chips = "".join(f'<button type="button" class="chip">{escape(chip)}</button>' for chip in view["chips"])
    title = escape(view["title"])
    return f'<section class="empty"><h1>{title}</h1>{banner}<div class="chips">{chips}</div></section>'
