"""A line between browser and server that can be slow, silent or cut: what a real one does, and a loopback never."""

from __future__ import annotations

import asyncio

from tests.providers.sockets import reset
from tests.ui.aside import Aside

CHUNK = 65_536
END = b""
SOCKET = b"/app/ws"
"""What a connection's first line names when it is to become the page's websocket."""


class Line:
    """Passes bytes between a port of its own and the server's. A new one is whole."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._aside = Aside()
        self._aside.run(self._begin())

    async def _begin(self) -> None:
        self._delay_s = 0.0
        self._cut = False
        self._sockets = True
        self._up, self._down = asyncio.Event(), asyncio.Event()
        self._up.set()
        self._down.set()
        self._near: set[asyncio.StreamWriter] = set()
        self._far: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """End every connection with a reset, and every new one at once."""

        def act() -> None:
            self._cut = True
            for end in (*self._near, *self._far):
                reset(end)

        self._aside.call(act)

    def hold(self, *, up: bool = True, down: bool = True) -> None:
        """Let nothing through from the browser (`up`), from the server (`down`), and say so to neither."""

        def act() -> None:
            if up:
                self._up.clear()
            if down:
                self._down.clear()

        self._aside.call(act)

    def refuse_sockets(self) -> None:
        """Let pages through, and no websocket that begins from now on."""
        self._aside.call(lambda: setattr(self, "_sockets", False))

    def slow(self, delay_s: float) -> None:
        """Let every byte arrive this much later, in both directions."""
        self._aside.call(lambda: setattr(self, "_delay_s", delay_s))

    def mend(self) -> None:
        """Make the line whole. What was held arrives now, as TCP would send it again."""

        def act() -> None:
            self._cut, self._sockets, self._delay_s = False, True, 0.0
            self._up.set()
            self._down.set()

        self._aside.call(act)

    def forget(self) -> None:
        """End the server's side of what is held, tell the browser nothing of it, and be whole for what is new."""

        def act() -> None:
            for end in self._far:
                reset(end)
            self._up, self._down = asyncio.Event(), asyncio.Event()
            self._up.set()
            self._down.set()

        self._aside.call(act)

    def close(self) -> None:
        async def end() -> None:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._server.wait_closed()

        self._aside.run(end())
        self._aside.close()

    def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(task := asyncio.ensure_future(self._carry(reader, writer)))
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_writer = None
        self._near.add(writer)
        try:
            first = b"" if self._cut else await reader.read(CHUNK)
            if self._cut or (SOCKET in first and not self._sockets):
                reset(writer)
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
            self._far.add(far_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, far_writer, self._up, first))
                both.create_task(self._pass(far_reader, writer, self._down))
        except* OSError:
            pass  # one end is gone, and the other will be
        finally:
            self._near.discard(writer)
            writer.close()
            if far_writer is not None:
                self._far.discard(far_writer)
                far_writer.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event, first: bytes = b""
    ) -> None:
        """Carry one direction: each piece goes on when its time has come and the gate is open."""
        now = asyncio.get_running_loop().time
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def take() -> None:
            data = first or await reader.read(CHUNK)
            while data:
                pieces.put_nowait((now() + self._delay_s, data))
                data = await reader.read(CHUNK)
            pieces.put_nowait((now() + self._delay_s, END))

        async with asyncio.TaskGroup() as both:
            both.create_task(take())
            data = None
            while data != END:
                due, data = await pieces.get()
                await asyncio.sleep(due - now())
                await gate.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
