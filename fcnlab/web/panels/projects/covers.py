"""Small pictures of images, in a row."""

from __future__ import annotations

from collections.abc import Sequence

from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import Project

ROW = '<div style="display:flex;gap:4px;height:84px">{}</div>'
COVER = """<img src="/fcnlab/{key}/thumb/{id}" alt="" loading="lazy"
 style="flex:1;min-width:0;object-fit:cover;border-radius:6px;background:#8883">"""
EMPTY = '<div style="flex:1;border-radius:6px;background:#8882"></div>'


def cover_row(project: Project, images: Sequence[ImageInfo]) -> str:
    """HTML of thumbnails of images of a project, each cut to its part of the row; an empty row without images."""
    return ROW.format("".join(COVER.format(key=project.key, id=image.id) for image in images) or EMPTY)
