"""Cells under a microscope: ellipses, bright on a dark ground or stained on a light one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.core.simulation.scene import Scene, blurred, smooth_noise, to_uint8

CLASSES = ("background", "nucleus")
GROUND, STAIN = np.array([238, 226, 234], np.float32), np.array([104, 62, 138], np.float32)
"""Colours of stained pictures: hematoxylin on a light ground."""

TRIES = 40
"""So often a place for a nucleus is sought before the picture counts as full."""


@dataclass(frozen=True, slots=True)
class CellsSpec:
    """What a picture of nuclei is like.

    Attributes:
        hw: height and width in pixels.
        count: how many nuclei there are to be; fewer fit where they may not overlap.
        radius: mean of the half axes, in pixels.
        spread: standard deviation of the radius, next to it.
        eccentricity: 0 for circles; the axes differ by up to this share.
        overlap: how much closer than touching two centres may be, 0 to 1.
        light: by how much the light falls off across the picture, 0 to 1.
        blur: standard deviation of the point-spread function, in pixels.
        photons: collected where a nucleus is brightest; fewer make more noise (Poisson).
        read_noise: standard deviation of the camera, in grey values.
        is_stained: purple on a light ground in transmitted light, and not bright on a dark one.
    """

    hw: tuple[int, int] = (512, 512)
    count: int = 45
    radius: float = 17.0
    spread: float = 0.18
    eccentricity: float = 0.3
    overlap: float = 0.05
    light: float = 0.35
    blur: float = 1.6
    photons: float = 90.0
    read_noise: float = 3.0
    is_stained: bool = False


def draw_cells(spec: CellsSpec, *, seed: int) -> Scene:
    """A picture of nuclei with the class, the object and the centres of all of them; equal seeds give equal scenes."""
    rng = np.random.default_rng(seed)
    height, width = spec.hw
    instances = np.zeros(spec.hw, np.uint16)
    brightness = np.zeros(spec.hw, np.float32)
    centres: list[tuple[int, int]] = []
    radii: list[float] = []
    for _ in range(spec.count):
        radius = spec.radius * max(0.4, 1 + spec.spread * float(rng.standard_normal()))
        place = _free_place(rng, spec, radius, centres, radii)
        if place is None:
            break
        inside = _ellipse(rng, spec, place, radius) & (instances == 0)
        if inside.sum() < 0.5 * np.pi * radius**2:  # half hidden by others, or cut by the border
            continue
        centres.append(place)
        radii.append(radius)
        instances[inside] = len(centres)
        brightness[inside] = float(rng.uniform(0.55, 1.0))
    texture = 1 + 0.16 * smooth_noise(rng, spec.hw, size=spec.radius / 2, octaves=3)
    falloff = 1 - spec.light * _fall_off(rng, height, width)
    glow = blurred(brightness, 3 * spec.radius) * 0.25 + 0.05
    light = blurred((brightness * texture + glow) * falloff, spec.blur)
    counted = rng.poisson(np.maximum(light, 0) * spec.photons).astype(np.float32) / spec.photons
    if spec.is_stained:
        shares = np.clip(counted, 0, 1)[..., None]
        values = (1 - shares) * GROUND + shares * STAIN
    else:
        values = np.repeat(200 * counted[..., None] + 6, 3, axis=2)
    rgb = to_uint8(values + spec.read_noise * rng.standard_normal((height, width, 1), np.float32))
    return Scene(rgb, (instances > 0).astype(np.uint8), instances, np.array(centres, np.int64).reshape(-1, 2))


def _free_place(
    rng: np.random.Generator, spec: CellsSpec, radius: float, centres: list[tuple[int, int]], radii: list[float]
) -> tuple[int, int] | None:
    """Row and column of a centre far enough from the others; None: none was met in TRIES draws."""
    height, width = spec.hw
    for _ in range(TRIES):
        row, col = (int(value) for value in rng.integers((0, 0), (height, width)))
        nearest = (
            (row - other_row) ** 2 + (col - other_col) ** 2 >= ((radius + other) * (1 - spec.overlap)) ** 2
            for (other_row, other_col), other in zip(centres, radii, strict=True)
        )
        if all(nearest):
            return row, col
    return None


def _ellipse(rng: np.random.Generator, spec: CellsSpec, place: tuple[int, int], radius: float) -> NDArray[np.bool_]:
    """(H, W) bool of one nucleus: an ellipse at any angle."""
    stretch = 1 + spec.eccentricity * float(rng.uniform(0, 1))
    axes = (max(1, round(radius * stretch)), max(1, round(radius / stretch)))
    shape = np.zeros(spec.hw, np.uint8)
    cv2.ellipse(shape, place[::-1], axes, float(rng.uniform(0, 180)), 0, 360, 1, cv2.FILLED)
    return shape > 0


def _fall_off(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """(H, W) float32, 0 where the light is brightest to 1 at the farthest corner."""
    centre = rng.uniform(0.3, 0.7, 2) * (height, width)
    rows, cols = np.mgrid[:height, :width].astype(np.float32)
    distance = np.hypot(rows - centre[0], cols - centre[1])
    return np.asarray(distance / distance.max(), np.float32) ** 2
