"""Which of several points on one pixel counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from fcnlab.domain import PointSource, StoredPoint


def newest_per_pixel(stored_points: Iterable[StoredPoint]) -> list[StoredPoint]:
    """One point per pixel, when a pixel was labelled more than once: the newest, and imported ones give way."""

    def counts(stored: StoredPoint) -> tuple[bool, datetime, str]:
        return stored.source is not PointSource.IMPORT, stored.created_at, stored.uid

    return list({(one.point.row, one.point.col): one for one in sorted(stored_points, key=counts)}.values())
