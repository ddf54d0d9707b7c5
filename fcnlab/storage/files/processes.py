"""Which process is which, and whether it still lives."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

import psutil

from fcnlab.domain.training import ProcessId

SAME_START_S = 2.0
"""The start time of a process follows corrections of the system clock by about so much."""

AUTOGROUP = Path("/proc/self/autogroup")
LOWEST_PRIORITY = 19


def this_process() -> ProcessId:
    """The process that asks."""
    return ProcessId(socket.gethostname(), os.getpid(), psutil.Process().create_time())


def is_here(process: ProcessId) -> bool:
    """Whether the process runs, or ran, on this machine."""
    return process.host == socket.gethostname()


def is_gone(process: ProcessId) -> bool:
    """Whether a process of this machine has surely ended; of another machine's nothing is known."""
    if not is_here(process):
        return False
    try:
        found = psutil.Process(process.pid)
        is_another = abs(found.create_time() - process.started) > SAME_START_S
        return bool(is_another or found.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:  # there is one, which is another user's
        return False


def yield_to_others() -> None:
    """Let this process have what others leave of the processor.

    Linux shares the processor between sessions first, where it groups processes by them (sched(7), autogroup): a
    worker leads a session of its own, so that session has to step back too.
    """
    own = psutil.Process()
    with suppress(psutil.AccessDenied):
        own.nice(psutil.IDLE_PRIORITY_CLASS if psutil.WINDOWS else LOWEST_PRIORITY)
    if AUTOGROUP.exists() and os.getsid(0) == own.pid:
        with suppress(OSError):
            AUTOGROUP.write_text(str(LOWEST_PRIORITY))
