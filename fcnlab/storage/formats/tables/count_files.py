"""What was counted, as files: a table of counts, a table of objects, and COCO keypoints."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count as numbers
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from fcnlab.domain.counting import ClassCount, FoundObject
from fcnlab.domain.project import ClassLabel
from fcnlab.storage.files.whole_files import written_whole
from fcnlab.storage.formats.tables.table import csv_lines
from fcnlab.storage.formats.writing import category_ids

COUNT_COLUMNS = (
    "image",
    "class_id",
    "class",
    "count",
    "low",
    "high",
    "marked",
    "all_marked",
    "predicted",
    "learned_from",
)
OBJECT_COLUMNS = ("image", "number", "row", "col", "class_id", "class", "size", "score", "source")
KEYPOINT = "centre"
COPIED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class CountedImage:
    """One image with what was counted in it.

    Attributes:
        name, hw: of the image; height and width at full size.
        counts: one per object class.
        objects: in reading order, numbered from 1 in the files.
        predicted: by class id, what a counter says of the image; classes it says nothing of are left out.
        is_seen: the counter learned from points of this image, so that its count there proves nothing.
        is_calibrated: the counter was calibrated and chosen by this image, so that its count there proves little.
    """

    name: str
    hw: tuple[int, int]
    counts: tuple[ClassCount, ...]
    objects: tuple[FoundObject, ...] = ()
    predicted: Mapping[int, float] = field(default_factory=dict)
    is_seen: bool = False
    is_calibrated: bool = False


class CountFiles:
    """Takes counted images one at a time; `count_files` makes one, and its files are there when that ends."""

    def __init__(
        self,
        names: Mapping[int, str],
        *,
        counts: BinaryIO | None,
        objects: BinaryIO | None,
        keypoints: _Keypoints | None,
    ) -> None:
        self._names = names
        self._counts, self._objects, self._keypoints = counts, objects, keypoints

    def add(self, image: CountedImage) -> None:
        """Write an image to every file asked for."""
        if self._counts is not None:
            self._counts.write(csv_lines(_count_row(image, class_count, self._names) for class_count in image.counts))
        if self._objects is not None:
            self._objects.write(csv_lines(_object_rows(image, self._names)))
        if self._keypoints is not None:
            self._keypoints.add(image)


@contextmanager
def count_files(
    classes: Sequence[ClassLabel],
    *,
    title: str,
    counts: Path | None = None,
    objects: Path | None = None,
    keypoints: Path | None = None,
) -> Iterator[CountFiles]:
    """Files of what was counted, written whole when the block ends without an error; memory stays flat.

    Args:
        classes: of the project, the background first; it is in no file.
        title: of the project or counter, for the description in the COCO file.
        counts: one line per image and object class. `count` is the number of points where all objects are marked, and
            what the counter says elsewhere. `predicted` is what it says anywhere, as if nothing were marked in the
            image where all is; `learned_from` says whether the counter learned from the points of the image: yes,
            no, or `calibrated` for one that was held out and decided about thresholds, weights and the objective.
        objects: one line per object; row and column of its centre at full size.
        keypoints: COCO JSON, one annotation per object with the single keypoint "centre". Box and area are those of
            its blob, or of a square as large as the object where no blob is known.

    Raises:
        OSError: a file cannot be written.
    """
    names = {label.id: label.name for label in classes}
    with ExitStack() as stack:
        files = [None if path is None else stack.enter_context(written_whole(path)) for path in (counts, objects)]
        for file, columns in zip(files, (COUNT_COLUMNS, OBJECT_COLUMNS), strict=True):
            if file is not None:
                file.write(csv_lines([columns]))
        writer = None
        if keypoints is not None:
            target = stack.enter_context(written_whole(keypoints))
            writer = _Keypoints(target, stack.enter_context(TemporaryFile()), classes[1:], title)
        yield CountFiles(names, counts=files[0], objects=files[1], keypoints=writer)
        if writer is not None:
            writer.finish()


class _Keypoints:
    """Images go to the file at once, annotations wait on the disk: COCO wants all of the former first."""

    def __init__(self, target: BinaryIO, waiting: Any, classes: Sequence[ClassLabel], title: str) -> None:
        self._target, self._waiting = target, waiting
        self._image_ids, self._annotation_ids = numbers(1), numbers(1)
        self._ids = category_ids(classes)
        categories = [
            {"id": self._ids[label.id], "name": label.name, "keypoints": [KEYPOINT], "skeleton": []}
            for label in classes
        ]
        head = {"info": {"description": title}, "licenses": [], "categories": categories}
        target.write(_json(head)[:-1] + b',\n"images":[')

    def add(self, image: CountedImage) -> None:
        image_id = next(self._image_ids)
        about = {"id": image_id, "file_name": image.name, "height": image.hw[0], "width": image.hw[1]}
        self._target.write((b"\n" if image_id == 1 else b",\n") + _json(about))
        for found_object in image.objects:
            annotation_id = next(self._annotation_ids)
            line = _json(_annotation(annotation_id, image_id, self._ids[found_object.class_id], found_object, image.hw))
            self._waiting.write((b"\n" if annotation_id == 1 else b",\n") + line)

    def finish(self) -> None:
        self._target.write(b'\n],\n"annotations":[')
        self._waiting.seek(0)
        while block := self._waiting.read(COPIED_BYTES):
            self._target.write(block)
        self._target.write(b"\n]}\n")


def _annotation(
    annotation_id: int, image_id: int, category_id: int, found_object: FoundObject, hw: tuple[int, int]
) -> dict[str, Any]:
    top, left, height, width = _box(found_object, hw)
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": category_id,
        "iscrowd": 0,
        "area": round(found_object.size or height * width, 2),
        "bbox": [round(value, 2) for value in (left, top, width, height)],
        "keypoints": [round(found_object.col, 2), round(found_object.row, 2), 2],
        "num_keypoints": 1,
        "score": round(found_object.score, 4),
    }


def _box(found_object: FoundObject, hw: tuple[int, int]) -> tuple[float, float, float, float]:
    """Top, left, height, width of the blob; else of a square of its size round its centre, cut to the image."""
    if found_object.box is not None:
        return found_object.box
    half = math.sqrt(max(found_object.size, 1.0)) / 2
    top, left = max(0.0, found_object.row + 0.5 - half), max(0.0, found_object.col + 0.5 - half)
    return top, left, min(hw[0], found_object.row + 0.5 + half) - top, min(hw[1], found_object.col + 0.5 + half) - left


def _count_row(image: CountedImage, class_count: ClassCount, names: Mapping[int, str]) -> tuple[object, ...]:
    count_and_bounds = (
        (class_count.marked,) * 3
        if class_count.is_exact
        else (_rounded(class_count.count), _rounded(class_count.low), _rounded(class_count.high))
    )
    name, predicted = names.get(class_count.class_id, ""), _rounded(image.predicted.get(class_count.class_id))
    learned = "calibrated" if image.is_calibrated and not image.is_seen else _word(image.is_seen)
    return (
        image.name,
        class_count.class_id,
        name,
        *count_and_bounds,
        class_count.marked,
        _word(class_count.is_exact),
        predicted,
        learned,
    )


def _object_rows(image: CountedImage, names: Mapping[int, str]) -> Iterator[tuple[object, ...]]:
    for number, found_object in enumerate(image.objects, start=1):
        yield (
            image.name,
            number,
            _rounded(found_object.row),
            _rounded(found_object.col),
            found_object.class_id,
            names.get(found_object.class_id, ""),
            _rounded(found_object.size),
            round(found_object.score, 4),
            "marked" if found_object.is_marked else "predicted",
        )


def _word(is_so: bool) -> str:
    return "yes" if is_so else "no"


def _rounded(value: float | None) -> float | int | str:
    """At most two decimals, none where there are none; empty where nothing is known."""
    if value is None:
        return ""
    short = round(value, 2)
    return int(short) if short == int(short) else short


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
