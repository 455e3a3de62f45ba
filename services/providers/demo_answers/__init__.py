"""What the demo endpoint says: prepared texts beside this file, chosen by simple words in the question."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Literal

NOT_AN_AI = "> This is the demo endpoint of Panelist: prepared text, not an AI.\n\n"
MAX_LONG = 5_000
"""Most tokens that `/long` writes."""

Ending = Literal["stop", "length", "content_filter", "cut", "reset", "stall", "garbled", "error"]
"""How an answer ends: by a finish reason, or by one of the ways in which streams break."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    text: str
    reasoning: str = ""
    ending: Ending = "stop"
    first_s: float = 0.4
    """Seconds before the first piece."""
    gap_s: float = 0.02
    """Seconds between two pieces."""


_TOPICS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(words, re.IGNORECASE))
    for name, words in (
        ("markdown", r"\bmarkdown\b|\bformatting\b|\b(?:show|give|write) me (?:an? )?(?:table|code|list|example)"),
        ("keyboard", r"\bkeyboard\b|\bshortcuts?\b|\bshift\b|\bnew line\b|\benter key\b"),
        ("stored", r"\bstor(?:e[ds]?|age)\b|\bsaved?\b|\bprivacy\b|\bprivate\b|\bdatabase\b|\bmy data\b|\bhistory\b"),
        ("control", r"\bstop\b|\bretry\b|\btry again\b|\bregenerate\b|\bcancel\b|\bedit (?:a|my)\b"),
        (
            "connect",
            r"\bconnect\b|\bapi[ _]key\b|\bOPENAI_|\bPANELIST_|\bollama\b|\bendpoints?\b|\b(?:own|real) model\b",
        ),
        ("about", r"\bwhat (?:can|do) you\b|\b(?:who|what) are you\b|\bwhat is this\b|\bare you an? |^/?help\b"),
        ("hello", r"^(?:hi|hello|hey|hallo|hola|bonjour|good (?:morning|afternoon|evening))\b.{0,30}$"),
        ("markdown", r"\bdemo\b|\bshow me\b|\bexamples?\b|\btour\b"),
    )
)
_MAX_TOUR_S = 10.0
"""Seconds that a prepared text takes at most: nobody waits for a demo."""
_TOPIC_CHARS = 200
"""A longer message is taken for text to work on, whatever words are in it."""

ANSWERS = {
    "/slow": "an answer that takes its time",
    "/think": "an answer with its reasoning",
    "/long": "a long answer, of 500 tokens",
    "/long 2000": "one of as many tokens as you say",
}
"""Questions of their own, and what is answered."""

_PIECE = re.compile(r"\s?[^\s]{1,7}|\s")


def pieces_of(text: str) -> list[str]:
    """Return `text` cut into pieces about as long as tokens; joined they are `text` again."""
    return _PIECE.findall(text)


@cache
def prepared(name: str) -> str:
    return (Path(__file__).parent / f"{name}.md").read_text("utf-8").strip()


def answer_to(question: str, message_count: int) -> Answer:
    """Return the answer to a question that is not a `/fail` command."""
    command, _, rest = question.strip().partition(" ")
    match command.lower():
        case "/slow":
            return Answer(text=NOT_AN_AI + _slowly(), first_s=5.0, gap_s=0.2)
        case "/think":
            return Answer(text=NOT_AN_AI + prepared("about"), reasoning=prepared("thought"))
        case "/long":
            return Answer(text=NOT_AN_AI + _prose(rest))
    if len(question) <= _TOPIC_CHARS:
        for name, words in _TOPICS:
            if words.search(question.strip()):
                text = NOT_AN_AI + prepared(name)
                return Answer(text=text, gap_s=min(0.02, _MAX_TOUR_S / len(pieces_of(text))))
    return Answer(text=NOT_AN_AI + _received(question, message_count))


def _slowly() -> str:
    return (
        "Some models need a while before they begin, and then they choose every word with care. "
        "Take your time; Panelist waits as long as your settings allow, and **Stop** works all the while."
    )


def _prose(amount: str) -> str:
    """Return about as many tokens of prose as `amount` says, in paragraphs; 500 when it says nothing."""
    found = re.match(r"\s*(\d{1,9})", amount)
    wanted = max(1, min(int(found[1]), MAX_LONG)) if found else 500
    pieces: list[str] = []
    for number, sentence in enumerate(cycle(prepared("prose").splitlines())):
        space = " " if number % 4 else "\n\n" if number else ""
        pieces += pieces_of(space + sentence)
        if len(pieces) >= wanted:
            break
    return "".join(pieces[:wanted])


def _received(question: str, message_count: int) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", question)), default=0))
    shown = question if len(question) <= 400 else question[:400].rstrip() + " …"
    messages = "one message" if message_count == 1 else f"{message_count} messages"
    return (
        f"I cannot answer that: there is no model behind me. But your message arrived safely, "
        f"{len(question):,} characters long, in a request with {messages}:\n\n"
        f"{fence}text\n{shown}\n{fence}\n\n"
        "What I can do is show you around. Try one of these:\n\n"
        "- *Show me Markdown*\n- *How do I connect a model?*\n- *What is stored where?*\n"
        "- `/long 800` for a long answer, or `/fail` for a choice of failures\n"
    )


_FILLERS = """a about am an and are as at be been can could did do does for from give had has have how i if in into
is it its just like make me my of on or please shall should show so some tell than that the their them then there
these they this to us was we were what when where which who why will with would write you your"""


def title_of(question: str) -> str:
    """Return a title of two to six words, made from the words of the question that say something."""
    if question.lstrip().startswith("/"):
        return "Trying " + " ".join(re.findall(r"\w+", question)[:4] or ["a command"])
    words: list[str] = re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", question[:500])
    fillers = _FILLERS.split()
    telling = [word[:30] for word in words if word.lower() not in fillers][:6]
    if not telling:
        return "A short question"
    if len(telling) == 1:
        telling.insert(0, "About")
    title = " ".join(telling)
    return title[0].upper() + title[1:]
