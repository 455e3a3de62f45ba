"""Baseline: the HTML that Panelist sends first, as a static page by hand: the practical floor of loading.

`python benchmarks/baselines/static_page.py PORT FILE`. No script, no server that builds anything.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tornado.web import Application, RequestHandler


class Page(RequestHandler):
    def get(self) -> None:
        self.write(self.settings["page"])


async def main(port: int, page: bytes) -> None:
    Application([("/", Page)], page=page).listen(port, "localhost")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
