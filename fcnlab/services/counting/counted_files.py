"""Image files counted one after the other into tables, while memory stays flat; a file that fails is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from fcnlab.core.images.naming import class_folders, export_stems
from fcnlab.core.images.palette import coloured_labels
from fcnlab.domain.counting import ImageCount
from fcnlab.errors import ExportFailed
from fcnlab.services.counting.counters import Counter, NetworkCounter
from fcnlab.services.counting.marked_files import read_file
from fcnlab.services.images.pictures import hash_of
from fcnlab.services.predict.overlapping import AHEAD, overlapped
from fcnlab.services.predict.predicted_files import LARGE_BYTES, InputFile
from fcnlab.storage.files.whole_files import write_whole
from fcnlab.storage.formats.tables.count_files import CountedImage, CountFiles, count_files


@dataclass(frozen=True, slots=True)
class CountTargets:
    """Files to write; None: not wanted. `density` is a folder of TIFFs: one per image, below a folder per class
    where there are several."""

    counts: Path | None = None
    objects: Path | None = None
    keypoints: Path | None = None
    density: Path | None = None


@dataclass(frozen=True, slots=True)
class FileCounted:
    """One file further: what was counted in it, or why it was left out."""

    done: int
    total: int
    name: str
    count: ImageCount | None = None
    refused: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    rgb: NDArray[np.uint8]
    content_hash: str


def count_input_files(
    counter: Counter, files: Sequence[InputFile], targets: CountTargets, *, max_pixels: int
) -> Iterator[FileCounted]:
    """Count files into tables, which are there when the last one is counted.

    Args:
        counter: what counts.
        files: see `predicted_files.input_files`.
        targets: what is written; existing files are replaced.
        max_pixels: larger images are refused.

    Raises:
        ExportFailed: a file cannot be written or is named twice, or the counter knows no density.
    """
    files_wanted = [path.resolve() for path in (targets.counts, targets.objects, targets.keypoints) if path is not None]
    for index, path in enumerate(files_wanted):
        if path in files_wanted[:index]:
            raise ExportFailed(f"{path} would hold two tables: give each a file of its own")
    if targets.density is not None and not (isinstance(counter, NetworkCounter) and counter.has_density):
        raise ExportFailed("this counter draws blobs, no density: leave the density out, or train with that objective")
    labels = coloured_labels((class_id, name, "") for class_id, name in counter.classes)
    try:
        with count_files(
            labels, title="fcnlab", counts=targets.counts, objects=targets.objects, keypoints=targets.keypoints
        ) as tables:
            yield from _counted(counter, files, tables, targets.density, max_pixels)
    except OSError as failure:
        target = failure.filename or targets.counts or targets.objects or targets.keypoints
        raise ExportFailed(
            f"{target} cannot be written ({failure.strerror or failure}): choose another folder"
        ) from failure


def _counted(
    counter: Counter, files: Sequence[InputFile], tables: CountFiles, density: Path | None, max_pixels: int
) -> Iterator[FileCounted]:
    stems = export_stems([file.name for file in files])
    folders = list(class_folders(dict(counter.classes[1:])).values()) if len(counter.classes) > 2 else [""]
    learned = counter.learned_images if isinstance(counter, NetworkCounter) else frozenset()
    calibrated = counter.calibrated_images if isinstance(counter, NetworkCounter) else frozenset()

    def read(item: tuple[int, InputFile]) -> _Read:
        rgb = read_file(item[1], max_pixels=max_pixels)
        return _Read(rgb, hash_of(item[1], max_pixels=max_pixels) if learned or calibrated else "")

    def work(picture: _Read) -> tuple[_Read, ImageCount, NDArray[np.float32] | None]:
        if density is None:
            return picture, counter.count(picture.rgb), None
        assert isinstance(counter, NetworkCounter)
        return picture, *counter.count_with_density(picture.rgb)

    def write(item: tuple[int, InputFile], made: tuple[_Read, ImageCount, NDArray[np.float32] | None]) -> ImageCount:
        picture, counted, maps = made
        hw, name = (picture.rgb.shape[0], picture.rgb.shape[1]), item[1].name
        predicted = {count.class_id: count.count for count in counted.counts}
        seen = picture.content_hash in learned, picture.content_hash in calibrated
        tables.add(CountedImage(name, hw, counted.counts, counted.objects, predicted, *seen))
        if density is not None and maps is not None:
            for folder, its in zip(folders, maps, strict=True):
                write_whole(density / folder / f"{stems[name]}.tif", _tiff(its))
        return counted

    is_large = any(file.path.stat().st_size > LARGE_BYTES for file in files if file.path.is_file())
    steps = overlapped(
        list(enumerate(files, start=1)), read=read, work=work, write=write, ahead=1 if is_large else AHEAD
    )
    for outcome in steps:
        done, file = outcome.item
        refused = "" if outcome.refused is None else str(outcome.refused)
        yield FileCounted(done, len(files), file.name, outcome.kept, refused)


def _tiff(density: NDArray[np.float32]) -> bytes:
    """Objects per pixel as 32-bit numbers."""
    buffer = BytesIO()
    tifffile.imwrite(buffer, density, compression="zlib", predictor=True, photometric="minisblack", metadata=None)
    return buffer.getvalue()
