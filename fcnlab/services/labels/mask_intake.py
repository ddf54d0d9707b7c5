"""One label image after the other becomes an expert mask, each whole or not at all, and gives its share of points."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from fcnlab.core.training.expert_points import classes_in, sampled_points
from fcnlab.domain.events import Point, PointSource, StoredPoint
from fcnlab.domain.images import ExpertMask, ImageState
from fcnlab.domain.project import IGNORE
from fcnlab.errors import ImportRefused
from fcnlab.lab import Lab
from fcnlab.services.labels.label_names import ClassMatch, ImageNames, KnownImage
from fcnlab.services.predict.overlapping import overlapped
from fcnlab.services.projects.projects import add_class
from fcnlab.storage.database import repository_expert_masks, repository_images, repository_points
from fcnlab.storage.database.engine import writing
from fcnlab.storage.files.png import mask_png
from fcnlab.storage.files.whole_files import write_whole
from fcnlab.storage.formats.reading.labelled import LabelledImage, LabelSource, UnreadLabels
from fcnlab.storage.formats.reading.shapes import is_background

MOST_PER_IMAGE = 100
LEAST_PER_IMAGE = 10
MOST_PER_PROJECT = 20_000
"""Imported points of a project, as far as LEAST_PER_IMAGE allows."""

MOST_IMAGES = 500
"""Images of one import that give points: the instant learner encodes every image that has some."""


@dataclass(frozen=True, slots=True)
class PointShare:
    """What each mask of an import gives.

    Attributes:
        per_image: points drawn from a mask.
        chosen: numbers of the images that give points; None when all do.
        words: what was decided, for people; empty when nothing had to be.
    """

    per_image: int
    chosen: frozenset[int] | None = None
    words: str = ""

    def of_image(self, image_id: int) -> int:
        """Points to draw from the mask of an image."""
        return self.per_image if self.chosen is None or image_id in self.chosen else 0


def shared_points(images: Sequence[int], *, earlier: int, seed: int) -> PointShare:
    """Share what a project may take among the masks of an import; equal arguments give equal shares.

    Of more than MOST_IMAGES one is drawn from each of MOST_IMAGES stretches that are as long as each other.

    Args:
        images: numbers of the images that have a mask, in the order of the project.
        earlier: points that other imports brought before.
        seed: decides which images of many.
    """
    count = min(len(images), MOST_IMAGES)
    left = max(MOST_PER_PROJECT - earlier, 0)
    per_image = min(max(left // max(count, 1), LEAST_PER_IMAGE), MOST_PER_IMAGE)
    if len(images) <= MOST_IMAGES:
        masks = "the mask" if count == 1 else f"each of {count} masks"
        words = "" if per_image == MOST_PER_IMAGE else f"{per_image} points from {masks}"
        return PointShare(per_image, None, words)
    borders = np.arange(count + 1, dtype=np.int64) * len(images) // count
    positions = np.random.default_rng(seed).integers(borders[:-1], borders[1:])
    words = f"{per_image} points from each of {count} masks, spread evenly over {len(images)}; all are kept as truth"
    return PointShare(per_image, frozenset(images[int(position)] for position in positions), words)


def earlier_points(sources: Mapping[str, int], source: str) -> int:
    """Points of the sources before `source`, or of all when it is new.

    Args:
        sources: points that each source has given, in the order in which sources came first.
        source: the source of this import. What came after it does not count, so that importing again changes nothing.
    """
    names = list(sources)
    before = names[: names.index(source)] if source in sources else names
    return sum(sources[name] for name in before)


NAME_CHARS = 16
"""Of the digest of a mask, in the name of its file."""

MOST_LISTED = 12


def is_left_out(match: ClassMatch) -> bool:
    """Whether no pixel of a class of the file is taken."""
    return match.label is None and not match.is_new


def is_thing(match: ClassMatch) -> bool:
    """Whether a class of the file is more than its background."""
    return not is_background(match.named.name)


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, the first MOST_LISTED of them."""
    return ", ".join(names[:MOST_LISTED]) + (f" and {len(names) - MOST_LISTED} more" if names[MOST_LISTED:] else "")


