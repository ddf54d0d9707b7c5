"""A project that counts dots: pictures with a point on every one, and some with a few points only."""

from __future__ import annotations

import io
from dataclasses import replace

from PIL import Image

from fcnlab.domain.counting import Objective, Task
from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.network import SCRATCH, NetworkName, NetworkSpec
from fcnlab.domain.training import TrainingSpec, counting_training
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points
from fcnlab.services.projects import projects
from fcnlab.services.training.finetuning import TrainingJob
from fcnlab.storage.database import repository_counts
from fcnlab.storage.database.engine import writing
from tests.support.dots import dot_places, dotted

SMALL = NetworkSpec(NetworkName.UNET, 2, encoder=SCRATCH, width=4)
QUICK = replace(counting_training(Objective.DENSITY), epochs=2, minutes=0.0, holdout=0.3, learning_rate=5e-3)


def png(number: int, n_dots: int | None = None) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(dotted(number, n_dots)).save(buffer, format="PNG")
    return buffer.getvalue()


class Dots:
    """The project `dots`; `complete` images are all marked, the last of them is empty, `begun` have two points."""

    def __init__(self, lab: Lab, *, complete: int = 7, begun: int = 2, name: str = "dots") -> None:
        self.lab = lab
        self.project = projects.create_project(lab, name=name, task=Task.COUNTS)
        self.n_dots = [0 if number == complete - 1 else None for number in range(complete + begun)]
        files = [(f"{number}.png", png(number, n_dots)) for number, n_dots in enumerate(self.n_dots)]
        self.images = [step.image_id or 0 for step in import_files(lab, files, project_id=self.project.id)]
        self.background, self.dot = (label.id for label in self.project.classes[:2])
        for number in range(complete + begun):
            places = dot_places(number, self.n_dots[number])
            self.mark(number, places if number < complete else places[:2])
            if number < complete:
                self.say_complete(number)

    def mark(self, number: int, places: object) -> None:
        points = [Point(int(row), int(col), self.dot) for row, col in places]  # type: ignore[attr-defined]
        if points:
            add_points(self.lab, points, image_id=self.images[number], labeller="ann", source=PointSource.CLICK)

    def say_complete(self, number: int, *, complete: bool = True) -> None:
        with writing(self.lab.sessions) as session:
            repository_counts.set_complete(session, image_id=self.images[number], complete=complete)

    def job(self, training: TrainingSpec = QUICK) -> TrainingJob:
        return TrainingJob(self.project.id, SMALL, training)
