"""One image under its mask, to show what an export would look like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.coords import working_picture
from fcnlab.core.images.palette import palette_of, tinted
from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.errors import NoPoints
from fcnlab.lab import Lab
from fcnlab.services.images.importing import read_picture
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.masks import kept_mask, predicted_mask
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import reading

PREVIEW_SIDE = 900


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """A small picture (H, W, 3) uint8 of an image under its mask."""

    image: ImageInfo
    rgb: NDArray[np.uint8]
    kind: Literal["stored", "predicted"]


def preview_image(lab: Lab, *, project_id: int) -> ImageInfo | None:
    """The image worth showing: a done one, else one somebody labels, else the first; None in an empty project."""
    with reading(lab.sessions) as session:
        for state in (ImageState.DONE, ImageState.IN_PROGRESS, ImageState.NEW):
            found = repository_images.images(session, project_id=project_id, state=state, count=1)
            if found:
                return found[0]
    return None


def preview(lab: Lab, learner: ProjectLearner, image: ImageInfo) -> Preview | None:
    """The preview of an image; None when it has no mask and nothing can be learned yet.

    Raises:
        ImportRefused: the original is gone or damaged.
    """
    learner.refresh()
    project = learner.project
    assert project is not None
    mask = kept_mask(lab, image)
    kind: Literal["stored", "predicted"] = "stored" if mask is not None else "predicted"
    if mask is None:
        try:
            mask = predicted_mask(learner, image, learner.maker())
        except NoPoints:
            return None
    veiled = tinted(read_picture(lab, image), mask, palette_of(project.classes), background=project.background)
    return Preview(image, working_picture(veiled, PREVIEW_SIDE), kind)
