"""A corpus of files as users have them on bad days: each comes in properly, or gets one clear line.

`python -m tests.support.bad_files FOLDER` writes it; with `--import` it is imported as well, and the memory that took
is printed.
"""

from __future__ import annotations

import io
import pickle
import re
import stat
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from tests.support.image_files import write_dicom

HW = (60, 90)
RNG = np.random.default_rng(23)
RGB = RNG.integers(0, 256, (*HW, 3), dtype=np.uint8)
GREY16 = RNG.integers(0, 65536, HW, dtype=np.uint16)


@dataclass(frozen=True)
class BadFile:
    """A file, with how many images come of it and how many lines say what was left out."""

    name: str
    data: bytes
    images: int = 0
    lines: int = 1


def fine(name: str, data: bytes, *, images: int = 1, lines: int = 0) -> BadFile:
    return BadFile(name, data, images, lines)


def saved(kind: str, pixels: np.ndarray = RGB, *, mode: str = "", **options: object) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def dicom(folder: Path, pixels: np.ndarray, **notes: object) -> bytes:
    return write_dicom(folder / "scratch", pixels, **notes).read_bytes()


def jp2(pixels: np.ndarray = RGB) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True))


def packed(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for entry, data in entries:
            archive.writestr(entry, data)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_claiming(width: int, height: int, *, more: bytes = b"") -> bytes:
    """A PNG whose header claims a size, with a megabyte of zeros in it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 20), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def tiff_of_tags(tags: list[tuple[int, int, int, int]], *, next_ifd: int = 0, tail: bytes = b"") -> bytes:
    """A little-endian TIFF of one directory of (code, type, count, value), with bytes after it."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", next_ifd) + tail


def tags(
    width: int, height: int, *, strip: tuple[int, int] | None = (200, 100), **more: int
) -> list[tuple[int, int, int, int]]:
    found = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (262, 3, 1, 1),
        (277, 3, 1, more.get("samples", 1)),
    ]
    found += [(259, 3, 1, more.get("compression", 1)), (278, 4, 1, height)]
    return found if strip is None else [*found, (273, 4, 1, strip[0]), (279, 4, 1, strip[1])]


