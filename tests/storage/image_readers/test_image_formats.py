"""Formats beyond 8- and 16-bit photographs: values come out as they were stored, with what the file says of them."""

from __future__ import annotations

import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from fcnlab.domain.images import PixelSize, Stretch
from fcnlab.errors import ImportRefused
from fcnlab.storage.image_readers.decoding import PAGES_MOST, DecodedImage
from fcnlab.storage.image_readers.registry import decode, is_nameless_image, open_image
from fcnlab.storage.image_readers.tiff_notes import write_page
from tests.support.image_files import write_dicom

HW = (21, 34)
RNG = np.random.default_rng(11)
DTYPES = [np.int8, np.int16, np.uint32, np.int32, np.float16, np.float32, np.float64]


def values(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    return (RNG.random(shape) * 100).astype(dtype)


def read(path: Path, *, max_pixels: int = 10**6) -> DecodedImage:
    return decode(path, name=path.name, max_pixels=max_pixels)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_a_tiff_of_any_numbers_gives_them_back(tmp_path: Path, dtype: type, compression: str | None) -> None:
    pixels = values(HW, dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression=compression, byteorder=">")

    found = read(tmp_path / "a.tif").pixels

    assert found.dtype == np.dtype(dtype)
    assert found.dtype.isnative
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("channels", [2, 4, 5, 13])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_tiff_of_many_channels_keeps_them_all(tmp_path: Path, planar: str, channels: int, dtype: type) -> None:
    pixels = values((*HW, channels), dtype)
    stored = np.moveaxis(pixels, 2, 0) if planar == "separate" else pixels
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="minisblack", planarconfig=planar, compression="zlib", metadata=None
    )

    found = read(tmp_path / "a.tif")

    assert found.channels == channels
    assert np.array_equal(found.pixels, pixels)


