"""The formats of an export, checked and made ready to write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.measures import COLUMNS, measures_of
from fcnlab.core.images.naming import class_folders
from fcnlab.core.images.palette import tinted
from fcnlab.core.images.regions import Region, instance_regions, semantic_regions
from fcnlab.domain.export import ExportSpec
from fcnlab.domain.images import PixelSize, Recipe
from fcnlab.domain.project import ClassLabel
from fcnlab.errors import ExportFailed
from fcnlab.storage.formats.format import Format as Format
from fcnlab.storage.formats.format import Need as Need
from fcnlab.storage.formats.registry import written_formats
from fcnlab.storage.formats.tables.class_table import ClassTable
from fcnlab.storage.formats.writing import FormatWriter, Subject, WriteOptions

EVERYTHING = frozenset(Need)
MASKS_ALONE = frozenset({Need.MASK, Need.REGIONS, Need.PARTS})
LABELS_ALONE = MASKS_ALONE | {Need.POINTS}
PREDICTIONS = EVERYTHING - {Need.POINTS}
"""What formats may need that are written from a project, masks, labels of other tools, or predictions."""


def formats_from(available: frozenset[Need] = EVERYTHING) -> tuple[Format, ...]:
    """The formats that need nothing else, by their order."""
    return tuple(each for each in written_formats() if each.needs <= available)


def checked_spec(spec: ExportSpec, available: frozenset[Need] = EVERYTHING, *, source: str = "this") -> ExportSpec:
    """The spec with its formats by their order, each once, and `instances` where a format numbers connected parts.

    Args:
        spec: what to write.
        available: what formats may need.
        source: what they are written from, in words.

    Raises:
        ExportFailed: there is no such format, or it needs something else.
    """
    allowed = {each.name for each in formats_from(available)}
    formats = written_formats(spec.formats)
    refused = sorted(each.name for each in formats if each.name not in allowed)
    if refused:
        raise ExportFailed(f"{source} cannot be written as {refused[0]!r}; choose of {', '.join(sorted(allowed))}")
    names = tuple(each.name for each in formats)
    return replace(spec, formats=names, instances=spec.instances or needs(spec, Need.PARTS))


def needs(spec: ExportSpec, *wanted: Need) -> bool:
    """Whether one of the formats needs one of these."""
    return any(not each.needs.isdisjoint(wanted) for each in written_formats(spec.formats))


def shows_pictures(spec: ExportSpec) -> bool:
    """Whether files of one of the formats may hold the picture, in another form than the original's."""
    return any(each.shows_picture for each in written_formats(spec.formats))


def folders_of_images(spec: ExportSpec) -> dict[str, str]:
    """Names of formats that are written without the images their readers train on, and where these look for them."""
    if needs(spec, Need.ORIGINAL):
        return {}
    return {each.name: each.trains_from for each in written_formats(spec.formats) if each.trains_from}


def uses_option(formats: Iterable[str], option: str) -> bool:
    """Whether one of the formats is written by an option that the others do without, such as `border`."""
    return any(option in each.options for each in written_formats(formats))


def spec_values(spec: ExportSpec) -> dict[str, Any]:
    """The spec as plain values for JSON; addresses of pictures only where files hold them."""
    values = spec.to_dict()
    if not uses_option(spec.formats, "image_prefix"):
        del values["image_prefix"]
    return values


def writers_of(spec: ExportSpec, subject: Subject, *, has_pictures: bool = True) -> list[FormatWriter]:
    """The writers of the formats of the spec, by the order of these.

    Args:
        spec: what to write, checked.
        subject: what it is about.
        has_pictures: whether images come with their pictures, or with masks alone.
    """
    options = WriteOptions(
        subject=subject,
        instances=spec.instances,
        border=spec.border,
        image_prefix=spec.image_prefix,
        has_pictures=has_pictures,
        folders=class_folders({label.id: label.name for label in subject.classes}),
        tint=partial(tinted, palette=subject.palette(), background=subject.background),
        measures=COLUMNS,
    )
    formats = written_formats(spec.formats)
    beside_labels = [each.pictures() for each in formats if each.pictures is not None]
    writers: list[FormatWriter] = []
    for each in formats:
        assert each.write is not None
        is_beside = Need.ORIGINAL in each.needs and bool(beside_labels)
        writers.append(beside_labels.pop(0) if is_beside else each.write(options))
    return [*writers, *(beside_labels if needs(spec, Need.ORIGINAL) else [])]


def writers_with_table(spec: ExportSpec, subject: Subject, *, has_pictures: bool) -> list[FormatWriter]:
    """`writers_of`, and a table of the classes when the values of masks stand for them and no manifest says so."""
    has_ids = any(each.has_class_ids for each in written_formats(spec.formats))
    table: list[FormatWriter] = [ClassTable(subject)] if has_ids else []
    return [*writers_of(spec, subject, has_pictures=has_pictures), *table]


def kept_classes(labels: Iterable[ClassLabel], spec: ExportSpec, background: int | None) -> tuple[ClassLabel, ...]:
    """The classes that the spec keeps."""
    kept = spec.kept(background)
    return tuple(label for label in labels if kept is None or label.id in kept)


def regions_for(spec: ExportSpec, mask: NDArray[np.uint8], background: int | None) -> tuple[Region, ...]:
    """The regions of a mask (H, W) uint8 that the formats of the spec need; none if they need none."""
    if not needs(spec, Need.REGIONS, Need.PARTS):
        return ()
    find = instance_regions if spec.instances else semantic_regions
    return find(mask, background=background)


def measured(
    regions: Sequence[Region], rgb: NDArray[np.uint8], recipe: Recipe, size: PixelSize | None
) -> list[tuple[object, ...]]:
    """The measurements of the regions, a row of COLUMNS for each.

    Intensities are values of the original where one stretch made its picture (H, W, 3), else those of the picture.
    """
    grey = rgb.mean(axis=2, dtype=np.float32)
    if recipe.stretch is not None:
        grey = recipe.stretch.low + grey * ((recipe.stretch.high - recipe.stretch.low) / 255)
    if size is None:
        return measures_of(regions, grey)
    return measures_of(regions, grey, pixel_hw=(size.height, size.width), unit=size.unit)
