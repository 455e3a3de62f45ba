"""A list of any length, put into a data folder before its server starts: `python benchmarks/catalogue.py FOLDER COUNT`.

A fifth of the conversations are in five folders, three are pinned, each tenth has a tag.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from sqlalchemy import Connection  # noqa: E402

from services.conversation import Conversation  # noqa: E402
from services.folders import Folder  # noqa: E402
from services.messages import new_id  # noqa: E402
from services.options import Options  # noqa: E402
from services.storage import conversations  # noqa: E402
from services.storage.store import Store  # noqa: E402

OWNER = "local"
LAST = "The one at the end"


async def fill(folder: Path, count: int) -> None:
    """Store so many conversations, without messages, the last used an hour apart."""
    store = await Store.open(folder / "panelist.db")
    folders = [Folder(id=new_id(), name=f"Folder {number}", unfolded=False) for number in range(5)]
    for one in folders:
        await store.add_folder(OWNER, one)
    now = datetime.now(UTC)

    def write(connection: Connection) -> None:
        for number in range(count):
            at = now - timedelta(hours=number)
            one = Conversation(
                id=new_id(),
                title=LAST if number == count - 1 else f"How to bake bread number {number}",
                title_source="user",
                head_id=None,
                options=Options(),
                created_at=at,
                updated_at=at,
                folder_id=folders[number // 5 % 5].id if number % 5 == 1 else None,
                pinned_at=at if number in (2, 3, 4) else None,
                tags=("bread",) if number % 10 == 0 else (),
            )
            conversations.add(connection, OWNER, one)

    await store._database.write(write)
    await store.close()


if __name__ == "__main__":
    asyncio.run(fill(Path(sys.argv[1]), int(sys.argv[2])))
