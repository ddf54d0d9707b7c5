from __future__ import annotations

import numpy as np
import pytest

from fcnlab.core.tagging.from_labels import implied, present_in


def test_what_is_labelled_is_there_and_the_rest_is_unknown() -> None:
    assert implied({7, 2}, False, (2, 5, 7)).tolist() == [1, -1, 1]


def test_what_is_not_labelled_is_absent_only_where_every_pixel_is() -> None:
    assert implied({7, 2}, True, (2, 5, 7)).tolist() == [1, 0, 1]


def test_unknown_pixels_are_no_class() -> None:
    assert implied({255}, False, (0, 255)).tolist() == [-1, -1]


@pytest.mark.parametrize("unknown", [0, 1])
def test_a_mask_with_an_unknown_pixel_says_nothing_of_what_is_absent(unknown: int) -> None:
    mask = np.full((3, 5), 4, np.uint8)
    mask[0, :unknown] = 255

    answers = implied(*present_in(mask), (4, 6))

    assert answers.dtype == np.int8
    assert answers.tolist() == [1, -unknown]


def test_images_say_what_their_own_labels_say() -> None:
    images = zip([{1}, set(), {2, 3}], [True, False, False], strict=True)

    assert [implied(present, is_whole, (1, 2, 3)).tolist() for present, is_whole in images] == [
        [1, 0, 0],
        [-1, -1, -1],
        [-1, 1, 1],
    ]
