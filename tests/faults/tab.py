"""A browser's tab without the browser: it speaks Bokeh's protocol, so that hundreds cost little.

It does what Panelist's page does at its start and takes in whatever the server tells it; it shows nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

_MODEL = '"id":"([^"]+)","attributes":{"name":"%s"'
"""Where a component's model is in the JSON of the page."""


class Tab:
    """One page that is open. Make it with `open`; end it with `close` or, as a lost network does, with `drop`."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._more = asyncio.Event()
        self.heard: list[str] = []
        """All that the server said, in order."""
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def open(cls, url: str) -> Tab:
        """Load the page and wait until its components are there."""
        page = (await AsyncHTTPClient().fetch(url)).body.decode()
        token = re.search('"token":"([^"]+)"', page)
        assert token is not None, page
        where = urlsplit(url)
        socket = await websocket_connect(
            HTTPRequest(f"ws://{where.netloc}{where.path}/ws"),
            subprotocols=["bokeh", token[1]],
            max_message_size=100 * 2**20,
        )
        socket.protocol.set_nodelay(True)  # as browsers do
        tab = cls(socket)
        await tab.hear('"msgtype": "ACK"')
        tab._send("PULL-DOC-REQ", {})
        tab.tell("document_ready")
        await tab.model("Transcript")
        return tab

    async def hear(self, pattern: str) -> re.Match[str]:
        """Wait until the server says something that matches, or has said it."""
        checked = 0
        async with asyncio.timeout(30):
            while True:
                for said in self.heard[checked:]:
                    if found := re.search(pattern, said):
                        return found
                checked = len(self.heard)
                assert not self._listening.done(), "the server closed the socket"
                self._more.clear()
                await self._more.wait()

    async def model(self, component: str) -> str:
        """Return the id of a component's model."""
        return (await self.hear(_MODEL % component))[1]

    async def message(self, component: str, **data: object) -> None:
        """Say what a component's JavaScript says."""
        self.tell("data_event", model={"id": await self.model(component)}, data=_map(data))

    def tell(self, event: str, **values: object) -> None:
        """Send one event of Bokeh's."""
        told = {"type": "event", "name": event, "values": _map(values)}
        self._send("PATCH-DOC", {"events": [{"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": told}]})

    async def close(self) -> None:
        self._socket.close()
        await self._listening

    async def drop(self) -> None:
        """Be gone without a word."""
        stream = self._socket.stream
        assert stream is not None
        stream.close()
        await self._listening
        self._socket.close()

    def _send(self, kind: str, content: object) -> None:
        # https://docs.bokeh.org/en/latest/docs/dev_guide/server.html: header, metadata and content, each a frame.
        for frame in ({"msgid": str(next(self._numbers)), "msgtype": kind}, {}, content):
            self._socket.write_message(json.dumps(frame))

    async def _listen(self) -> None:
        while (said := await self._socket.read_message()) is not None:
            if isinstance(said, str):
                self.heard.append(said)
            self._more.set()
        self._more.set()


def _map(values: dict[str, object]) -> dict[str, object]:
    return {"type": "map", "entries": [list(entry) for entry in values.items()]}
