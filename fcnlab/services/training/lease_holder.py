"""The hold of a worker on its project: its lease, its heartbeat, and what people want of the training at work."""

from __future__ import annotations

import _thread
import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from sqlalchemy.orm import Session

from fcnlab.domain.training import Wanted
from fcnlab.errors import DatabaseUnavailable, FcnlabError, WorkerBusy
from fcnlab.lab import Lab
from fcnlab.storage.database import repository_trainings
from fcnlab.storage.database.engine import reading, writing
from fcnlab.storage.files.presence import this_process

HEARTBEAT_S = 5.0
"""How often the holder of a lease says that it lives."""

STALE_S = repository_trainings.STALE_AFTER.total_seconds()
"""A lease that could not be renewed for so long is anybody's."""

POLL_S = 1.0
"""How often it asks the database what people want."""

PAUSE_WITHIN_S = 15.0
"""A pause waits so long for the end of an epoch; then training stops where it is and goes on from its resume file."""

log = logging.getLogger(__name__)


class Interrupted(BaseException):
    """Training has to stop where it is: it was cancelled, the lease is lost, or the process was asked to end."""


class LeaseHolder:
    """Holds the lease of a project inside a `with` block; a thread renews it and looks what is wanted.

    In the main thread of a process, SIGTERM raises Interrupted meanwhile, and so does the holder's own thread when a
    training must not go on to the end of its epoch.

    Raises:
        UnknownProject: no such project.
        WorkerBusy: another process holds the lease.
    """

    def __init__(self, lab: Lab, *, project_id: int) -> None:
        self.project_id = project_id
        self._lab = lab
        self._process = this_process()
        self._at_work: int | None = None
        self._is_told = False
        self._is_lost = False
        self._renewed = 0.0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="fcnlab-lease", daemon=True)
        self._old_handler: Any = None
        self.is_asked_to_end = False
        """Whether somebody sent SIGTERM to the process."""

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._old_handler = signal.signal(signal.SIGTERM, self._on_signal)
        try:
            self._take()
            self._thread.start()
        except BaseException:  # also when it is asked to end already
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        """End the thread, and give the lease back where it is this process's."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._old_handler is not None:
            signal.signal(signal.SIGTERM, self._old_handler)
        try:
            with writing(self._lab.sessions) as session:
                repository_trainings.give_back_lease(session, project_id=self.project_id, process=self._process)
        except DatabaseUnavailable as unavailable:  # a lease that nobody renews ends by itself
            log.warning("the lease was not given back: %s", unavailable)

    def regain(self) -> None:
        """Take the lease again if it was lost, before anything else is trained.

        Raises:
            WorkerBusy: another process holds it.
            DatabaseUnavailable: nobody can take a lease now.
        """
        if self._is_lost:
            self._take()

    def _take(self) -> None:
        asked = time.monotonic()
        with writing(self._lab.sessions) as session:
            held = repository_trainings.take_lease(
                session, project_id=self.project_id, process=self._process, now=self._lab.clock()
            )
        if held is not None:
            raise WorkerBusy(
                f"process {held.process.pid} on {held.process.host} trains for project {self.project_id} already; "
                "trainings that are queued are its to do"
            )
        self._renewed, self._is_lost = asked, False

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """As `database.writing`, for the holder of the lease only.

        Raises:
            WorkerBusy: the lease was lost; nothing was stored.
        """
        with writing(self._lab.sessions) as session:
            if not repository_trainings.holds_lease(session, project_id=self.project_id, process=self._process):
                raise WorkerBusy(f"the lease of project {self.project_id} is another process's, or its project is gone")
            yield session

    def give_back_when_idle(self) -> bool:
        """Give the lease back if no training wants a worker; whether it was given back.

        One transaction: who queues a training later finds no lease, and starts a worker.
        """
        with self.writing() as session:
            if repository_trainings.next_training(session, project_id=self.project_id) is not None:
                return False
            repository_trainings.give_back_lease(session, project_id=self.project_id, process=self._process)
        return True

    @contextmanager
    def at_work_on(self, training_id: int) -> Iterator[None]:
        """While in the block, Interrupted may be raised in the main thread; never after it."""
        with self._lock:
            self._at_work, self._is_told = training_id, False
        try:
            yield
        except Interrupted:
            self._is_told = False
            raise
        finally:
            with self._lock:
                self._at_work = None
            for _ in range(100):
                if not self._is_told:
                    break
                time.sleep(0.05)  # the signal is on its way: let it arrive here

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if not self._is_told:
            self.is_asked_to_end = True
        raise Interrupted

    def _watch(self) -> None:
        """Renew the lease until the block ends, whatever fails: else a worker would train on without one."""
        pause_since: float | None = None
        while not self._ended.wait(POLL_S):
            must_stop = False
            try:
                now = time.monotonic()
                if now - self._renewed >= HEARTBEAT_S:
                    self._renew()
                wanted = self._wanted()
                pause_since = (pause_since or now) if wanted is Wanted.PAUSE else None
                has_waited = pause_since is not None and now - pause_since >= PAUSE_WITHIN_S
                must_stop = wanted is Wanted.CANCEL or has_waited
            except DatabaseUnavailable as failure:
                log.warning("the lease was not renewed: %s", failure)
            except Exception:
                log.exception("the lease was not renewed; this is tried again")
            try:
                if time.monotonic() - self._renewed >= STALE_S:
                    self._is_lost = True  # whoever asks next takes it
                if must_stop or self._is_lost:
                    self._interrupt()
            except Exception:
                log.exception("training was not interrupted; this is tried again")

    def _renew(self) -> None:
        asked = time.monotonic()
        with writing(self._lab.sessions) as session:
            is_ours = repository_trainings.renew_lease(
                session, project_id=self.project_id, process=self._process, now=self._lab.clock()
            )
        if is_ours:
            self._renewed = asked
        self._is_lost = not is_ours

    def _wanted(self) -> Wanted | None:
        training_id = self._at_work
        if training_id is None:
            return None
        try:
            with reading(self._lab.sessions) as session:
                return repository_trainings.training(session, training_id=training_id).wanted
        except DatabaseUnavailable:
            raise
        except FcnlabError:  # deleted with its project
            return Wanted.CANCEL

    def _interrupt(self) -> None:
        """Raise Interrupted in the main thread, if it is at work there."""
        if self._old_handler is None:
            return
        with self._lock:
            if self._at_work is not None and not self._is_told:
                self._is_told = True
                _signal_main_thread()


def _signal_main_thread() -> None:
    """SIGTERM to the main thread, which wakes it even from waiting."""
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, signal.SIGTERM)
    else:  # Windows
        _thread.interrupt_main(signal.SIGTERM)
