"""A project whose images contain classes, tagged by people who look at them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fcnlab.domain.project import IGNORE
from fcnlab.domain.tags import TagAnswer, TagChange, TagState
from fcnlab.lab import Lab
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
