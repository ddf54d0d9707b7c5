"""From shares of pixels to areas of ground."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fcnlab.core.surveys.estimates import ClassCover
from fcnlab.errors import InvalidSurvey

SQUARE_METRES = {"mm²": 1e-6, "cm²": 1e-4, "m²": 1.0, "ha": 1e4, "km²": 1e6}
"""Square metres to a unit of area."""


@dataclass(frozen=True, slots=True)
class CoverArea:
    """The area that a class covers, with the ends of its interval, all in `unit`."""

    area: float
    low: float
    high: float
    unit: str


def area_of(cover: ClassCover, total_m2: float, unit: str | None = None) -> CoverArea:
    """The area of a class, out of so many square metres that the survey stands for.

    Args:
        unit: of SQUARE_METRES; None: the one in which the area is most easily read.

    Raises:
        InvalidSurvey: an area that is not above zero, or a unit nobody defined.
    """
    if not (math.isfinite(total_m2) and total_m2 > 0):
        raise InvalidSurvey(f"the area of a survey is above zero, not {total_m2} m²")
    unit = unit or readable_unit(cover.share * total_m2)
    if unit not in SQUARE_METRES:
        raise InvalidSurvey(f"there is no unit '{unit}': take {', '.join(SQUARE_METRES)}")
    scale = total_m2 / SQUARE_METRES[unit]
    return CoverArea(cover.share * scale, cover.low * scale, cover.high * scale, unit)


def readable_unit(area_m2: float) -> str:
    """The largest unit of which an area of so many square metres is at least one; m² for none at all."""
    if area_m2 <= 0:
        return "m²"
    return [unit for unit, size in SQUARE_METRES.items() if area_m2 >= size or unit == "mm²"][-1]
