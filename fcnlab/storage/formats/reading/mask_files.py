"""Masks in image files: their sizes without decoding, their values as they are stored, and the files in a folder."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import BmpImagePlugin, ImageFile, PngImagePlugin

from fcnlab.errors import ImportRefused
from fcnlab.storage.image_readers.decoding import DAMAGE

TIFF = (".tif", ".tiff")
SUFFIXES = (".png", *TIFF, ".bmp")
"""Endings of files that hold masks: JPEG is none of them, for it changes values."""

MASK_FOLDERS = frozenset({"masks", "mask", "labels", "annotations", "segmentationclass", "segmentationclasspng"})
PICTURE_FOLDERS = frozenset({"images", "jpegimages", "imgs"})
"""Where folders of both kinds lie in one, those of the second hold the pictures, not their masks."""

READERS: dict[str, type[ImageFile.ImageFile]] = {
    ".png": PngImagePlugin.PngImageFile,
    ".bmp": BmpImagePlugin.BmpImageFile,
}
"""By name, since Image.open refuses large images by a limit of the whole process."""

REDUCED, MASKING = 1, 4
"""Of a page's NewSubfileType: a smaller version of another page; which pixels of another page say something."""

NODATA_TAG = 42113
"""GDAL's: the value of pixels that say nothing."""

PNG_HEAD = 26
"""Bytes of a PNG up to its bits per value and its kind of colour."""

SCALES = {1: 1, 2: 85, 4: 17, 8: 1}
"""By what Pillow multiplies grey values of so many bits, so that the largest is 255."""

MASK_ENDINGS = (
    *("_gtfine_labelids", "_gtfine_labeltrainids", "_gtcoarse_labelids", "_labelids", "_labeltrainids"),
    *("_segmentation", "_annotations", "_annotation", "_groundtruth", "_masks", "_mask", "_labels", "_label"),
    *("_seg", "_gt", "-masks", "-mask", "-labels", "-label", "-seg", "-gt", ".mask"),
)
"""How names of masks end, before the ending of the file, where their images are called alike but for that."""

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
    files = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.suffix.lower() not in suffixes or any(part.startswith(".") or part == "__MACOSX" for part in parts):
            continue
        if path.is_file() and path.resolve().is_relative_to(base):
            files.append(path)
    return files


def name_of(path: Path, folder: Path) -> str:
    """What the image of a label file is called: its path below the folder, without the ending."""
    return path.relative_to(folder).with_suffix("").as_posix()


def mask_header(path: Path) -> MaskHeader:
    """The size of a mask. Raises ImportRefused: no mask file, damaged, or a stack."""
    try:
        if path.suffix.lower() in TIFF:
            with tifffile.TiffFile(path) as file:
                page, _ = _only_page(file, path)
                return MaskHeader((int(page.imagelength), int(page.imagewidth)))
        with READERS[path.suffix.lower()](path) as image:
            flat = image.getpalette("RGB") if image.mode == "P" else None
            colours = [] if flat is None else [tuple(flat[start : start + 3]) for start in range(0, len(flat), 3)]
            return MaskHeader((image.height, image.width), tuple((r, g, b) for r, g, b in colours))
    except DAMAGE as failure:
        raise _damaged(path, failure) from failure


