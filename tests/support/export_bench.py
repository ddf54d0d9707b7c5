"""A project to export: discs on a dark ground."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.export import ExportSpec
from fcnlab.domain.images import ImageState
from fcnlab.domain.project import LearnerSpec, Project
from fcnlab.lab import Lab
from fcnlab.services.export.exporting import export_project
from fcnlab.services.export.plan import ExportProgress
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points, set_image_state
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.masks import keep_mask
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.projects import projects

HEIGHT, WIDTH = 96, 140


def picture(seed: int) -> bytes:
    """A bright disc on a dark ground, with noise."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    disc = (rows - 40) ** 2 + (cols - 60) ** 2 < 30**2
    pixels = np.where(disc[..., None], (200, 90, 60), (40, 60, 80)) + rng.integers(0, 20, (HEIGHT, WIDTH, 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


class Bench:
    """A project with its learner, and exports of it."""

    def __init__(self, lab: Lab, folder: Path, names: list[str], **options: Any) -> None:
        self.lab, self.folder = lab, folder
        spec = LearnerSpec(working_side=128)
        self.project: Project = projects.create_project(lab, name="discs", learner=spec, **options)
        files = [(name, picture(seed)) for seed, name in enumerate(names)]
        steps = import_files(lab, files, project_id=self.project.id)
        self.images = {step.name: step.image_id or 0 for step in steps}
        self.learner = ProjectLearner(lab, PictureStore(lab), project_id=self.project.id)

    def click(self, name: str, *points: tuple[int, int, int]) -> None:
        applied = add_points(
            self.lab,
            [Point(*point) for point in points],
            image_id=self.images[name],
            labeller="ann",
            source=PointSource.CLICK,
        )
        assert not applied.refusals

    def mark_done(self, name: str) -> None:
        set_image_state(self.lab, image_id=self.images[name], state=ImageState.DONE, labeller="ann")
        keep_mask(self.lab, self.learner, projects.image(self.lab, image_id=self.images[name]))

    def steps(self, file: str = "out.zip", run: Callable[[Any], Any] | None = None, **options: Any) -> Any:
        return export_project(
            self.lab,
            run or (lambda work: work(self.learner)),
            project_id=self.project.id,
            spec=ExportSpec(**options),
            to=self.folder / file,
        )

    def export(self, file: str = "out.zip", **options: Any) -> tuple[Path, ExportProgress]:
        *_, last = self.steps(file, **options)
        return self.folder / file, last
