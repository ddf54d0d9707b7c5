"""Queries for whoever follows a project: what changed since a revision, whoever changed it and from which process."""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fcnlab.errors import UnknownProject
from fcnlab.storage.database.tables import ImageRow, ProjectRow

NOTHING_READ = -1
"""The revision of a project that nobody has read anything of."""


def changed_since(session: Session, *, project_id: int, revision: int) -> tuple[int, tuple[int, ...]]:
    """The revision of a project now, and the ids of its images with a later revision than the one given, rising.

    Every image that has, or once had, anything to learn from is later than NOTHING_READ. A project whose revision went
    back, since its database was restored, changed altogether.

    Raises:
        UnknownProject: it is gone.
    """
    later = or_(ImageRow.revision > revision, ProjectRow.revision < revision)
    images = (ImageRow.project_id == ProjectRow.id) & (ImageRow.revision > 0) & later
    query = select(ProjectRow.revision, ImageRow.id).outerjoin(ImageRow, images).where(ProjectRow.id == project_id)
    rows = session.execute(query.order_by(ImageRow.id)).all()
    if not rows:
        raise UnknownProject(f"there is no project {project_id}; it may have been deleted")
    return int(rows[0][0]), tuple(image_id for _, image_id in rows if image_id is not None)


def project_revision(session: Session, *, project_id: int) -> int | None:
    """The revision of a project, which rises with every change of its marks; None when it is gone."""
    return session.scalar(select(ProjectRow.revision).where(ProjectRow.id == project_id))


def painting_revision(session: Session, *, image_id: int) -> int:
    """The revision at which strokes of an image changed last; 0 when it never had any, or is gone."""
    return session.scalar(select(ImageRow.painting_revision).where(ImageRow.id == image_id)) or 0
