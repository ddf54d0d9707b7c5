"""Drawn scenes: the ground truth is that of the picture, and a seed decides all of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fcnlab.core.simulation import cells, land
from fcnlab.core.simulation.cells import CellsSpec, draw_cells
from fcnlab.core.simulation.land import LandSpec, draw_land
from fcnlab.core.simulation.scene import Scene, smooth_noise

SIMULATORS: dict[str, tuple[Callable[[int], Scene], tuple[str, ...]]] = {
    "cells": (lambda seed: draw_cells(CellsSpec(hw=(200, 260), count=14), seed=seed), cells.CLASSES),
    "land": (lambda seed: draw_land(LandSpec(hw=(200, 260)), seed=seed), land.CLASSES),
}


@pytest.mark.parametrize("name", SIMULATORS)
def test_a_seed_decides_every_pixel_and_another_one_draws_another_scene(name: str) -> None:
    draw, _ = SIMULATORS[name]

    first, again, other = draw(3), draw(3), draw(4)

    for part in ("rgb", "classes", "instances", "centres"):
        assert np.array_equal(getattr(first, part), getattr(again, part))
    assert (first.rgb != other.rgb).mean() > 0.2
    assert not np.array_equal(first.classes, other.classes)


@pytest.mark.parametrize("name", SIMULATORS)
@pytest.mark.parametrize("seed", range(5))
def test_every_pixel_has_a_class_and_objects_have_their_centres_inside(name: str, seed: int) -> None:
    draw, classes = SIMULATORS[name]

    scene = draw(seed)

    assert scene.rgb.shape == (200, 260, 3)
    assert scene.rgb.dtype == scene.classes.dtype == np.uint8
    assert scene.classes.shape == scene.instances.shape == (200, 260)
    assert set(np.unique(scene.classes)) == set(range(len(classes)))
    assert scene.instances.max() == len(scene.centres)
    for number, (row, col) in enumerate(scene.centres, start=1):
        assert scene.instances[row, col] == number
    assert not scene.instances[scene.classes == 0].any()


def test_nuclei_are_brighter_than_the_ground_and_dim_ones_are_still_seen() -> None:
    scene = draw_cells(CellsSpec(), seed=0)

    ground = scene.rgb[scene.classes == 0].mean()
    means = [scene.rgb[scene.instances == number].mean() for number in range(1, len(scene.centres) + 1)]

    assert min(means) > 2 * ground


def test_fewer_photons_make_more_noise() -> None:
    def spread(photons: float) -> float:
        scene = draw_cells(CellsSpec(hw=(200, 200), count=8, photons=photons), seed=1)
        return float(scene.rgb[scene.classes == 1].std())

    assert spread(10) > 1.2 * spread(300)


def test_noise_is_standardised_whatever_its_size() -> None:
    for size in (2, 20, 90):
        noise = smooth_noise(np.random.default_rng(0), (120, 150), size=size, octaves=3)
        assert abs(float(noise.mean())) < 1e-4
        assert float(noise.std()) == pytest.approx(1, abs=1e-3)