@pytest.mark.parametrize("compression", ["jpeg", "deflate", "lzw", "packbits", "zstd"])
def test_compressed_colour_is_read(tmp_path: Path, compression: str) -> None:
    pixels = np.full((*HW, 3), [200, 100, 30], np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", compression=compression)

    assert np.abs(read(tmp_path / "a.tif").pixels.astype(int) - pixels).max() <= 3


@pytest.mark.parametrize(("kind", "axes"), [("ome", "CYX"), ("imagej", "CYX"), ("ome", "TCYX"), ("ome", "CTYX")])
def test_pages_along_the_axis_of_channels_are_one_image(tmp_path: Path, kind: str, axes: str) -> None:
    shape = {"C": 3, "T": 2, "Y": HW[0], "X": HW[1]}
    pixels = values(tuple(shape[axis] for axis in axes), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", **{kind: True}, metadata={"axes": axes})

    with open_image(tmp_path / "a.tif", name="a.tif", max_pixels=10**6) as source:
        count = source.header.count
        found = source.image(count - 1).pixels

    order = [axes.index(axis) for axis in ("T", "Y", "X", "C") if axis in axes]
    expected = pixels.transpose(order)
    assert count == (2 if "T" in axes else 1)
    assert np.array_equal(found, expected[-1] if "T" in axes else expected)


def test_smaller_versions_and_masks_of_an_image_are_no_pages(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(values(HW, np.uint8), photometric="minisblack", metadata=None)
        file.write(values((10, 17), np.uint8), photometric="minisblack", subfiletype=1, metadata=None)
        file.write(np.ones(HW, bool), photometric="mask", subfiletype=4, metadata=None)

    assert read(tmp_path / "a.tif").pixels.shape == HW


def test_ome_imagej_geotiff_and_centimetres_say_how_large_a_pixel_is(tmp_path: Path) -> None:
    pixels = values(HW, np.uint16)
    geo = [
        (33550, "d", 3, (2.5, 5.0, 0.0), True),
        (33922, "d", 6, (0.0, 0, 0, 500_000, 4_000_000, 0), True),
        (34735, "H", 12, (1, 1, 0, 2, 1024, 0, 1, 1, 3076, 0, 1, 9001), True),
    ]
    ome = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25, "PhysicalSizeXUnit": "nm"}
    tifffile.imwrite(tmp_path / "ome.tif", pixels, ome=True, metadata=ome)
    tifffile.imwrite(tmp_path / "ij.tif", pixels, imagej=True, resolution=(2, 4), metadata={"unit": "um"})
    tifffile.imwrite(tmp_path / "geo.tif", pixels, extratags=geo)
    tifffile.imwrite(tmp_path / "cm.tif", pixels, resolution=(20_000, 40_000), resolutionunit="CENTIMETER")
    tifffile.imwrite(tmp_path / "inch.tif", pixels, resolution=(300, 300), resolutionunit="INCH")

    assert read(tmp_path / "ome.tif").pixel_size == PixelSize(0.5, 0.25, "nm")
    assert read(tmp_path / "ij.tif").pixel_size == PixelSize(0.5, 0.25, "µm")
    assert read(tmp_path / "geo.tif").pixel_size == PixelSize(2.5, 5.0, "m")
    assert read(tmp_path / "cm.tif").pixel_size == PixelSize(0.5, 0.25, "µm")
    assert read(tmp_path / "inch.tif").pixel_size is None


def test_the_size_of_a_pixel_turns_with_the_image(tmp_path: Path) -> None:
    options = {"resolution": (20_000, 40_000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "a.tif", values(HW, np.uint16), **options, extratags=[(274, "H", 1, 6, True)])

    found = read(tmp_path / "a.tif")

    assert (found.turned, found.pixels.shape) == (True, HW[::-1])
    assert found.pixel_size == PixelSize(0.25, 0.5, "µm")


@pytest.mark.parametrize("low_tag", [280, 340])
def test_the_range_that_tags_of_a_float_image_state_is_known(tmp_path: Path, low_tag: int) -> None:
    tags = [(low_tag, "d", 1, -1.5, True), (low_tag + 1, "d", 1, 4.0, True)]
    tifffile.imwrite(tmp_path / "a.tif", values(HW, np.float32), extratags=tags)
    tifffile.imwrite(tmp_path / "b.tif", values(HW, np.uint16), extratags=tags)

    assert read(tmp_path / "a.tif").stated == Stretch(-1.5, 4)
    assert read(tmp_path / "b.tif").stated is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
@pytest.mark.parametrize("channels", [0, 2, 3, 4, 6])
def test_a_page_written_reads_the_same_and_is_always_the_same_file(tmp_path: Path, dtype: type, channels: int) -> None:
    pixels = values((*HW, channels) if channels else HW, dtype)

    page = DecodedImage(pixels, False, "npy", PixelSize(0.5, 0.25, "µm"), Stretch(-1, 5), is_window=channels == 2)
    for name in ("a", "b"):
        write_page(tmp_path / name, page)

    found = read(tmp_path / "a")
    assert np.array_equal(found.pixels, pixels)
    assert found.pixels.dtype == dtype
    assert (found.pixel_size, found.stated, found.is_window) == (page.pixel_size, page.stated, page.is_window)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [HW, (*HW, 3), (*HW, 5)])
@pytest.mark.parametrize("codec", ["jp2", "j2k"])
def test_jpeg_2000_is_read(tmp_path: Path, dtype: type, shape: tuple[int, ...], codec: str) -> None:
    pixels = values(shape, dtype)
    (tmp_path / "a").write_bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat=codec, reversible=True))

    found = read(tmp_path / "a")

    assert found.extension == "jp2"
    assert np.array_equal(found.pixels, pixels)


def box(kind: bytes, content: bytes, *, is_long: bool = False) -> bytes:
    if is_long:
        return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content
    return struct.pack(">I4s", 8 + len(content), kind) + content


