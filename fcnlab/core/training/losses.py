"""The loss of sparse labels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from fcnlab.domain.project import IGNORE
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


def sampled_point_loss(logits: Tensor, classes: Tensor, weights: Tensor, *, class_weight: str = "balanced") -> Tensor:
    """Mean cross-entropy of logits that were computed at the labelled pixels only: select, then average.

    Weighted as in `core.head.point_weights`: "balanced" gives every class present the same share, whatever its number
    of points; "none" lets every point count by its own weight. With weights of one this equals `point_loss` of the
    dense logits, with class weights of one over the number of points of the class.

    Args:
        logits: (N, K) float, unnormalised.
        classes: (N,) int64, a class index; points of IGNORE do not count.
        weights: (N,) float, zero or more; only their ratios matter.

    Raises:
        NoPoints: no point has a class and a weight above zero.
    """
    chosen = (classes != IGNORE) & (weights > 0)
    if not bool(chosen.any()):
        raise NoPoints("no labelled pixel in this batch: add a point or leave the image out")
    logits, classes, shares = logits[chosen].float(), classes[chosen], weights[chosen].float()
    if class_weight == "balanced":
        per_class = shares.new_zeros(logits.shape[1]).index_add(0, classes, shares)
        shares = shares / per_class[classes]
    return (F.cross_entropy(logits, classes, reduction="none") * (shares / shares.sum())).sum()


def balanced_step_loss(logits: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """The part of one training step in the point loss of all points: mean of weight times cross-entropy.

    Not divided by the weights of the step: they are one on average over all points, and a rare class must not weigh
    more because it is alone in a step. Zero when no point of the step counts.

    Args:
        logits: (N, K) float, unnormalised, N at least 1.
        classes: (N,) int64. weights: (N,) float, zero or more; see `labelled.weighted`.
    """
    return (F.cross_entropy(logits, classes, reduction="none") * weights).mean()
