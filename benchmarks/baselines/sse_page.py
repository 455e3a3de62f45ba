"""Baseline: a page by hand, the practical floor of a chat in a browser: raw text, appended as it comes.

`python benchmarks/baselines/sse_page.py PORT` with OPENAI_BASE_URL, OPENAI_API_KEY and BENCH_MODEL set. No Markdown, no
history, no storage: one server-sent event per token of the SDK's typed stream, all appended to one text node, scrolled
to the end once per frame.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from openai import AsyncOpenAI
from tornado.web import Application, RequestHandler

PAGE = """<!doctype html><meta charset="utf-8"><title>SSE</title>
<style>pre { height: 80vh; overflow: auto; white-space: pre-wrap }</style>
<pre id="log"></pre><textarea id="box" aria-label="Message"></textarea>
<script>
const log = document.getElementById("log"), box = document.getElementById("box")
box.addEventListener("keydown", async (event) => {
  if (event.key !== "Enter") { return }
  event.preventDefault()
  const text = log.appendChild(document.createTextNode(""))
  let scrolling = false
  const scroll = () => { scrolling = false; log.scrollTop = log.scrollHeight }
  const answer = await fetch("/ask?q=" + encodeURIComponent(box.value))
  box.value = ""
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ""
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const events = (rest + piece.value).split("\\n\\n")
    rest = events.pop()
    text.appendData(events.map((event) => JSON.parse(event.slice(6))).join(""))
    if (!scrolling) { scrolling = true; requestAnimationFrame(scroll) }
  }
})
</script>"""


class Page(RequestHandler):
    def get(self) -> None:
        self.write(PAGE)


class Ask(RequestHandler):
    async def get(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        client: AsyncOpenAI = self.settings["client"]
        stream = await client.chat.completions.create(
            model=os.environ["BENCH_MODEL"],
            messages=[{"role": "user", "content": self.get_query_argument("q")}],
            stream=True,
        )
        async for chunk in stream:
            if part := chunk.choices[0].delta.content:
                self.write(f"data: {json.dumps(part)}\n\n")
                await self.flush()


async def main(port: int) -> None:
    Application([("/", Page), ("/ask", Ask)], client=AsyncOpenAI()).listen(port, "localhost")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
