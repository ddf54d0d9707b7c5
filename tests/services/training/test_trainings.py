"""Laws of starting, pausing, resuming and cancelling trainings, while nobody works on them."""

from __future__ import annotations

import pytest

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.network import NetworkName, NetworkSpec
from fcnlab.domain.training import Training, TrainingSpec, TrainingState, Wanted
from fcnlab.errors import InvalidSetting, NoPoints, TrainingRefused, UnknownImage, UnknownProject, UnknownTraining
from fcnlab.services.labelling.events import add_points
from fcnlab.services.models.models import models
from fcnlab.services.projects.projects import delete_project
from fcnlab.services.training.trainings import (
    cancel_training,
    curves,
    pause_training,
    resume_training,
    start_training,
    training,
    trainings,
)
from tests.support.tabs import Tab, other
from tests.support.worker_bench import has_worker

NETWORK = NetworkSpec(NetworkName.UNET, 2)


def click(tab: Tab, *points: Point) -> None:
    add_points(tab.lab, points, image_id=tab.image_id, labeller="ann", source=PointSource.CLICK)


def start(tab: Tab, *, network: NetworkSpec = NETWORK, images: tuple[int, ...] | None = None) -> Training:
    return start_training(
        tab.lab,
        project_id=tab.project_id,
        network=network,
        training=TrainingSpec(epochs=3),
        labeller="ann",
        image_ids=images,
    )


@pytest.fixture
def ready(tab: Tab) -> Tab:
    """A project with points of both classes in its first image."""
    click(tab, Point(3, 5, 0), Point(30, 60, 1))
    return tab


def test_a_training_waits_in_the_queue(ready: Tab) -> None:
    first, second = start(ready), start(ready)

    assert [one.id for one in trainings(ready.lab, project_id=ready.project_id)] == [second.id, first.id]
    assert (first.state, first.labeller, first.epochs) == (TrainingState.QUEUED, "ann", 3)
    assert curves(ready.lab, training_id=first.id) == ()
    assert models(ready.lab, project_id=ready.project_id) == ()
    assert not has_worker(ready.lab, project_id=ready.project_id)


def test_there_is_nothing_to_train_on_before_two_classes_are_clicked(tab: Tab) -> None:
    with pytest.raises(NoPoints, match="no points"):
        start(tab)
    click(tab, Point(3, 5, 1))

    with pytest.raises(NoPoints, match="class 'cell'"):
        start(tab)

    assert trainings(tab.lab, project_id=tab.project_id) == ()


def test_only_the_points_of_the_chosen_images_count(ready: Tab) -> None:
    last = max(image for image in range(1, 10) if image != ready.image_id and image <= ready.image_id + 1)

    with pytest.raises(NoPoints):
        start(ready, images=(last,))

    assert start(ready, images=(ready.image_id, last)).image_ids == (ready.image_id, last)


def test_what_cannot_be_trained_is_explained(ready: Tab) -> None:
    with pytest.raises(UnknownImage, match="999"):
        start(ready, images=(999,))
    with pytest.raises(InvalidSetting, match="3 classes"):
        start(ready, network=NetworkSpec(NetworkName.UNET, 3))
    with pytest.raises(UnknownProject):
        start_training(
            ready.lab, project_id=999, network=NETWORK, training=TrainingSpec(), labeller="ann", image_ids=None
        )
    with pytest.raises(UnknownTraining):
        training(ready.lab, training_id=999)


def test_a_queued_training_pauses_at_once_and_goes_on_when_asked(ready: Tab) -> None:
    number = start(ready).id

    paused = pause_training(ready.lab, training_id=number)
    resumed = resume_training(ready.lab, training_id=number)

    assert (paused.state, paused.wanted) == (TrainingState.PAUSED, Wanted.PAUSE)
    assert (resumed.state, resumed.wanted) == (TrainingState.QUEUED, Wanted.RUN)
    assert training(ready.lab, training_id=number) == resumed


def test_a_cancelled_training_is_over_and_leaves_no_resume_file(ready: Tab) -> None:
    found = start(ready)
    file = ready.lab.folders.resume / found.resume_file
    file.write_bytes(b"half way")

    cancelled = cancel_training(ready.lab, training_id=found.id)

    assert cancelled.state is TrainingState.CANCELLED
    assert cancelled.finished_at is not None
    assert not file.exists()
    for change in (pause_training, resume_training, cancel_training):
        with pytest.raises(TrainingRefused, match="cancelled"):
            change(ready.lab, training_id=found.id)


def test_a_project_takes_its_resume_files_along_when_it_is_deleted(ready: Tab) -> None:
    found = start(ready)
    file = ready.lab.folders.resume / found.resume_file
    file.write_bytes(b"half way")

    delete_project(ready.lab, project_id=ready.project_id)

    assert not file.exists()
    with pytest.raises(UnknownTraining):
        training(ready.lab, training_id=found.id)


def test_points_of_anybody_count(tab: Tab) -> None:
    click(tab, Point(3, 5, 0))
    other(tab).add(4, 6, 1)

    assert start(tab).state is TrainingState.QUEUED
