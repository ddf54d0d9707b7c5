"""Masks at full size: predicted ones, and the ones that done images keep."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.painting import Painting, painted
from fcnlab.core.learner.full_size import full_size
from fcnlab.core.learner.model import Model, model_to_arrays
from fcnlab.domain.images import ImageInfo, ImageState, StoredMask
from fcnlab.domain.models import FitRecord
from fcnlab.domain.project import IGNORE, Project
from fcnlab.errors import ExportFailed, NoPoints, storage_explained
from fcnlab.lab import Lab
from fcnlab.services.labelling.painting import painting_of
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.mask_source import MaskSource
from fcnlab.storage.database import repository_images, repository_points, repository_projects
from fcnlab.storage.database.engine import reading, writing
from fcnlab.storage.database.repository_projects import project_revision
from fcnlab.storage.files.checkpoints import save_checkpoint
from fcnlab.storage.files.png import mask_png, read_mask
from fcnlab.storage.files.whole_files import write_whole

PAINTED = "painted"
"""What made a mask of which every pixel was painted or taken from an imported mask."""

ATTEMPTS = 20
"""Points that arrive while they are read start the reading over; so often at most."""


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A cold fit with the checkpoint it left."""

    model: Model
    record: FitRecord


def save_model(lab: Lab, learner: ProjectLearner) -> SavedModel:
    """Fit from zero, write the checkpoint and record it; an equal fit recorded before is used again.

    Raises:
        NoPoints: fewer than two classes have points.
        StorageFull: there is no room for the checkpoint.
    """
    project, points = refreshed(lab, learner)
    with reading(lab.sessions) as session:
        fits = repository_projects.fits(session, project_id=project.id)
    started = time.perf_counter()
    model = learner.cold_model()
    stem = f"{project.id}-{points[:16]}-{_ground(model, learner)}-"
    for record in fits:
        same = record.point_set_hash == points and record.learner == project.learner
        if same and record.checkpoint.startswith(stem) and (lab.folders.checkpoints / record.checkpoint).is_file():
            return SavedModel(model, record)
    milliseconds = (time.perf_counter() - started) * 1000
    name = f"{stem}{lab.clock():%Y%m%dT%H%M%S%f}.safetensors"
    with storage_explained(outcome="The learner was not saved, and all points are"):
        save_checkpoint(lab.folders.checkpoints / name, *model_to_arrays(model))
    with writing(lab.sessions) as session:
        record = repository_projects.record_fit(
            session,
            project_id=project.id,
            learner=project.learner,
            point_set_hash=points,
            n_points=sum(len(labelled.clicks) for labelled in model.samples),
            checkpoint=name,
            milliseconds=milliseconds,
            now=lab.clock(),
        )
    return SavedModel(model, record)


def _ground(model: Model, learner: ProjectLearner) -> str:
    """Part of the name of a checkpoint: what decides a model beside points and settings.

    That is how pictures were made of their files, and names and order of the classes, and which is background.
    """
    ground = json.dumps([model.classes, model.background, learner.clicked_pictures()])
    return hashlib.sha256(ground.encode()).hexdigest()[:12]


def refreshed(lab: Lab, learner: ProjectLearner) -> tuple[Project, str]:
    """Let the learner read the points of now; the project, and the hash of exactly the points it learns from.

    Raises:
        UnknownProject: it is gone.
        ExportFailed: points arrive faster than they can be read.
    """
    for _ in range(ATTEMPTS):
        learner.refresh()
        project = learner.project
        assert project is not None
        with reading(lab.sessions) as session:
            now = project_revision(session, project_id=project.id)
            points = repository_points.point_set_hash(session, project_id=project.id, without=learner.left_out())
        if now == learner.read_at:  # nothing came between reading and hashing
            return project, points
    raise ExportFailed("points keep arriving while they are read; try again in a moment")


def predicted_mask(
    learner: ProjectLearner, image: ImageInfo, source: MaskSource, *, painting: Painting | None = None
) -> NDArray[np.uint8]:
    """Class ids (H, W) uint8 at full size by the settings and clicks of the source, whatever changed since.

    Every pixel clicked by then has its class, unless a stroke covers it. Strokes are those of `painting`, or of now.
    """
    return painted(_unpainted(image, source), learner.painting_of(image) if painting is None else painting)


def _unpainted(image: ImageInfo, source: MaskSource) -> NDArray[np.uint8]:
    return full_size(source.predict(image).segmentation, image.hw, source.clicks_of(image))


def keep_mask(lab: Lab, learner: ProjectLearner, image: ImageInfo) -> NDArray[np.uint8]:
    """Predict and store the mask of a done image, by the model the project uses; it stays until it is reopened.

    Where strokes cover every pixel, they are the mask, and no model is asked.

    Raises:
        NoPoints: pixels are left to the instant learner, and fewer than two classes have points.
        CheckpointError, UnknownEncoder, InvalidClasses: the model that the project chose cannot be used.
    """
    learner.refresh()
    painting = learner.painting_of(image)
    whole = painted(np.full(image.hw, IGNORE, np.uint8), painting) if painting.layers else None
    if whole is not None and IGNORE not in whole:  # nothing is left to predict, nor need anything have been learned
        mask, made_by, points, name = whole, PAINTED, "", PAINTED
    elif learner.record is None:
        saved = save_model(lab, learner)
        mask = painted(_unpainted(image, learner.source_of(saved.model)), painting)
        made_by, points, name = saved.record.checkpoint, saved.record.point_set_hash, str(saved.record.id)
    else:
        mask = painted(_unpainted(image, learner.chosen_source(learner.record)), painting)
        made_by, name = learner.record.file, f"model{learner.record.id}"
        with reading(lab.sessions) as session:
            points = repository_points.point_set_hash(session, project_id=image.project_id)
    png = mask_png(mask)  # named by its content: another mask by the same model is another file
    file = f"{image.project_id}/{image.id}-{name}-{hashlib.sha256(png).hexdigest()[:12]}.png"
    with storage_explained(outcome="The image is done; its mask is made when it is looked at or exported again"):
        write_whole(lab.folders.masks / file, png)
    stored = StoredMask(file, made_by, points, lab.clock())
    with writing(lab.sessions) as session:
        if painting_of(session, image) == painting:  # else it was reopened, painted on and done again meanwhile
            repository_images.store_mask(session, image_id=image.id, mask=stored)
    return mask


def kept_mask(lab: Lab, image: ImageInfo) -> NDArray[np.uint8] | None:
    """The stored mask (H, W) uint8 of a done image; None when it has none or its file is unreadable."""
    if image.state is not ImageState.DONE:
        return None
    with reading(lab.sessions) as session:
        stored = repository_images.stored_mask(session, image_id=image.id)
    if stored is None:
        return None
    mask = read_mask(lab.folders.masks / stored.file)
    return mask if mask is not None and mask.shape == image.hw else None


def final_mask(lab: Lab, learner: ProjectLearner, image: ImageInfo) -> NDArray[np.uint8] | None:
    """The mask a done image keeps, made now if it is missing; None when nothing can be learned yet.

    Raises:
        ImportRefused: an original is gone or damaged.
        CheckpointError, UnknownEncoder, InvalidClasses: the model that the project chose cannot be used.
    """
    kept = kept_mask(lab, image)
    if kept is not None:
        return kept
    try:
        return keep_mask(lab, learner, image)
    except NoPoints:
        return None


def at_size(mask: NDArray[np.uint8], hw: tuple[int, int]) -> NDArray[np.uint8]:
    """A class map small enough to send: nearest pixels."""
    return np.asarray(cv2.resize(mask, hw[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
