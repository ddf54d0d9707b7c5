"""The instant counter: what points teach, and what is found by it. No array is square."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fcnlab.core.counting.count_maps import instant_count_maps
from fcnlab.core.counting.counted import Counted, count_on_maps
from fcnlab.core.counting.instant import (
    CountPicture,
    CountSums,
    evenly_spread,
    extract_count_samples,
    fit_counts,
    ready_to_count,
)
from fcnlab.core.counting.marks import Sizes, sizes_at, spacing_from, usual_width
from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.core.learner.samples import canonical_clicks
from fcnlab.domain.events import Point
from fcnlab.errors import NoPoints

HEIGHT, WIDTH = 110, 180
BRIGHT = [(18, 20), (22, 70), (28, 150), (58, 40), (62, 110), (92, 24), (90, 76), (94, 140)]
DARK = [(40, 90), (40, 130), (76, 150), (76, 60)]
CLASSES = (0, 1, 2)


@pytest.fixture(scope="module")
def picture(encoder: StageEncoder) -> CountPicture:
    """Bright and dark discs of radius 7 on noisy grey."""
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    grey = np.random.default_rng(0).normal(110, 4, (HEIGHT, WIDTH))
    for places, light in ((BRIGHT, 90), (DARK, -90)):
        for row, col in places:
            grey[np.hypot(rows - row, cols - col) < 7] += light
    rgb = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return ready_to_count(rgb, encoder.encode(rgb, scales=(1.0, 0.5), position=True))


def counted(picture: CountPicture, points: list[Point], *, is_complete: bool = False) -> Counted:
    clicks = canonical_clicks(points, picture.hw)
    rows, cols = clicks.on(picture.hw)
    is_object = clicks.class_ids != 0
    sizes = [sizes_at(picture.space, rows[is_object], cols[is_object])]
    spacing = spacing_from(sizes)
    sums = CountSums()
    sums.add(extract_count_samples(picture, clicks, background=0, is_complete=is_complete, spacing=spacing))
    marked = sorted({int(one) for one in clicks.class_ids[is_object]})
    head = fit_counts(sums, class_ids=marked, spacing=spacing, width=usual_width(sizes)) if marked else None
    count_maps = instant_count_maps(picture, head, class_ids=CLASSES, image_hw=picture.hw)
    return count_on_maps(count_maps, clicks, is_complete=is_complete, out_hw=picture.hw)


def places(found: Counted, class_id: int) -> NDArray[np.float64]:
    return np.array([(one.row, one.col) for one in found.count.objects if one.class_id == class_id]).reshape(-1, 2)


def points(centres: list[tuple[int, int]], class_id: int) -> list[Point]:
    return [Point(row, col, class_id) for row, col in centres]


def test_a_few_marked_objects_find_the_others_of_their_class(picture: CountPicture) -> None:
    found = counted(picture, [*points(BRIGHT[:3], 1), *points(DARK[:2], 2)])

    for class_id, true in ((1, BRIGHT), (2, DARK)):
        distances = np.linalg.norm(places(found, class_id)[:, None] - np.array(true), axis=2)
        assert len(distances) == len(true)
        assert distances.min(axis=0).max() < 4


def test_marked_objects_are_objects_wherever_they_are(picture: CountPicture) -> None:
    strange = [Point(5, 175, 1), Point(104, 100, 2), Point(0, 0, 1)]

    found = counted(picture, [*points(BRIGHT[:3], 1), *strange])

    marked = {(one.row, one.col, one.class_id) for one in found.count.objects if one.is_marked}
    assert marked == {(one.row, one.col, one.class_id) for one in [*points(BRIGHT[:3], 1), *strange]}
    for one in strange:
        assert found.class_map[one.row, one.col] == one.class_id


def test_a_background_point_removes_the_object_under_it_and_no_other(picture: CountPicture) -> None:
    before = counted(picture, points(BRIGHT[:4], 1))
    struck = next(one for one in before.count.objects if not one.is_marked)

    after = counted(picture, [*points(BRIGHT[:4], 1), Point(round(struck.row), round(struck.col), 0)])

    distance = np.linalg.norm(places(after, 1) - (struck.row, struck.col), axis=1)
    assert distance.min() > 5
    assert after.class_map[round(struck.row), round(struck.col)] == 0
    assert sum(one.is_marked for one in after.count.objects) == 4


def test_more_clicks_never_unmark_an_object(picture: CountPicture) -> None:
    few = points(BRIGHT[:2], 1)
    many = [*few, *points(BRIGHT[2:], 1), Point(BRIGHT[0][0] + 3, BRIGHT[0][1] + 3, 0), *points(DARK, 2)]

    found = counted(picture, many)

    marked = {(one.row, one.col) for one in found.count.objects if one.is_marked}
    assert {(one.row, one.col) for one in few} <= marked
    assert len(marked) == len(BRIGHT) + len(DARK)


def test_the_order_of_clicks_changes_nothing(picture: CountPicture) -> None:
    some = [*points(BRIGHT[:4], 1), *points(DARK[:2], 2), Point(10, 120, 0)]

    one, other = counted(picture, some), counted(picture, some[::-1])

    np.testing.assert_array_equal(one.class_map, other.class_map)
    assert one.count == other.count


def test_where_all_objects_are_marked_they_are_the_count(picture: CountPicture) -> None:
    found = counted(picture, points(BRIGHT[:5], 1), is_complete=True)

    assert [(one.count, one.low, one.high, one.is_exact) for one in found.count.counts] == [
        (5.0, 5.0, 5.0, True),
        (0.0, 0.0, 0.0, True),
    ]


def test_an_empty_picture_counts_none(picture: CountPicture) -> None:
    found = counted(picture, [], is_complete=True)

    assert not found.count.objects
    assert (found.class_map == 0).all()
    assert (found.probabilities[0] == 1).all()


def test_two_marks_in_one_pixel_of_the_map_are_two_objects(picture: CountPicture) -> None:
    found = counted(picture, [*points(BRIGHT[:3], 1), Point(50, 160, 1), Point(50, 161, 1)])

    assert sum(one.is_marked for one in found.count.objects) == 5


def test_neighbouring_blobs_are_parted_by_a_line_of_background(picture: CountPicture) -> None:
    found = counted(picture, [*points(BRIGHT, 1), Point(50, 150, 1), Point(50, 158, 1)])

    between = found.class_map[50, 150:159]
    assert between[0] == 1
    assert between[-1] == 1
    assert (between == 0).any()


def test_objects_are_numbered_in_reading_order(picture: CountPicture) -> None:
    found = counted(picture, points(BRIGHT[:3], 1))

    rows = [one.row for one in found.count.objects]
    assert rows == sorted(rows)


def test_what_is_taken_away_was_never_learned(picture: CountPicture) -> None:
    def sums_of(centres: list[tuple[int, int]]) -> CountSums:
        clicks = canonical_clicks(points(centres, 1), picture.hw)
        found = CountSums()
        found.add(extract_count_samples(picture, clicks, background=0, is_complete=False, spacing=20.0))
        return found

    alone = fit_counts(sums_of(BRIGHT[:3]), class_ids=[1], spacing=20.0, width=6.0)
    both = sums_of(BRIGHT[:3])
    other = extract_count_samples(
        picture, canonical_clicks(points(BRIGHT[4:], 1), picture.hw), background=0, is_complete=True, spacing=20.0
    )
    both.add(other)
    both.add(other, sign=-1)

    again = fit_counts(both, class_ids=[1], spacing=20.0, width=6.0)

    np.testing.assert_allclose(again.weights, alone.weights, rtol=0, atol=1e-6)


def test_nothing_marked_teaches_nothing() -> None:
    with pytest.raises(NoPoints, match="click one"):
        fit_counts(CountSums(), class_ids=[], spacing=20.0, width=6.0)


def test_the_width_of_discs_is_told_from_points_on_them(picture: CountPicture) -> None:
    rows, cols = np.array(BRIGHT, np.float64).T

    found = sizes_at(picture.space, rows, cols)

    assert 4 <= float(np.median(found.widths)) <= 8  # radius over the root of two, in halves of a doubling


def test_marked_neighbours_say_how_far_apart_objects_are_unless_few_are_marked() -> None:
    near = Sizes(np.array([0.0, 8.0]), np.array([0.0, 0.0]), np.array([6.0, 6.0]))
    far = Sizes(np.array([0.0, 300.0]), np.array([0.0, 0.0]), np.array([6.0, 6.0]))

    assert spacing_from([near]) == pytest.approx(8.0)
    assert spacing_from([far]) < 30


def test_faint_places_cover_the_picture_evenly() -> None:
    spread = evenly_spread(200, (60, 90))

    counts, _, _ = np.histogram2d(spread[:, 0], spread[:, 1], bins=(2, 2), range=((-0.5, 59.5), (-0.5, 89.5)))
    assert counts.min() > 40
