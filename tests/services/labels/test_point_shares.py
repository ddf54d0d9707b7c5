"""Laws of sharing points: few enough to stay quick, spread evenly, and the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fcnlab.lab import Lab
from fcnlab.services.labels import label_import
from fcnlab.services.labels.expert_masks import counted_by_source, images_with_truth
from fcnlab.services.labels.label_import import LabelRequest, found_labels
from fcnlab.services.labels.mask_intake import earlier_points, shared_points
from tests.support.label_imports import a_mask, masks_in, take_in
from tests.support.tabs import new_project


@pytest.mark.parametrize(
    ("count", "earlier", "per_image"),
    [(0, 0, 100), (1, 0, 100), (200, 0, 100), (250, 0, 80), (500, 0, 40), (200, 10_000, 50), (200, 50_000, 10)],
)
def test_a_project_gets_at_most_so_many_points_but_each_mask_some(count: int, earlier: int, per_image: int) -> None:
    share = shared_points(range(count), earlier=earlier, seed=0)

    assert (share.per_image, share.chosen) == (per_image, None)
    assert bool(share.words) == (per_image < 100)


def test_of_many_images_five_hundred_spread_evenly_give_points() -> None:
    images = [7 * number + 3 for number in range(10_250)]

    share = shared_points(images, earlier=0, seed=0)

    assert share.chosen is not None
    places = np.array(sorted((image - 3) // 7 for image in share.chosen))
    borders = np.arange(500) * 10_250 // 500
    assert np.array_equal(np.searchsorted(borders, places, side="right"), np.arange(500) + 1)
    assert sum(share.of_image(image) for image in images) == 20_000
    assert share.words == "40 points from each of 500 masks, spread evenly over 10250; all are kept as truth"


def test_the_seed_alone_decides_which_images_give_points() -> None:
    one, same, other = (shared_points(range(900), earlier=0, seed=seed).chosen for seed in (4, 4, 5))

    assert one == same != other


def test_only_what_came_before_counts_so_that_importing_again_changes_nothing() -> None:
    sources = {"coco:a": 500, "index:b": 70, "yolo:c": 9}

    assert [earlier_points(sources, one) for one in (*sources, "voc:d")] == [0, 500, 570, 579]


def test_all_masks_are_truth_where_only_some_give_points(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id, image_ids = new_project(lab)
    path = masks_in(tmp_path / "masks", {"00000": a_mask(), "00001": a_mask(3), "nowhere": a_mask()})
    monkeypatch.setattr("fcnlab.services.labels.mask_intake.MOST_IMAGES", 1)
    monkeypatch.setattr("fcnlab.services.labels.mask_intake.MOST_PER_PROJECT", 60)
    monkeypatch.setattr(label_import, "MOST_PER_PROJECT", 60)

    with found_labels(
        lab, path, project_id=project_id, request=LabelRequest(), name="masks", allow_anywhere=True
    ) as found:
        steps = list(found.steps)

    assert sorted(one.n_points for one in steps) == [0, 0, 60]
    assert found.share().words == "60 points from each of 1 masks, spread evenly over 2; all are kept as truth"
    assert images_with_truth(lab, project_id=project_id) == tuple(image_ids)
    again = take_in(lab, path, project_id, points_per_image=None)
    assert [str(one.outcome) for one in again] == ["known", "known", "left out"]
    (third,) = take_in(lab, masks_in(tmp_path / "more", {"00001": a_mask()}), project_id, points_per_image=None)
    assert 0 < third.n_points <= 10  # fewer where a pixel has a point already
    assert counted_by_source(lab, project_id=project_id)[0] == ("index:masks", 2, 60)
