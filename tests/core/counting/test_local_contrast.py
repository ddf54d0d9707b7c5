"""Local contrast that does not depend on which of things and background is bright. No array is square."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fcnlab.core.counting.instant import near_stages, things_bright, with_local_contrast
from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.core.encoding.stages import sample_stages

HEIGHT, WIDTH = 70, 110


def discs(thing: float, behind: float) -> NDArray[np.float32]:
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    picture = np.full((HEIGHT, WIDTH), behind, np.float32)
    for row, col in ((20, 20), (40, 60), (50, 95)):
        picture[np.hypot(rows - row, cols - col) < 9] = thing
    return picture


def test_things_are_bright_whether_they_are_light_on_dark_or_dark_on_light() -> None:
    light, dark = things_bright(discs(80, 20)), things_bright(discs(20, 80))

    np.testing.assert_allclose(light, dark, atol=0.02)
    assert light[40, 60] > 0.5 > light[5, 5]


@pytest.mark.parametrize("lightness", [np.zeros((9, 14), np.float32), np.full((1, 1), 50, np.float32)])
def test_a_picture_of_one_colour_has_no_things(lightness: NDArray[np.float32]) -> None:
    assert (things_bright(lightness) == 0).all()


def test_maps_of_contrast_follow_those_of_the_encoder_and_say_the_same_of_both_kinds(encoder: StageEncoder) -> None:
    found = []
    for lightness in (discs(80, 20), discs(20, 80)):
        rgb = np.repeat((lightness * 2.55).astype(np.uint8)[..., None], 3, axis=2)
        usual = near_stages(encoder.encode(rgb, scales=(1.0, 0.5), position=True))
        stages = with_local_contrast(usual, lightness)
        assert stages.infos[: len(usual.infos)] == usual.infos
        at = torch.tensor([20.0, 45.0]), torch.tensor([20.0, 30.0])
        found.append(sample_stages(stages, *at)[:, usual.width :].numpy())

    np.testing.assert_allclose(found[0], found[1], atol=0.1)
    assert np.abs(found[0][0] - found[0][1]).max() > 0.5
