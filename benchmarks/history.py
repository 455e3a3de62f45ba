"""Conversations of any length, put into a data folder before its server starts.

`python benchmarks/history.py FOLDER LENGTH…` prints the id of one conversation for each length.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from reply import reply_tokens  # noqa: E402
from sqlalchemy import update  # noqa: E402

from services.conversation import Conversation, Options  # noqa: E402
from services.messages import Message, TextPart, new_id  # noqa: E402
from services.storage import conversations, tree  # noqa: E402
from services.storage.schema import conversations as table  # noqa: E402
from services.storage.store import Store  # noqa: E402

OWNER = "local"
LAST_WORD = "zuluword"
ANSWER_TOKENS = 60


def _messages(conversation_id: str, length: int) -> list[Message]:
    answer = "".join(reply_tokens(ANSWER_TOKENS)).replace("alphaword", "So").replace("omegaword", "there")
    messages: list[Message] = []
    for number in range(length):
        said = f"Question {number // 2 + 1}, please" if number % 2 == 0 else answer
        messages.append(
            Message(
                id=new_id(),
                conversation_id=conversation_id,
                parent_id=messages[-1].id if messages else None,
                role="user" if number % 2 == 0 else "assistant",
                parts=(TextPart(f"{said} {LAST_WORD}" if number == length - 1 else said),),
                status="complete",
                created_at=datetime.now(UTC),
            )
        )
    return messages


async def fill(folder: Path, lengths: list[int]) -> list[str]:
    """Store one conversation of each length, in as few steps as possible, and return their ids."""
    store = await Store.open(folder / "panelist.db")
    ids = []
    for length in lengths:
        now = datetime.now(UTC)
        about = Conversation(
            id=new_id(),
            title=f"{length} messages",
            title_source="user",
            head_id=None,
            options=Options(),
            created_at=now,
            updated_at=now,
        )
        messages = _messages(about.id, length)

        def write(connection, about=about, messages=messages):
            conversations.add(connection, OWNER, about)
            tree.add(connection, messages)
            connection.execute(update(table).where(table.c.id == about.id).values(head_id=messages[-1].id))

        await store._database.write(write)
        ids.append(about.id)
    await store.close()
    return ids


if __name__ == "__main__":
    for one in asyncio.run(fill(Path(sys.argv[1]), [int(length) for length in sys.argv[2:]])):
        print(one)
