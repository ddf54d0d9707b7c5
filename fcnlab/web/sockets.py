"""How connections begin and end: sockets that answer at once, and a server that does not wait for long polls to end.

asyncio switches off Nagle's algorithm only for sockets whose protocol number is given, which the one that Streamlit
binds is not. Without this, the second packet of every small answer waits for the browser's delayed acknowledgement:
40 ms per click.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

HIGHEST_HANDLE = 256


def send_without_delay() -> int:
    """Set TCP_NODELAY on the sockets this process has bound; connections accepted later inherit it.

    Returns how many sockets were set. Call it after binding and before serving.
    """
    done = 0
    for handle in range(3, HIGHEST_HANDLE):
        with suppress(OSError):  # not open, or no socket
            copy = os.dup(handle)
            try:
                done += _set(copy)
            finally:
                os.close(copy)
    return done


def when_asked_to_end(end: Callable[[], object]) -> None:
    """Let the event loop call `end` as soon as SIGTERM or Ctrl-C arrives, before the server waits for its connections.

    Call it in the main thread, in the loop, after the server has set its own handlers: they are called as well.
    """
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, _both(loop, end, signal.getsignal(signum)))


def _both(
    loop: asyncio.AbstractEventLoop, end: Callable[[], object], before: object
) -> Callable[[int, FrameType | None], None]:
    def handle(signum: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(end)
        if callable(before):
            before(signum, frame)

    return handle


def _set(handle: int) -> bool:
    bound = socket.socket(fileno=handle)
    try:
        if bound.family not in (socket.AF_INET, socket.AF_INET6) or bound.type != socket.SOCK_STREAM:
            return False
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return True
    finally:
        bound.detach()
