"""Land seen from above: fields, forest, water and roads, with the texture and the colour that each has."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.core.simulation.scene import Scene, blurred, smooth_noise, to_uint8

CLASSES = ("field", "forest", "water", "road")
FIELD, FOREST, WATER, ROAD = range(4)


@dataclass(frozen=True, slots=True)
class LandSpec:
    """What a picture of land is like.

    Attributes:
        hw: height and width in pixels.
        n_fields: how many fields it is parted into before the rest lies over them.
        forest: share of the picture that forest covers, about.
        river: width of the water, in pixels; 0: none.
        n_roads: how many roads cross it.
        road: their width, in pixels.
        noise: standard deviation of the camera, in values.
    """

    hw: tuple[int, int] = (512, 512)
    n_fields: int = 12
    forest: float = 0.28
    river: float = 46.0
    n_roads: int = 2
    road: float = 11.0
    noise: float = 4.0


def draw_land(spec: LandSpec, *, seed: int) -> Scene:
    """A picture of land with the class of every pixel, and no objects; equal seeds give equal scenes."""
    rng = np.random.default_rng(seed)
    classes = np.zeros(spec.hw, np.uint8)
    rgb = _fields(rng, spec)
    height = smooth_noise(rng, spec.hw, size=190, octaves=2)
    _paint(rgb, classes, height > np.quantile(height, 1 - spec.forest), _crowns(rng, spec.hw), FOREST)
    if spec.river > 0:
        _paint(rgb, classes, _band(rng, spec.hw, spec.river, bend=0.22), _water(rng, spec.hw), WATER)
    for _ in range(spec.n_roads):
        _paint(rgb, classes, _band(rng, spec.hw, spec.road, bend=0.06), _asphalt(rng, spec.hw), ROAD)
    light = 1 + 0.05 * smooth_noise(rng, spec.hw, size=400)
    noisy = blurred(rgb * light[..., None], 0.8) + spec.noise * rng.standard_normal(rgb.shape, np.float32)
    empty = np.zeros(spec.hw, np.uint16)
    return Scene(to_uint8(noisy), classes, empty, np.zeros((0, 2), np.int64))


def _paint(
    rgb: NDArray[np.float32],
    classes: NDArray[np.uint8],
    where: NDArray[np.bool_],
    colours: NDArray[np.float32],
    class_id: int,
) -> None:
    rgb[where] = colours[where]
    classes[where] = class_id


def _fields(rng: np.random.Generator, spec: LandSpec) -> NDArray[np.float32]:
    """(H, W, 3) float32: the cells of random points, each with rows of its own direction and colour."""
    height, width = spec.hw
    rows, cols = np.mgrid[:height, :width].astype(np.float32)
    sites = rng.uniform((0, 0), (height, width), (spec.n_fields, 2))
    distances = np.stack([np.abs(rows - row) + np.abs(cols - col) for row, col in sites])
    nearest = distances.argmin(axis=0)
    rgb = np.zeros((height, width, 3), np.float32)
    for index in range(spec.n_fields):
        ripe = float(rng.uniform(0, 1))
        colour = np.array([132, 156, 74], np.float32) * (1 - ripe) + np.array([196, 172, 108], np.float32) * ripe
        angle, period = float(rng.uniform(0, np.pi)), float(rng.uniform(7, 13))
        stripes = np.sin((rows * np.sin(angle) + cols * np.cos(angle)) * (2 * np.pi / period))
        inside = nearest == index
        rgb[inside] = colour * (1 + 0.09 * stripes[inside, None])
    return rgb * (1 + 0.04 * smooth_noise(rng, spec.hw, size=30, octaves=2))[..., None]


def _crowns(rng: np.random.Generator, hw: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W, 3) float32 of tree crowns: bright tops, dark gaps."""
    relief = smooth_noise(rng, hw, size=13, octaves=2)
    return np.array([46, 84, 44], np.float32) * (1 + 0.38 * np.clip(relief, -1.6, 1.8))[..., None]


def _water(rng: np.random.Generator, hw: tuple[int, int]) -> NDArray[np.float32]:
    ripples = smooth_noise(rng, hw, size=60, octaves=2)
    return np.array([48, 92, 122], np.float32) * (1 + 0.06 * ripples)[..., None]


def _asphalt(rng: np.random.Generator, hw: tuple[int, int]) -> NDArray[np.float32]:
    grain = smooth_noise(rng, hw, size=3)
    return np.array([158, 154, 150], np.float32) * (1 + 0.05 * grain)[..., None]


def _band(rng: np.random.Generator, hw: tuple[int, int], width: float, *, bend: float) -> NDArray[np.bool_]:
    """(H, W) bool: a band from one side to the opposite one; `bend` of the picture's side is how far it swings."""
    is_upright = rng.random() < 0.5
    length, across = hw if is_upright else hw[::-1]
    steps = np.linspace(0, length, 60)
    middle = rng.uniform(0.25, 0.75) * across
    phases = rng.uniform(0, 2 * np.pi, 3)
    swing = sum(np.sin(steps / length * np.pi * (2 * k + 1) + phases[k]) / (k + 1) for k in range(3))
    line = middle + bend * across * swing + rng.uniform(-0.35, 0.35) * (steps - length / 2)
    corners = np.stack([line, steps] if is_upright else [steps, line], axis=1).round().astype(np.int32)
    drawn = np.zeros(hw, np.uint8)
    cv2.polylines(drawn, [corners.reshape(-1, 1, 2)], isClosed=False, color=1, thickness=max(1, round(width)))
    return drawn > 0
