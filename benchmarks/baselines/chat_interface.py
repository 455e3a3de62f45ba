"""Baseline: stock `pn.chat.ChatInterface`, streaming as Panel's documentation does.

Each token is a yield of the whole text so far.

`panel serve benchmarks/baselines/chat_interface.py` with OPENAI_BASE_URL, OPENAI_API_KEY and BENCH_MODEL set.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import panel as pn
from openai import AsyncOpenAI

pn.extension()

client = AsyncOpenAI()


async def callback(contents: str, user: str, instance: pn.chat.ChatInterface) -> AsyncIterator[str]:
    response = await client.chat.completions.create(
        model=os.environ["BENCH_MODEL"],
        messages=[{"role": "user", "content": contents}],
        stream=True,
    )
    message = ""
    async for chunk in response:
        if part := chunk.choices[0].delta.content:
            message += part
            yield message


pn.chat.ChatInterface(callback=callback, callback_user="Assistant").servable()  # type: ignore[no-untyped-call]
