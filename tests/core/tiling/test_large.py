"""Tiling changes nothing: what the learner says of a large picture in tiles is what it says of it in one piece."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data

from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.core.encoding.stages import score_stages
from fcnlab.core.learner import learner
from fcnlab.core.learner.samples import canonical_clicks
from fcnlab.core.learner.signed_scores import margins
from fcnlab.core.tiling.large import LargePicture, segment_large, unrefined_large, unrefined_probabilities
from fcnlab.core.tiling.tiled_stages import MemoryTileCache, TiledStages
from fcnlab.domain.events import Point
from fcnlab.domain.project import LearnerSpec

SCALES = (1.0, 0.5)
POINTS = [
    *(Point(130, 330, 1), Point(90, 60, 0), Point(300, 600, 1), Point(500, 890, 0)),
    *(Point(215, 859, 2), Point(517, 3, 2), Point(340, 255, 1), Point(256, 540, 0)),
]


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """(518, 903, 3): a real photograph; no side is a multiple of 4."""
    return np.asarray(cv2.resize(skimage.data.astronaut(), (903, 518), interpolation=cv2.INTER_CUBIC))


@pytest.fixture(scope="module")
def whole(encoder: StageEncoder, photo) -> learner.Picture:
    return learner.prepare(photo, encoder.encode(photo, scales=SCALES, position=True))


@pytest.fixture(scope="module")
def tiled(encoder: StageEncoder, photo) -> LargePicture:
    stages = TiledStages(encoder, photo, scales=SCALES, position=True, tile_cache=MemoryTileCache(), side=320)
    assert list(stages.encode())[-1] == 1.0
    assert len(stages.plan.tiles) == 6
    return LargePicture(stages)


def test_every_stage_has_the_values_and_statistics_of_one_piece(whole, tiled):
    for number, tile in enumerate(tiled.stages.plan.tiles):
        own = tiled.stages.stages(number)
        for info, one, mean, scale, in_one, mean_one, scale_one in zip(
            own.infos, own.maps, own.means, own.scales, whole.stages.maps, whole.stages.means, whole.stages.scales,
            strict=True,
        ):  # fmt: skip
            rows, cols = tile.inner.scaled(1 / info.stride).slices
            inner = tile.inner.moved(-tile.outer.top, -tile.outer.left).scaled(1 / info.stride).slices
            gap = (one[:, inner[0], inner[1]] - in_one[:, rows, cols]) * scale_one[:, None, None]

            assert float(gap.abs().max()) < 0.02 * float(scale_one.max() * info.channels**0.5), info
            assert np.allclose(mean, mean_one, rtol=1e-3, atol=1e-4), info
            assert np.allclose(scale, scale_one, rtol=1e-3), info


def test_samples_at_clicks_are_those_of_one_piece(whole, tiled):
    rows = np.array([0.0, 319.4, 320.0, 517.0, 411.7])
    cols = np.array([0.0, 319.9, 639.5, 902.0, 12.1])

    assert np.abs(tiled.samples(rows, cols) - whole.samples(rows, cols)).max() < 1e-3
    assert tiled.samples(rows[:0], cols[:0]).shape == (0, whole.stages.width)


@pytest.mark.parametrize("n_points", [2, 8])
def test_scores_are_equal_to_a_thousandth(whole, tiled, n_points):
    clicks = canonical_clicks(POINTS[:n_points], whole.hw)
    head = learner.fit([learner.extract_samples(whole, clicks, LearnerSpec(), background=0)], LearnerSpec())

    wanted = score_stages(whole.stages, *margins(head))

    for number, tile in enumerate(tiled.stages.plan.tiles):
        inner = tile.inner.clipped(whole.hw)
        rows, cols = inner.moved(-tile.outer.top, -tile.outer.left).slices
        found = score_stages(tiled.stages.stages(number), *margins(head))[:, rows, cols]
        assert np.abs(found - wanted[(slice(None), *inner.slices)]).max() < 1e-3


@pytest.mark.parametrize("grades", [(), (2, 0, 1), (2, 1)])
@pytest.mark.parametrize(
    ("object_mode", "refine", "n_classes", "is_clicked"),
    [(True, True, 2, True), (False, False, 3, True), (False, True, 3, False), (True, False, 2, False)],
)
def test_masks_are_equal(whole, tiled, object_mode, refine, n_classes, is_clicked, grades):
    spec = LearnerSpec(object_mode=object_mode, refine=refine, grades=grades)
    points = [point for point in POINTS if point.class_id < n_classes]
    all_clicks = canonical_clicks(points, whole.hw)
    head = learner.fit([learner.extract_samples(whole, all_clicks, spec, background=0)], spec)
    clicks = all_clicks if is_clicked else canonical_clicks(points[:1], whole.hw)

    wanted = learner.segment(whole, head, clicks, spec, background=0)
    found = segment_large(tiled, head, clicks, spec, background=0)

    assert found.class_ids == wanted.class_ids
    assert (found.class_map == wanted.class_map).mean() >= 0.9999
    assert np.abs(found.probabilities.astype(np.float32) - wanted.probabilities).max() < 0.01
    assert len(np.unique(found.class_map)) >= 2


@pytest.mark.parametrize("grades", [(), (2, 0, 1), (2, 1)])
def test_what_the_head_alone_says_is_equal(whole, tiled, grades):
    spec = LearnerSpec(grades=grades)
    clicks = canonical_clicks(POINTS, whole.hw)
    head = learner.fit([learner.extract_samples(whole, clicks, spec, background=0)], spec)

    assert (head.scale is not None) == bool(grades)
    assert np.abs(unrefined_large(tiled, head) - unrefined_probabilities(whole.stages, head)).max() < 2e-3
