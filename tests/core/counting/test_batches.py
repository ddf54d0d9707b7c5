"""Parts of pictures: points stay on their objects, densities are those of the whole, borders teach nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fcnlab.core.counting.batches import count_batch, density_batch, marks_of, part_box
from fcnlab.core.counting.density import density_target
from fcnlab.domain.counting import Objective
from fcnlab.domain.training import TrainingSpec, counting_training
from tests.support.dots import HEIGHT, WIDTH, marked

UNCHANGED = replace(counting_training(Objective.DENSITY), colour=0.0, crop=0)


def batch(spec: TrainingSpec, *numbers: int, seed: int = 0, turns: bool = True):  # type: ignore[no-untyped-def]
    pictures = [marked(number) for number in numbers]
    rng = np.random.default_rng(seed)
    return count_batch(pictures, spec, rng, device="cpu", density=(2, 3.0), turns=turns)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("crop", [0, 31])
def test_points_move_with_the_picture(seed: int, crop: int) -> None:
    found = batch(replace(UNCHANGED, crop=crop), 3, seed=seed)
    (part,) = found.parts

    at = part.rgb[:, part.marks.rows.astype(int), part.marks.cols.astype(int)]
    assert (at[0] > 0.9).all()
    assert crop or len(part.marks.rows) == len(marked(3).rows)


def test_pictures_are_mirrored_and_turned_every_way() -> None:
    seen = {batch(UNCHANGED, 3, seed=seed).parts[0].rgb.numpy().tobytes() for seed in range(80)}

    assert len(seen) == 8


def test_without_turns_every_part_keeps_its_size() -> None:
    sizes = {batch(UNCHANGED, 3, seed=seed, turns=False).parts[0].hw for seed in range(20)}

    assert sizes == {(HEIGHT, WIDTH)}


def test_nothing_changes_where_no_change_is_wanted() -> None:
    (part,) = batch(replace(UNCHANGED, flip=False), 3).parts

    np.testing.assert_array_equal((part.rgb * 255).round().permute(1, 2, 0).numpy(), marked(3).read())


def test_the_density_of_a_part_is_cut_from_that_of_the_whole() -> None:
    spec = replace(UNCHANGED, flip=False, crop=30)
    whole, _ = density_target(marks_of(marked(3)), 2, (HEIGHT, WIDTH), 3.0)
    for seed in range(6):
        box = part_box(marked(3), (HEIGHT, WIDTH), 30, np.random.default_rng(seed))
        (part,) = batch(spec, 3, seed=seed).parts

        assert part.targets is not None
        np.testing.assert_allclose(part.targets, whole[(slice(None), *box.slices)], atol=1e-5)


def test_a_part_of_a_picture_that_is_not_all_marked_holds_a_point() -> None:
    picture = marked(1, 2, is_complete=False)

    for seed in range(20):
        box = part_box(picture, (HEIGHT, WIDTH), 20, np.random.default_rng(seed))
        rows, cols = picture.rows, picture.cols
        assert ((rows >= box.top) & (rows < box.bottom) & (cols >= box.left) & (cols < box.right)).any()
        assert box.hw == (20, 20)


def test_borders_between_pictures_of_a_batch_are_unknown_and_no_grey() -> None:
    found = batch(UNCHANGED, *range(8))
    targets, known = density_batch(found)

    assert found.rgb.shape == (8, 3, WIDTH, WIDTH)
    for place, part in enumerate(found.parts):
        height, width = part.hw
        assert known[place, :height, :width].all()
        assert int(known[place].sum()) == height * width
        assert torch.equal(found.rgb[place, :, :height, width:], part.rgb[:, :, -1:].expand(3, height, WIDTH - width))
        assert float(targets[place].sum()) == pytest.approx(part.marks.n_objects, rel=1e-3)


def test_an_empty_picture_is_known_to_be_empty() -> None:
    empty = count_batch([marked(2, 0)], UNCHANGED, np.random.default_rng(0), device="cpu", density=(2, 3.0))
    targets, known = density_batch(empty)

    assert known.all()
    assert float(targets.abs().sum()) == 0
