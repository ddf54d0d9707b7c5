"""A project whose images contain classes, tagged by people who look at them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping

import numpy as np
from PIL import Image

from fcnlab.domain.project import IGNORE
from fcnlab.domain.tags import TagAnswer, TagChange, TagState
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.projects import projects
from fcnlab.services.tags.answering import TagsSet, set_tags
from fcnlab.services.tags.reading import ProjectTags, tags_of
from fcnlab.storage.database import repository_expert_masks
from fcnlab.storage.database.engine import writing
from fcnlab.storage.files.png import mask_png
from tests.support.tabs import HEIGHT, WIDTH, Tab, new_project

GROUND, CELL = 0, 1
Y, N = TagAnswer.YES, TagAnswer.NO


class TagBench:
    """A project of images that nobody has the files of, with the classes GROUND and CELL."""

    def __init__(self, lab: Lab, *, n_images: int = 4, name: str = "cells") -> None:
        self.lab = lab
        self.project_id, self.images = new_project(lab, name=name, n_images=n_images)

    def say(self, answers: Mapping[tuple[int, int], TagAnswer | None], *, who: str = "ann") -> TagsSet:
        """Answers by the number of an image and a class id."""
        changes = [TagChange(self.images[number], class_id, given) for (number, class_id), given in answers.items()]
        return set_tags(self.lab, changes, project_id=self.project_id, labeller=who)

    def tags(self) -> ProjectTags:
        return tags_of(self.lab, project_id=self.project_id)

    def state(self, number: int, class_id: int) -> TagState:
        return self.tags().state(self.images[number], class_id)

    def tab(self, number: int, *, client: str = "client-one") -> Tab:
        return Tab(self.lab, project_id=self.project_id, image_id=self.images[number], client=client)

    def mask(self, number: int, *, cell: bool = True, unknown: bool = False) -> None:
        """An expert mask: ground, a box of cells perhaps, and a row of unknown pixels perhaps."""
        values = np.full((HEIGHT, WIDTH), GROUND, np.uint8)
        if cell:
            values[3:9, 5:30] = CELL
        if unknown:
            values[20] = IGNORE
        file = f"{self.project_id}-{number}-{cell}-{unknown}.png"
        (self.lab.folders.masks / file).write_bytes(mask_png(values))
        with writing(self.lab.sessions) as session:
            repository_expert_masks.add_expert_mask(
                session,
                project_id=self.project_id,
                image_id=self.images[number],
                file=file,
                source="masks.zip",
                digest=file,
                labeller="expert",
                weight=1.0,
                n_known=int((values != IGNORE).sum()),
                now=self.lab.clock(),
            )


def photo(seed: int, *, bar: bool) -> bytes:
    """A dark ground with grain, and a light bar across it or none."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    if bar:
        top, left = rng.integers(2, HEIGHT - 20), rng.integers(2, WIDTH - 34)
        pixels[top : top + 18, left : left + 32] += 160
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


class PhotoSite:
    """A project of photos, those of even numbers with a bar; `said` of them are answered by somebody who looks."""

    def __init__(self, lab: Lab, *, n_images: int = 12, said: int = 6) -> None:
        self.lab = lab
        self.project = projects.create_project(lab, name="bars", labels=projects.labels_of(["ground", "bar"]))
        self.bar = self.project.classes[1].id
        files = [(f"{number:02}.png", photo(number, bar=self.has_bar(number))) for number in range(n_images)]
        self.images = [step.image_id or 0 for step in import_files(lab, files, project_id=self.project.id)]
        self.answer(range(said))

    @staticmethod
    def has_bar(number: int) -> bool:
        return number % 2 == 0

    def answer(self, numbers: Iterable[int]) -> None:
        changes = [TagChange(self.images[number], self.bar, Y if self.has_bar(number) else N) for number in numbers]
        set_tags(self.lab, changes, project_id=self.project.id, labeller="ann")
