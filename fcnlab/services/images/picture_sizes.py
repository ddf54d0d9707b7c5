"""Sizes of images in a folder, for labels that do not say them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from fcnlab.errors import ImportRefused
from fcnlab.services.images.importing import clean_file_name
from fcnlab.services.labels.label_names import ImageNames
from fcnlab.storage.formats.reading.mask_files import files_below
from fcnlab.storage.image_readers.registry import SUFFIXES, open_image

LABELS = "labels"
MOST_PIXELS = 2_000_000_000


class PictureSizes:
    """Sizes of images in a folder, looked up by the names that labels give them.

    Args:
        folder: the images; None when nobody named one.
        labels: the label file or folder, beside or in which images may lie whose labels say no size.
    """

    def __init__(self, folder: Path | None, labels: Path) -> None:
        self._is_named = folder is not None
        self._folder = folder or _data_set_of(labels)

    @cached_property
    def _files(self) -> list[Path]:
        return files_below(self._folder, tuple(SUFFIXES))

    @cached_property
    def _names(self) -> ImageNames:
        names = [file.relative_to(self._folder).as_posix() for file in self._files]
        return ImageNames((name, place, (0, 0)) for place, name in enumerate(names))

    def named_hw(self, name: str, hw: tuple[int, int] | None) -> tuple[str, tuple[int, int]]:
        """The name and size of an image, from its file where there is one. Raises ImportRefused: no size is known."""
        if (not self._is_named and hw is not None) or not self._files:
            if hw is None:
                raise ImportRefused(
                    "the labels do not say how large the image is: name the folder of images (--images)"
                )
            if hw[0] * hw[1] > MOST_PIXELS:
                raise ImportRefused(f"{hw[1]} x {hw[0]} pixels are more than any mask may have")
            return clean_file_name(name), hw
        known = self._names.find(name)
        with open_image(self._files[known.id], name=known.name, max_pixels=MOST_PIXELS) as source:
            found = source.header.hw
        if hw is not None and hw != found:
            raise ImportRefused(
                f"the labels are for {hw[1]} x {hw[0]} pixels, {known.name} has {found[1]} x {found[0]}"
            )
        return known.name, found


def _data_set_of(labels: Path) -> Path:
    """The folder in which the images of labels may lie: `images` beside `labels`."""
    folder = labels if labels.is_dir() else labels.parent
    return next((one.parent for one in (folder, *folder.parents) if one.name == LABELS), folder)
