"""Many files, each read, worked on and written: reading and writing go on beside the work, and memory stays flat."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from fcnlab.errors import FcnlabError

AHEAD = 3
"""Files read before they are worked on, and files whose results wait to be written."""

Item = TypeVar("Item")
Read = TypeVar("Read")
Made = TypeVar("Made")
Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, Kept]):
    """What became of one item: what writing returned, or why there is nothing."""

    item: Item
    kept: Kept | None = None
    refused: FcnlabError | None = None


def overlapped(
    items: Iterable[Item],
    *,
    read: Callable[[Item], Read],
    work: Callable[[Read], Made],
    write: Callable[[Item, Made], Kept],
    ahead: int = AHEAD,
) -> Iterator[Outcome[Item, Kept]]:
    """Read, work and write every item; outcomes come in the order of the items.

    `work` runs on the thread of the caller, one item at a time; `read` and `write` on others. A FcnlabError of one
    item becomes its outcome and the rest goes on; any other exception ends the iterator. Closing it early writes
    what was worked on, and nothing else.
    """
    waiting = iter(items)
    reading: deque[tuple[Item, Future[Read]]] = deque()
    writing: deque[tuple[Item, Future[Kept] | FcnlabError]] = deque()
    with ThreadPoolExecutor(1, "fcnlab-read") as readers, ThreadPoolExecutor(1, "fcnlab-write") as writers:
        try:
            while True:
                while len(reading) < ahead and (item := next(waiting, None)) is not None:
                    reading.append((item, readers.submit(read, item)))
                if not reading:
                    break
                item, future = reading.popleft()
                try:
                    made = work(future.result())
                    writing.append((item, writers.submit(write, item, made)))
                except FcnlabError as refusal:
                    writing.append((item, refusal))
                if len(writing) >= ahead:
                    yield _settled(*writing.popleft())
            while writing:
                yield _settled(*writing.popleft())
        finally:
            for _, unread in reading:
                unread.cancel()


def _settled(item: Item, pending: Future[Kept] | FcnlabError) -> Outcome[Item, Kept]:
    if isinstance(pending, FcnlabError):
        return Outcome(item, refused=pending)
    try:
        return Outcome(item, kept=pending.result())
    except FcnlabError as refusal:
        return Outcome(item, refused=refusal)
