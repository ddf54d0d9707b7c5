"""Images written in several formats at once, into a zip file or a folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from fcnlab.errors import ExportFailed
from fcnlab.storage.exports.spools import Spools
from fcnlab.storage.formats.format import ExportedImage, Format, Line, WholeFile


class Target(Protocol):
    """Where files go; names are paths with "/"."""

    def add(self, name: str, data: bytes) -> str:
        """Write one file; returns the SHA-256 of its content."""
        ...

    def add_stream(self, name: str, blocks: Iterable[bytes]) -> str:
        """Write one file of any length; returns the SHA-256 of its content."""
        ...


class DatasetWriter:
    """Writes each image in all formats, then the files about all of them."""

    def __init__(self, target: Target, spools: Spools, formats: Sequence[Format]) -> None:
        self._target, self._spools, self._formats = target, spools, formats
        self._names: set[str] = set()

    def add(self, image: ExportedImage) -> dict[str, str]:
        """Write an image; the content hashes of its own files by name.

        Nothing of it reaches the spools when a format fails.

        Raises:
            ExportFailed: a format calls a file of it like one of an image before.
        """
        made = [part for one in self._formats for part in one.of_image(image)]
        names = {part.name.casefold(): part.name for part in made if isinstance(part, WholeFile)}
        taken = sorted(names[one] for one in names.keys() & self._names)
        if taken:
            raise ExportFailed(f"{taken[0]} was written for another image already: rename {image.name}")
        self._names |= names.keys()
        files = {}
        for part in made:
            if isinstance(part, Line):
                self._spools.add(part)
            else:
                files[part.name] = self._target.add(part.name, part.data)
        return files

    def finish(self) -> dict[str, str]:
        """Write the files about all images; their content hashes by name."""
        return {
            assembly.name: self._target.add_stream(assembly.name, self._spools.assembled(assembly))
            for one in self._formats
            for assembly in one.of_all()
        }
