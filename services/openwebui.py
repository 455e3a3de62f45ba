"""Open WebUI's export (*Export chats*, or one chat as JSON) as conversations. Pure functions.

A file is a list of chats, each with `chat.history.messages`, an object of messages by id with `parentId` and
`childrenIds`, and `chat.history.currentId`: https://github.com/open-webui/open-webui. Thoughts and tool calls stand in
`output` or, before there was that, as `<details type="…">` in the text.
"""

from __future__ import annotations

import re
from collections import Counter
from html import unescape

from services.conversation import Whole
from services.foreign import (
    UNFINISHED,
    Node,
    Said,
    Tree,
    failed,
    list_of,
    none_of,
    object_of,
    parts_of,
    text_of,
    time_of,
    unknown,
    usage_of,
    whole_of,
)
from services.messages import MessageStatus, Part, ReasoningPart, clean_text

_MAX_WHY = 500
"""Characters of an error that are kept."""

_TYPE = re.compile(r'\btype="(\w{1,40})"')
_SECONDS = re.compile(r'\bduration="(\d{1,6}(?:\.\d{1,6})?)"')
_SUMMARY = re.compile(r"\s*<summary>[^<]{0,500}</summary>\s*")
_QUOTED = re.compile(r"^> ?", re.MULTILINE)
_MOST_TAG = 2_000
"""Characters of the tag that begins a thought or a tool call; arguments and results stand in it, but are not needed."""


def is_ours(item: object) -> bool:
    """Whether an item of a file looks like one of these chats."""
    chat = _chat(object_of(item))
    return isinstance(object_of(chat.get("history")).get("messages"), dict)


def read(item: object, number: int) -> tuple[Whole | None, Counter[str]]:
    """Return a chat of the export, unless nothing in it can come along, and what of it cannot.

    Raises:
        InputError: it is no chat of Open WebUI's, or no tree.
    """
    if not is_ours(item):
        raise unknown(number)
    outer = object_of(item)
    chat = _chat(outer)
    history = object_of(chat.get("history"))
    left_out: Counter[str] = Counter()
    tree = Tree(
        program="Open WebUI",
        given=str(outer.get("id") or chat.get("id") or f"{chat.get('timestamp')} {chat.get('title')}"),
        title=outer.get("title") or chat.get("title"),
        nodes=object_of(history.get("messages")),
        parent="parentId",
        children="childrenIds",
        head=history.get("currentId"),
        began=time_of(outer.get("created_at")) or time_of(chat.get("timestamp")),
        updated=time_of(outer.get("updated_at")),
    )
    whole = whole_of(tree, number, lambda node: _said(node, left_out))
    return whole, left_out if whole is not None else none_of(left_out)


def _chat(item: Node) -> Node:
    """Return the chat of an item, which itself may be one: that is how a single one was exported at first."""
    chat = item.get("chat")
    return object_of(chat) if chat is not None else item


def _said(message: Node, left_out: Counter[str]) -> Said | None:
    """Return what a message says, or None and note what it was."""
    role = message.get("role")
    if role not in ("user", "assistant"):
        left_out["instruction" if role == "system" else "empty message"] += 1
        return None
    kinds = Counter("picture" if _is_picture(object_of(file)) else "file" for file in list_of(message.get("files")))
    content = message.get("content")
    texts = [text_of(content)]
    for part in map(object_of, list_of(content)):
        texts.append(text_of(part.get("text")))
        kinds["picture"] += part.get("type") == "image_url"
    left_out += +kinds
    text = "\n\n".join(filter(None, texts))
    at = time_of(message.get("timestamp"))
    if role == "user":
        parts = parts_of(text, bool(kinds.total()))
        return _unless_empty(Said("user", parts, at=at), left_out)
    thoughts, text = _told(text, message, left_out)
    parts = (*thoughts, *parts_of(text, bool(kinds.total())))
    parts, status = _ended(message, parts)
    said = Said("assistant", parts, status, text_of(message.get("model")), at, usage_of(message.get("usage")))
    return _unless_empty(said, left_out)


def _unless_empty(said: Said, left_out: Counter[str]) -> Said | None:
    if said.parts:
        return said
    left_out["empty message"] += 1
    return None


def _is_picture(file: Node) -> bool:
    return file.get("type") == "image" or text_of(file.get("content_type")).startswith("image/")


def _ended(message: Node, parts: tuple[Part, ...]) -> tuple[tuple[Part, ...], MessageStatus]:
    error = message.get("error")
    if error:
        said = text_of(object_of(error).get("content")) or text_of(error)
        why = " ".join(clean_text(said).split())[:_MAX_WHY]
        return (*parts, failed(why or "This answer failed.")), "failed"
    if message.get("done") is False:
        return (*parts, failed(UNFINISHED)), "interrupted"
    return parts, "complete"


def _told(text: str, message: Node, left_out: Counter[str]) -> tuple[tuple[ReasoningPart, ...], str]:
    """Return an answer's thoughts and what it says besides."""
    output = [object_of(one) for one in list_of(message.get("output"))]
    if not any(one.get("type") == "message" for one in output):
        return _unfolded(text, left_out)
    thoughts: list[ReasoningPart] = []
    texts: list[str] = []
    for one in output:
        said = "\n\n".join(filter(None, (text_of(object_of(part).get("text")) for part in list_of(one.get("content")))))
        match one.get("type"):
            case "message":
                texts.append(said)
            case "reasoning" if said:
                thoughts.append(ReasoningPart(clean_text(said), seconds=_seconds(one.get("duration"))))
            case "function_call":
                left_out["tool message"] += 1
            case _:
                pass
    return tuple(thoughts), "\n\n".join(filter(None, texts))


def _seconds(value: object) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 10**6
    return float(value) if known and isinstance(value, int | float) else None


def _unfolded(text: str, left_out: Counter[str]) -> tuple[tuple[ReasoningPart, ...], str]:
    """Take thoughts and tool calls, which are folded in `<details>`, out of a text; others stay as they are."""
    thoughts: list[ReasoningPart] = []
    kept: list[str] = []
    at = 0
    # One pass: where there is no end any more, none is looked for again.
    while (begins := text.find("<details", at)) >= 0 and (ends := text.find("</details>", begins)) >= 0:
        behind = ends + len("</details>")
        tag_ends = text.find(">", begins, ends)
        tag = text[begins : min(tag_ends, begins + _MOST_TAG)] if tag_ends >= 0 else ""
        found = _TYPE.search(tag)
        kind = found[1] if found else ""
        kept.append(text[at:begins])
        if kind == "reasoning":
            inner = _SUMMARY.sub("", text[tag_ends + 1 : ends], count=1)
            duration = _SECONDS.search(tag)
            thought = clean_text(_QUOTED.sub("", unescape(inner.strip())))
            thoughts.append(ReasoningPart(thought, seconds=float(duration[1]) if duration else None))
        elif kind in ("tool_calls", "code_interpreter"):
            left_out["tool message"] += 1
        else:
            kept.append(text[begins:behind])
        at = behind
    kept.append(text[at:])
    return tuple(thoughts), "".join(kept).strip("\n") if thoughts or len(kept) > 1 else text
