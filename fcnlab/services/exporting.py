"""A project as files for other tools: masks, overlays and points in one zip, written whole or not at all."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fcnlab.adapters.exports.archive import Archive, archive
from fcnlab.adapters.exports.binary_png import binary_png
from fcnlab.adapters.exports.colour_png import colour_png
from fcnlab.adapters.exports.index_png import index_png
from fcnlab.adapters.exports.manifest import MANIFEST_NAME, manifest_json
from fcnlab.adapters.exports.overlay_jpeg import overlay_jpeg
from fcnlab.adapters.exports.points_csv import points_csv
from fcnlab.adapters.png import read_mask
from fcnlab.core.naming import NAMING_RULE, export_stems, safe_part
from fcnlab.core.palette import coloured, palette_of, tinted
from fcnlab.domain import IGNORE, ImageInfo, ImageState
from fcnlab.errors import ExportFailed, FcnlabError
from fcnlab.lab import Lab
from fcnlab.runs import ModelRecord
from fcnlab.services.export_plan import Moment, Runner, frozen, keeping, learning
from fcnlab.services.fitting import Maker, background_of
from fcnlab.services.importing import read_picture
from fcnlab.services.masks import predicted_mask
from fcnlab.services.point_tables import point_rows

Phase = Literal["learning", "keeping", "writing", "finished"]

NOTHING_LEARNED = "nothing can be learned yet: click pixels of two classes, on any image"


class ExportFormat(StrEnum):
    """What an export can hold."""

    INDEX = "index"
    COLOUR = "colour"
    BINARY = "binary"
    OVERLAY = "overlay"
    POINTS = "points"


FORMAT_WORDS = {
    ExportFormat.INDEX: "Masks: PNG, pixel value = class id",
    ExportFormat.COLOUR: "Colour masks: PNG in class colours",
    ExportFormat.BINARY: "Binary masks: a black-and-white PNG per class",
    ExportFormat.OVERLAY: "Overlays: JPEG, image under its tinted mask",
    ExportFormat.POINTS: "Points: CSV, one line per labelled pixel",
}
DEFAULT_FORMATS = (ExportFormat.INDEX, ExportFormat.OVERLAY, ExportFormat.POINTS)


@dataclass(frozen=True, slots=True)
class ExportSpec:
    """What to write. `done_only` leaves out images that nobody marked done."""

    formats: tuple[ExportFormat, ...] = DEFAULT_FORMATS
    done_only: bool = False

    def __post_init__(self) -> None:
        if not self.formats:
            raise ExportFailed("an export needs a format: choose at least one")


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """One step further; the last one has the phase "finished".

    Attributes:
        done, total: steps of this phase.
        name: the image of this step.
        n_stored, n_predicted: masks written so far, kept ones of done images and predicted ones.
        left_out: images without a mask in the export, and why.
    """

    phase: Phase
    done: int
    total: int
    name: str = ""
    n_stored: int = 0
    n_predicted: int = 0
    left_out: tuple[tuple[str, str], ...] = ()


def export_project(
    lab: Lab, run: Runner, *, project_id: int, spec: ExportSpec, to: Path
) -> Generator[ExportProgress, None, None]:
    """Write a zip of the project; points and states of the moment it starts, one image in memory at a time.

    Closing the iterator early leaves no file. An image whose mask cannot be made is named and left out.

    Args:
        lab: the installation.
        run: runs each step that computes.
        project_id: what to export.
        spec: formats and choice of images.
        to: the zip file; one that is there stays until the new one is complete.

    Raises:
        UnknownProject: no such project.
        ExportFailed: there is nothing to export, or the file cannot be written.
    """
    for done, total, name in learning(run):
        yield ExportProgress("learning", done, total, name)
    for done, total, name in keeping(lab, run, project_id=project_id):
        yield ExportProgress("keeping", done, total, name)
    moment, maker = frozen(lab, run, project_id=project_id, with_masks=not spec.done_only)
    images = [image for image in moment.images if not spec.done_only or image.state is ImageState.DONE]
    _refuse_empty(moment, maker, images)
    writer = _Writer(lab, run, moment, maker, spec)
    with archive(to) as target, closing(writer.write(target, images)) as steps:
        yield from steps
    yield replace(writer.progress, phase="finished")


def _refuse_empty(moment: Moment, maker: Maker | None, images: list[ImageInfo]) -> None:
    name = moment.project.name
    if not moment.images:
        raise ExportFailed(f"project {name!r} has no images: import some first")
    if not images:
        raise ExportFailed(f"no image of project {name!r} is marked done: mark one, or export the others too")
    if maker is None and not any(image.id in moment.masks for image in images):
        raise ExportFailed(f"no mask of project {name!r} can be exported, since {NOTHING_LEARNED}")


class _Writer:
    """Writes one export."""

    def __init__(self, lab: Lab, run: Runner, moment: Moment, maker: Maker | None, spec: ExportSpec) -> None:
        self._lab, self._run, self._moment, self._maker, self._spec = lab, run, moment, maker, spec
        self._palette = palette_of([*moment.removed, *moment.project.classes])
        self._stems = export_stems([image.name for image in moment.images])
        self.progress = ExportProgress("writing", 0, 0)

    def write(self, target: Archive, images: list[ImageInfo]) -> Generator[ExportProgress, None, None]:
        """Write every image, then the points and the manifest."""
        entries = []
        for number, image in enumerate(images, start=1):
            left_out = self.progress.left_out
            try:
                mask, entry = self._mask(image)
                entry["files"] = self._files(target, image, mask)
                entries.append(entry)
            except FcnlabError as failure:
                left_out = (*left_out, (image.name, str(failure)))
            self.progress = ExportProgress(
                "writing",
                number,
                len(images),
                image.name,
                n_stored=sum(one["mask"] == "stored" for one in entries),
                n_predicted=sum(one["mask"] == "predicted" for one in entries),
                left_out=left_out,
            )
            yield self.progress
        if not entries:
            name, reason = self.progress.left_out[0]
            raise ExportFailed(f"no mask could be exported; {name}: {reason}")
        points = {}
        if ExportFormat.POINTS in self._spec.formats:
            points["points.csv"] = target.add("points.csv", points_csv(point_rows(self._moment, images)))
        target.add(MANIFEST_NAME, manifest_json(self._manifest(entries, points)))

    def _mask(self, image: ImageInfo) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Class ids (H, W) uint8 of an image, and its entry in the manifest."""
        stored = self._moment.masks.get(image.id)
        mask = read_mask(self._lab.folders.masks / stored.file) if stored is not None else None
        if stored is not None and mask is not None and mask.shape == image.hw:
            made = {"mask": "stored", "model": stored.model, "point_set": stored.point_set_hash}
        elif self._maker is None:
            raise ExportFailed(NOTHING_LEARNED)
        else:
            maker = self._maker
            mask = self._run(lambda learner: predicted_mask(learner, image, maker))
            chosen = self._moment.model
            made = {
                "mask": "predicted",
                "model": chosen.file if chosen else "",
                "point_set": self._moment.point_set_hash,
            }
        counts = np.bincount(mask.ravel(), minlength=IGNORE + 1)
        if counts[IGNORE]:
            raise ExportFailed(
                f"the mask of {image.name} has pixels without a class; reopen the image and mark it done"
            )
        pixels = {str(class_id): int(counts[class_id]) for class_id in np.flatnonzero(counts)}
        return mask, {**_described(image), **made, "pixels_per_class": pixels}

    def _files(self, target: Archive, image: ImageInfo, mask: NDArray[np.uint8]) -> dict[str, str]:
        """Write the files of one image; their content hashes by name."""
        stem, formats = self._stems[image.name], self._spec.formats
        made: list[tuple[str, bytes]] = []
        if ExportFormat.INDEX in formats:
            made.append((f"masks/{stem}.png", index_png(mask, self._palette)))
        if ExportFormat.COLOUR in formats:
            made.append((f"colour/{stem}.png", colour_png(coloured(mask, self._palette))))
        if ExportFormat.BINARY in formats:
            for label in self._moment.project.classes:
                folder = f"binary/{label.id}_{safe_part(label.name)}"
                made.append((f"{folder}/{stem}.png", binary_png(mask == label.id)))
        if ExportFormat.OVERLAY in formats:
            background = background_of(self._moment.project)
            shown = tinted(read_picture(self._lab, image), mask, self._palette, background=background)
            made.append((f"overlays/{stem}.jpg", overlay_jpeg(shown)))
        return {name: target.add(name, data) for name, data in made}

    def _manifest(self, entries: list[dict[str, Any]], points: dict[str, str]) -> dict[str, Any]:
        project = self._moment.project
        labels = [*((label, False) for label in project.classes), *((label, True) for label in self._moment.removed)]
        return {
            "project": project.name,
            "learner": project.learner.to_dict(),
            "model": _named(self._moment.model),
            "point_set": self._moment.point_set_hash,
            "formats": sorted(self._spec.formats),
            "done_only": self._spec.done_only,
            "background": background_of(project),
            "classes": [
                {"id": label.id, "name": label.name, "colour": label.colour, "removed": removed}
                for label, removed in sorted(labels, key=lambda pair: pair[0].id)
            ],
            "conventions": {
                "masks": "pixel value = class id, at the full size of the upright image; 255 never occurs",
                "mask": "stored: the mask the image kept when it was marked done; predicted: by the model",
                "model": "what makes masks: a chosen version, with its own point set, or null for the instant learner",
                "turned": "the picture was turned or flipped as its EXIF orientation asks; masks lie upright",
                "stretch": "values of the original that became 0 and 255 when the picture was made 8-bit",
                "points": "row and col count pixels of the upright image from its top left corner, from 0",
                "file_names": NAMING_RULE,
                "content_hash": "SHA-256 of the original file; behind each written file stands its own",
            },
            "images": entries,
            "tables": points,
            "left_out": [{"image": name, "reason": reason} for name, reason in self.progress.left_out],
        }


def _named(model: ModelRecord | None) -> dict[str, Any] | None:
    """The chosen model, as the manifest says it; None for the instant learner."""
    if model is None:
        return None
    return {
        "id": model.id,
        "name": model.name,
        "kind": model.kind.value,
        "file": model.file,
        "spec": model.spec,
        "point_set": model.point_set_hash,
    }


def _described(image: ImageInfo) -> dict[str, Any]:
    return {
        "image": image.name,
        "content_hash": image.content_hash,
        "height": image.height,
        "width": image.width,
        "dtype": image.dtype,
        "channels": image.channels,
        "turned": image.turned,
        "stretch": None if image.stretch is None else asdict(image.stretch),
        "state": image.state.value,
        "n_points": image.n_points,
    }
