"""What the exports of other programs have in common: a tree of nodes becomes a conversation. Pure functions.

None of their formats is promised to anybody, so only a tree is insisted on; what else is missing or unknown is left out
and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from services.conversation import MAX_TITLE, Conversation, Whole, title_from
from services.errors import Failure, InputError
from services.events import MAX_NAMED
from services.jsonfile import refused
from services.messages import ErrorPart, Message, MessageStatus, Part, Role, TextPart, clean_text, derived_id
from services.options import Options
from services.usage import Usage

Node = Mapping[str, object]

NO_PICTURE = "(There was a picture or a file here, which is not in the export.)"

UNFINISHED = "This answer was still being written when it was exported."

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = range(1971, 2200)
_MOST_TOKENS = 2**53
_THOUSAND_YEARS_S = 3.2e10
"""A moment later than this many seconds after 1970 was given in thousandths of seconds, or less."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a node says, as far as it can come along."""

    role: Role
    parts: tuple[Part, ...]
    status: MessageStatus = "complete"
    model: str = ""
    at: datetime | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A conversation as another program has it."""

    program: str
    given: str
    """Its id there, or whatever tells it from others."""
    title: object
    nodes: Mapping[str, object]
    parent: str
    """The field of a node that names the one before it."""
    children: str
    """That which lists those after it, the eldest first."""
    head: object
    """The node on show; the last one where there is no such node."""
    began: datetime | None
    updated: datetime | None


def whole_of(tree: Tree, number: int, read: Callable[[Node], Said | None]) -> Whole | None:
    """Return a conversation, or None when no node of it says anything.

    Args:
        tree: What is known of it.
        number: Of the conversation, for sentences.
        read: Returns what a node says; None where nothing of it can come along.

    Raises:
        InputError: it is no tree.
    """
    word = tree.program.lower().replace(" ", "")
    id = derived_id(word, clean_text(tree.given))
    began = tree.began or _EPOCH
    messages: list[Message] = []
    kept: dict[str, Message] = {}  # by node: its message, or the one before it where it has none
    for node_id, parent_id in _in_order(tree, number):
        parent = kept.get(parent_id) if parent_id is not None else None
        said = read(object_of(tree.nodes[node_id]))
        if said is not None:
            # Ids are not their own: a conversation and another that was begun from it may share them.
            own = derived_id(word, id, clean_text(node_id))
            kept[node_id] = _message(own, id, parent, said, tree.program, began)
            messages.append(kept[node_id])
        elif parent is not None:
            kept[node_id] = parent
    if not messages:
        return None
    head = (kept.get(tree.head) if isinstance(tree.head, str) else None) or messages[-1]
    joined = _joined(messages)
    messages = list({message.id: message for message in joined.values()}.values())
    title = " ".join(clean_text(text_of(tree.title)).split())[:MAX_TITLE]
    first = min(message.created_at for message in messages)
    conversation = Conversation(
        id=id,
        title=title or title_from(messages[0].text),
        title_source="model" if title else "question",
        head_id=joined[head.id].id,
        options=Options(),
        created_at=tree.began or first,
        updated_at=tree.updated or max(message.created_at for message in messages),
    )
    return Whole(conversation, tuple(messages))


def none_of(left_out: Counter[str]) -> Counter[str]:
    """Return what was left out where that was all."""
    return left_out + Counter({"empty conversation": 1})


def unknown(number: int) -> InputError:
    """Return the error that says that no program is known which writes this."""
    programs = "Panelist, ChatGPT, Open WebUI or LibreChat"
    return refused(f"conversation {number} is not as {programs} writes it")


def parts_of(texts: str, shown_none: bool) -> tuple[Part, ...]:
    """Return a text as parts; one that is blank says that there was a picture or a file, if there was."""
    text = clean_text(texts).replace("\r\n", "\n")
    if text.strip():
        return (TextPart(text),)
    return (TextPart(NO_PICTURE),) if shown_none else ()


def failed(why: str) -> ErrorPart:
    """Return the part that says how an answer ended which did not end well."""
    return ErrorPart(Failure(kind="unexpected", message=why))


def time_of(value: object) -> datetime | None:
    """Return a moment that was given as (parts of) seconds since 1970 or as ISO 8601; None where it is none."""
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value)
            at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            seconds = float(value)
            for _ in range(3):  # down to billionths
                seconds /= 1000 if seconds > _THOUSAND_YEARS_S else 1
            at = datetime.fromtimestamp(seconds, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return at if at.year in _YEARS else None


def usage_of(value: object) -> Usage | None:
    """Return the tokens of an answer as the OpenAI API and its relatives name them; None where they are not said."""
    given = object_of(value)
    counts = [
        next((given[name] for name in names if isinstance(given.get(name), int)), None)
        for names in (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
    ]
    known = [count for count in counts if isinstance(count, int) and 0 <= count < _MOST_TOKENS]
    return Usage(input=known[0], output=known[1]) if len(known) == len(counts) else None


def object_of(value: object) -> Node:
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def text_of(value: object) -> str:
    return value if isinstance(value, str) else ""


def _message(
    id: str, conversation_id: str, parent: Message | None, said: Said, program: str, began: datetime
) -> Message:
    return Message(
        id=id,
        conversation_id=conversation_id,
        parent_id=parent.id if parent is not None else None,
        role=said.role,
        parts=said.parts,
        status=said.status,
        created_at=said.at or (parent.created_at if parent is not None else began),
        # An answer that names no model was the program's; one of nobody is one that a person wrote.
        model=(clean_text(said.model)[:MAX_NAMED] or program) if said.role == "assistant" else None,
        usage=said.usage,
    )


def _joined(messages: Sequence[Message]) -> dict[str, Message]:
    """Return by the id of each message the one that it is part of: answers in a row, with nothing else behind, are one.

    Other programs write an answer in several messages, with tool calls between; here an answer follows a question.
    """
    followed = Counter(message.parent_id for message in messages)
    rows: dict[str, list[Message]] = {}
    for message in messages:
        before = rows.get(message.parent_id or "", [])
        if before and followed[message.parent_id] == 1 and _goes_on(before[-1], message):
            before.append(message)
            rows[message.id] = before
        else:
            rows[message.id] = [message]
    made = {row[0].id: _one(row) for row in rows.values() if len(row) > 1}
    joined: dict[str, Message] = {}
    for message in messages:
        first = rows[message.id][0]
        if first is message:
            one = made.get(first.id, first)
            parent = joined[one.parent_id].id if one.parent_id is not None else None
            joined[message.id] = one if parent == one.parent_id else replace(one, parent_id=parent)
        else:
            joined[message.id] = joined[first.id]
    return joined


def _goes_on(before: Message, message: Message) -> bool:
    return before.role == message.role == "assistant" and before.status in ("complete", "truncated")


def _one(row: Sequence[Message]) -> Message:
    """Return answers in a row as one, which ends and was made as the last of them."""
    parts: list[Part] = []
    texts: list[str] = []

    def put_texts() -> None:
        if texts:
            parts.append(TextPart("".join(texts)))
            texts.clear()

    apart = ""
    for message in row:
        for part in message.parts:
            if isinstance(part, TextPart):
                texts += (apart, part.text)
                apart = ""
            else:
                put_texts()
                parts.append(part)
        apart = "" if message.status == "truncated" else "\n\n"
    put_texts()
    used = [message.usage for message in row if message.usage is not None]
    last = row[-1]
    usage = sum(used, Usage()) if used else None
    return replace(row[0], parts=tuple(parts), status=last.status, model=last.model, usage=usage)


def _in_order(tree: Tree, number: int) -> Iterator[tuple[str, str | None]]:
    """Yield the ids of all nodes with their parents', a parent before its children and the eldest sibling first."""
    nodes = tree.nodes
    children: dict[str | None, list[str]] = {}
    for node_id, node in nodes.items():
        parent = object_of(node).get(tree.parent)
        known = isinstance(parent, str) and parent in nodes  # a parent may be missing; what follows it is kept
        children.setdefault(parent if known and isinstance(parent, str) else None, []).append(node_id)
    for parent_id, ids in children.items():
        listed = list_of(object_of(nodes[parent_id]).get(tree.children)) if parent_id is not None else []
        place = {id: index for index, id in enumerate(listed) if isinstance(id, str)}
        ids.sort(key=lambda id: place.get(id, len(place)))
    waiting: list[tuple[str, str | None]] = [(id, None) for id in reversed(children.get(None, []))]
    count = 0
    while waiting:
        here, parent_id = waiting.pop()
        count += 1
        yield here, parent_id
        waiting += [(id, here) for id in reversed(children.get(here, []))]
    if count < len(nodes):
        raise refused(f"in conversation {number} messages run in a circle")
