"""A project as files for other tools, in a zip file or a folder; and a preview of one image."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.coords import working_picture
from fcnlab.core.images.palette import palette_of, tinted
from fcnlab.domain.export import DEFAULT_FORMATS, ExportSpec
from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.errors import ExportFailed, NoPoints
from fcnlab.lab import Lab
from fcnlab.services.export.formats import checked_spec, needs
from fcnlab.services.export.plan import (
    NOTHING_LEARNED,
    ExportProgress,
    ProjectSnapshot,
    Runner,
    Splitter,
    images_without_mask,
    learning,
    snapshot,
    store_masks,
)
from fcnlab.services.export.target import open_target, refuse_file_name
from fcnlab.services.export.writing import ProjectWriter
from fcnlab.services.images.importing import read_picture
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.mask_source import MaskSource
from fcnlab.services.live.masks import kept_mask, predicted_mask
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import reading
from fcnlab.storage.files.whole_files import passing_folder
from fcnlab.storage.formats.format import Need

__all__ = ["DEFAULT_FORMATS", "ExportProgress", "ExportSpec", "export_project"]


def export_project(
    lab: Lab, run: Runner, *, project_id: int, spec: ExportSpec, to: Path
) -> Generator[ExportProgress, None, None]:
    """Write a project; points and states of the moment it starts, a few images in memory at a time.

    Closing the iterator early leaves no zip file; a folder keeps what is finished, and the same export into it, of the
    same points and model, goes on there. An image whose mask cannot be made is named and left out.

    Args:
        lab: the installation.
        run: runs each step that computes.
        project_id: what to export.
        spec: formats and choice of images.
        to: a zip file, if it is called so; one that is there stays until the new one is complete. Else a folder, new
            or empty.

    Raises:
        UnknownProject: no such project.
        ExportFailed: there is nothing to export, or it cannot be written.
    """
    spec = checked_spec(spec)
    if to.suffix.lower() != ".zip":
        refuse_file_name(to)
    for done, total, name in learning_for(lab, run, project_id=project_id, spec=spec):
        yield ExportProgress("learning", done, total, name)
    waiting = images_without_mask(lab, project_id=project_id)
    for done, total, name in store_masks(lab, run, waiting):
        yield ExportProgress("keeping", done, total, name)
    project_snapshot, source = snapshot(lab, run, project_id=project_id, with_masks=_predicts(spec))
    images = _wanted(project_snapshot, spec)
    _refuse_empty(project_snapshot, source, images)
    splitter = Splitter(lab, images, spec.split)
    for done, image in enumerate(splitter, start=1):
        yield ExportProgress("splitting", done, len(images), image.name)
    writer = ProjectWriter(lab, run, project_snapshot, source, spec, images, splitter.parts())
    with open_target(to, fingerprint=writer.fingerprint()) as target, closing(writer.write(target)) as steps:
        yield from steps
    yield replace(writer.progress, phase="finished")


def learning_for(lab: Lab, run: Runner, *, project_id: int, spec: ExportSpec) -> Iterator[tuple[int, int, str]]:
    """As `learning`, for an export or its estimate; no step where all that is asked for are masks that are kept."""
    if _predicts(spec) or images_without_mask(lab, project_id=project_id):
        yield from learning(run)


def _predicts(spec: ExportSpec) -> bool:
    return not spec.done_only or needs(spec, Need.PROBABILITIES)


@dataclass(frozen=True, slots=True)
class ExportEstimate:
    """How many images an export will hold, and about how many bytes, by one of them, which is called `sample`."""

    n_images: int
    n_bytes: int
    sample: str


def estimate(lab: Lab, run: Runner, *, project_id: int, spec: ExportSpec) -> ExportEstimate | None:
    """How large an export will be: one of its images is written for real, the others are taken for alike by pixels.

    None when none of them has a mask, nor gets one by the export. Nothing of what is written stays, but for the mask of
    a done sample that lacked the one it should keep. Learn first (`learning_for`): here that is one long step.

    Raises as `export_project`.
    """
    spec = replace(checked_spec(spec), split=None)
    project_snapshot, source = snapshot(lab, run, project_id=project_id, with_masks=_predicts(spec))
    images = _wanted(project_snapshot, spec)
    waiting = {image.id for image in images_without_mask(lab, project_id=project_id)}
    with_mask = [
        image for image in images if source is not None or image.id in project_snapshot.masks or image.id in waiting
    ]
    if not with_mask:
        return None
    by_size = sorted(with_mask, key=lambda image: image.height * image.width)
    sample = by_size[(len(by_size) - 1) // 2]
    if sample.id in waiting:
        deque(store_masks(lab, run, [sample]), maxlen=0)
        project_snapshot, source = snapshot(lab, run, project_id=project_id, with_masks=_predicts(spec))
        if source is None and sample.id not in project_snapshot.masks:
            return None
    writer = ProjectWriter(lab, run, project_snapshot, source, spec, [sample], {})
    with passing_folder(lab.folders.exports, prefix=".estimate") as folder:
        path = folder / "sample.zip"
        with open_target(path, fingerprint=writer.fingerprint()) as target, closing(writer.write(target)) as steps:
            deque(steps, maxlen=0)
        n_bytes = path.stat().st_size
    share = sum(image.height * image.width for image in with_mask) / (sample.height * sample.width)
    return ExportEstimate(len(with_mask), round(n_bytes * share), sample.name)


def _wanted(project_snapshot: ProjectSnapshot, spec: ExportSpec) -> list[ImageInfo]:
    """The images that the spec asks for.

    Raises:
        ExportFailed: there are none, or it names a class that the project does not have.
    """
    name = project_snapshot.project.name
    unknown = set(spec.class_ids or ()) - project_snapshot.project.class_ids()
    if unknown:
        class_names = ", ".join(f"{label.name} ({label.id})" for label in project_snapshot.project.classes)
        raise ExportFailed(f"project {name!r} has no class {min(unknown)}; it has {class_names}")
    if not project_snapshot.images:
        raise ExportFailed(f"project {name!r} has no images: import some first")
    images = [image for image in project_snapshot.images if not spec.done_only or image.state is ImageState.DONE]
    if not images:
        raise ExportFailed(f"no image of project {name!r} is marked done: mark one, or export the others too")
    if spec.image_ids is not None:
        chosen = set(spec.image_ids)
        images = [image for image in images if image.id in chosen]
        if not images:
            raise ExportFailed(f"none of the chosen images of project {name!r} can be exported: choose others")
    clicked = {stored.image_id for stored in project_snapshot.points}
    images = [image for image in images if not spec.with_points or image.id in clicked]
    if not images:
        raise ExportFailed(f"no such image of project {name!r} has points: click some, or export the others too")
    return images


def _refuse_empty(project_snapshot: ProjectSnapshot, source: MaskSource | None, images: list[ImageInfo]) -> None:
    if source is None and not any(image.id in project_snapshot.masks for image in images):
        raise ExportFailed(
            f"no mask of project {project_snapshot.project.name!r} can be exported, since {NOTHING_LEARNED}"
        )


PREVIEW_SIDE = 900


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """A small picture (H, W, 3) uint8 of an image under its mask."""

    image: ImageInfo
    rgb: NDArray[np.uint8]
    kind: Literal["stored", "predicted"]


def preview_image(lab: Lab, *, project_id: int) -> ImageInfo | None:
    """The image worth showing: a done one, else one somebody labels, else the first; None in an empty project."""
    with reading(lab.sessions) as session:
        for state in (ImageState.DONE, ImageState.IN_PROGRESS, ImageState.NEW):
            images = repository_images.images(session, project_id=project_id, state=state, count=1)
            if images:
                return images[0]
    return None


def preview(lab: Lab, learner: ProjectLearner, image: ImageInfo) -> Preview | None:
    """The preview of an image; None when it has no mask and nothing can be learned yet.

    Raises:
        ImportRefused: the original is gone or damaged.
    """
    learner.refresh()
    project = learner.project
    assert project is not None
    mask = kept_mask(lab, image)
    kind: Literal["stored", "predicted"] = "stored" if mask is not None else "predicted"
    if mask is None:
        try:
            mask = predicted_mask(learner, image, learner.source())
        except NoPoints:
            return None
    veiled = tinted(read_picture(lab, image), mask, palette_of(project.classes), background=project.background)
    return Preview(image, working_picture(veiled, PREVIEW_SIDE), kind)
