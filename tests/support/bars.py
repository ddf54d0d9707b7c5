"""A project with pictures of light bars, clicked by somebody who knows where they are."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.network import SCRATCH, NetworkName, NetworkSpec
from fcnlab.domain.training import TrainingSpec
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points
from fcnlab.services.projects import projects
from fcnlab.services.training.finetuning import TrainingJob
from fcnlab.services.training.training_points import TrainingPoints

HEIGHT, WIDTH = 48, 80
SMALL = NetworkSpec(NetworkName.UNET, 2, encoder=SCRATCH, width=4)
QUICK = TrainingSpec(epochs=3, batch_size=2, learning_rate=5e-3, ema=0.9, holdout=0.34)


def scene(seed: int) -> bytes:
    """A light bar, somewhere else in every picture, on a dark ground."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    top, left = rng.integers(4, HEIGHT - 20), rng.integers(4, WIDTH - 30)
    pixels[top : top + 16, left : left + 26] += 160
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


class Site:
    """A project with pictures of bars, clicked by somebody who knows where they are."""

    def __init__(self, lab: Lab, n_images: int) -> None:
        self.lab = lab
        self.project = projects.create_project(lab, name="bars")
        files = [(f"{number}.png", scene(number)) for number in range(n_images)]
        self.pixels = [np.asarray(Image.open(io.BytesIO(data))) for _, data in files]
        self.images = [step.image_id or 0 for step in import_files(lab, files, project_id=self.project.id)]

    def click(self, number: int, *, per_class: int = 3, source: PointSource = PointSource.CLICK) -> None:
        light = self.pixels[number][..., 0] > 100
        rng = np.random.default_rng([number, len(source)])
        points = []
        for class_id, region in ((self.project.classes[0].id, ~light), (self.project.classes[1].id, light)):
            for place in rng.choice(np.flatnonzero(region), per_class, replace=False):
                points.append(Point(int(place) // WIDTH, int(place) % WIDTH, class_id))
        add_points(self.lab, points, image_id=self.images[number], labeller="ann", source=source)

    def points(self, spec: TrainingSpec = QUICK) -> TrainingPoints:
        found = TrainingPoints(self.lab, self.project.id, spec)
        found.prepare_for(SMALL)
        return found

    def job(self, training: TrainingSpec = QUICK, network: NetworkSpec = SMALL) -> TrainingJob:
        return TrainingJob(self.project.id, network, training)
