"""The formats of an export, made ready to write."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fcnlab.adapters.exports.coco import Coco
from fcnlab.adapters.exports.format import Format, Subject
from fcnlab.adapters.exports.mask_pngs import BinaryMasks, ColourMasks, IndexMasks, Overlays
from fcnlab.adapters.exports.point_files import PointsJson, PointsTable
from fcnlab.core.naming import safe_part
from fcnlab.core.palette import tinted
from fcnlab.exports import ExportFormat, ExportSpec


def formats_of(spec: ExportSpec, subject: Subject) -> list[Format]:
    """One writer per format of the spec, in the order of ExportFormat."""
    folders = {label.id: f"{label.id}_{safe_part(label.name)}" for label in subject.classes}
    veil = partial(tinted, palette=subject.palette(), background=subject.background)
    makers: dict[ExportFormat, Callable[[], Format]] = {
        ExportFormat.INDEX: lambda: IndexMasks(subject),
        ExportFormat.COLOUR: lambda: ColourMasks(subject),
        ExportFormat.BINARY: lambda: BinaryMasks(folders),
        ExportFormat.OVERLAY: lambda: Overlays(veil),
        ExportFormat.COCO: lambda: Coco(subject),
        ExportFormat.COCO_RLE: lambda: Coco(subject, is_rle=True),
        ExportFormat.POINTS: PointsTable,
        ExportFormat.POINTS_JSON: lambda: PointsJson(subject),
    }
    return [make() for one, make in makers.items() if one in spec.formats]
