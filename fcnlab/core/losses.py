"""The loss of sparse labels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from fcnlab.domain import IGNORE
from fcnlab.errors import NoPoints


def point_loss(logits: Tensor, target: Tensor, *, class_weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy over the labelled pixels only.

    Args:
        logits: (B, K, H, W) float, unnormalised.
        target: (B, H, W) int64, a class index, or IGNORE where nobody said.
        class_weights: (K,) float; the mean is weighted by them. None: every pixel weighs alike.

    Raises:
        NoPoints: every pixel is IGNORE (torch would return NaN).

    Reference: Bearman et al. 2016, arXiv:1506.02106, without the objectness term.
    """
    if bool((target == IGNORE).all()):
        raise NoPoints("no labelled pixel in this batch: add a point or leave the image out")
    return F.cross_entropy(logits, target, weight=class_weights, ignore_index=IGNORE)
