"""Which classes the labels in the images of a project say they contain: points, strokes and expert masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sqlalchemy.orm import Session

from fcnlab.core.images.painting import visible_classes
from fcnlab.core.tagging.from_labels import present_in
from fcnlab.domain.counting import Task
from fcnlab.domain.project import Project
from fcnlab.domain.tags import TaggableImage, TagSource
from fcnlab.lab import Lab
from fcnlab.services.labelling.newest_points import newest_per_pixel
from fcnlab.services.labelling.painting import painting_of
from fcnlab.services.live.change_detection import points_by_image
from fcnlab.storage.database import repository_images, repository_strokes
from fcnlab.storage.database.repository_expert_masks import is_of_expert_mask
from fcnlab.storage.database.repository_projects import NOTHING_READ
from fcnlab.storage.database.tags.repository import truth_files
from fcnlab.storage.files.png import read_mask

MASKS_REMEMBERED = 50_000
"""Expert masks whose classes a process remembers; a file of that name never changes."""


@dataclass(frozen=True, slots=True)
class LabelledClasses:
    """Ids of the classes that an image contains, by the labels that say so.

    `absence_by`: which labels say of every pixel, or object, what it is, so that the image contains no other class;
    None where none do.
    """

    points: frozenset[int] = frozenset()
    strokes: frozenset[int] = frozenset()
    mask: frozenset[int] = frozenset()
    absence_by: TagSource | None = None

    @property
    def present(self) -> frozenset[int]:
        """All of these classes."""
        return self.points | self.strokes | self.mask

    def presence_by(self, class_id: int) -> TagSource | None:
        """Which labels say that the image contains a class: what was clicked before what came from elsewhere."""
        kinds: tuple[tuple[TagSource, frozenset[int]], ...] = (
            ("from points", self.points),
            ("from strokes", self.strokes),
            ("from mask", self.mask),
        )
        return next((source for source, class_ids in kinds if class_id in class_ids), None)


NOTHING_LABELLED = LabelledClasses()


class LabelledReader:
    """Reads what labels say, and of images that did not change not again. Used by one thread at a time."""

    def __init__(self, lab: Lab, *, project_id: int) -> None:
        self._lab, self._project_id = lab, project_id
        self._read_at = NOTHING_READ
        self._clicked: dict[int, tuple[frozenset[int], frozenset[int]]] = {}
        self._painted: dict[int, tuple[tuple[int, ...], frozenset[int]]] = {}

    def read(
        self, session: Session, images: Sequence[TaggableImage], *, project: Project, revision: int
    ) -> Mapping[int, LabelledClasses]:
        """What labels say of these images, all of the project, at a revision of it; images without any are left out."""
        changed = repository_images.images_since(
            session, project_id=self._project_id, revision=self._read_at, now=revision
        )
        changed_ids = [image_at.image.id for image_at in changed if image_at.is_changed]
        for image_id, stored in points_by_image(session, changed_ids, project_id=self._project_id).items():
            points = newest_per_pixel(stored)
            by_hand = frozenset(each.point.class_id for each in points if not is_of_expert_mask(each.uid))
            self._clicked[image_id] = by_hand, frozenset(each.point.class_id for each in points) - by_hand
            self._painted.pop(image_id, None)
        strokes = repository_strokes.live_stroke_ids_by_image(session, project_id=self._project_id)
        self._paint(session, strokes)
        truths = truth_files(session, project_id=self._project_id)
        self._read_at = revision
        in_use, is_counting = project.class_ids(), project.task is Task.COUNTS
        said = {image.id: self._said(image, in_use, truths.get(image.id), is_counting=is_counting) for image in images}
        return {image_id: labelled for image_id, labelled in said.items() if labelled != NOTHING_LABELLED}

    def _paint(self, session: Session, strokes: Mapping[int, tuple[int, ...]]) -> None:
        """Remember the classes of images whose strokes changed, or points, which may lie over them."""
        self._painted = {image_id: kept for image_id, kept in self._painted.items() if image_id in strokes}
        for image_id, stroke_ids in strokes.items():
            if self._painted.get(image_id, ((), frozenset()))[0] != stroke_ids:
                painting = painting_of(session, repository_images.image(session, image_id=image_id))
                self._painted[image_id] = stroke_ids, visible_classes(painting)

    def _said(
        self, image: TaggableImage, in_use: frozenset[int], truth: str | None, *, is_counting: bool
    ) -> LabelledClasses:
        by_hand, from_expert = self._clicked.get(image.id, (frozenset(), frozenset()))
        painted = self._painted.get(image.id, ((), frozenset()))[1]
        mask, is_whole = _classes_of(self._lab.folders.masks, truth, image.hw, in_use)
        absence_by: TagSource | None = "from mask" if is_whole else None
        if absence_by is None and image.is_complete and is_counting:
            absence_by = "from points"
        return LabelledClasses(by_hand | (from_expert - mask), painted, mask, absence_by)


class _NoMask(Exception):
    """A file that is gone or damaged: not remembered, somebody may put it back."""


def _classes_of(
    folder: Path, file: str | None, hw: tuple[int, int], in_use: frozenset[int]
) -> tuple[frozenset[int], bool]:
    """Classes in use of a mask, and whether each of its pixels has one."""
    if file is None:
        return frozenset(), False
    try:
        present, is_whole = _classes_in(folder / file, hw)
    except _NoMask:
        return frozenset(), False
    return present & in_use, is_whole and present <= in_use


@lru_cache(maxsize=MASKS_REMEMBERED)
def _classes_in(path: Path, hw: tuple[int, int]) -> tuple[frozenset[int], bool]:
    """See `present_in`, of a mask file. Raises _NoMask."""
    mask = read_mask(path)
    if mask is None or mask.shape != hw:
        raise _NoMask
    return present_in(mask)
