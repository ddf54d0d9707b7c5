"""Expert masks of a project: which there are, taking them away, and the truth they tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.training.scores import confusion, iou_per_class
from fcnlab.domain.images import ExpertMask, ImageInfo
from fcnlab.domain.project import IGNORE
from fcnlab.errors import UnknownExpertMask
from fcnlab.lab import Lab
from fcnlab.services.images.importing import read_picture
from fcnlab.storage.database import repository_expert_masks, repository_projects
from fcnlab.storage.database.engine import reading, writing
from fcnlab.storage.files.png import read_mask

REMOVED_AT_ONCE = 20

MASKS_AT_MOST = 40
"""Full masks that a mean IoU is taken on."""


def expert_masks(lab: Lab, *, project_id: int, source: str | None = None) -> tuple[ExpertMask, ...]:
    """The expert masks of a project, oldest first; of one source when it is named. Raises UnknownProject."""
    with reading(lab.sessions) as session:
        repository_projects.require_project(session, project_id=project_id)
        return repository_expert_masks.expert_masks(session, project_id=project_id, source=source)


def counted_by_source(lab: Lab, *, project_id: int) -> tuple[tuple[str, int, int], ...]:
    """(source, number of expert masks, number of points they gave). Raises UnknownProject."""
    with reading(lab.sessions) as session:
        repository_projects.require_project(session, project_id=project_id)
        return repository_expert_masks.counted_by_source(session, project_id=project_id)


def remove_source(lab: Lab, *, project_id: int, source: str) -> int:
    """Take away all expert masks of a source with the points they gave; returns how many. Nothing is deleted.

    Goes in parts, so that clicks need not wait: stopped half way, it can be asked for again.

    Raises:
        UnknownProject: no such project.
        UnknownExpertMask: it has no masks of that source.
    """
    masks = expert_masks(lab, project_id=project_id, source=source)
    if not masks:
        names = ", ".join(row[0] for row in counted_by_source(lab, project_id=project_id)) or "none"
        raise UnknownExpertMask(f"the project has no labels from {source!r}; it has {names}")
    for start in range(0, len(masks), REMOVED_AT_ONCE):
        with writing(lab.sessions) as session:
            for mask in masks[start : start + REMOVED_AT_ONCE]:
                repository_expert_masks.remove_expert_mask(session, mask=mask, now=lab.clock())
    return len(masks)


def remove_mask(lab: Lab, *, mask_id: int) -> ExpertMask:
    """Take away one expert mask with the points it gave. Raises UnknownExpertMask."""
    with writing(lab.sessions) as session:
        mask = repository_expert_masks.expert_mask(session, mask_id=mask_id)
        repository_expert_masks.remove_expert_mask(session, mask=mask, now=lab.clock())
    return mask


def expert_truth(lab: Lab, image: ImageInfo) -> NDArray[np.uint8] | None:
    """The newest expert mask of an image, (H, W) uint8 class ids; IGNORE where nothing is known.

    Pixels of classes that were taken out of use are unknown. None when there is no mask, or its file is unreadable.
    """
    with reading(lab.sessions) as session:
        expert_mask = repository_expert_masks.truth_of(session, image_id=image.id)
        if expert_mask is None:
            return None
        used = repository_projects.project(session, project_id=image.project_id).class_ids()
    mask = read_mask(lab.folders.masks / expert_mask.file)
    if mask is None or mask.shape != image.hw:
        return None
    table = np.full(IGNORE + 1, IGNORE, np.uint8)
    ids = np.array(sorted(used), np.intp)
    table[ids] = ids
    return np.asarray(table[mask], np.uint8)


def mean_iou_on(
    lab: Lab,
    truths: Iterable[tuple[ImageInfo, NDArray[np.uint8]]],
    *,
    class_ids: Sequence[int],
    mask_of: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
) -> tuple[float | None, int]:
    """Mean IoU over the classes that occur on at most MASKS_AT_MOST masks, and on how many; None without any.

    Args:
        lab: where the pictures are.
        truths: images with masks (H, W) uint8 of class ids, which are taken for true; what they do not know, and
            classes that are none of `class_ids`, count nowhere.
        class_ids: the classes that are told apart.
        mask_of: gives the mask (H, W) uint8 of a picture (H, W, 3) uint8.
    """
    index_of_class = np.full(IGNORE + 1, IGNORE, np.uint8)
    index_of_class[list(class_ids)] = np.arange(len(class_ids))
    counts, n_masks = np.zeros((len(class_ids), len(class_ids)), np.int64), 0
    for image, truth in islice(truths, MASKS_AT_MOST):
        counts += confusion(index_of_class[truth], index_of_class[mask_of(read_picture(lab, image))], len(class_ids))
        n_masks += 1
    ious = iou_per_class(counts)
    return (float(np.nanmean(ious)) if n_masks and counts.any() else None), n_masks


def images_with_truth(lab: Lab, *, project_id: int) -> tuple[int, ...]:
    """Numbers of the images that have an expert mask."""
    with reading(lab.sessions) as session:
        return repository_expert_masks.images_with_truth(session, project_id=project_id)
