"""Files that speak of far more pixels than their bytes can hold are damaged, and are never decoded."""

from __future__ import annotations

import io
import resource
import struct
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fcnlab.errors import ImportRefused
from fcnlab.storage.image_readers.registry import decode

MOST = 500_000_000
GREW_MOST_KB = 200_000


def encoded(kind: str, side: int = 16, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((side, side), np.uint8)).save(buffer, format=kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def oversized(kind: str, side: int) -> bytes:
    """A small file whose header speaks of `side` x `side` pixels."""
    data = bytearray(encoded(kind))
    if kind == "JPEG":
        place = data.index(b"\xff\xc0") + 5
        data[place : place + 4] = struct.pack(">HH", side, side)
    elif kind == "JPEG2000":
        place = data.index(b"\xff\x4f\xff\x51") + 8
        data[place : place + 8] = struct.pack(">II", side, side)
        data[place + 16 : place + 24] = struct.pack(">II", side, side)
    else:
        data[16:24] = struct.pack(">II", side, side)
        data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000", "PNG"])
@pytest.mark.parametrize("side", [2_000, 22_000])
def test_a_file_too_short_for_its_size_is_damaged_and_takes_no_memory(tmp_path: Path, kind: str, side: int) -> None:
    path = tmp_path / "swollen"
    path.write_bytes(oversized(kind, side))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(ImportRefused, match=f"damaged.*{side}.*bytes cannot hold"):
        decode(path, name="swollen", max_pixels=MOST)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GREW_MOST_KB


@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {"quality": 1}), ("JPEG", {"quality": 1, "progressive": True, "optimize": True}), ("PNG", {})],
)
def test_the_emptiest_picture_that_a_program_writes_is_read(
    tmp_path: Path, kind: str, options: dict[str, object]
) -> None:
    path = tmp_path / "empty"
    path.write_bytes(encoded(kind, 3000, **options))

    assert decode(path, name="empty", max_pixels=MOST).pixels.shape[:2] == (3000, 3000)


def test_a_black_and_white_picture_of_nothing_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bits.png"
    Image.new("1", (6000, 6000)).save(path, compress_level=9)

    assert decode(path, name="bits.png", max_pixels=MOST).pixels.shape[:2] == (6000, 6000)


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", "png"), ("TIFF", "tif"), ("BMP", "bmp"), ("WEBP", "webp")])
def test_a_picture_that_would_not_fit_into_memory_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, suffix: str
) -> None:
    path = tmp_path / f"large.{suffix}"
    path.write_bytes(encoded(kind, side=1000))
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1_000_000))

    with pytest.raises(ImportRefused, match="of memory while it is decoded"):
        decode(path, name=path.name, max_pixels=MOST)


def test_a_picture_of_one_endless_row_is_refused(tmp_path: Path) -> None:
    data = bytearray(encoded("PNG"))
    data[16:24] = struct.pack(">II", 400_000_000, 1)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    path = tmp_path / "row.png"
    path.write_bytes(data + bytes(100_000))

    with pytest.raises(ImportRefused, match="cut it into parts"):
        decode(path, name=path.name, max_pixels=MOST)
