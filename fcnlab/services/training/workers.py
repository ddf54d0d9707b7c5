"""Worker processes: starting them, and knowing which live."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from fcnlab.errors import DatabaseUnavailable, storage_explained
from fcnlab.lab import Lab
from fcnlab.storage.database import repository_trainings
from fcnlab.storage.database.engine import reading
from fcnlab.storage.files.presence import is_here, yield_to_others

LOG_BYTES = 1_000_000
"""A log that is longer is put aside when the next worker starts; the one put aside before is deleted."""

WORKER_THREADS = 1

MEMORY_HABITS = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
"""A worker keeps the memory it frees, in large pages: training frees and takes the same blocks at every step, and
clearing them anew each time took a quarter of it. Other C libraries pass these by."""

POLL_S = 2.0


def ensure_worker(lab: Lab, *, project_id: int) -> bool:
    """Start a worker process for the trainings of a project unless one lives; whether one was started.

    It has a session of its own, so that it survives this process, and this installation's settings. Two that start
    at once agree by the lease, and one of them ends.
    """
    with reading(lab.sessions) as session:
        if repository_trainings.has_live_lease(session, project_id=project_id, now=lab.clock()):
            return False
    command = [sys.executable, "-m", "fcnlab", "worker", "--project", f"#{project_id}"]
    path = _log_file(lab, project_id)
    with storage_explained(path, outcome="What is queued stays so, and no worker was started"), path.open("ab") as log:
        process = subprocess.Popen(
            command,
            env=process_environment(lab),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    threading.Thread(target=process.wait, name="fcnlab-reaper", daemon=True).start()  # no zombie stays behind
    return True


def ensure_workers(lab: Lab, *, only: int | None = None) -> tuple[int, ...]:
    """Start a worker for every project, or for one only, with trainings that were queued or interrupted.

    Returns:
        Ids of the projects that got one.
    """
    with reading(lab.sessions) as session:
        waiting = repository_trainings.projects_for_a_worker(session)
    wanted = [project_id for project_id in waiting if only in (None, project_id)]
    return tuple(project_id for project_id in wanted if ensure_worker(lab, project_id=project_id))


def is_machine_shared(lab: Lab) -> bool:
    """Whether a worker of any project lives on this machine."""
    with reading(lab.sessions) as session:
        leases = repository_trainings.leases(session)
    now = lab.clock()
    return any(is_here(lease.process) and repository_trainings.is_live(lease, now=now) for lease in leases)


class CoreShare:
    """How many torch threads the server computes with: all of its own, one less while a worker lives beside it.

    Belongs to one thread; how many threads torch takes is a property of the thread that asks.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._own: int | None = None
        self._polled_at = -POLL_S

    def adjust(self) -> None:
        """Set the number of threads of the calling thread; looks for workers now and then only."""
        now = time.monotonic()
        if now - self._polled_at < POLL_S:
            return
        self._polled_at = now
        import torch

        if self._own is None:
            self._own = torch.get_num_threads()
        try:
            wanted = max(1, self._own - WORKER_THREADS) if is_machine_shared(self._lab) else self._own
        except DatabaseUnavailable:
            return
        if torch.get_num_threads() != wanted:
            torch.set_num_threads(wanted)


def become_background() -> None:
    """Take one thread, and of the processor what others leave: people who click come first."""
    import torch

    torch.set_num_threads(WORKER_THREADS)
    yield_to_others()


def log_file(lab: Lab, *, project_id: int) -> Path:
    """Where the workers of a project write what they have to say."""
    return lab.folders.logs / f"worker-{project_id}.log"


def _log_file(lab: Lab, project_id: int) -> Path:
    path = log_file(lab, project_id=project_id)
    if path.is_file() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".old"))
    return path


def process_environment(lab: Lab) -> dict[str, str]:
    """The environment of this process, and all settings of this installation."""
    settings = lab.settings.model_dump(mode="json")
    settings["data_dir"] = str(lab.folders.logs.parent)
    variables = {
        f"FCNLAB_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in settings.items()
    }
    return {**os.environ, **MEMORY_HABITS, **variables, "FCNLAB_THREADS": str(WORKER_THREADS)}
