"""Models on the same images: small pictures of their masks side by side, and where two of them differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcnlab.core.images.coords import working_picture
from fcnlab.core.images.palette import marked, palette_of, tinted
from fcnlab.core.training.scores import confusion, iou_per_class, object_iou
from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.domain.models import ModelRecord
from fcnlab.domain.project import IGNORE, ClassLabel, Project
from fcnlab.lab import Lab
from fcnlab.services.comparing.comparisons import ComparisonStatus
from fcnlab.services.export.plan import Runner, learning
from fcnlab.services.images.importing import read_picture
from fcnlab.services.images.pictures import shown_file
from fcnlab.services.labels.expert_masks import expert_truth
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.mask_source import MaskSource
from fcnlab.services.live.masks import kept_mask, predicted_mask
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import reading
from fcnlab.storage.files.png import read_mask
from fcnlab.storage.formats.masks.overlays import overlay_jpeg

TILE_SIDE = 360


@dataclass(frozen=True, slots=True)
class GalleryTile:
    """One mask of an image: whose, and the file; no file stands for the bare picture."""

    title: str
    mask: Path | None


@dataclass(frozen=True, slots=True)
class Gallery:
    """An image with the masks of all that have one. `picture` is the file that browsers are shown."""

    image: ImageInfo
    is_held_out: bool
    picture: Path
    tiles: tuple[GalleryTile, ...]


def galleries(lab: Lab, status: ComparisonStatus) -> tuple[Gallery, ...]:
    """One gallery for each image whose masks a comparison keeps, as far as results are in."""
    measured = [
        (participant.title, participant.result) for participant in status.participants if participant.result is not None
    ]
    if not measured:
        return ()
    with reading(lab.sessions) as session:
        images = {
            image.id: image for image in repository_images.images_by_ids(session, image_ids=list(status.spec.shown_ids))
        }
        kept = {
            image.id: repository_images.stored_mask(session, image_id=image.id)
            for image in images.values()
            if image.state is ImageState.DONE
        }
    made = []
    for image_id in status.spec.shown_ids:
        image = images.get(image_id)
        if image is None:
            continue
        truth = kept.get(image_id)
        tiles = [] if truth is None else [GalleryTile("Accepted by a labeller", lab.folders.masks / truth.file)]
        tiles += [
            GalleryTile(title, lab.folders.comparisons / result.masks[image_id])
            for title, result in measured
            if image_id in result.masks
        ]
        picture = shown_file(lab, image)
        made.append(Gallery(image, image_id in status.spec.held_out, picture, (GalleryTile("Image", None), *tiles)))
    return tuple(made)


def tile_jpeg(picture: Path, mask: Path | None, labels: Sequence[ClassLabel], background: int | None) -> bytes:
    """JPEG bytes of a picture, its longer side at most TILE_SIDE, under a mask; without it when that is unreadable."""
    with Image.open(picture) as file:
        file.draft("RGB", (TILE_SIDE, TILE_SIDE))
        file.thumbnail((TILE_SIDE, TILE_SIDE), Image.Resampling.BOX)
        rgb = np.asarray(file.convert("RGB"), np.uint8)
    class_map: NDArray[np.uint8] | None = None if mask is None else read_mask(mask)
    if class_map is not None:
        small = np.asarray(cv2.resize(class_map, rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
        rgb = tinted(rgb, small, palette_of(labels), background=background)
    return overlay_jpeg(rgb)


SHOWN_SIDE = 900
MOST_IMAGES = 4

Versions = tuple[ModelRecord | None, ModelRecord | None]
"""Two models; None stands for the instant learner as it is now."""


@dataclass(frozen=True, slots=True, eq=False)
class ModelDifference:
    """Two models on one image.

    Attributes:
        pictures: (H, W, 3) uint8 each, small: the image under either mask.
        differing: (H, W, 3) uint8, small: pixels that the two call differently stand out.
        equal: share of pixels that have the same class.
        ious: of either mask with the true one, None when there is none: of all that is not background, or the mean
            over the classes when there are more than two.
        by_expert: the true mask is an expert's; else it is the one that the image kept when it was marked done.
    """

    image: ImageInfo
    pictures: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    differing: NDArray[np.uint8]
    equal: float
    ious: tuple[float, float] | None
    by_expert: bool = False


@dataclass(frozen=True, slots=True)
class DifferenceProgress:
    """One step further; `difference` once the steps concern images to show."""

    done: int
    total: int
    difference: ModelDifference | None = None


def model_differences(
    lab: Lab, run: Runner, *, images: Sequence[ImageInfo], versions: Versions
) -> Iterator[DifferenceProgress]:
    """Both masks of each image, one image per step; the clicks of now are obeyed in both.

    Args:
        lab: the installation.
        run: runs each step that computes.
        images: of one project.
        versions: what makes the masks.

    Raises:
        NoPoints: the instant learner is asked, and fewer than two classes have points.
        CheckpointError, UnknownEncoder, InvalidClasses: a model cannot be used.
        ImportRefused: an original is gone or damaged.
    """
    if None in versions:
        for done, total, _ in learning(run, also_unused=True):
            yield DifferenceProgress(done, total)
    sources = run(partial(sources_of, versions=versions))
    for n_done, image in enumerate(images, start=1):
        difference = run(partial(_model_difference, lab=lab, image=image, sources=sources))
        yield DifferenceProgress(n_done, len(images), difference)


def sources_of(learner: ProjectLearner, *, versions: Versions) -> tuple[MaskSource, MaskSource]:
    """The mask sources of two versions now; raises as `model_differences`."""
    learner.refresh()
    first, second = (
        learner.source_of(learner.cold_model()) if version is None else learner.chosen_source(version)
        for version in versions
    )
    return first, second


def _model_difference(
    learner: ProjectLearner, *, lab: Lab, image: ImageInfo, sources: tuple[MaskSource, MaskSource]
) -> ModelDifference:
    project = learner.project
    assert project is not None
    rgb = read_picture(lab, image)
    first, second = (predicted_mask(learner, image, source) for source in sources)
    expert = expert_truth(lab, image)
    truth = kept_mask(lab, image) if expert is None else expert
    palette, background = palette_of(project.classes), project.background
    shown = [working_picture(tinted(rgb, mask, palette, background=background), SHOWN_SIDE) for mask in (first, second)]
    return ModelDifference(
        image,
        (shown[0], shown[1]),
        working_picture(marked(rgb, first != second), SHOWN_SIDE),
        float((first == second).mean()),
        None if truth is None else (_iou(truth, first, project), _iou(truth, second, project)),
        expert is not None,
    )


def _iou(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], project: Project) -> float:
    if len(project.classes) == 2 and project.background is not None:
        return object_iou(truth, predicted, background=project.background)
    return float(np.nanmean(iou_per_class(confusion(truth, predicted, IGNORE + 1))))
