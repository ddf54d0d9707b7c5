"""Pictures of any size: whole where their stages fit into memory, else in tiles. One door to both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.learner.encoder import StageEncoder
from fcnlab.core.learner.head import Head
from fcnlab.core.learner.learner import Picture, Segmentation, prepare, segment
from fcnlab.core.learner.plain import plain_probabilities
from fcnlab.core.learner.samples import Clicks
from fcnlab.core.tiling.large import LargePicture, is_large, plain_large, segment_large
from fcnlab.core.tiling.tiled_stages import TiledStages, TileShelf
from fcnlab.domain.project import LearnerSpec

AnyPicture = Picture | LargePicture


def open_picture(encoder: StageEncoder, rgb: NDArray[np.uint8], spec: LearnerSpec, *, shelf: TileShelf) -> AnyPicture:
    """Encode a working picture (H, W, 3) uint8 and make it ready for clicks; tiles of a large one go to the shelf."""
    if not is_large((rgb.shape[0], rgb.shape[1])):
        return prepare(rgb, encoder.encode(rgb, scales=spec.scales, position=spec.position))
    stages = TiledStages(encoder, rgb, scales=spec.scales, position=spec.position, shelf=shelf)
    for _ in stages.encode():
        pass
    return LargePicture(stages)


def segment_any(
    picture: AnyPicture, head: Head, clicks: Clicks, spec: LearnerSpec, *, background: int | None
) -> Segmentation:
    """The mask of a picture of any size; see `learner.segment`."""
    if isinstance(picture, LargePicture):
        return segment_large(picture, head, clicks, spec, background=background)
    return segment(picture, head, clicks, spec, background=background)


def plain_of(picture: AnyPicture, head: Head) -> NDArray[np.float32]:
    """What the head alone thinks, (K, h, w) float32 at stride WALKER_STRIDE; see `plain_probabilities`."""
    if isinstance(picture, LargePicture):
        return plain_large(picture, head)
    return plain_probabilities(picture.stages, head)
