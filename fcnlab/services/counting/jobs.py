"""Counting a whole project in the background, while pages come and go."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from cachetools import LRUCache

from fcnlab.errors import FcnlabError
from fcnlab.lab import Lab
from fcnlab.services.counting.exports import CountTable, count_table
from fcnlab.services.export.target import new_download
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.jobs import Jobs

TABLES_KEPT = 64
"""Projects whose table stays until the server ends."""

Result = TypeVar("Result")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counting:
    """How far the counting of a project is. `table` is the last one that was finished; it stays until the next."""

    state: Literal["running", "finished", "failed"]
    done: int = 0
    total: int = 0
    name: str = ""
    message: str = ""
    table: CountTable | None = None


class CountJobs:
    """Counts projects, each step on the compute thread of `jobs`; safe to use from any thread."""

    def __init__(self, lab: Lab, jobs: Jobs) -> None:
        self._lab, self._jobs = lab, jobs
        self._known: LRUCache[int, Counting] = LRUCache(TABLES_KEPT)
        self._lock = threading.Lock()

    def start(self, project_id: int) -> None:
        """Count all images of a project, unless somebody does already."""
        with self._lock:
            before = self._known.get(project_id)
            if before is not None and before.state == "running":
                return
            self._known[project_id] = Counting("running", table=None if before is None else before.table)
        threading.Thread(target=self._run, args=(project_id,), name="fcnlab-count", daemon=True).start()

    def status(self, project_id: int) -> Counting | None:
        """How far the counting of a project is; None when nobody asked since the server started."""
        with self._lock:
            return self._known.get(project_id)

    def _run(self, project_id: int) -> None:
        def run(work: Callable[[ProjectLearner], Result], /) -> Result:
            return self._jobs.run(work, project_id=project_id).result()

        try:
            folder = new_download(self._lab, name="counts").parent
            steps = count_table(self._lab, run, project_id=project_id, folder=folder)
            while True:
                try:
                    step = next(steps)
                except StopIteration as end:
                    self._change(project_id, state="finished", table=end.value)
                    return
                name = "" if step.image is None else step.image.name
                self._change(project_id, done=step.done, total=step.total, name=name)
        except FcnlabError as failure:
            self._change(project_id, state="failed", message=str(failure))
        except Exception:
            log.exception("counting project %d ended", project_id)
            message = "something went wrong; the server's log has the details"
            self._change(project_id, state="failed", message=message)

    def _change(self, project_id: int, **news: object) -> None:
        with self._lock:
            counting = self._known.get(project_id, Counting("running"))
            self._known[project_id] = replace(counting, **news)  # type: ignore[arg-type]