def patched(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


def cut(name: str, data: bytes, *shares: float) -> Iterator[BadFile]:
    """The file ending early, at shares of its length."""
    stem, _, ending = name.rpartition(".")
    for share in shares:
        yield BadFile(f"{stem}-{share:g}.{ending}", data[: int(len(data) * share)])


def images_cut_short(folder: Path) -> Iterator[BadFile]:
    yield from cut("cut.png", saved("PNG"), 0.001, 0.01, 0.5, 0.95)
    yield from cut("cut16.png", saved("PNG", GREY16), 0.5)
    yield from cut("cut.jpg", saved("JPEG", quality=95), 0.01, 0.5, 0.98)
    yield from cut("cut.tif", tiff(RGB, photometric="rgb"), 0.002, 0.5, 0.99)
    yield from cut("cut-lzw.tif", tiff(GREY16, compression="lzw"), 0.1, 0.6)
    yield from cut("cut.webp", saved("WEBP", lossless=True), 0.01, 0.5, 0.9)
    yield from cut("cut.bmp", saved("BMP"), 0.01, 0.5)
    yield from cut("cut.jp2", jp2(), 0.001, 0.01, 0.5, 0.95)
    yield from cut("cut.npy", npy(GREY16), 0.001, 0.02, 0.9)
    yield from cut("cut.dcm", dicom(folder, GREY16), 0.02, 0.5, 0.95)


def images_that_are_something_else() -> Iterator[BadFile]:
    yield BadFile("empty.png", b"")
    yield BadFile("empty.tif", b"")
    yield BadFile("really-json.png", b'{"images": []}')
    yield BadFile("really-text.jpg", b"Dear colleague, please find attached")
    yield BadFile("really-html.tif", b"<!doctype html><title>404</title>")
    yield BadFile("really-pickle.npy", pickle.dumps({"a": 1}))
    yield BadFile("really-svg.webp", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    yield BadFile("really-gif.png", saved("GIF"))
    yield fine("really-png.jpg", saved("PNG"))
    yield fine("really-webp.bmp", saved("WEBP"))


def images_too_large(folder: Path) -> Iterator[BadFile]:
    yield BadFile("bomb.png", png_claiming(60_000, 60_000))
    yield BadFile("bomb-of-text.png", png_claiming(9, 9, more=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(5 << 20)))))
    yield BadFile("bomb.bmp", patched(saved("BMP"), 18, struct.pack("<ii", 2_000_000_000, 2_000_000_000)))
    yield BadFile("bomb.tif", tiff_of_tags(tags(4_000_000_000, 4_000_000_000), tail=bytes(300)))
    yield BadFile("bomb-of-samples.tif", tiff_of_tags(tags(5000, 5000, samples=60_000), tail=bytes(300)))
    yield fine("bomb-inside.tif", tiff_of_zeros(1))
    yield BadFile("bomb-inside-16.tif", tiff_of_zeros(5))
    yield BadFile("bomb.jp2", patched(jp2(), jp2().index(b"\xff\x4f\xff\x51") + 8, struct.pack(">II", 2**31, 2**31)))
    yield BadFile("bomb-of-jpeg.tif", oversized(), lines=2)
    yield BadFile("bomb-of-tiles.tif", tiff_of_one_tile(60_000, bits=16))
    yield BadFile("bomb-of-tiles-8.tif", tiff_of_one_tile(60_000, bits=8))
    yield fine("large-tile.tif", tiff_of_one_tile(1024, bits=16))
    yield BadFile("bomb-of-pages.tif", promising('{"shape": [1000000000, 60, 90]}'))
    yield fine("bomb-of-frames.tif", promising("ImageJ=1.53t\nimages=1000000000\nhyperstack=true\n"))
    yield BadFile("bomb-of-frames.dcm", dicom(folder, GREY16, NumberOfFrames=10**9))
    yield BadFile("bomb.npy", npy_claiming("(3000000000, 3000000000)"))
    yield BadFile("bomb-jpeg.jpg", jpeg_claiming(65_500, 65_500))


def tiff_of_zeros(samples: int) -> bytes:
    """Nine pixels, whose strip unpacks to thirty megabytes."""
    strip = zlib.compress(bytes(30 << 20), 1)
    start = tiff_of_tags(tags(3, 3, strip=(200, len(strip)), compression=8, samples=samples))
    return start.ljust(200, b"\0") + strip


def tiff_of_one_tile(side: int, *, bits: int) -> bytes:
    """Nine by eight pixels in a tile that claims to be far larger; it unpacks to two megabytes of zeros."""
    tile = zlib.compress(bytes(2 << 20), 1)
    notes = [(256, 4, 1, 9), (257, 4, 1, 8), (258, 3, 1, bits), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    notes += [(322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, 300), (325, 4, 1, len(tile))]
    return tiff_of_tags(notes).ljust(300, b"\0") + tile


def npy_claiming(shape: str) -> bytes:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(500)


def jpeg_claiming(width: int, height: int) -> bytes:
    data = saved("JPEG")
    return patched(data, data.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width))


