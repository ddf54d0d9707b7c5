from __future__ import annotations

import numpy as np
import pytest

from fcnlab.core.picture import measured_stretch, stretch_to_uint8, to_rgb8
from fcnlab.domain import Stretch
from fcnlab.errors import InvalidImage

HW = (23, 31)


def random_image(shape: tuple[int, ...], dtype: type, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def test_8_bit_colour_stays_as_it_is_and_is_not_shared() -> None:
    image = random_image((*HW, 3), np.uint8)

    rgb, stretch = to_rgb8(image)

    assert stretch is None
    assert np.array_equal(rgb, image)
    assert not np.shares_memory(rgb, image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_is_dropped(dtype: type) -> None:
    image = random_image((*HW, 4), dtype)

    assert np.array_equal(to_rgb8(image)[0], to_rgb8(image[..., :3])[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [HW, (*HW, 1), (*HW, 3), (*HW, 4), (1, 1), (1, 9, 3)])
def test_every_picture_is_8_bit_rgb_of_the_same_size(shape: tuple[int, ...], dtype: type) -> None:
    rgb, _ = to_rgb8(random_image(shape, dtype))

    assert (rgb.shape, rgb.dtype) == ((*shape[:2], 3), np.uint8)
    assert rgb.flags.c_contiguous


@pytest.mark.parametrize(("shape", "dtype"), [(HW, np.uint8), (HW, np.uint16), ((*HW, 3), np.uint16)])
def test_the_recorded_stretch_makes_the_same_picture_again(shape: tuple[int, ...], dtype: type) -> None:
    image = random_image(shape, dtype)
    rgb, stretch = to_rgb8(image)

    again, same = to_rgb8(image, stretch=stretch)

    assert stretch is not None
    assert stretch == same
    assert np.array_equal(rgb, again)


def test_the_ends_are_the_percentiles_0_35_and_99_65() -> None:
    image = random_image((200, 301), np.uint16, seed=3)

    stretch = measured_stretch(image)

    low, high = np.percentile(image, [0.35, 99.65], method="inverted_cdf")
    assert (stretch.low, stretch.high) == (low, high)


def test_a_histogram_in_parts_is_the_histogram(monkeypatch: pytest.MonkeyPatch) -> None:
    image = random_image((50, 31, 3), np.uint16)
    whole = measured_stretch(image)

    monkeypatch.setattr("fcnlab.core.picture.COUNTED_AT_ONCE", 100)

    assert measured_stretch(image) == whole


def test_the_low_end_becomes_black_the_high_end_white_and_order_is_kept() -> None:
    values = np.arange(0, 65536, dtype=np.uint16).reshape(256, 256)

    stretched = stretch_to_uint8(values, stretch=Stretch(1000, 3000)).ravel()

    assert (stretched[1000], stretched[2000], stretched[3000]) == (0, 128, 255)
    assert (np.diff(stretched.astype(int)) >= 0).all()


def test_all_channels_are_stretched_alike() -> None:
    image = np.zeros((*HW, 3), np.uint16)
    image[..., 0], image[0, :, 1] = 100, 1000

    rgb, stretch = to_rgb8(image)

    assert stretch == Stretch(0, 1000)
    assert rgb[5, 5].tolist() == [26, 0, 0]


def test_a_few_bright_pixels_on_black_stay_visible() -> None:
    image = np.zeros((100, 120), np.uint16)
    image[3, 4] = 500

    rgb, _ = to_rgb8(image)

    assert rgb[3, 4].tolist() == [255, 255, 255]


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_an_image_of_one_value_is_black(value: int) -> None:
    rgb, _ = to_rgb8(np.full(HW, value, np.uint16))

    assert not rgb.any()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(HW, np.float32),
        np.full(HW, np.nan),
        np.zeros(HW, np.int16),
        np.zeros(HW, bool),
        np.zeros((*HW, 2), np.uint8),
        np.zeros((*HW, 7), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5, 0), np.uint16),
        np.zeros(9, np.uint8),
        np.zeros((2, 3, 4, 3), np.uint8),
    ],
)
def test_what_is_no_image_is_refused(array: np.ndarray) -> None:
    with pytest.raises(InvalidImage):
        to_rgb8(array)
