"""A wide picture answers tile by tile, and every click is obeyed in the tile that holds it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data

from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.core.learner import learner
from fcnlab.core.learner.samples import canonical_clicks
from fcnlab.core.tiling.tiled_stages import MemoryTileCache
from fcnlab.core.tiling.wide import WidePicture
from fcnlab.domain.events import Point
from fcnlab.domain.project import LearnerSpec

POINTS = [Point(100, 170, 1), Point(20, 12, 0), Point(190, 340, 1), Point(241, 400, 0), Point(130, 300, 2)]


@pytest.fixture(scope="module")
def wide(encoder: StageEncoder) -> WidePicture:
    """(243, 411, 3) in six tiles."""
    rgb = np.asarray(cv2.resize(skimage.data.astronaut(), (411, 243), interpolation=cv2.INTER_AREA))
    return WidePicture(encoder, rgb, LearnerSpec(), tile_cache=MemoryTileCache(), side=192)


def test_the_tiles_make_up_a_mask_near_that_of_one_piece(wide: WidePicture, encoder: StageEncoder):
    spec, clicks = LearnerSpec(), canonical_clicks(POINTS, (243, 411))
    whole = learner.prepare(wide.rgb, encoder.encode(wide.rgb, scales=spec.scales, position=True))
    head = learner.fit([learner.extract_samples(wide, clicks, spec, background=0)], spec)
    result = np.full(wide.hw, 255, np.uint8)

    for number in range(len(wide.plan.tiles)):
        box, found = wide.segment(number, head, clicks, spec, background=0)
        assert found.class_map.shape == box.hw == found.probabilities.shape[1:]
        result[box.slices] = found.class_map

    assert all(result[point.row, point.col] == point.class_id for point in POINTS)
    head = learner.fit([learner.extract_samples(whole, clicks, spec, background=0)], spec)
    assert (result == learner.segment(whole, head, clicks, spec, background=0).class_map).mean() > 0.9


def test_a_sample_does_not_depend_on_what_was_looked_at_before(encoder: StageEncoder, wide: WidePicture):
    rows, cols = np.array([100.0, 191.5, 20.25]), np.array([170.0, 192.5, 12.0])
    other = WidePicture(encoder, wide.rgb, LearnerSpec(), tile_cache=MemoryTileCache(), side=256)
    other.tile(1)

    assert np.abs(wide.samples(rows, cols) - other.samples(rows, cols)).max() < 1e-3
    assert wide.samples(rows[:0], cols[:0]).shape == (0, wide.samples(rows, cols).shape[1])


def test_the_picture_made_coarse_answers_without_a_tile_and_obeys(wide: WidePicture, encoder: StageEncoder):
    own = WidePicture(encoder, wide.rgb, LearnerSpec(), tile_cache=MemoryTileCache(), side=192)
    clicks = canonical_clicks(POINTS, (243, 411))

    found = own.coarse_segmentation(clicks, LearnerSpec(), background=0)

    assert own.waiting == tuple(range(6))
    assert own.missing(clicks) == (0, 1, 5)
    assert all(found.class_map[point.row, point.col] == point.class_id for point in POINTS)
    assert found.probabilities.shape == (3, 243, 411)
    own.encode(5)
    assert own.missing(clicks) == (0, 1)
