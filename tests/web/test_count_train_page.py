"""The train page of a project that counts, without a browser."""

from __future__ import annotations

import pytest

from fcnlab.domain.counting import CountScore, Objective, Task
from fcnlab.domain.events import Point
from fcnlab.domain.network import COUNTING_NETWORK
from fcnlab.domain.training import TrainingProgress
from fcnlab.lab import Lab
from fcnlab.services.projects.projects import create_project
from fcnlab.services.training.trainings import trainings
from fcnlab.storage.database import repository_counts, repository_trainings
from fcnlab.storage.database.engine import writing
from fcnlab.web.panels.training import count_train_panel
from tests.support import train_bench
from tests.support.tabs import new_project
from tests.support.train_bench import click, labels, page, press, written

lab = train_bench.lab


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    wanted: list[int] = []
    monkeypatch.setattr(count_train_panel, "ensure_worker", lambda _lab, *, project_id: wanted.append(project_id))
    return wanted


def counting_project(lab: Lab) -> tuple[int, list[int]]:
    project_id, images = new_project(lab, task=Task.COUNTS)
    click(lab, images[0], Point(3, 5, 1), Point(30, 60, 1))
    with writing(lab.sessions) as session:
        repository_counts.set_complete(session, image_id=images[0], complete=True)
    return project_id, list(images)


def test_the_page_says_what_is_missing_before_anything_can_be_counted(lab: Lab) -> None:
    create_project(lab, name="bare", task=Task.COUNTS)

    assert "no images yet" in page().info[0].value


def test_a_counting_project_without_objects_is_led_to_labelling(lab: Lab) -> None:
    new_project(lab, task=Task.COUNTS)
    shown = page()
    assert "click every object of a few images" in shown.info[0].value
    assert "Start training" not in labels(shown)


def test_both_objectives_are_queued_on_the_same_images(lab: Lab, workers: list[int]) -> None:
    project_id, _ = counting_project(lab)
    shown = page()
    assert "network that counts" in written(shown)
    assert "2 objects" in written(shown)

    press(shown, "Start training")

    later, first = trainings(lab, project_id=project_id)
    assert (first.training.objective, later.training.objective) == (Objective.DENSITY, Objective.BLOBS)
    assert first.training.pair == later.training.pair != ""
    assert first.network.network is COUNTING_NETWORK
    assert first.network.upsampling == "transposed"
    assert workers == [project_id]
    assert "density" in written(page())


def test_one_objective_stands_alone(lab: Lab, workers: list[int]) -> None:
    project_id, _ = counting_project(lab)
    shown = page()
    shown.radio[0].set_value((Objective.BLOBS,)).run()

    press(shown, "Start training")

    (found,) = trainings(lab, project_id=project_id)
    assert (found.training.objective, found.training.pair) == (Objective.BLOBS, "")
    assert workers == [project_id]


def test_held_out_errors_stand_where_accuracies_stand_for_masks(lab: Lab, workers: list[int]) -> None:
    project_id, _ = counting_project(lab)
    press(page(), "Start training")
    first = trainings(lab, project_id=project_id)[-1]
    score = CountScore(2.5, 3.0, 0.1, (2.5, 3.0, 4.0, 5.0), 0.9, 0.8, 0.85, 6, 120, {1: 2.5})
    with writing(lab.sessions) as session:
        for number in (1, 2):
            progress = TrainingProgress(number, 9, first.network.network, 0.5, 3.0 * number, 4.0, 20.0, score, True)
            repository_trainings.record_epoch(session, training_id=first.id, progress=progress, now=lab.clock())

    shown = page()

    assert workers
    metrics = {one.label: one.value for one in shown.metric}
    assert metrics["Validation MAE"] == "2.50"
    assert "Validation accuracy" not in metrics
    assert "off by 2.50 on average" in written(shown)
    assert "Error of the counts of 6 validation images" in written(shown)
