"""The images themselves, beside their masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from fcnlab.errors import ExportFailed
from fcnlab.storage.formats.format import MASKS, Format, Need
from fcnlab.storage.formats.writing import ExportedImage, PerImageWriter, WholeFile


@dataclass(frozen=True, slots=True)
class Originals(PerImageWriter):
    """Copies of the files that images were made from, called like their masks; EXIF turns are left to their readers."""

    folder: str
    stem_of: Callable[[ExportedImage], str] = attrgetter("place")

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """The file that the image was made from. Raises ExportFailed, ImportRefused: it is gone."""
        path = image.original()
        try:
            data = path.read_bytes()
        except OSError as failure:
            raise ExportFailed(f"the original of {image.name} cannot be read ({failure.strerror})") from failure
        yield WholeFile(f"{self.folder}/{self.stem_of(image)}{path.suffix.lower()}", data)


FORMATS = (
    Format(
        "images",
        "Images",
        "the originals as they were imported; for YOLO and Cityscapes beside the labels",
        MASKS,
        195,
        needs=frozenset({Need.ORIGINAL}),
        write=lambda _: Originals("images"),
    ),
)
