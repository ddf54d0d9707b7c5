from __future__ import annotations

import cv2
import numpy as np
import pytest

from fcnlab.domain.project import IGNORE
from fcnlab.evaluation.labeller import balanced_pixels, first_clicks, next_click

STYLES = ("centre", "jittered", "random")


def truth() -> np.ndarray:
    shown = np.zeros((40, 61), np.uint8)
    shown[8:30, 10:44] = 1
    shown[6:8, 8:46] = IGNORE
    return shown


def test_the_first_clicks_lie_deepest_in_the_object_and_in_the_background():
    clicks = first_clicks(truth(), (0, 1), style="centre", rng=np.random.default_rng(0))

    assert [click.class_id for click in clicks] == [1, 0]
    for click in clicks:
        region = np.pad(truth() == click.class_id, 1).astype(np.uint8)
        depth = cv2.distanceTransform(region, cv2.DIST_L2, 5)[1:-1, 1:-1]
        assert depth[click.row, click.col] == depth.max()


@pytest.mark.parametrize("style", STYLES)
def test_the_next_click_is_wrong_free_and_known(style):
    rng = np.random.default_rng(3)
    prediction = truth().copy()
    prediction[10:20, 12:30] = 0
    taken = np.zeros(prediction.shape, bool)
    taken[15, 12:30] = True
    for _ in range(30):
        click = next_click(truth(), prediction, taken=taken, style=style, rng=rng)

        assert click is not None
        assert click.class_id == truth()[click.row, click.col] == 1
        assert prediction[click.row, click.col] == 0
        assert not taken[click.row, click.col]
        taken[click.row, click.col] = True


def test_nothing_wrong_means_no_click():
    prediction = np.where(truth() == IGNORE, 1, truth()).astype(np.uint8)

    click = next_click(
        truth(), prediction, taken=np.zeros(prediction.shape, bool), style="centre", rng=np.random.default_rng(0)
    )

    assert click is None


def test_when_every_wrong_pixel_is_taken_there_is_no_click():
    prediction = 1 - np.minimum(truth(), 1)

    click = next_click(
        truth(), prediction, taken=np.ones(prediction.shape, bool), style="random", rng=np.random.default_rng(0)
    )

    assert click is None


@pytest.mark.parametrize("style", ["jittered", "random"])
def test_one_seed_gives_one_labeller(style):
    one, other = (first_clicks(truth(), (0, 1), style=style, rng=np.random.default_rng(5)) for _ in range(2))

    assert one == other


def test_balanced_pixels_are_distinct_of_their_class_and_evenly_shared():
    points = balanced_pixels(truth(), 11, np.random.default_rng(0))

    assert len({(point.row, point.col) for point in points}) == 11
    assert all(truth()[point.row, point.col] == point.class_id for point in points)
    assert sorted(sum(point.class_id == one for point in points) for one in (0, 1)) == [5, 6]
