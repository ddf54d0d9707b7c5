"""The tile pyramid of a large picture: a browser is sent what is on the screen, at the resolution of the screen.

Level z holds the picture 2^z times smaller, cut into tiles of TILE_PX pixels, as `<picture>.tiles/<z>/<x>_<y>.jpg`. The
coarsest level is still finer than the overview, which is what `filestore.write_previews` writes for such a picture.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.errors import storage_explained
from fcnlab.storage.files.presence import new_part
from fcnlab.storage.files.whole_files import flush_together

TILE_PX = 512
OVERVIEW_SIDE = 2048
WHOLE_PIXELS = 16_000_000
WHOLE_SIDE = 8192
"""Pictures with more pixels, or a longer side, are shown in tiles."""

QUALITY = 93


def is_in_tiles(hw: tuple[int, int]) -> bool:
    """Whether a picture of that size is shown in tiles."""
    return hw[0] * hw[1] > WHOLE_PIXELS or max(hw) > WHOLE_SIDE


def n_levels(hw: tuple[int, int]) -> int:
    """Number of levels, 0 for a picture that is shown whole."""
    levels = 0
    while is_in_tiles(hw) and max(hw) / 2**levels > OVERVIEW_SIDE:
        levels += 1
    return levels


def overview(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) at most OVERVIEW_SIDE long, to show below its tiles."""
    factor = OVERVIEW_SIDE / max(rgb.shape[:2])
    height, width = (max(1, round(side * factor)) for side in rgb.shape[:2])
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def tiles_folder(shown: Path, *, picture_id: str) -> Path:
    """Where the tiles of a picture lie, all of them or none."""
    return shown / f"{picture_id}.tiles"


def tile_path(shown: Path, *, picture_id: str, level: int, x: int, y: int) -> Path:
    """Where a tile lies."""
    return tiles_folder(shown, picture_id=picture_id) / str(level) / f"{x}_{y}.jpg"


def write_pyramid(rgb: NDArray[np.uint8], *, shown: Path, picture_id: str) -> None:
    """Write all tiles of a picture (H, W, 3) uint8, unless they are there; beside it a quarter of it is held."""
    final = tiles_folder(shown, picture_id=picture_id)
    if final.is_dir():
        return
    part = new_part(shown, stem=picture_id)
    with storage_explained(final):
        try:
            level = rgb
            for level_index in range(n_levels((rgb.shape[0], rgb.shape[1]))):
                if level_index:
                    level = _halved(level)
                _write_level(level, part / str(level_index))
            flush_together(sorted(part.rglob("*.jpg")))
            try:
                part.rename(final)
            except OSError:
                if not final.is_dir():  # else somebody else was quicker
                    raise
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _write_level(level: NDArray[np.uint8], folder: Path) -> None:
    folder.mkdir(parents=True)
    height, width = level.shape[:2]
    for y, top in enumerate(range(0, height, TILE_PX)):
        for x, left in enumerate(range(0, width, TILE_PX)):
            bgr = cv2.cvtColor(level[top : top + TILE_PX, left : left + TILE_PX], cv2.COLOR_RGB2BGR)
            options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
            (folder / f"{x}_{y}.jpg").write_bytes(cv2.imencode(".jpg", bgr, options)[1].tobytes())


def _halved(level: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Means of 2 x 2 pixels; a last odd row or column counts twice."""
    height, width = level.shape[:2]
    result = np.empty(((height + 1) // 2, (width + 1) // 2, 3), np.uint8)
    for top in range(0, height, 2 * TILE_PX):
        strip = level[top : top + 2 * TILE_PX]
        strip = np.pad(strip, ((0, strip.shape[0] % 2), (0, width % 2), (0, 0)), mode="edge")
        size = (result.shape[1], strip.shape[0] // 2)
        result[top // 2 : top // 2 + size[1]] = cv2.resize(strip, size, interpolation=cv2.INTER_AREA)
    return result
