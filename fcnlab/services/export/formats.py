"""The formats of an export, made ready to write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.measures import COLUMNS, measures_of
from fcnlab.core.images.naming import class_folders
from fcnlab.core.images.palette import tinted
from fcnlab.core.images.regions import Region, instance_regions, semantic_regions
from fcnlab.domain.export import LOCAL_FILES, NUMBERED_FORMATS, REGION_FORMATS, ExportFormat, ExportSpec
from fcnlab.domain.images import PixelSize, Recipe
from fcnlab.domain.project import ClassLabel
from fcnlab.storage.formats.format import Format, Subject
from fcnlab.storage.formats.masks.array_files import (
    InstanceMasks,
    NumpyMasks,
    ProbabilityArrays,
    ProbabilityPngs,
    TiffMasks,
)
from fcnlab.storage.formats.masks.originals import Originals
from fcnlab.storage.formats.masks.overlays import BinaryMasks, ColourMasks, IndexMasks, Overlays
from fcnlab.storage.formats.masks.root_painter import RootPainter
from fcnlab.storage.formats.shapes.cityscapes import Cityscapes, cityscapes_pictures
from fcnlab.storage.formats.shapes.coco import Coco
from fcnlab.storage.formats.shapes.cvat import Cvat
from fcnlab.storage.formats.shapes.geojson import GeoJson
from fcnlab.storage.formats.shapes.label_studio import LabelStudio
from fcnlab.storage.formats.shapes.labelme import LabelMe
from fcnlab.storage.formats.shapes.svg import Svg
from fcnlab.storage.formats.shapes.voc import Voc
from fcnlab.storage.formats.shapes.yolo import Yolo, yolo_place
from fcnlab.storage.formats.tables.class_table import ClassTable
from fcnlab.storage.formats.tables.measurements_csv import Measurements
from fcnlab.storage.formats.tables.points import PointsJson, PointsTable


def formats_of(spec: ExportSpec, subject: Subject, *, has_pictures: bool = True) -> list[Format]:
    """The writers of the formats of the spec, in the order of ExportFormat.

    Args:
        spec: what to write.
        subject: what it is about.
        has_pictures: whether images come with their pictures, or with masks alone.
    """
    folders = class_folders({label.id: label.name for label in subject.classes})
    veil = partial(tinted, palette=subject.palette(), background=subject.background)
    beside: list[Format] = []  # whose labels have a folder for their pictures
    if ExportFormat.YOLO in spec.formats:
        beside.append(Originals("yolo/images", yolo_place))
    if ExportFormat.CITYSCAPES in spec.formats:
        beside.append(cityscapes_pictures())
    makers: dict[ExportFormat, Callable[[], Format]] = {
        ExportFormat.INDEX: lambda: IndexMasks(subject),
        ExportFormat.COLOUR: lambda: ColourMasks(subject),
        ExportFormat.BINARY: lambda: BinaryMasks(folders),
        ExportFormat.INSTANCES: InstanceMasks,
        ExportFormat.TIFF: TiffMasks,
        ExportFormat.NUMPY: NumpyMasks,
        ExportFormat.PROBABILITIES: lambda: ProbabilityPngs(folders),
        ExportFormat.PROBABILITIES_NPZ: ProbabilityArrays,
        ExportFormat.OVERLAY: lambda: Overlays(veil),
        ExportFormat.IMAGES: lambda: beside.pop(0) if beside else Originals("images"),
        ExportFormat.COCO: lambda: Coco(subject),
        ExportFormat.COCO_RLE: lambda: Coco(subject, is_rle=True),
        ExportFormat.YOLO: lambda: Yolo(subject),
        ExportFormat.VOC: lambda: Voc(subject, spec.border),
        ExportFormat.CITYSCAPES: lambda: Cityscapes(subject, spec.instances),
        ExportFormat.LABELME: lambda: LabelMe(subject),
        ExportFormat.CVAT: lambda: Cvat(subject),
        ExportFormat.LABEL_STUDIO: lambda: LabelStudio(
            subject, spec.image_prefix, has_pictures and spec.image_prefix == LOCAL_FILES
        ),
        ExportFormat.ROOT_PAINTER: lambda: RootPainter(subject, folders),
        ExportFormat.GEOJSON: lambda: GeoJson(subject),
        ExportFormat.SVG: lambda: Svg(subject),
        ExportFormat.POINTS: PointsTable,
        ExportFormat.POINTS_JSON: lambda: PointsJson(subject),
        ExportFormat.MEASUREMENTS: lambda: Measurements(subject, COLUMNS),
    }
    made = [make() for one, make in makers.items() if one in spec.formats]
    return [*made, *(beside if ExportFormat.IMAGES in spec.formats else [])]


def formats_with_table(spec: ExportSpec, subject: Subject, *, has_pictures: bool) -> list[Format]:
    """`formats_of`, and a table of the classes when the values of masks stand for them and no manifest says so."""
    table: list[Format] = [] if NUMBERED_FORMATS.isdisjoint(spec.formats) else [ClassTable(subject)]
    return [*formats_of(spec, subject, has_pictures=has_pictures), *table]


def kept_classes(labels: Iterable[ClassLabel], spec: ExportSpec, background: int | None) -> tuple[ClassLabel, ...]:
    """The classes that stay."""
    kept = spec.kept(background)
    return tuple(label for label in labels if kept is None or label.id in kept)


def regions_for(spec: ExportSpec, mask: NDArray[np.uint8], background: int | None) -> tuple[Region, ...]:
    """The regions of a mask (H, W) uint8 that the formats of the spec need; none if they need none."""
    if REGION_FORMATS.isdisjoint(spec.formats):
        return ()
    find = instance_regions if spec.instances else semantic_regions
    return find(mask, background=background)


def measured(
    regions: Sequence[Region], rgb: NDArray[np.uint8], recipe: Recipe, size: PixelSize | None
) -> list[tuple[object, ...]]:
    """Rows of measurements.

    Intensities are values of the original where one stretch made its picture (H, W, 3), else those of the picture.
    """
    grey = rgb.mean(axis=2, dtype=np.float32)
    if recipe.stretch is not None:
        grey = recipe.stretch.low + grey * ((recipe.stretch.high - recipe.stretch.low) / 255)
    if size is None:
        return measures_of(regions, grey)
    return measures_of(regions, grey, pixel_hw=(size.height, size.width), unit=size.unit)