@pytest.mark.parametrize("is_long", [False, True])
def test_a_jpeg_2000_is_checked_by_the_code_stream_that_is_decoded(tmp_path: Path, is_long: bool) -> None:
    pixels = values(HW, np.uint8)
    data = imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="jp2", reversible=True)
    small = imagecodecs.jpeg2k_encode(pixels[:3, :5], level=0, codecformat="j2k", reversible=True)
    start = data.index(b"jp2c") - 4
    other = box(b"uuid", bytes(16) + small, is_long=is_long)
    (tmp_path / "a").write_bytes(data[:start] + other + data[start:])

    with pytest.raises(ImportRefused, match=r"34 x 21 pixels, more than the 100 allowed"):
        read(tmp_path / "a", max_pixels=100)
    assert np.array_equal(read(tmp_path / "a").pixels, pixels)


@pytest.mark.parametrize("columns", [3, 250])
def test_a_palette_of_jpeg_2000_counts_towards_the_size_allowed(tmp_path: Path, columns: int) -> None:
    places = values(HW, np.uint8) % 4
    data = imagecodecs.jpeg2k_encode(places, level=0, codecformat="jp2", reversible=True)
    start = data.index(b"jp2h") - 4
    end = start + int.from_bytes(data[start : start + 4], "big")
    table = RNG.integers(0, 256, (4, columns), dtype=np.uint8)
    palette = box(b"pclr", struct.pack(">HB", 4, columns) + b"\x07" * columns + table.tobytes())
    order = box(b"cmap", b"".join(struct.pack(">HBB", 0, 1, column) for column in range(columns)))
    (tmp_path / "a").write_bytes(data[:start] + box(b"jp2h", data[start + 8 : end] + palette + order) + data[end:])

    assert np.array_equal(read(tmp_path / "a").pixels, table[places])
    if columns > 8:
        with pytest.raises(ImportRefused, match=f"{columns} channels, more than"):
            read(tmp_path / "a", max_pixels=HW[0] * HW[1])


@pytest.mark.parametrize("length", [0, 1, 7, 10**9])
def test_a_box_that_leads_nowhere_is_damage(tmp_path: Path, length: int) -> None:
    data = imagecodecs.jpeg2k_encode(values(HW, np.uint8), level=0, codecformat="jp2", reversible=True)
    start = data.index(b"jp2c") - 4
    (tmp_path / "a").write_bytes(data[:start] + struct.pack(">I4s", length, b"free") + data[start:])

    with pytest.raises(ImportRefused, match="damaged or incomplete"):
        read(tmp_path / "a")


@pytest.mark.parametrize("dtype", [np.uint8, bool, *DTYPES, np.dtype(">u2")])
@pytest.mark.parametrize(
    ("shape", "count", "channels"),
    [(HW, 1, 1), ((*HW, 3), 1, 3), ((*HW, 1), 1, 1), ((5, *HW), 5, 1), ((2, *HW, 4), 2, 4), ((20, *HW), 20, 1)],
)
def test_a_numpy_array_is_an_image_or_a_stack(
    tmp_path: Path, dtype: type, shape: tuple[int, ...], count: int, channels: int
) -> None:
    pixels = values(shape, dtype)
    np.save(tmp_path / "a.npy", pixels)

    with open_image(tmp_path / "a.npy", name="a.npy", max_pixels=10**6) as source:
        found = source.image(count - 1)

    expected = (pixels[-1] if count > 1 else pixels).reshape((*HW, channels) if channels > 1 else HW)
    assert (source.header.count, source.header.channels, found.extension) == (count, channels, "npy")
    assert np.array_equal(found.pixels, expected * 255 if dtype is bool else expected)


def test_a_stack_has_no_more_pages_than_anybody_looks_at(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((PAGES_MOST + 1, 3, 4), np.uint8))

    with pytest.raises(ImportRefused, match=r"a\.npy has 100001 pages, more than the 100000 allowed in a stack"):
        read(tmp_path / "a.npy")


@pytest.mark.parametrize("shape", [(9,), (2, 3, 4, 5, 6), (0, 4), ()])
def test_an_array_without_the_form_of_an_image_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape))

    with pytest.raises(ImportRefused, match=r"a\.npy has the shape"):
        read(tmp_path / "a.npy")


