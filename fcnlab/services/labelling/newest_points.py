"""Which of several points on one pixel counts."""

from __future__ import annotations

from collections.abc import Iterable

from fcnlab.domain.events import PointSource, StoredPoint


def newest_per_pixel(stored_points: Iterable[StoredPoint]) -> list[StoredPoint]:
    """One point per pixel, when a pixel was labelled more than once: the newest, and imported ones give way."""

    by_pixel = {(stored.point.row, stored.point.col): stored for stored in sorted(stored_points, key=precedence)}
    return list(by_pixel.values())


def precedence(stored: StoredPoint) -> tuple[bool, int]:
    """Sorts points so that the last of several on one pixel is the one that counts: the one stored last."""
    return stored.source is not PointSource.IMPORT, stored.id
