"""The files that the database names: what an installation is made of, and what a backup holds."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from fcnlab.domain.images import Imaging, picture_name
from fcnlab.domain.training import TrainingState, checkpoint_file_of
from fcnlab.storage.database.tables import (
    ComparisonRow,
    ExpertMaskRow,
    FitRow,
    ImageRow,
    ModelRow,
    ProjectRow,
    TrainingRow,
)

FOLDERS_OF_BACKUP = ("images", "masks", "checkpoints", "comparisons")


def named_files(session: Session) -> frozenset[str]:
    """Paths inside the data folder of all files that cannot be made again.

    Originals without their ending, `images/ab/abcd...`, which the database does not say.
    """
    contents = session.scalars(select(ImageRow.content_hash).distinct())
    names = {f"images/{content_hash[:2]}/{content_hash}" for content_hash in contents}
    for column in (ImageRow.mask_file, ExpertMaskRow.file):
        names.update(f"masks/{file}" for file in session.scalars(select(column)) if file)
    names.update(f"checkpoints/{file}" for file in checkpoints(session))
    for results in session.scalars(select(ComparisonRow.results)):
        for measured in results.values():
            masks = measured.get("masks") if isinstance(measured, dict) else None
            names.update(f"comparisons/{file}" for file in (masks or {}).values())
    return frozenset(names)


def checkpoints(session: Session) -> frozenset[str]:
    """Files of all fits and models, and of the networks of comparisons that nobody kept as a version yet."""
    compared = select(TrainingRow.project_id, TrainingRow.id).where(
        TrainingRow.comparison_id.is_not(None), TrainingRow.state == TrainingState.FINISHED.value
    )
    return frozenset(
        {
            *session.scalars(select(FitRow.checkpoint)),
            *session.scalars(select(ModelRow.file)),
            *(checkpoint_file_of(project_id, training_id) for project_id, training_id in session.execute(compared)),
        }
    )


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the database has, by the numbers and names that files are called by.

    Attributes:
        projects: ids.
        trainings: ids of all trainings; `ended`: of those that nothing goes on with.
        comparisons: ids.
        contents: hashes of originals.
        pictures: ids of pictures.
        checkpoints: see `checkpoints`.
    """

    projects: frozenset[int]
    trainings: frozenset[int]
    ended: frozenset[int]
    comparisons: frozenset[int]
    contents: frozenset[str]
    pictures: frozenset[str]
    checkpoints: frozenset[str]


def numbers(session: Session) -> Numbers:
    """The numbers and names in the database, at one moment."""
    # PostgreSQL cannot compare JSON, hence no DISTINCT here.
    images = session.execute(select(ImageRow.content_hash, ImageRow.imaging)).all()
    states = session.execute(select(TrainingRow.id, TrainingRow.state)).all()
    over = (TrainingState.FINISHED, TrainingState.CANCELLED)
    return Numbers(
        projects=frozenset(session.scalars(select(ProjectRow.id))),
        trainings=frozenset(training_id for training_id, _ in states),
        ended=frozenset(training_id for training_id, state in states if state in over),
        comparisons=frozenset(session.scalars(select(ComparisonRow.id))),
        contents=frozenset(content_hash for content_hash, _ in images),
        pictures=frozenset(
            picture_name(content_hash, None if imaging is None else Imaging.from_dict(imaging))
            for content_hash, imaging in images
        ),
        checkpoints=checkpoints(session),
    )
