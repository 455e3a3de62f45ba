"""Baseline: an answer in the terminal by the SDK alone, printed as its documentation does it. Nothing is kept.

`python benchmarks/baselines/sdk_terminal.py [--same-imports] MODEL` with OPENAI_BASE_URL and OPENAI_API_KEY set.
`--same-imports` imports before all that the terminal of Panelist does, and takes the transport that it takes.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

if "--same-imports" in sys.argv:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    import cli  # noqa: F401
    import services.door.own
    import services.runtime
    import services.terminal.asking
    import services.terminal.session  # noqa: F401

from openai import AsyncOpenAI, DefaultAioHttpClient


async def main() -> None:
    client = AsyncOpenAI(http_client=DefaultAioHttpClient() if "--same-imports" in sys.argv else None)
    stream = await client.chat.completions.create(
        model=sys.argv[-1], messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    async for chunk in stream:
        if chunk.choices and (part := chunk.choices[0].delta.content):
            print(part, end="", flush=True)
    print()
    await client.close()


asyncio.run(main())
