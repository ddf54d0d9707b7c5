"""Which pixels of an image a labeller is asked about, and where their answers come from."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from fcnlab.core.images.coords import learner_hw, to_full, to_working
from fcnlab.core.learner.queries import COUNT, Pixels, Strategy, ask_pixels
from fcnlab.core.learner.samples import Clicks
from fcnlab.domain.events import PointSource
from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.errors import InvalidSetting
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.overlay_store import OverlayProbabilities

MOST_ASKED = 100


@dataclass(frozen=True, slots=True)
class Queries:
    """Pixels to ask about, as (row, col) of the full-size image; `source` is that of the points that answer them."""

    source: PointSource
    pixels: tuple[tuple[int, int], ...]


def ask(
    jobs: Jobs,
    image: ImageInfo,
    *,
    count: int = COUNT,
    strategy: Strategy = "margin",
    avoid: Iterable[tuple[int, int]] = (),
    rng: np.random.Generator | None = None,
) -> Future[Queries]:
    """Choose pixels by the newest mask of an image, once all clicks before this call are learned from.

    As long as there is no mask, nothing is more uncertain than anything else: pixels are drawn at random then, and
    `source` says so.

    Args:
        avoid: rows and columns at full size that are not asked about, nor what is next to them.

    Raises:
        InvalidSetting: the image is done, or `count` is not between 1 and MOST_ASKED.
    """
    if not 1 <= count <= MOST_ASKED:
        raise InvalidSetting(f"{count} pixels cannot be asked about at once; choose 1 to {MOST_ASKED}")
    if image.state is ImageState.DONE:
        raise InvalidSetting(f"{image.name} is done: reopen it to be asked about it")
    passed = tuple(avoid)

    def choose(learner: ProjectLearner, class_probabilities: OverlayProbabilities | None) -> Queries:
        project = learner.project
        assert project is not None
        how: Strategy = "random" if class_probabilities is None else strategy
        if class_probabilities is None or how == "random":
            hw = learner_hw(image.hw, project.learner)
            probabilities = np.broadcast_to(np.float32(1), (1, *hw))
        else:
            probabilities = class_probabilities.probabilities.astype(np.float32)
            hw = (probabilities.shape[1], probabilities.shape[2])
        rows, cols = ask_pixels(
            probabilities,
            rng=rng or np.random.default_rng(),
            count=count,
            strategy=how,
            taken=_taken(learner.clicks_of(image), passed, image.hw, hw),
        )
        rows = to_full(rows, full=image.height, working=hw[0])
        cols = to_full(cols, full=image.width, working=hw[1])
        pixels = tuple(zip(rows.tolist(), cols.tolist(), strict=True))
        return Queries(PointSource.RANDOM_QUERY if how == "random" else PointSource.QUERY, pixels)

    return jobs.consult(choose, project_id=image.project_id, image_id=image.id)


def _taken(
    clicks: Clicks, passed: tuple[tuple[int, int], ...], image_hw: tuple[int, int], hw: tuple[int, int]
) -> Pixels:
    """Rows and columns on the working picture of points and of pixels passed over."""
    others = np.array(passed, np.int64).reshape(-1, 2)
    rows, cols = np.concatenate([clicks.rows, others[:, 0]]), np.concatenate([clicks.cols, others[:, 1]])
    return (
        to_working(rows, full=image_hw[0], working=hw[0])[1],
        to_working(cols, full=image_hw[1], working=hw[1])[1],
    )
