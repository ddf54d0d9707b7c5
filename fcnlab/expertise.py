"""Values about what experts said elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ExpertMask:
    """A mask that came from outside: its file in the masks folder, empty when there are points alone.

    `n_known` counts its labelled pixels, `n_points` the training points it gave. `digest` says what was imported.
    """

    id: int
    project_id: int
    image_id: int
    file: str
    source: str
    digest: str
    labeller: str
    weight: float
    n_known: int
    n_points: int
    created_at: datetime
