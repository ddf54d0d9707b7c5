"""One long-lived thread for all computing of a process: newest click first, prefetch last."""

from __future__ import annotations

import errno
import heapq
import itertools
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeVar

from fcnlab.errors import FcnlabError, ShuttingDown

Failed = Callable[[BaseException], None]
"""What is told that a step failed; runs on the compute thread."""

log = logging.getLogger(__name__)
Result = TypeVar("Result")


class Priority(IntEnum):
    """What goes first; among equals the one that asked first, among clicks the newest."""

    CLICK = 0
    VIEW = 1
    REFRESH = 2
    EXPORT = 3
    PREFETCH = 4


@dataclass(order=True)
class _Step:
    rank: tuple[int, int]
    work: Callable[[], Any] = field(compare=False)
    result: Future[Any] = field(compare=False)
    key: str | None = field(compare=False)
    gives_way: bool = field(compare=False)
    failed: Failed | None = field(compare=False, default=None)


class ComputeThread:
    """Runs steps one after another. A waiting step of the same key is replaced by a newer one.

    No failure is lost: what cannot be explained goes to the log with its traceback, whether anybody waits for the
    step (`submit`) or is only told of its failure (`post`).

    `before` is called on the thread before each step, and must not fail.
    """

    def __init__(self, name: str = "fcnlab-compute", *, before: Callable[[], None] | None = None) -> None:
        self._before = before
        self._steps: list[_Step] = []
        self._waiting: dict[str, _Step] = {}
        self._counter = itertools.count()
        self._condition = threading.Condition()
        self._closed = False
        self._running: _Step | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(
        self, work: Callable[[], Result], *, priority: Priority, key: str | None = None, gives_way: bool = False
    ) -> Future[Result]:
        """Queue a step; its result, or its exception, arrives in the future. A replaced step is cancelled.

        A step that gives way lets others run in the middle of it, wherever it calls `give_way`: it may rely on nothing
        that they change.

        Raises:
            ShuttingDown: the thread was closed, and would never run it.
        """
        step = self._queued(work, priority, key, gives_way)
        if step is None:
            raise ShuttingDown("fcnlab is being stopped and takes no more work: start it again, then try again")
        return step.result

    def post(
        self,
        work: Callable[[], object],
        *,
        priority: Priority,
        failed: Failed,
        key: str | None = None,
        gives_way: bool = False,
    ) -> None:
        """Queue a step that nobody waits for: its failure goes to `failed`. After the end nothing happens."""
        self._queued(work, priority, key, gives_way, failed)

    def _queued(
        self,
        work: Callable[[], Any],
        priority: Priority,
        key: str | None,
        gives_way: bool,
        failed: Failed | None = None,
    ) -> _Step | None:
        """The step, in the queue now; None after the end."""
        sequence = next(self._counter)
        order = -sequence if priority == Priority.CLICK else sequence
        step = _Step((int(priority), order), work, Future(), key, gives_way, failed)
        with self._condition:
            if self._closed:
                return None
            earlier = self._waiting.get(key) if key else None
            if earlier is not None:
                earlier.result.cancel()
                step.rank = min(step.rank, (earlier.rank[0], step.rank[1]))
            if key:
                self._waiting[key] = step
            heapq.heappush(self._steps, step)
            self._condition.notify()
        return step

    def is_here(self) -> bool:
        """Whether the caller runs on the compute thread itself."""
        return threading.current_thread() is self._thread

    def give_way(self) -> None:
        """Called now and then by long work: clicks and views that wait are run now, if the step gives way."""
        running = self._running
        if running is None or not running.gives_way or not self.is_here():
            return
        while (step := self._next(Priority.VIEW)) is not None:
            self._do(step)
        self._running = running

    def close(self) -> None:
        """Stop after the step that is running; waiting steps are cancelled."""
        with self._condition:
            self._closed = True
            for step in self._steps:
                step.result.cancel()
            self._condition.notify()
        if not self.is_here():
            self._thread.join(timeout=60)

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._steps and not self._closed:
                    self._condition.wait()
                if self._closed:
                    return
            step = self._next(Priority.PREFETCH)
            if step is not None:
                self._do(step)

    def _next(self, least: Priority) -> _Step | None:
        """Take what goes first from the queue, unless it is less urgent than `least`."""
        with self._condition:
            if self._closed or not self._steps or self._steps[0].rank[0] > least:
                return None
            step = heapq.heappop(self._steps)
            if step.key and self._waiting.get(step.key) is step:
                del self._waiting[step.key]
            return step

    def _do(self, step: _Step) -> None:
        if not step.result.set_running_or_notify_cancel():
            return
        self._running = step
        try:
            if self._before is not None:
                self._before()
            step.result.set_result(step.work())
        except BaseException as failure:  # handed to whoever waits for the result, or wants to know
            if not isinstance(failure, FcnlabError):
                log.exception("a step of the background work failed: %s", step.key or step.work)
            step.result.set_exception(failure)
            self._tell(step, failure)
        finally:
            self._running = None

    def _tell(self, step: _Step, failure: BaseException) -> None:
        if step.failed is None:
            return
        try:
            step.failed(failure)
        except Exception:
            log.exception("what was to follow the failure of %s failed as well", step.key or step.work)


def in_words(failure: BaseException, *, doing: str) -> str:
    """What the status line says of a failed step: what happened, that nothing is lost, what to do."""
    if isinstance(failure, FcnlabError):
        return str(failure)
    if isinstance(failure, MemoryError) or "out of memory" in str(failure).lower():
        advice = "close other programs, or choose a smaller input size"
        return f"the memory was not enough for {doing}; your clicks are saved. Free some: {advice}"
    if isinstance(failure, OSError) and failure.errno == errno.ENOSPC:
        return f"the disk is full, which stopped {doing}; your clicks are saved. Make room on it, then click again"
    return (
        f"{doing} failed ({type(failure).__name__}), which is a fault of the program; your clicks are saved. Click "
        "again to try again; the server's log has the details"
    )


def logged(what: str) -> Failed:
    """Notes in the log that a step failed which nobody waits for."""
    return lambda failure: log.info("%s: %s", what, failure)
