"""A project whose images are done and keep masks made up for the test: nothing has to be learned."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.export import ExportSpec
from fcnlab.domain.images import ImageState, StoredMask
from fcnlab.lab import Lab
from fcnlab.services.export.exporting import export_project
from fcnlab.services.export.plan import ExportProgress
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points, set_image_state
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.projects import projects
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import writing
from fcnlab.storage.files.png import mask_png
from fcnlab.storage.files.whole_files import write_whole

HW = (40, 64)


def picture(seed: int) -> bytes:
    """Noise that no two seeds share."""
    pixels = np.random.default_rng(seed).integers(0, 255, (*HW, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def blobs(seed: int) -> NDArray[np.uint8]:
    """A mask of three classes: boxes, one in the other."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(HW, np.uint8)
    for class_id in (1, 2, 1, 2):
        top, left = rng.integers(0, 30), rng.integers(0, 50)
        mask[top : top + rng.integers(2, 20), left : left + rng.integers(2, 20)] = class_id
    mask[0, 0] = 1
    return mask


class StoredBench:
    """Done images with masks; classes background, object and rim."""

    def __init__(self, lab: Lab, folder: Path, names: list[str]) -> None:
        self.lab, self.folder = lab, folder
        project = projects.create_project(lab, name="stored")
        projects.add_class(lab, project_id=project.id, name="rim")
        self.project = projects.project(lab, project_id=project.id)
        steps = import_files(lab, [(name, picture(seed)) for seed, name in enumerate(names)], project_id=project.id)
        self.images = {step.name: step.image_id or 0 for step in steps}
        self.masks = {name: blobs(seed) for seed, name in enumerate(names)}
        self.learner = ProjectLearner(lab, PictureStore(lab), project_id=project.id)
        for name in names:
            self.keep(name, self.masks[name])

    def keep(self, name: str, mask: NDArray[np.uint8]) -> None:
        """The image is done with this mask."""
        image_id = self.images[name]
        set_image_state(self.lab, image_id=image_id, state=ImageState.DONE, labeller="ann")
        file = f"{self.project.id}/{image_id}-test.png"
        write_whole(self.lab.folders.masks / file, mask_png(mask))
        stored = StoredMask(file, "made-up", "none", self.lab.clock())
        with writing(self.lab.sessions) as session:
            repository_images.store_mask(session, image_id=image_id, mask=stored)
        self.masks[name] = mask

    def reopen(self, name: str) -> None:
        set_image_state(self.lab, image_id=self.images[name], state=ImageState.IN_PROGRESS, labeller="ann")

    def click(self, name: str, *points: tuple[int, int, int]) -> None:
        add_points(
            self.lab,
            [Point(*point) for point in points],
            image_id=self.images[name],
            labeller="ann",
            source=PointSource.CLICK,
        )

    def steps(self, to: str, **options: Any) -> Any:
        spec = ExportSpec(**{"formats": ("index", "coco"), "done_only": True, **options})
        return export_project(
            self.lab, lambda work: work(self.learner), project_id=self.project.id, spec=spec, to=self.folder / to
        )

    def export(self, to: str, **options: Any) -> tuple[Path, ExportProgress]:
        *_, last = self.steps(to, **options)
        return self.folder / to, last


def files_in(folder: Path) -> dict[str, bytes]:
    """Content of all files by their paths."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