class Outcome(StrEnum):
    """What became of the labels of one image."""

    STORED = "stored"
    REPLACED = "replaced"
    KNOWN = "known"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class LabelProgress:
    """One image further.

    Attributes:
        done: images looked at so far, this one included.
        total: images in all, None when nobody knows.
        name: of the image, as the project or else the file has it.
        outcome: what became of it.
        reason: why it was left out; empty when it was not.
        n_points: training points it gave.
        left_out_classes: classes met here for the first time of which no pixel is taken.
        notes: marks that became unknown pixels or were dropped, and why, a line each.
    """

    done: int
    total: int | None
    name: str
    outcome: Outcome
    reason: str = ""
    n_points: int = 0
    left_out_classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """What is to be stored of one image; `mask` holds class ids. `left_out` are classes met for the first time."""

    image: KnownImage
    mask: NDArray[np.uint8] | None
    points: tuple[Point, ...]
    digest: str
    file: str
    left_out: tuple[str, ...]


class Intake:
    """Takes label images into a project. Classes that were to be added are added when a pixel has them."""

    def __init__(
        self,
        lab: Lab,
        project_id: int,
        *,
        names: ImageNames,
        classes: Sequence[ClassMatch],
        source: str,
        labeller: str,
        weight: float,
        seed: int,
    ) -> None:
        self._lab, self._project_id, self._names, self._classes = lab, project_id, names, classes
        self._source, self._labeller = source, labeller
        self._weight, self._seed = weight, seed
        self._ids = np.full(IGNORE + 1, IGNORE, np.uint8)
        for class_index, match in enumerate(classes):
            if match.label is not None:
                self._ids[class_index] = match.label.id
        self._seen: set[int] = set()
        self._told: set[int] = set()

    def steps(self, source: LabelSource, share: PointShare) -> Iterator[LabelProgress]:
        """Store the labels of one image after the other with its share of points; what cannot be taken is named.

        While one is stored, the next is read: the disk takes longer than the masks.
        """
        steps = overlapped(
            enumerate(source.images(), start=1),
            read=lambda item: self._labels(item[1], share),
            work=self._with_file,
            write=lambda _, labels: self._store(labels),
        )
        for step in steps:
            done, image_labels = step.item
            if step.kept is None:
                reason = " ".join(str(step.refused).split())
                yield LabelProgress(done, source.total, image_labels.name, Outcome.LEFT_OUT, reason)
            else:
                labels, outcome, n_points = step.kept
                notes = image_labels.notes.lines if isinstance(image_labels, LabelledImage) else ()
                yield LabelProgress(
                    done, source.total, labels.image.name, outcome, "", n_points, labels.left_out, notes
                )

    def _labels(self, image_labels: LabelledImage | UnreadLabels, share: PointShare) -> _Labels:
        if isinstance(image_labels, UnreadLabels):
            raise ImportRefused(image_labels.reason)
        image = self._names.find(image_labels.name)
        if image_labels.hw is not None and image_labels.hw != image.hw:
            raise ImportRefused(
                f"the labels are for {image_labels.hw[1]} x {image_labels.hw[0]} pixels, {image.name} has "
                f"{image.hw[1]} x {image.hw[0]} once it is upright"
            )
        if image.id in self._seen:
            raise ImportRefused(f"other labels of this import are for {image.name} already, and were taken")
        class_indices = None if image_labels.mask is None else image_labels.mask(image.hw)
        if class_indices is not None and class_indices.shape != image.hw:
            raise ImportRefused(
                f"the mask has {class_indices.shape[1]} x {class_indices.shape[0]} pixels, not those of {image.name}"
            )
        used = {point.class_index for point in image_labels.points}
        if class_indices is not None:
            used |= set(classes_in(class_indices))
        for point in image_labels.points:
            if point.row >= image.hw[0] or point.col >= image.hw[1]:
                raise ImportRefused(f"a point in row {point.row}, column {point.col} is outside {image.name}")
        self._refuse_nothing(used)
        left_out = self._prepare(used)
        wanted = [Point(point.row, point.col, int(self._ids[point.class_index])) for point in image_labels.points]
        points = tuple(point for point in wanted if point.class_id != IGNORE)
        mask = None if class_indices is None else self._ids[class_indices]
        self._seen.add(image.id)
        return self._with_digest(image, mask, points, left_out, share.of_image(image.id))

    def _refuse_nothing(self, used: set[int]) -> None:
        """Without what is left out, something of the image must remain: background alone would be a false truth."""
        met = [self._classes[class_index] for class_index in sorted(used)]
        dropped = [match.named.name for match in met if is_left_out(match)]
        if dropped and not any(is_thing(match) and not is_left_out(match) for match in met):
            raise ImportRefused(f"all that is labelled in it is of classes that are left out: {listed(dropped)}")
        if not met:
            raise ImportRefused("none of its pixels is labelled with a class of the project")

    def _prepare(self, used: set[int]) -> tuple[str, ...]:
        """Make the classes that are new, and name those that are left out, once."""
        untold = []
        for class_index in sorted(used):
            match = self._classes[class_index]
            if match.is_new and self._ids[class_index] == IGNORE:
                label = add_class(
                    self._lab, project_id=self._project_id, name=match.named.name, colour=match.named.colour
                )
                for other_index, other_match in enumerate(self._classes):
                    if other_match.is_new and other_match.named.name.casefold() == match.named.name.casefold():
                        self._ids[other_index] = label.id
            elif self._ids[class_index] == IGNORE and class_index not in self._told:
                self._told.add(class_index)
                untold.append(match.named.name)
        return tuple(untold)

    def _with_digest(
        self,
        image: KnownImage,
        mask: NDArray[np.uint8] | None,
        points: tuple[Point, ...],
        left_out: tuple[str, ...],
        count: int,
    ) -> _Labels:
        content = hashlib.sha256(f"{image.hw}".encode())
        file = ""
        if mask is not None:
            content.update(np.ascontiguousarray(mask).data)
            file = f"{self._project_id}/expert-{image.id}-{content.hexdigest()[:NAME_CHARS]}.png"
            rng = np.random.default_rng([self._seed, int(content.hexdigest()[:NAME_CHARS], 16)])
            points = (*points, *sampled_points(mask, count, rng=rng))
        content.update(f"{points} {count} {self._weight!r} {self._seed}".encode())
        return _Labels(image, mask, points, content.hexdigest(), file, left_out)

    def _with_file(self, labels: _Labels) -> _Labels:
        """The same, once the mask is on the disk."""
        path = self._lab.folders.masks / labels.file
        if labels.mask is not None and not path.is_file():
            write_whole(path, mask_png(labels.mask))
        return labels

    def _store(self, labels: _Labels) -> tuple[_Labels, Outcome, int]:
        with writing(self._lab.sessions) as session:
            earlier = repository_expert_masks.of_source(session, image_id=labels.image.id, source=self._source)
            same = [expert_mask for expert_mask in earlier if expert_mask.digest == labels.digest]
            if same:
                return labels, Outcome.KNOWN, same[-1].n_points
            now = self._lab.clock()
            for expert_mask in earlier:
                repository_expert_masks.remove_expert_mask(session, mask=expert_mask, now=now)
            outline = repository_images.find_outline(session, image_id=labels.image.id)
            if outline is None or outline.project_id != self._project_id:
                raise ImportRefused("the image was deleted meanwhile")
            stored = repository_expert_masks.add_expert_mask(
                session,
                project_id=self._project_id,
                image_id=labels.image.id,
                file=labels.file,
                source=self._source,
                digest=labels.digest,
                labeller=self._labeller,
                weight=self._weight,
                n_known=0 if labels.mask is None else int((labels.mask != IGNORE).sum()),
                now=now,
            )
            points = self._free_points(session, labels, stored)
            repository_expert_masks.add_expert_points(session, mask=stored, points=points)
            if points and outline.state is ImageState.NEW:
                repository_images.set_image_state(session, image_id=labels.image.id, state=ImageState.IN_PROGRESS)
        return labels, (Outcome.REPLACED if earlier else Outcome.STORED), len(points)

    def _free_points(self, session: Session, labels: _Labels, stored: ExpertMask) -> list[StoredPoint]:
        """The points whose pixel nobody labelled: a click is never overwritten."""
        live = repository_points.points_of_image(session, image_id=labels.image.id)
        taken = {(live_point.point.row, live_point.point.col) for live_point in live}
        free: list[Point] = []
        for point in labels.points:
            if (point.row, point.col) not in taken:
                taken.add((point.row, point.col))
                free.append(point)
        return [
            StoredPoint(
                repository_expert_masks.point_uid(mask_id=stored.id, number=index),
                labels.image.id,
                point,
                self._labeller,
                PointSource.IMPORT,
                stored.created_at,
                self._weight,
            )
            for index, point in enumerate(free)
        ]
