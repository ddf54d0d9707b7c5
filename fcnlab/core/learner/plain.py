"""What a head alone makes of a picture: rough, and quick for many pictures."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from fcnlab.core.learner.head import Head
from fcnlab.core.learner.learner import WALKER_STRIDE, Segmentation
from fcnlab.core.learner.opinions import margins, opinions_of, probabilities_of
from fcnlab.core.learner.queries import likeliest
from fcnlab.core.learner.stages import Stages, regridded, score_stages


def plain_probabilities(stages: Stages, head: Head) -> NDArray[np.float32]:
    """What the head alone thinks, (K, h, w) float32 at stride WALKER_STRIDE: rough, but quick for many pictures."""
    return probabilities_of(opinions_of(score_stages(stages, *margins(head), grid=WALKER_STRIDE)))


def plain_segmentation(stages: Stages, head: Head) -> Segmentation:
    """What the head alone makes of a picture nobody clicked, at its working size: no walker, no sharpened borders.

    Scored at stride WALKER_STRIDE and brought to working size in one step, which takes a fraction of the time.
    """
    height, width = stages.hw
    scores = score_stages(stages, *margins(head), grid=WALKER_STRIDE)
    grown = torch.from_numpy(np.stack([regridded(one, WALKER_STRIDE)[:height, :width] for one in scores]))
    if len(grown) == 1:
        share = grown[0].sigmoid()
        probabilities = torch.stack([1 - share, share])
    else:
        probabilities = grown.softmax(dim=0)
    found = probabilities.numpy()
    return Segmentation(head.class_ids, found, np.asarray(head.class_ids, np.uint8)[likeliest(found)])
