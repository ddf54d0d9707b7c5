"""Which image next: gains worked out in the background, and the strip in their order."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import pytest
import skimage.data

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.images import ImageState
from fcnlab.domain.project import LearnerSpec
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points, set_image_state
from fcnlab.services.labelling.scenes import ranked_strip, strip_of
from fcnlab.services.live import gains
from fcnlab.services.live.compute import Priority
from fcnlab.services.live.gains import Ranking
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.projects import projects
from tests.support import lasting
from tests.support.lasting import CAT

PHOTOS = ("chelsea.png", "coffee.png", "coins.png", "rocket.jpg")
FOLDER = Path(skimage.data.__file__).parent
lab, jobs = lasting.lab, lasting.jobs


@pytest.fixture
def project(lab: Lab) -> tuple[int, list[int]]:
    made = projects.create_project(lab, name=f"photos {uuid.uuid4()}", learner=LearnerSpec(working_side=128))
    steps = import_files(lab, [(name, FOLDER / name) for name in PHOTOS], project_id=made.id)
    return made.id, [int(step.image_id or 0) for step in steps]


def click(lab: Lab, image_id: int, points: list[Point]) -> None:
    add_points(lab, points, image_id=image_id, labeller="ada", source=PointSource.CLICK)


def begun(jobs: Jobs, project_id: int) -> Ranking:
    """The ranking after one more step of work."""
    jobs.gains.ranking(project_id)
    jobs._compute.submit(lambda: None, priority=Priority.PREFETCH).result(timeout=200)
    return jobs.gains.ranking(project_id)


def ranking_of(jobs: Jobs, project_id: int) -> Ranking:
    """The ranking once everything is known."""
    for _ in range(2000):
        found = begun(jobs, project_id)
        if not found.waiting:
            return found
        time.sleep(0.05)
    raise AssertionError("the ranking never ended")


def test_every_image_that_is_not_done_gets_a_gain(lab: Lab, jobs: Jobs, project: tuple[int, list[int]]) -> None:
    project_id, image_ids = project
    click(lab, image_ids[0], CAT)
    jobs.consult(lambda *_: None, project_id=project_id, image_id=image_ids[0]).result(timeout=200)
    set_image_state(lab, image_id=image_ids[2], state=ImageState.DONE, labeller="ada")

    found = ranking_of(jobs, project_id)

    assert set(found.gains) == {image_ids[0], image_ids[1], image_ids[3]}
    assert all(0 < gain <= 1 for gain in found.gains.values())


def test_while_nothing_can_be_learned_no_image_promises_more(
    lab: Lab, jobs: Jobs, project: tuple[int, list[int]]
) -> None:
    project_id, image_ids = project
    click(lab, image_ids[0], CAT[:1])

    assert ranking_of(jobs, project_id) == Ranking({}, 0)


def test_new_points_change_the_gains(lab: Lab, jobs: Jobs, project: tuple[int, list[int]]) -> None:
    project_id, image_ids = project
    click(lab, image_ids[0], CAT)
    jobs.consult(lambda *_: None, project_id=project_id, image_id=image_ids[0]).result(timeout=200)
    before = ranking_of(jobs, project_id)
    click(lab, image_ids[1], [Point(180, 250, 1), Point(30, 570, 0)])
    jobs.consult(lambda *_: None, project_id=project_id, image_id=image_ids[1]).result(timeout=200)

    after = ranking_of(jobs, project_id)

    assert set(after.gains) == set(before.gains)
    assert all(after.gains[one] != before.gains[one] for one in image_ids)


def test_while_somebody_clicks_only_images_known_already_are_looked_at(
    lab: Lab, jobs: Jobs, project: tuple[int, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id, image_ids = project
    click(lab, image_ids[0], CAT)
    jobs.consult(lambda *_: None, project_id=project_id, image_id=image_ids[0]).result(timeout=200)
    monkeypatch.setattr(gains, "QUIET_S", 3600.0)
    jobs.clicked(project_id, image_ids[0], client_id="tab-12345", acknowledged=1)

    assert begun(jobs, project_id) == Ranking({}, waiting=len(image_ids))
    monkeypatch.setattr(gains, "QUIET_S", 0.0)
    assert set(ranking_of(jobs, project_id).gains) == set(image_ids)


def test_an_image_that_cannot_be_read_stops_nothing(lab: Lab, jobs: Jobs, project: tuple[int, list[int]]) -> None:
    project_id, image_ids = project
    click(lab, image_ids[0], CAT)
    jobs.consult(lambda *_: None, project_id=project_id, image_id=image_ids[0]).result(timeout=200)
    (step,) = import_files(lab, [("page.png", FOLDER / "page.png")], project_id=project_id)
    content = projects.image(lab, image_id=int(step.image_id or 0)).content_hash
    for file in lab.folders.images.rglob(f"{content}*"):
        file.unlink()

    found = ranking_of(jobs, project_id)

    assert set(found.gains) == set(image_ids)


def test_the_strip_puts_what_promises_most_first_and_done_images_last(lab: Lab, project: tuple[int, list[int]]) -> None:
    project_id, (first, second, third, fourth) = project
    set_image_state(lab, image_id=second, state=ImageState.DONE, labeller="ada")
    ranking = Ranking({first: 0.2, second: 0.9, fourth: 0.7}, waiting=1)

    found = ranked_strip(lab, ranking, project_id=project_id, start=1, count=2)

    assert found.order == (fourth, first, third, second)
    assert [(one.image.id, one.gain) for one in found.cells] == [(first, 0.2), (third, None)]


def test_cells_come_in_the_order_asked_for_and_only_of_this_project(lab: Lab, project: tuple[int, list[int]]) -> None:
    project_id, (first, second, third, _) = project
    other = projects.create_project(lab, name=f"other {uuid.uuid4()}")
    (step,) = import_files(lab, [("cat.png", FOLDER / "chelsea.png")], project_id=other.id)

    cells = strip_of(
        lab, Ranking({second: 0.5}), project_id=project_id, image_ids=[third, int(step.image_id or 0), 99_999, second]
    )

    assert [(one.image.id, one.gain) for one in cells] == [(third, None), (second, 0.5)]
    assert first not in {one.image.id for one in cells}
