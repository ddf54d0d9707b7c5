"""One long-lived thread for all computing of a process: the click that waits longest first, prefetch last."""

from __future__ import annotations

import errno
import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

from fcnlab.errors import FcnlabError, ShuttingDown

Failed = Callable[[BaseException], None]
"""What is told that a step failed; runs on the compute thread."""

log = logging.getLogger(__name__)
Result = TypeVar("Result")


class Priority(IntEnum):
    """How urgent a step is: how long it can wait (PATIENCE_S), and what may run in the middle of another."""

    CLICK = 0
    VIEW = 1
    REFRESH = 2
    EXPORT = 3
    PREFETCH = 4


PATIENCE_S = {
    Priority.CLICK: 0.0,
    Priority.VIEW: 0.2,
    Priority.REFRESH: 3.0,
    Priority.EXPORT: 5.0,
    Priority.PREFETCH: 60.0,
}
"""A step goes before every other that is asked for later by more than the difference: nobody waits for ever, however
many people click. Each image has one step for its clicks, so that images, and with them people, take turns."""


@dataclass(eq=False)
class _Step:
    """`due`: when it should have been done, by the monotonic clock; `number`: in the order of asking."""

    priority: Priority
    due: float
    number: int
    work: Callable[[], Any]
    result: Future[Any]
    key: str | None
    gives_way: bool
    failed: Failed | None = None


class ComputeThread:
    """Runs steps one after another. A waiting step of the same key is replaced by a newer one, which takes its place.

    No failure is lost: what cannot be explained goes to the log with its traceback, whether anybody waits for the
    step (`submit`) or is only told of its failure (`post`).

    `before` is called on the thread before each step, and must not fail.
    """

    def __init__(self, name: str = "fcnlab-compute", *, before: Callable[[], None] | None = None) -> None:
        self._before = before
        self._steps: list[_Step] = []
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
        number = next(self._counter)
        step = _Step(priority, time.monotonic() + PATIENCE_S[priority], number, work, Future(), key, gives_way, failed)
        with self._condition:
            if self._closed:
                return None
            earlier = next((waiting for waiting in self._steps if key and waiting.key == key), None)
            if earlier is not None:
                earlier.result.cancel()
                self._steps.remove(earlier)
                step.priority = min(step.priority, earlier.priority)
                step.due, step.number = min((step.due, step.number), (earlier.due, earlier.number))
            self._steps.append(step)
            self._condition.notify()
        return step

    def has_waiting(self, priority: Priority) -> bool:
        """Whether a step waits that is as urgent as this."""
        with self._condition:
            return any(step.priority <= priority for step in self._steps)

    def is_here(self) -> bool:
        """Whether the caller runs on the compute thread itself."""
        return threading.current_thread() is self._thread

    def give_way(self) -> None:
        """Called now and then by long work: clicks and views that wait are run now, if the step gives way, and neither
        it nor anything else that waits is due before them."""
        running = self._running
        if running is None or not running.gives_way or not self.is_here():
            return
        while (step := self._next(Priority.VIEW, running)) is not None:
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

    def _next(self, least: Priority, running: _Step | None = None) -> _Step | None:
        """Take what goes first from the queue; None while nothing waits, nothing that is as urgent as `least` and goes
        before all else, the step that is running included."""
        with self._condition:
            waiting = self._steps if running is None else [*self._steps, running]
            if self._closed or not self._steps:
                return None
            step = min(waiting, key=lambda queued: (queued.due, queued.number))
            if step is running or step.priority > least:
                return None
            self._steps.remove(step)
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
