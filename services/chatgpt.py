"""ChatGPT's export (`conversations.json`) as conversations. Pure functions.

Each conversation has a `mapping` of nodes by id, with `parent`, `children` and a `message`, which is null at the root:
https://help.openai.com/en/articles/7260999.
"""

from __future__ import annotations

import re
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
    whole_of,
)
from services.messages import MessageStatus, Part

_MARKS = re.compile("\ue200[^\ue201]*\ue201")
"""Where the page of ChatGPT shows a source; the words between say nothing to a reader."""

_ENDS: dict[str, MessageStatus] = {"max_tokens": "truncated", "interrupted": "stopped"}


def is_ours(item: object) -> bool:
    """Whether an item of a file looks like one of these conversations."""
    return isinstance(object_of(item).get("mapping"), dict)


def read(item: object, number: int) -> tuple[Whole | None, Counter[str]]:
    """Return a conversation of the export, unless nothing in it can come along, and what of it cannot.

    Raises:
        InputError: it is no conversation of ChatGPT's, or no tree.
    """
    if not isinstance(item, dict) or not is_ours(item):
        raise unknown(number)
    left_out: Counter[str] = Counter()
    tree = Tree(
        program="ChatGPT",
        given=str(item.get("conversation_id") or item.get("id") or f"{item.get('create_time')} {item.get('title')}"),
        title=item.get("title"),
        nodes=object_of(item["mapping"]),
        parent="parent",
        children="children",
        head=item.get("current_node"),
        began=time_of(item.get("create_time")),
        updated=time_of(item.get("update_time")),
    )
    whole = whole_of(tree, number, lambda node: _said(node, left_out))
    return whole, left_out if whole is not None else none_of(left_out)


def _said(node: Node, left_out: Counter[str]) -> Said | None:
    """Return what a node says, or None and note what it was."""
    message = object_of(node.get("message"))
    role = object_of(message.get("author")).get("role")
    content = object_of(message.get("content"))
    metadata = object_of(message.get("metadata"))
    text, pictures, files = _content(content)
    for one in map(object_of, list_of(metadata.get("attachments"))):
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
    elif parts := parts_of(text, bool(pictures or files)):
        return _as_it_ended(message, parts)
    else:
        what = "empty message"
    if what:
        left_out[what] += 1
    return None


def _as_it_ended(message: Node, parts: tuple[Part, ...]) -> Said:
    at = time_of(message.get("create_time"))
    if object_of(message.get("author")).get("role") == "user":
        return Said("user", parts, at=at)
    metadata = object_of(message.get("metadata"))
    status = _ENDS.get(text_of(object_of(metadata.get("finish_details")).get("type")), "complete")
    if message.get("status") == "in_progress":
        status = "interrupted"
        parts = (*parts, failed(UNFINISHED))
    return Said("assistant", parts, status, text_of(metadata.get("model_slug")), at)


def _content(content: Node) -> tuple[str, int, int]:
    """Return the text of a message, and how many pictures and other files stood beside it."""
    texts: list[str] = []
    pictures = files = 0
    parts = content.get("parts")
    for part in list_of(parts):
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
    if not isinstance(parts, list) and (text := text_of(content.get("text"))):
        texts.append(f"```\n{text}\n```" if content.get("content_type") == "code" else text)
    return _MARKS.sub("", "\n\n".join(filter(None, texts))), pictures, files
