"""Frames of DICOM: each is rescaled and windowed by its own notes, and there are as many as the file has room for."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from fcnlab.domain.images import PixelSize, Stretch
from fcnlab.errors import ImportRefused
from fcnlab.storage.image_readers.decoding import DecodedImage
from fcnlab.storage.image_readers.registry import decode, open_image
from tests.support.image_files import write_dicom

HW = (21, 34)
RNG = np.random.default_rng(19)
FRAMES = RNG.integers(0, 4000, (3, *HW), dtype=np.uint16)


def frames_of(path: Path) -> list[DecodedImage]:
    with open_image(path, name=path.name, max_pixels=10**6) as source:
        return [source.image(place) for place in range(source.header.count)]


def group(**notes: Any) -> Dataset:
    found = Dataset()
    for key, value in notes.items():
        setattr(found, key, value)
    return found


def frame(slope: float, intercept: float = 0, *, centre: float = 0, width: float = 0, spacing: float = 1) -> Dataset:
    """What enhanced DICOM says of one frame."""
    own = group(
        PixelValueTransformationSequence=[group(RescaleSlope=slope, RescaleIntercept=intercept)],
        PixelMeasuresSequence=[group(PixelSpacing=[spacing, spacing])],
    )
    if width:
        own.FrameVOILUTSequence = [group(WindowCenter=centre, WindowWidth=width)]
    return own


@pytest.mark.parametrize(
    ("rescales", "dtype"),
    [
        ([(1, 0), (0.5, 0), (2, -10)], np.float32),
        ([(1, 0), (1, 0), (3, 0)], np.float32),
        ([(2, -10)] * 3, np.int32),
        ([(0.5, 0.25)] * 3, np.float32),
        ([(1_000_000, 0)] * 3, np.float32),
        ([(1, 0)] * 3, np.uint16),
    ],
)
def test_every_frame_is_rescaled_by_its_own_notes_into_one_kind_of_values(
    tmp_path: Path, rescales: list[tuple[float, float]], dtype: type
) -> None:
    notes = [frame(*one) for one in rescales]
    path = write_dicom(tmp_path / "a.dcm", FRAMES, PerFrameFunctionalGroupsSequence=notes)

    found = frames_of(path)

    for page, stored, (slope, intercept) in zip(found, FRAMES, rescales, strict=True):
        assert page.pixels.dtype == dtype
        assert np.array_equal(page.pixels, (stored * float(slope) + intercept).astype(dtype))


def test_every_frame_has_its_own_window_and_size_of_a_pixel(tmp_path: Path) -> None:
    notes = [frame(1, centre=100.5, width=101, spacing=2), frame(1, centre=1000.5, width=201), frame(1)]
    path = write_dicom(tmp_path / "a.dcm", FRAMES, PerFrameFunctionalGroupsSequence=notes)

    found = frames_of(path)

    assert [page.stated for page in found] == [Stretch(50, 150), Stretch(900, 1100), None]
    assert [page.is_window for page in found] == [True, True, False]
    assert [page.pixel_size for page in found] == [PixelSize(2, 2, "mm"), PixelSize(1, 1, "mm"), PixelSize(1, 1, "mm")]


@pytest.mark.parametrize("count", [4, 90_000, 100_001, 2_000_000_000])
def test_frames_that_the_file_has_no_room_for_are_refused_at_once(tmp_path: Path, count: int) -> None:
    path = write_dicom(tmp_path / "a.dcm", FRAMES, NumberOfFrames=count)

    tracemalloc.start()
    with pytest.raises(ImportRefused, match=rf"a\.dcm.* {count} (frames and has room for 3|pages, more than)"):
        frames_of(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 20_000_000


def saved_again(path: Path, syntax: str, **notes: Any) -> Path:
    file = pydicom.dcmread(path)
    pixels = file.pixel_array
    for key, value in notes.items():
        setattr(file, key, value)
    if syntax == RLELossless:
        file.compress(RLELossless)
    else:
        file.file_meta.TransferSyntaxUID = syntax
        is_big = syntax == ExplicitVRBigEndian
        file.PixelData = pixels.astype(">u2" if is_big else "<u2").tobytes()
    fresh = Dataset()
    fresh.update(file)
    fresh.file_meta = file.file_meta
    fresh.save_as(
        path,
        enforce_file_format=True,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
    )
    return path


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_frames_are_counted_in_every_way_to_store_them(tmp_path: Path, syntax: str) -> None:
    path = saved_again(write_dicom(tmp_path / "a.dcm", FRAMES), syntax)

    found = [page.pixels for page in frames_of(path)]

    assert np.array_equal(found, FRAMES)


def test_compressed_frames_that_are_not_there_are_refused(tmp_path: Path) -> None:
    path = saved_again(write_dicom(tmp_path / "a.dcm", FRAMES), RLELossless)
    file = pydicom.dcmread(path)
    file.NumberOfFrames = 70_000
    file.save_as(path)

    with pytest.raises(ImportRefused, match="70000 frames and has room for 3"):
        frames_of(path)


def jpegs(path: Path, frames: list[np.ndarray], *, hw: tuple[int, int], has_table: bool, is_2000: bool) -> Path:
    """A DICOM file of compressed frames of 8 bits."""
    kind: dict[str, Any] = {"format": "JPEG2000", "irreversible": False} if is_2000 else {"format": "JPEG"}
    packed = []
    for one in frames:
        buffer = io.BytesIO()
        Image.fromarray(one).save(buffer, **kind)
        packed.append(buffer.getvalue())
    write_dicom(path, np.zeros((len(frames), *hw), np.uint8))
    file = pydicom.dcmread(path)
    file.file_meta.TransferSyntaxUID = JPEG2000Lossless if is_2000 else JPEGBaseline8Bit
    file.PixelData = encapsulate(packed, has_bot=has_table)
    file["PixelData"].is_undefined_length = True
    file.save_as(path)
    return path


@pytest.mark.parametrize("has_table", [True, False])
@pytest.mark.parametrize("is_2000", [True, False])
def test_a_compressed_frame_larger_than_the_file_says_is_refused_before_it_is_decoded(
    tmp_path: Path, has_table: bool, is_2000: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = np.full(HW, 70, np.uint8)
    large = np.full((210, 340), 70, np.uint8)
    path = jpegs(tmp_path / "a.dcm", [small, large, small], hw=HW, has_table=has_table, is_2000=is_2000)

    with open_image(path, name="a.dcm", max_pixels=1000) as source:
        assert np.abs(source.image(0).pixels.astype(int) - small).max() <= 2
        assert source.image(2).pixels.shape == HW
        with pytest.raises(ImportRefused, match=r"a\.dcm \(page 2\) is damaged.*a frame of it claims 340 x 210 pixels"):
            source.image(1)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        with pytest.raises(ImportRefused, match=r"a\.dcm \(page 2\) is damaged"):
            source.image(1)


def test_a_file_that_is_compressed_as_a_whole_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = saved_again(
        write_dicom(tmp_path / "a.dcm", np.zeros((30, 1000, 1000), np.uint16)), DeflatedExplicitVRLittleEndian
    )

    tracemalloc.start()
    with pytest.raises(ImportRefused, match="compressed as a whole"):
        frames_of(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert path.stat().st_size < 100_000
    assert peak < 5_000_000


@pytest.mark.parametrize(("dtype", "element"), [(np.float32, "FloatPixelData"), (np.float64, "DoubleFloatPixelData")])
def test_real_numbers_come_as_they_are(tmp_path: Path, dtype: type, element: str) -> None:
    pixels = RNG.normal(0, 3, HW).astype(dtype)
    path = write_dicom(tmp_path / "a.dcm", FRAMES[0])
    file = pydicom.dcmread(path)
    del file.PixelData
    del file.PixelRepresentation
    file.BitsAllocated = file.BitsStored = 8 * pixels.itemsize
    setattr(file, element, pixels.tobytes())
    file.save_as(path)

    found = decode(path, name="a.dcm", max_pixels=10**6).pixels

    assert found.dtype == dtype
    assert np.array_equal(found, pixels)
