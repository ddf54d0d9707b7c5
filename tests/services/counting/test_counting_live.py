"""Counting while somebody clicks: from a point on each object to blobs, objects and counts on the overlay store."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fcnlab.core.training.network_model import NetworkModel, network_to_arrays
from fcnlab.domain.counting import Calibration, Objective, Task
from fcnlab.domain.events import Event, EventBatch, EventKind, Point, PointSource
from fcnlab.domain.training import TrainingSpec
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points, apply_events
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.overlay_store import Overlay
from fcnlab.services.models.models import use_model
from fcnlab.services.projects import projects
from fcnlab.storage.files.checkpoints import save_checkpoint
from fcnlab.storage.files.png import mask_png
from fcnlab.web.routes import counts_shown, objects_shown, overlay_meta
from tests.support.model_bench import add_network, small_network

HEIGHT, WIDTH = 120, 200
DISCS = [(20, 30), (24, 90), (30, 160), (60, 50), (64, 120), (98, 26), (96, 80), (100, 150)]


@pytest.fixture
def jobs(lab: Lab) -> Iterator[Jobs]:
    jobs = Jobs(lab)
    yield jobs
    jobs.close()


def drawn(path: Path, centres: list[tuple[int, int]], *, seed: int = 0) -> Path:
    """A grey picture of bright discs, as a PNG."""
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    picture = np.random.default_rng(seed).normal(60, 5, (HEIGHT, WIDTH))
    for row, col in centres:
        picture[np.hypot(rows - row, cols - col) < 8] += 110
    path.write_bytes(mask_png(np.clip(picture, 0, 255).astype(np.uint8)))
    return path


def counting_project(lab: Lab, folder: Path, *centres: list[tuple[int, int]]) -> tuple[int, list[int]]:
    project = projects.create_project(lab, name="cells", task=Task.COUNTS)
    files = [drawn(folder / f"{number}.png", one, seed=number) for number, one in enumerate(centres)]
    steps = list(import_files(lab, [(path.name, path) for path in files], project_id=project.id))
    return project.id, [int(step.image_id or 0) for step in steps]


def click(lab: Lab, image_id: int, places: list[tuple[int, int]], class_id: int = 1) -> None:
    points = [Point(row, col, class_id) for row, col in places]
    add_points(lab, points, image_id=image_id, labeller="ada", source=PointSource.CLICK)


def say_complete(lab: Lab, project_id: int, image_id: int, *, complete: bool = True, seq: int = 1) -> None:
    event = Event(seq=seq, kind=EventKind.COMPLETE, image_id=image_id, payload={"complete": complete})
    apply_events(lab, EventBatch("tab-complete", (event,)), project_id=project_id, labeller="ada")


def shown_after(jobs: Jobs, image_id: int, number: int = 0) -> Overlay:
    """The first overlay newer than `number`, once nothing is left to do for the image."""
    for _ in range(600):
        overlay = jobs.overlay_store.overlay(image_id)
        if overlay is not None and overlay.number > number and jobs.overlay_store.status(image_id).phase == "idle":
            return overlay
        time.sleep(0.02)
    raise AssertionError(f"no overlay: {jobs.overlay_store.status(image_id)}")


def test_one_click_on_an_object_is_enough_to_see_others(lab: Lab, jobs: Jobs, tmp_path: Path) -> None:
    project_id, (image_id,) = counting_project(lab, tmp_path, DISCS)
    click(lab, image_id, DISCS[:1])

    jobs.clicked(project_id, image_id, client_id="tab-12345", acknowledged=1)
    overlay = shown_after(jobs, image_id)

    assert overlay.covers == {"tab-12345": 1}
    assert overlay.count is not None
    assert 6 <= overlay.count.counts[0].count <= 10
    assert overlay.class_map[20, 30] == 1
    assert [one.is_marked for one in overlay.count.objects].count(True) == 1


def test_nothing_marked_says_to_click_an_object(lab: Lab, jobs: Jobs, tmp_path: Path) -> None:
    project_id, (image_id,) = counting_project(lab, tmp_path, DISCS)

    jobs.opened(project_id, image_id)

    for _ in range(300):
        if jobs.overlay_store.status(image_id).phase == "missing":
            break
        time.sleep(0.02)
    assert jobs.overlay_store.status(image_id).message == "click an object to start"
    assert jobs.overlay_store.overlay(image_id) is None


def test_an_image_that_is_all_marked_counts_its_points_alone(lab: Lab, jobs: Jobs, tmp_path: Path) -> None:
    project_id, (image_id,) = counting_project(lab, tmp_path, DISCS)
    click(lab, image_id, DISCS[:5])
    jobs.opened(project_id, image_id)
    before = shown_after(jobs, image_id)

    say_complete(lab, project_id, image_id)
    jobs.clicked(project_id, image_id, client_id="tab-complete", acknowledged=1)
    after = shown_after(jobs, image_id, before.number)

    assert after.count is not None
    assert [(one.count, one.is_exact, one.marked) for one in after.count.counts] == [(5.0, True, 5)]
    assert all(one.is_marked for one in after.count.objects)


def test_an_image_said_to_be_empty_by_another_process_counts_none(lab: Lab, jobs: Jobs, tmp_path: Path) -> None:
    project_id, (full, empty) = counting_project(lab, tmp_path, DISCS, [])
    click(lab, full, DISCS[:3])
    jobs.opened(project_id, empty)
    before = shown_after(jobs, empty)

    say_complete(lab, project_id, empty)
    jobs.changed(project_id)
    after = shown_after(jobs, empty, before.number)

    assert after.count is not None
    assert [(one.count, one.is_exact) for one in after.count.counts] == [(0.0, True)]
    assert not after.count.objects
    assert (after.class_map == 0).all()


def add_counting_network(lab: Lab, project_id: int, *, counts: bool = True) -> int:
    """A network with random weights among the models of a project; its id."""
    record = add_network(lab, project_id, name="counter")
    if counts:
        training = TrainingSpec(objective=Objective.BLOBS, magnification=1.0)
        model = NetworkModel(
            small_network(), ((0, "background"), (1, "object")), training, calibration=Calibration(20.0, {1: 0.5})
        )
        save_checkpoint(lab.folders.checkpoints / record.file, *network_to_arrays(model))
    use_model(lab, project_id=project_id, model_id=record.id)
    return record.id


def test_a_network_that_the_project_chose_counts_and_obeys_points(lab: Lab, jobs: Jobs, tmp_path: Path) -> None:
    project_id, (image_id,) = counting_project(lab, tmp_path, DISCS)
    add_counting_network(lab, project_id)
    click(lab, image_id, DISCS[:2])
    click(lab, image_id, [(110, 100)], class_id=0)

    jobs.opened(project_id, image_id)
    overlay = shown_after(jobs, image_id)

    assert overlay.count is not None
    assert {(one.row, one.col) for one in overlay.count.objects if one.is_marked} == set(DISCS[:2])
    assert overlay.class_map[20, 30] == 1
    assert overlay.class_map[110, 100] == 0


def test_a_model_of_masks_is_refused_with_words(lab: Lab, jobs: Jobs, tmp_path: Path) -> None:
    project_id, (image_id,) = counting_project(lab, tmp_path, DISCS)
    add_counting_network(lab, project_id, counts=False)

    jobs.opened(project_id, image_id)

    for _ in range(300):
        if jobs.overlay_store.status(image_id).phase == "error":
            break
        time.sleep(0.02)
    assert "not to count" in jobs.overlay_store.status(image_id).message


def test_what_the_browser_is_sent_names_every_object_and_count(lab: Lab, jobs: Jobs, tmp_path: Path) -> None:
    project_id, (image_id,) = counting_project(lab, tmp_path, DISCS)
    click(lab, image_id, DISCS[:2])
    jobs.opened(project_id, image_id)
    overlay = shown_after(jobs, image_id)
    assert overlay.count is not None

    objects, counts = objects_shown(overlay.count), counts_shown(overlay.count)

    assert [one[3] for one in objects] == list(range(1, len(objects) + 1))
    assert [30.0 in one and one[5] for one in objects].count(True) == 1
    assert counts == [
        {
            "class_id": 1,
            "marked": 2,
            "count": float(len(objects)),
            "low": None,
            "high": None,
            "is_exact": False,
        }
    ]
    meta = overlay_meta(overlay, jobs.overlay_store.status(image_id), client="tab")
    assert json.loads(json.dumps(meta))["counts"] == counts
