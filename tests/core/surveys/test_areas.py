from __future__ import annotations

import pytest

from fcnlab.core.surveys.areas import SQUARE_METRES, area_of, readable_unit
from fcnlab.core.surveys.estimates import ClassCover
from fcnlab.errors import InvalidSurvey

COVER = ClassCover(0.2, 0.1, 0.4, 30, 90.0, 1.5)


def test_an_area_is_the_share_of_the_whole() -> None:
    area = area_of(COVER, 50_000, "ha")

    assert (area.area, area.low, area.high) == pytest.approx((1.0, 0.5, 2.0))
    assert area.unit == "ha"


@pytest.mark.parametrize("unit", SQUARE_METRES)
def test_an_area_is_the_same_in_every_unit(unit: str) -> None:
    area = area_of(COVER, 300.0, unit)

    assert area.area * SQUARE_METRES[unit] == pytest.approx(60)


@pytest.mark.parametrize(
    ("square_metres", "unit"),
    [(0, "m²"), (1e-9, "mm²"), (2e-6, "mm²"), (5e-4, "cm²"), (3, "m²"), (9_999, "m²"), (1e4, "ha"), (4e6, "km²")],
)
def test_the_unit_is_the_largest_that_is_reached(square_metres: float, unit: str) -> None:
    assert readable_unit(square_metres) == unit
    assert area_of(ClassCover(1, 1, 1, 1, 1, 1), square_metres or 1.0).unit == unit


@pytest.mark.parametrize(
    ("total", "unit"), [(0, "m²"), (-1, "m²"), (float("nan"), "m²"), (float("inf"), None), (1, "acre")]
)
def test_areas_that_are_none_are_refused(total: float, unit: str | None) -> None:
    with pytest.raises(InvalidSurvey):
        area_of(COVER, total, unit)
