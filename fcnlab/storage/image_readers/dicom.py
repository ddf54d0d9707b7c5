"""Reading DICOM files: values after rescaling, the window to show, the size of a pixel."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcnlab.domain.images import PixelSize, Stretch
from fcnlab.errors import ImportRefused, InvalidSetting
from fcnlab.storage.image_readers.decoding import DAMAGE, Header, as_numbers, refuse_count

if TYPE_CHECKING:
    from pydicom import Dataset

MAGIC = b"DICM"
MAGIC_AT = 128


UNKNOWN_LENGTH = 0xFFFFFFFF
NO_RESCALE = (1.0, 0.0)
REAL: dict[int, np.dtype[Any]] = {8: np.dtype(np.float32), 9: np.dtype(np.float64)}
"""Kinds of values by the number of the element that holds them, in the group of pixels."""


@dataclass(frozen=True, slots=True)
class OpenDicom:
    """The notes of a file, with what they say of all its frames.

    Attributes:
        path: the file.
        notes: everything but its pixels.
        count: frames; the file has room for them.
        dtype: of the values of every frame, after rescaling.
        start: of the content of its pixels.
    """

    path: Path
    notes: Dataset
    count: int
    dtype: np.dtype[Any]
    start: int


def open_dicom(path: Path, *, name: str) -> OpenDicom:
    """Read what the file says about its frames, without decoding them.

    Raises:
        ImportRefused: it holds no image, or is compressed as a whole.
        ValueError, AttributeError or another of the decoders' errors: it is damaged, or counts frames it does not have.
    """
    import pydicom
    from pydicom.filereader import read_file_meta_info

    with _own_damage():
        syntax = read_file_meta_info(path).TransferSyntaxUID
        if syntax.is_deflated:  # pydicom would unpack it without a limit
            raise ImportRefused(f"{name} is compressed as a whole; save it with its pixels compressed, or nothing")
        with path.open("rb") as file:
            notes = pydicom.dcmread(file, stop_before_pixels=True)
            if "Rows" not in notes or "Columns" not in notes:
                raise ImportRefused(f"{name} is a DICOM file without an image; import the image files of its series")
            count = max(1, int(notes.get("NumberOfFrames") or 1))
            refuse_count(count, name=name)
            element, length = _pixel_element(file, is_little=syntax.is_little_endian, is_implicit=syntax.is_implicit_VR)
            start = file.tell()
            room = _room(file, notes, length)
        if count > 1 and count > room:
            raise ValueError(f"it speaks of {count} frames and has room for {room}")
        return OpenDicom(path, notes, count, _dtype(notes, count, REAL.get(element)), start)


def dicom_header(opened: OpenDicom, *, index: int) -> Header:
    """What the file says about one of its frames.

    Raises:
        ValueError, AttributeError or another of the decoders' errors: it is damaged.
    """
    notes = opened.notes
    with _own_damage():
        channels = 3 if notes.get("PhotometricInterpretation") == "PALETTE COLOR" else int(notes.SamplesPerPixel)
        window = _window(notes, index) if channels == 1 else None
        return Header(
            "dcm",
            (int(notes.Rows), int(notes.Columns)),
            opened.dtype,
            channels,
            count=opened.count,
            pixel_size=_pixel_size(notes, index),
            stated=window,
            is_window=window is not None,
        )


def dicom_pixels(opened: OpenDicom, *, index: int, name: str) -> NDArray[Any]:
    """The pixels (H, W) or (H, W, 3) of one frame: rescaled, and light where MONOCHROME1 means dark by large values.

    Raises:
        ImportRefused: no installed decoder knows its compression.
        ValueError or another of the decoders' errors: the file is damaged.
    """
    with _own_damage():
        return _pixels(opened, index=index, name=name)


def _pixels(opened: OpenDicom, *, index: int, name: str) -> NDArray[Any]:
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import RLELossless

    notes, dtype = opened.notes, opened.dtype
    syntax = notes.file_meta.TransferSyntaxUID
    if syntax.is_compressed and not get_decoder(syntax).is_available:
        raise ImportRefused(
            f"{name} is compressed as {syntax.name}, which is not understood here; save it uncompressed"
        )
    if syntax.is_compressed and syntax != RLELossless:
        _check_expansion(opened, index)
    pixels = pixel_array(opened.path, index=index)
    if notes.get("PhotometricInterpretation") == "PALETTE COLOR":
        return as_numbers(apply_color_lut(pixels, notes))
    if pixels.ndim == 3:
        return as_numbers(pixels)
    slope, intercept = _rescale(notes, index)
    is_dark = notes.get("PhotometricInterpretation") == "MONOCHROME1"
    if (slope, intercept) == NO_RESCALE and not is_dark:
        return as_numbers(pixels.astype(dtype))
    values = pixels.astype(np.float64) * slope + intercept
    if is_dark:
        values = _mirror(notes, index) - values
    if dtype.kind in "iu":
        values = values.clip(np.iinfo(dtype).min, np.iinfo(dtype).max)
    return as_numbers(values.astype(dtype))


@contextmanager
def _own_damage() -> Iterator[None]:
    """What pydicom alone raises, as the errors that all decoders raise."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    try:
        yield
    except (BytesLengthException, InvalidDicomError) as failure:
        raise ValueError(str(failure)) from failure


