"""From clicks to a network, with the process and the trainer that the application uses."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.network import SCRATCH, NetworkName, NetworkSpec
from fcnlab.domain.training import TrainingSpec, TrainingState
from fcnlab.lab import Lab, open_lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points
from fcnlab.services.models.files import load_network
from fcnlab.services.models.models import models
from fcnlab.services.projects import projects
from fcnlab.services.training.trainings import curves, start_training, training
from fcnlab.services.training.workers import ensure_worker, log_file
from fcnlab.settings import Settings
from fcnlab.storage.database import repository_trainings
from fcnlab.storage.database.engine import reading

EPOCHS = 4


@pytest.fixture
def lab(settings: Settings) -> Iterator[Lab]:
    """An installation by the real clock; its workers end with the test."""
    lab = open_lab(settings)
    yield lab
    with reading(lab.sessions) as session:
        for lease in repository_trainings.leases(session):
            os.kill(lease.process.pid, signal.SIGKILL)
    lab.close()


def bar(number: int) -> bytes:
    pixels = np.full((48, 80, 3), 30, np.uint8)
    pixels[:, 10 * number : 10 * number + 12] = 200
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def eventually(lab: Lab, project_id: int, condition: Callable[[], bool], *, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        log = log_file(lab, project_id=project_id)
        assert time.monotonic() < deadline, log.read_text() if log.exists() else "no worker has written anything"
        time.sleep(0.05)


@pytest.mark.slow
def test_clicks_become_a_network_in_a_worker_process(lab: Lab) -> None:
    project = projects.create_project(lab, name="bars")
    files = [(f"{number}.png", bar(number)) for number in range(4)]
    for number, step in enumerate(import_files(lab, files, project_id=project.id)):
        inside, outside = Point(9, 10 * number + 5, 1), Point(30, (10 * number + 40) % 80, 0)
        add_points(lab, [inside, outside], image_id=step.image_id or 0, labeller="ann", source=PointSource.CLICK)
    queued = start_training(
        lab,
        project_id=project.id,
        network=NetworkSpec(NetworkName.UNET, 2, encoder=SCRATCH, width=4),
        training=TrainingSpec(epochs=EPOCHS, batch_size=2, learning_rate=5e-3, ema=0.9, holdout=0.25, seed=3),
        labeller="ann",
    )
    assert ensure_worker(lab, project_id=project.id)

    eventually(lab, project.id, lambda: not training(lab, training_id=queued.id).is_open)

    ended = training(lab, training_id=queued.id)
    (model,) = models(lab, project_id=project.id)
    assert (ended.state, ended.message, ended.model_id) == (TrainingState.FINISHED, "", model.id)
    assert [one.progress.epoch for one in curves(lab, training_id=queued.id)] == list(range(1, EPOCHS + 1))
    assert model.n_points == 6  # those of one image were held out
    assert model.score is not None
    assert model.score.sources == {"click": 2}
    assert load_network(lab.folders.checkpoints / model.file, device="cpu").class_ids == (0, 1)
    assert list(lab.folders.resume.iterdir()) == []
