"""Masks that are arrays already, written in any format: for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.naming import export_stems
from fcnlab.core.images.palette import coloured_labels
from fcnlab.core.images.regions import tidied
from fcnlab.domain.export import ExportSpec
from fcnlab.domain.project import checked_classes
from fcnlab.errors import ExportFailed, InvalidImage
from fcnlab.services.export.formats import MASKS_ALONE, checked_spec, regions_for, writers_with_table
from fcnlab.services.export.target import plain_writer
from fcnlab.storage.formats.writing import ExportedImage, Subject
from fcnlab.validation import checked_call

OPTIONS = frozenset({"instances", "min_area", "fill_holes", "border", "class_ids"})


@checked_call(ExportFailed, leave=("names", "masks", "classes"))
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
        formats: names as `fcnlab export` has them, those that need no more than masks; one may be given alone.
        background: class id that formats of shapes leave out; None: they write every class.
        options: `instances`, `min_area`, `fill_holes`, `border`, `class_ids`, `image_prefix` of ExportSpec.

    Raises:
        ExportFailed: an unknown format, one that needs more than masks, a background that is no class, or a place that
            cannot be written.
        InvalidImage: a mask is not (H, W), or has a value that is no class; or there are not as many masks as names.
        InvalidClasses: no class, too many, or one name twice.

    >>> import numpy as np, tempfile
    >>> mask = np.eye(3, 5, dtype=np.uint8)
    >>> sorted(write_masks(["a.png"], [mask], classes=["ground", "cell"], to=tempfile.mkdtemp()))
    ['coco/annotations.json']
    """
    wanted = (formats,) if isinstance(formats, str) else formats
    spec = _spec_of(tuple(wanted), options, n_classes=len(checked_classes(classes)))
    if background is not None and not 0 <= background < len(classes):
        raise ExportFailed(f"background {background} is no class: ids run from 0 to {len(classes) - 1}, or None")
    labels = coloured_labels((class_id, name, "") for class_id, name in enumerate(classes))
    subject = Subject("fcnlab", labels, (), background)
    is_listed = isinstance(names, Sequence) and not isinstance(names, str)
    if not is_listed or not all(isinstance(name, str) and name.strip() for name in names):
        raise ExportFailed("names must be a list of names of images, one for each mask")
    stems = export_stems(names)
    if len(stems) < len(names):
        raise ExportFailed("an image is named twice: its files would replace each other")
    files: dict[str, str] = {}
    with plain_writer(Path(to), writers_with_table(spec, subject, has_pictures=False)) as writer:
        for image_number, (name, mask) in enumerate(_paired(names, masks), start=1):
            files |= writer.add(_exported(image_number, name, stems[name], mask, spec, subject))
        return {**files, **writer.finish()}


def _paired(names: Sequence[str], masks: Iterable[NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Each name with its mask. Raises InvalidImage: there are not as many masks as names, or none can be had."""
    if not isinstance(masks, Iterable):
        raise InvalidImage(f"masks must be a list or an iterator of arrays (H, W), not a {type(masks).__name__}")
    missing = object()
    for name, mask in zip_longest(names, masks, fillvalue=missing):
        if name is missing or mask is missing:
            raise InvalidImage(f"there are {'more' if name is missing else 'fewer'} masks than the {len(names)} names")
        yield str(name), np.asarray(mask)


def _exported(
    image_number: int, name: str, stem: str, values: NDArray[Any], spec: ExportSpec, subject: Subject
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
    return ExportedImage(image_number, name, stem, "", mask, regions, picture=nothing, original=nothing)


def _spec_of(formats: tuple[str, ...], options: Mapping[str, Any], *, n_classes: int) -> ExportSpec:
    """Raises ExportFailed: an option that is unknown or of the wrong type, or a class that there is not."""
    unknown = sorted(set(options) - OPTIONS)
    if unknown:
        raise ExportFailed(f"unknown option {unknown[0]!r}; known: {', '.join(sorted(OPTIONS))}")
    values: dict[str, Any] = {name: tuple(it) if isinstance(it, list) else it for name, it in options.items()}
    spec = checked_spec(ExportSpec(formats, **values), MASKS_ALONE, source="masks alone")
    strange = [class_id for class_id in spec.class_ids or () if not 0 <= class_id < n_classes]
    if strange:
        raise ExportFailed(f"class id {strange[0]} of class_ids is unknown: ids run from 0 to {n_classes - 1}")
    return spec
