"""The loss of sparse labels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def point_loss(logits: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy at labelled pixels, times their weights, averaged over the points: a scalar ().

    Logits are computed at the labelled pixels only (`PointNetwork.logits_at`), so no other pixel has a gradient, and
    the size of the picture does not matter. The weights (`batches.weighted`) balance classes and sources and are one on
    average over all points of the project; a step is not divided by the weights it happens to hold, for a rare class
    must not weigh more because it is alone in a step.

    Args:
        logits: (N, K) float32, unnormalised, N at least 1.
        classes: (N,) int64, indices of classes.
        weights: (N,) float32, zero or more; a point of weight 0 does not count.

    Reference: Bearman et al. 2016, arXiv:1506.02106, without the objectness term.
    """
    return (F.cross_entropy(logits, classes, reduction="none") * weights).mean()
