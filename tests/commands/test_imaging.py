"""Settings of how pictures are made."""

from __future__ import annotations

import pytest

from fcnlab.domain.images import Imaging, PixelSize, Stretch
from fcnlab.errors import InvalidSetting


@pytest.mark.parametrize(
    ("channels", "limits"),
    [
        ((1, 2), ()),
        ((0,), ()),
        ((1, 2, 3, 4), ()),
        ((), (Stretch(1, 1),)),
        ((), (Stretch(2, 1),)),
        ((), (Stretch(0, float("inf")),)),
        ((), (None, None)),
        ((2,), (None, None, None)),
    ],
)
def test_settings_that_make_no_sense_are_refused(channels: tuple[int, ...], limits: tuple[Stretch | None, ...]) -> None:
    with pytest.raises(InvalidSetting):
        Imaging(channels, limits)


def test_settings_survive_the_database_and_name_themselves() -> None:
    one = Imaging((3, 2, 1), (Stretch(0, 4000), None, Stretch(-1.5, 2)))

    assert Imaging.from_dict(one.to_dict()) == one
    assert len({one.digest, Imaging().digest, Imaging((3, 2, 1)).digest}) == 3


@pytest.mark.parametrize("width", [0, -1, float("nan")])
def test_a_pixel_without_a_size_is_refused(width: float) -> None:
    with pytest.raises(InvalidSetting):
        PixelSize(width, 1, "mm")

    assert PixelSize.from_dict(PixelSize(2, 1, "mm").turned().to_dict()) == PixelSize(1, 2, "mm")
