"""Who may see which picture: the holder of a project's key."""

from __future__ import annotations

import secrets

from fcnlab.adapters import repository, repository_images
from fcnlab.adapters.database import reading
from fcnlab.domain import ImageInfo
from fcnlab.errors import UnknownImage
from fcnlab.lab import Lab


def project_of_key(lab: Lab, key: str) -> int:
    """Id of the project with that key. Raises UnknownProject."""
    with reading(lab.sessions) as session:
        return repository.project_by_key(session, key=key).id


def image_of_key(lab: Lab, *, key: str, image_id: int) -> ImageInfo:
    """An image of the project with that key. Raises UnknownProject, UnknownImage."""
    with reading(lab.sessions) as session:
        project = repository.project_by_key(session, key=key)
        image = repository_images.image(session, image_id=image_id)
    if image.project_id != project.id or not secrets.compare_digest(project.key, key):
        raise UnknownImage(f"this project has no image {image_id}")
    return image
