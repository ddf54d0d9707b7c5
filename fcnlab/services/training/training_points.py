"""The points of a project as networks learn from them, read anew for every epoch."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from fcnlab.core.images.coords import to_working
from fcnlab.core.learner.head import missing_message
from fcnlab.core.learner.model import Model
from fcnlab.core.learner.samples import Clicks, canonical_clicks
from fcnlab.core.learner.signed_scores import (
    class_scores,
    margins,
    probabilities_of,
    signed_scores_of,
    winning_class,
)
from fcnlab.core.training.batches import LabelledPicture
from fcnlab.core.training.network_model import NetworkModel, seen_hw, seen_picture
from fcnlab.core.training.objectives import TrainingObjective
from fcnlab.core.training.splits import ALIKE, groups_alike, held_out
from fcnlab.domain.events import Point, PointSource, StoredPoint
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.network import NetworkSpec
from fcnlab.domain.scores import EXPERT_MASK, Gain, PointScore, Score
from fcnlab.domain.training import TrainingSpec
from fcnlab.errors import NoPoints
from fcnlab.lab import Lab
from fcnlab.services.images.importing import read_picture
from fcnlab.services.images.pictures import thumbnail_descriptor
from fcnlab.services.labelling.newest_points import newest_per_pixel
from fcnlab.services.labels.expert_masks import expert_truth, mean_iou_on
from fcnlab.services.live.change_detection import points_by_image
from fcnlab.services.models.files import NetworkPredictor, quick_twin
from fcnlab.storage.database import repository_images, repository_points, repository_projects
from fcnlab.storage.database.engine import reading
from fcnlab.storage.database.repository_expert_masks import is_of_expert_mask
from fcnlab.storage.database.repository_projects import NOTHING_READ

log = logging.getLogger(__name__)


def training_accuracy(model: Model) -> float:
    """Share of clicked pixels that the head alone, before any refinement, gives the class they were clicked as."""
    right, total = 0, 0
    weights, bias = margins(model.head)
    for labelled in model.samples:
        clicked = labelled.samples.clicked
        if not len(clicked.class_ids):
            continue
        scores = class_scores((clicked.features @ weights.T + bias).T, model.head)
        predicted = winning_class(model.head.class_ids, probabilities_of(signed_scores_of(scores)))
        right += int((predicted == clicked.class_ids).sum())
        total += len(predicted)
    return right / total if total else 0.0


PICTURE_MEMORY_BYTES = 1_000_000_000
"""Pictures kept; others are read again."""


class PictureMemory:
    """The pictures read last, at the size they were wanted."""

    def __init__(self) -> None:
        self._pictures: LRUCache[Hashable, NDArray[np.uint8]] = LRUCache(PICTURE_MEMORY_BYTES, getsizeof=_at_most)

    def picture(self, key: Hashable, hw: tuple[int, int], read: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """The picture (H, W, 3) uint8 of that name and size, read if it is not known."""
        picture = self._pictures.get(key)
        if picture is None or picture.shape[:2] != hw:
            picture = self._pictures[key] = read()
        return picture


def _at_most(picture: NDArray[np.uint8]) -> float:
    """Bytes of a picture; one that is larger than the memory is kept alone."""
    return min(picture.nbytes, PICTURE_MEMORY_BYTES)


RANDOM_ENOUGH = 20
"""Held-out answers to randomly drawn pixels from which the score is taken on them alone."""


class TrainingPoints:
    """What a training learns from, and what it is scored on.

    Classes and held-out images are decided once, at the beginning; images that get their first point later are
    learned from. An image that is held out stays so when a training goes on after an interruption (`plan`).

    Args:
        image_ids: images to learn from; None means all with points.
        plan: of an interrupted training, or one that several share.
        as_of: learn from the points of that moment; None follows them.

    Raises:
        NoPoints: fewer than two classes have points.
    """

    def __init__(
        self,
        lab: Lab,
        project_id: int,
        spec: TrainingSpec,
        *,
        image_ids: Sequence[int] | None = None,
        plan: Mapping[str, Any] | None = None,
        as_of: datetime | None = None,
    ) -> None:
        self._lab, self._project_id, self._spec = lab, project_id, spec
        self._wanted = None if image_ids is None else frozenset(image_ids)
        self._as_of = as_of
        self.newest_point: int | None = (plan or {}).get("newest_point")
        """Of points that are read as of a moment, the highest number of then; None in plans that know only the time."""
        self._is_new = plan is None
        self._by_source = spec.weight_by_source()
        self._absent: dict[int, tuple[int, ...]] = {}
        self._held: frozenset[int] = frozenset()
        self._held_descriptors: list[NDArray[np.float32]] = []
        self._read_at = NOTHING_READ
        self._points: dict[int, list[StoredPoint]] = {}
        self._images: dict[int, ImageInfo] = {}
        self._network: NetworkSpec | None = None
        self.background: int | None = None
        self._pictures = PictureMemory()
        self._refresh()
        self.clicked = self.classes = self._classes_with_points()
        if plan is None:
            self._held = self._choose_held_out()
        else:
            self._held = frozenset(int(image_id) for image_id in plan["held_out"])
            names = dict(self.classes)
            self.classes = tuple(
                (int(class_id), names.get(int(class_id), str(class_id))) for class_id in plan["classes"]
            )
        self._places = {class_id: index for index, (class_id, _) in enumerate(self.classes)}
        if spec.absent_weight:
            self._read_tagged()

    def plan(self) -> dict[str, Any]:
        """What was decided at the beginning, as plain values."""
        decided: dict[str, Any] = {
            "held_out": sorted(self._held),
            "classes": [class_id for class_id, _ in self.classes],
        }
        return decided if self.newest_point is None else {**decided, "newest_point": self.newest_point}

    def prepare_for(self, network: NetworkSpec) -> None:
        """Make pictures ready for this network."""
        self._network = network

    def usual_hw(self) -> tuple[int, int]:
        """The size most images have."""
        return Counter(image.hw for image in self._images.values()).most_common(1)[0][0]

    @property
    def training(self) -> TrainingSpec:
        """How to train, with all that was decided at the beginning."""
        return self._spec

    def objective(self, _device: str) -> TrainingObjective[Any] | None:
        """The objective of the training; None for segmentation by points."""
        return None

    def learned_images(self) -> list[str]:
        """Hashes of the files of the images learned from."""
        learned = self._counting(held=False, with_tagged=True)
        return sorted({self._images[image_id].content_hash for image_id, _ in learned})

    def calibrated_images(self) -> list[str]:
        """Hashes of the files of the images held out."""
        return sorted({self._images[image_id].content_hash for image_id, _ in self._counting(held=True)})

    def n_points(self) -> int:
        """Number of points learned from."""
        return sum(len(points) for _, points in self._counting(held=False))

    def point_set_hash(self) -> str:
        """SHA-256 of what is learned from: image, place, class and weight of every point, and tags that teach."""
        digest = hashlib.sha256()
        for image_id, points in self._counting(held=False, with_tagged=True):
            for stored in points:
                point = stored.point
                digest.update(
                    f"{image_id} {point.row} {point.col} {point.class_id} {self._weight(stored)!r}\n".encode()
                )
            if image_id in self._absent:
                digest.update(f"{image_id} without {self._absent[image_id]}\n".encode())
        return digest.hexdigest()

    def learned_from(self) -> list[LabelledPicture]:
        """The pictures of the next epoch. Raises NoPoints when people took all points away."""
        self._refresh()
        pictures = self._labelled(held=False)
        if not pictures:
            raise NoPoints("no image has points to learn from any more: click some pixels, then go on")
        return pictures

    def held_out(self) -> list[LabelledPicture]:
        """The pictures that training never sees; only their randomly drawn points, when there are enough."""
        return self._labelled(held=True, random_only=self._is_random())

    def images(self, *, held: bool) -> list[tuple[ImageInfo, list[Point]]]:
        """The images learned from, or those held out, in order, with the points that count there."""
        random_only = held and self._is_random()
        return [
            (self._images[image_id], [stored.point for stored in points])
            for image_id, points in self._counting(held=held, random_only=random_only)
        ]

    def clicks(self, *, held: bool) -> list[tuple[ImageInfo, Clicks]]:
        """As `images`, with the weights of the points."""
        random_only = held and self._is_random()
        return [
            (
                self._images[image_id],
                canonical_clicks([p.point for p in points], self._images[image_id].hw, map(self._weight, points)),
            )
            for image_id, points in self._counting(held=held, random_only=random_only)
        ]

    def described(self, score: Score | None) -> Score | None:
        """The score with the truth about where its points came from."""
        if not isinstance(score, PointScore):
            return score
        held = self._counting(held=True, random_only=self._is_random())
        return replace(score, sources=dict(Counter(_origin(point) for _, points in held for point in points)))

    def measured(self, model: NetworkModel) -> Score | None:
        """The score of a trained network, with its mean IoU on the expert masks of held-out images.

        And with what it has over the instant learner, unless that takes part in the same comparison itself.
        """
        if not isinstance(model.score, PointScore):
            return model.score
        held = [self._images[image_id] for image_id in sorted(self._held) if image_id in self._images]
        predictor = NetworkPredictor(quick_twin(model, self._lab.device), device=self._lab.device)
        truths = ((image, truth) for image in held if (truth := expert_truth(self._lab, image)) is not None)
        mean_iou, n_masks = mean_iou_on(self._lab, truths, class_ids=model.class_ids, mask_of=predictor.mask)
        gain = None if self._as_of is not None else self._over_instant(predictor)
        return replace(model.score, mean_iou=mean_iou, n_masks=n_masks, over_instant=gain)

    def _over_instant(self, predictor: NetworkPredictor) -> Gain | None:
        """A training that went well does not fail for what it is held against."""
        from fcnlab.services.comparing.over_instant import gain_over_instant

        try:
            with reading(self._lab.sessions) as session:
                project = repository_projects.project(session, project_id=self._project_id)
            return gain_over_instant(self._lab, self, project, predictor)
        except Exception:
            log.exception("the network is not held against the instant learner")
            return None

    def _is_random(self) -> bool:
        random = [point for image_id in self._held for point in self._points.get(image_id, ()) if _is_random(point)]
        return len(random) >= RANDOM_ENOUGH and len({point.point.class_id for point in random}) > 1

    def _labelled(self, *, held: bool, random_only: bool = False) -> list[LabelledPicture]:
        return [
            self._picture(self._images[image_id], points)
            for image_id, points in self._counting(held=held, random_only=random_only, with_tagged=not held)
        ]

    def _counting(
        self, *, held: bool, random_only: bool = False, with_tagged: bool = False
    ) -> Iterator[tuple[int, list[StoredPoint]]]:
        """(image id, points of classes that take part) of the images learned from, or held out.

        `with_tagged`: also of images without points of which tags say what they do not contain.
        """
        for image_id in sorted(self._points.keys() | self._absent.keys()):
            points = [
                stored
                for stored in self._points.get(image_id, ())
                if stored.point.class_id in self._places and self._weight(stored) > 0
            ]
            if random_only:
                points = [stored for stored in points if _is_random(stored)]
            is_told = bool(points) or self._is_complete(image_id) or (with_tagged and image_id in self._absent)
            if is_told and (image_id in self._held) == held:
                yield image_id, points

    def _picture(self, image: ImageInfo, points: Sequence[StoredPoint]) -> LabelledPicture:
        assert self._network is not None
        hw = seen_hw(image.hw, self._network, self._spec)
        rows = np.array([stored.point.row for stored in points], np.int64)
        cols = np.array([stored.point.col for stored in points], np.int64)
        return LabelledPicture(
            image.name,
            partial(self._read, image, hw),
            to_working(rows, full=image.height, working=hw[0])[0].astype(np.float32),
            to_working(cols, full=image.width, working=hw[1])[0].astype(np.float32),
            np.array([self._places[stored.point.class_id] for stored in points], np.int64),
            np.array([self._weight(stored) for stored in points], np.float32),
            self._is_complete(image.id),
            image.hw,
            self._absent.get(image.id, ()),
        )

    def _is_complete(self, _image_id: int) -> bool:
        """Whether an image without points is learned from as well: nothing is known of pixels nobody clicked."""
        return False

    def _weight(self, point: StoredPoint) -> float:
        return point.weight * self._by_source[point.source]

    def _read(self, image: ImageInfo, hw: tuple[int, int]) -> NDArray[np.uint8]:
        return self._pictures.picture(image.picture_id, hw, lambda: seen_picture(read_picture(self._lab, image), hw))

    def _read_tagged(self) -> None:
        """Read what tags say, and the images without points; one that looks like one held out is held out with it."""
        absent = absent_places(self._lab, self._project_id, self._places)
        wanted = absent.keys() if self._wanted is None else absent.keys() & self._wanted
        new = sorted(wanted - self._images.keys())
        with reading(self._lab.sessions) as session:
            images = repository_images.images_by_ids(session, image_ids=new)
        self._images |= {image.id: image for image in images}
        self._absent = {image_id: absent[image_id] for image_id in sorted(wanted & self._images.keys())}
        self._hold_out_alike([image.id for image in images])

    def _refresh(self) -> None:
        """Read the points of images where something changed."""
        if self._as_of is not None:
            self._read_as_of(self._as_of)
            return
        with reading(self._lab.sessions) as session:
            _, now = repository_projects.project_at(session, project_id=self._project_id)
            raised = repository_images.images_since(
                session, project_id=self._project_id, revision=self._read_at, now=now
            )
            images = {image.id: image for image, *_ in raised if self._wanted is None or image.id in self._wanted}
            changed = list(images)
            points = points_by_image(session, changed, project_id=self._project_id)
            new = [image_id for image_id in changed if points[image_id] and image_id not in self._images]
            self._images |= {image_id: image for image_id, image in images.items() if points[image_id]}
        for image_id in changed:
            if points[image_id]:
                self._points[image_id] = _newest(points[image_id])
            else:
                self._points.pop(image_id, None)
        self._read_at = now
        self._hold_out_alike(new)

    def _hold_out_alike(self, new: Sequence[int]) -> None:
        """An image labelled later that looks like one held out is held out with it."""
        if not self._held or not new:
            return
        if not self._held_descriptors:
            self._held_descriptors = [
                thumbnail_descriptor(self._lab, self._images[image_id])
                for image_id in sorted(self._held)
                if image_id in self._images
            ]
        table = np.stack(self._held_descriptors)
        alike = [
            image_id
            for image_id in new
            if float((table @ thumbnail_descriptor(self._lab, self._images[image_id])).max()) > ALIKE
        ]
        self._held |= frozenset(alike)

    def _read_as_of(self, as_of: datetime) -> None:
        """Read the points that were live at a time, once."""
        if self._points:
            return
        with reading(self._lab.sessions) as session:
            if self._is_new:
                self.newest_point = repository_points.newest_point_id(session, project_id=self._project_id)
            stored = repository_points.points_as_of(
                session, project_id=self._project_id, as_of=as_of, newest=self.newest_point
            )
            for image_id, of_image in groupby(stored, key=lambda point: point.image_id):
                if self._wanted is None or image_id in self._wanted:
                    self._points[image_id] = _newest(list(of_image))
            images = repository_images.images_by_ids(session, image_ids=list(self._points))
            self._images = {image.id: image for image in images}

    def _classes_with_points(self) -> tuple[tuple[int, str], ...]:
        """(id, name) of the classes that have points, in the order of the class bar."""
        with reading(self._lab.sessions) as session:
            project = repository_projects.project(session, project_id=self._project_id)
        present = {point.point.class_id for points in self._points.values() for point in points}
        self.background = project.background
        if len(present) < 2:
            raise NoPoints(missing_message(tuple(sorted(present))))
        return tuple((label.id, label.name) for label in project.classes if label.id in present)

    def _choose_held_out(self) -> frozenset[int]:
        if not self._spec.holdout:
            return frozenset()
        ids = sorted(self._points)
        groups = groups_alike([thumbnail_descriptor(self._lab, self._images[image_id]) for image_id in ids])
        classes = [np.array([stored.point.class_id for stored in self._points[image_id]], np.int64) for image_id in ids]
        rng = np.random.default_rng(self._spec.seed)
        return frozenset(ids[index] for index in held_out(groups, classes, share=self._spec.holdout, rng=rng))


def absent_places(lab: Lab, project_id: int, places: Mapping[int, int]) -> dict[int, tuple[int, ...]]:
    """By image, the places of classes of which people or whole masks say that it does not contain them.

    An image that is said to contain none of the classes is left out: each of its pixels is of some class.
    """
    from fcnlab.core.tagging.from_labels import NO
    from fcnlab.services.tags.reading import tags_of

    tags = tags_of(lab, project_id=project_id)
    absent: dict[int, tuple[int, ...]] = {}
    for image, row in zip(tags.images, tags.teaching, strict=True):
        said = {class_id for class_id, answer in zip(tags.class_ids, row, strict=True) if answer == NO}
        lacking = tuple(sorted(places[class_id] for class_id in said & places.keys()))
        if lacking and len(lacking) < len(places):
            absent[image.id] = lacking
    return absent


def _newest(points: Sequence[StoredPoint]) -> list[StoredPoint]:
    """One point per pixel, in canonical order."""
    return sorted(newest_per_pixel(points), key=lambda stored: (stored.point.row, stored.point.col))


def _origin(point: StoredPoint) -> str:
    """The source of a point as a score names it; those drawn from an expert mask are told from other imports."""
    return EXPERT_MASK if is_of_expert_mask(point.uid) else point.source.value


def _is_random(point: StoredPoint) -> bool:
    return point.source is PointSource.RANDOM_QUERY
