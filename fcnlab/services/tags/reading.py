"""What is said of every class in every image of a project: by people, and by the labels they made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from fcnlab.core.tagging.from_labels import NO, UNKNOWN, YES, implied
from fcnlab.domain.counting import Task
from fcnlab.domain.project import ClassLabel, Project
from fcnlab.domain.tags import ImageTag, TagAnswer, TagCounts, TaggableImage, TagState
from fcnlab.errors import UnknownImage
from fcnlab.lab import Lab
from fcnlab.services.tags.labelled import NOTHING_LABELLED, LabelledClasses, LabelledReader
from fcnlab.storage.database import repository_projects
from fcnlab.storage.database.engine import reading
from fcnlab.storage.database.tags import repository as repository_tags

CODES = {TagAnswer.YES: YES, TagAnswer.NO: NO}
ANSWERS = {YES: TagAnswer.YES, NO: TagAnswer.NO, UNKNOWN: None}


@dataclass(frozen=True, eq=False)
class ProjectTags:
    """The tags of a project at one moment.

    Attributes:
        project: with its classes.
        images: all of them, in import order.
        answered: (N, K) int8, what people answered: image by class in the order of `project.classes`.
        labelled: (N, K) int8, what labels in the images say.
        answers: what was answered, by image and class id.
        labels: what labels say in images that have any, by image id.
        revision: of the project and of its tags at that moment.
    """

    project: Project
    images: tuple[TaggableImage, ...]
    answered: NDArray[np.int8]
    labelled: NDArray[np.int8]
    answers: Mapping[tuple[int, int], ImageTag]
    labels: Mapping[int, LabelledClasses]
    revision: tuple[int, int]

    @property
    def classes(self) -> tuple[ClassLabel, ...]:
        """The classes, one for each column."""
        return self.project.classes

    @property
    def class_ids(self) -> tuple[int, ...]:
        """Ids of the classes, one for each column."""
        return tuple(label.id for label in self.project.classes)

    @cached_property
    def row_of(self) -> Mapping[int, int]:
        """The row of each image, by its id."""
        return {image.id: row for row, image in enumerate(self.images)}

    @cached_property
    def column_of(self) -> Mapping[int, int]:
        """The column of each class, by its id."""
        return {label.id: column for column, label in enumerate(self.project.classes)}

    @cached_property
    def values(self) -> NDArray[np.int8]:
        """(N, K) int8: what counts. What was answered of the image goes before what labels say."""
        return np.where(self.answered == UNKNOWN, self.labelled, self.answered)

    @cached_property
    def contradicted(self) -> NDArray[np.bool_]:
        """(N, K): labels in the image say something else than what was answered."""
        is_said_twice = (self.answered != UNKNOWN) & (self.labelled != UNKNOWN)
        return np.asarray(is_said_twice & (self.answered != self.labelled))

    @cached_property
    def teaching(self) -> NDArray[np.int8]:
        """(N, K) int8: what is learned from; contradictions teach nothing until somebody resolves them."""
        return np.where(self.contradicted, np.int8(UNKNOWN), self.values)

    def state(self, image_id: int, class_id: int) -> TagState:
        """What is said of a class in an image, and where it comes from. Raises UnknownImage."""
        if image_id not in self.row_of:
            raise UnknownImage(f"there is no image {image_id} in this project; it may have been deleted")
        place = self.row_of[image_id], self.column_of[class_id]
        labels = self.labels.get(image_id, NOTHING_LABELLED)
        labelled = ANSWERS[int(self.labelled[place])]
        labelled_by = labels.presence_by(class_id) if labelled is TagAnswer.YES else labels.absence_by
        labelled_by = None if labelled is None else labelled_by
        tag = self.answers.get((image_id, class_id))
        if tag is None:
            return TagState(labelled, labelled_by, labelled=labelled, labelled_by=labelled_by)
        return TagState(tag.answer, "answered", tag.labeller, tag.answered_at, labelled, labelled_by)

    def states(self, image_id: int) -> dict[int, TagState]:
        """What is said of every class in an image, by class id. Raises UnknownImage."""
        return {class_id: self.state(image_id, class_id) for class_id in self.class_ids}

    def contradictions(self) -> tuple[tuple[int, int], ...]:
        """(image id, class id) of every contradiction, in import order."""
        places = zip(*np.nonzero(self.contradicted), strict=True)
        return tuple((self.images[row].id, self.class_ids[column]) for row, column in places)

    def counts(self) -> dict[int, TagCounts]:
        """How many images say what of each class, by its id."""
        return {
            class_id: TagCounts(
                yes=int((self.values[:, column] == YES).sum()),
                no=int((self.values[:, column] == NO).sum()),
                unknown=int((self.values[:, column] == UNKNOWN).sum()),
                answered=int((self.answered[:, column] != UNKNOWN).sum()),
                contradicted=int(self.contradicted[:, column].sum()),
            )
            for column, class_id in enumerate(self.class_ids)
        }


READ_SINGLY = 500
"""Images whose tags are read by their ids; beyond that all tags of the project are read at once."""


class TagReader:
    """Reads the tags of a project, and what did not change not again. Used by one thread at a time."""

    def __init__(self, lab: Lab, *, project_id: int) -> None:
        self._lab, self._project_id = lab, project_id
        self._labelled = LabelledReader(lab, project_id=project_id)
        self._answers: dict[int, dict[int, ImageTag]] = {}
        self._last: ProjectTags | None = None

    def read(self) -> ProjectTags:
        """The tags of now; the same value as the last time where nothing changed. Raises UnknownProject."""
        with reading(self._lab.sessions) as session:
            project = repository_projects.project(session, project_id=self._project_id)
            images = repository_tags.taggable_images(session, project_id=self._project_id)
            revision = repository_tags.tag_revision(session, project_id=self._project_id)
            last = self._last
            if last is not None and (last.project, last.images, last.revision) == (project, images, revision):
                return last
            self._refresh(session, project, images, revision[1])
            labels = self._labelled.read(session, images, project=project, revision=revision[0])
        answers = {(tag.image_id, tag.class_id): tag for of in self._answers.values() for tag in of.values()}
        self._last = ProjectTags(
            project,
            images,
            self._answered(project, images),
            _labelled(project, images, labels),
            answers,
            labels,
            revision,
        )
        return self._last

    def _refresh(self, session: Session, project: Project, images: Sequence[TaggableImage], now: int) -> None:
        """Read the answers of images that changed; of all where classes did, or a database was restored."""
        last = self._last
        since = NEVER if last is None or last.class_ids != _ids(project) or last.revision[1] > now else last.revision[1]
        changed = [image.id for image in images if image.revision > max(since, 0)]
        if since == NEVER or len(changed) > READ_SINGLY:
            self._answers, wanted = {}, None
        else:
            self._answers = {image.id: self._answers[image.id] for image in images if image.id in self._answers}
            for image_id in changed:
                self._answers.pop(image_id, None)
            wanted = changed
        for tag in repository_tags.tags(session, project_id=self._project_id, image_ids=wanted):
            self._answers.setdefault(tag.image_id, {})[tag.class_id] = tag

    def _answered(self, project: Project, images: Sequence[TaggableImage]) -> NDArray[np.int8]:
        column_of = {class_id: column for column, class_id in enumerate(_ids(project))}
        values = np.full((len(images), len(column_of)), UNKNOWN, np.int8)
        for row, image in enumerate(images):
            for class_id, tag in self._answers.get(image.id, {}).items():
                values[row, column_of[class_id]] = CODES[tag.answer]
        return values


NEVER = -1
"""The revision of tags of which nothing was read."""


def tags_of(lab: Lab, *, project_id: int) -> ProjectTags:
    """The tags of a project, read once. Raises UnknownProject."""
    return TagReader(lab, project_id=project_id).read()


def _ids(project: Project) -> tuple[int, ...]:
    return tuple(label.id for label in project.classes)


def _labelled(
    project: Project, images: Sequence[TaggableImage], labels: Mapping[int, LabelledClasses]
) -> NDArray[np.int8]:
    """What labels say. Of the background that nobody marked, images whose objects are all marked say nothing."""
    class_ids = _ids(project)
    values = np.full((len(images), len(class_ids)), UNKNOWN, np.int8)
    row_of: dict[LabelledClasses, NDArray[np.int8]] = {}
    for row, image in enumerate(images):
        said = labels.get(image.id)
        if said is not None:
            if said not in row_of:
                row_of[said] = _row(project, class_ids, said)
            values[row] = row_of[said]
    return values


def _row(project: Project, class_ids: Sequence[int], said: LabelledClasses) -> NDArray[np.int8]:
    row = np.array(implied(said.present, said.absence_by is not None, class_ids), np.int8)
    if project.task is Task.COUNTS and project.background in class_ids and said.absence_by == "from points":
        column = class_ids.index(project.background)
        row[column] = YES if row[column] == YES else UNKNOWN
    return row
