"""The instant counter of a project: what the points of its images teach, and the count of an image by all of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from fcnlab.core.clicks import Clicks
from fcnlab.core.coords import learner_hw
from fcnlab.core.counting.counted import Counted, count_picture
from fcnlab.core.counting.instant import CountHead, CountLesson, CountPicture, fit_counts, teach_counts
from fcnlab.core.counting.sizing import Sizes, sizes_at, spacing_from
from fcnlab.core.wide import WIDE_PIXELS, is_wide
from fcnlab.domain import ImageInfo, LearnerSpec, Project
from fcnlab.errors import NoPoints
from fcnlab.services.picture_store import PictureStore


@dataclass(frozen=True, slots=True, eq=False)
class _Taught:
    """What one image taught, from which points, and at which spacing."""

    clicks: Clicks
    is_complete: bool
    spacing: float
    lesson: CountLesson


class InstantCounter:
    """What the points of one project teach about its objects. Used by one thread at a time."""

    def __init__(self, pictures: PictureStore) -> None:
        self._pictures = pictures
        self._sizes: dict[int, Sizes] = {}
        self._taught: dict[int, _Taught] = {}
        self._spacing = 0.0
        self._head: CountHead | None = None

    def clear(self) -> None:
        """Forget everything, since pictures or settings are others now."""
        self._sizes.clear()
        self._taught.clear()
        self._head = None

    def forget(self, image_id: int) -> None:
        """Do without an image, whose points changed or are gone."""
        self._sizes.pop(image_id, None)
        self._taught.pop(image_id, None)
        self._head = None

    def is_taught(self, image_id: int) -> bool:
        """Whether the newest points of an image are learned from, at the spacing of now."""
        known = self._taught.get(image_id)
        return known is not None and known.spacing == self._spacing

    def learn_from(self, project: Project, image: ImageInfo, clicks: Clicks) -> None:
        """Take the points of an image into account; encodes it if it never was.

        Raises:
            ImportRefused: the original is gone or damaged.
        """
        background = project.classes[0].id
        picture = self._pictures.counted_picture(image, counting_spec(image.hw, project.learner), keeps=False)
        if image.id not in self._sizes:
            self._sizes[image.id] = _sizes(picture, clicks, background)
        self._spacing = spacing_from([one for _, one in sorted(self._sizes.items())])
        lesson = teach_counts(
            picture, clicks, background=background, is_complete=image.is_complete, spacing=self._spacing
        )
        self._taught[image.id] = _Taught(clicks, image.is_complete, self._spacing, lesson)
        self._head = None

    def make_ready(self, project: Project, image: ImageInfo) -> None:
        """Encode an image that is looked at. Raises ImportRefused: the original is gone or damaged."""
        self._pictures.counted_picture(image, counting_spec(image.hw, project.learner))

    def head(self, project: Project) -> CountHead:
        """What all lessons teach, in an order that depends on their content alone.

        Raises:
            NoPoints: no object is marked yet.
        """
        if self._head is None:
            taught = sorted(self._taught.values(), key=_order)
            lessons = [one.lesson for one in taught]
            self._head = fit_counts(lessons, background=project.classes[0].id, spacing=self._spacing)
        return self._head

    def count(self, project: Project, image: ImageInfo, clicks: Clicks, *, keeps: bool = True) -> Counted:
        """The count of an image by what was learned so far; `keeps`: somebody looks at it.

        Raises:
            NoPoints: no object of the project is marked yet, and this image is not said to be empty.
            ImportRefused: the original is gone or damaged.
        """
        head: CountHead | None
        try:
            head = self.head(project)
        except NoPoints:
            if not image.is_complete:
                raise
            head = None
        spec = counting_spec(image.hw, project.learner)
        picture = self._pictures.counted_picture(image, spec, keeps=keeps)
        class_ids = tuple(label.id for label in project.classes)
        return count_picture(picture.stages, head, clicks, class_ids=class_ids, is_complete=image.is_complete)

    def is_ready(self, project: Project, image: ImageInfo) -> bool:
        """Whether an image can be counted at once."""
        return self._pictures.is_counted_ready(image, counting_spec(image.hw, project.learner))


def counting_spec(image_hw: tuple[int, int], spec: LearnerSpec) -> LearnerSpec:
    """The learner's settings for an image that is counted in: a wide one is counted on a coarser working picture."""
    height, width = learner_hw(image_hw, spec)
    if not is_wide((height, width)):
        return spec
    side = math.floor(max(height, width) * math.sqrt(WIDE_PIXELS / (height * width))) - 1
    return replace(spec, resolution=None, working_side=max(64, side))


def _sizes(picture: CountPicture, clicks: Clicks, background: int) -> Sizes:
    """How large the marked objects are, in working pixels."""
    rows, cols = clicks.on(picture.hw)
    is_object = clicks.class_ids != background
    return sizes_at(picture.lab[..., 0], rows[is_object], cols[is_object])


def _order(taught: _Taught) -> tuple[object, ...]:
    clicks = taught.clicks
    return (
        clicks.image_hw,
        taught.is_complete,
        clicks.rows.tolist(),
        clicks.cols.tolist(),
        clicks.class_ids.tolist(),
        taught.lesson.features[:1].tobytes(),
    )
