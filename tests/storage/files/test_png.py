"""Masks as PNG, and back."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcnlab.storage.files.png import mask_hw, mask_png, read_mask


def test_masks_beyond_the_limit_of_the_image_library_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = np.random.default_rng(0).integers(0, 255, (30, 50), np.uint8)
    (tmp_path / "a.png").write_bytes(mask_png(mask))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)

    found = read_mask(tmp_path / "a.png")

    assert found is not None
    assert np.array_equal(found, mask)
    assert mask_hw(tmp_path / "a.png") == (30, 50)


@pytest.mark.parametrize("content", [b"", b"no mask", b"\x89PNG\r\n\x1a\n"])
def test_damaged_masks_are_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)

    assert read_mask(tmp_path / "a.png") is None
    assert mask_hw(tmp_path / "a.png") is None


def small_grey_png(values: np.ndarray, bits: int) -> bytes:
    """A grey PNG of 1, 2 or 4 bits a value."""
    height, width = values.shape
    per_byte = 8 // bits
    padded = np.zeros((height, -(-width // per_byte) * per_byte), np.uint8)
    padded[:, :width] = values
    parts = padded.reshape(height, -1, per_byte).astype(np.uint16)
    shifts = np.arange(per_byte)[::-1] * bits
    rows = (parts << shifts).sum(axis=2).astype(np.uint8)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_masks_of_few_bits_give_the_values_that_are_stored(tmp_path: Path, bits: int) -> None:
    mask = np.random.default_rng(bits).integers(0, 1 << bits, (11, 19), np.uint8)
    path = tmp_path / "a.png"
    path.write_bytes(small_grey_png(mask, bits))

    found = read_mask(path)

    assert found is not None
    assert np.array_equal(found, mask)


def test_masks_with_a_palette_give_its_places_and_colours_are_no_masks(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).integers(0, 3, (11, 19), np.uint8)
    image = Image.fromarray(mask)
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.save(tmp_path / "palette.png")
    image.convert("RGB").save(tmp_path / "colours.png")
    Image.fromarray(np.repeat(mask[..., None], 3, axis=2)).save(tmp_path / "grey.png")

    for name in ("palette.png", "grey.png"):
        found = read_mask(tmp_path / name)
        assert found is not None
        assert np.array_equal(found, mask)
    assert read_mask(tmp_path / "colours.png") is None