def test_python_objects_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[print, 1], [2, 3]], object), allow_pickle=True)

    with pytest.raises(ImportRefused, match="Python objects"):
        read(tmp_path / "a.npy")


def test_dicom_values_are_rescaled_and_the_window_is_known(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 4000, HW, dtype=np.uint16)
    notes = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": [40, 600], "WindowWidth": [400, 1]}
    path = write_dicom(tmp_path / "a.dcm", pixels, **notes, PixelSpacing=[0.5, 0.25])

    found = read(path)

    assert np.array_equal(found.pixels, pixels.astype(int) - 1024)
    assert (found.stated, found.is_window) == (Stretch(-160, 239), True)
    assert found.pixel_size == PixelSize(width=0.25, height=0.5, unit="mm")


def test_dicom_that_means_dark_by_large_values_is_turned_to_light(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 4096, HW, dtype=np.uint16)
    notes = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11}
    plain = read(write_dicom(tmp_path / "a.dcm", pixels, **notes))
    windowed = read(write_dicom(tmp_path / "b.dcm", pixels, **notes, WindowCenter=1000.5, WindowWidth=201))

    assert np.array_equal(plain.pixels, 4095 - pixels)
    assert plain.stated is None
    assert windowed.stated == Stretch(4095 - 1100, 4095 - 900)


@pytest.mark.parametrize(("shape", "dtype", "samples"), [((*HW, 3), np.uint8, 3), (HW, np.int16, 1), (HW, np.uint8, 1)])
def test_dicom_without_notes_gives_back_its_values(
    tmp_path: Path, shape: tuple[int, ...], dtype: type, samples: int
) -> None:
    pixels = values(shape, dtype)

    found = read(write_dicom(tmp_path / "a.dcm", pixels, samples=samples))

    assert found.pixels.dtype == dtype
    assert np.array_equal(found.pixels, pixels)
    assert (found.stated, found.pixel_size) == (None, None)


def test_frames_of_dicom_are_a_stack(tmp_path: Path) -> None:
    pixels = values((4, *HW), np.uint16)
    path = write_dicom(tmp_path / "a.dcm", pixels)

    with open_image(path, name="a.dcm", max_pixels=10**6) as source:
        frames = [source.image(place).pixels for place in range(source.header.count)]

    assert np.array_equal(frames, pixels)


def test_a_dicom_file_needs_no_ending(tmp_path: Path) -> None:
    write_dicom(tmp_path / "IM00001", values(HW, np.uint8))
    (tmp_path / "notes").write_text("hello")

    assert is_nameless_image(tmp_path / "IM00001")
    assert not is_nameless_image(tmp_path / "notes")


