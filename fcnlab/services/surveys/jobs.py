"""Predicting all images of a survey in the background, while pages come and go."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from cachetools import LRUCache

from fcnlab.errors import FcnlabError
from fcnlab.lab import Lab
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.surveys.predicting import predict_survey

SURVEYS_KEPT = 64
"""Surveys of which it is told how predicting them ended."""

Result = TypeVar("Result")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Predicting:
    """How far predicting the images of a survey is; `message` says why it failed."""

    state: Literal["running", "finished", "failed", "cancelled"]
    done: int = 0
    total: int = 0
    name: str = ""
    message: str = ""


class SurveyJobs:
    """Predicts surveys, each step on the compute thread of `jobs`; safe to use from any thread."""

    def __init__(self, lab: Lab, jobs: Jobs) -> None:
        self._lab, self._jobs = lab, jobs
        self._by_survey: LRUCache[int, Predicting] = LRUCache(SURVEYS_KEPT)
        self._cancelled: set[int] = set()
        self._lock = threading.Lock()

    def start(self, survey_id: int, *, project_id: int) -> None:
        """Predict all images of a survey, unless somebody does already."""
        with self._lock:
            before = self._by_survey.get(survey_id)
            if before is not None and before.state == "running":
                return
            self._by_survey[survey_id] = Predicting("running")
            self._cancelled.discard(survey_id)
        threading.Thread(target=self._run, args=(survey_id, project_id), name="fcnlab-survey", daemon=True).start()

    def status(self, survey_id: int) -> Predicting | None:
        """How far it is; None when nobody asked since the server started."""
        with self._lock:
            return self._by_survey.get(survey_id)

    def cancel(self, survey_id: int) -> None:
        """End after the image at hand; what was predicted before stays as it is."""
        with self._lock:
            self._cancelled.add(survey_id)

    def _run(self, survey_id: int, project_id: int) -> None:
        def run(work: Callable[[ProjectLearner], Result], /) -> Result:
            return self._jobs.run(work, project_id=project_id).result()

        try:
            for done, total, name in predict_survey(self._lab, run, survey_id=survey_id):
                self._change(survey_id, done=done, total=total, name=name)
                if self._is_cancelled(survey_id):
                    self._change(survey_id, state="cancelled")
                    return
            self._change(survey_id, state="finished")
        except FcnlabError as failure:
            self._change(survey_id, state="failed", message=str(failure))
        except Exception:
            log.exception("predicting survey %d ended", survey_id)
            message = "something went wrong; the server's log has the details"
            self._change(survey_id, state="failed", message=message)

    def _is_cancelled(self, survey_id: int) -> bool:
        with self._lock:
            return survey_id in self._cancelled

    def _change(self, survey_id: int, **news: object) -> None:
        with self._lock:
            status = self._by_survey.get(survey_id, Predicting("running"))
            self._by_survey[survey_id] = replace(status, **news)  # type: ignore[arg-type]
