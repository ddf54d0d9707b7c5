"""Masks in image files: their sizes without decoding, their values as they are stored, and the files in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import BmpImagePlugin, ImageFile, PngImagePlugin

from fcnlab.adapters.decoding import DAMAGE
from fcnlab.errors import ImportRefused

TIFF = (".tif", ".tiff")
SUFFIXES = (".png", *TIFF, ".bmp")
"""Endings of files that hold masks: JPEG is none of them, for it changes values."""

MASK_FOLDERS = frozenset({"masks", "mask", "labels", "annotations", "segmentationclass"})
PICTURE_FOLDERS = frozenset({"images", "jpegimages", "imgs"})
"""Where folders of both kinds lie in one, those of the second hold the pictures, not their masks."""

READERS: dict[str, type[ImageFile.ImageFile]] = {
    ".png": PngImagePlugin.PngImageFile,
    ".bmp": BmpImagePlugin.BmpImageFile,
}
"""By name, since Image.open refuses large images by a limit of the whole process."""

Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class MaskHeader:
    """What a file says before its pixels are decoded: size, and the colours of its palette when it has one."""

    hw: tuple[int, int]
    palette: tuple[Rgb, ...] = ()


def files_below(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Files of these endings in a folder and those in it, in the order of their names; hidden ones are passed over.

    Links that lead out of the folder are passed over too.
    """
    base = folder.resolve()
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.suffix.lower() not in suffixes or any(one.startswith(".") or one == "__MACOSX" for one in parts):
            continue
        if path.is_file() and path.resolve().is_relative_to(base):
            found.append(path)
    return found


def name_of(path: Path, folder: Path) -> str:
    """What the image of a label file is called: its path below the folder, without the ending."""
    return path.relative_to(folder).with_suffix("").as_posix()


def mask_header(path: Path) -> MaskHeader:
    """The size of a mask. Raises ImportRefused: no mask file, damaged, or a stack."""
    try:
        if path.suffix.lower() in TIFF:
            with tifffile.TiffFile(path) as file:
                page = _only_page(file, path)
                return MaskHeader((int(page.imagelength), int(page.imagewidth)))
        with READERS[path.suffix.lower()](path) as image:
            flat = image.getpalette("RGB") if image.mode == "P" else None
            colours = [] if flat is None else [tuple(flat[start : start + 3]) for start in range(0, len(flat), 3)]
            return MaskHeader((image.height, image.width), tuple((r, g, b) for r, g, b in colours))
    except DAMAGE as failure:
        raise _damaged(path, failure) from failure


def mask_values(path: Path) -> NDArray[Any]:
    """Stored values (H, W), of an integer type: palette places, not their colours.

    Raises:
        ImportRefused: damaged, in colour, or with values that are no whole numbers.
    """
    values = _pixels(path)
    if values.ndim == 3 and values.shape[2] in (2, 4):
        values = values[..., :-1]  # opacity says nothing of the class
    if values.ndim == 3 and (values == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim != 2:
        raise ImportRefused(f"{path.name} is in colour; read it as colour masks, with a table of colours")
    if values.dtype.kind not in "iub":
        raise ImportRefused(f"{path.name} holds {values.dtype} values, wanted whole numbers")
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def mask_colours(path: Path) -> NDArray[np.uint8]:
    """Colours and opacity (H, W, 4) uint8, of palette files too. Raises ImportRefused: damaged, or more than 8 bits."""
    if path.suffix.lower() not in TIFF:
        try:
            with READERS[path.suffix.lower()](path) as image:
                return np.array(image.convert("RGBA"), np.uint8)
        except DAMAGE as failure:
            raise _damaged(path, failure) from failure
    values = _pixels(path)
    if values.dtype != np.uint8:
        raise ImportRefused(f"{path.name} holds {values.dtype} values, wanted colours of 8 bits")
    if values.ndim == 2:
        values = np.repeat(values[..., None], 3, axis=2)
    if values.shape[2] == 3:
        values = np.concatenate([values, np.full_like(values[..., :1], 255)], axis=2)
    if values.shape[2] != 4:
        raise ImportRefused(f"{path.name} has {values.shape[2]} channels, wanted a colour")
    return values


def _pixels(path: Path) -> NDArray[Any]:
    try:
        if path.suffix.lower() in TIFF:
            with tifffile.TiffFile(path) as file:
                return np.asarray(_only_page(file, path).asarray())
        with READERS[path.suffix.lower()](path) as image:
            image.load()  # raises when the file ends early
            return np.array(image)
    except DAMAGE as failure:
        raise _damaged(path, failure) from failure


def _only_page(file: tifffile.TiffFile, path: Path) -> Any:
    if len(file.pages) != 1:
        raise ImportRefused(f"{path.name} is a stack of {len(file.pages)} pages; save one mask per file")
    return file.pages[0]


def _damaged(path: Path, failure: Exception) -> ImportRefused:
    cause = str(failure).partition("\n")[0] or type(failure).__name__
    return ImportRefused(f"{path.name} is damaged or no mask ({cause}); save it again as PNG")


def folder_of(path: Path) -> Path:
    """The folder itself, or the one a single mask lies in."""
    return path if path.is_dir() else path.parent


def masks_below(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """As `files_below`, without the pictures that lie in a folder of their own, such as `images` next to `masks`."""
    files = files_below(folder, suffixes)
    above = [{part.casefold() for part in file.relative_to(folder).parts[:-1]} for file in files]
    if not any(one & MASK_FOLDERS for one in above):
        return files
    return [file for file, one in zip(files, above, strict=True) if one & MASK_FOLDERS or not one & PICTURE_FOLDERS]


def masks_at(path: Path) -> list[Path]:
    """The masks in a folder, or the single file. Raises ImportRefused: there are none."""
    found = masks_below(path) if path.is_dir() else [path]
    if not found or found[0].suffix.lower() not in SUFFIXES:
        raise ImportRefused(f"{path.name} holds no masks: no file ends in {', '.join(SUFFIXES)}")
    return found
