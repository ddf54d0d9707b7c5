"""Masks of an image to hold beside the one that is shown: the imported one, and what would be predicted now."""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.coords import learner_hw
from fcnlab.core.tiling.wide import is_wide
from fcnlab.domain.images import ImageInfo
from fcnlab.errors import ExportFailed, UnknownExpertMask
from fcnlab.lab import Lab
from fcnlab.services.labels.expert_masks import expert_truth
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.masks import at_size, predicted_mask
from fcnlab.storage.database import repository_projects
from fcnlab.storage.database.engine import reading


def imported_map(lab: Lab, image: ImageInfo) -> NDArray[np.uint8]:
    """The newest imported mask of an image at the size of its overlay, (h, w) uint8; IGNORE where nothing is known.

    Raises:
        UnknownExpertMask: it has none, or none that can be read.
    """
    mask = expert_truth(lab, image)
    if mask is None:
        raise UnknownExpertMask(f"{image.name} has no imported mask that can be read")
    with reading(lab.sessions) as session:
        spec = repository_projects.project(session, project_id=image.project_id).learner
    return at_size(mask, learner_hw(image.hw, spec))


def predicted_map(jobs: Jobs, image: ImageInfo) -> Future[NDArray[np.uint8]]:
    """The mask that a done image would keep if it were marked done now, at the size of its overlay, (h, w) uint8.

    The future raises NoPoints, CheckpointError, UnknownEncoder and InvalidClasses as `ProjectLearner.source`;
    ImportRefused: the original is gone or damaged; ExportFailed: the image is so large that clicks would have to wait.
    """

    def predict(learner: ProjectLearner) -> NDArray[np.uint8]:
        learner.refresh()
        project = learner.project
        assert project is not None
        hw = learner_hw(image.hw, project.learner)
        if is_wide(hw):
            raise ExportFailed(f"{image.name} is too large to be predicted again just to look: reopen it")
        return at_size(predicted_mask(learner, image, learner.source()), hw)

    return jobs.run(predict, project_id=image.project_id)
