"""Exports that a program asks for and fetches later."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

from cachetools import LRUCache

from fcnlab.errors import FcnlabError, UnknownExport
from fcnlab.lab import Lab
from fcnlab.services.export.exporting import ExportProgress, ExportSpec, export_project
from fcnlab.services.export.target import new_download
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.projects.projects import project

JOBS_KEPT = 200
"""Finished exports whose state is told; their files stay for a day."""

Result = TypeVar("Result")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExportJob:
    """An export on its way. `file` is there when it is finished, `message` when it failed."""

    id: str
    project_id: int
    state: Literal["running", "finished", "failed"] = "running"
    progress: ExportProgress | None = None
    message: str = ""
    file: Path | None = None


class ExportJobs:
    """Runs exports one after another, each step on the compute thread of `jobs`; safe to use from any thread."""

    def __init__(self, lab: Lab, jobs: Jobs) -> None:
        self._lab, self._jobs = lab, jobs
        self._exports: LRUCache[str, ExportJob] = LRUCache(JOBS_KEPT)
        self._lock, self._turn = threading.Lock(), threading.Lock()

    def start(self, project_id: int, spec: ExportSpec) -> ExportJob:
        """Begin an export. Raises UnknownProject."""
        name = project(self._lab, project_id=project_id).name
        job = ExportJob(secrets.token_urlsafe(12), project_id)
        self._keep(job)
        threading.Thread(target=self._run, args=(job, spec, name), name="fcnlab-export", daemon=True).start()
        return job

    def job(self, job_id: str) -> ExportJob:
        """How far an export is. Raises UnknownExport: nobody here knows it."""
        with self._lock:
            job = self._exports.get(job_id)
        if job is None:
            raise UnknownExport(f"there is no export {job_id!r}; start one with POST")
        return job

    def _run(self, job: ExportJob, spec: ExportSpec, name: str) -> None:
        def run(work: Callable[[ProjectLearner], Result], /) -> Result:
            return self._jobs.run(work, project_id=job.project_id).result()

        with self._turn:
            try:
                path = new_download(self._lab, name=f"{name}.zip")
                steps = export_project(self._lab, run, project_id=job.project_id, spec=spec, to=path)
                with closing(steps):
                    for step in steps:
                        job = replace(job, progress=step)
                        self._keep(job)
                job = replace(job, state="finished", file=path)
            except FcnlabError as failure:
                job = replace(job, state="failed", message=str(failure))
            except Exception:
                log.exception("export %s ended", job.id)
                job = replace(job, state="failed", message="something went wrong; the server's log has the details")
            self._keep(job)

    def _keep(self, job: ExportJob) -> None:
        with self._lock:
            self._exports[job.id] = job
