"""Who may see which picture: the holder of a project's key."""

from __future__ import annotations

import secrets

from fcnlab.adapters import repository, repository_images
from fcnlab.adapters.database import reading
from fcnlab.domain import ImageInfo
from fcnlab.errors import UnknownImage
from fcnlab.lab import Lab

MOST_REMEMBERED = 20_000


def project_of_key(lab: Lab, key: str) -> int:
    """Id of the project with that key. Raises UnknownProject."""
    with reading(lab.sessions) as session:
        return repository.project_by_key(session, key=key).id


class Permissions:
    """Which images a key opens, remembered: a browser asks many times a second. Safe from any thread."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._known: dict[tuple[str, int], int] = {}

    def project_of(self, *, key: str, image_id: int) -> int:
        """The project whose image this is. Raises UnknownProject, UnknownImage when the key does not open it."""
        known = self._known.get((key, image_id))
        if known is None:
            known = image_of_key(self._lab, key=key, image_id=image_id).project_id
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[key, image_id] = known
        return known


def image_of_key(lab: Lab, *, key: str, image_id: int) -> ImageInfo:
    """An image of the project with that key. Raises UnknownProject, UnknownImage."""
    with reading(lab.sessions) as session:
        project = repository.project_by_key(session, key=key)
        image = repository_images.image(session, image_id=image_id)
    if image.project_id != project.id or not secrets.compare_digest(project.key, key):
        raise UnknownImage(f"this project has no image {image_id}")
    return image
