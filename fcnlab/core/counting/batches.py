"""Pictures with marked objects as a step learns from them: parts of pictures, mirrored and turned by quarters.

Nothing here is shrunk, stretched or filled with grey: that would change how far objects are apart, or invent picture
without objects. Objects outside a part, but near it, are kept: their density reaches into it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnlab.core.counting.density import density_target
from fcnlab.core.counting.marks import MarkedPoints
from fcnlab.core.tiling.tiles import Box
from fcnlab.core.training.batches import LabelledPicture, recoloured
from fcnlab.domain.training import TrainingSpec

REACH_SIGMAS = 4.0
"""So many sigmas away from an object its density is taken for zero."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part of a picture, changed at random.

    Attributes:
        rgb: (3, H, W) float32 in 0..1.
        marks: points inside it.
        targets: (K, H, W) float32, objects per pixel; valid: (H, W) bool. None where no density is wanted.
    """

    rgb: Tensor
    marks: MarkedPoints
    targets: NDArray[np.float32] | None = None
    valid: NDArray[np.bool_] | None = None

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.rgb.shape[1]), int(self.rgb.shape[2])


@dataclass(frozen=True, slots=True, eq=False)
class CountBatch:
    """What one step learns from.

    Attributes:
        rgb: (B, 3, H, W) float32 in 0..1; smaller parts are continued by their last rows and columns, as networks
            continue pictures themselves.
        parts: the B parts, of their own sizes.
    """

    rgb: Tensor
    parts: tuple[Part, ...]


def marks_of(picture: LabelledPicture) -> MarkedPoints:
    """The points of a picture."""
    return MarkedPoints(picture.rows, picture.cols, picture.classes, picture.is_complete)


def count_batch(
    pictures: Sequence[LabelledPicture],
    spec: TrainingSpec,
    rng: np.random.Generator,
    *,
    device: str,
    density: tuple[int, float] | None,
    turns: bool = True,
) -> CountBatch:
    """A batch of parts of pictures, each changed at random.

    Args:
        density: (number of classes, sigma in pixels) of the targets; None: none are made.
        turns: quarter turns as well as mirror images; without them every part keeps its height and width.
    """
    parts = tuple(_part(picture, spec, rng, density, turns) for picture in pictures)
    height, width = (max(part.hw[axis] for part in parts) for axis in (0, 1))
    rgb = torch.stack([_continued(part.rgb, height, width) for part in parts])
    return CountBatch(rgb.to(device).contiguous(memory_format=torch.channels_last), parts)


def density_batch(batch: CountBatch) -> tuple[Tensor, Tensor]:
    """Targets (B, K, H, W) and where they are known (B, H, W), on the batch's device; added borders are unknown."""
    height, width = batch.rgb.shape[2:]
    targets, valid = [], []
    for part in batch.parts:
        assert part.targets is not None
        assert part.valid is not None
        below, right = height - part.hw[0], width - part.hw[1]
        targets.append(np.pad(part.targets, ((0, 0), (0, below), (0, right))))
        valid.append(np.pad(part.valid, ((0, below), (0, right))))
    device = batch.rgb.device
    return torch.from_numpy(np.stack(targets)).to(device), torch.from_numpy(np.stack(valid)).to(device)


def part_box(picture: LabelledPicture, hw: tuple[int, int], side: int, rng: np.random.Generator) -> Box:
    """Where a part of at most `side` x `side` pixels (0: everything) is cut out.

    Anywhere in a picture whose objects are all marked; else round a point drawn at random, for elsewhere nothing is
    known.
    """
    if not side or max(hw) <= side:
        return Box(0, 0, *hw)
    chosen = None if picture.is_complete or not len(picture.rows) else int(rng.integers(len(picture.rows)))
    starts = []
    for length, positions in zip(hw, (picture.rows, picture.cols), strict=True):
        window = min(side, length)
        first, last = 0, length - window
        if chosen is not None:
            pixel = int(np.clip(math.floor(float(positions[chosen]) + 0.5), 0, length - 1))
            first, last = max(0, pixel - window + 1), min(pixel, length - window)
        starts.append((int(rng.integers(first, last + 1)), window))
    (top, height), (left, width) = starts
    return Box(top, left, top + height, left + width)


def _part(
    picture: LabelledPicture,
    spec: TrainingSpec,
    rng: np.random.Generator,
    density: tuple[int, float] | None,
    turns: bool,
) -> Part:
    pixels = picture.read()
    hw = (pixels.shape[0], pixels.shape[1])
    box = part_box(picture, hw, spec.crop, rng)
    mirrored = spec.flip and bool(rng.random() < 0.5)
    quarters = int(rng.integers(4)) if spec.flip and turns else 2 * int(rng.integers(2)) if spec.flip else 0
    marks = marks_of(picture)
    inside = _moved(marks, box)
    rgb = _turned(pixels[box.slices].transpose(2, 0, 1), mirrored, quarters)
    tensor = recoloured(torch.from_numpy(rgb).float() / 255, spec.colour, rng)
    turned = _turned_marks(inside, box.hw, mirrored, quarters)
    if density is None:
        return Part(tensor, turned)
    targets, valid = _targets(marks, box, hw, density)
    return Part(tensor, turned, _turned(targets, mirrored, quarters), _turned(valid, mirrored, quarters))


def _targets(
    marks: MarkedPoints, box: Box, hw: tuple[int, int], density: tuple[int, float]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The density of a part, as if that of the whole picture had been cut."""
    n_classes, sigma = density
    wide = box.grown(math.ceil(REACH_SIGMAS * sigma), hw)
    targets, valid = density_target(_moved(marks, wide), n_classes, wide.hw, sigma)
    kept = box.moved(-wide.top, -wide.left).slices
    return targets[(slice(None), *kept)], valid[kept]


def _moved(marks: MarkedPoints, box: Box) -> MarkedPoints:
    """The marks that lie inside a box, in its frame."""
    rows, cols = marks.rows - np.float32(box.top), marks.cols - np.float32(box.left)
    height, width = box.hw
    inside = (rows >= -0.5) & (rows < height - 0.5) & (cols >= -0.5) & (cols < width - 0.5)
    return MarkedPoints(rows[inside], cols[inside], marks.classes[inside], marks.is_complete)


def _turned(array: NDArray[Any], mirrored: bool, quarters: int) -> NDArray[Any]:
    """The last two axes mirrored left to right, then turned by quarters against the clock."""
    array = array[..., ::-1] if mirrored else array
    return np.ascontiguousarray(np.rot90(array, quarters, axes=(-2, -1)))


def _turned_marks(marks: MarkedPoints, hw: tuple[int, int], mirrored: bool, quarters: int) -> MarkedPoints:
    """Where `_turned` moves the points of a picture of size `hw`."""
    (height, width), rows, cols = hw, marks.rows, marks.cols
    if mirrored:
        cols = np.float32(width - 1) - cols
    for _ in range(quarters):
        rows, cols = np.float32(width - 1) - cols, rows
        height, width = width, height
    return MarkedPoints(rows, cols, marks.classes, marks.is_complete)


def _continued(rgb: Tensor, height: int, width: int) -> Tensor:
    """Repeat the last rows and columns of (3, h, w)."""
    for axis, length in ((1, height), (2, width)):
        if rgb.shape[axis] < length:
            rgb = rgb.index_select(axis, torch.arange(length).clamp(max=rgb.shape[axis] - 1))
    return rgb
