"""Label Studio: a list of tasks with brush masks, and the labelling interface they fit."""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.export import EMBEDDED, PICTURES
from fcnlab.errors import ExportFailed
from fcnlab.storage.formats.colour_png import colour_png
from fcnlab.storage.formats.format import (
    Assembly,
    ExportedImage,
    Line,
    Region,
    Spooled,
    Subject,
    WholeFile,
)

FROM_NAME, TO_NAME = "tag", "image"
CHANNELS = 4
"""Brush masks are pictures with red, green, blue and opacity, all alike here."""

SIZE_BITS = (3, 4, 8, 16)
"""How many bits the length of a run may have; two bits say which."""

WORD_BITS = 8

SHOWN = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"})
"""Endings of files that browsers show."""

BIT_DEPTH_AT = 24
"""Where a PNG file says how many bits a value has; of 16 bits browsers show the upper 8, whatever they hold."""


@dataclass(frozen=True, slots=True)
class LabelStudio:
    """One task per image with one annotation, a brush mask per region; `data.image` says where its picture is.

    Args:
        subject: what is exported.
        prefix: of the address of every picture, before its name; EMBEDDED: the pictures are in the tasks.
        has_pictures: whether the pictures are written to `images`, for the prefix LOCAL_FILES to find them.
    """

    subject: Subject
    prefix: str = ""
    has_pictures: bool = False

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile | Line]:
        """The task, and the picture it shows."""
        address = f"{self.prefix}{quote(image.name) if self.prefix else image.name}"
        if self.prefix == EMBEDDED:
            ending, picture = shown_picture(image)
            kind = mimetypes.types_map[ending]
            address = f"data:{kind};base64,{base64.b64encode(picture).decode()}"
        elif self.has_pictures:
            ending, picture = shown_picture(image)
            address = f"{self.prefix}{quote(image.place + ending)}"
            yield WholeFile(f"label_studio/{PICTURES}{image.place}{ending}", picture)
        data = {"image": address, **({"split": image.split} if image.split else {})}
        result = [self._result(image, region, place) for place, region in enumerate(image.regions, start=1)]
        task = {"id": image.number, "data": data, "annotations": [{"id": image.number, "result": result}]}
        yield Line("label-studio", json.dumps(task, ensure_ascii=False, separators=(",", ":")).encode())

    def of_all(self) -> Iterator[Assembly]:
        """The tasks, and the interface."""
        yield Assembly("label_studio/tasks.json", (b"[\n", Spooled("label-studio", b","), b"]\n"))
        labels = "".join(
            f"    <Label value={quoteattr(label.name)} background={quoteattr(label.colour)}/>\n"
            for label in self.subject.objects()
        )
        interface = (
            f'<View>\n  <Image name="{TO_NAME}" value="$image" zoom="true"/>\n'
            f'  <BrushLabels name="{FROM_NAME}" toName="{TO_NAME}">\n{labels}  </BrushLabels>\n</View>\n'
        )
        yield Assembly("label_studio/interface.xml", (interface.encode(),))

    def _result(self, image: ExportedImage, region: Region, place: int) -> dict[str, Any]:
        return {
            "id": f"{image.number}-{place}",
            "type": "brushlabels",
            "from_name": FROM_NAME,
            "to_name": TO_NAME,
            "original_width": image.width,
            "original_height": image.height,
            "image_rotation": 0,
            "value": {
                "format": "rle",
                "rle": brush_rle(region.row_runs).tolist(),
                "brushlabels": [self.subject.name_of(region.class_id)],
            },
        }


def shown_picture(image: ExportedImage) -> tuple[str, bytes]:
    """Ending and content of a file that a browser shows like the picture: the original, or a PNG of the picture.

    Raises:
        ExportFailed, ImportRefused: the original is gone.
    """
    original = image.original()
    ending = original.suffix.lower()
    if ending in SHOWN:
        try:
            data = original.read_bytes()
        except OSError as failure:
            raise ExportFailed(f"the original of {image.name} cannot be read ({failure.strerror})") from failure
        if ending != ".png" or data[BIT_DEPTH_AT : BIT_DEPTH_AT + 1] <= bytes([WORD_BITS]):
            return ending, data
    return ".png", colour_png(image.picture())


def brush_rle(row_runs: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The bytes of a brush mask: 255 inside, 0 outside, for each of four channels.

    Bits, the highest first: how many values there are (32), bits of a value less one (5), the four lengths of a length
    less one (4 each). Then runs: 1, which length of a length (2), length less one, value. See "Brush RLE" in Label
    Studio's documentation, and the encoding of thi.ng/rle-pack that it names.

    Args:
        row_runs: lengths of pixels outside and inside by turns, row by row, outside first.

    Raises:
        ExportFailed: more pixels than the format can count.
    """
    lengths = row_runs * CHANNELS
    values = np.where(np.arange(len(lengths)) % 2 == 1, 255, 0)
    lengths, values = lengths[lengths > 0], values[lengths > 0]
    most = 1 << SIZE_BITS[-1]
    parts = -(-lengths // most)
    rest = lengths - (parts - 1) * most
    split = np.full(int(parts.sum()), most, np.int64)
    split[np.cumsum(parts) - 1] = rest
    values = np.repeat(values, parts)
    total = int(lengths.sum())
    if total >= 1 << 32:
        raise ExportFailed(f"Label Studio's brush masks end at {(1 << 32) // CHANNELS} pixels: choose another format")
    head = [(total, 32), (WORD_BITS - 1, 5), *((bits - 1, 4) for bits in SIZE_BITS)]
    bits = [_bits(number, width) for number, width in head]
    which = np.searchsorted([1 << width for width in SIZE_BITS], split)
    for length, value, size in zip(split.tolist(), values.tolist(), which.tolist(), strict=True):
        width = 1 + 2 + SIZE_BITS[size] + WORD_BITS
        number = (((1 << 2 | size) << SIZE_BITS[size] | (length - 1)) << WORD_BITS) | value
        bits.append(_bits(number, width))
    return np.packbits(np.frombuffer("".join(bits).encode(), np.uint8) - ord("0"))


def _bits(number: int, width: int) -> str:
    return f"{number:0{width}b}"
