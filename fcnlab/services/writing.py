"""Masks that are arrays already, written in any format: for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from fcnlab.adapters.exports.format import ExportedImage, Subject
from fcnlab.core.naming import export_stems
from fcnlab.core.regions import tidied
from fcnlab.domain import DEFAULT_PALETTE, ClassLabel
from fcnlab.errors import ExportFailed, InvalidImage
from fcnlab.exports import MASK_FORMATS, ExportFormat, ExportSpec
from fcnlab.services.export_formats import formats_with_table, regions_for
from fcnlab.services.export_target import plain_writer


def write_masks(
    names: Sequence[str],
    masks: Iterable[NDArray[Any]],
    *,
    classes: Sequence[str],
    to: str | Path,
    formats: str | Sequence[str] = ("coco",),
    background: int | None = 0,
    **options: Any,
) -> dict[str, str]:
    """Write masks; the SHA-256 of every file by its name. Equal masks give equal bytes.

    Args:
        names: of the images, such as `day/a.png`, each once.
        masks: class ids (H, W) of an integer type, in the order of the names; an iterator is asked for one at a time.
        classes: names; the class id is the place in this list.
        to: a zip file, if it is called so, else a folder.
        formats: names as `fcnlab export` has them, of MASK_FORMATS; one may be given alone.
        background: class id that formats of shapes leave out.
        options: `instances`, `min_area`, `fill_holes`, `border`, `class_ids`, `image_prefix` of ExportSpec.

    Raises:
        ExportFailed: an unknown format, one that needs more than masks, or a place that cannot be written.
        InvalidImage: a mask is not (H, W), or has a value that is no class.
        ValueError: there are not as many masks as names.

    >>> import numpy as np, tempfile
    >>> mask = np.eye(3, 5, dtype=np.uint8)
    >>> sorted(write_masks(["a.png"], [mask], classes=["ground", "cell"], to=tempfile.mkdtemp()))
    ['coco/annotations.json']
    """
    wanted = (formats,) if isinstance(formats, str) else formats
    spec = ExportSpec(tuple(_format(one) for one in wanted), **options)
    labels = tuple(
        ClassLabel(place, name, DEFAULT_PALETTE[place % len(DEFAULT_PALETTE)], place)
        for place, name in enumerate(classes)
    )
    subject = Subject("fcnlab", labels, (), background)
    stems = export_stems(names)
    if len(stems) < len(names):
        raise ExportFailed("an image is named twice: its files would replace each other")
    files: dict[str, str] = {}
    with plain_writer(Path(to), formats_with_table(spec, subject, has_pictures=False)) as writer:
        for number, (name, mask) in enumerate(zip(names, masks, strict=True), start=1):
            files |= writer.add(_exported(number, name, stems[name], mask, spec, subject))
        return {**files, **writer.finish()}


def _exported(
    number: int, name: str, stem: str, values: NDArray[Any], spec: ExportSpec, subject: Subject
) -> ExportedImage:
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "iub":
        raise InvalidImage(
            f"the mask of {name} has shape {values.shape} and dtype {values.dtype}; wanted whole numbers (H, W)"
        )
    lowest, highest = int(values.min()), int(values.max())
    if lowest < 0 or highest >= len(subject.classes):
        strange = lowest if lowest < 0 else highest
        raise InvalidImage(f"the mask of {name} has the value {strange}, which is none of the classes")

    def nothing() -> NoReturn:
        raise ExportFailed(f"of {name} there is only a mask")

    mask = tidied(
        values.astype(np.uint8),
        background=subject.background,
        kept=spec.kept(subject.background),
        min_area=spec.min_area,
        fill_holes=spec.fill_holes,
    )
    regions = regions_for(spec, mask, subject.background)
    return ExportedImage(number, name, stem, "", mask, regions, picture=nothing, original=nothing)


def _format(name: str) -> ExportFormat:
    known = sorted(MASK_FORMATS)
    if name not in known:
        raise ExportFailed(f"masks alone cannot be written as {name!r}; choose of {', '.join(known)}")
    return ExportFormat(name)
