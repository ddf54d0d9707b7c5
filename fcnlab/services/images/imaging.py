"""How a project makes the pictures of its images: choosing channels and limits, seeing them, making pictures anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from fcnlab.core.images.intensity import value_range
from fcnlab.core.images.picture import known_values, make_picture
from fcnlab.domain.images import ImageInfo, Imaging, Recipe, Stretch, picture_name
from fcnlab.domain.project import Project
from fcnlab.errors import ImportRefused, InvalidImage, InvalidSetting
from fcnlab.lab import Lab
from fcnlab.storage.database import repository_images, repository_projects
from fcnlab.storage.database.engine import reading, writing
from fcnlab.storage.files import filestore
from fcnlab.storage.image_readers.decoding import DecodedImage
from fcnlab.storage.image_readers.registry import decode

SAMPLE_SIDE = 512
AUTOMATIC = "auto"


@dataclass(frozen=True, slots=True)
class ImagingProgress:
    """One image further; `refused` says why its picture could not be made, and stays as it was.

    `fits` is false of an image that lacks one of the channels, and is shown by its first ones.
    """

    done: int
    total: int
    name: str
    refused: str = ""
    fits: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Every n-th pixel of an image as its file holds it, to try settings on.

    Attributes:
        pixels: (h, w) or (h, w, C), at most SAMPLE_SIDE on each side.
        ranges: of each channel, its smallest and largest finite value.
        stated: the range that the file states.
        is_window: whether values outside it are meant to be cut off.
        nodata: the value of pixels about which nothing is known, if the file says one.
    """

    pixels: NDArray[np.generic]
    ranges: tuple[Stretch, ...]
    stated: Stretch | None
    is_window: bool
    nodata: float | None = None

    def picture(self, imaging: Imaging) -> tuple[NDArray[np.uint8], Recipe]:
        """The picture (h, w, 3) uint8 under some settings. Raises InvalidImage: there is nothing to show."""
        return make_picture(
            self.pixels, wanted=imaging, stated=self.stated, is_window=self.is_window, nodata=self.nodata
        )


