from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fcnlab.storage.files import pyramid
from fcnlab.storage.files.filestore import find_shown, forget_picture, open_folders, write_previews
from fcnlab.storage.files.pyramid import n_levels, tile_path, tiles_folder, write_pyramid


@pytest.fixture
def rgb(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """(211, 397, 3): large by the rules of these tests."""
    monkeypatch.setattr(pyramid, "TILE_PX", 64)
    monkeypatch.setattr(pyramid, "OVERVIEW_SIDE", 100)
    monkeypatch.setattr(pyramid, "WHOLE_PIXELS", 20_000)
    rows, cols = np.mgrid[:211, :397]
    return np.stack([rows, cols / 2, 255 - rows], axis=2).astype(np.uint8)


def put_together(folder: Path, hw: tuple[int, int]) -> np.ndarray:
    result = np.zeros((*hw, 3), np.uint8)
    for path in folder.iterdir():
        x, y = (int(part) for part in path.stem.split("_"))
        tile = np.array(Image.open(path))
        result[y * 64 : y * 64 + tile.shape[0], x * 64 : x * 64 + tile.shape[1]] = tile
    return result


def test_the_tiles_of_every_level_make_up_the_picture(rgb: np.ndarray, tmp_path: Path) -> None:
    write_pyramid(rgb, shown=tmp_path, picture_id="abc")

    assert n_levels((211, 397)) == 2
    folder = tiles_folder(tmp_path, picture_id="abc")
    assert sorted(path.name for path in folder.iterdir()) == ["0", "1"]
    finest, coarse = put_together(folder / "0", (211, 397)), put_together(folder / "1", (106, 199))
    halved = cv2.resize(np.pad(rgb, ((0, 1), (0, 1), (0, 0)), mode="edge"), (199, 106), interpolation=cv2.INTER_AREA)
    assert np.abs(finest.astype(int) - rgb).max() <= 8
    assert np.abs(coarse.astype(int) - halved).max() <= 8
    assert tile_path(tmp_path, picture_id="abc", level=0, x=6, y=3).is_file()


def test_a_pyramid_that_could_not_be_written_leaves_nothing(
    rgb: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(level: np.ndarray) -> np.ndarray:
        raise OSError("no space left")

    monkeypatch.setattr(pyramid, "_halved", fails)

    with pytest.raises(OSError, match="no space"):
        write_pyramid(rgb, shown=tmp_path, picture_id="abc")

    assert list(tmp_path.iterdir()) == []


def test_a_large_picture_is_shown_as_overview_and_tiles_and_both_are_forgotten(rgb: np.ndarray, tmp_path: Path) -> None:
    folders = open_folders(tmp_path)

    write_previews(rgb, folders=folders, picture_id="abc", lossless=True)

    overview = find_shown(folders, picture_id="abc")
    assert overview is not None
    assert Image.open(overview).size == (100, 53)
    assert tiles_folder(folders.shown, picture_id="abc").is_dir()
    forget_picture(folders, picture_id="abc")
    assert list(folders.shown.iterdir()) == []


def test_a_picture_of_ordinary_size_is_shown_whole(tmp_path: Path) -> None:
    folders = open_folders(tmp_path)

    write_previews(np.zeros((30, 50, 3), np.uint8), folders=folders, picture_id="abc", lossless=True)

    assert n_levels((30, 50)) == 0
    assert [path.name for path in folders.shown.iterdir()] == ["abc.png"]
