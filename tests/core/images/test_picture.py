from __future__ import annotations

import numpy as np
import pytest

from fcnlab.core.images.intensity import measured_stretch, stretch_to_uint8, value_range
from fcnlab.core.images.picture import make_picture, repeat_picture, to_rgb8
from fcnlab.domain.images import Imaging, Recipe, Stretch
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

    monkeypatch.setattr("fcnlab.core.images.intensity.COUNTED_AT_ONCE", 100)

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


def float_image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(-3, 40, (*HW, 3)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int32, np.int8, np.uint32, np.float16])
def test_the_ends_of_any_kind_of_number_are_its_percentiles(dtype: type) -> None:
    values = np.random.default_rng(5).normal(-3, 40, (200, 301)).clip(-100, 120)
    image = (values + 100 if np.issubdtype(dtype, np.unsignedinteger) else values).astype(dtype)

    stretch = measured_stretch(image)

    low, high = np.percentile(image, [0.35, 99.65], method="inverted_cdf")
    assert (stretch.low, stretch.high) == (np.float32(low), np.float32(high))


def test_what_is_not_finite_does_not_count_and_is_shown_at_the_ends() -> None:
    image = float_image()[..., 0]
    clean = measured_stretch(image)
    image[0, :3] = np.nan, np.inf, -np.inf

    rgb, recipe = make_picture(image, wanted=Imaging())

    assert recipe.stretch is not None
    assert abs(recipe.stretch.low - clean.low) < 2
    assert rgb[0, :3, 0].tolist() == [0, 255, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_without_a_finite_value_is_refused(value: float) -> None:
    with pytest.raises(InvalidImage, match="finite"):
        make_picture(np.full(HW, value, np.float32), wanted=Imaging())


def test_a_range_that_the_file_states_is_taken_unless_it_would_clip() -> None:
    image = np.linspace(0, 1, HW[0] * HW[1], dtype=np.float32).reshape(HW)

    wide = make_picture(image, wanted=Imaging(), stated=Stretch(0, 2))[1]
    narrow = make_picture(image, wanted=Imaging(), stated=Stretch(0.2, 0.3))[1]

    assert wide.stretch == Stretch(0, 2)
    assert narrow.stretch == measured_stretch(image)
    assert value_range(image) == Stretch(0, 1)


@pytest.mark.parametrize(
    "wanted",
    [
        Imaging(),
        Imaging(channels=(3, 2, 1)),
        Imaging(channels=(5, 1, 2), limits=(Stretch(0, 4000), None, Stretch(-5, 5))),
        Imaging(channels=(2,), limits=(Stretch(0, 10),)),
        Imaging(limits=(None,)),
    ],
)
@pytest.mark.parametrize("shape", [HW, (*HW, 2), (*HW, 3), (*HW, 4), (*HW, 7)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_a_picture_can_be_made_again(wanted: Imaging, shape: tuple[int, ...], dtype: type) -> None:
    image = (np.random.default_rng(2).random(shape) * 250).astype(dtype)

    rgb, recipe = make_picture(image, wanted=wanted)

    assert (rgb.shape, rgb.dtype, rgb.flags.c_contiguous) == ((*HW, 3), np.uint8, True)
    assert np.array_equal(repeat_picture(image, recipe), rgb)
    if recipe.imaging is not None:
        assert Imaging.from_dict(recipe.imaging.to_dict()) == recipe.imaging
        assert None not in recipe.imaging.limits


def test_chosen_channels_become_red_green_and_blue_between_their_limits() -> None:
    image = np.zeros((*HW, 5), np.uint16)
    image[..., 4], image[..., 1], image[..., 0] = 4000, 50, 7

    rgb, recipe = make_picture(image, wanted=Imaging((5, 2, 1), (Stretch(0, 4000), Stretch(0, 100), Stretch(7, 8))))

    assert rgb[3, 4].tolist() == [255, 128, 0]
    assert recipe.stretch is None


def test_many_channels_are_shown_by_their_first_three_each_with_its_own_contrast() -> None:
    image = np.random.default_rng(1).integers(0, 1000, (*HW, 6), dtype=np.uint16) * np.uint16([1, 10, 60, 1, 1, 1])

    rgb, recipe = make_picture(image, wanted=Imaging())

    assert recipe.imaging is not None
    assert recipe.imaging.channels == (1, 2, 3)
    assert rgb.reshape(-1, 3).max(axis=0).tolist() == [255, 255, 255]


def test_8_bit_colour_only_changes_its_order_unless_limits_are_given() -> None:
    image = random_image((*HW, 3), np.uint8)

    assert np.array_equal(make_picture(image, wanted=Imaging((3, 1, 1)))[0], image[..., [2, 0, 0]])
    assert make_picture(image, wanted=Imaging((3, 1, 1)))[1] == Recipe(imaging=Imaging((3, 1, 1)))
    assert (make_picture(image, wanted=Imaging(limits=(Stretch(0, 1),)))[0] == 255 * (image > 0)).all()


def test_an_image_that_lacks_a_channel_is_shown_by_its_first_ones() -> None:
    image = random_image((*HW, 3), np.uint16)

    _, recipe = make_picture(image, wanted=Imaging((8, 7, 6)))

    assert recipe.imaging is not None
    assert recipe.imaging.channels == (1, 2, 3)


def test_a_channel_of_one_value_is_black() -> None:
    assert not make_picture(np.full((*HW, 6), 9, np.float32), wanted=Imaging())[0].any()
