"""Every page of a TIFF file is checked, read and described by itself, as if it were alone in its file."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from fcnlab.core.images.picture import make_picture, repeat_picture
from fcnlab.domain.images import Imaging, PixelSize, Stretch
from fcnlab.errors import ImportRefused
from fcnlab.storage.image_readers.decoding import PAGES_MOST, DecodedImage
from fcnlab.storage.image_readers.registry import decode, open_image
from fcnlab.storage.image_readers.tiff_notes import write_page
from tests.support.bad_files import tiff_of_one_tile

HW = (21, 34)
RNG = np.random.default_rng(17)
GREY = RNG.integers(0, 256, HW, dtype=np.uint8)
RGB = RNG.integers(0, 256, (*HW, 3), dtype=np.uint8)


def written(path: Path, *pages: tuple[np.ndarray, dict[str, Any]]) -> Path:
    with tifffile.TiffWriter(path) as file:
        for pixels, options in pages:
            file.write(pixels, metadata=None, **{"photometric": "minisblack", **options})
    return path


def pages_of(path: Path, *, max_pixels: int = 10**6) -> list[DecodedImage | str]:
    """Each page of a file, or what was said of it."""
    found: list[DecodedImage | str] = []
    with open_image(path, name=path.name, max_pixels=max_pixels) as source:
        for place in range(source.header.count):
            try:
                found.append(source.image(place))
            except ImportRefused as refusal:
                found.append(str(refusal))
    return found


def pixels_of(page: DecodedImage | str) -> np.ndarray:
    assert isinstance(page, DecodedImage), page
    return page.pixels


def test_a_page_larger_than_allowed_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    large = np.zeros((3000, 4000), np.uint8)
    path = written(tmp_path / "a.tif", (GREY, {}), (large, {"compression": "zlib"}), (GREY, {}))

    tracemalloc.start()
    first, second, third = pages_of(path, max_pixels=5000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert second == (
        "a.tif (page 2) has 4000 x 3000 pixels, more than the 5000 allowed; make it smaller, cut it into parts, or "
        "raise FCNLAB_MAX_PIXELS"
    )
    assert np.array_equal(pixels_of(first), GREY)
    assert np.array_equal(pixels_of(third), GREY)
    assert peak < large.size / 2


def test_pages_of_several_kinds_keep_their_order(tmp_path: Path) -> None:
    pages = (GREY, RGB, GREY // 2, GREY.astype(np.uint16) * 9, RGB // 3)
    path = written(tmp_path / "a.tif", *((one, {"photometric": "rgb" if one.ndim == 3 else 1}) for one in pages))

    found = pages_of(path)

    assert all(np.array_equal(pixels_of(page), one) for page, one in zip(found, pages, strict=True))


def test_every_page_has_its_own_turn_range_and_size_of_a_pixel(tmp_path: Path) -> None:
    centimetres = {"resolution": (20_000, 40_000), "resolutionunit": "CENTIMETER"}
    ranged = {"extratags": [(340, "d", 1, -1.0, True), (341, "d", 1, 7.0, True)], "software": "fcnlab window"}
    floats = GREY.astype(np.float32)
    path = written(
        tmp_path / "a.tif",
        (floats, {}),
        (floats, {**centimetres, "extratags": [(274, "H", 1, 6, True)]}),
        (floats, ranged),
    )

    found = [page for page in pages_of(path) if isinstance(page, DecodedImage)]

    assert [page.pixels.shape for page in found] == [HW, HW[::-1], HW]
    assert [page.turned for page in found] == [False, True, False]
    assert [page.pixel_size for page in found] == [None, PixelSize(0.25, 0.5, "µm"), None]
    assert [page.stated for page in found] == [None, None, Stretch(-1, 7)]
    assert [page.is_window for page in found] == [False, False, True]


def test_every_image_of_an_ome_file_has_its_own_size_of_a_pixel(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif", ome=True) as file:
        for width in (0.5, 2.0):
            file.write(GREY, photometric="minisblack", metadata={"axes": "YX", "PhysicalSizeX": width})

    found = [page for page in pages_of(tmp_path / "a.tif") if isinstance(page, DecodedImage)]

    assert [page.pixel_size for page in found] == [PixelSize(0.5, 0.5, "µm"), PixelSize(2, 2, "µm")]


@pytest.mark.parametrize("mode", ["CMYK", "LAB"])
def test_colours_of_other_kinds_are_the_same_in_a_stack_as_alone(tmp_path: Path, mode: str) -> None:
    if mode == "CMYK":
        first, second = (Image.fromarray(pixels).convert("CMYK") for pixels in (RGB, 255 - RGB))
    else:
        first, second = (Image.frombytes("LAB", HW[::-1], pixels.tobytes()) for pixels in (RGB, RGB // 2))
    first.save(tmp_path / "first.tif")
    second.save(tmp_path / "second.tif")
    first.save(tmp_path / "both.tif", save_all=True, append_images=[second])

    found = pages_of(tmp_path / "both.tif")

    for page, name in zip(found, ("first.tif", "second.tif"), strict=True):
        alone = decode(tmp_path / name, name=name, max_pixels=10**6).pixels
        assert alone.shape == (*HW, 3)
        assert np.array_equal(pixels_of(page), alone)


@pytest.mark.parametrize("count", [1, 2])
def test_inks_that_nobody_here_turns_into_colours_are_refused(tmp_path: Path, count: int) -> None:
    inks = RNG.integers(0, 60_000, (*HW, 4), dtype=np.uint16)
    path = written(tmp_path / "a.tif", *[(inks, {"photometric": "separated"})] * count)

    with pytest.raises(ImportRefused, match="holds uint16 values of SEPARATED colours; save it as RGB"):
        pages_of(path)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate"])
def test_images_beyond_the_limit_that_pillow_has_for_the_whole_process_are_the_same(
    tmp_path: Path, mode: str, compression: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.dstack([RGB, GREY])).convert(mode).save(path, compression=compression)
    before = decode(path, name="a.tif", max_pixels=10**6).pixels
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)

    after = decode(path, name="a.tif", max_pixels=10**6).pixels

    assert after.dtype == before.dtype
    assert np.array_equal(after, before)


def test_inks_beyond_that_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "a.tif")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)

    with pytest.raises(ImportRefused, match="SEPARATED colours; save it as RGB"):
        decode(tmp_path / "a.tif", name="a.tif", max_pixels=10**6)


def test_an_image_behind_its_thumbnail_is_read(tmp_path: Path) -> None:
    rgb: dict[str, Any] = {"photometric": "rgb"}
    path = written(tmp_path / "a.tif", (RGB[::4, ::4], {**rgb, "subfiletype": 1}), (RGB, {**rgb, "subfiletype": 0}))

    found = decode(path, name="a.tif", max_pixels=10**6)

    assert np.array_equal(found.pixels, RGB)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pages_that_are_channels_are_all_read_whatever_their_kind(tmp_path: Path, dtype: type) -> None:
    pixels = RNG.integers(0, 256, (3, *HW)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", ome=True, metadata={"axes": "CYX"})

    found = decode(tmp_path / "a.tif", name="a.tif", max_pixels=10**6)

    assert np.array_equal(found.pixels, np.moveaxis(pixels, 0, -1))


@pytest.mark.parametrize("bits", [8, 16])
def test_tiles_far_larger_than_their_image_are_refused_before_they_are_unpacked(tmp_path: Path, bits: int) -> None:
    (tmp_path / "small.tif").write_bytes(tiff_of_one_tile(1024, bits=bits))
    (tmp_path / "large.tif").write_bytes(tiff_of_one_tile(60_000, bits=bits))

    with pytest.raises(ImportRefused, match="its tiles have 60000 x 60000 pixels"):
        pages_of(tmp_path / "large.tif")
    assert pixels_of(*pages_of(tmp_path / "small.tif")).shape == (8, 9)


@pytest.mark.parametrize("n_pages", [5_000, PAGES_MOST + 1, 2_000_000_000])
def test_a_number_of_pages_that_was_made_up_is_refused_at_once(tmp_path: Path, n_pages: int) -> None:
    notes = f'{{"shape": [{n_pages}, {HW[0]}, {HW[1]}]}}'
    tifffile.imwrite(tmp_path / "a.tif", GREY, metadata=None, description=notes, photometric="minisblack")

    tracemalloc.start()
    with pytest.raises(ImportRefused, match=rf"a\.tif.*{n_pages} pages"):
        pages_of(tmp_path / "a.tif")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 10_000_000


@pytest.mark.parametrize("kind", ["tif", "npy"])
def test_what_fails_while_pages_are_used_is_no_damage_of_their_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    written(path, (GREY, {}), (GREY, {})) if kind == "tif" else np.save(path, np.stack([GREY, GREY]))

    with pytest.raises(OSError, match="disk is full"), open_image(path, name="a", max_pixels=10**6):
        raise OSError("the disk is full")


MASK = {"photometric": 4}


@pytest.mark.parametrize(
    "kind", ["overview", "old overview", "mask", "mask like its image", "cog", "overview of one size"]
)
def test_overviews_and_masks_of_an_image_are_no_pages(tmp_path: Path, kind: str) -> None:
    small, inside = (GREY[::2, ::2], {"subfiletype": 1}), (GREY > 9, {**MASK, "subfiletype": 4})
    beside: dict[str, list[tuple[np.ndarray, dict[str, Any]]]] = {
        "overview": [small, (GREY[::4, ::4], {"subfiletype": 1})],
        "old overview": [(GREY[::2, ::2], {"extratags": [(255, "H", 1, 2, True)]})],
        "mask": [inside],
        "mask like its image": [(np.full_like(GREY, 255), {"extratags": [(254, "I", 1, 4, True)]})],
        "cog": [inside, small, (GREY[::2, ::2] > 9, {**MASK, "subfiletype": 5})],
        "overview of one size": [(GREY, {"subfiletype": 1})],
    }
    path = written(tmp_path / "a.tif", (GREY, {}), *beside[kind])

    (page,) = pages_of(path)

    assert np.array_equal(pixels_of(page), GREY)


def test_each_page_of_a_stack_may_have_overviews_and_a_mask(tmp_path: Path) -> None:
    turned = GREY[::-1]
    beside = [(np.full_like(GREY, 255), {"extratags": [(254, "I", 1, 4, True)]}), (GREY[::2, ::2], {"subfiletype": 1})]
    path = written(tmp_path / "a.tif", (GREY, {}), *beside, (turned, {}), *beside)

    first, second = pages_of(path)

    assert np.array_equal(pixels_of(first), GREY)
    assert np.array_equal(pixels_of(second), turned)


def test_overviews_in_directories_below_are_no_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(GREY, photometric="minisblack", subifds=1, metadata=None)
        file.write(GREY[::2, ::2], photometric="minisblack", subfiletype=1, metadata=None)

    (page,) = pages_of(path)

    assert np.array_equal(pixels_of(page), GREY)


def with_nodata(value: str) -> dict[str, Any]:
    return {"extratags": [(42113, "s", 0, value, True)]}


@pytest.mark.parametrize(
    ("dtype", "text", "value"),
    [
        ("uint8", "0", 0),
        ("uint16", "65535", 65535),
        ("int16", "-9999", -9999),
        ("float32", "-9999", -9999),
        ("float32", "-3.4028234663852886e+38", np.finfo(np.float32).min),
        ("float64", "nan", np.nan),
        ("float32", " 1e20 ", np.float32(1e20)),
    ],
)
def test_pixels_without_data_are_black_and_bend_no_range(tmp_path: Path, dtype: str, text: str, value: float) -> None:
    field = np.linspace(10, 200, GREY.size).reshape(HW).astype(dtype)
    with_holes = field.copy()
    with_holes[:, :9] = value
    path = written(tmp_path / "a.tif", (with_holes, with_nodata(text)))

    found = decode(path, name="a.tif", max_pixels=10**6)
    rgb, recipe = make_picture(found.pixels, wanted=Imaging(), nodata=found.nodata)

    alone, _ = make_picture(np.ascontiguousarray(field[:, 9:]), wanted=Imaging())
    assert (rgb[:, :9] == 0).all()
    assert np.array_equal(rgb[:, 9:], alone)
    assert np.array_equal(repeat_picture(found.pixels, recipe, nodata=found.nodata), rgb)


def test_of_colours_a_pixel_is_without_data_only_where_all_channels_are(tmp_path: Path) -> None:
    colours = RGB.copy()
    colours[:4], colours[4:8, :, 0] = 255, 255
    colours[4:8, :, 1] = 7
    path = written(tmp_path / "a.tif", (colours, {"photometric": "rgb", **with_nodata("255")}))

    found = decode(path, name="a.tif", max_pixels=10**6)
    rgb, _ = make_picture(found.pixels, wanted=Imaging(), nodata=found.nodata)

    assert (rgb[:4] == 0).all()
    assert np.array_equal(rgb[4:], colours[4:])


def test_channels_that_somebody_chose_are_stretched_without_what_is_no_data(tmp_path: Path) -> None:
    field = np.linspace(0, 1, GREY.size).reshape(HW).astype(np.float32)
    bands = np.stack([field, 2 * field, 3 * field, 4 * field, 5 * field], axis=-1)
    bands[:3] = -9999
    path = written(tmp_path / "a.tif", (bands, {"planarconfig": "contig", **with_nodata("-9999")}))

    found = decode(path, name="a.tif", max_pixels=10**6)
    rgb, recipe = make_picture(found.pixels, wanted=Imaging((5, 3, 1)), nodata=found.nodata)

    assert recipe.imaging is not None
    assert all(limit is not None and limit.low >= 0 for limit in recipe.imaging.limits)
    assert (rgb[:3] == 0).all()
    assert rgb[3:].max() == 255


def test_a_page_of_a_stack_keeps_what_it_calls_no_data(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", *[(GREY.astype(np.float32), with_nodata("-1"))] * 2)
    with open_image(path, name="a.tif", max_pixels=10**6) as source:
        write_page(tmp_path / "page.tif", source.image(1))

    assert decode(tmp_path / "page.tif", name="page.tif", max_pixels=10**6).nodata == -1
