"""Who may see which picture: the holder of a project's key."""

from __future__ import annotations

from fcnlab.domain.images import ImageInfo
from fcnlab.errors import Deleted, UnknownImage, UnknownProject
from fcnlab.lab import Lab
from fcnlab.storage.database import repository_images, repository_projects
from fcnlab.storage.database.engine import reading

GONE = "this project was deleted, or its address is incomplete: open it from the list of projects"


def project_of_key(lab: Lab, key: str) -> int:
    """Id of the project with that key. Raises Deleted: there is none, so it is gone, for keys cannot be guessed."""
    with reading(lab.sessions) as session:
        try:
            return repository_projects.project_by_key(session, key=key).id
        except UnknownProject as failure:
            raise Deleted(GONE) from failure


def project_of_image(lab: Lab, *, key: str, image_id: int) -> int:
    """Id of the project whose image this is, by one look at two indexes: a browser asks many times a second.

    Raises:
        Deleted: the image or the project is gone.
        UnknownImage: the key opens another project.
    """
    with reading(lab.sessions) as session:
        owner = repository_images.owner_of(session, image_id=image_id)
    if owner is None or owner.key != key:
        project_of_key(lab, key)
    if owner is None:
        raise Deleted(f"image {image_id} was deleted: choose another one")
    if owner.key != key:
        raise UnknownImage(f"this project has no image {image_id}")
    return owner.project_id


def image_of_key(lab: Lab, *, key: str, image_id: int) -> ImageInfo:
    """An image of the project with that key; raises as `project_of_image`."""
    project_of_image(lab, key=key, image_id=image_id)
    with reading(lab.sessions) as session:
        return repository_images.image(session, image_id=image_id)
