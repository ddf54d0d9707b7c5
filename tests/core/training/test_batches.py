"""Labelled pictures: whatever happens to a picture happens to its points."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fcnlab.core.training.batches import LabelledPicture, collated, cut_out, recoloured, turned, weighted
from fcnlab.domain.training import TrainingSpec

HEIGHT, WIDTH = 60, 90


def with_spots(rows: list[int], cols: list[int], *, classes: list[int] | None = None) -> LabelledPicture:
    """A black picture with a white spot of 5 x 5 pixels at every point."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for row, col in zip(rows, cols, strict=True):
        pixels[row - 2 : row + 3, col - 2 : col + 3] = 255
    chosen = classes or [0] * len(rows)
    return LabelledPicture(
        "spots",
        lambda: pixels,
        np.array(rows, np.float32),
        np.array(cols, np.float32),
        np.array(chosen, np.int64),
        np.ones(len(rows), np.float32),
    )


@pytest.mark.parametrize("seed", range(12))
def test_points_stay_on_what_they_were_clicked_on(seed: int) -> None:
    spec = TrainingSpec(scale=1.4, rotate=40, colour=0, crop=48)
    picture = with_spots([12, 30, 47], [20, 70, 41])

    batch = collated([picture], spec, np.random.default_rng(seed), device="cpu")

    assert len(batch.rows) >= 1
    for row, col in zip(batch.rows.tolist(), batch.cols.tolist(), strict=True):
        assert batch.rgb[0, :, round(row), round(col)].min() > 0.8


def test_the_middle_of_a_spot_moves_by_less_than_a_quarter_of_a_pixel_against_its_point() -> None:
    spec = TrainingSpec(scale=1.3, rotate=30, colour=0)
    picture = with_spots([30], [44])

    for seed in range(8):
        batch = collated([picture], spec, np.random.default_rng(seed), device="cpu")
        light = batch.rgb[0, 0].clone()
        light[(light - 0.5).abs() < 0.01] = 0  # what lies outside the turned picture is grey
        rows, cols = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
        near = ((rows - batch.rows[0]) ** 2 + (cols - batch.cols[0]) ** 2) < 8**2
        mass = light * near
        middle = torch.stack([(mass * rows).sum(), (mass * cols).sum()]) / mass.sum()

        assert (middle - torch.stack([batch.rows[0], batch.cols[0]])).abs().max() < 0.25


def test_a_cut_always_holds_a_point_and_moves_the_others_along() -> None:
    rng = np.random.default_rng(0)
    rows, cols = np.array([0.0, 59.0], np.float32), np.array([89.0, 0.0], np.float32)
    rgb = torch.rand(3, HEIGHT, WIDTH)

    for _ in range(50):
        cut, new_rows, new_cols = cut_out(rgb, rows, cols, 24, rng)
        inside = (new_rows >= 0) & (new_rows < 24) & (new_cols >= 0) & (new_cols < 24)

        assert cut.shape == (3, 24, 24)
        assert inside.sum() == 1
        place = int(np.flatnonzero(inside)[0])
        seen = cut[:, int(new_rows[place]), int(new_cols[place])]
        assert torch.equal(seen, rgb[:, int(rows[place]), int(cols[place])])


def test_a_turn_that_would_lose_every_point_is_not_taken() -> None:
    spec = TrainingSpec(scale=4, rotate=180, flip=False)
    corner = np.array([0.0], np.float32)

    for seed in range(30):
        rgb, rows, cols = turned(torch.rand(3, 40, 70), corner, corner, spec, np.random.default_rng(seed))

        assert -0.5 < rows[0] < rgb.shape[1] - 0.5
        assert -0.5 < cols[0] < rgb.shape[2] - 0.5


def test_equal_seeds_give_equal_batches() -> None:
    spec = TrainingSpec(crop=40)
    picture = with_spots([12, 30], [20, 70])

    one, other = (collated([picture, picture], spec, np.random.default_rng(3), device="cpu") for _ in range(2))

    assert torch.equal(one.rgb, other.rgb)
    assert torch.equal(one.rows, other.rows)


def test_pictures_of_different_sizes_share_a_batch_and_keep_their_points() -> None:
    small = LabelledPicture(
        "small",
        lambda: np.full((20, 30, 3), 200, np.uint8),
        np.array([19.0], np.float32),
        np.array([3.0], np.float32),
        np.array([1]),
        np.ones(1, np.float32),
    )

    batch = collated([small, with_spots([12], [80])], TrainingSpec(), None, device="cpu")

    assert batch.rgb.shape == (2, 3, HEIGHT, WIDTH)
    assert batch.images.tolist() == [0, 1]
    assert batch.rows.tolist() == [19, 12]
    assert torch.all(batch.rgb[0, :, 20:] == 0.5)


def test_balanced_weights_give_every_class_the_same_share_and_average_one() -> None:
    one, other = with_spots([10, 20, 30], [10, 20, 30]), with_spots([40], [40], classes=[1])

    balanced = weighted([one, other], "balanced")

    assert sum(float(part.weights.sum()) for part in balanced) == pytest.approx(4)
    assert float(balanced[0].weights.sum()) == pytest.approx(float(balanced[1].weights.sum()))


def test_colours_change_and_places_do_not() -> None:
    rgb = torch.zeros(3, HEIGHT, WIDTH)
    rgb[0, 10:20, 30:60] = 0.7

    changed = recoloured(rgb, 0.5, np.random.default_rng(1))

    assert torch.equal(changed.amax(dim=0) > 0.05, rgb.amax(dim=0) > 0.05)
    assert not torch.allclose(changed, rgb)
