"""Baseline: the SDK alone, typed stream, every chunk read and thrown away. What no app above it can save.

`python benchmarks/baselines/sdk_alone.py [aiohttp]` with OPENAI_BASE_URL and OPENAI_API_KEY set: reads the name of a
scenario per line of standard input and prints, as a line of JSON, how long after the request the first and the last
word came (ms) and when each marker word was read (`time.time()`). `aiohttp` takes the SDK's other transport, which is
the one Panelist uses.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from openai import AsyncOpenAI, DefaultAioHttpClient


async def read(client: AsyncOpenAI, scenario: str) -> dict[str, object]:
    begun = time.perf_counter()
    first = last = 0.0
    seen: dict[str, float] = {}
    stream = await client.chat.completions.create(
        model=scenario, messages=[{"role": "user", "content": scenario}], stream=True
    )
    async for chunk in stream:
        if part := chunk.choices[0].delta.content:
            last = time.perf_counter()
            first = first or last
            if "mark0" in part:
                seen[part.strip()] = time.time()
    return {"first_ms": (first - begun) * 1000, "last_ms": (last - begun) * 1000, "seen": seen}


async def main() -> None:
    client = AsyncOpenAI(http_client=DefaultAioHttpClient() if "aiohttp" in sys.argv else None)
    while scenario := (await asyncio.to_thread(sys.stdin.readline)).strip():
        print(json.dumps(await read(client, scenario)), flush=True)
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())
