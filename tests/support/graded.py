"""A project whose classes are grades of grey on a blue ground, clicked by somebody who knows where they are."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.network import SCRATCH, NetworkName, NetworkSpec
from fcnlab.domain.project import ClassLabel, Project
from fcnlab.domain.training import TrainingSpec
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points
from fcnlab.services.projects import projects

HEIGHT, WIDTH = 48, 80
N_GRADES = 4
SMALL = NetworkSpec(NetworkName.UNET, N_GRADES + 1, encoder=SCRATCH, width=4)
QUICK = TrainingSpec(epochs=3, batch_size=2, learning_rate=5e-3, ema=0.9, holdout=0.34)
NAMES = ("ground", "faint", "light", "moderate", "severe")


def scene(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture (H, W, 3) of one patch per grade on blue, and its mask (H, W) of places among NAMES."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for column, grade in enumerate(rng.permutation(N_GRADES)):
        top = int(rng.integers(2, HEIGHT - 26))
        mask[top : top + 24, 3 + column * 19 : 19 + column * 19] = grade + 1
    grey = 30 + 60 * (mask.astype(np.float64) - 1)
    rgb = np.stack([grey, grey, grey], axis=-1)
    rgb[mask == 0] = (20, 40, 180)
    return np.clip(rgb + rng.normal(0, 8, rgb.shape), 0, 255).astype(np.uint8), mask


class GradedSite:
    """A project of such pictures. The grades stand in another order than the classes: `grades` are their ids."""

    def __init__(self, lab: Lab, n_images: int, *, has_grades: bool = True) -> None:
        self.lab = lab
        colours = ("#2040b0", "#772211", "#bb6633", "#ddbb55", "#eeeeaa")
        places = (0, 4, 3, 2, 1)
        labels = [ClassLabel(place, NAMES[places[place]], colours[place], place) for place in range(len(NAMES))]
        made = projects.create_project(lab, name="grey", labels=labels)
        ids = {label.name: label.id for label in made.classes}
        self.grades = tuple(ids[name] for name in NAMES[1:])
        self.ids = np.array([ids[name] for name in NAMES])
        self.project_id = made.id
        self.set_grades(self.grades if has_grades else ())
        scenes = [scene(number) for number in range(n_images)]
        self.pixels = [pixels for pixels, _ in scenes]
        self.masks = [self.ids[mask].astype(np.uint8) for _, mask in scenes]
        files = [(f"{number}.png", _png(pixels)) for number, pixels in enumerate(self.pixels)]
        self.images = [step.image_id or 0 for step in import_files(lab, files, project_id=made.id)]
        for number in range(n_images):
            self._click(number)

    def set_grades(self, grades: tuple[int, ...]) -> None:
        """Say which classes are grades."""
        learner = self.project().learner
        projects.set_learner(self.lab, project_id=self.project_id, learner=replace(learner, grades=grades))

    def project(self) -> Project:
        """The project as it is now."""
        return projects.project(self.lab, project_id=self.project_id)

    def _click(self, number: int, per_class: int = 3) -> None:
        rng, mask = np.random.default_rng(number), self.masks[number]
        points = [
            Point(int(place) // WIDTH, int(place) % WIDTH, int(class_id))
            for class_id in self.ids
            for place in rng.choice(np.flatnonzero(mask == class_id), per_class, replace=False)
        ]
        add_points(self.lab, points, image_id=self.images[number], labeller="ann", source=PointSource.CLICK)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
