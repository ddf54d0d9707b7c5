"""Small pictures of what those compared say about an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcnlab.core.images.palette import palette_of, tinted
from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.domain.project import ClassLabel
from fcnlab.lab import Lab
from fcnlab.services.comparing.comparisons import Standing
from fcnlab.services.images.pictures import shown_file
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import reading
from fcnlab.storage.files.png import read_mask
from fcnlab.storage.formats.masks.overlays import overlay_jpeg

TILE_SIDE = 360


@dataclass(frozen=True, slots=True)
class Tile:
    """One mask of an image: whose, and the file; no file stands for the bare picture."""

    title: str
    mask: Path | None


@dataclass(frozen=True, slots=True)
class Gallery:
    """An image with the masks of all that have one. `picture` is the file that browsers are shown."""

    image: ImageInfo
    is_held_out: bool
    picture: Path
    tiles: tuple[Tile, ...]


def galleries(lab: Lab, found: Standing) -> tuple[Gallery, ...]:
    """One gallery for each image whose masks a comparison keeps, as far as results are in."""
    measured = [(one.title, one.result) for one in found.participants if one.result is not None]
    if not measured:
        return ()
    with reading(lab.sessions) as session:
        images = {one.id: one for one in repository_images.images_by_ids(session, image_ids=list(found.spec.shown_ids))}
        kept = {
            one.id: repository_images.stored_mask(session, image_id=one.id)
            for one in images.values()
            if one.state is ImageState.DONE
        }
    made = []
    for image_id in found.spec.shown_ids:
        image = images.get(image_id)
        if image is None:
            continue
        truth = kept.get(image_id)
        own = [] if truth is None else [Tile("Accepted by a labeller", lab.folders.masks / truth.file)]
        own += [
            Tile(title, lab.folders.comparisons / one.masks[image_id])
            for title, one in measured
            if image_id in one.masks
        ]
        picture = shown_file(lab, image)
        made.append(Gallery(image, image_id in found.spec.held_out, picture, (Tile("Picture", None), *own)))
    return tuple(made)


def tile_jpeg(picture: Path, mask: Path | None, labels: Sequence[ClassLabel], background: int | None) -> bytes:
    """JPEG bytes of a picture, its longer side at most TILE_SIDE, under a mask; without it when that is unreadable."""
    with Image.open(picture) as file:
        file.draft("RGB", (TILE_SIDE, TILE_SIDE))
        file.thumbnail((TILE_SIDE, TILE_SIDE), Image.Resampling.BOX)
        rgb = np.asarray(file.convert("RGB"), np.uint8)
    found: NDArray[np.uint8] | None = None if mask is None else read_mask(mask)
    if found is not None:
        small = np.asarray(cv2.resize(found, rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
        rgb = tinted(rgb, small, palette_of(labels), background=background)
    return overlay_jpeg(rgb)
