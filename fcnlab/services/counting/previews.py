"""One counted image as a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.counting.counted import density_picture
from fcnlab.core.images.coords import working_picture
from fcnlab.domain.images import ImageInfo
from fcnlab.lab import Lab
from fcnlab.services.images.importing import read_picture
from fcnlab.services.live.fitting import ProjectLearner

VIEW_SIDE = 900


def density_view(lab: Lab, learner: ProjectLearner, image: ImageInfo) -> NDArray[np.uint8]:
    """A small picture (H, W, 3) uint8 of an image under the map of its objects.

    Raises:
        NoPoints: nothing can be counted yet.
        ImportRefused: the original is gone or damaged.
    """
    learner.refresh()
    counted = learner.count(image)
    shown = working_picture(read_picture(lab, image), VIEW_SIDE)
    return density_picture(shown, 1 - counted.probabilities[0])
