"""A proxy that holds everything back for a while, as a long way to the server does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from tests.browser.harness import Server, free_port


@contextmanager
def slow_link(server: Server, round_trip_ms: float) -> Iterator[Server]:
    """The server as it is reached over a link with that round trip; the server itself without one."""
    if not round_trip_ms:
        yield server
        return
    port, loop = free_port(), asyncio.new_event_loop()
    delay_s = round_trip_ms / 2000

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Everything arrives after the delay, as fast as it came."""
        try:
            while data := await reader.read(1 << 16):
                loop.call_later(delay_s, writer.write, data)
        except ConnectionError:
            pass
        loop.call_later(delay_s, writer.close)

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", server.port)
        with suppress(asyncio.CancelledError):
            await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))

    async def serve() -> None:
        await asyncio.start_server(connect, "127.0.0.1", port)

    async def cancel_others() -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(serve(), loop).result(10)
    try:
        yield replace(server, port=port)
    finally:
        asyncio.run_coroutine_threadsafe(cancel_others(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
