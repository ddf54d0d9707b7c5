from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.masks.root_painter import read_root_painter
from fcnlab.storage.formats.reading.values import ReadOptions
from tests.support.label_bench import HW, class_names, filled, named_mask, readable, refusals, save_png


def test_red_is_foreground_green_background_and_the_rest_unknown(tmp_path: Path) -> None:
    painted = np.zeros((*HW, 4), np.uint8)
    painted[:6] = (0, 255, 0, 180)
    painted[4:9, 10:20] = (255, 0, 0, 180)
    painted[15:, :5] = (255, 255, 255, 0)
    save_png(tmp_path / "annotations" / "train" / "plot 1" / "a.png", painted)
    save_png(tmp_path / "annotations" / "val" / "b.png", painted)

    source = read_root_painter(tmp_path / "annotations", ReadOptions())

    assert class_names(source) == ["background", "foreground"]
    assert list(readable(source)) == ["plot 1/a", "b"]
    expected = filled((np.s_[:6], np.s_[:], "background"), (np.s_[4:9], np.s_[10:20], "foreground"), rest="")
    for image in readable(source).values():
        assert image.hw == HW
        assert np.array_equal(named_mask(source, image), expected)


def test_damaged_annotations_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")

    (said,) = refusals(read_root_painter(tmp_path, ReadOptions()))

    assert said.startswith("a: a.png is damaged")


def test_a_folder_without_annotations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="holds no annotations"):
        read_root_painter(tmp_path, ReadOptions())


def test_a_folder_per_class_makes_one_mask(tmp_path: Path) -> None:
    roots, soil = np.zeros((*HW, 4), np.uint8), np.zeros((*HW, 4), np.uint8)
    roots[:], soil[:10] = (0, 255, 0, 180), (0, 255, 0, 180)
    roots[3:6, 4:20], soil[5:8, 10:30] = (255, 0, 0, 180), (255, 0, 0, 180)
    save_png(tmp_path / "1_roots" / "annotations" / "train" / "a.png", roots)
    save_png(tmp_path / "2_soil" / "annotations" / "train" / "a.png", soil)

    source = read_root_painter(tmp_path, ReadOptions())

    assert class_names(source) == ["background", "1_roots", "2_soil"]
    expected = filled(
        (np.s_[:10], np.s_[:], "background"),
        (np.s_[3:6], np.s_[4:20], "1_roots"),
        (np.s_[5:8], np.s_[10:30], "2_soil"),
        rest="",
    )
    assert np.array_equal(named_mask(source, readable(source)["a"]), expected)
