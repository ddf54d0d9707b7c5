"""How the threads of a process wait for each other, and who leaves the processor to whom.

Two cores may have to carry browser, server, a worker that trains and an import at once:

- Idle compute threads sleep instead of spinning (`wait_politely`), and BLAS takes one thread in a server.
- What a click waits for is many small steps, between which a second thread would wake up and fall asleep: it takes one
  thread (`on_one_thread`), and the other core is the browser's.
- A picture is encoded with all threads; in a server they have a low priority, so that clicks and the browser go first.
- Within the server, the compute thread orders what is to be done (`services.live.compute`).
- A worker takes one thread and the lowest priority of the system; while one lives, the server takes one thread less
  (`services.training.workers`).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

MEANWHILE_S = 0.003
"""Between two calls of what is done while others work."""


def wait_politely() -> None:
    """Let idle compute threads sleep instead of spinning; call it before NumPy and torch are imported.

    OpenMP's threads spin while they wait for each other, which is quick on an idle machine and several times slower
    as soon as another process, such as the browser beside the server, wants one of the cores. Values the user has
    set stay.
    """
    for name, value in POLITE.items():
        os.environ.setdefault(name, value)


POLITE = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "OPENBLAS_NUM_THREADS": "1"}
"""Environment of a server and of whoever works beside it."""


def on_one_thread(work: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Many small steps, each too short for a second thread: they take one, whatever is set for longer work."""

    @wraps(work)
    def alone(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        blas, others = _pools()
        before = [(pool, pool.get_num_threads()) for pool in others]  # they count for each thread by itself
        for pool, _ in before:
            pool.set_num_threads(1)
        blas.enter()
        try:
            return work(*args, **kwargs)
        finally:
            blas.leave()
            for pool, count in before:
                pool.set_num_threads(count)

    return alone


def one_at_a_time(work: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Work that no two threads of the process may do at once: the second one waits."""
    lock = threading.Lock()

    @wraps(work)
    def alone(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with lock:
            return work(*args, **kwargs)

    return alone


def lower_priority(niceness: int) -> None:
    """This thread, and those that it starts, go behind others by so much; only Linux tells threads apart."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


class Beside:
    """A thread for long work that leaves the interpreter free, so that who waits for it can do something else."""

    def __init__(self, name: str, *, niceness: int) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name, initializer=lambda: lower_priority(niceness))

    def run(self, work: Callable[[], Result], *, meanwhile: Callable[[], None] | None = None) -> Result:
        """Do the work in that thread, and call `meanwhile` here again and again until it is done."""
        running = self._pool.submit(work)
        while meanwhile is not None:
            meanwhile()
            if wait((running,), MEANWHILE_S).done:
                break
        return running.result()


class _Blas:
    """The thread pools of BLAS, which belong to all threads: one thread from the first that enters to the last."""

    def __init__(self, pools: list[Any]) -> None:
        self._pools, self._before = pools, [1] * len(pools)
        self._inside = 0
        self._lock = threading.Lock()

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._before = [pool.get_num_threads() for pool in self._pools]
                self._set([1] * len(self._pools))

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._set(self._before)

    def _set(self, counts: list[int]) -> None:
        for pool, count in zip(self._pools, counts, strict=True):
            pool.set_num_threads(count)


def _pools() -> tuple[_Blas, list[Any]]:
    """The pools of BLAS, and those of OpenMP, of the libraries that were loaded at the first use."""
    with _FIRST_USE:
        return _loaded_pools()


_FIRST_USE = threading.Lock()


@cache
def _loaded_pools() -> tuple[_Blas, list[Any]]:
    pools = ThreadpoolController().lib_controllers
    blas = [pool for pool in pools if pool.user_api == "blas"]
    return _Blas(blas), [pool for pool in pools if pool.user_api == "openmp"]
