"""What an export is asked to hold: values, free of any library."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal

from fcnlab.errors import ExportFailed
from fcnlab.validation import check_fields


class ExportFormat(StrEnum):
    """What an export can hold."""

    INDEX = "index"
    COLOUR = "colour"
    BINARY = "binary"
    INSTANCES = "instances"
    TIFF = "tiff"
    NUMPY = "numpy"
    PROBABILITIES = "probabilities"
    PROBABILITIES_NPZ = "probabilities-npz"
    OVERLAY = "overlay"
    IMAGES = "images"
    COCO = "coco"
    COCO_RLE = "coco-rle"
    YOLO = "yolo"
    VOC = "voc"
    CITYSCAPES = "cityscapes"
    LABELME = "labelme"
    CVAT = "cvat"
    LABEL_STUDIO = "labelstudio"
    ROOT_PAINTER = "rootpainter"
    GEOJSON = "geojson"
    SVG = "svg"
    POINTS = "points"
    POINTS_JSON = "points-json"
    MEASUREMENTS = "measurements"


FORMAT_WORDS = {
    ExportFormat.INDEX: ("Index PNG", "pixel value = class id, shown in class colours"),
    ExportFormat.COLOUR: ("Colour PNG", "every pixel in the colour of its class"),
    ExportFormat.BINARY: ("Binary PNG", "black and white, a file per class"),
    ExportFormat.INSTANCES: ("Instance PNG", "16 bits, pixel value = number of the connected part"),
    ExportFormat.TIFF: ("TIFF", "pixel value = class id; keeps the place of a GeoTIFF on the map"),
    ExportFormat.NUMPY: ("NumPy", "an array of class ids per image"),
    ExportFormat.PROBABILITIES: ("Probability PNG", "16 bits, a file per class"),
    ExportFormat.PROBABILITIES_NPZ: ("Probability NPZ", "NumPy arrays, all classes in one file"),
    ExportFormat.OVERLAY: ("Overlay JPEG", "the image under its tinted mask"),
    ExportFormat.IMAGES: ("Images", "the originals as they were imported; for YOLO and Cityscapes beside the labels"),
    ExportFormat.COCO: ("COCO", "one JSON file with polygons"),
    ExportFormat.COCO_RLE: ("COCO RLE", "one JSON file with run lengths"),
    ExportFormat.YOLO: ("YOLO", "text files with polygons, and data.yaml"),
    ExportFormat.VOC: ("Pascal VOC", "palette PNG, labelmap.txt and lists of images"),
    ExportFormat.CITYSCAPES: ("Cityscapes", "label and instance ids, colours, polygons"),
    ExportFormat.LABELME: ("LabelMe", "a JSON file per image, with masks"),
    ExportFormat.CVAT: ("CVAT", "XML 1.1 for images"),
    ExportFormat.LABEL_STUDIO: ("Label Studio", "tasks with brush masks, and their pictures"),
    ExportFormat.ROOT_PAINTER: ("RootPainter", "annotations as PNG"),
    ExportFormat.GEOJSON: ("GeoJSON", "shapes, on the map for a GeoTIFF"),
    ExportFormat.SVG: ("SVG", "outlines to draw with"),
    ExportFormat.POINTS: ("Points CSV", "one line per labelled pixel"),
    ExportFormat.POINTS_JSON: ("Points JSON", "labelled pixels of each image"),
    ExportFormat.MEASUREMENTS: ("Measurements CSV", "area, perimeter, centre, brightness of each region"),
}
"""What a format is called, and what it is."""

_ALL = tuple(ExportFormat)

GROUPS = {
    "Masks and pictures": _ALL[: _ALL.index(ExportFormat.COCO)],
    "Shapes and other tools": _ALL[_ALL.index(ExportFormat.COCO) : _ALL.index(ExportFormat.POINTS)],
    "Tables": _ALL[_ALL.index(ExportFormat.POINTS) :],
}
"""The formats as people look for them."""

REGION_FORMATS = frozenset(
    {
        ExportFormat.INSTANCES,
        ExportFormat.COCO,
        ExportFormat.COCO_RLE,
        ExportFormat.YOLO,
        ExportFormat.CITYSCAPES,
        ExportFormat.LABELME,
        ExportFormat.CVAT,
        ExportFormat.LABEL_STUDIO,
        ExportFormat.GEOJSON,
        ExportFormat.SVG,
        ExportFormat.MEASUREMENTS,
    }
)
"""Formats that are written region by region."""

NUMBERED_FORMATS = frozenset({ExportFormat.INDEX, ExportFormat.COLOUR, ExportFormat.TIFF, ExportFormat.NUMPY})
"""Masks whose values stand for classes, which a table has to name."""

PROBABILITY_FORMATS = frozenset({ExportFormat.PROBABILITIES, ExportFormat.PROBABILITIES_NPZ})

MASK_FORMATS = tuple(
    one
    for one in _ALL
    if one not in PROBABILITY_FORMATS
    and one not in {ExportFormat.OVERLAY, ExportFormat.IMAGES, ExportFormat.MEASUREMENTS}
    and one not in {ExportFormat.POINTS, ExportFormat.POINTS_JSON}
)
"""Formats that need nothing but masks."""

CONVERTED = (*MASK_FORMATS, ExportFormat.POINTS)
"""Formats that need nothing but masks and points: what labels of other tools can become."""

DEFAULT_FORMATS = (ExportFormat.INDEX, ExportFormat.OVERLAY, ExportFormat.POINTS)

SPLIT_NAMES = ("train", "val", "test")

MOST_BORDER = 20
"""Widest border of Pascal VOC masks; VOC itself has 5 pixels in all."""

PICTURES = "images/"
LOCAL_FILES = f"/data/local-files/?d={PICTURES}"
"""The address at which Label Studio serves pictures from the folder of an export that it was told of."""

EMBEDDED = "embedded"
"""In place of a prefix: pictures are part of the tasks."""

SplitBy = Literal["look", "folder", "image"]
SPLIT_BY: tuple[SplitBy, ...] = ("look", "folder", "image")


@dataclass(frozen=True, slots=True)
class SplitSpec:
    """How images are split into train, val and test.

    Attributes:
        shares: of the three, summing to one; a part with the share 0 is left out.
        seed: of the draw.
        by: what stays together: images that look alike, those of one folder, or nothing.
    """

    shares: tuple[float, float, float] = (0.7, 0.2, 0.1)
    seed: int = 0
    by: SplitBy = "look"

    def __post_init__(self) -> None:
        check_fields(self, error=ExportFailed)
        if len(self.shares) != len(SPLIT_NAMES) or any(not 0 <= share <= 1 for share in self.shares):
            raise ExportFailed(f"a split wants three shares between 0 and 1, such as 0.7,0.2,0.1; got {self.shares}")
        if not math.isclose(sum(self.shares), 1.0, abs_tol=1e-6):
            raise ExportFailed(f"the shares of a split must sum to 1; {self.shares} sum to {sum(self.shares):g}")
        if self.seed < 0:
            raise ExportFailed(f"the seed of a split is 0 or more, not {self.seed}")
        if self.by not in SPLIT_BY:
            raise ExportFailed(f"a split by {self.by!r} is unknown; choose one of {', '.join(SPLIT_BY)}")

    @property
    def names(self) -> tuple[str, ...]:
        """The parts there are."""
        return tuple(name for name, share in zip(SPLIT_NAMES, self.shares, strict=True) if share > 0)


@dataclass(frozen=True, slots=True)
class ExportSpec:
    """What to write.

    Attributes:
        formats: at least one.
        done_only: leave out images that nobody marked done.
        with_points: leave out images without points.
        class_ids: classes that stay; pixels of the others become background, or unlabelled where no class is the
            background. None: all.
        instances: formats of shapes get one region per connected part, not one per class; the format `instances`
            sets it.
        min_area: connected parts of fewer pixels become the same.
        fill_holes: background enclosed by a part of a class becomes of that class.
        border: so many pixels on either side of every edge are 255 in Pascal VOC masks.
        split: into train, val and test, or not at all.
        image_prefix: what the addresses of pictures in tasks of Label Studio begin with, before their names; with
            LOCAL_FILES the pictures are written beside the tasks, EMBEDDED puts them into the tasks.
    """

    formats: tuple[ExportFormat, ...] = DEFAULT_FORMATS
    done_only: bool = False
    with_points: bool = False
    class_ids: tuple[int, ...] | None = None
    instances: bool = False
    min_area: int = 0
    fill_holes: bool = False
    border: int = 0
    split: SplitSpec | None = None
    image_prefix: str = LOCAL_FILES

    def __post_init__(self) -> None:
        check_fields(self, error=ExportFailed)
        if not self.formats:
            raise ExportFailed("an export needs a format: choose at least one")
        if self.class_ids is not None and not self.class_ids:
            raise ExportFailed("an export needs a class: choose at least one")
        if ExportFormat.INSTANCES in self.formats:
            object.__setattr__(self, "instances", True)
        if not 0 <= self.border <= MOST_BORDER:
            raise ExportFailed(f"a border of {self.border} pixels is outside 0..{MOST_BORDER}")
        if self.min_area < 0:
            raise ExportFailed(f"the smallest region cannot have {self.min_area} pixels: give 0 or more")

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the parts of the split; () without one."""
        return self.split.names if self.split else ()

    def kept(self, background: int | None) -> frozenset[int] | None:
        """Ids of the classes that stay, the background among them if there is one; None: all."""
        if self.class_ids is None:
            return None
        return frozenset(self.class_ids) if background is None else frozenset({background, *self.class_ids})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; those of one tool only where its format is written."""
        values = {**asdict(self), "formats": sorted(self.formats)}
        if ExportFormat.LABEL_STUDIO not in self.formats:
            del values["image_prefix"]
        return values
