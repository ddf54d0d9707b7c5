"""Reading DICOM files: values after rescaling, the window to show, the size of a pixel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.adapters.decoding import DAMAGE, Header, as_numbers
from fcnlab.errors import ImportRefused, InvalidSetting
from fcnlab.imaging import PixelSize, Stretch

if TYPE_CHECKING:
    from pydicom import Dataset

MAGIC = b"DICM"
MAGIC_AT = 128


def dicom_header(path: Path, *, name: str) -> Header:
    """What the file says about its frames, without decoding them.

    Raises:
        ImportRefused: it holds no image.
        ValueError, AttributeError or another of the decoders' errors: it is damaged.
    """
    with _own_damage():
        return _header(_notes(path), name=name)


def _header(notes: Dataset, *, name: str) -> Header:
    if "Rows" not in notes or "Columns" not in notes:
        raise ImportRefused(f"{name} is a DICOM file without an image; import the image files of its series")
    channels = 3 if notes.get("PhotometricInterpretation") == "PALETTE COLOR" else int(notes.SamplesPerPixel)
    slope, intercept = _rescale(notes, 0)
    dtype = _dtype(notes, slope, intercept)
    window = _window(notes, slope, intercept) if channels == 1 else None
    return Header(
        "dcm",
        (int(notes.Rows), int(notes.Columns)),
        dtype,
        channels,
        count=max(1, int(notes.get("NumberOfFrames") or 1)),
        pixel_size=_pixel_size(notes),
        stated=window,
        is_window=window is not None,
    )


def dicom_pixels(path: Path, header: Header, *, place: int, name: str) -> NDArray[Any]:
    """The pixels (H, W) or (H, W, 3) of one frame: rescaled, and light where MONOCHROME1 means dark by large values.

    Raises:
        ImportRefused: no installed decoder knows its compression.
        ValueError or another of the decoders' errors: the file is damaged.
    """
    with _own_damage():
        return _pixels(path, header, place=place, name=name)


def _pixels(path: Path, header: Header, *, place: int, name: str) -> NDArray[Any]:
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    notes = _notes(path)
    syntax = notes.file_meta.TransferSyntaxUID
    if syntax.is_compressed and not get_decoder(syntax).is_available:
        raise ImportRefused(
            f"{name} is compressed as {syntax.name}, which is not understood here; save it uncompressed"
        )
    pixels = pixel_array(path, index=place)
    if notes.get("PhotometricInterpretation") == "PALETTE COLOR":
        return as_numbers(apply_color_lut(pixels, notes))
    if pixels.ndim == 3:
        return as_numbers(pixels)
    slope, intercept = _rescale(notes, place)
    values = pixels.astype(header.dtype)
    if (slope, intercept) != (1, 0):
        values = (values * header.dtype.type(slope) + header.dtype.type(intercept)).astype(header.dtype)
    if notes.get("PhotometricInterpretation") == "MONOCHROME1":
        values = (header.dtype.type(_mirror(notes, slope, intercept)) - values).astype(header.dtype)
    return as_numbers(values)


@contextmanager
def _own_damage() -> Iterator[None]:
    """What pydicom alone raises, as the errors that all decoders raise."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    try:
        yield
    except (BytesLengthException, InvalidDicomError) as failure:
        raise ValueError(str(failure)) from failure


def _notes(path: Path) -> Dataset:
    import pydicom

    return pydicom.dcmread(path, stop_before_pixels=True)


def _found(notes: Dataset, group: str, key: str, place: int) -> Any:
    """A value of the file, or of one frame, where enhanced DICOM keeps it; None when it is nowhere."""
    if notes.get(key) is not None:
        return notes.get(key)
    shared = list(notes.get("SharedFunctionalGroupsSequence") or [])[:1]
    own = list(notes.get("PerFrameFunctionalGroupsSequence") or [])[place : place + 1]
    for functional in (*own, *shared):
        for one in functional.get(group) or []:
            if one.get(key) is not None:
                return one.get(key)
    return None


def _rescale(notes: Dataset, place: int) -> tuple[float, float]:
    slope = _found(notes, "PixelValueTransformationSequence", "RescaleSlope", place)
    intercept = _found(notes, "PixelValueTransformationSequence", "RescaleIntercept", place)
    return float(1 if slope is None else slope), float(0 if intercept is None else intercept)


def _dtype(notes: Dataset, slope: float, intercept: float) -> np.dtype[Any]:
    bits, kind = int(notes.BitsAllocated), "i" if notes.get("PixelRepresentation") == 1 else "u"
    if (slope, intercept) == (1, 0):
        return np.dtype(f"{kind}{max(1, bits // 8)}")
    return np.dtype(np.int32 if slope.is_integer() and intercept.is_integer() else np.float32)


def _mirror(notes: Dataset, slope: float, intercept: float) -> float:
    """The sum of the smallest and the largest value that pixels may have."""
    bits = int(notes.BitsStored)
    low, high = (
        (-(1 << bits - 1), (1 << bits - 1) - 1) if notes.get("PixelRepresentation") == 1 else (0, (1 << bits) - 1)
    )
    return slope * (low + high) + 2 * intercept


def _window(notes: Dataset, slope: float, intercept: float) -> Stretch | None:
    """The first window of the file, as values that become 0 and 255 (PS3.3, C.11.2.1.2)."""
    try:
        centre, width = (
            _first(_found(notes, "FrameVOILUTSequence", key, 0)) for key in ("WindowCenter", "WindowWidth")
        )
        if centre is None or width is None or not width > 1:
            return None
        low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
        if notes.get("PhotometricInterpretation") == "MONOCHROME1":
            mirror = _mirror(notes, slope, intercept)
            low, high = mirror - high, mirror - low
        return Stretch(low, high) if np.isfinite([low, high]).all() else None
    except DAMAGE:  # a picture is worth more than its notes
        return None


def _first(value: Any) -> float | None:
    if value is None:
        return None
    return float(value[0] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)


def _pixel_size(notes: Dataset) -> PixelSize | None:
    try:
        spacing = _found(notes, "PixelMeasuresSequence", "PixelSpacing", 0) or notes.get("ImagerPixelSpacing")
        return None if not spacing else PixelSize(width=float(spacing[1]), height=float(spacing[0]), unit="mm")
    except (*DAMAGE, InvalidSetting):  # as above
        return None
