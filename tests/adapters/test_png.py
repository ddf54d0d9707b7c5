"""Masks as PNG, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcnlab.adapters.png import mask_hw, mask_png, read_mask


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
