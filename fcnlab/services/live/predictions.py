"""Masks for programs that ask: of images of a project, and of pictures that are in none."""

from __future__ import annotations

import hashlib

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import Project
from fcnlab.lab import Lab
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.mask_source import MaskSource
from fcnlab.services.live.masks import SavedModel, kept_mask, predicted_mask, save_model
from fcnlab.services.predict.predicting import Predictor
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import reading
from fcnlab.storage.files.whole_files import passing_folder

SOURCES_KEPT = 4
"""Projects whose model stays ready; a cold fit takes as long as many masks."""


class Predictions:
    """Gives masks between the clicks of labellers: every step runs on the compute thread of `jobs`.

    Its methods wait for the answer: call them from a thread that may.
    """

    def __init__(self, lab: Lab, jobs: Jobs) -> None:
        self._lab, self._jobs = lab, jobs
        self._sources: LRUCache[int, tuple[int, MaskSource]] = LRUCache(SOURCES_KEPT)

    def fit(self, project_id: int) -> SavedModel:
        """Learn from all points of a project and save the model; the same points make one model.

        Raises:
            UnknownProject: no such project.
            NoPoints: fewer than two classes have points.
        """
        return self._jobs.run(lambda learner: save_model(self._lab, learner), project_id=project_id).result()

    def mask(self, image_id: int) -> tuple[ImageInfo, NDArray[np.uint8]]:
        """The mask (H, W) uint8 of class ids: the one a done image keeps, else a prediction from the points of now.

        Raises:
            UnknownImage: no such image.
            NoPoints, CheckpointError, UnknownEncoder, InvalidClasses: nothing can make it; see `ProjectLearner.source`.
        """
        with reading(self._lab.sessions) as session:
            image = repository_images.image(session, image_id=image_id)
        kept = kept_mask(self._lab, image)
        if kept is not None:
            return image, kept

        def step(learner: ProjectLearner) -> NDArray[np.uint8]:
            return predicted_mask(learner, image, self._source(learner))

        return image, self._jobs.run(step, project_id=image.project_id).result()

    def mask_of_picture(self, data: bytes, *, name: str, project_id: int) -> tuple[Project, NDArray[np.uint8]]:
        """The mask (H, W) uint8 of a picture by what the project knows, its clicks and strokes on the same file too.

        Raises:
            UnknownProject: no such project.
            ImportRefused, InvalidImage: it is no picture fcnlab can read.
            NoPoints, CheckpointError, UnknownEncoder, InvalidClasses: see `mask`.
        """

        content_hash = hashlib.sha256(data).hexdigest()

        def step(learner: ProjectLearner) -> tuple[Project, NDArray[np.uint8]]:
            source = self._source(learner)
            assert source.content is not None
            assert learner.project is not None
            settings = self._lab.settings
            with reading(self._lab.sessions) as session:
                image = repository_images.find_image_by_hash(session, project_id=project_id, content_hash=content_hash)
            predictor = Predictor(
                source.content,
                device=self._lab.device,
                max_pixels=settings.max_pixels,
                paintings={} if image is None else {content_hash: learner.painting_of(image)},
                imaging=learner.project.imaging,
            )
            with passing_folder(self._lab.folders.exports, prefix="picture") as folder:
                path = folder / "picture"
                path.write_bytes(data)
                return learner.project, predictor.mask(predictor.read(path, name=name))

        return self._jobs.run(step, project_id=project_id).result()

    def _source(self, learner: ProjectLearner) -> MaskSource:
        """The mask source of now; kept while points, classes and settings stay. Runs on the compute thread only."""
        learner.refresh()
        project = learner.project
        assert project is not None
        cached = self._sources.get(project.id)
        source = cached[1] if cached is not None and cached[0] == learner.revision else learner.source()
        self._sources[project.id] = learner.revision, source  # making it may have changed what is learned
        return source
