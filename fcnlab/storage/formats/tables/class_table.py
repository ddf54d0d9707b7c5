"""The classes behind the numbers in masks, for exports without a manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from fcnlab.storage.formats.writing import Assembly, ExportedImage, Subject, WholeFile


@dataclass(frozen=True, slots=True)
class ClassTable:
    """classes.json: id, name and colour of every class."""

    subject: Subject
    folder: str = ""

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """No file: the table is the same for all images."""
        del image
        return iter(())

    def of_all(self) -> Iterator[Assembly]:
        """The file classes.json."""
        classes = [{"id": label.id, "name": label.name, "colour": label.colour} for label in self.subject.named()]
        data = json.dumps(classes, ensure_ascii=False, indent=1).encode()
        yield Assembly(f"{self.folder}classes.json", (data, b"\n"))