def _pixel_element(file: BinaryIO, *, is_little: bool, is_implicit: bool) -> tuple[int, int]:
    """Number and length of the element of pixels that a file stands at; then it stands at its content."""
    order = "<" if is_little else ">"
    if is_implicit:
        _, element, length = struct.unpack(f"{order}HHL", file.read(8))
    else:
        _, element, length = struct.unpack(f"{order}HH4xL", file.read(12))
    return element, length


def _room(file: BinaryIO, notes: Dataset, length: int) -> int:
    """The largest number of frames that fits in the pixel data at the position of the file."""
    from pydicom.encaps import parse_fragments
    from pydicom.pixels.utils import get_expected_length

    if length == UNKNOWN_LENGTH:
        _, table = struct.unpack("<LL", file.read(8))
        file.seek(table, 1)
        return parse_fragments(file)[0]
    start = file.tell()
    n_bytes = min(length, file.seek(0, 2) - start)
    frame_bytes = get_expected_length(notes) / max(1, int(notes.get("NumberOfFrames") or 1))
    return int(n_bytes / frame_bytes) if frame_bytes > 0 else 0


def _check_expansion(opened: OpenDicom, index: int) -> None:
    """Refuse a JPEG or JPEG 2000 frame of another size than the file says, before it is decoded."""
    from pydicom.encaps import get_frame

    notes = opened.notes
    offsets = notes.get("ExtendedOffsetTable"), notes.get("ExtendedOffsetTableLengths")
    with opened.path.open("rb") as file:
        file.seek(opened.start)
        data = get_frame(file, index, extended_offsets=offsets if all(offsets) else None, number_of_frames=opened.count)
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "JPEG2000")) as frame:
            width, height = frame.size
    except Image.DecompressionBombError as failure:
        raise ValueError(str(failure)) from failure
    if (height, width) != (int(notes.Rows), int(notes.Columns)):
        raise ValueError(f"a frame of it claims {width} x {height} pixels")


def _found(notes: Dataset, group: str, key: str, index: int) -> Any:
    """A value of the file, or of one frame, where enhanced DICOM keeps it; None when it is nowhere."""
    if notes.get(key) is not None:
        return notes.get(key)
    shared = list(notes.get("SharedFunctionalGroupsSequence") or [])[:1]
    per_frame = list(notes.get("PerFrameFunctionalGroupsSequence") or [])[index : index + 1]
    for functional in (*per_frame, *shared):
        for dataset in functional.get(group) or []:
            if dataset.get(key) is not None:
                return dataset.get(key)
    return None


def _rescale(notes: Dataset, index: int) -> tuple[float, float]:
    slope = _found(notes, "PixelValueTransformationSequence", "RescaleSlope", index)
    intercept = _found(notes, "PixelValueTransformationSequence", "RescaleIntercept", index)
    return float(1 if slope is None else slope), float(0 if intercept is None else intercept)


def _dtype(notes: Dataset, count: int, real: np.dtype[Any] | None) -> np.dtype[Any]:
    """The dtype of the values of all frames: whole numbers where every rescaled value is one that fits."""
    bits, kind = int(notes.BitsAllocated), "i" if notes.get("PixelRepresentation") == 1 else "u"
    n_per_frame = len(notes.get("PerFrameFunctionalGroupsSequence") or [])
    rescales = {_rescale(notes, index) for index in range(min(count, n_per_frame + 1))}
    if rescales == {NO_RESCALE}:
        return real or np.dtype(f"{kind}{max(1, bits // 8)}")
    if real is not None or len(rescales) > 1:
        return real or np.dtype(np.float32)
    ((slope, intercept),) = rescales
    most = np.iinfo(np.int32).max
    fits = all(abs(slope * end + intercept) <= most for end in _stored_range(notes))
    return np.dtype(np.int32 if fits and slope.is_integer() and intercept.is_integer() else np.float32)


def _stored_range(notes: Dataset) -> tuple[int, int]:
    """The smallest and the largest value that pixels may have before they are rescaled."""
    bits = int(notes.BitsStored)
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if notes.get("PixelRepresentation") == 1 else (0, (1 << bits) - 1)


def _mirror(notes: Dataset, index: int) -> float:
    """The sum of the smallest and the largest value that pixels of a frame may have."""
    slope, intercept = _rescale(notes, index)
    return slope * sum(_stored_range(notes)) + 2 * intercept


def _window(notes: Dataset, index: int) -> Stretch | None:
    """The first window of a frame, as values that become 0 and 255 (PS3.3, C.11.2.1.2)."""
    try:
        centre, width = (
            _first(_found(notes, "FrameVOILUTSequence", key, index)) for key in ("WindowCenter", "WindowWidth")
        )
        if centre is None or width is None or not width > 1:
            return None
        low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
        if notes.get("PhotometricInterpretation") == "MONOCHROME1":
            mirror = _mirror(notes, index)
            low, high = mirror - high, mirror - low
        return Stretch(low, high) if np.isfinite([low, high]).all() else None
    except DAMAGE:  # a picture is worth more than its notes
        return None


def _first(value: Any) -> float | None:
    if value is None:
        return None
    return float(value[0] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)


def _pixel_size(notes: Dataset, index: int) -> PixelSize | None:
    try:
        spacing = _found(notes, "PixelMeasuresSequence", "PixelSpacing", index) or notes.get("ImagerPixelSpacing")
        return None if not spacing else PixelSize(width=float(spacing[1]), height=float(spacing[0]), unit="mm")
    except (*DAMAGE, InvalidSetting):  # as above
        return None