def mask_values(path: Path) -> NDArray[Any]:
    """Stored values (H, W), of an integer type: palette indices, not their colours.

    Raises:
        ImportRefused: damaged, in colour, in opacity, or with values that are no whole numbers.
    """
    values = _pixels(path)
    if values.ndim == 3 and values.shape[2] in (2, 4):
        values, opacity = values[..., :-1], values[..., -1]
        if (values == values[0, 0]).all() and opacity.min() != opacity.max():
            raise ImportRefused(f"{path.name} is drawn in opacity alone; save it with a value for every class")
    if values.ndim == 3 and (values == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim != 2:
        raise ImportRefused(f"{path.name} is in colour; read it as colour masks, with a table of colours")
    if values.dtype.kind not in "iub":
        raise ImportRefused(f"{path.name} holds {values.dtype} values, wanted whole numbers")
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def mask_nothing(path: Path, values: NDArray[Any], *, named: Collection[int] = ()) -> NDArray[np.bool_]:
    """Pixels (H, W) bool about which the file itself says that nothing is there: a TIFF's nodata value or mask page.

    Args:
        path: the file.
        values: its `mask_values`.
        named: values that a table names: these are classes, whatever the file says.

    Raises:
        ImportRefused: damaged.
    """
    nothing = np.zeros(values.shape, bool)
    if path.suffix.lower() not in TIFF:
        return nothing
    try:
        with tifffile.TiffFile(path) as file:
            page, mask_page = _only_page(file, path)
            tag = page.tags.get(NODATA_TAG)
            written = "" if tag is None else str(tag.value).strip(" \0")
            if re.fullmatch(r"-?\d+(\.0*)?", written) and int(float(written)) not in named:
                nothing |= values == int(float(written))
            if mask_page is not None:
                nothing |= np.asarray(mask_page.asarray()).reshape(values.shape) == 0
    except DAMAGE as failure:
        raise _damaged(path, failure) from failure
    return nothing


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
                return np.asarray(_only_page(file, path)[0].asarray())
        with READERS[path.suffix.lower()](path) as image:
            image.load()  # raises when the file ends early
            values = np.array(image)
            return values // SCALES[_bits_of_grey(path)] if image.mode == "L" else values
    except DAMAGE as failure:
        raise _damaged(path, failure) from failure


def _bits_of_grey(path: Path) -> int:
    """How many bits a grey value of a PNG has; 8 where that does not matter."""
    with path.open("rb") as file:
        head = file.read(PNG_HEAD)
    is_grey = head[:8] == b"\x89PNG\r\n\x1a\n" and head[-1] == 0
    return head[-2] if is_grey and head[-2] in SCALES else 8


def _only_page(file: tifffile.TiffFile, path: Path) -> tuple[Any, Any]:
    """The page at full size, and the one that masks it, if there is one: overviews are smaller versions of these."""
    kinds = [int(getattr(page, "subfiletype", 0) or 0) for page in file.pages]
    whole = [page for page, kind in zip(file.pages, kinds, strict=True) if not kind & (REDUCED | MASKING)]
    if len(whole) != 1:
        raise ImportRefused(f"{path.name} is a stack of {len(whole)} pages; save one mask per file")
    masking = [page for page, kind in zip(file.pages, kinds, strict=True) if kind & MASKING and not kind & REDUCED]
    return whole[0], masking[0] if masking else None


def _damaged(path: Path, failure: Exception) -> ImportRefused:
    cause = str(failure).partition("\n")[0] or type(failure).__name__
    return ImportRefused(f"{path.name} is damaged or no mask ({cause}); save it again as PNG")


def folder_of(path: Path) -> Path:
    """The folder itself, or the one a single mask lies in."""
    return path if path.is_dir() else path.parent


def masks_below(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """As `files_below`, without the pictures that lie in a folder of their own, such as `images` next to `masks`, and
    without those beside whose `a.png` an `a_mask.png` lies.
    """
    files = _without_pictures(files_below(folder, suffixes))
    above = [{part.casefold() for part in file.relative_to(folder).parts[:-1]} for file in files]
    if not any(folder_names & MASK_FOLDERS for folder_names in above):
        return files
    return [
        file
        for file, folder_names in zip(files, above, strict=True)
        if folder_names & MASK_FOLDERS or not folder_names & PICTURE_FOLDERS
    ]


def without_mask_ending(stem: str) -> str:
    """What the image of a mask is called, both without the endings of their files.

    >>> without_mask_ending("field_Mask")
    'field'
    """
    ending = next((suffix for suffix in MASK_ENDINGS if stem.lower().endswith(suffix) and len(stem) > len(suffix)), "")
    return stem[: len(stem) - len(ending)]


def _without_pictures(files: list[Path]) -> list[Path]:
    """Files without those that another one in their folder is the mask of, by its name."""
    pictures = {(file.parent, base.lower()) for file in files if (base := without_mask_ending(file.stem)) != file.stem}
    return [file for file in files if (file.parent, file.stem.lower()) not in pictures]


def masks_at(path: Path) -> list[Path]:
    """The masks in a folder, or the single file. Raises ImportRefused: there are none."""
    masks = masks_below(path) if path.is_dir() else [path]
    if not masks or masks[0].suffix.lower() not in SUFFIXES:
        raise ImportRefused(f"{path.name} holds no masks: no file ends in {', '.join(SUFFIXES)}")
    return masks
