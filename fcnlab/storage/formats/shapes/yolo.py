"""YOLO segmentation: a text file per image with a line per object, and data.yaml, as Ultralytics reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from fcnlab.domain.project import IGNORE
from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.format import SHAPES, FileClue, FolderClue, Format, Need
from fcnlab.storage.formats.masks.originals import Originals
from fcnlab.storage.formats.reading.label_tables import BESIDE, find_table, key_point_columns, read_table
from fcnlab.storage.formats.reading.labelled import LabelledImage, LabelSource, UnreadLabels
from fcnlab.storage.formats.reading.mask_files import files_below
from fcnlab.storage.formats.reading.shapes import (
    UNKNOWN_PIXELS,
    Marks,
    Polygon,
    ShapeClasses,
    box,
    polygon,
    shape_classes,
)
from fcnlab.storage.formats.reading.values import ReadOptions, number, read_text, whole
from fcnlab.storage.formats.writing import Assembly, ExportedImage, Subject, WholeFile

NO_LABELS = frozenset(
    {
        *(name for name in BESIDE if name.endswith(".txt")),
        *("train.txt", "val.txt", "valid.txt", "validation.txt", "test.txt"),
        *("readme.txt", "readme.dataset.txt", "readme.roboflow.txt"),
    }
)
"""Text files that are no labels, unless they begin as labels do."""

FOLDER = "labels"
PEEK_CHARS = 1000
MOST_FILES = 5
"""So many files are looked at for a guess."""

LEAST, MOST = -0.5, 1.5
"""Coordinates beyond these are no shares of a width or height: they count pixels, or belong to something else."""


def read_yolo(path: Path, options: ReadOptions) -> LabelSource:
    """The text files in a folder: `class x y x y ...` is a polygon, `class x y width height` a box about its middle.

    Behind a box may stand key points, as data.yaml says or as their visibilities show, and behind both the number of a
    track. Classes are named by data.yaml, classes.txt or CVAT's obj.names, beside the labels or above them. `path` may
    be that data.yaml. An empty file says that its image shows nothing.

    Raises:
        ImportRefused: no text files, or nothing names the classes.
    """
    folder = path if path.is_dir() else path.parent
    files = label_files(folder) if path.is_dir() or path.suffix.lower() != ".txt" else [path]
    if not files:
        raise ImportRefused(f"{folder.name} holds no YOLO labels: no file ends in .txt")
    named = path if path.suffix.lower() in (".yaml", ".yml") else None
    table = options.table or named or find_table(folder)
    if table is None:
        raise ImportRefused(
            f"nothing names the classes of {folder.name}: put data.yaml or classes.txt beside the labels"
        )
    by_value = dict(sorted(read_table(table).by_value.items()))
    classes = shape_classes(by_value.values(), rest=options.rest)
    class_indices = {value: classes.class_indices[file_class.name] for value, file_class in by_value.items()}
    n_columns = key_point_columns(folder, table)

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for file in files:
            name = image_name(file, folder)
            try:
                yield _image(file, name, classes, class_indices, n_columns)
            except ImportRefused as refusal:
                yield UnreadLabels(name, str(refusal))

    return LabelSource(classes.classes, len(files), read)


def label_files(folder: Path) -> list[Path]:
    """The text files in a folder that may hold labels."""
    files = files_below(folder, (".txt",))
    return [file for file in files if file.name.lower() not in NO_LABELS or begins_with_label(file)]


def begins_with_label(file: Path) -> bool:
    """Whether the first line of a text file is a class and coordinates."""
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as lines:
            words = _words(lines.read(PEEK_CHARS).lstrip().partition("\n")[0])
    except OSError:
        return False
    is_class = len(words) >= 5 and re.fullmatch(r"\d+(\.0*)?", words[0]) is not None
    return is_class and all(re.fullmatch(r"-?[\d.]+(e-?\d+)?", word) for word in words[1:5])


def image_name(file: Path, folder: Path) -> str:
    """The path of the image below the folder, without an ending; `labels` stands where `images` does."""
    parts = file.relative_to(folder).with_suffix("").parts
    return "/".join(part for position, part in enumerate(parts) if part != FOLDER or position == len(parts) - 1)


def _words(line: str) -> list[str]:
    """The numbers of a line, which blanks or commas part; commas in all of them stand for points."""
    words = line.split()
    if len(words) >= 5 and all(re.fullmatch(r"-?\d+,\d+", word) for word in words[1:]):
        return [word.replace(",", ".") for word in words]
    return [word for word in re.split(r"[\s,]+", line.strip()) if word]


def _image(
    file: Path, name: str, classes: ShapeClasses, class_indices: Mapping[int, int], n_columns: int
) -> LabelledImage:
    lines = [
        (f"{file.name}, line {count}", words)
        for count, line in enumerate(read_text(file).splitlines(), start=1)
        if (words := _words(line))
    ]
    if not lines:  # which says that nothing is there
        return LabelledImage(name, None, partial(np.full, fill_value=classes.ground, dtype=np.uint8))
    marks = Marks(name, None, classes, in_shares=True)
    for what, words in lines:
        value = whole(words[0], f"the class in {what}")
        if value not in class_indices:
            marks.notes.add(
                f"{what} is of class {value}; the table of classes ends at {max(class_indices)}: {UNKNOWN_PIXELS}"
            )
        coordinates = [number(word, f"a coordinate in {what}") for word in words[1:]]
        strange = next((coordinate for coordinate in coordinates[:4] if not LEAST <= coordinate <= MOST), None)
        if strange is not None:
            raise ImportRefused(
                f"{what} has the coordinate {strange:g}, far outside its image: wanted shares of width and height, "
                "from 0 to 1"
            )
        with marks.dropping():
            marks.add(_shape(class_indices.get(value, IGNORE), coordinates, words, what, n_columns))
    return marks.image()


def _shape(class_index: int, coordinates: Sequence[float], words: Sequence[str], what: str, n_columns: int) -> Polygon:
    """The box or polygon of a line, without what follows it. Raises ImportRefused, NoArea."""
    count, has_track = len(coordinates), re.fullmatch(r"[1-9]\d*", words[-1]) is not None
    if n_columns and count not in (4, 4 + n_columns, 5 + n_columns, 6 + n_columns):
        raise ImportRefused(f"{what} has {count} coordinates: wanted 4 for a box, and {n_columns} of key points")
    is_tracked_box = has_track and (count == 5 or (count == 6 and coordinates[-1] >= 2 and 0 <= coordinates[4] <= 1))
    if n_columns or count == 4 or is_tracked_box or _has_visibilities(coordinates):
        x, y, width, height = coordinates[:4]
        return box(class_index, x - width / 2, y - height / 2, x + width / 2, y + height / 2, what)
    if count % 2 and count > 6 and has_track and coordinates[-1] >= 2:
        return polygon(class_index, coordinates[:-1], what)
    if count % 2 or count < 6:
        raise ImportRefused(f"{what} has {count} coordinates: wanted 4 for a box, or 3 pairs and more")
    strange = next((coordinate for coordinate in coordinates if not LEAST <= coordinate <= MOST), None)
    if strange is not None:
        raise ImportRefused(f"{what} has the coordinate {strange:g}, far outside its image")
    return polygon(class_index, coordinates, what)


def _has_visibilities(coordinates: Sequence[float]) -> bool:
    """Whether triples x, y and visibility (0, 1 or 2) follow a box, and cannot be corners."""
    seen = coordinates[6::3]
    is_triples = (
        len(coordinates) > 6 and (len(coordinates) - 4) % 3 == 0 and all(visibility in (0, 1, 2) for visibility in seen)
    )
    return is_triples and (2 in seen or len(coordinates) % 2 == 1)


DIGITS = 7
"""Behind the point: outlines keep half a pixel of distance from every centre, so this is exact for any image."""

_MISLEADING = re.compile(r"(images|labels)_*", re.IGNORECASE)


def yolo_place(image: ExportedImage) -> str:
    """The path of an image and its labels, with an underscore behind folders that are called images or labels.

    Ultralytics finds labels by the last folder of a path called images, which must be the one above all splits.
    """
    *folders, file = image.place.split("/")
    return "/".join([*(f"{folder}_" if _MISLEADING.fullmatch(folder) else folder for folder in folders), file])


@dataclass(frozen=True, slots=True)
class Yolo:
    """`labels/` beside the folder `images/` that the images go to; classes are numbered from 0 without background.

    A region in several pieces has a line for each; holes are joined to the outer ring. Empty files stand for images
    without a region.
    """

    subject: Subject

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """The regions of the image as a text file."""
        class_indices = {label.id: class_index for class_index, label in enumerate(self.subject.objects())}
        lines = []
        for region in image.regions:
            for ring in region.rings:
                shares = ring[:, ::-1] / (image.width, image.height)
                lines.append(
                    f"{class_indices[region.class_id]} {' '.join(_short(share) for share in shares.ravel().tolist())}\n"
                )
        yield WholeFile(f"yolo/labels/{yolo_place(image)}.txt", "".join(lines).encode())

    def of_all(self) -> Iterator[Assembly]:
        """data.yaml; images that are not split are for training and validation alike."""
        splits = {split: f"images/{split}" for split in self.subject.splits}
        if "train" not in splits:
            splits["train"] = "images"
        splits.setdefault("val", splits["train"])
        lines = [*(f"{split}: {folder}" for split, folder in splits.items()), "names:"]
        names = (label.name for label in self.subject.objects())
        lines += [f"  {class_index}: {json.dumps(name, ensure_ascii=False)}" for class_index, name in enumerate(names)]
        yield Assembly("yolo/data.yaml", (("\n".join(lines) + "\n").encode(),))


def _short(share: float) -> str:
    return f"{share:.{DIGITS}f}".rstrip("0").rstrip(".")


def _find_labels(folder: Path) -> Path | None:
    """The folder, when its text files begin with labels.

    Empty files say that an image shows nothing; where all of them are, a table of YOLO's beside them decides.
    """
    files = label_files(folder)
    filled = list(islice((file for file in files if file.stat().st_size), MOST_FILES))
    if filled or not files:
        return folder if any(begins_with_label(file) for file in filled) else None
    return folder if (folder / "data.yaml").is_file() else None


FORMATS = (
    Format(
        "yolo",
        "YOLO",
        "text files with polygons, and data.yaml",
        SHAPES,
        220,
        needs=frozenset({Need.MASK, Need.REGIONS}),
        write=lambda options: Yolo(options.subject),
        pictures=lambda: Originals("yolo/images", yolo_place),
        trains_from="yolo/images",
        read=read_yolo,
        read_title="YOLO text files",
        clues=(FileClue((".txt", ".yaml", ".yml"), holds="image", in_folders=False), FolderClue(60, _find_labels)),
    ),
)
