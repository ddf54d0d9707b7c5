"""Which processes use an installation, whether they still live, and what they are writing.

Every open installation keeps a file in `running/`, locked for as long as its process lives: the system lets go of the
lock when the process ends, however it ends. Names of unfinished files say which process began them.
"""

from __future__ import annotations

import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from fcnlab.domain.training import ProcessId
from fcnlab.errors import DatabaseUnavailable

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
        running = psutil.Process(process.pid)
        is_another = abs(running.create_time() - process.started) > SAME_START_S
        return bool(is_another or running.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:  # there is one, which is another user's
        return False


def yield_to_others() -> None:
    """Let this process have what others leave of the processor.

    Linux shares the processor between sessions first, where it groups processes by them (sched(7), autogroup): a
    worker leads a session of its own, so that session has to step back too.
    """
    process = psutil.Process()
    with suppress(psutil.AccessDenied):
        process.nice(psutil.IDLE_PRIORITY_CLASS if psutil.WINDOWS else LOWEST_PRIORITY)
    if AUTOGROUP.exists() and os.getsid(0) == process.pid:
        with suppress(OSError):
            AUTOGROUP.write_text(str(LOWEST_PRIORITY))


RUNNING = "running"
PART = ".part"
GATE = "gate.lock"
GATE_TIMEOUT_S = 30.0
LOCK = ".lock"
ELSEWHERE = ".parts"
"""Beside the lock of a process: unfinished files it wrote outside of the installation, one path a line."""

PROCESS = uuid.uuid4().hex
"""Of this process, in the names of all it has not finished."""

_open: list[Presence] = []


@dataclass(slots=True, eq=False)
class Presence:
    """One open installation of this process. Leaving twice is leaving once."""

    data_dir: Path
    name: str
    lock: FileLock = field(repr=False)

    def leave(self) -> None:
        """Let go of the installation."""
        if self in _open:
            _open.remove(self)
            self.lock.release()
            for suffix in (ELSEWHERE, LOCK):
                (self.data_dir / RUNNING / f"{self.name}{suffix}").unlink(missing_ok=True)


def enter(data_dir: Path) -> Presence:
    """Say that this process uses an installation from now on; call it inside `alone_at_the_gate`.

    Raises:
        OSError: nothing can be written there.
    """
    name = f"{PROCESS}-{uuid.uuid4().hex[:8]}"
    lock = FileLock(data_dir / RUNNING / f"{name}{LOCK}", thread_local=False)  # who closes may be another thread
    lock.acquire(timeout=0)
    presence = Presence(data_dir, name, lock)
    _open.append(presence)
    return presence


@contextmanager
def alone_at_the_gate(data_dir: Path) -> Iterator[None]:
    """While in the block no other process begins to use the installation, or looks who does.

    Raises:
        DatabaseUnavailable: another one is in such a block for too long: it restores the installation.
        OSError: nothing can be written there.
    """
    folder = data_dir / RUNNING
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        with FileLock(folder / GATE, timeout=GATE_TIMEOUT_S, poll_interval=0.02):
            yield
    except Timeout as failure:
        raise DatabaseUnavailable(
            f"the installation at {data_dir} is being restored by another process; try again when that has ended"
        ) from failure


@dataclass(frozen=True, slots=True)
class Others:
    """What is known of the processes of an installation at a moment.

    Attributes:
        live: names of those that use it, this one included.
        since: modification time, in seconds, before which no file was written by any of them; None when there is none.
        elsewhere: unfinished files outside of the installation that ended processes left.
        ended: files in `running/` of processes that have ended.
    """

    live: frozenset[str]
    since: float | None
    elsewhere: tuple[Path, ...]
    ended: tuple[Path, ...]

    def may_still_write(self, path: Path) -> bool:
        """Whether an unfinished file may be at work for somebody: its name says whose it is, or its age."""
        owner = owner_of(path)
        if owner is not None:
            return owner in self.live
        return self.may_be_new(path)

    def may_be_new(self, path: Path) -> bool:
        """Whether a file may have been written by a process that lives; False for one that is gone."""
        try:
            return self.since is not None and path.stat().st_mtime >= self.since
        except FileNotFoundError:
            return False


def other_processes(data_dir: Path) -> Others:
    """Who uses an installation. Call it inside `alone_at_the_gate`, else one who just comes is taken for dead."""
    live, since, elsewhere, ended = set(), [], [], []
    for path in sorted((data_dir / RUNNING).glob(f"*{LOCK}")):
        if path.name == GATE:
            continue
        owner = path.name.partition("-")[0]
        journal = path.with_suffix(ELSEWHERE)
        if _is_held(path):
            live.add(owner)
            since.append(path.stat().st_mtime)
        else:
            ended += [path, *([journal] if journal.exists() else [])]
            elsewhere += [part for part in _journal(journal) if owner_of(part) == owner and part.exists()]
    return Others(frozenset(live), min(since, default=None), tuple(elsewhere), tuple(ended))


def new_part(folder: Path, *, stem: str = "") -> Path:
    """A path in `folder` for what is not finished; a process that is killed is known by it.

    Outside of the installations that this process uses it is written down, so that they can sweep it.
    """
    path = folder / f"{stem[:100]}.{PROCESS}.{uuid.uuid4().hex}{PART}"
    absolute = path.absolute()
    for presence in list(_open):
        if not absolute.is_relative_to(presence.data_dir):
            journal = presence.data_dir / RUNNING / f"{presence.name}{ELSEWHERE}"
            with suppress(OSError), journal.open("ab") as file:  # without room for a line it is not swept one day
                file.write(os.fsencode(absolute) + b"\0")
    return path


def owner_of(path: Path) -> str | None:
    """The process that began an unfinished file; None: an older version of the program, which did not say so."""
    parts = path.name.split(".")
    is_named = len(parts) >= 4 and parts[-1] == PART[1:] and all(len(part) == 32 for part in parts[-3:-1])
    return parts[-3] if is_named else None


def delete_anything(path: Path) -> None:
    """Delete a file, or a folder with all in it; nothing happens when it is gone, or must stay for its owner."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _journal(file: Path) -> list[Path]:
    if not file.exists():
        return []
    lines = file.read_bytes().split(b"\0")
    return [Path(os.fsdecode(line)) for line in lines if line.endswith(PART.encode())]


def _is_held(path: Path) -> bool:
    if any(path == presence.data_dir / RUNNING / f"{presence.name}{LOCK}" for presence in list(_open)):
        return True
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
