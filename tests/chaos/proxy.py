"""A TCP proxy that misbehaves on demand: it stands before Redis or before the sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Literal

ABORTIVE = struct.pack("ii", 1, 0)
"""SO_LINGER with a timeout of 0: closing sends RST, whatever is unsent."""

CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to bytes on their way.

    ``delay`` seconds before each piece of an answer; ``trickle`` seconds between its single bytes;
    ``cut`` bytes of each answer, then the end; ``reset`` kills a connection when a request comes
    (``before``: the request is not passed on) or when its answer comes (``after``);
    ``black_hole``: nothing passes, and what was sent meanwhile arrives when the sky clears, as it
    does after a cable was plugged in again. ``times`` bounds how many pieces are concerned.
    """

    delay: float = 0.0
    trickle: float = 0.0
    cut: int | None = None
    reset: Literal["", "before", "after"] = ""
    black_hole: bool = False
    times: int | None = None


CALM = Weather()
Writer = asyncio.StreamWriter


class Proxy:
    """Forwards from ``port`` on the loopback to ``target``: ``host:port`` or a unix socket's path.

    ``hits`` counts the pieces that met bad weather.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._weather = CALM
        self._left: int | None = None
        self.hits = 0
        self.port = 0
        self._clear = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[Writer] = set()

    def start(self) -> None:
        """Listen; ``port`` is known then."""
        self._thread.start()
        self._run(self._listen())

    def stop(self) -> None:
        """Close everything."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def turn(self, weather: Weather) -> None:
        """Change the weather; returns when it has changed."""
        self._run(self._turn(weather))

    def calm(self) -> None:
        """Let everything pass again."""
        self.turn(CALM)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _turn(self, weather: Weather) -> None:
        self._weather, self._left = weather, weather.times
        if weather.black_hole:
            self._clear.clear()
        else:
            self._clear.set()

    async def _listen(self) -> None:
        self._clear.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._turn(CALM)
        # Not cancelled: a connection cancelled while it is being made is left open.
        while self._tasks:
            for writer in self._open:
                writer.transport.abort()
            await asyncio.wait(self._tasks, timeout=0.05)
        await asyncio.sleep(0.01)  # aborted transports close their sockets in the next round

    async def _serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            behind, ahead = await self._connect()
        except OSError:
            _reset(writer)
            return
        self._open |= {ahead, writer}
        there = asyncio.create_task(self._requests(reader, ahead, writer))
        back = asyncio.create_task(self._answers(behind, writer))
        # An answer may still come to who has stopped sending; without Klaviyo there is none.
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        if there.done() and not back.done():
            await asyncio.wait({back}, timeout=1)
        there.cancel()
        back.cancel()
        await asyncio.gather(there, back, return_exceptions=True)
        self._open -= {ahead, writer}
        ahead.close()
        writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, Writer]:
        if self._target.startswith("/"):
            return await asyncio.open_unix_connection(self._target)
        host, _, port = self._target.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    async def _requests(self, reader: asyncio.StreamReader, ahead: Writer, client: Writer) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(CHUNK):
                if self._weather.black_hole:
                    self._hit()
                    await self._clear.wait()
                if self._weather.reset == "before" and self._hit():
                    _reset(client)
                    return
                ahead.write(piece)
                await ahead.drain()
            if ahead.can_write_eof():
                ahead.write_eof()

    async def _answers(self, behind: asyncio.StreamReader, client: Writer) -> None:
        with contextlib.suppress(OSError):
            while piece := await behind.read(CHUNK):
                await self._clear.wait()
                if not await self._answer(piece, client):
                    return

    async def _answer(self, piece: bytes, client: Writer) -> bool:
        """Pass a piece of an answer on; False when the connection is over."""
        weather = self._weather
        if weather.reset == "after" and self._hit():
            _reset(client)
            return False
        if weather.delay and self._hit():
            await asyncio.sleep(weather.delay)
        if weather.cut is not None and self._hit():
            client.write(piece[: weather.cut])
            await client.drain()
            return False
        if weather.trickle and self._hit():
            for at in range(len(piece)):
                if self._weather is not weather:
                    client.write(piece[at:])
                    break
                client.write(piece[at : at + 1])
                await client.drain()
                await asyncio.sleep(weather.trickle)
        else:
            client.write(piece)
        await client.drain()
        return True

    def _hit(self) -> bool:
        """Whether this piece is concerned; counts it."""
        if self._left is not None:
            if self._left <= 0:
                return False
            self._left -= 1
        self.hits += 1
        return True


def _reset(writer: Writer) -> None:
    found: socket.socket = writer.get_extra_info("socket")
    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORTIVE)
    writer.transport.abort()
