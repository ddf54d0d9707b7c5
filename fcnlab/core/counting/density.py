"""Densities: maps whose sum over a region is the number of objects in it.

References: Lempitsky and Zisserman 2010 (NIPS 23); as targets of a fully convolutional network, Xie, Noble and
Zisserman 2018.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor

from fcnlab.core.counting.marks import MarkedPoints

DENSITY_UNIT = 100
"""Scores of a network are densities times this: a network learns numbers near one more easily."""

SIGMA_SHARE = 0.3
"""Width (sigma) of an object in the density as a part of the usual distance between neighbours; measured."""

KNOWN_SIGMAS = 3.0
"""So many sigmas around a point the density is known in a picture whose objects are not all marked."""


def sigma_for(spacing: float) -> float:
    """Width of an object in the density, in the pixels `spacing` is given in."""
    return max(0.5, SIGMA_SHARE * spacing)


def density_target(
    marks: MarkedPoints, n_classes: int, hw: tuple[int, int], sigma: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The target density of marked objects, and the mask of pixels where it is known.

    Every object inside the picture adds a Gaussian of mass one; what would fall over the border is reflected back, so
    that the sum over a class is the number of its objects inside.

    Args:
        sigma: standard deviation of the Gaussian, in pixels of the map.

    Returns:
        targets (K, H, W) float32, zero for the background; valid (H, W) bool: everywhere when all objects are marked,
        else around the points only, those of the background included.
    """
    height, width = hw
    inside = (marks.rows >= -0.5) & (marks.rows < height - 0.5) & (marks.cols >= -0.5) & (marks.cols < width - 0.5)
    targets = np.zeros((n_classes, height, width), np.float32)
    for class_index in range(1, n_classes):
        chosen = inside & (marks.classes == class_index)
        if chosen.any():
            impulses = _impulses(marks.rows[chosen], marks.cols[chosen], hw)
            targets[class_index] = gaussian_filter(impulses, sigma, mode="reflect")
    if marks.is_complete:
        return targets, np.ones(hw, bool)
    if not inside.any():
        return targets, np.zeros(hw, bool)
    rows, cols = marks.pixels(hw)
    elsewhere = np.ones(hw, bool)
    elsewhere[rows[inside], cols[inside]] = False
    return targets, np.asarray(distance_transform_edt(elsewhere) <= KNOWN_SIGMAS * sigma)


def density_loss(scores: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """Mean squared error of a density over the known pixels of each picture, then over the pictures.

    The first channel, the background, has no density and gets no gradient. A picture of which nothing is known adds
    zero.

    Args:
        scores: (B, K, H, W) float, densities in units of 1 / DENSITY_UNIT.
        targets: (B, K, H, W) float, objects per pixel. valid: (B, H, W) bool.
    """
    wrong = (scores[:, 1:].float() - DENSITY_UNIT * targets[:, 1:]).square().mean(dim=1)
    share = valid.float()
    per_picture = (torch.where(valid, wrong, 0) * share).sum(dim=(1, 2)) / share.sum(dim=(1, 2)).clamp(min=1)
    return per_picture.mean()


def _impulses(rows: NDArray[np.float32], cols: NDArray[np.float32], hw: tuple[int, int]) -> NDArray[np.float64]:
    """(H, W) of mass one per point, shared by the four pixels around it."""
    mass = np.zeros(hw, np.float64)
    row, col = (
        np.clip(positions.astype(np.float64), 0, side - 1) for positions, side in zip((rows, cols), hw, strict=True)
    )
    top, left = np.floor(row).astype(np.int64), np.floor(col).astype(np.int64)
    down, right = row - top, col - left
    for step_down, share_down in ((0, 1 - down), (1, down)):
        for step_right, share_right in ((0, 1 - right), (1, right)):
            at = np.minimum(top + step_down, hw[0] - 1), np.minimum(left + step_right, hw[1] - 1)
            np.add.at(mass, at, share_down * share_right)
    return mass
