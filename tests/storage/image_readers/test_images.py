"""Decoding, on files written by Pillow, OpenCV and tifffile."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from fcnlab.errors import ImportRefused
from fcnlab.storage.image_readers.registry import decode

HW = (21, 34)
RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (*HW, 3), dtype=np.uint8)
RGBA = RNG.integers(0, 256, (*HW, 4), dtype=np.uint8)
GREY = RNG.integers(0, 256, HW, dtype=np.uint8)
GREY16 = RNG.integers(0, 65536, HW, dtype=np.uint16)
RGB16 = RNG.integers(0, 65536, (*HW, 3), dtype=np.uint16)


def decoded(path: Path) -> np.ndarray:
    return decode(path, name=path.name, max_pixels=10**6).pixels


@pytest.mark.parametrize("extension", ["png", "tif", "bmp", "webp"])
def test_a_lossless_file_gives_back_its_colours(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"image.{extension}"
    Image.fromarray(RGB).save(path, **({"lossless": True} if extension == "webp" else {}))

    found = decode(path, name="image", max_pixels=10**6)

    assert np.array_equal(found.pixels, RGB)
    assert (found.turned, found.extension, found.channels) == (False, extension, 3)


def test_the_content_and_not_the_name_says_what_a_file_is(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    Image.fromarray(RGB).save(path, format="PNG")

    assert decode(path, name="image.jpg", max_pixels=10**6).extension == "png"


@pytest.mark.parametrize(("pixels", "extension"), [(GREY, "png"), (GREY, "tif"), (RGBA, "png"), (RGBA, "tif")])
def test_grey_and_alpha_are_kept(tmp_path: Path, pixels: np.ndarray, extension: str) -> None:
    path = tmp_path / f"image.{extension}"
    Image.fromarray(pixels).save(path)

    assert np.array_equal(decoded(path), pixels)


@pytest.mark.parametrize("pixels", [GREY16, RGB16], ids=["grey", "rgb"])
@pytest.mark.parametrize("writer", ["png", "tif-lzw", "tif", "tif-deflate", "tif-planar", "bigtiff"])
def test_16_bits_are_kept(tmp_path: Path, pixels: np.ndarray, writer: str) -> None:
    path = tmp_path / f"image.{writer[:3]}"
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    if writer == "png":
        assert cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    elif writer == "tif-lzw":
        path = tmp_path / "image.tif"
        assert cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    elif writer == "tif-planar" and pixels.ndim == 3:
        tifffile.imwrite(path, np.moveaxis(pixels, 2, 0), photometric="rgb", planarconfig="separate")
    else:
        compression = "zlib" if writer == "tif-deflate" else None
        tifffile.imwrite(path, pixels, photometric=photometric, compression=compression, bigtiff=writer == "bigtiff")

    found = decoded(path)

    assert found.dtype == np.uint16
    assert np.array_equal(found, pixels)


def test_a_tiff_whose_zero_is_white_is_turned_to_light(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "image.tif", GREY16, photometric="miniswhite")

    assert np.array_equal(decoded(tmp_path / "image.tif"), 65535 - GREY16)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "tif-lzw", "webp", "png16", "tif16", "tif16-lzw"])
def test_every_image_comes_out_upright(tmp_path: Path, orientation: int, kind: str) -> None:
    pixels = GREY16 if "16" in kind else RGB
    path = tmp_path / f"image.{kind[:4].rstrip('16-')}"
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, object] = {"exif": exif}
    if kind.startswith("tif"):
        options = {"tiffinfo": {0x0112: orientation}}
        if kind.endswith("lzw"):
            options["compression"] = "tiff_lzw"
    if kind == "webp":
        options["lossless"] = True
    if kind == "jpg":
        options |= {"quality": 100, "subsampling": 0}
    image.save(path, **options)
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image)) if orientation > 1 else pixels

    found = decode(path, name="image", max_pixels=10**6)

    assert found.turned is (orientation != 1)
    assert found.pixels.shape == expected.shape
    assert np.abs(found.pixels.astype(int) - expected).max() <= (8 if kind == "jpg" else 0)


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("LA", 1), ("P", 3), ("CMYK", 3), ("RGBA", 4)])
def test_every_kind_of_8_bit_image_becomes_grey_or_colour(tmp_path: Path, mode: str, channels: int) -> None:
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    Image.fromarray(RGB).convert(mode).save(path)

    found = decode(path, name="image", max_pixels=10**6)

    assert found.pixels.dtype == np.uint8
    assert (found.pixels.shape[:2], found.channels) == (HW, channels)


def test_a_palette_with_transparency_is_read(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(RGB).convert("P").save(path, transparency=0)

    assert decoded(path).shape == (*HW, 4)


def test_an_image_of_one_pixel_is_read(tmp_path: Path) -> None:
    Image.fromarray(RGB[:1, :1]).save(tmp_path / "dot.png")

    assert decoded(tmp_path / "dot.png").shape == (1, 1, 3)


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "png16":
        return cv2.imencode(".png", RGB16)[1].tobytes()
    if kind == "tif16":
        tifffile.imwrite(buffer, RGB16, photometric="rgb")
    else:
        Image.fromarray(RGB).save(buffer, format=kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "bmp", "webp", "png16", "tif16"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, kind: str, share: float) -> None:
    data = encoded(kind)
    path = tmp_path / "half"
    path.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(ImportRefused) as refusal:
        decode(path, name="my half image", max_pixels=10**6)

    assert "my half image" in str(refusal.value)


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "bmp", "webp", "png16", "tif16"])
@pytest.mark.filterwarnings("ignore:Tag data larger than file")
def test_random_damage_is_read_or_refused_but_never_a_crash(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(1)
    data = np.frombuffer(encoded(kind), np.uint8)
    path = tmp_path / "damaged"
    for _ in range(40):
        broken = data.copy()
        broken[rng.integers(0, min(len(broken), 400), 5)] = rng.integers(0, 256, 5)
        path.write_bytes(broken.tobytes())
        try:
            found = decode(path, name="damaged", max_pixels=10**6)
        except ImportRefused:
            continue
        assert found.pixels.dtype in (np.uint8, np.uint16)


@pytest.mark.parametrize("data", [b"", b"hello", b"GIF89a", b"\x89PNG", b"II*\0" + b"\0" * 20, b"BM"])
def test_what_is_no_image_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "thing.png"
    path.write_bytes(data)

    with pytest.raises(ImportRefused, match=r"thing\.png"):
        decode(path, name="thing.png", max_pixels=10**6)


def test_a_stack_is_refused_with_advice(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((5, *HW), np.uint8), photometric="minisblack")

    with pytest.raises(ImportRefused, match="5 pages"):
        decode(tmp_path / "stack.tif", name="stack.tif", max_pixels=10**6)


def test_a_large_image_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "large.png")
    n_pixels = HW[0] * HW[1]
    assert decode(tmp_path / "large.png", name="large", max_pixels=n_pixels).pixels.shape == (*HW, 3)

    with pytest.raises(ImportRefused, match="FCNLAB_MAX_PIXELS"):
        decode(tmp_path / "large.png", name="large", max_pixels=n_pixels - 1)


def test_a_bomb_is_refused_by_its_header_alone(tmp_path: Path) -> None:
    data = bytearray(encoded("bmp"))
    data[18:26] = (60000).to_bytes(4, "little") * 2
    (tmp_path / "bomb.bmp").write_bytes(data)

    with pytest.raises(ImportRefused, match="60000 x 60000"):
        decode(tmp_path / "bomb.bmp", name="bomb.bmp", max_pixels=10**8)


def test_pillows_own_limit_neither_counts_nor_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(RGB).save(tmp_path / "image.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)

    assert decoded(tmp_path / "image.png").shape == (*HW, 3)
    assert Image.MAX_IMAGE_PIXELS == 10