def unusual_images(folder: Path) -> Iterator[BadFile]:
    yield fine("cmyk.jpg", saved("JPEG", mode="CMYK"))
    yield fine("cmyk.tif", saved("TIFF", mode="CMYK"))
    yield fine("one-bit.png", saved("PNG", mode="1"))
    yield fine("one-bit.tif", saved("TIFF", mode="1", compression="group4"))
    yield fine("palette.png", saved("PNG", mode="P", transparency=3))
    yield fine("grey-alpha.png", saved("PNG", mode="LA"))
    yield fine("one-pixel.png", saved("PNG", RGB[:1, :1]))
    yield fine("one-pixel.tif", tiff(GREY16[:1, :1]))
    yield fine("wide.png", saved("PNG", np.resize(RGB, (2, 30_000, 3))))
    yield fine("high.jpg", saved("JPEG", np.resize(RGB, (30_000, 2, 3))))
    yield fine("upside-down.bmp", patched(saved("BMP"), 22, struct.pack("<i", -HW[0])))
    yield fine("broken-exif.jpg", broken_exif())
    yield fine("dark.dcm", dicom(folder, GREY16, PhotometricInterpretation="MONOCHROME1"))
    yield fine("nan.tif", tiff(np.where(GREY16 % 7, GREY16, np.nan).astype(np.float32)))
    yield fine("infinite.npy", npy(np.where(GREY16 % 7, GREY16, np.inf).astype(np.float64)))
    yield fine("flat.npy", npy(np.full(HW, 3.5, np.float32)))
    yield fine("stack.tif", tiff(np.stack([GREY16, GREY16 // 2, GREY16 // 3]), photometric="minisblack"), images=3)
    yield BadFile("all-nan.tif", tiff(np.full(HW, np.nan, np.float32)))
    yield BadFile("complex.tif", tiff(np.ones(HW, np.complex64)))
    yield BadFile("complex.npy", npy(np.ones(HW, np.complex128)))
    yield BadFile("objects.npy", npy(np.array([[print, 1], [2, 3]], object)))
    yield BadFile("records.npy", npy(np.zeros(HW, [("a", "u1"), ("b", "f4")])))
    yield BadFile("words.npy", npy(np.array([["a", "b"], ["c", "d"]])))
    yield BadFile("line.npy", npy(np.arange(9)))
    yield BadFile("nothing.npy", npy(np.zeros((0, 5))))
    yield BadFile("animated.gif", animation("GIF"))
    yield BadFile("animated.webp", animation("WEBP"))
    yield BadFile("animated.png", animation("PNG"))


def animation(kind: str) -> bytes:
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], duration=100)
    return buffer.getvalue()


def broken_exif() -> bytes:
    data = saved("JPEG")
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(range(200))
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


def damaged_images(folder: Path) -> Iterator[BadFile]:
    stack = tiff(np.stack([RGB, RGB // 2, RGB // 3]), photometric="rgb", compression="zlib", metadata=None)
    yield BadFile("no-strips.tif", tiff_of_tags(tags(9, 9, strip=None)))
    yield BadFile("zero-strips.tif", tiff_of_tags(tags(9, 9, strip=(0, 0))))
    yield BadFile("strips-elsewhere.tif", tiff_of_tags(tags(9, 9, strip=(1_000_000, 81))))
    yield BadFile("no-tags.tif", tiff_of_tags([]))
    yield fine("loop.tif", tiff_of_tags(tags(9, 9, strip=(150, 81)), next_ifd=8, tail=bytes(400)))
    yield BadFile("zero-width.tif", tiff_of_tags(tags(0, 9), tail=bytes(300)))
    yield BadFile("odd-bits.tif", tiff_of_tags([(258, 3, 1, 77), *tags(9, 9)[:2], *tags(9, 9)[3:]], tail=bytes(300)))
    yield fine("one-bad-page.tif", broken_page(stack), images=2, lines=1)
    yield BadFile("zero-size.png", png_claiming(0, 0))
    yield BadFile("broken-header.png", patched(saved("PNG"), 20, b"\xff\xff\xff\xff"))
    yield BadFile("broken-middle.png", patched(saved("PNG"), 3000, bytes(64)))
    yield BadFile("no-pixels.dcm", without_pixels(folder))
    yield BadFile("odd-samples.dcm", dicom(folder, GREY16, SamplesPerPixel=9))
    yield BadFile("zero-rows.dcm", dicom(folder, GREY16, Rows=0))
    yield BadFile("broken-header.npy", patched(npy(GREY16), 12, b"((((((((("))
    yield BadFile("broken.webp", patched(saved("WEBP", lossless=True), 20, bytes(40)))
    yield BadFile("broken.jp2", patched(jp2(), jp2().index(b"\xff\x4f\xff\x51") + 40, b"\xff\xff"))


def promising(description: str) -> bytes:
    """A TIFF of one page whose notes speak of other things."""
    return tiff(GREY16, description=description, metadata=None, software="tifffile.py")


def oversized() -> bytes:
    """A TIFF of two pages, whose parts are JPEG streams that claim billions of pixels."""
    data = tiff(np.stack([RGB, RGB]), photometric="rgb", compression="jpeg", metadata=None)
    for place in [found.start() for found in re.finditer(b"\xff[\xc0\xc2]\x00\x11", data)]:
        data = patched(data, place + 5, struct.pack(">HH", 65_000, 65_000))
    return data


def broken_page(stack: bytes) -> bytes:
    with tifffile.TiffFile(io.BytesIO(stack)) as file:
        start, length = file.pages[1].dataoffsets[0], file.pages[1].databytecounts[0]
    return patched(stack, start, bytes([255]) * length)


def without_pixels(folder: Path) -> bytes:
    data = dicom(folder, GREY16)
    return data[: data.index(b"\xe0\x7f\x10\x00")]


def archives() -> Iterator[BadFile]:
    png = saved("PNG")
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    odd_name = f"{'long' * 75}.png"
    whole = packed(("a.png", png), ("b.png", saved("BMP")))
    yield fine("leads-out.zip", packed(("../../leads-out.png", png), ("fine.png", png)), lines=1)
    yield BadFile("absolute.zip", packed(("/tmp/absolute.png", png)))
    yield BadFile("drive.zip", packed(("C:\\windows\\drive.png", png)))
    yield BadFile("link.zip", packed((link, b"/etc/passwd")))
    yield fine("twice.zip", packed(("a.png", png), ("a.png", saved("BMP"))), lines=1)
    yield fine("odd-names.zip", packed(("a\x07\x1b[31m.png", png), (odd_name, saved("BMP"))), images=2)
    yield BadFile("nested.zip", packed(("inner.zip", packed(("a.png", png)))))
    yield BadFile("encrypted.zip", patched(packed(("a.png", png)), packed(("a.png", png)).index(b"PK\1\2") + 8, b"\1"))
    yield BadFile("bomb.zip", packed(*((f"{number}.bmp", bytes(20_000_000)) for number in range(3))))
    yield BadFile("nothing.zip", packed())
    yield BadFile("no-images.zip", packed(("readme.txt", b"hello"), ("x.png/", b"")))
    yield BadFile("really-text.zip", b"PK\3\4 is what a zip file begins with")
    yield BadFile("cut-0.5.zip", whole[: len(whole) // 2])
    yield fine("damaged.zip", patched(whole, 300, bytes(50)), lines=1)


def corpus(folder: Path) -> Iterator[BadFile]:
    """All of it; `folder` is for scratch files."""
    yield from images_cut_short(folder)
    yield from images_that_are_something_else()
    yield from images_too_large(folder)
    yield from unusual_images(folder)
    yield from damaged_images(folder)
    yield from archives()


def main(folder: Path, *, imports: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for bad in corpus(folder):
        (folder / bad.name).write_bytes(bad.data)
    (folder / "scratch").unlink()
    if not imports:
        return
    import resource

    from fcnlab.errors import FcnlabError
    from fcnlab.lab import open_lab
    from fcnlab.services.images.import_sources import import_path
    from fcnlab.services.projects.projects import create_project
    from fcnlab.settings import Settings

    lab = open_lab(Settings(data_dir=folder / "data", device="cpu", demo=False, max_pixels=20_000_000))
    project = create_project(lab, name="corpus")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        try:
            for step in import_path(lab, path, project_id=project.id, allow_anywhere=True):
                print(f"{path.name}: {step.refused or 'comes in'}", file=sys.stderr)
        except FcnlabError as refusal:
            print(f"{path.name}: {refusal}", file=sys.stderr)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    lab.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), imports="--import" in sys.argv)
