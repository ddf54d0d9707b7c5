"""The formats of an export, made ready to write."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fcnlab.adapters.exports.array_files import (
    InstanceMasks,
    NumpyMasks,
    ProbabilityArrays,
    ProbabilityPngs,
    TiffMasks,
)
from fcnlab.adapters.exports.cityscapes import Cityscapes
from fcnlab.adapters.exports.coco import Coco
from fcnlab.adapters.exports.cvat import Cvat
from fcnlab.adapters.exports.format import Format, Subject
from fcnlab.adapters.exports.geojson import GeoJson
from fcnlab.adapters.exports.label_studio import LabelStudio
from fcnlab.adapters.exports.labelme import LabelMe
from fcnlab.adapters.exports.mask_pngs import BinaryMasks, ColourMasks, IndexMasks, Overlays
from fcnlab.adapters.exports.measurements_csv import Measurements
from fcnlab.adapters.exports.point_files import PointsJson, PointsTable
from fcnlab.adapters.exports.root_painter import RootPainter
from fcnlab.adapters.exports.svg import Svg
from fcnlab.adapters.exports.voc import Voc
from fcnlab.adapters.exports.yolo import Yolo
from fcnlab.core.naming import safe_part
from fcnlab.core.palette import tinted
from fcnlab.core.region_measures import COLUMNS
from fcnlab.exports import ExportFormat, ExportSpec


def formats_of(spec: ExportSpec, subject: Subject) -> list[Format]:
    """One writer per format of the spec, in the order of ExportFormat."""
    folders = {label.id: f"{label.id}_{safe_part(label.name)}" for label in subject.classes}
    veil = partial(tinted, palette=subject.palette(), background=subject.background)
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
        ExportFormat.COCO: lambda: Coco(subject),
        ExportFormat.COCO_RLE: lambda: Coco(subject, is_rle=True),
        ExportFormat.YOLO: lambda: Yolo(subject),
        ExportFormat.VOC: lambda: Voc(subject, spec.border),
        ExportFormat.CITYSCAPES: lambda: Cityscapes(subject),
        ExportFormat.LABELME: lambda: LabelMe(subject),
        ExportFormat.CVAT: lambda: Cvat(subject),
        ExportFormat.LABEL_STUDIO: lambda: LabelStudio(subject),
        ExportFormat.ROOT_PAINTER: lambda: RootPainter(subject, folders),
        ExportFormat.GEOJSON: lambda: GeoJson(subject),
        ExportFormat.SVG: lambda: Svg(subject),
        ExportFormat.POINTS: PointsTable,
        ExportFormat.POINTS_JSON: lambda: PointsJson(subject),
        ExportFormat.MEASUREMENTS: lambda: Measurements(COLUMNS),
    }
    return [make() for one, make in makers.items() if one in spec.formats]
