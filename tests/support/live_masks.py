"""Photographs of scikit-image in a project, clicks on them, and the masks that follow."""

from __future__ import annotations

import time
from pathlib import Path

import skimage.data

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.project import LearnerSpec
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.overlay_store import Overlay
from fcnlab.services.projects import projects

CAT = [Point(150, 230, 1), Point(10, 440, 0)]


def project_with(lab: Lab, *names: str) -> tuple[int, list[int]]:
    folder = Path(skimage.data.__file__).parent
    project = projects.create_project(lab, name="photos", learner=LearnerSpec(object_mode=True))
    steps = list(import_files(lab, [(name, folder / name) for name in names], project_id=project.id))
    return project.id, [int(step.image_id or 0) for step in steps]


def click(lab: Lab, image_id: int, points: list[Point]) -> None:
    add_points(lab, points, image_id=image_id, labeller="ada", source=PointSource.CLICK)


def overlay_after(jobs: Jobs, image_id: int, number: int = 0) -> Overlay:
    """The first overlay newer than `number`, once nothing is left to do for the image."""
    for _ in range(2400):
        overlay = jobs.overlay_store.overlay(image_id)
        if overlay is not None and overlay.number > number and jobs.overlay_store.status(image_id).phase == "idle":
            return overlay
        time.sleep(0.05)
    raise AssertionError(f"no overlay: {jobs.overlay_store.status(image_id)}")
