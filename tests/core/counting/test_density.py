from __future__ import annotations

import numpy as np
import pytest
import torch

from fcnlab.core.counting.density import DENSITY_UNIT, density_loss, density_target
from tests.support.maps import marks_of

HW = (24, 37)


def test_every_object_has_mass_one_wherever_it_lies():
    for row, col in [(0, 0), (-0.4, 36.4), (23, 36), (11.3, 17.8), (12, 0), (0, 20.5)]:
        targets, known = density_target(marks_of((row, col, 1)), 2, HW, 3.0)

        assert targets[1].sum() == pytest.approx(1, abs=1e-4)
        assert (targets[0] == 0).all()
        assert known.all()


def test_even_a_gaussian_wider_than_the_picture_keeps_its_mass():
    targets, _ = density_target(marks_of((1, 2, 1)), 2, (4, 7), 9.0)

    assert targets[1].sum() == pytest.approx(1, abs=1e-4)


def test_classes_have_densities_of_their_own_and_those_on_one_pixel_add_up():
    targets, _ = density_target(marks_of((5, 5, 1), (5, 5, 1), (12, 20, 2), (3, 30, 0)), 3, HW, 2.0)

    assert targets.sum(axis=(1, 2)) == pytest.approx([0, 2, 1], abs=1e-4)
    assert targets.dtype == np.float32


def test_objects_outside_the_picture_do_not_count():
    targets, _ = density_target(marks_of((5, 5, 1), (-0.6, 5, 1), (5, 36.5, 1), (24, 3, 1)), 2, HW, 2.0)

    assert targets[1].sum() == pytest.approx(1, abs=1e-4)


def test_the_centre_of_mass_is_the_point_between_pixels_too():
    targets, _ = density_target(marks_of((11.25, 17.75, 1)), 2, HW, 1.5)

    rows, cols = np.mgrid[: HW[0], : HW[1]]
    assert (targets[1] * rows).sum() == pytest.approx(11.25, abs=1e-3)
    assert (targets[1] * cols).sum() == pytest.approx(17.75, abs=1e-3)


def test_only_around_points_is_known_when_not_all_is_marked():
    _, known = density_target(marks_of((5, 5, 1), (20, 30, 0), is_complete=False), 2, HW, 2.0)

    rows, cols = np.mgrid[: HW[0], : HW[1]]
    near = np.minimum(np.hypot(rows - 5, cols - 5), np.hypot(rows - 20, cols - 30)) <= 6
    assert (known == near).all()


def test_a_picture_without_points_is_empty_or_unknown():
    targets, known = density_target(marks_of(), 2, HW, 2.0)
    _, unknown = density_target(marks_of(is_complete=False), 2, HW, 2.0)

    assert (targets == 0).all()
    assert known.all()
    assert not unknown.any()


def test_the_right_density_costs_nothing_and_its_sum_is_the_count():
    targets, known = density_target(marks_of((5, 5, 1), (12, 20, 1)), 2, HW, 2.0)
    scores = torch.from_numpy(targets * DENSITY_UNIT)[None]

    loss = density_loss(scores, torch.from_numpy(targets)[None], torch.from_numpy(known)[None])

    assert float(loss) == 0
    assert float(scores[0, 1].sum()) / DENSITY_UNIT == pytest.approx(2, abs=1e-4)


def test_unknown_pixels_and_the_background_get_no_gradient():
    targets, known = density_target(marks_of((5, 5, 1), is_complete=False), 3, HW, 2.0)
    scores = torch.full((1, 3, *HW), 0.5, requires_grad=True)

    density_loss(scores, torch.from_numpy(targets)[None], torch.from_numpy(known)[None]).backward()

    assert scores.grad is not None
    assert (scores.grad[0, 0] == 0).all()
    assert (scores.grad[0][:, torch.from_numpy(~known)] == 0).all()
    assert (scores.grad[0, 1][torch.from_numpy(known)] != 0).all()


def test_the_loss_does_not_depend_on_how_much_is_unknown_or_on_the_size_of_the_batch():
    targets, known = density_target(marks_of((5, 5, 1), is_complete=False), 2, HW, 2.0)
    wide = density_target(marks_of((5, 5, 1), is_complete=False), 2, (40, 60), 2.0)

    def loss(targets: np.ndarray, known: np.ndarray, copies: int = 1) -> float:
        scores = torch.full((copies, *targets.shape), 0.5)
        maps = torch.from_numpy(np.stack([targets] * copies)), torch.from_numpy(np.stack([known] * copies))
        return float(density_loss(scores, *maps))

    assert loss(targets, known) == pytest.approx(loss(*wide), rel=1e-4)
    assert loss(targets, known) == pytest.approx(loss(targets, known, copies=3))


def test_a_batch_of_which_nothing_is_known_costs_nothing():
    scores = torch.full((1, 2, *HW), torch.nan, requires_grad=True)

    loss = density_loss(scores, torch.zeros(1, 2, *HW), torch.zeros(1, *HW, dtype=torch.bool))

    assert float(loss.detach()) == 0