def sample_of(lab: Lab, image: ImageInfo) -> Sample:
    """The sample of an image: its channels and their ranges. Raises ImportRefused: the original is gone or damaged."""
    decoded = _decoded(lab, image)
    step = -(-max(decoded.pixels.shape[:2]) // SAMPLE_SIDE)
    pixels = np.ascontiguousarray(decoded.pixels[::step, ::step])
    channels = [pixels] if pixels.ndim == 2 else [pixels[..., index] for index in range(pixels.shape[2])]
    ranges = tuple(_range(known_values(channel, decoded.nodata)) for channel in channels)
    return Sample(pixels, ranges, decoded.stated, decoded.is_window, decoded.nodata)


def set_imaging(lab: Lab, *, project_id: int, imaging: Imaging) -> Iterator[ImagingProgress]:
    """Make the pictures of all images of a project anew, then take them all at once.

    Until the last step, and when it is stopped before, everybody sees the old pictures. Points and the masks of done
    images stay.

    Raises:
        UnknownProject: at once, when there is no such project.
        InvalidSetting: before the last step, when there are images and none has all the channels; nothing changes then.
    """
    with reading(lab.sessions) as session:
        project = repository_projects.project(session, project_id=project_id)
    return iter(()) if project.imaging == imaging else _remake(lab, project, imaging)


def _remake(lab: Lab, project: Project, imaging: Imaging) -> Iterator[ImagingProgress]:
    recipes: dict[int, Recipe] = {}
    before: dict[int, tuple[str, str]] = {}  # content and picture id of every image seen
    while True:
        with reading(lab.sessions) as session:
            waiting = [image_id for image_id in _image_ids(session, project) if image_id not in before]
        total = len(before) + len(waiting)
        for image_id in waiting:
            with reading(lab.sessions) as session:
                image = repository_images.image(session, image_id=image_id)
            before[image_id] = (image.content_hash, image.picture_id)
            refused, fits = "", True
            try:
                recipes[image_id] = _made(lab, image, imaging)
                fits = _fits(recipes[image_id], imaging)
            except (ImportRefused, InvalidImage) as refusal:
                refused = str(refusal)
            yield ImagingProgress(len(before), total, image.name, refused, fits)
        if recipes and not any(_fits(recipe, imaging) for recipe in recipes.values()):
            _forget(lab, before, recipes)
            numbers = ",".join(map(str, imaging.channels))
            raise InvalidSetting(f"no image of the project has the channels {numbers}: choose lower numbers")
        with writing(lab.sessions) as session:
            # Else some were imported meanwhile, and the loop goes on with them.
            if all(image_id in before for image_id in _image_ids(session, project)):
                repository_images.set_recipes(session, recipes=recipes)
                repository_projects.set_imaging(session, project_id=project.id, imaging=imaging)
                break
    for image_id, recipe in recipes.items():
        content_hash, old = before[image_id]
        if old != picture_name(content_hash, recipe.imaging):
            filestore.forget_picture(lab.folders, picture_id=old)


def _fits(recipe: Recipe, imaging: Imaging) -> bool:
    """Whether a picture shows the channels that were asked for."""
    return not imaging.channels or (recipe.imaging is not None and recipe.imaging.channels == imaging.channels)


def _forget(lab: Lab, before: dict[int, tuple[str, str]], recipes: dict[int, Recipe]) -> None:
    """Take away pictures that were made for nothing; those in use stay."""
    for image_id, recipe in recipes.items():
        content_hash, used = before[image_id]
        made = picture_name(content_hash, recipe.imaging)
        if made != used:
            filestore.forget_picture(lab.folders, picture_id=made)


def _image_ids(session: Session, project: Project) -> list[int]:
    return list(repository_images.image_states(session, project_id=project.id))


def parse_imaging(channels: str, limits: str) -> Imaging:
    """Settings as people type them: channels `3,2,1`, limits `0:4000` for all or `0:4000,auto,10:90` for each.

    Raises:
        InvalidSetting: they cannot be understood, or make no sense together.
    """
    try:
        numbers = tuple(int(part) for part in channels.split(",") if part.strip())
    except ValueError as failure:
        raise InvalidSetting(f"channels {channels!r} must be numbers with commas between: 3,2,1") from failure
    return Imaging(numbers, tuple(_limit(part) for part in limits.split(",") if part.strip()))


def imaging_text(imaging: Imaging) -> tuple[str, str]:
    """Channels and limits as `parse_imaging` reads them; empty where images are taken as they come."""
    limits = (AUTOMATIC if limit is None else f"{limit.low:g}:{limit.high:g}" for limit in imaging.limits)
    return ",".join(map(str, imaging.channels)), ",".join(limits)


def _limit(text: str) -> Stretch | None:
    if text.strip().lower() == AUTOMATIC:
        return None
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError as failure:
        raise InvalidSetting(f"limits {text!r} must be two numbers like 0:4000, or {AUTOMATIC}") from failure
    return Stretch(low, high)


def _made(lab: Lab, image: ImageInfo, imaging: Imaging) -> Recipe:
    decoded = _decoded(lab, image)
    rgb, recipe = make_picture(
        decoded.pixels,
        wanted=imaging,
        stated=decoded.stated,
        is_window=decoded.is_window,
        nodata=decoded.nodata,
    )
    picture_id = picture_name(image.content_hash, recipe.imaging)
    filestore.write_previews(rgb, folders=lab.folders, picture_id=picture_id, lossless=decoded.extension != "jpg")
    return recipe


def _decoded(lab: Lab, image: ImageInfo) -> DecodedImage:
    path = filestore.find_original(lab.folders, content_hash=image.content_hash)
    return decode(path, name=image.name, max_pixels=max(lab.settings.max_pixels, image.height * image.width))


def _range(channel: NDArray[np.generic]) -> Stretch:
    try:
        return value_range(channel)
    except InvalidImage:  # nothing but NaN
        return Stretch(0, 1)
