"""One blob per object: the loss of LC-FCN for several classes (Laradji et al. 2018, arXiv:1807.09856).

Written from the paper; docs/adr/0022 says how its sums became means that mean the same at every size of the map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fcnlab.core.counting.marks import MarkedPoints, spacing_of
from fcnlab.core.counting.objects import basins_of, boundary_of, components

FLOODED_PIXELS = 65_536
"""Maps of more pixels are reduced before the watershed of the whole picture, which would take longest of all."""


SPLIT_WEIGHT = 3.0
"""Of the split term in the sum. Measured on crowded cells: with 1 more of them stay joined, with 8 points are lost."""


@dataclass(frozen=True, slots=True, eq=False)
class BlobLoss:
    """The four terms, each a scalar tensor: the mean over the pictures of a batch.

    Attributes:
        image: each class that is marked has a pixel somewhere; each that is absent has none.
        point: every marked pixel has its class.
        split: pixels between points that share a blob are background.
        false_positive: blobs without a point are background.
    """

    image: Tensor
    point: Tensor
    split: Tensor
    false_positive: Tensor

    @property
    def total(self) -> Tensor:
        """The sum of the terms; splits count SPLIT_WEIGHT times."""
        return self.image + self.point + SPLIT_WEIGHT * self.split + self.false_positive


@dataclass(frozen=True, slots=True)
class _Pushed:
    """Pixels of a picture that should be background: flat indices and what each weighs."""

    flat_pixels: NDArray[np.int64]
    weights: NDArray[np.float32]


def blob_loss(logits: Tensor, marks: Sequence[MarkedPoints]) -> BlobLoss:
    """The loss of LC-FCN.

    Every term is a mean of cross-entropies over things: classes, points, boundaries, blobs; none grows with the
    pixels of the map or with the number of objects. In pictures not all marked, classes without a point, and blobs
    without one, say nothing.

    Args:
        logits: (B, K, H, W) float, unnormalised; class 0 is the background.
        marks: of the B pictures, in the frame of the maps.
    """
    terms = [_of_picture(image_logits, its) for image_logits, its in zip(logits.float(), marks, strict=True)]
    return BlobLoss(*(torch.stack(term).mean() for term in zip(*terms, strict=True)))


def _of_picture(logits: Tensor, marks: MarkedPoints) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    hw = (logits.shape[1], logits.shape[2])
    logs = F.log_softmax(logits.flatten(1), dim=0)
    rows, cols = marks.pixels(hw)
    flat_pixels = rows * hw[1] + cols
    probabilities = logs.detach().exp().cpu().numpy().reshape(logits.shape)
    split, surplus = _pushed(probabilities, marks, hw)
    return _image_term(logs, marks), _point_term(logs, marks, flat_pixels), _push(logs, split), _push(logs, surplus)


def _image_term(logs: Tensor, marks: MarkedPoints) -> Tensor:
    n_classes = logs.shape[0]
    present = np.zeros(n_classes, bool)
    present[marks.classes] = True
    present[0] = True
    best, where = logs.max(dim=1)
    term = -best[torch.from_numpy(np.flatnonzero(present)).to(logs.device)].mean()
    absent = [int(class_index) for class_index in np.flatnonzero(~present)]
    if marks.is_complete and absent:
        unlike = [torch.logsumexp(_without(logs[:, where[class_index]], class_index), dim=0) for class_index in absent]
        term = term - torch.stack(unlike).mean()
    return term


def _without(logs: Tensor, class_index: int) -> Tensor:
    """Log probabilities (K - 1,) of the other classes: their logsumexp is log(1 - p), stable for p near one."""
    return torch.cat([logs[:class_index], logs[class_index + 1 :]])


def _point_term(logs: Tensor, marks: MarkedPoints, flat_pixels: NDArray[np.int64]) -> Tensor:
    """Points of the background weigh as much as objects each, but no more than all objects together."""
    n_objects = marks.n_objects
    n_background = len(flat_pixels) - n_objects
    weights = np.where(marks.classes > 0, 1 / max(1, n_objects), 1 / max(1, n_objects, n_background))
    point_logs = logs[torch.from_numpy(marks.classes).to(logs.device), torch.from_numpy(flat_pixels).to(logs.device)]
    return -(point_logs * torch.from_numpy(weights.astype(np.float32)).to(logs.device)).sum()


def _push(logs: Tensor, pushed: _Pushed) -> Tensor:
    chosen = logs[0].index_select(0, torch.from_numpy(pushed.flat_pixels).to(logs.device))
    return -(chosen * torch.from_numpy(pushed.weights).to(logs.device)).sum()


def _pushed(probabilities: NDArray[np.float32], marks: MarkedPoints, hw: tuple[int, int]) -> tuple[_Pushed, _Pushed]:
    """What the split term and the false positive term push towards the background.

    The weights of all blobs without a point are divided by the number of objects, or by their own sum if it is more.
    """
    winner = probabilities.argmax(axis=0)
    rows, cols = marks.pixels(hw)
    n_objects = max(1, marks.n_objects)
    chosen = marks.classes > 0
    usual = math.pi / 4 * spacing_of([(marks.rows[chosen], marks.cols[chosen])], hw) ** 2
    split: list[_Pushed] = []
    surplus: list[_Pushed] = []
    for class_index in range(1, probabilities.shape[0]):
        of_class = marks.classes == class_index
        seeds = rows[of_class], cols[of_class]
        blobs, n_blobs = components(winner == class_index)
        n_points = np.bincount(blobs[seeds], minlength=n_blobs + 1)
        n_points[0] = 0
        if of_class.sum() > 1:
            split += _split(probabilities[class_index], blobs, n_points, seeds, n_objects)
        if marks.is_complete:
            surplus.append(_without_point(blobs, n_points, usual))
    pushed = _joined(surplus)
    all_in_all = max(n_objects, float(pushed.weights.sum(dtype=np.float64)))
    return _joined(split), _Pushed(pushed.flat_pixels, (pushed.weights / all_in_all).astype(np.float32))


def _split(
    probability: NDArray[np.float32],
    blobs: NDArray[np.int32],
    n_points: NDArray[np.int64],
    seeds: tuple[NDArray[np.int64], NDArray[np.int64]],
    n_objects: int,
) -> list[_Pushed]:
    """The split term of one class: boundaries of the whole picture, and those within blobs that points share.

    A boundary within a blob weighs one less than the points in it, all its pixels together. Those of the whole picture
    weigh one in all where a single blob holds every point, and nothing outside blobs with points.

    Args:
        blobs: (H, W) numbers. n_points: of each number, 0 for no blob. seeds: pixels of the points.
    """
    if not n_points.any():
        return []
    lines = np.flatnonzero(_lines(probability, seeds, _step(blobs.shape)))
    weights = n_points[blobs.flat[lines]] / (n_objects * max(1, len(lines)))
    pushed = [_Pushed(lines[weights > 0], weights[weights > 0].astype(np.float32))]
    shared = n_points[blobs] > 1
    if shared.any():
        lines = np.flatnonzero(_lines(probability, seeds, 1, shared))
        of = blobs.flat[lines]
        length = np.bincount(of, minlength=len(n_points))
        pushed.append(_Pushed(lines, ((n_points[of] - 1) / (n_objects * length[of])).astype(np.float32)))
    return pushed


def _step(hw: tuple[int, ...]) -> int:
    """By how much the probabilities of a large picture are reduced before they are flooded as a whole."""
    return max(1, math.ceil(math.sqrt(hw[0] * hw[1] / FLOODED_PIXELS)))


def _lines(
    probability: NDArray[np.float32],
    seeds: tuple[NDArray[np.int64], NDArray[np.int64]],
    step: int,
    mask: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Pixels (H, W) between the basins of the seeds, none of them a seed; found on a map reduced by `step`."""
    reduced = _reduced(probability, step)
    markers = np.zeros(reduced.shape, np.int32)
    markers[seeds[0] // step, seeds[1] // step] = np.arange(1, len(seeds[0]) + 1)
    lines = boundary_of(basins_of(-reduced, markers, mask), reduced, markers > 0)
    if step > 1:
        height, width = probability.shape
        lines = lines.repeat(step, axis=0).repeat(step, axis=1)[:height, :width]
        lines[seeds] = False
    return lines


def _reduced(probability: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """The largest of every `step` x `step` pixels."""
    if step == 1:
        return probability
    height, width = (-(-side // step) for side in probability.shape)
    padded = np.zeros((height * step, width * step), np.float32)
    padded[: probability.shape[0], : probability.shape[1]] = probability
    return np.asarray(padded.reshape(height, step, width, step).max(axis=(1, 3)), np.float32)


def _without_point(blobs: NDArray[np.int32], n_points: NDArray[np.int64], usual: float) -> _Pushed:
    """Pixels of blobs without a point; a blob weighs as many objects of `usual` size as fit into it, one at least."""
    sizes = np.bincount(blobs.ravel(), minlength=len(n_points))
    is_surplus = n_points == 0
    is_surplus[0] = False
    flat_pixels = np.flatnonzero(is_surplus[blobs])
    sizes_there = sizes[blobs.flat[flat_pixels]]
    return _Pushed(flat_pixels, (1 / np.minimum(sizes_there, max(1.0, usual))).astype(np.float32))


def _joined(parts: list[_Pushed]) -> _Pushed:
    if not parts:
        return _Pushed(np.zeros(0, np.int64), np.zeros(0, np.float32))
    return _Pushed(
        np.concatenate([part.flat_pixels for part in parts]), np.concatenate([part.weights for part in parts])
    )
