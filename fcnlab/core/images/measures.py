"""Measurements of regions: size, shape, place and brightness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage import measure

from fcnlab.core.images.regions import Region

COLUMNS = (
    "class_id",
    "area_px",
    "perimeter_px",
    "centroid_row",
    "centroid_col",
    "top",
    "left",
    "height",
    "width",
    "eccentricity",
    "mean_intensity",
    "area",
    "perimeter",
    "unit",
)
"""What `measures_of` gives, in order."""

DIGITS = 4


def measures_of(
    regions: Sequence[Region],
    intensity: NDArray[np.floating],
    *,
    pixel_hw: tuple[float, float] | None = None,
    unit: str = "",
) -> list[tuple[object, ...]]:
    """A row of COLUMNS for each region, by scikit-image's regionprops.

    Perimeter is that of the line through the centres of border pixels; eccentricity that of the ellipse with the same
    second moments, 0 for a circle. Centroids count pixels from the centre of the upper left one. Numbers have DIGITS
    digits behind the point.

    Args:
        regions: of one image.
        intensity: (H, W) of that image.
        pixel_hw: height and width of a pixel in `unit`; None leaves `area` and `perimeter` empty. A perimeter in
            `unit` wants square pixels.
        unit: of length; areas are in its square.
    """
    return [_row(region, intensity, pixel_hw, unit) for region in regions]


def _row(
    region: Region, intensity: NDArray[np.floating], pixel_hw: tuple[float, float] | None, unit: str
) -> tuple[object, ...]:
    box = np.s_[region.top : region.top + region.height, region.left : region.left + region.width]
    (properties,) = measure.regionprops(  # type: ignore[no-untyped-call]
        region.inside.astype(np.uint8), intensity_image=intensity[box]
    )
    row, col = properties.centroid
    area: float | str = ""
    perimeter: float | str = ""
    if pixel_hw is not None:
        area = round(region.area * pixel_hw[0] * pixel_hw[1], DIGITS)
        if np.isclose(*pixel_hw):
            perimeter = round(float(properties.perimeter) * pixel_hw[0], DIGITS)
    return (
        region.class_id,
        region.area,
        round(float(properties.perimeter), DIGITS),
        round(float(row) + region.top, DIGITS),
        round(float(col) + region.left, DIGITS),
        region.top,
        region.left,
        region.height,
        region.width,
        round(float(properties.eccentricity), DIGITS),
        round(float(properties.intensity_mean), DIGITS),
        area,
        perimeter,
        unit if pixel_hw is not None else "",
    )
