"""All counts of a project: a table, how good the counter is, and files for other tools."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.counting.marks import spacing_of
from fcnlab.core.counting.scoring import radius_for, score_counts
from fcnlab.core.images.naming import safe_part
from fcnlab.domain.counting import ClassCount, CountScore, ImageCount
from fcnlab.domain.events import StoredPoint
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.models import ModelRecord
from fcnlab.domain.project import Project
from fcnlab.errors import ExportFailed
from fcnlab.lab import Lab
from fcnlab.services.counting.project_counts import CountProgress, counts_of_project
from fcnlab.services.export.plan import Runner
from fcnlab.storage.database import (
    repository_counts,
    repository_images,
    repository_models,
    repository_points,
    repository_projects,
)
from fcnlab.storage.database.engine import reading
from fcnlab.storage.files.checkpoints import load_checkpoint
from fcnlab.storage.formats.tables.count_files import CountedImage, count_files

LEARNED_IMAGES = "learned_images"
"""Where the file of a counter says from which files it learned."""

Places = Mapping[int, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class CountRow:
    """One image in the table of counts.

    Attributes:
        counts: one per object class; the number of points where all objects are marked.
        predicted: what the counter says by class id, as if nothing were marked in the image where all is.
        is_seen: the counter learned from this image, so that what it says there proves nothing.
    """

    image: ImageInfo
    counts: tuple[ClassCount, ...]
    predicted: Mapping[int, float] = field(default_factory=dict)
    is_seen: bool = False


@dataclass(frozen=True, slots=True)
class CountTable:
    """The counts of a project at one moment.

    Attributes:
        made_from: names that moment; see `made_from`.
        rows: in import order.
        score: of the images that are all marked and were not learned from; None when there is none.
        left_out: images that could not be counted, and why.
        files: tables of counts and objects, and COCO keypoints.
    """

    made_from: str
    rows: tuple[CountRow, ...]
    score: CountScore | None
    left_out: tuple[tuple[str, str], ...]
    files: tuple[Path, Path, Path]


def made_from(lab: Lab, *, project_id: int) -> str:
    """Names all that decides the counts of a project: images, points, what is all marked, the counter. Raises
    UnknownProject."""
    with reading(lab.sessions) as session:
        project = repository_projects.project(session, project_id=project_id)
        images = repository_images.content_hashes(session, project_id=project_id)
        points = repository_points.point_set_hash(session, project_id=project_id)
        complete = sorted(repository_counts.complete_images(session, project_id=project_id))
    decides = (images, points, complete, project.model_id, project.background_first, project.learner, project.imaging)
    return hashlib.sha256(repr(decides).encode()).hexdigest()


def count_table(lab: Lab, run: Runner, *, project_id: int, folder: Path) -> Generator[CountProgress, None, CountTable]:
    """Count all images and write what was found.

    Args:
        run: runs a step with the learner of the project, between clicks.
        folder: for the files, which are there when the table is returned; the objects of an image are kept nowhere
            else, so that memory stays flat.

    Raises:
        UnknownProject: no such project.
        CheckpointError: the counter that the project chose cannot be used.
        ExportFailed: a file cannot be written.
    """
    fingerprint = made_from(lab, project_id=project_id)
    with reading(lab.sessions) as session:
        project = repository_projects.project(session, project_id=project_id)
        order = {
            image.id: index for index, image in enumerate(repository_images.images(session, project_id=project_id))
        }
        record = None if project.model_id is None else repository_models.model(session, model_id=project.model_id)
        points = repository_points.points_of_project(session, project_id=project_id)
    scorer = _TableScorer(project, points, None if record is None else learned_images(lab, record))
    stem = safe_part(project.name)
    paths = folder / f"{stem}-counts.csv", folder / f"{stem}-objects.csv", folder / f"{stem}-keypoints.json"
    left_out, rows = [], []
    try:
        files = count_files(
            project.background_first, title=project.name, counts=paths[0], objects=paths[1], keypoints=paths[2]
        )
        with files as writer:
            for step in counts_of_project(lab, run, project_id=project_id):
                if step.image is not None and step.count is not None:
                    row = scorer.row(step.image, step.count, step.predicted)
                    rows.append(row)
                    about = CountedImage(
                        step.image.name, step.image.hw, row.counts, step.count.objects, row.predicted, row.is_seen
                    )
                    writer.add(about)
                elif step.image is not None:
                    left_out.append((step.image.name, step.refused))
                yield step
    except OSError as failure:
        raise ExportFailed(
            f"the counts cannot be written ({failure.strerror or failure}); make room on the disk and count again"
        ) from failure
    rows.sort(key=lambda row: order.get(row.image.id, len(order)))
    return CountTable(fingerprint, tuple(rows), scorer.score(), tuple(left_out), paths)


def learned_images(lab: Lab, record: ModelRecord) -> frozenset[str] | None:
    """Content hashes of the images that a trained counter learned from; None when its file does not say.

    Raises:
        CheckpointError: the file is gone or damaged.
    """
    learned = load_checkpoint(lab.folders.checkpoints / record.file)[1].get(LEARNED_IMAGES)
    return frozenset(str(content_hash) for content_hash in learned) if isinstance(learned, list) else None


class _TableScorer:
    """Keeps what tells how good the counter is: images all of whose objects are marked, and what it says there.

    `learned` names the images that a trained counter learned from; the instant one is asked without those it is asked
    about, so nothing is seen there.
    """

    def __init__(self, project: Project, points: Sequence[StoredPoint], learned: frozenset[str] | None) -> None:
        self._is_instant, self._learned = project.model_id is None, learned
        objects = {label.id for label in project.objects}
        self._true: dict[int, dict[int, list[tuple[int, int]]]] = {}
        for stored in points:
            if stored.point.class_id in objects:
                by_class = self._true.setdefault(stored.image_id, {})
                by_class.setdefault(stored.point.class_id, []).append((stored.point.row, stored.point.col))
        self._scored: list[tuple[Places, ImageCount, tuple[int, int]]] = []

    def row(self, image: ImageInfo, count: ImageCount, predicted: ImageCount | None) -> CountRow:
        """The row of an image, which counts towards the score where it may."""
        is_seen = not self._is_instant and (self._learned is None or image.content_hash in self._learned)
        if image.is_complete and predicted is not None and not is_seen:
            self._scored.append((self._places(image.id), predicted, image.hw))
        said = (
            {} if predicted is None else {class_count.class_id: class_count.count for class_count in predicted.counts}
        )
        return CountRow(image, count.counts, said, is_seen)

    def score(self) -> CountScore | None:
        """The score over all rows that count towards it; None without any."""
        if not self._scored:
            return None
        true, counted, sizes = (list(column) for column in zip(*self._scored, strict=True))
        together = [np.concatenate(list(by_class.values())) for by_class in map(self._places, self._true)]
        spacing = spacing_of([(points[:, 0], points[:, 1]) for points in together], sizes[0])
        return score_counts(true, counted, sizes, radius_for(spacing))

    def _places(self, image_id: int) -> Places:
        by_class = self._true.get(image_id, {})
        return {class_id: np.array(positions, np.float64).reshape(-1, 2) for class_id, positions in by_class.items()}
