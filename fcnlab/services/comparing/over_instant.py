"""Whether a trained network is better than the instant learner, asked about the same points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.training.scores import gain_of
from fcnlab.domain.project import Project
from fcnlab.domain.scores import Gain
from fcnlab.lab import Lab
from fcnlab.services.comparing.instant_participant import Linear
from fcnlab.services.images.importing import read_picture
from fcnlab.services.models.files import NetworkPredictor
from fcnlab.services.training.training_points import TrainingPoints

MOST_IMAGES = 300
"""With more labelled images than this the instant learner would take minutes to look at them, and is not asked."""


def gain_over_instant(lab: Lab, points: TrainingPoints, project: Project, network: NetworkPredictor) -> Gain | None:
    """What a network has over the instant learner on the held-out points; None without any, or of too many images.

    The instant learner is fitted to the points that the network learned from, with the settings of the project, and
    looks at every image as one that nobody clicked in. The points of both are read from masks at full size.

    Raises:
        NoPoints: fewer than two classes have points.
        UnknownEncoder, WeightsUnavailable: the encoder of the instant learner cannot be loaded.
        ImportRefused: an original is gone or damaged.
    """
    held_out = points.clicks(held=True)
    if not held_out or len(held_out) + len(points.clicks(held=False)) > MOST_IMAGES:
        return None
    instant = Linear(points, project, lab, working_side=project.learner.working_side)
    told: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]] = []
    for image, clicks in held_out:
        rgb, at = read_picture(lab, image), (clicks.rows, clicks.cols)
        told.append((network.mask(rgb)[at] == clicks.class_ids, instant.mask(rgb)[at] == clicks.class_ids))
    of_network, of_instant = (np.concatenate(right) for right in zip(*told, strict=True))
    wanted = np.concatenate([clicks.class_ids for _, clicks in held_out])
    return gain_of(of_network, of_instant, wanted)