def test_many_channels_count_towards_the_size_allowed(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values((30, *HW), np.float64), planarconfig="separate", photometric=1)

    with pytest.raises(ImportRefused, match="30 channels"):
        read(tmp_path / "a.tif", max_pixels=HW[0] * HW[1])


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("kind", ["tif", "npy"])
def test_complex_numbers_are_no_image(tmp_path: Path, dtype: type, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    pixels = np.ones(HW, dtype)
    tifffile.imwrite(path, pixels) if kind == "tif" else np.save(path, pixels)

    with pytest.raises(ImportRefused, match="complex"):
        read(path)


def test_other_files_that_a_file_names_are_not_opened(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "secret.tif", values(HW, np.uint8) + np.uint8(9))
    planes = "".join(
        f'<TiffData IFD="0" FirstZ="{z}" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{z}</UUID></TiffData>'
        for z, name in enumerate(["a.tif", "secret.tif"])
    )
    notes = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="{HW[1]}" SizeY="{HW[0]}" SizeZ="2" '
        f'SizeC="1" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>{planes}</Pixels></Image></OME>'
    )
    pixels = values(HW, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, description=notes, metadata=None)

    with open_image(tmp_path / "a.tif", name="a.tif", max_pixels=10**6) as source:
        found = []
        for place in range(source.header.count):
            try:
                found.append(source.image(place).pixels)
            except ImportRefused as refusal:
                found.append(str(refusal))

    assert np.array_equal(found[0], pixels)
    assert not any(isinstance(one, np.ndarray) for one in found[1:])


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000"])
def test_pages_of_compressed_colour_are_read(tmp_path: Path, compression: str) -> None:
    pixels = np.full((2, *HW, 3), [200, 100, 30], np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", compression=compression, metadata=None)

    with open_image(tmp_path / "a.tif", name="a.tif", max_pixels=10**6) as source:
        assert source.header.count == 2
        assert np.abs(source.image(1).pixels.astype(int) - pixels[1]).max() <= 3


def test_a_compression_that_may_swell_is_refused_by_name(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values((2, *HW), np.float32), compression="lerc", metadata=None)

    with (
        open_image(tmp_path / "a.tif", name="a.tif", max_pixels=10**6) as source,
        pytest.raises(ImportRefused, match="LERC"),
    ):
        source.image(0)


def some_file(folder: Path, kind: str) -> bytes:
    pixels = values((2, *HW), np.uint16)
    if kind == "dcm":
        return write_dicom(folder / "seed", pixels, WindowCenter=5, WindowWidth=9, PixelSpacing=[1, 2]).read_bytes()
    if kind == "npy":
        np.save(folder / "seed.npy", pixels)
        return (folder / "seed.npy").read_bytes()
    if kind == "jp2":
        return bytes(imagecodecs.jpeg2k_encode(pixels[0], level=0, reversible=True))
    options = {"ome": True} if kind == "ome" else {"compression": "zlib", "metadata": None}
    tifffile.imwrite(folder / "seed", pixels, photometric="minisblack", **options)
    return (folder / "seed").read_bytes()


@pytest.mark.parametrize("kind", ["dcm", "npy", "jp2", "tif", "ome"])
def test_random_damage_is_read_or_refused_but_never_a_crash(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(3)
    data = np.frombuffer(some_file(tmp_path, kind), np.uint8)
    refused = 0
    for number in range(60):
        broken = data.copy()
        broken[rng.integers(0, min(len(broken), (80, 400)[number % 2]), 6)] = rng.integers(0, 256, 6)
        (tmp_path / "damaged").write_bytes(broken.tobytes())
        try:
            with open_image(tmp_path / "damaged", name="damaged", max_pixels=10**6) as source:
                assert source.image(source.header.count - 1).pixels.dtype.kind in "uif"
        except ImportRefused:
            refused += 1

    assert refused > 5


def test_a_palette_of_dicom_becomes_colour(tmp_path: Path) -> None:
    table = np.arange(256, dtype=np.uint16) * 257
    colours = {"Red": table, "Green": table[::-1].copy(), "Blue": np.zeros(256, np.uint16)}
    notes: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, one in colours.items():
        notes[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        notes[f"{colour}PaletteColorLookupTableData"] = one.tobytes()
    pixels = values(HW, np.uint8)

    found = read(write_dicom(tmp_path / "a.dcm", pixels, **notes)).pixels

    assert np.array_equal(found[..., 0], table[pixels])
    assert np.array_equal(found[..., 1], table[::-1][pixels])


def test_a_compression_of_dicom_that_nobody_decodes_is_named(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", values(HW, np.uint8))
    old, new = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.4.80"  # to JPEG-LS, two bytes longer
    data = path.read_bytes()
    start = data.index(old)
    length = data[start - 2 : start]
    assert int.from_bytes(length, "little") == len(old)
    group = data.index(b"\x02\x00\x00\x00UL\x04\x00") + 8
    total = int.from_bytes(data[group : group + 4], "little") + len(new) - len(old)
    data = data[:group] + total.to_bytes(4, "little") + data[group + 4 :]
    path.write_bytes(data.replace(length + old, len(new).to_bytes(2, "little") + new))

    with pytest.raises(ImportRefused, match="compressed as JPEG-LS"):
        read(path)
