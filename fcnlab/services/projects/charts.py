"""Numbers for charts: who clicked what, and how much of the images each class covers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fcnlab.lab import Lab
from fcnlab.storage.database.engine import reading
from fcnlab.storage.database.repository_images import count_points_by_class_and_labeller, stored_masks
from fcnlab.storage.files.png import read_mask


@dataclass(frozen=True, slots=True)
class Tally:
    """Live points of one class by one labeller."""

    class_id: int
    labeller: str
    count: int


def point_tallies(lab: Lab, *, project_id: int) -> tuple[Tally, ...]:
    """Every pair of class and labeller that has points."""
    with reading(lab.sessions) as session:
        found = count_points_by_class_and_labeller(session, project_id=project_id)
    return tuple(Tally(class_id, labeller, count) for (class_id, labeller), count in sorted(found.items()))


def kept_mask_files(lab: Lab, *, project_id: int) -> tuple[Path, ...]:
    """The files of the masks that done images keep."""
    with reading(lab.sessions) as session:
        masks = stored_masks(session, project_id=project_id)
    return tuple(lab.folders.masks / masks[image_id].file for image_id in sorted(masks))


def pixels_per_class(file: str) -> dict[int, int]:
    """Pixels of each class id in a mask file; nothing when it is unreadable."""
    mask = read_mask(Path(file))
    if mask is None:
        return {}
    counts = np.bincount(mask.ravel())
    return {int(class_id): int(counts[class_id]) for class_id in np.flatnonzero(counts)}
