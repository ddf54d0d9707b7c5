"""A project whose trainings wait for a worker, by the real clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.network import NetworkName, NetworkSpec
from fcnlab.domain.training import Training, TrainingSpec, TrainingState
from fcnlab.lab import Lab, open_lab
from fcnlab.services.labelling.events import add_points
from fcnlab.services.training.trainings import curves, start_training, training
from fcnlab.settings import Settings
from fcnlab.storage.database import repository_trainings
from fcnlab.storage.database.engine import reading
from tests.support.tabs import new_project


@pytest.fixture
def lab(settings: Settings) -> Iterator[Lab]:
    """An installation whose clock is the real one: leases live by it."""
    lab = open_lab(settings)
    yield lab
    lab.close()


@pytest.fixture
def project_id(lab: Lab) -> int:
    project_id, images = new_project(lab)
    points = [Point(3, 5, 0), Point(30, 60, 1)]
    add_points(lab, points, image_id=images[0], labeller="ann", source=PointSource.CLICK)
    return project_id


def start(lab: Lab, project_id: int, *, epochs: int = 3) -> Training:
    return start_training(
        lab,
        project_id=project_id,
        network=NetworkSpec(NetworkName.UNET, 2),
        training=TrainingSpec(epochs=epochs),
        labeller="ann",
    )


def state_of(lab: Lab, number: int) -> TrainingState:
    return training(lab, training_id=number).state


def losses(lab: Lab, number: int) -> list[float]:
    return [one.progress.loss for one in curves(lab, training_id=number)]


def eventually(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def meanwhile(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def has_worker(lab: Lab, *, project_id: int) -> bool:
    """Whether a process trains for the project."""
    with reading(lab.sessions) as session:
        return repository_trainings.has_live_lease(session, project_id=project_id, now=lab.clock())
