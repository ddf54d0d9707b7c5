"""Questions about images that several doors ask."""

from __future__ import annotations

from collections.abc import Collection

from fcnlab.lab import Lab
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import reading


def projects_of_images(lab: Lab, *, image_ids: Collection[int]) -> dict[int, int]:
    """Project id by image id; images that do not exist are left out."""
    with reading(lab.sessions) as session:
        found = repository_images.images_by_ids(session, image_ids=sorted(image_ids))
    return {image.id: image.project_id for image in found}
