"""Predicting surveys in the background."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from fcnlab.errors import InvalidSurvey
from fcnlab.lab import Lab
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.surveys import jobs as survey_jobs
from fcnlab.services.surveys.jobs import Predicting, SurveyJobs
from tests.support.worker_bench import eventually

SURVEY = 7
NOTHING = cast(Any, None)
"""Of an installation nothing is needed: the steps are made up."""


class Steps:
    """Steps that are taken one by one, as often as the test lets them."""

    def __init__(self, *, failure: Exception | None = None) -> None:
        self.let, self.begun, self.failure = threading.Semaphore(0), 0, failure

    def __call__(self, _lab: Lab, _run: object, *, survey_id: int) -> Iterator[tuple[int, int, str]]:
        assert survey_id == SURVEY
        self.begun += 1
        for number in (1, 2, 3):
            assert self.let.acquire(timeout=10)
            if self.failure is not None:
                raise self.failure
            yield number, 3, f"{number}.png"


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    steps = Steps()
    monkeypatch.setattr(survey_jobs, "predict_survey", steps)
    return steps


def started() -> SurveyJobs:
    jobs = SurveyJobs(cast(Lab, NOTHING), cast(Jobs, NOTHING))
    jobs.start(SURVEY, project_id=1)
    return jobs


def state_becomes(jobs: SurveyJobs, status: Predicting) -> None:
    eventually(lambda: jobs.status(SURVEY) == status, seconds=10)


def test_steps_are_told_and_two_starts_are_one(steps: Steps) -> None:
    jobs = started()
    assert jobs.status(SURVEY) == Predicting("running")
    jobs.start(SURVEY, project_id=1)

    steps.let.release(2)
    state_becomes(jobs, Predicting("running", 2, 3, "2.png"))
    steps.let.release()
    state_becomes(jobs, Predicting("finished", 3, 3, "3.png"))

    assert steps.begun == 1
    assert jobs.status(SURVEY + 1) is None


def test_who_cancels_gets_no_further_step_and_may_start_again(steps: Steps) -> None:
    jobs = started()
    jobs.cancel(SURVEY)

    steps.let.release(5)
    state_becomes(jobs, Predicting("cancelled", 1, 3, "1.png"))
    jobs.start(SURVEY, project_id=1)

    state_becomes(jobs, Predicting("finished", 3, 3, "3.png"))


@pytest.mark.parametrize(
    ("failure", "message"),
    [(InvalidSurvey("predict before"), "predict before"), (KeyError("x"), "something went wrong")],
)
def test_a_failure_is_told(steps: Steps, failure: Exception, message: str) -> None:
    steps.failure = failure
    jobs = started()

    steps.let.release()
    eventually(lambda: (status := jobs.status(SURVEY)) is not None and status.state == "failed", seconds=10)

    status = jobs.status(SURVEY)
    assert status is not None
    assert message in status.message
