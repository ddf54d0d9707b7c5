"""Which of several points on one pixel counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from fcnlab.domain import PointSource, StoredPoint


def newest_per_pixel(stored_points: Iterable[StoredPoint]) -> list[StoredPoint]:
    """One point per pixel, when a pixel was labelled more than once: the newest, and imported ones give way."""

    by_pixel = {(stored.point.row, stored.point.col): stored for stored in sorted(stored_points, key=precedence)}
    return list(by_pixel.values())


def precedence(stored: StoredPoint) -> tuple[bool, datetime, str, tuple[int, ...]]:
    """Sorts points so that the last of several on one pixel is the one that counts.

    Events of one batch are stored at one moment; their numbers, which end the uids, say which came later.
    """
    client, _, numbers = stored.uid.rpartition(":")
    order = tuple(int(number) if number.isdecimal() else 0 for number in numbers.split("."))
    return stored.source is not PointSource.IMPORT, stored.created_at, client, order
