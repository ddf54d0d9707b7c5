"""What was painted on an image: its strokes, and the clicks that came after them, in the order in which they came.

A stroke covers the clicks made before it, a click made after a stroke has the last word on its own pixel. A stroke
that was undone and redone is back at its old place.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from sqlalchemy.orm import Session

from fcnlab.core.images.painting import Layer, Painting
from fcnlab.domain.events import PointSource, StoredPoint, StoredStroke
from fcnlab.domain.images import ImageInfo
from fcnlab.lab import Lab
from fcnlab.storage.database import repository_images, repository_points, repository_strokes
from fcnlab.storage.database.engine import reading


def layers_of(strokes: Sequence[StoredStroke], points: Iterable[StoredPoint]) -> tuple[Layer, ...]:
    """Strokes of an image, given oldest first, each with the clicks that came after it and before the next.

    Clicks before the first stroke need no layer: what lies below obeys them. Imported points never lie over strokes.
    """
    after = list(accumulate((stroke.after_point for stroke in strokes), max))
    clicked: list[list[StoredPoint]] = [[] for _ in range(len(strokes) + 1)]
    by_hand = (point for point in points if point.source is not PointSource.IMPORT)
    for point in sorted(by_hand, key=lambda click: click.id):
        clicked[bisect_left(after, point.id)].append(point)
    layers: list[Layer] = []
    for stored, later in zip(strokes, clicked[1:], strict=True):
        layers += [stored.stroke, *(click.point for click in later)]
    return tuple(layers)


def painting_of(session: Session, image: ImageInfo) -> Painting:
    """The painting on an image as it is now."""
    strokes = repository_strokes.strokes_of_image(session, image_id=image.id)
    points = repository_points.points_of_image(session, image_id=image.id) if strokes else ()
    return Painting(layers_of(strokes, points), image.hw)


def paintings_by_content(lab: Lab, *, project_id: int) -> dict[str, Painting]:
    """The paintings of a project by the content hash of their image; images nobody painted on are left out."""
    with reading(lab.sessions) as session:
        painted = repository_strokes.painted_images(session, project_id=project_id)
        images = [repository_images.image(session, image_id=image_id) for image_id in painted]
        return {image.content_hash: painting_of(session, image) for image in images}
