"""ChatGPT's export (`conversations.json`) as conversations. Pure functions.

Each conversation has a `mapping` of nodes by id, with `parent`, `children` and a `message`, which is null at the root:
https://help.openai.com/en/articles/7260999. The format is not promised to anybody, so only a tree is insisted on;
whatever else is missing or unknown is left out and counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from services.conversation import MAX_TITLE, Conversation, Whole, title_from
from services.errors import Failure
from services.jsonfile import refused
from services.messages import ErrorPart, Message, MessageStatus, Part, Role, TextPart, clean_text, derived_id
from services.options import Options

Node = Mapping[str, object]

NO_PICTURE = "(There was a picture or a file here, which is not in the export.)"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = range(1971, 2200)
_MAX_MODEL = 500
_MARKS = re.compile("\ue200[^\ue201]*\ue201")
"""Where the page of ChatGPT shows a source; the words between say nothing to a reader."""

_UNNAMED = "ChatGPT"
"""Who wrote an answer that names no model; an answer of nobody is one that a person wrote."""

_ENDS: dict[str, MessageStatus] = {"max_tokens": "truncated", "interrupted": "stopped"}


@dataclass(frozen=True, slots=True)
class _Said:
    """What a node says, as far as it can come along."""

    role: Role
    text: str
    message: Node


def read(item: object, number: int) -> tuple[Whole | None, Counter[str]]:
    """Return a conversation of the export, unless nothing in it can come along, and what of it cannot.

    Raises:
        InputError: it is no conversation of ChatGPT's, or no tree.
    """
    nodes = item.get("mapping") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(nodes, dict):
        raise refused(f"conversation {number} is not as ChatGPT or Panelist writes it")
    given = str(item.get("conversation_id") or item.get("id") or f"{item.get('create_time')} {item.get('title')}")
    id = derived_id("chatgpt", clean_text(given))
    began = _time(item.get("create_time"), _EPOCH)
    left_out: Counter[str] = Counter()
    messages: list[Message] = []
    kept: dict[str, Message] = {}  # by node: its message, or the one before it where it has none
    for node_id, parent_id in _in_order(nodes, number):
        parent = kept.get(parent_id) if parent_id is not None else None
        said = _said(_object(nodes[node_id]), left_out)
        if said is not None:
            kept[node_id] = _message(id, node_id, parent, said, began)
            messages.append(kept[node_id])
        elif parent is not None:
            kept[node_id] = parent
    if not messages:
        return None, left_out + Counter({"empty conversation": 1})
    current = item.get("current_node")
    head = kept.get(current) if isinstance(current, str) else None
    title = " ".join(clean_text(_text(item.get("title"))).split())[:MAX_TITLE]
    conversation = Conversation(
        id=id,
        title=title or title_from(messages[0].text),
        title_source="model" if title else "question",
        head_id=(head or messages[-1]).id,
        options=Options(),
        created_at=began,
        updated_at=_time(item.get("update_time"), max(message.created_at for message in messages)),
    )
    return Whole(conversation, tuple(messages)), left_out


def _in_order(nodes: Node, number: int) -> Iterator[tuple[str, str | None]]:
    """Yield the ids of all nodes with their parents', a parent before its children and the eldest sibling first."""
    children: dict[str | None, list[str]] = {}
    for node_id, node in nodes.items():
        parent = _object(node).get("parent")
        known = isinstance(parent, str) and parent in nodes  # a parent may be missing; what follows it is kept
        children.setdefault(parent if known and isinstance(parent, str) else None, []).append(node_id)
    for parent_id, ids in children.items():
        listed = _object(nodes[parent_id]).get("children") if parent_id is not None else None
        place = (
            {id: index for index, id in enumerate(listed) if isinstance(id, str)} if isinstance(listed, list) else {}
        )
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


def _said(node: Node, left_out: Counter[str]) -> _Said | None:
    """Return what a node says, or None and note what it was."""
    message = _object(node.get("message"))
    role = _object(message.get("author")).get("role")
    content = _object(message.get("content"))
    metadata = _object(message.get("metadata"))
    text, pictures, files = _content(content)
    attached = metadata.get("attachments")
    for one in map(_object, attached if isinstance(attached, list) else []):
        files += not str(one.get("mime_type") or one.get("mimeType")).startswith("image/")
    left_out.update({what: count for what, count in (("picture", pictures), ("file", files)) if count})
    if not message or (role == "system" and not text.strip()):
        return None  # where a conversation begins
    to = message.get("recipient")
    kind = content.get("content_type")
    if role == "tool" or (role == "assistant" and to not in (None, "all")):
        what = "" if pictures else "tool message"
    elif role not in ("user", "assistant") or kind == "user_editable_context":
        what = "instruction"
    elif metadata.get("is_visually_hidden_from_conversation") is True:
        what = "hidden message"
    elif kind in ("thoughts", "reasoning_recap"):
        what = "thought"
    elif text.strip() or pictures or files:
        return _Said("user" if role == "user" else "assistant", text if text.strip() else NO_PICTURE, message)
    else:
        what = "empty message"
    if what:
        left_out[what] += 1
    return None


def _content(content: Node) -> tuple[str, int, int]:
    """Return the text of a message, and how many pictures and other files stood beside it."""
    texts: list[str] = []
    pictures = files = 0
    parts = content.get("parts")
    for part in parts if isinstance(parts, list) else []:
        match part:
            case str():
                texts.append(part)
            case {"content_type": "image_asset_pointer"}:
                pictures += 1
            case {"text": str(text)}:
                texts.append(text)
            case dict():
                files += 1
            case _:
                pass
    if not isinstance(parts, list) and (text := _text(content.get("text"))):
        texts.append(f"```\n{text}\n```" if content.get("content_type") == "code" else text)
    joined = clean_text("\n\n".join(filter(None, texts))).replace("\r\n", "\n")
    return _MARKS.sub("", joined), pictures, files


def _message(conversation_id: str, node_id: str, parent: Message | None, said: _Said, began: datetime) -> Message:
    metadata = _object(said.message.get("metadata"))
    status: MessageStatus = "complete"
    parts: tuple[Part, ...] = (TextPart(said.text),)
    if said.role == "assistant":
        status = _ENDS.get(_text(_object(metadata.get("finish_details")).get("type")), "complete")
        if said.message.get("status") == "in_progress":
            status = "interrupted"
            why = Failure(kind="unexpected", message="This answer was still being written when it was exported.")
            parts = (*parts, ErrorPart(why))
    model = clean_text(_text(metadata.get("model_slug")))[:_MAX_MODEL]
    return Message(
        # Not its own: ChatGPT gives the same one in a conversation and in another that was begun from it.
        id=derived_id("chatgpt", conversation_id, clean_text(node_id)),
        conversation_id=conversation_id,
        parent_id=parent.id if parent is not None else None,
        role=said.role,
        parts=parts,
        status=status,
        created_at=_time(said.message.get("create_time"), parent.created_at if parent is not None else began),
        model=(model or _UNNAMED) if said.role == "assistant" else None,
    )


def _time(value: object, otherwise: datetime) -> datetime:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            at = datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            return otherwise
        return at if at.year in _YEARS else otherwise
    return otherwise


def _object(value: object) -> Node:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
