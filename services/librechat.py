"""LibreChat's export of a conversation (as JSON) as a conversation. Pure functions.

A file is one conversation: `conversationId` and `messages`, a list of messages with `messageId` and `parentMessageId`
or, exported as *recursive*, with `children` in them: https://github.com/danny-avila/LibreChat
(client/src/hooks/Conversations/useExportConversation.ts).
"""

from __future__ import annotations

from collections import Counter

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
from services.jsonfile import refused
from services.messages import MessageStatus, Part, ReasoningPart, clean_text

_THINKING = ":::thinking\n"
_THOUGHT = "\n:::\n"
"""Around thoughts, in messages from before there were parts."""

_ENDS: dict[str, MessageStatus] = {"length": "truncated", "max_tokens": "truncated", "incomplete": "stopped"}


def is_ours(item: object) -> bool:
    """Whether an item of a file looks like one of these conversations."""
    given = object_of(item)
    return "conversationId" in given and any(isinstance(given.get(name), list) for name in ("messages", "messagesTree"))


def read(item: object, number: int) -> tuple[Whole | None, Counter[str]]:
    """Return a conversation, unless nothing in it can come along, and what of it cannot.

    Raises:
        InputError: it is no conversation of LibreChat's, or no tree.
    """
    if not is_ours(item):
        raise unknown(number)
    given = object_of(item)
    left_out: Counter[str] = Counter()
    tree = Tree(
        program="LibreChat",
        given=str(given["conversationId"]),
        title=given.get("title"),
        nodes=_nodes(list_of(given.get("messages")) or list_of(given.get("messagesTree")), number),
        parent="parentMessageId",
        children="",  # they come in their order
        head=None,
        began=None,
        updated=None,
    )
    whole = whole_of(tree, number, lambda node: _said(node, left_out))
    return whole, left_out if whole is not None else none_of(left_out)


def _nodes(messages: list[object], number: int) -> dict[str, Node]:
    """Return all messages by their ids, those in others as well."""
    nodes: dict[str, Node] = {}
    waiting: list[tuple[object, str | None]] = [(message, None) for message in reversed(messages)]
    while waiting:
        message, parent = waiting.pop()
        node = dict(object_of(message))
        id = text_of(node.get("messageId")) or f"message {len(nodes)}"
        if id in nodes:
            raise refused(f"conversation {number} repeats the id {clean_text(id)[:64]}")
        if parent is not None:
            node["parentMessageId"] = parent
        waiting += [(child, id) for child in reversed(list_of(node.pop("children", None)))]
        nodes[id] = node
    return nodes


def _said(message: Node, left_out: Counter[str]) -> Said | None:
    """Return what a message says, or None and note what it was."""
    thoughts, text, kinds = _content(message)
    files = Counter(
        "picture" if text_of(object_of(file).get("type")).startswith("image/") else "file"
        for file in (*list_of(message.get("files")), *list_of(message.get("attachments")))
    )
    left_out += kinds + files
    parts: tuple[Part, ...] = (*thoughts, *parts_of(text, bool(kinds["picture"] or files)))
    at = time_of(message.get("createdAt"))
    if not parts:
        left_out["empty message"] += 1
        return None
    if message.get("isCreatedByUser") is True:
        return Said("user", parts, at=at)
    status = _ENDS.get(text_of(message.get("finish_reason")), "complete")
    if message.get("error") is True:
        parts, status = (*parts, failed("This answer failed.")), "failed"
    elif message.get("unfinished") is True:
        parts, status = (*parts, failed(UNFINISHED)), "interrupted"
    model = text_of(message.get("model")) or text_of(message.get("sender"))
    return Said("assistant", parts, status, model, at, usage_of(message.get("usage")))


def _content(message: Node) -> tuple[tuple[ReasoningPart, ...], str, Counter[str]]:
    """Return the thoughts of a message, its text, and what else is in it."""
    thoughts: list[str] = []
    texts: list[str] = []
    kinds: Counter[str] = Counter()
    for part in map(object_of, list_of(message.get("content"))):
        match part.get("type"):
            case "text" | "error":
                texts.append(_value(part.get("text")) or _value(part.get("error")))
            case "think":
                thoughts.append(_value(part.get("think")))
            case "tool_call":
                kinds["tool message"] += 1
            case "image_file" | "image_url":
                kinds["picture"] += 1
            case _:
                pass
    text = "\n\n".join(filter(None, texts)) or text_of(message.get("text"))
    ends = text.find(_THOUGHT) if text.startswith(_THINKING) else -1
    if ends >= 0:
        thoughts.append(text[len(_THINKING) : ends])
        text = text[ends + len(_THOUGHT) :].lstrip("\n")
    return tuple(ReasoningPart(clean_text(thought)) for thought in thoughts if thought.strip()), text, kinds


def _value(given: object) -> str:
    return text_of(given) or text_of(object_of(given).get("value"))
