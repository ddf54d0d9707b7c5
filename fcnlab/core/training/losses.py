"""The loss of sparse labels."""

from __future__ import annotations

import torch
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


def absence_loss(logits: Tensor, images: Tensor, absent: Tensor) -> Tensor:
    """-log(1 - P(any class that is not in the image)) at pixels of images, averaged over them: a scalar ().

    Complementary labels: a pixel is known to be none of some classes, and may be any other (Kim et al. 2019,
    arXiv:1908.07387, equation 2, for a set of classes). Bearman et al. 2016, equation 2, take the likeliest pixel of
    the image instead, which has to be searched for in all of it.

    Args:
        logits: (N, K) float32, unnormalised, N at least 1.
        images: (N,) int64, the image of each pixel.
        absent: (P, 2) int64, pairs of image and class; no image lacks all K classes.
    """
    is_absent = torch.zeros(int(images.max()) + 1, logits.shape[1], dtype=torch.bool, device=logits.device)
    is_absent[absent[:, 0], absent[:, 1]] = True
    log_probabilities = F.log_softmax(logits, dim=1)
    possible = log_probabilities.masked_fill(is_absent[images], float("-inf"))
    return -torch.logsumexp(possible, dim=1).mean()
