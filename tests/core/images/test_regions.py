"""Laws of regions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy import ndimage

from fcnlab.core.images.regions import Region, instance_regions, pieces_of, semantic_regions, tidied
from fcnlab.domain.project import IGNORE

EIGHT = np.ones((3, 3), int)


def random_map(seed: int) -> NDArray[np.uint8]:
    """Regions of every shape: noise, noise in blocks, thin maps."""
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(1, 20, 2))
    chosen = rng.choice(np.array([0, 1, 7, IGNORE], np.uint8), (height, width + 1), p=rng.dirichlet([2, 2, 1, 0.1]))
    return np.repeat(np.repeat(chosen, 1 + seed % 3, axis=0), 1 + seed % 2, axis=1)


def everywhere(region: Region) -> NDArray[np.bool_]:
    full = np.zeros(region.image_hw, np.bool_)
    full[region.top : region.top + region.height, region.left : region.left + region.width] = region.inside
    return full


def signed_area(ring: NDArray[np.int32]) -> float:
    rows, cols = ring.astype(np.int64).T
    return float((cols * np.roll(rows, -1) - rows * np.roll(cols, -1)).sum() / 2)


@pytest.mark.parametrize("seed", range(60))
def test_regions_cover_each_pixel_of_a_class_once(seed: int) -> None:
    class_map = random_map(seed)

    for found in (semantic_regions(class_map, background=0), instance_regions(class_map, background=0)):
        covered = np.where(class_map == IGNORE, IGNORE, 0).astype(np.uint8)
        for region in found:
            inside = everywhere(region)
            assert inside.sum() == region.area
            assert region.inside.any(axis=0).all() or region.inside.any(axis=0)[[0, -1]].all()
            assert not covered[inside].any()
            covered[inside] = region.class_id
        assert np.array_equal(covered, class_map)


@pytest.mark.parametrize("seed", range(60))
def test_simple_pieces_are_valid_polygons_of_the_same_pixels(seed: int) -> None:
    for region in semantic_regions(random_map(seed), background=0):
        covered = np.zeros(region.image_hw, np.uint8)
        for piece in region.simple_pieces:
            for ring in (piece.outer, *piece.holes):
                assert len(np.unique(ring, axis=0)) == len(ring)  # no ring meets itself
            shape = {
                "type": "Polygon",
                "coordinates": [
                    np.concatenate([one, one[:1]])[:, ::-1].tolist() for one in (piece.outer, *piece.holes)
                ],
            }
            drawn = rasterize([(shape, 1)], out_shape=region.image_hw)
            assert ndimage.label(drawn)[1] == 1  # no hole cuts a part off
            assert signed_area(piece.outer) + sum(map(signed_area, piece.holes)) == drawn.sum()
            covered += drawn.astype(np.uint8)
        assert np.array_equal(covered, everywhere(region))


@pytest.mark.parametrize("seed", range(60))
def test_instances_are_the_connected_parts(seed: int) -> None:
    class_map = random_map(seed)

    found = instance_regions(class_map, background=0)

    for class_id in (1, 7):
        labels, count = ndimage.label(class_map == class_id, EIGHT)
        own = [region for region in found if region.class_id == class_id]
        assert len(own) == count
        assert all(len(np.unique(labels[everywhere(region)])) == 1 for region in own)
        assert [(region.top, region.left) for region in own] == sorted((region.top, region.left) for region in own)


@pytest.mark.parametrize("seed", range(60))
def test_outlines_filled_by_their_rule_give_the_region(seed: int) -> None:
    for region in semantic_regions(random_map(seed), background=0):
        holed = [[ring[:, ::-1].tolist() for ring in (piece.outer, *piece.holes)] for piece in region.pieces]
        plain = [[ring[:, ::-1].tolist()] for ring in region.rings]
        for polygons in (holed, plain):
            closed = [[[*ring, ring[0]] for ring in rings] for rings in polygons]
            shapes = [({"type": "Polygon", "coordinates": rings}, 1) for rings in closed]
            assert np.array_equal(rasterize(shapes, out_shape=region.image_hw) > 0, everywhere(region))


@pytest.mark.parametrize("seed", range(60))
def test_rings_run_along_pixels_clockwise_and_holes_the_other_way(seed: int) -> None:
    for region in instance_regions(random_map(seed), background=0):
        (piece,) = region.pieces
        area = signed_area(piece.outer) + sum(signed_area(hole) for hole in piece.holes)
        assert area == region.area == signed_area(region.rings[0])
        assert all(signed_area(hole) < 0 for hole in piece.holes)
        for ring in (piece.outer, *piece.holes):
            steps = np.roll(ring, -1, axis=0) - ring
            assert ((steps == 0).sum(axis=1) == 1).all()


@pytest.mark.parametrize("seed", range(60))
def test_runs_spell_the_region_column_by_column(seed: int) -> None:
    for region in semantic_regions(random_map(seed), background=0):
        counts = region.runs
        values = np.arange(len(counts)) % 2 == 1

        spelled = np.repeat(values, counts).reshape(region.image_hw[::-1]).T

        assert np.array_equal(spelled, everywhere(region))
        assert (counts[1:] > 0).all()


def test_a_single_pixel_has_four_corners() -> None:
    (piece,) = pieces_of(np.ones((1, 1), np.bool_), top=3, left=5)

    assert piece.outer.tolist() == [[3, 5], [3, 6], [4, 6], [4, 5]]
    assert piece.holes == ()


def test_an_empty_map_has_no_regions() -> None:
    empty = np.zeros((4, 7), np.uint8)

    assert semantic_regions(empty, background=0) == instance_regions(empty, background=0) == ()
    assert semantic_regions(np.full((4, 7), IGNORE, np.uint8), background=0) == ()


def test_small_parts_become_background() -> None:
    class_map = np.zeros((9, 14), np.uint8)
    class_map[1:4, 1:4] = 1
    class_map[6, 2:5] = 1
    class_map[5:8, 9:13] = 2

    result = tidied(class_map, background=0, min_area=4)

    assert (result[6] != 1).all()
    assert np.array_equal(result != class_map, (class_map == 1) & (np.arange(9) == 6)[:, None])


@pytest.mark.parametrize("seed", range(30))
def test_filled_holes_are_those_that_scipy_fills(seed: int) -> None:
    class_map = (random_map(seed) == 1).astype(np.uint8)

    filled = tidied(class_map, background=0, fill_holes=True)

    wanted = np.zeros(class_map.shape, np.bool_)
    labels, count = ndimage.label(class_map, EIGHT)
    for number in range(1, count + 1):
        wanted |= ndimage.binary_fill_holes(labels == number)
    assert np.array_equal(filled == 1, wanted)


def test_filling_leaves_other_classes_and_the_smallest_part_wins() -> None:
    class_map = np.zeros((11, 15), np.uint8)
    class_map[1:10, 1:14] = 1
    class_map[2:9, 2:13] = 0
    class_map[4:7, 4:9] = 2
    class_map[5, 5:8] = 0

    filled = tidied(class_map, background=0, fill_holes=True)

    assert (filled[5, 5:8] == 2).all()
    assert (filled[4:7, 4:9] == 2).all()
    assert filled[3, 3] == filled[8, 12] == 1
    assert filled[0, 0] == filled[10, 14] == 0


def test_classes_that_do_not_stay_become_background() -> None:
    class_map = np.array([[0, 1, 2, 3, IGNORE]], np.uint8)

    assert tidied(class_map, background=3, kept={2, 3}).tolist() == [[3, 3, 2, 3, IGNORE]]
    assert tidied(class_map, background=0) is class_map
