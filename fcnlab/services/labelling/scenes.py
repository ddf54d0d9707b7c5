"""What the label page shows: one image with its points, classes and place; and who may see which picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from fcnlab.domain.counting import Task
from fcnlab.domain.events import StoredPoint
from fcnlab.domain.images import ImageInfo, ImagePlace, ImageState
from fcnlab.domain.project import Project
from fcnlab.errors import Deleted, UnknownImage, UnknownProject
from fcnlab.lab import Lab
from fcnlab.services.labelling.newest_points import precedence
from fcnlab.services.live.gains import Ranking
from fcnlab.storage.database import (
    repository_counts,
    repository_events,
    repository_expert_masks,
    repository_images,
    repository_points,
    repository_projects,
)
from fcnlab.storage.database.engine import reading
from fcnlab.storage.database.repository_events import Reversible
from fcnlab.storage.database.repository_strokes import live_stroke_ids

GONE = "this project was deleted, or its address is incomplete: open it from the list of projects"


def project_of_key(lab: Lab, key: str) -> int:
    """Id of the project with that key. Raises Deleted: there is none, so it is gone, for keys cannot be guessed."""
    with reading(lab.sessions) as session:
        try:
            return repository_projects.project_by_key(session, key=key).id
        except UnknownProject as failure:
            raise Deleted(GONE) from failure


def project_of_image(lab: Lab, *, key: str, image_id: int) -> int:
    """Id of the project whose image this is, by one query of two indexes: a browser asks many times a second.

    Raises:
        Deleted: the image or the project is gone.
        UnknownImage: the key opens another project.
    """
    with reading(lab.sessions) as session:
        owner = repository_images.owner_of(session, image_id=image_id)
    if owner is None or owner.key != key:
        project_of_key(lab, key)
    if owner is None:
        raise Deleted(f"image {image_id} was deleted: choose another one")
    if owner.key != key:
        raise UnknownImage(f"this project has no image {image_id}")
    return owner.project_id


def image_of_key(lab: Lab, *, key: str, image_id: int) -> ImageInfo:
    """An image of the project with that key; raises as `project_of_image`."""
    project_of_image(lab, key=key, image_id=image_id)
    with reading(lab.sessions) as session:
        return repository_images.image(session, image_id=image_id)


@dataclass(frozen=True, slots=True)
class Scene:
    """One image as it is shown; `image` is None while the project has none.

    Attributes:
        points: live points of the image; of several on one pixel the last counts.
        n_strokes: live strokes on the image.
        n_open: other images that are not done; in a project that counts, not all marked.
        next_open_id: the first of them after the image, in import order and from the beginning after the last.
        reversible: what the labeller can undo and redo on the image.
        points_per_class: live points of the whole project by class id.
        acknowledged: highest stored event of the browser tab that asked.
        has_imported: whether the image has an imported mask; never in a project that counts.
        revision: of what was done on the image, 0 without one; see `repository_images.labelling_revision`.
    """

    project: Project
    n_images: int
    image: ImageInfo | None
    place: ImagePlace | None
    points: tuple[StoredPoint, ...]
    n_strokes: int
    points_per_class: dict[int, int]
    acknowledged: int
    n_open: int = 0
    next_open_id: int | None = None
    reversible: Reversible = field(default_factory=Reversible)
    has_imported: bool = False
    revision: int = 0


def scene(
    lab: Lab, *, project_id: int, image_id: int | None, client_id: str | None, labeller: str | None = None
) -> Scene:
    """The scene of an image; of the first one that is not done when `image_id` is None or of another project.

    Raises:
        UnknownProject: there is no such project.
    """
    with reading(lab.sessions) as session:
        project = repository_projects.project(session, project_id=project_id)
        states = repository_images.count_images(session, project_id=project_id)
        acknowledged = repository_events.acknowledged(session, client_id=client_id) if client_id else 0
        counts = repository_points.count_points_by_class(session, project_id=project_id)
        image = None
        if image_id is not None:
            try:
                candidate = repository_images.image(session, image_id=image_id)
                image = candidate if candidate.project_id == project_id else None
            except UnknownImage:
                image = None
        if image is None:
            image = _first_open(session, project_id)
        place = repository_images.image_place(session, image_id=image.id) if image else None
        points = repository_points.points_of_image(session, image_id=image.id) if image else ()
        n_strokes = len(live_stroke_ids(session, image_id=image.id)) if image else 0
        others = repository_images.open_images(
            session, project_id=project_id, besides=image.id if image else None, is_counting=project.task is Task.COUNTS
        )
        reach = Reversible()
        if image is not None and labeller is not None:
            reach = repository_events.reversible(session, image_id=image.id, labeller=labeller)
        has_imported = (
            image is not None
            and project.task is not Task.COUNTS
            and repository_expert_masks.has_truth(session, image_id=image.id)
        )
        revision = repository_images.labelling_revision(session, image_id=image.id) if image else 0
    ordered = tuple(sorted(points, key=precedence))
    n_images = sum(states.values())
    return Scene(
        project,
        n_images,
        image,
        place,
        ordered,
        n_strokes,
        counts,
        acknowledged,
        *others,
        reversible=reach,
        has_imported=has_imported,
        revision=revision,
    )


def _first_open(session: Session, project_id: int) -> ImageInfo | None:
    """The first image that is not done; the first of all when all are."""
    for states in ((ImageState.NEW, ImageState.IN_PROGRESS), (None,)):
        candidates = [
            image
            for state in states
            for image in repository_images.images(session, project_id=project_id, state=state, count=1)
        ]
        if candidates:
            return min(candidates, key=lambda image: image.id)
    return None


@dataclass(frozen=True, slots=True)
class Cell:
    """One image in the strip; `gain` is None while nobody knows it."""

    image: ImageInfo
    gain: float | None


@dataclass(frozen=True, slots=True)
class RankedStrip:
    """The numbers of all images of a project, those that promise most first, and some of the images."""

    order: tuple[int, ...]
    cells: tuple[Cell, ...]


def ranked_strip(lab: Lab, ranking: Ranking, *, project_id: int, start: int, count: int) -> RankedStrip:
    """All images by gain, and `count` of them from place `start` on.

    Images without a gain follow in import order, done images are last.
    """
    with reading(lab.sessions) as session:
        states = repository_images.image_states(session, project_id=project_id)
        order = sorted(
            states,
            key=lambda image_id: (
                states[image_id] is ImageState.DONE,
                image_id not in ranking.gains,
                -ranking.gains.get(image_id, 0),
            ),
        )
        cells = _cells(session, ranking, order[start : start + count])
    return RankedStrip(tuple(order), cells)


def strip_of(lab: Lab, ranking: Ranking, *, project_id: int, image_ids: Sequence[int]) -> tuple[Cell, ...]:
    """These images of a project, in this order; those it does not have are left out."""
    with reading(lab.sessions) as session:
        return tuple(cell for cell in _cells(session, ranking, image_ids) if cell.image.project_id == project_id)


def _cells(session: Session, ranking: Ranking, image_ids: Sequence[int]) -> tuple[Cell, ...]:
    images = {image.id: image for image in repository_images.images_by_ids(session, image_ids=image_ids)}
    return tuple(Cell(images[image_id], ranking.gains.get(image_id)) for image_id in image_ids if image_id in images)


def strip(lab: Lab, *, project_id: int, start: int, count: int) -> tuple[int, tuple[ImageInfo, ...]]:
    """Number of images of a project, and `count` of them from place `start` on."""
    with reading(lab.sessions) as session:
        n_images = sum(repository_images.count_images(session, project_id=project_id).values())
        return n_images, repository_images.images(session, project_id=project_id, start=start, count=count)


def marked_objects(lab: Lab, *, project_id: int, images: Sequence[ImageInfo]) -> dict[int, int]:
    """How many objects are marked in each of these images of a project that counts; {} for one that makes masks."""
    with reading(lab.sessions) as session:
        if repository_projects.project(session, project_id=project_id).task is not Task.COUNTS:
            return {}
        counts = repository_counts.objects_per_image(
            session, project_id=project_id, image_ids=[image.id for image in images]
        )
    return {image.id: sum(counts.get(image.id, {}).values()) for image in images}
