"""Queries about tags. Each takes a session and returns domain values, never rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from fcnlab.domain.images import ImageState
from fcnlab.domain.tags import ImageTag, TagAnswer, TagChange, TaggableImage
from fcnlab.storage.database.engine import chunked
from fcnlab.storage.database.repository_images import MAX_ID
from fcnlab.storage.database.tables import ClassRow, ExpertMaskRow, ImageRow, ProjectRow
from fcnlab.storage.database.tags.tables import ImageTagRow, TagTabRow

ROWS_AT_ONCE = 1000


def tags(session: Session, *, project_id: int, image_ids: Sequence[int] | None = None) -> tuple[ImageTag, ...]:
    """What was answered about classes in use; of these images where they are named."""
    same_class = (ClassRow.project_id == ImageTagRow.project_id) & (ClassRow.class_id == ImageTagRow.class_id)
    columns = ImageTagRow.image_id, ImageTagRow.class_id, ImageTagRow.answer, ImageTagRow.labeller
    query = (
        select(*columns, ImageTagRow.answered_at)
        .join(ClassRow, same_class)
        .where(ImageTagRow.project_id == project_id, ClassRow.removed_at.is_(None))
    )
    if image_ids is None:
        return _tags(session.execute(query))
    return tuple(
        tag
        for some in chunked(image_ids)
        for tag in _tags(session.execute(query.where(ImageTagRow.image_id.in_(some))))
    )


def _tags(rows: Iterable[Any]) -> tuple[ImageTag, ...]:
    return tuple(
        ImageTag(image_id, class_id, TagAnswer(answer), labeller, answered_at)
        for image_id, class_id, answer, labeller, answered_at in rows
    )


def record_tags(
    session: Session, *, project_id: int, changes: Sequence[TagChange], labeller: str, now: datetime
) -> tuple[TagChange, ...]:
    """Store answers and take others back, the last change of a tag; what was answered before, of each that changed.

    Images and classes must be of the project. What the same labeller answered already is not written again.
    """
    wanted = {(change.image_id, change.class_id): change.answer for change in changes}
    before = _answers(session, list(wanted))
    taken_back: dict[int, list[int]] = {}
    added: list[dict[str, Any]] = []
    replaced: list[dict[str, Any]] = []
    for key, answer in wanted.items():
        if answer is None:
            if key in before:
                taken_back.setdefault(key[1], []).append(key[0])
        elif before.get(key) != (answer, labeller):
            row = {
                "image_id": key[0],
                "class_id": key[1],
                "project_id": project_id,
                "answer": answer.value,
                "labeller": labeller,
                "answered_at": now,
            }
            (replaced if key in before else added).append(row)
    for class_id, image_ids in taken_back.items():
        for some in chunked(image_ids):
            where = ImageTagRow.class_id == class_id, ImageTagRow.image_id.in_(some)
            session.execute(delete(ImageTagRow).where(*where).execution_options(synchronize_session=False))
    for part in chunked(added, ROWS_AT_ONCE):
        session.execute(insert(ImageTagRow), list(part))
    for part in chunked(replaced, ROWS_AT_ONCE):
        session.execute(update(ImageTagRow), list(part))
    answered = {key: answer for key, (answer, _) in before.items()}
    return tuple(
        TagChange(*key, answered.get(key)) for key, answer in wanted.items() if answered.get(key) is not answer
    )


def images_among(session: Session, *, project_id: int, image_ids: Sequence[int]) -> set[int]:
    """Those of these images that the project has."""
    there: set[int] = set()
    for some in chunked(sorted({image_id for image_id in image_ids if 0 < image_id <= MAX_ID})):
        there |= set(
            session.scalars(select(ImageRow.id).where(ImageRow.project_id == project_id, ImageRow.id.in_(some)))
        )
    return there


def tag_revision(session: Session, *, project_id: int) -> tuple[int, int]:
    """The revisions of a project and of its tags: what is said of its images is the same while both are. Zeros when it
    is gone."""
    query = select(ProjectRow.revision, ProjectRow.tag_revision).where(ProjectRow.id == project_id)
    revisions = session.execute(query).one_or_none()
    return (0, 0) if revisions is None else (revisions[0], revisions[1])


def taggable_images(session: Session, *, project_id: int) -> tuple[TaggableImage, ...]:
    """All images of a project, in import order."""
    columns = (
        *(ImageRow.id, ImageRow.name, ImageRow.content_hash, ImageRow.imaging, ImageRow.height, ImageRow.width),
        *(ImageRow.state, ImageRow.is_complete, ImageRow.tag_revision),
    )
    rows = session.execute(select(*columns).where(ImageRow.project_id == project_id).order_by(ImageRow.position))
    return tuple(
        TaggableImage(
            image_id,
            name,
            content if imaging is None else f"{content} {imaging}",
            (height, width),
            ImageState(state),
            is_complete,
            revision,
        )
        for image_id, name, content, imaging, height, width, state, is_complete, revision in rows
    )


def truth_files(session: Session, *, project_id: int) -> dict[int, str]:
    """The file of the newest expert mask of each image that has any, by image id."""
    query = select(ExpertMaskRow.image_id, ExpertMaskRow.file).where(
        ExpertMaskRow.project_id == project_id, ExpertMaskRow.removed_at.is_(None), ExpertMaskRow.file != ""
    )
    return {row[0]: row[1] for row in session.execute(query.order_by(ExpertMaskRow.id))}


def acknowledged(session: Session, *, project_id: int, client_id: str) -> int:
    """The highest number of an answer that is stored of a browser tab; 0 when there is none."""
    row = session.get(TagTabRow, (project_id, client_id))
    return 0 if row is None else row.seq


def acknowledge(session: Session, *, project_id: int, client_id: str, seq: int) -> None:
    """Answers of a browser tab up to this number are stored."""
    session.merge(TagTabRow(project_id=project_id, client_id=client_id, seq=seq))


def _answers(session: Session, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], tuple[TagAnswer, str]]:
    """What is stored of these tags, and who answered it."""
    answers = {}
    wanted = set(keys)
    for some in chunked(sorted({image_id for image_id, _ in keys})):
        query = select(ImageTagRow.image_id, ImageTagRow.class_id, ImageTagRow.answer, ImageTagRow.labeller)
        for image_id, class_id, answer, labeller in session.execute(query.where(ImageTagRow.image_id.in_(some))):
            if (image_id, class_id) in wanted:
                answers[image_id, class_id] = TagAnswer(answer), labeller
    return answers
