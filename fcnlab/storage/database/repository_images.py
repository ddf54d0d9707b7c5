"""Queries about images and the masks they keep. Each takes a session and returns domain values, never rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, case, func, select, update
from sqlalchemy.orm import Session

from fcnlab.domain.images import ImageInfo, ImagePlace, ImageState, Imaging, PixelSize, Recipe, StoredMask, Stretch
from fcnlab.domain.project import ClassLabel
from fcnlab.errors import UnknownImage
from fcnlab.storage.database import repository_points, repository_strokes
from fcnlab.storage.database.engine import chunked
from fcnlab.storage.database.tables import ClassRow, ImageRow, PointRow, ProjectRow

MAX_ID = 2**31 - 1
"""The largest row number all databases hold."""


@dataclass(frozen=True, slots=True)
class ImageOutline:
    """What an event must know about its image; cheaper than ImageInfo. `revision`: see `labelling_revision`."""

    id: int
    project_id: int
    height: int
    width: int
    state: ImageState
    revision: int


def add_image(
    session: Session,
    *,
    project_id: int,
    name: str,
    content_hash: str,
    image_hw: tuple[int, int],
    dtype: str,
    channels: int,
    turned: bool,
    recipe: Recipe,
    pixel_size: PixelSize | None,
    position: int,
    now: datetime,
) -> ImageInfo:
    """Store an image at a place that is free; a name that is taken gets a number: `a.png`, `a (2).png`."""
    row = ImageRow(
        project_id=project_id,
        name=_free_name(session, project_id, name),
        content_hash=content_hash,
        height=image_hw[0],
        width=image_hw[1],
        dtype=dtype,
        channels=channels,
        turned=turned,
        state=ImageState.NEW,
        position=position,
        created_at=now,
        pixel_size=None if pixel_size is None else pixel_size.to_dict(),
        **_recipe_columns(recipe),
    )
    session.add(row)
    session.flush()
    return _info(row, n_points=0)


def next_position(session: Session, *, project_id: int) -> int:
    """The place behind the last image of the project."""
    last = session.scalar(select(func.max(ImageRow.position)).where(ImageRow.project_id == project_id))
    return 0 if last is None else last + 1


def image(session: Session, *, image_id: int) -> ImageInfo:
    """The image of that number. Raises UnknownImage."""
    row = session.execute(_images().where(ImageRow.id == image_id)).one_or_none()
    if row is None:
        raise UnknownImage(f"there is no image {image_id}; its project may have been deleted")
    return _info(row[0], n_points=row[1])


def find_outline(session: Session, *, image_id: int) -> ImageOutline | None:
    """The outline of an image, or None when there is none of that number."""
    row = session.get(ImageRow, image_id) if 0 < image_id <= MAX_ID else None
    if row is None:
        return None
    revision = max(row.revision, row.painting_revision)
    return ImageOutline(row.id, row.project_id, row.height, row.width, ImageState(row.state), revision)


def labelling_revision(session: Session, *, image_id: int) -> int:
    """The revision of the project at which points or strokes of an image changed last; 0 before, or when it is gone."""
    later = case((ImageRow.revision > ImageRow.painting_revision, ImageRow.revision), else_=ImageRow.painting_revision)
    return session.scalar(select(later).where(ImageRow.id == image_id)) or 0


class ImageAt(NamedTuple):
    """An image with the revision of its project at which its strokes changed last, 0 where there never were any.

    `is_changed`: its points, or what else is learned from, changed since the revision that was asked about.
    """

    image: ImageInfo
    painting_revision: int
    is_changed: bool


def images_since(
    session: Session, *, project_id: int, revision: int, now: int, besides: int | None = None
) -> tuple[ImageAt, ...]:
    """The images of a project with a later revision than the one given, by their numbers, and the image `besides`.

    Every image that has, or once had, anything to learn from is later than NOTHING_READ. A project whose revision went
    back (`now` is that of now), since its database was restored, changed altogether.
    """
    since = max(revision, 0) if revision <= now else 0
    is_later = ImageRow.revision > since
    query = _images().where(ImageRow.project_id == project_id, is_later | (ImageRow.id == (besides or 0)))
    return tuple(
        ImageAt(_info(row, n_points=n_points), row.painting_revision, row.revision > since)
        for row, n_points in session.execute(query.order_by(ImageRow.id))
    )


def images(
    session: Session,
    *,
    project_id: int,
    start: int = 0,
    count: int | None = None,
    state: ImageState | None = None,
) -> tuple[ImageInfo, ...]:
    """Images of the project in import order: `count` of them after the first `start`."""
    query = _images().where(ImageRow.project_id == project_id).order_by(ImageRow.position).offset(start)
    if state is not None:
        query = query.where(ImageRow.state == state)
    if count is not None:
        query = query.limit(count)
    return tuple(_info(row, n_points=n_points) for row, n_points in session.execute(query))


def image_states(session: Session, *, project_id: int) -> dict[int, ImageState]:
    """The state of every image of the project by its number, in import order."""
    query = select(ImageRow.id, ImageRow.state).where(ImageRow.project_id == project_id).order_by(ImageRow.position)
    return {image_id: ImageState(state) for image_id, state in session.execute(query)}


def open_images(
    session: Session, *, project_id: int, besides: int | None, is_counting: bool = False
) -> tuple[int, int | None]:
    """How many images of a project are open, and the id of the first one after an image, else of the first of all.

    Open is what is not done, or, where the project counts (`is_counting`), not all marked. `besides` is that image; it
    is left out.
    """
    is_open = ImageRow.is_complete.is_(False) if is_counting else ImageRow.state != ImageState.DONE
    here = select(ImageRow.position).where(ImageRow.id == (besides or 0)).scalar_subquery()
    query = (
        select(func.count().over(), ImageRow.id)
        .where(ImageRow.project_id == project_id, is_open, ImageRow.id != (besides or 0))
        .order_by(case((ImageRow.position > here, 0), else_=1), ImageRow.position)
        .limit(1)
    )
    first_open = session.execute(query).first()
    return (0, None) if first_open is None else (first_open[0], first_open[1])


def images_by_ids(session: Session, *, image_ids: Sequence[int]) -> tuple[ImageInfo, ...]:
    """The images of these numbers, in import order; those that do not exist are left out."""
    rows = [
        pair
        for some in chunked(sorted(set(image_ids)))
        for pair in session.execute(_images().where(ImageRow.id.in_(some)))
    ]
    rows.sort(key=lambda pair: (pair[0].project_id, pair[0].position))
    return tuple(_info(row, n_points=n_points) for row, n_points in rows)


def count_images(session: Session, *, project_id: int) -> dict[ImageState, int]:
    """How many images of the project are in each state; every state is named."""
    rows = session.execute(
        select(ImageRow.state, func.count()).where(ImageRow.project_id == project_id).group_by(ImageRow.state)
    )
    counts = dict(rows.all())
    return {state: counts.get(state.value, 0) for state in ImageState}


def count_complete(session: Session, *, project_id: int) -> int:
    """How many images of the project somebody said all objects of to be marked."""
    is_complete = (ImageRow.project_id == project_id, ImageRow.is_complete.is_(True))
    return session.scalar(select(func.count()).where(*is_complete)) or 0


def image_place(session: Session, *, image_id: int) -> ImagePlace:
    """Where the image stands in its project, and its neighbours. Raises UnknownImage."""
    row = image_row(session, image_id)
    same = ImageRow.project_id == row.project_id
    before, after = ImageRow.position < row.position, ImageRow.position > row.position
    previous_id = select(ImageRow.id).where(same, before).order_by(ImageRow.position.desc()).limit(1)
    next_id = select(ImageRow.id).where(same, after).order_by(ImageRow.position).limit(1)
    numbers = select(func.count().filter(before), func.count()).where(same)
    n_before, count = session.execute(numbers).one()
    return ImagePlace(
        position=1 + n_before,
        count=count,
        previous_id=session.scalar(previous_id),
        next_id=session.scalar(next_id),
    )


def find_image_by_hash(session: Session, *, project_id: int, content_hash: str) -> ImageInfo | None:
    """The image of the project that has this content, or None."""
    return images_by_hashes(session, project_id=project_id, content_hashes=[content_hash]).get(content_hash)


def images_by_hashes(session: Session, *, project_id: int, content_hashes: Sequence[str]) -> dict[str, ImageInfo]:
    """The images of the project that have one of these contents, by content."""
    of_project = _images().where(ImageRow.project_id == project_id)
    return {
        row.content_hash: _info(row, n_points=n_points)
        for some in chunked(content_hashes)
        for row, n_points in session.execute(of_project.where(ImageRow.content_hash.in_(some)))
    }


def find_image_by_name(session: Session, *, project_id: int, name: str) -> ImageInfo | None:
    """The image of the project that has this name, or None."""
    row = session.execute(_images().where(ImageRow.project_id == project_id, ImageRow.name == name)).one_or_none()
    return None if row is None else _info(row[0], n_points=row[1])


def content_hashes(session: Session, *, project_id: int) -> tuple[str, ...]:
    """The contents of all images of the project, in import order."""
    query = select(ImageRow.content_hash).where(ImageRow.project_id == project_id).order_by(ImageRow.position)
    return tuple(session.scalars(query))


def contents_in_use(session: Session, *, content_hashes: Sequence[str]) -> frozenset[str]:
    """Those of these contents that any project shows."""
    used: set[str] = set()
    for some in chunked(content_hashes):
        used.update(session.scalars(select(ImageRow.content_hash).where(ImageRow.content_hash.in_(some))))
    return frozenset(used)


def set_image_state(session: Session, *, image_id: int, state: ImageState) -> None:
    """Store how far the image has come. Raises UnknownImage.

    Leaving `done` puts the kept mask aside; coming back takes it up again when points, strokes and picture are what
    they were when it was made, and forgets it when they are not.
    """
    row = image_row(session, image_id)
    was_done, is_done = row.state == ImageState.DONE, state is ImageState.DONE
    if was_done and not is_done and row.mask_file is not None and row.mask_content is None:
        row.mask_content = _content(session, row)  # kept by a version that did not say: nothing may change while done
    if is_done and not was_done and row.mask_file is not None and row.mask_content != _content(session, row):
        row.mask_file = row.mask_model = row.mask_points = row.mask_at = row.mask_content = None
    row.state = state
    session.flush()


def store_mask(session: Session, *, image_id: int, mask: StoredMask) -> bool:
    """Keep the mask of a done image; False, and nothing kept, when the image was reopened meanwhile.

    Raises:
        UnknownImage: no such image.
    """
    row = image_row(session, image_id)
    if row.state != ImageState.DONE:
        return False
    row.mask_file, row.mask_model = mask.file, mask.model
    row.mask_points, row.mask_at = mask.point_set_hash, mask.created_at
    row.mask_content = _content(session, row)
    session.flush()
    return True


def stored_mask(session: Session, *, image_id: int) -> StoredMask | None:
    """The mask the image keeps, or None; one that is not done keeps none. Raises UnknownImage."""
    row = image_row(session, image_id)
    if row.state != ImageState.DONE:
        return None
    if row.mask_file is None or row.mask_model is None or row.mask_points is None or row.mask_at is None:
        return None
    return StoredMask(file=row.mask_file, model=row.mask_model, point_set_hash=row.mask_points, created_at=row.mask_at)


def mask_files(session: Session, *, project_id: int) -> tuple[str, ...]:
    """Names of all mask files the project keeps, also those that reopened images put aside."""
    query = select(ImageRow.mask_file).where(ImageRow.project_id == project_id).order_by(ImageRow.position)
    return tuple(name for name in session.scalars(query) if name is not None)


def set_recipes(session: Session, *, recipes: Mapping[int, Recipe]) -> None:
    """Store how the pictures of images are made from now on; those that do not exist are passed over."""
    rows = [
        {"image_id": image_id, **{f"new_{name}": value for name, value in _recipe_columns(recipe).items()}}
        for image_id, recipe in sorted(recipes.items())
    ]
    if rows:
        names = _recipe_columns(Recipe())
        change = update(ImageRow).where(ImageRow.id == bindparam("image_id"))
        session.connection().execute(change.values({name: bindparam(f"new_{name}") for name in names}), rows)
        session.expire_all()


class Owner(NamedTuple):
    """The project of an image, and the key that opens it."""

    project_id: int
    key: str


def owner_of(session: Session, *, image_id: int) -> Owner | None:
    """The project of an image and its key; None when there is no image of that number."""
    query = select(ProjectRow.id, ProjectRow.key).join(ImageRow, ImageRow.project_id == ProjectRow.id)
    of_image = query.where(ImageRow.id == image_id, ProjectRow.deleted_at.is_(None))
    owner = session.execute(of_image).one_or_none() if 0 < image_id <= MAX_ID else None
    return None if owner is None else Owner(*owner)


def image_row(session: Session, image_id: int) -> ImageRow:
    """The row itself, for the repository modules alone. Raises UnknownImage."""
    row = session.get(ImageRow, image_id)
    if row is None:
        raise UnknownImage(f"there is no image {image_id}; its project may have been deleted")
    return row


def _content(session: Session, row: ImageRow) -> str:
    """A digest of all that the mask of an image is made from: how its picture is made, its live points and strokes."""
    points = sorted(repository_points.live_uids(session, image_id=row.id))
    strokes = repository_strokes.live_stroke_uids(session, image_id=row.id)
    picture = (row.content_hash, row.imaging, row.stretch_low, row.stretch_high)
    return hashlib.sha256(repr((picture, points, strokes)).encode()).hexdigest()


def _recipe_columns(recipe: Recipe) -> dict[str, Any]:
    return {
        "stretch_low": None if recipe.stretch is None else recipe.stretch.low,
        "stretch_high": None if recipe.stretch is None else recipe.stretch.high,
        "imaging": None if recipe.imaging is None else recipe.imaging.to_dict(),
    }


def _images() -> Select[ImageRow, int]:
    counted: Any = (
        select(func.count(PointRow.id))
        .join(
            ClassRow,
            (ClassRow.project_id == PointRow.project_id) & (ClassRow.class_id == PointRow.class_id),
        )
        .where(PointRow.image_id == ImageRow.id, PointRow.removed_at.is_(None), ClassRow.removed_at.is_(None))
        .correlate(ImageRow)
        .scalar_subquery()
    )
    return select(ImageRow, counted)


def _free_name(session: Session, project_id: int, name: str) -> str:
    path = PurePosixPath(name)
    number, candidate = 1, name
    while session.scalar(select(ImageRow.id).where(ImageRow.project_id == project_id, ImageRow.name == candidate)):
        number += 1
        candidate = str(path.with_name(f"{path.stem} ({number}){path.suffix}"))
    return candidate


def _info(row: ImageRow, *, n_points: int) -> ImageInfo:
    stretch = None
    if row.stretch_low is not None and row.stretch_high is not None:
        stretch = Stretch(low=row.stretch_low, high=row.stretch_high)
    return ImageInfo(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        content_hash=row.content_hash,
        height=row.height,
        width=row.width,
        dtype=row.dtype,
        channels=row.channels,
        turned=row.turned,
        stretch=stretch,
        state=ImageState(row.state),
        n_points=n_points,
        mask_model=row.mask_model if row.state == ImageState.DONE else None,
        imaging=None if row.imaging is None else Imaging.from_dict(row.imaging),
        pixel_size=None if row.pixel_size is None else PixelSize.from_dict(row.pixel_size),
        is_complete=row.is_complete,
    )


def removed_classes(session: Session, *, project_id: int) -> tuple[ClassLabel, ...]:
    """Classes that are no longer in use, by id; a mask kept from before may still name them."""
    rows = session.scalars(
        select(ClassRow)
        .where(ClassRow.project_id == project_id, ClassRow.removed_at.is_not(None))
        .order_by(ClassRow.class_id)
    )
    return tuple(ClassLabel(id=row.class_id, name=row.name, colour=row.colour, order=row.place) for row in rows)


def stored_masks(session: Session, *, project_id: int) -> dict[int, StoredMask]:
    """The masks that done images keep, by image id."""
    columns = (ImageRow.id, ImageRow.mask_file, ImageRow.mask_model, ImageRow.mask_points, ImageRow.mask_at)
    rows = session.execute(
        select(*columns).where(
            ImageRow.project_id == project_id, ImageRow.state == ImageState.DONE, ImageRow.mask_file.is_not(None)
        )
    )
    return {
        image_id: StoredMask(file=file, model=model, point_set_hash=points, created_at=made_at)
        for image_id, file, model, points, made_at in rows
        if file is not None and model is not None and points is not None and made_at is not None
    }


def count_points_by_class_and_labeller(session: Session, *, project_id: int) -> dict[tuple[int, str], int]:
    """Live points per class id in use and labeller; pairs without any are left out."""
    same_class = (ClassRow.project_id == PointRow.project_id) & (ClassRow.class_id == PointRow.class_id)
    query = (
        select(PointRow.class_id, PointRow.labeller, func.count())
        .join(ClassRow, same_class)
        .where(PointRow.project_id == project_id, PointRow.removed_at.is_(None), ClassRow.removed_at.is_(None))
        .group_by(PointRow.class_id, PointRow.labeller)
    )
    return {(class_id, labeller): count for class_id, labeller, count in session.execute(query)}
