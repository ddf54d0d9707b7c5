"""Pictures with labelled pixels, as networks learn from them, and how they are changed at random on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as v2

from fcnlab.core.learner.head import point_weights
from fcnlab.domain.training import TrainingSpec

TRIES = 4
"""Random turns and zooms tried before a picture is taken as it is, so that some of its points stay inside."""

ABSENT_PIXELS = 64
"""Pixels drawn in a picture for each step, at which the classes that it does not contain are unlikely."""

NO_CLASS = -1
"""In place of a class: of a pixel at which nothing is known but which classes it is not."""

GREY = 0.5
"""What lies outside a turned picture, and between pictures of different sizes in one batch."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPicture:
    """One picture and its labelled pixels.

    Attributes:
        image: names the picture.
        read: gives the working picture (H, W, 3) uint8, RGB.
        rows, cols: (N,) float32, positions in the working picture; pixel centres are whole numbers.
        classes: (N,) int64, places in the list of classes.
        weights: (N,) float32.
        is_complete: every object in it is marked, so that the rest of the picture holds none.
        full_hw: size of the upright image; None: not known, and not needed for labelled pixels.
        absent: places of classes that it does not contain.
    """

    image: str
    read: Callable[[], NDArray[np.uint8]]
    rows: NDArray[np.float32]
    cols: NDArray[np.float32]
    classes: NDArray[np.int64]
    weights: NDArray[np.float32]
    is_complete: bool = False
    full_hw: tuple[int, int] | None = None
    absent: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step learns from.

    Attributes:
        rgb: (B, 3, H, W) float32 in 0..1; smaller pictures are padded at the right and below.
        images: (N,) int64, index into the batch.
        rows, cols: (N,) float32, positions in the pictures.
        classes: (N,) int64, NO_CLASS of a pixel that only `absent` speaks of. weights: (N,) float32.
        absent: (P, 2) int64, pairs of a picture of the batch and a class that it does not contain.
    """

    rgb: Tensor
    images: Tensor
    rows: Tensor
    cols: Tensor
    classes: Tensor
    weights: Tensor
    absent: Tensor

    def to(self, device: str) -> Batch:
        """The same on another device."""
        parts = (self.rgb, self.images, self.rows, self.cols, self.classes, self.weights, self.absent)
        return Batch(*(tensor.to(device) for tensor in parts))


def weighted(pictures: Sequence[LabelledPicture], class_weight: str) -> list[LabelledPicture]:
    """The same pictures with weights of mean one over all points; "balanced" gives every class the same share.

    Balanced over all pictures, not over each batch, where a rare class would have one point or none.
    """
    classes = np.concatenate([picture.classes for picture in pictures])
    weights = np.concatenate([picture.weights for picture in pictures])
    present = tuple(int(class_id) for class_id in np.unique(classes[weights > 0]))
    shares = (point_weights(classes, weights, present, class_weight) * len(weights)).astype(np.float32)
    parts = np.split(shares, np.cumsum([len(picture.weights) for picture in pictures])[:-1])
    return [replace(picture, weights=part) for picture, part in zip(pictures, parts, strict=True)]


def collated(
    pictures: Sequence[LabelledPicture], spec: TrainingSpec, rng: np.random.Generator | None, *, device: str
) -> Batch:
    """A batch of pictures, each changed at random; with no generator they are taken as they are.

    With `spec.absent_weight`, pixels are drawn at random in pictures that do not contain some class.
    """
    seen = [_seen(picture, spec, rng) for picture in pictures]
    height, width = (max(rgb.shape[axis] for rgb, *_ in seen) for axis in (1, 2))
    canvas = torch.full((len(seen), 3, height, width), GREY).contiguous(memory_format=torch.channels_last)
    for index, (rgb, *_) in enumerate(seen):
        canvas[index, :, : rgb.shape[1], : rgb.shape[2]] = rgb
    lacking = [k for k, picture in enumerate(pictures) if picture.absent] if rng and spec.absent_weight else []
    drawn = [_random_pixels(seen[k][0], rng) for k in lacking if rng]
    labelled = [
        (picture.classes[part[3]], picture.weights[part[3]]) for picture, part in zip(pictures, seen, strict=True)
    ]
    n_drawn = ABSENT_PIXELS * len(lacking)
    parts = (
        np.repeat([*range(len(seen)), *lacking], [*(len(kept) for *_, kept in seen), *[ABSENT_PIXELS] * len(lacking)]),
        np.concatenate([*(rows for _, rows, _, _ in seen), *(rows for rows, _ in drawn)]),
        np.concatenate([*(cols for _, _, cols, _ in seen), *(cols for _, cols in drawn)]),
        np.concatenate([*(classes for classes, _ in labelled), np.full(n_drawn, NO_CLASS, np.int64)]),
        np.concatenate([*(weights for _, weights in labelled), np.ones(n_drawn, np.float32)]),
        np.array([(k, place) for k in lacking for place in pictures[k].absent], np.int64).reshape(-1, 2),
    )
    return Batch(canvas, *(torch.from_numpy(part) for part in parts)).to(device)


def _random_pixels(rgb: Tensor, rng: np.random.Generator) -> tuple[Positions, Positions]:
    """Rows and cols (ABSENT_PIXELS,) of pixels of a picture (3, H, W)."""
    height, width = rgb.shape[1:]
    rows, cols = rng.integers(height, size=ABSENT_PIXELS), rng.integers(width, size=ABSENT_PIXELS)
    return rows.astype(np.float32), cols.astype(np.float32)


Positions = NDArray[np.float32]
Seen = tuple[Tensor, Positions, Positions, NDArray[np.intp]]
"""A picture (3, H, W), rows and cols (M,) of the points that lie inside it, and which ones (M,) they are."""


def _seen(picture: LabelledPicture, spec: TrainingSpec, rng: np.random.Generator | None) -> Seen:
    pixels = torch.from_numpy(np.array(picture.read()))
    rgb = pixels.permute(2, 0, 1).float() / 255
    rows, cols, kept = picture.rows, picture.cols, np.arange(len(picture.rows))
    if rng is None:
        return rgb, rows, cols, kept
    rgb, rows, cols = cut_out(rgb, rows, cols, spec.crop, rng)
    inside = _inside(rows, cols, rgb)  # what was cut off must not come back by a turn: its pixels are gone
    rows, cols, kept = rows[inside], cols[inside], kept[inside]
    rgb, rows, cols = turned(rgb, rows, cols, spec, rng)
    inside = _inside(rows, cols, rgb)
    return recoloured(rgb, spec.colour, rng), rows[inside], cols[inside], kept[inside]


def cut_out(
    rgb: Tensor, rows: Positions, cols: Positions, side: int, rng: np.random.Generator
) -> tuple[Tensor, Positions, Positions]:
    """A window of at most `side` x `side` pixels (0: everything) round a point drawn at random, or anywhere."""
    height, width = rgb.shape[1:]
    if not side or max(height, width) <= side:
        return rgb, rows, cols
    if len(rows):
        chosen = int(rng.integers(len(rows)))
        centre = (float(rows[chosen]), float(cols[chosen]))
    else:
        centre = (float(rng.integers(height)), float(rng.integers(width)))
    starts = []
    for length, at in zip((height, width), centre, strict=True):
        window, pixel = min(side, length), int(np.clip(math.floor(at + 0.5), 0, length - 1))
        starts.append(int(rng.integers(max(0, pixel - window + 1), min(pixel, length - window) + 1)))
    top, left = starts
    return rgb[:, top : top + side, left : left + side], rows - np.float32(top), cols - np.float32(left)


def turned(
    rgb: Tensor, rows: Positions, cols: Positions, spec: TrainingSpec, rng: np.random.Generator
) -> tuple[Tensor, Positions, Positions]:
    """The picture mirrored, turned and zoomed at random, its points with it; one of them at least stays inside."""
    hw = (int(rgb.shape[1]), int(rgb.shape[2]))
    if spec.flip and rng.random() < 0.5:
        rgb, cols = v2.horizontal_flip(rgb), np.float32(hw[1] - 1) - cols
    if spec.scale == 1 and spec.rotate == 0:
        return rgb, rows, cols
    for _ in range(TRIES):
        angle = float(rng.uniform(-spec.rotate, spec.rotate))
        zoom = float(np.exp(rng.uniform(-1, 1) * np.log(spec.scale)))
        slack = [abs(zoom - 1) * side / 2 for side in (hw[1], hw[0])]
        shift = [float(rng.uniform(-limit, limit)) for limit in slack]
        # torchvision moves key points in coordinates whose pixel centres lie at halves
        key_points = tv_tensors.KeyPoints(np.stack([cols, rows], axis=1) + 0.5, canvas_size=hw)
        moved = v2.affine(key_points, angle=angle, translate=shift, scale=zoom, shear=[0.0])
        new_cols, new_rows = (np.asarray(moved, np.float32) - np.float32(0.5)).T
        if not len(rows) or _inside(new_rows, new_cols, rgb).any():
            bilinear = v2.InterpolationMode.BILINEAR
            fill = [GREY] * 3
            rgb = v2.affine(
                rgb, angle=angle, translate=shift, scale=zoom, shear=[0.0], interpolation=bilinear, fill=fill
            )
            return rgb, new_rows, new_cols
    return rgb, rows, cols


def recoloured(rgb: Tensor, strength: float, rng: np.random.Generator) -> Tensor:
    """The picture (3, H, W) with brightness, contrast, saturation and hue changed at random."""
    if strength == 0:
        return rgb
    for change in (v2.adjust_brightness, v2.adjust_contrast, v2.adjust_saturation):
        rgb = change(rgb, float(rng.uniform(1 - strength, 1 + strength)))
    hued: Tensor = v2.adjust_hue(rgb, float(rng.uniform(-1, 1)) * 0.1 * strength)
    return hued


def _inside(rows: Positions, cols: Positions, rgb: Tensor) -> NDArray[np.bool_]:
    height, width = rgb.shape[1:]
    return np.asarray((rows >= -0.5) & (rows < height - 0.5) & (cols >= -0.5) & (cols < width - 0.5), np.bool_)
