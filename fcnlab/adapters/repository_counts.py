"""What projects that count keep beside points: which images have all their objects marked."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from fcnlab.adapters.repository_images import image_row
from fcnlab.adapters.tables import ImageRow


def set_complete(session: Session, *, image_id: int, complete: bool) -> bool:
    """Say whether all objects of an image are marked; what was said before. Raises UnknownImage."""
    row = image_row(session, image_id)
    was, row.is_complete = row.is_complete, complete
    session.flush()
    return was


def complete_images(session: Session, *, project_id: int) -> frozenset[int]:
    """Ids of the images of a project whose objects are all marked; those without a point are empty."""
    found = session.scalars(
        select(ImageRow.id).where(ImageRow.project_id == project_id, ImageRow.is_complete.is_(True))
    )
    return frozenset(found)
